"""A line for each run that began or ended, and no other."""

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.operations import run_news
from okla_assets.operations.run_news import RunNews
from tests.runs_made import mark_run, record_listing

CAR, TORN = keys.parse_vehicle_id("car"), keys.parse_vehicle_id("torn")


def test_each_change_is_told_once(instance: dg.DagsterInstance) -> None:
    news = RunNews()
    assert list(news.poll(instance)) == []
    run_id = mark_run(instance, CAR, dg.DagsterRunStatus.STARTED)
    (started,) = news.poll(instance)
    assert (started.vehicle, started.event, started.detail) == ("car", "started", "upload")
    assert list(news.poll(instance)) == []
    record_listing(instance, CAR, "needs_review.recipe.digest")
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_engine_event("done", run, run_id=run_id)
    instance.handle_run_event(run_id, _ended(run, dg.DagsterEventType.RUN_SUCCESS))
    (done,) = news.poll(instance)
    assert (done.event, done.status) == ("done", "needs_review")
    torn = mark_run(instance, TORN, dg.DagsterRunStatus.STARTED)
    list(news.poll(instance))
    failing = instance.get_run_by_id(torn)
    assert failing is not None
    instance.report_run_failed(failing, "the process of this run is gone")
    (failed,) = news.poll(instance)
    assert (failed.vehicle, failed.event) == ("torn", "failed")
    assert failed.detail == "run: the process of this run is gone"


def test_nothing_is_left_out_where_much_changed_at_once(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_news, "AT_FIRST", 2)
    news = RunNews()
    cars = [keys.parse_vehicle_id(f"car-{n}") for n in range(5)]
    for car in cars:
        mark_run(instance, car, dg.DagsterRunStatus.STARTED)
    assert [one.vehicle for one in news.poll(instance)] == cars
    assert list(news.poll(instance)) == []


def _ended(run: dg.DagsterRun, kind: dg.DagsterEventType) -> dg.DagsterEvent:
    return dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name)

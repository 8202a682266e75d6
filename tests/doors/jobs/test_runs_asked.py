"""Jobs as runs of Dagster: what is asked for, and what becomes of it, without a daemon."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException

from okla_assets import keys
from okla_assets.asked_runs import asked_for, forget_all, give_asked_options
from okla_assets.doors.jobs.dagster_runs import DagsterRuns
from okla_assets.doors.jobs.intake import give_options
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import JobRequest, Operation
from okla_assets.doors.jobs.work import Ended, Unit, Worker
from okla_assets.operations.vehicle_runner import Ran, VehicleRunner
from okla_assets.options import StudioOptions, read_options, save_options
from okla_assets.vehicle_runs import JOB_TAG
from resources.storage.media_store import LocalMediaStore
from tests.fakes import FakeSegmenter
from tests.runs_made import mark_run

CAR = keys.VehicleId("CAR-1")


class Noting(VehicleRunner):
    """Makes nothing; notes the scene that a run would read."""

    def run(self, vehicle: keys.VehicleId, store: LocalMediaStore, *_: object) -> Ran:  # type: ignore[override]
        return Ran(None, f"made on {scene(store)}")


def scene(store: LocalMediaStore) -> str:
    return read_options(CAR, store)[0].background_id


@pytest.fixture
def worker(store: LocalMediaStore, instance: dg.DagsterInstance) -> Worker:
    runner = Noting(lambda: dg.Definitions(), lambda: "")
    return Worker(runner, store, instance, FakeSegmenter())


def a_unit(
    store: LocalMediaStore, operation: Operation = Operation.background, scene: str = "dark_studio"
) -> Unit:
    """A job for a scene, as it is when its run was begun."""
    store.put(keys.raw_photos(CAR) + "a.jpg", b"\xff\xd8\xff\xe0")
    request = JobRequest(operation=operation, vehicle=CAR, options={"background_id": scene})
    job = Job(
        id=str(uuid.uuid4()),
        request=request,
        vehicle=CAR,
        state="running",
        attempts=1,
        created_at=datetime.now(UTC),
    )
    give_options(job, store)
    return Unit(jobs=(job,))


def a_seller_sets_options(store: LocalMediaStore) -> None:
    """By PUT, while the run waits."""
    save_options(CAR, store, StudioOptions(background_id="outdoor_day", max_width=800))


def test_options_set_while_dagster_lets_a_run_wait_give_way_to_the_jobs(
    store: LocalMediaStore, worker: Worker
) -> None:
    unit = a_unit(store)
    DagsterRuns(worker).start(unit, lambda: None)
    a_seller_sets_options(store)
    ((_, asked),) = asked_for(store)
    give_asked_options({JOB_TAG: asked.name}, CAR, store)
    options, _ = read_options(CAR, store)
    assert (options.background_id, options.max_width) == ("dark_studio", 800)


def test_a_run_that_nobody_asked_for_changes_no_option(
    store: LocalMediaStore, worker: Worker
) -> None:
    """One of a seller's uploads, of a lane, or one that a person starts again later."""
    unit, runs = a_unit(store), DagsterRuns(worker)
    runs.start(unit, lambda: None)
    runs.ended(unit)
    a_seller_sets_options(store)
    for tags in ({}, {JOB_TAG: unit.jobs[0].id}, {JOB_TAG: f"{unit.jobs[0].id}.1"}):
        give_asked_options(tags, CAR, store)
    assert scene(store) == "outdoor_day"


def test_options_set_while_a_lane_loads_its_models_give_way_to_the_jobs(
    store: LocalMediaStore, worker: Worker
) -> None:
    unit = a_unit(store)
    a_seller_sets_options(store)
    assert made(worker, unit) == "made on dark_studio"


def test_options_that_cannot_be_used_any_more_fail_a_lanes_job(
    store: LocalMediaStore, worker: Worker
) -> None:
    unit = a_unit(store)
    store.put(keys.options(CAR), b"{")
    assert "is no JSON" in made(worker, unit)


def runs_of(worker: Worker, unit: Unit) -> tuple[DagsterRuns, "Future[Ended]"]:
    """The unit, asked for."""
    runs = DagsterRuns(worker)
    return runs, runs.start(unit, lambda: None)


def watched(runs: DagsterRuns, future: "Future[Ended]") -> None:
    """Has them looked after until the future has ended, or for some looks."""
    looks = 0

    class Some(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal looks
            looks += 1
            return looks > 3 or future.done()

    runs.watch(Some())


def a_run(worker: Worker, unit: Unit, status: dg.DagsterRunStatus) -> str:
    """What the sensor makes of it."""
    run_id = mark_run(worker.instance, CAR, status)
    worker.instance.add_run_tags(run_id, {JOB_TAG: f"{unit.jobs[0].id}.1"})
    return run_id


def away() -> Exception:
    """What dagster-postgres raises when it has tried for some seconds."""
    return DagsterPostgresException("too many retries for DB connection")


def raises(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def test_a_database_that_is_away_is_waited_for_and_no_attempt(
    store: LocalMediaStore, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = a_unit(store)
    runs, future = runs_of(worker, unit)
    with monkeypatch.context() as broken:
        broken.setattr(dg.DagsterInstance, "get_runs", raises(away()))
        watched(runs, future)
        assert not future.done()
    a_run(worker, unit, dg.DagsterRunStatus.CANCELED)
    watched(runs, future)
    assert future.done()


def test_a_run_that_a_person_cancelled_ends_its_jobs(
    store: LocalMediaStore, worker: Worker
) -> None:
    unit = a_unit(store)
    runs, future = runs_of(worker, unit)
    run_id = a_run(worker, unit, dg.DagsterRunStatus.CANCELED)
    watched(runs, future)
    ended = future.result(0)
    assert (ended.cancelled, ended.again, ended.run_id) == (True, False, run_id)


@dg.op
def _told_to_end() -> None:
    raise dg.DagsterExecutionInterruptedError


@dg.job
def _stopped() -> None:
    _told_to_end()


def test_a_run_whose_worker_was_stopped_is_made_again(
    store: LocalMediaStore, worker: Worker
) -> None:
    unit = a_unit(store)
    runs, future = runs_of(worker, unit)
    tags = {JOB_TAG: f"{unit.jobs[0].id}.1"}
    _stopped.execute_in_process(instance=worker.instance, tags=tags, raise_on_error=False)
    watched(runs, future)
    ended = future.result(0)
    assert ended.again and not ended.problems


def test_what_is_no_state_of_the_database_is_told(
    store: LocalMediaStore, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, future = runs_of(worker, a_unit(store))
    monkeypatch.setattr(dg.DagsterInstance, "get_runs", raises(KeyError("x")))
    watched(runs, future)
    assert isinstance(future.exception(0), KeyError)


@pytest.mark.parametrize("error", [None, KeyError("x")])
def test_a_unit_that_is_stopped_while_it_is_looked_at_ends_no_service(
    store: LocalMediaStore,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:
    unit = a_unit(store)
    runs, future = runs_of(worker, unit)

    def looked(*_: object) -> Ended:
        runs.stop(unit)
        if error is not None:
            raise error
        return Ended()

    monkeypatch.setattr(DagsterRuns, "_ended", looked)
    watched(runs, future)
    assert future.result(0).again
    runs.stop(unit)  # its end has not been seen to yet


def test_a_run_is_cancelled_once_and_again_where_nobody_answers(
    store: LocalMediaStore, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = a_unit(store)
    runs, _ = runs_of(worker, unit)
    a_run(worker, unit, dg.DagsterRunStatus.STARTED)
    asked, answers = 0, [ConnectionError("no code server"), RuntimeError("no broker")]

    def cancel(_run_id: str) -> bool:
        nonlocal asked
        asked += 1
        if answers:
            raise answers.pop()
        return True

    monkeypatch.setattr(worker.instance.run_coordinator, "cancel_run", cancel)
    for _ in range(5):
        runs.stop(unit)
    assert asked == 3


def test_what_an_earlier_process_has_asked_for_is_asked_for_no_more(
    store: LocalMediaStore, worker: Worker
) -> None:
    runs_of(worker, a_unit(store))
    forget_all(store)
    assert list(asked_for(store)) == []


def made(worker: Worker, unit: Unit) -> str:
    ended: Ended = worker.make(unit)
    (problem,) = ended.problems.values()
    return problem.detail

"""A failed run in the listing and in the alerts. The sensor is called as its daemon would."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from logging import Logger
from typing import Any

import dagster as dg
import jsonschema
import pytest
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor

from okla_assets import keys
from okla_assets.contract import Listing, listing_schema
from okla_assets.definitions import build_definitions, runner_of
from okla_assets.operations.failures import FAILED_RUN, problem_of
from okla_assets.vehicle_runs import vehicles
from resources.alerts import Alerts
from sensors.outcomes import outcomes
from tests import pictures
from tests.fakes import VEHICLE, Pipeline, Quiet
from tests.runs_made import listing_of, mark_run, publish

sent: list[tuple[str, dict[str, Any]]] = []


class Heard(Alerts):
    """Keeps what would be sent."""

    def send(self, text: str, facts: Any, log: Logger) -> bool:
        sent.append((text, dict(facts)))
        return True


@dataclass
class FullDisk(Quiet):
    """Fails the run at its first step."""

    error: BaseException = field(default_factory=lambda: OSError("/home/secret: disk full\nmore"))

    def step(self, title: str, total: int) -> None:
        raise self.error


def fail(
    pipeline: Pipeline,
    error: BaseException | None = None,
    assets: Sequence[str] | None = None,
) -> dg.DagsterRun:
    """A run of the vehicle, or of these assets of it, that fails at `raw_photos`."""
    broken = FullDisk() if error is None else FullDisk(error)
    resources = pipeline.models | {"store": pipeline.store, "progress": broken}
    runner = runner_of(build_definitions("local", **resources))
    ran = runner.run(VEHICLE, pipeline.store, pipeline.instance, "process", assets)
    assert ran.listing is None
    (run,) = pipeline.instance.get_runs(limit=1)
    return run


def notice(pipeline: Pipeline, run: dg.DagsterRun) -> list[tuple[str, dict[str, Any]]]:
    """The alerts that the sensor sends for a run."""
    sent.clear()
    (record,) = pipeline.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE
    ).records
    event = record.event_log_entry.dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name=outcomes.name,
        dagster_event=event,
        dagster_instance=pipeline.instance,
        dagster_run=run,
        resources={"store": pipeline.store, "alerts": Heard()},
    ).for_run_failure()
    outcomes(context)
    return list(sent)


def published(pipeline: Pipeline) -> Listing:
    data = pipeline.store.get(keys.listing(VEHICLE))
    jsonschema.Draft202012Validator(listing_schema()).validate(json.loads(data))
    return Listing.model_validate_json(data)


def test_a_vehicle_that_never_had_a_listing_gets_a_failed_one(pipeline: Pipeline) -> None:
    pipeline.store.put(keys.options(VEHICLE), b'{"max_width": 800}')
    run = fail(pipeline)
    ((text, facts),) = notice(pipeline, run)
    assert text == f"vehicle {VEHICLE} failed at raw_photos: OSError: /home/secret: disk full"
    assert facts["run_id"] == run.run_id
    assert facts["vehicle_id"] == VEHICLE
    listing = published(pipeline)
    assert (listing.status, listing.photos) == ("failed", ())
    assert listing.options.max_width == 800
    (reason,) = listing.reasons
    assert reason.startswith(f"{FAILED_RUN} at raw_photos")
    # What buyers can read tells nothing of the machine.
    page = pipeline.store.get(keys.gallery(VEHICLE)).decode()
    assert "secret" not in reason + page
    # A second failure says so once.
    notice(pipeline, fail(pipeline))
    assert len(published(pipeline).reasons) == 1


@pytest.mark.slow
def test_a_vehicle_of_which_nothing_can_be_used_is_told_once(pipeline: Pipeline) -> None:
    pipeline.models["alerts"] = Heard()
    sent.clear()
    pipeline.upload({"a.jpg": b"no picture", "b.jpg": b""})
    outcome = pipeline.run()
    assert outcome.success
    assert outcome.listing.status == "failed"
    (run,) = pipeline.instance.get_runs(limit=1)
    ((text, facts),) = sent
    assert text == (
        f"vehicle {VEHICLE} failed at listing: none of the 2 uploaded files could be used"
    )
    assert facts["vehicle_id"] == VEHICLE
    assert facts["run_id"] == run.run_id
    pipeline.run()
    assert len(sent) == 1
    pipeline.upload({"c.jpg": pictures.jpeg(pictures.car())})
    assert pipeline.run().listing.status != "failed"
    assert len(sent) == 1


@pytest.mark.slow
def test_a_good_listing_stays_and_asks_for_a_look_until_a_run_succeeds(pipeline: Pipeline) -> None:
    pipeline.store.put(keys.options(VEHICLE), b'{"promo": false}')
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.car())})
    pipeline.run()
    before = pipeline.snapshot()
    good = published(pipeline)
    notice(pipeline, fail(pipeline))
    marked = published(pipeline)
    assert marked.status == "needs_review"
    assert marked.photos == good.photos
    after = pipeline.snapshot()
    assert after.keys() == before.keys()
    changed = {key for key in after if after[key][0] != before[key][0]}
    assert changed == {keys.listing(VEHICLE), keys.gallery(VEHICLE)}
    again = pipeline.run().listing
    assert (again.status, again.reasons) == (good.status, good.reasons)
    assert pipeline.snapshot()[keys.gallery(VEHICLE)][0] == before[keys.gallery(VEHICLE)][0]


def test_a_listing_of_another_version_is_not_touched(pipeline: Pipeline) -> None:
    pipeline.store.put(keys.listing(VEHICLE), b'{"photos": [{"number": 7}]}')
    assert len(notice(pipeline, fail(pipeline))) == 1
    assert pipeline.store.get(keys.listing(VEHICLE)) == b'{"photos": [{"number": 7}]}'


def test_a_failure_that_a_newer_run_has_overtaken_is_none(pipeline: Pipeline) -> None:
    publish(pipeline.store, listing_of(VEHICLE))
    run = fail(pipeline)
    mark_run(pipeline.instance, VEHICLE, dg.DagsterRunStatus.SUCCESS)
    assert notice(pipeline, run) == []
    assert published(pipeline).status == "ready"


def test_a_newer_run_of_single_photos_hides_no_failure(pipeline: Pipeline) -> None:
    """A job of the doors for one of its photos makes good nothing of the whole vehicle."""
    publish(pipeline.store, listing_of(VEHICLE))
    run = fail(pipeline)
    resources = pipeline.models | {"store": pipeline.store, "progress": Quiet()}
    runner = runner_of(build_definitions("local", **resources))
    ran = runner.run(VEHICLE, pipeline.store, pipeline.instance, "job", ("raw_photos",))
    assert not ran.problem
    assert len(notice(pipeline, run)) == 1
    assert published(pipeline).status == "needs_review"


def test_a_run_of_single_photos_makes_no_listing_as_it_fails(pipeline: Pipeline) -> None:
    run = fail(pipeline, assets=("raw_photos", "masks"))
    assert len(notice(pipeline, run)) == 1
    assert list(pipeline.store.list("processed/")) == []


@pytest.mark.parametrize("why", ["retried", "interrupted", "another job"])
def test_what_is_no_failure(pipeline: Pipeline, why: str) -> None:
    publish(pipeline.store, listing_of(VEHICLE))
    error = dg.DagsterExecutionInterruptedError() if why == "interrupted" else None
    run = fail(pipeline, error)
    if why == "retried":
        run = run.with_tags({**run.tags, "dagster/will_retry": "true"})
    if why == "another job":
        run = run._replace(job_name="somebody_elses")
    assert notice(pipeline, run) == []
    assert published(pipeline).status == "ready"


def test_an_archived_vehicle_gets_no_listing(pipeline: Pipeline) -> None:
    run = fail(pipeline)
    pipeline.instance.delete_dynamic_partition(str(vehicles.name), VEHICLE)
    assert len(notice(pipeline, run)) == 1
    assert pipeline.store.stat(keys.listing(VEHICLE)) is None


def test_a_run_that_failed_outside_its_steps_says_why(instance: dg.DagsterInstance) -> None:
    run_id = mark_run(instance, VEHICLE, dg.DagsterRunStatus.STARTED)
    (run,) = instance.get_runs()
    instance.report_run_failed(run, "the process of this run is gone")
    problem = problem_of(instance, run_id)
    assert (problem.step, problem.error) == ("run", "the process of this run is gone")


def test_a_tick_sees_failures_and_no_cancelled_run(pipeline: Pipeline) -> None:
    """Also of runs without a code location, as `okla process` and the nightly batches make them."""
    sent.clear()
    instance = pipeline.instance
    for name in ("failed", "cancelled"):
        mark_run(instance, keys.parse_vehicle_id(name), dg.DagsterRunStatus.STARTED)
    cancelled, failed = instance.get_runs()
    instance.report_run_canceled(cancelled)
    instance.report_run_failed(failed, "the process of this run is gone")
    context = dg.build_sensor_context(
        instance=instance,
        cursor=RunStatusSensorCursor(record_id=0).to_json(),  # type: ignore[no-untyped-call]
        resources={"store": pipeline.store, "alerts": Heard()},
    )
    outcomes.evaluate_tick(context)
    assert [facts["vehicle_id"] for _, facts in sent] == ["failed"]

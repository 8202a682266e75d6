"""Jobs as runs of Dagster: what is asked for, and what becomes of it, without a daemon."""

import uuid
from datetime import UTC, datetime

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.asked_runs import asked_for, give_asked_options
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


def made(worker: Worker, unit: Unit) -> str:
    ended: Ended = worker.make(unit)
    (problem,) = ended.problems.values()
    return problem.detail

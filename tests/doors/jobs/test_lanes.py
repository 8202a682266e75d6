"""A lane's process, which makes units of jobs on fake models."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.jobs import lanes
from okla_assets.doors.jobs.lanes import Lane, Lanes
from okla_assets.doors.jobs.record import Job, new_id
from okla_assets.doors.jobs.requests import JobRequest, Operation, Source
from okla_assets.doors.jobs.work import Ended, Unit, WorkerLost, WorkerUnavailable
from okla_assets.runtime.instance import open_instance
from okla_assets.runtime.processes import dagster_environment
from okla_assets.vehicle_runs import JOB_TAG
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.conftest import REPOSITORY
from tests.running import wait_for

PHOTOS = {"a.jpg": pictures.car(1), "b.jpg": pictures.cabin(2)}


@pytest.fixture
def lane(store: LocalMediaStore) -> Iterator[Lane]:
    one = Lane(dagster_environment(store.folder, "local"), "tests.fake_lane")
    yield one
    one.kill()


def a_job(door: Door, operation: Operation, vehicle: str) -> Job:
    """A job whose sources were taken over."""
    sources = tuple(Source(url=f"https://example.org/{name}") for name in PHOTOS)
    job, _ = door.jobs.accept(JobRequest(operation=operation, vehicle=vehicle, sources=sources))
    uploads = []
    for name, pixels in PHOTOS.items():
        uploads.append(keys.raw_photos(job.vehicle_id) + name)
        door.store.put(uploads[-1], pictures.jpeg(pixels))
    return job.model_copy(update={"state": "running", "uploads": tuple(uploads), "attempts": 1})


def one_of(ended: Ended, job: Job) -> list[tuple[object, ...]]:
    return [
        (p.source, p.category, p.mask, p.plates, p.treatment, bool(p.picture), bool(p.matte))
        for p in ended.results[job.id].photos
    ]


@pytest.mark.slow
def test_each_operation_makes_what_it_needs_and_no_more(
    door: Door, store: LocalMediaStore, lane: Lane
) -> None:
    expected = {
        Operation.classify: [
            (0, "exterior", "cut", None, None, False, False),
            (1, "interior", "no_vehicle", None, None, False, False),
        ],
        Operation.mask_plate: [
            (0, "exterior", "cut", 0, None, True, False),
            (1, "interior", "no_vehicle", 0, None, True, False),
        ],
        Operation.background: [
            (0, "exterior", "cut", 0, "studio", True, True),
            (1, "interior", "no_vehicle", 0, "enhanced", True, False),
        ],
    }
    tables = {
        Operation.classify: "classifications",
        Operation.mask_plate: "license_plates",
        Operation.background: "composites",
    }
    for operation, rows in expected.items():
        job = a_job(door, operation, f"CAR-{operation.value}")
        ended = lane.make(Unit(jobs=(job,)))
        assert ended.problems == {}
        assert one_of(ended, job) == rows
        tables_of = store.list(f"work/{job.vehicle}/tables/")
        made = {info.key.rpartition("/")[2].removesuffix(".json") for info in tables_of}
        assert tables[operation] in made
        later = list(tables.values())[list(tables).index(operation) + 1 :]
        assert made.isdisjoint(later)
        for photo in ended.results[job.id].photos:
            for drawn in (photo.picture, photo.matte):
                assert drawn is None or store.stat(drawn.key) is not None
        with open_instance(store.folder) as instance:
            run = instance.get_run_by_id(ended.run_id)
        assert run is not None and run.tags[JOB_TAG] == job.id


def test_a_photo_that_is_none_is_refused_by_its_source(door: Door, lane: Lane) -> None:
    job = a_job(door, Operation.classify, "CAR-1")
    door.store.put(str(job.uploads[1]), b"\xff\xd8\xff\xe0 no photo at all")
    ended = lane.make(Unit(jobs=(job,)))
    good, bad = ended.results[job.id].photos
    assert good.category == "exterior" and good.refusal is None
    assert bad.refusal is not None and bad.detail


@pytest.mark.slow
def test_a_killed_lane_is_told_and_starts_again(
    door: Door, lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    monkeypatch.setenv("OKLA_TEST_LANE_WAITS", str(hold))
    lane.start()
    lanes = Lanes([lane])
    done = threading.Event()
    unit = Unit(jobs=(a_job(door, Operation.classify, "CAR-1"),))
    assert lanes.takes(quick=True)
    future: Future[Ended] = lanes.start(unit, done.set)
    assert not lanes.takes(quick=True)
    lost = lane.process
    lanes.stop(unit)
    assert done.wait(30)
    with pytest.raises(WorkerLost):
        future.result()
    lanes.ended(unit)
    # The vehicle's next run waits until the run of the lost lane is closed, which a lane does that
    # starts: it does so without being asked for anything.
    until = time.monotonic() + 30
    while lane.process is lost:
        assert time.monotonic() < until
        time.sleep(0.05)
    hold.unlink()
    ended = lanes.start(unit, done.set).result(60)
    assert ended.results, ended
    lanes.close()


@pytest.fixture
def hanging() -> Iterator[Lane]:
    """A lane that starts, and never answers."""
    one = Lane({"PYTHONPATH": str(REPOSITORY)}, "tests.doors.jobs.hanging_lane")
    yield one
    one.kill()


def test_a_lane_that_hangs_in_its_work_is_killed(
    door: Door, hanging: Lane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanes, "UNIT_SECONDS", 0.3)
    with pytest.raises(WorkerLost):
        hanging.make(Unit(jobs=(a_job(door, Operation.classify, "CAR-1"),)))
    assert hanging.process is not None and hanging.process.poll() is not None
    assert "has not answered" in caplog.text


def test_a_lane_that_hangs_at_its_start_is_killed(
    hanging: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_TEST_LANE_STARTS", "0")
    monkeypatch.setattr(lanes, "START_SECONDS", 0.3)
    with pytest.raises(WorkerUnavailable):
        hanging.start()
    assert hanging.process is not None and hanging.process.poll() is not None


class Away(Lane):
    """One whose database goes away in a run, and is not back at once."""

    starts = 0
    kills = 0

    def start(self) -> None:
        self.starts += 1
        if self.starts < 3:
            raise WorkerUnavailable("a lane does not start")

    def make(self, unit: Unit) -> Ended:
        return Ended(unavailable="no database")

    def kill(self) -> None:
        self.kills += 1


def test_a_lane_whose_database_went_away_is_started_anew_until_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a new process closes the run that the one before could not close."""
    monkeypatch.setattr(lanes, "PAUSE_SECONDS", 0.01)
    lane = Away({})
    several, ended = Lanes([lane]), threading.Event()
    unit = Unit(
        jobs=(
            Job(
                id=new_id("", None),
                vehicle="CAR",
                request=JobRequest(operation=Operation.classify),
                created_at=datetime.now(UTC),
            ),
        )
    )
    assert several.start(unit, ended.set).result(10).unavailable
    wait_for(lambda: lane.starts == 3, 10)
    assert lane.kills == 1
    several.close()

"""A real `okla serve` with many jobs behind it. Bounds are wide: they fail where something grows
with the jobs that have ended, not where the machine is busy. The figures themselves are those of
`python -m tests.benchmarks.doors`.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from okla_assets.doors.jobs.record import Jobs
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.load import Ask, Served, finished, in_another_process, new_key, serving
from tests.doors.web import Web, gives, web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANY = 3000
ACCEPTED = 100


@pytest.fixture
def stranger() -> Iterator[Web]:
    with web() as running:
        yield running


@contextmanager
def at_once(folder: Path, sender: Web) -> Iterator[Served]:
    """A door whose lane ends every job at once."""
    sender.answers["/car.jpg"] = gives(pictures.jpeg(pictures.car()))
    with serving(
        folder / "media",
        folder / "log",
        OKLA_TEST_LANE_ANSWERS="1",
        OKLA_FETCH_HOSTS=sender.host,
        OKLA_FETCH_PRIVATE="1",
    ) as served:
        yield served


def test_no_answer_takes_longer_with_many_ended_jobs(tmp_path: Path, stranger: Web) -> None:
    store = LocalMediaStore(root=str(tmp_path / "media"))
    key = new_key(store)
    paths = [
        "/api/vehicle360processing/user/me/jobs",
        "/api/ai-process/batch-status?vehicleId=CAR",
        "/api/vehicles/CAR",
        "/metrics",
        "/health/ready",
    ]
    took: dict[str, list[float]] = {}
    ids: list[str] = []
    with at_once(tmp_path, stranger) as served:
        for count in (20, MANY):
            ids += finished(store, count)
            status = f"/api/ai-process/status/{ids[0]}"
            for path in (status, *paths):
                seconds = []
                for _ in range(5):
                    began = time.perf_counter()
                    assert served.get(path, key)[0] == 200, path
                    seconds.append(time.perf_counter() - began)
                took.setdefault(path, []).append(min(seconds))
    # The lists of a caller's and a vehicle's jobs have more to tell, up to their own limits.
    slow = {path: times for path, times in took.items() if times[1] > 5 * times[0] + 0.5}
    assert slow == {}


def test_jobs_are_accepted_while_others_end(tmp_path: Path, stranger: Web) -> None:
    store = LocalMediaStore(root=str(tmp_path / "media"))
    key, jobs = new_key(store), Jobs(store)
    asks = [
        Ask(
            "POST",
            "/api/ai-process/classify-image",
            {"vehicleId": f"CAR-{number}", "imageUrl": f"{stranger.url}/car.jpg"},
            key,
        )
        for number in range(ACCEPTED)
    ]
    with at_once(tmp_path, stranger) as served:
        times = in_another_process(served.address, asks, 20)
        assert set(times.statuses) == {202}
        assert times.at(0.5) < 1
        ids = {json.loads(body)["jobId"] for body in times.bodies}
        assert len(ids) == ACCEPTED
        until = time.monotonic() + 120
        while any(True for _ in jobs.unfinished()):
            assert time.monotonic() < until, served.log.read_text()
            time.sleep(0.1)
        assert {jobs.get(one).state for one in ids} == {"completed"}

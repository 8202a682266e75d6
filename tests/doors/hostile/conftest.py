"""The door of all hostile requests, and what lies behind it that they must not reach."""

from collections.abc import Iterator

import pytest
import requests

from okla_assets.doors.callers import stored as stored_callers
from okla_assets.doors.jobs.requests import checked
from tests.doors.ended import end, image_made, spin_made
from tests.doors.hostile.asking import CAR, SECRET
from tests.doors.places import PHOTO
from tests.doors.whole import Whole, whole


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with pytest.MonkeyPatch.context() as patch, whole(tmp_path_factory.mktemp("media")) as door:
        patch.setattr(stored_callers, "FAILURES_A_MINUTE", 100_000)  # many come from here
        yield door


@pytest.fixture(scope="module")
def anns(door: Whole) -> dict[str, str]:
    """Ann's vehicle, with a photo, a job that has ended, one of a 360° view, and an upload."""
    door.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO).raise_for_status()
    found = {"vehicle": CAR}
    jobs = door.door.jobs
    for operation, made in (("segment-vehicle", image_made), ("generate-360", spin_made)):
        request = checked(operation=operation, vehicle=CAR, caller="ann", metadata={"note": SECRET})
        job, _ = jobs.accept(request)
        end(door.door, job, result=made(door.door, job))
        found[operation] = job.id
    facts = "vehicle QU5OUy1DQVI=,filename YS5qcGc="
    told = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000", "Upload-Metadata": facts}
    begun = door.ann("POST", "uploads", headers=told)
    found["upload"] = begun.headers["Location"].rpartition("/")[2]
    return found


@pytest.fixture
def jobs_are_made() -> None:
    """For tests whose requests may become jobs."""


@pytest.fixture(autouse=True)
def nothing_is_made(door: Whole, request: pytest.FixtureRequest) -> Iterator[None]:
    """No request of a test becomes a job, unless the test says so."""
    before = door.jobs()
    yield
    if "jobs_are_made" not in request.fixturenames:
        assert door.jobs() <= before
    assert requests.get(f"{door.url}/health/ready", timeout=10).ok

"""What all routers share, asked by several callers at the same moment, and by one twice."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from resources.storage.media_store import LocalMediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntries
from tests.doors.conftest import door_on
from tests.doors.ended import end

CAR = keys.VehicleId("CAR-1")
ANN, BOB = (Caller(name, frozenset({"jobs", "vehicles"})) for name in ("ann", "bob"))
BOSS = Caller("boss")
PHOTO = b"a private photo"


class Together(LocalMediaStore):
    """A store whose two callers have both looked before either writes whose the vehicle is."""

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        if prefix == keys.processed_folder(CAR):
            _both.wait(10)
        return super().list(prefix, after)


_both = threading.Barrier(2)


def claimed(door: Door, caller: Caller) -> bool:
    try:
        door.claim(CAR, caller)
    except DoorError as error:
        assert error.status == 403
        return False
    return True


def test_of_two_callers_that_name_a_new_vehicle_at_once_one_has_it(store: LocalMediaStore) -> None:
    door = door_on(Together(root=store.root))
    with ThreadPoolExecutor(2) as threads:
        ours = dict(
            zip((ANN, BOB), threads.map(lambda one: claimed(door, one), (ANN, BOB)), strict=True)
        )
    (owner,) = (caller for caller, has_it in ours.items() if has_it)
    assert door.jobs.owner_of(CAR) == owner.name
    listed = {c.name for c in ours if store.stat(keys.vehicles_of(c.name) + CAR) is not None}
    assert listed == {owner.name}


def test_who_sees_all_takes_no_vehicle_from_its_owner(door: Door) -> None:
    assert claimed(door, ANN) and claimed(door, BOSS) and claimed(door, ANN)
    assert not claimed(door, BOB)
    assert door.jobs.owner_of(CAR) == "ann"


def asked(door: Door, folder: Path, operation: Operation = Operation.classify) -> Job:
    """A request with a photo and the caller's own name for it."""
    path = folder / f"{operation}.jpg"
    path.write_bytes(PHOTO)
    upload = Upload(path, sha256(PHOTO).hexdigest(), len(PHOTO), "a.jpg")
    asking = door.accept(ANN, uploads=[upload], operation=operation, idempotency="order 7")
    return asyncio.run(asking)


def files(door: Door, job: Job) -> list[bytes]:
    return [door.store.get(one.key) for one in door.store.list(keys.inbox_files(job.job_id))]


@pytest.mark.parametrize("left_behind", [False, True], ids=["as it ends now", "as it ended before"])
def test_a_request_sent_again_after_the_end_leaves_no_photo(
    door: Door, tmp_path: Path, left_behind: bool
) -> None:
    job = asked(door, tmp_path)
    assert files(door, job) == [PHOTO]
    end(door, job)
    if left_behind:
        door.store.put(keys.inbox_files(job.job_id) + sha256(PHOTO).hexdigest(), PHOTO)
    assert asked(door, tmp_path).id == job.id
    assert files(door, job) == []


def test_a_request_sent_again_before_the_end_keeps_its_photo(door: Door, tmp_path: Path) -> None:
    job = asked(door, tmp_path)
    assert asked(door, tmp_path).id == job.id
    assert files(door, job) == [PHOTO]


class BothFirst(LocalMediaStore):
    """A store whose two callers have both looked for the photo before either writes it."""

    def stat(self, key: str) -> ObjectInfo | None:
        found = super().stat(key)
        if key.startswith(keys.INBOX_FILES):
            _both.wait(10)
        return found


def test_of_two_requests_of_one_name_the_refused_one_takes_no_photo_away(
    store: LocalMediaStore, tmp_path: Path
) -> None:
    door = door_on(BothFirst(root=store.root))

    def ask(operation: Operation) -> Job | None:
        try:
            return asked(door, tmp_path, operation)
        except DoorError as error:
            assert error.status == 409
            return None

    with ThreadPoolExecutor(2) as threads:
        found = threads.map(ask, (Operation.classify, Operation.segment))
        (job,) = (one for one in found if one is not None)
    assert files(door, job) == [PHOTO]
    end(door, job)
    with pytest.raises(DoorError):  # and after the end it leaves none
        other = Operation.segment if job.request.operation is Operation.classify else None
        asked(door_on(store), tmp_path, other or Operation.classify)
    assert files(door, job) == []

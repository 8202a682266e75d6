"""The vehicles of a caller: which there are, how they stand, and how one leaves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import dagster as dg

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.operations.archive import archive
from okla_assets.operations.status import VehicleStatus, of_vehicle
from resources.errors import BadInput, UnknownVehicle
from resources.storage.media_store import MediaStore

READERS = 8


def named(text: str) -> keys.VehicleId:
    """A vehicle that may be made. Raises `DoorError` 400."""
    try:
        vehicle = keys.new_vehicle_id(text)
    except keys.BadVehicleId as error:
        raise DoorError(400, str(error), fields={"vehicleId": [str(error)]}) from None
    if keys.is_transient(vehicle):
        said = f"ids that begin with {keys.TRANSIENT} are given by us; choose another"
        raise DoorError(400, said, fields={"vehicleId": [said]})
    return vehicle


def seen(door: Door, text: str, caller: Caller) -> keys.VehicleId:
    """A vehicle of the caller's. Raises `DoorError` 404, also where it is another's."""
    try:
        vehicle = keys.parse_vehicle_id(text)
    except keys.BadVehicleId:
        raise DoorError(404, "there is no such vehicle") from None
    if not door.may_see(vehicle, caller):
        raise DoorError(404, f"there is no vehicle {vehicle}")
    return vehicle


def check_cursor(text: str) -> None:
    """Raises `DoorError` 400 for what no page has given out.

    A folder that was there before may be called what no new vehicle can be.
    """
    try:
        keys.parse_vehicle_id(text)
    except keys.BadVehicleId as error:
        raise DoorError(400, str(error), fields={"cursor": [str(error)]}) from None


def page(door: Door, caller: Caller, after: str, count: int) -> tuple[list[VehicleStatus], str]:
    """The caller's next vehicles after the one named, and the last one where more follow, else
    an empty text."""
    instance = records(door)
    found: list[VehicleStatus] = []
    names = _names(door, caller, after)
    while len(found) <= count and (some := list(islice(names, count + 1 - len(found)))):
        with ThreadPoolExecutor(READERS) as readers:
            told = readers.map(lambda name: _status(door, name, instance), some)
            found += [status for status in told if status is not None]
    more = len(found) > count
    return found[:count], found[count - 1].line.vehicle if more else ""


def _names(door: Door, caller: Caller, after: str) -> Iterator[keys.VehicleId]:
    """Ids in their order; of callers that see all, those of folders that were filled otherwise."""
    if caller.sees is None:
        every = (name for name in door.store.folders(keys.RAW) if name > after)
    else:
        prefix = keys.vehicles_of(caller.sees)
        every = (
            info.key.removeprefix(prefix) for info in door.store.list(prefix, after=prefix + after)
        )
    for name in every:
        try:
            vehicle = keys.parse_vehicle_id(name)
        except keys.BadVehicleId:
            continue
        if not keys.is_transient(vehicle):
            yield vehicle


def status(door: Door, vehicle: keys.VehicleId) -> VehicleStatus:
    """How it stands. Raises `DoorError` 404 where nothing of it is here."""
    found = _status(door, vehicle, records(door))
    if found is None:
        raise DoorError(404, f"there is no vehicle {vehicle}")
    return found


def _status(
    door: Door, vehicle: keys.VehicleId, instance: dg.DagsterInstance
) -> VehicleStatus | None:
    """None also where its runs are all that is left of it."""
    return None if door.is_new(vehicle) else of_vehicle(vehicle, instance, door.store)


def remove(door: Door, vehicle: keys.VehicleId) -> int:
    """Deletes its files, those that were uploaded too, and returns how many.

    Its jobs stay, and so does whose it is: their links lead to its name. Raises `DoorError`: 404,
    409 while something is made of it.
    """
    for job in door.jobs.unfinished():
        if job.vehicle == vehicle:
            raise DoorError(409, f"job {job.id} of {vehicle} has not ended; cancel it or wait")
    try:
        removed = archive(vehicle, door.store, records(door), processed=True, raw=True)
    except UnknownVehicle:
        raise DoorError(404, f"there is no vehicle {vehicle}") from None
    except BadInput as error:
        raise DoorError(409, str(error)) from None
    door.jobs.unlist(vehicle)  # else each page of those he has would pass over it
    return removed


def has_uploads(store: MediaStore, vehicle: keys.VehicleId) -> bool:
    """Whether a photo or video was uploaded for it."""
    known = keys.records(vehicle)
    return any(info.key not in known for info in store.list(keys.raw_folder(vehicle)))


def records(door: Door) -> dg.DagsterInstance:
    """Dagster's records. Raises `DoorError` 503 where this door has none."""
    if door.instance is None:
        raise DoorError(503, "this door has no records of runs; ask the one of `okla serve`")
    return door.instance()

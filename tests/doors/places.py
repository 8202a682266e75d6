"""A door with three callers, and what they send."""

from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import requests

from okla_assets import keys
from okla_assets.doors.callers import records as caller_records
from okla_assets.doors.callers.stored import StoredCallers
from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from resources.settings import Settings
from tests import pictures
from tests.doors.conftest import Serve

CAR = keys.parse_vehicle_id("CAR-1")
PHOTO = pictures.jpeg(pictures.car())
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)


@dataclass(frozen=True)
class Client:
    """One caller at a door."""

    url: str
    key: str

    def __call__(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"X-Api-Key": self.key} | given.pop("headers", {})
        url = f"{self.url}/api/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **given)


@dataclass(frozen=True)
class Place:
    """A door with three callers: two that know nothing of each other, and one that sees all."""

    door: Door
    ann: Client
    bob: Client
    boss: Client


def place_of(door: Door, instance: dg.DagsterInstance, serve: Serve) -> Place:
    """Starts it on the door's store, with these records of runs."""
    store = door.store
    made = [caller_records.create(store, name, ["jobs", "vehicles"]) for name in ("ann", "bob")]
    made.append(caller_records.create(store, "boss", ["admin"]))
    callers = StoredCallers(store, Settings())
    open_door = replace(door, callers=callers, instance=lambda: instance, upload_bytes=80 * 2**20)
    url = serve(make_app(open_door))
    return Place(open_door, *(Client(url, key) for key in made))


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Files of a form."""
    return [("file", file) for file in files]

"""What lies under raw/, a vehicle's folder at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from okla_assets import keys
from okla_assets.operations.archive import is_archived
from okla_assets.options import read_options
from okla_assets.vehicle_runs import VehicleRun, request
from resources.storage.media_store import MediaStore, ObjectInfo


@dataclass(frozen=True)
class RawFolder:
    """A vehicle's uploads at one moment, and the run that they ask for."""

    run: VehicleRun
    newest: datetime
    ready: bool
    archived: bool
    """Retired, and nothing was uploaded since."""
    has_media: bool
    strays: tuple[str, ...]
    """Keys that the pipeline looks at nowhere, unless the options name them."""

    @property
    def vehicle(self) -> keys.VehicleId:
        return self.run.vehicle

    @property
    def run_key(self) -> str:
        return self.run.run_key


@dataclass(frozen=True)
class Stretch:
    """A folder of raw/ with all that lies below it, or a file that lies in raw/ itself."""

    name: str
    is_folder: bool
    objects: Sequence[ObjectInfo]
    end: str
    """Listing after this key goes on behind the stretch."""


def stretches(store: MediaStore, after: str) -> Iterator[Stretch]:
    """raw/ in key order behind a key, read from the store only as far as asked for."""
    for (name, slash), objects in groupby(store.list(keys.RAW, after), _first_name):
        # '0' follows '/': everything in the folder comes before it.
        end = keys.RAW + name + ("0" if slash else "")
        yield Stretch(name, bool(slash), tuple(objects), end)


def _first_name(info: ObjectInfo) -> tuple[str, str]:
    name, slash, _ = info.key.removeprefix(keys.RAW).partition("/")
    return name, slash


def raw_folder(vehicle: keys.VehicleId, listed: Iterable[ObjectInfo]) -> RawFolder | None:
    """The vehicle's uploads; None where there are none."""
    objects = list(listed)
    if not objects:
        return None
    places = (keys.raw_photos(vehicle), keys.raw_videos(vehicle))
    ours = {
        keys.ready_marker(vehicle),
        keys.archived_marker(vehicle),
        keys.options(vehicle),
        keys.raw_folder(vehicle),
    }
    return RawFolder(
        request(vehicle, objects, "upload"),
        max(o.modified for o in objects),
        ready=any(o.key == keys.ready_marker(vehicle) for o in objects),
        archived=is_archived(vehicle, objects),
        has_media=any(o.key.startswith(places) and keys.is_media(o.key) for o in objects),
        strays=tuple(o.key for o in objects if not o.key.startswith(places) and o.key not in ours),
    )


def without_own_music(folder: RawFolder, store: MediaStore) -> tuple[str, ...]:
    """The strays of a folder, without the music that its options name."""
    if not folder.strays:
        return ()
    options, _ = read_options(folder.vehicle, store)
    music = options.promo_music and keys.own_music(folder.vehicle, options.promo_music)
    return tuple(key for key in folder.strays if key != music)

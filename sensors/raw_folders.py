"""What lies under raw/, a vehicle's folder at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from okla_assets import keys
from okla_assets.operations.archive import is_archived
from okla_assets.options import read_options
from okla_assets.steps.uploads import may_hold_media
from okla_assets.vehicle_runs import VehicleRun, request
from resources.storage.media_store import MediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntries

MOST_READ = 20
"""Files of a folder without a photo by name that are looked into."""


@dataclass(frozen=True)
class RawFolder:
    """A vehicle's uploads at one moment, and the run that they ask for."""

    run: VehicleRun
    newest: datetime
    ready: bool
    archived: bool
    """Retired, and nothing was uploaded since."""
    for_jobs: bool
    """Jobs ask for its runs, and nobody has said that its upload is complete."""
    has_media: bool
    """By the files' names."""
    nameless: tuple[ObjectInfo, ...]
    """Files whose names do not tell whether they are photos or videos."""
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


def stretches(store: MediaStore, after: str, odd: OddEntries) -> Iterator[Stretch]:
    """raw/ in key order behind a key, read from the store only as far as asked for."""
    for (name, slash), objects in groupby(store.list(keys.RAW, after, odd), _first_name):
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
    records = keys.records(vehicle)
    uploads = [o for o in objects if o.key not in records]
    looked_at = [
        o for o in uploads if keys.lies_where_uploads_do(o.key) and not keys.ignored_by_name(o.key)
    ]
    places = (keys.raw_photos(vehicle), keys.raw_videos(vehicle))
    taken = {o.key for o in looked_at if keys.is_media(o.key)}
    named = {o.key for o in objects}
    ready = keys.ready_marker(vehicle) in named
    return RawFolder(
        request(vehicle, objects, "upload"),
        max(o.modified for o in objects),
        ready=ready,
        for_jobs=not ready and keys.jobs_marker(vehicle) in named,
        archived=is_archived(vehicle, objects),
        has_media=bool(taken),
        nameless=tuple(o for o in looked_at if o.key not in taken),
        strays=tuple(o.key for o in uploads if not o.key.startswith(places) and o.key not in taken),
    )


def holds_media(folder: RawFolder, store: MediaStore) -> bool:
    """Whether a run would find a photo or video, or refuse one; reads some files' first bytes.

    Raises `Unreadable`.
    """
    return folder.has_media or any(
        may_hold_media(info, store) for info in folder.nameless[:MOST_READ]
    )


def without_own_music(folder: RawFolder, store: MediaStore) -> tuple[str, ...]:
    """The strays of a folder, without the music that its options name."""
    if not folder.strays:
        return ()
    options, _ = read_options(folder.vehicle, store)
    music = options.promo_music and keys.own_music(folder.vehicle, options.promo_music)
    return tuple(key for key in folder.strays if key != music)

"""`okla process`: one folder of photos through the pipeline, in this process."""

import filecmp
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.runtime.instance import MALLOC, close_dead_runs, dagster_home, open_instance
from resources.errors import BadInput
from resources.progress import Progress
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.stores import absolute, location_of

DEFINITIONS = "OKLA_DEFINITIONS"
"""Environment variable: a module with Dagster definitions of your own instead of ours."""

OUR_DEFINITIONS = "okla_assets.definitions"


@dataclass(frozen=True)
class Imported:
    """What a folder brought in: uploads by key, and names that are no photo or video."""

    uploaded: tuple[str, ...]
    ignored: tuple[str, ...]
    kept: tuple[str, ...]
    """Uploads of an earlier import whose file is no longer in the folder; they stay."""


def import_folder(folder: Path, vehicle: keys.VehicleId, store: MediaStore) -> Imported:
    """Copies a folder's photos and videos to raw/; a file that is there already is left alone.

    Raises BadInput where the folder holds neither.
    """
    if isinstance(store, LocalMediaStore) and folder.resolve() == (
        (store.folder / keys.raw_folder(vehicle)).resolve()
    ):
        existing = [info.key for info in store.list(keys.raw_folder(vehicle))]
        media = tuple(key for key in existing if keys.is_media(key))
        return Imported(media, (), ())
    uploaded: dict[str, Path] = {}
    ignored = []
    for path in _files(folder):
        # A key holds no backslash, and JSON no name that is not UTF-8 (old zip archives).
        name = re.sub(r"[\\\ud800-\udfff]", "_", path.name)
        suffix = keys.suffix_of(name)
        if suffix in keys.PHOTO_SUFFIXES:
            key = keys.raw_photos(vehicle) + name
        elif suffix in keys.VIDEO_SUFFIXES:
            key = keys.raw_videos(vehicle) + name
        else:
            if name != keys.options(vehicle).rsplit("/", 1)[-1]:
                ignored.append(name)
            continue
        twin = uploaded.setdefault(key, path)
        if twin is not path and not filecmp.cmp(twin, path, shallow=False):
            raise BadInput(f"{folder} holds two different files called {name}; rename one of them")
    if not uploaded:
        known = ", ".join(sorted(keys.PHOTO_SUFFIXES))
        raise BadInput(f"{folder} holds no photo; looked for files ending in {known}")
    for key, path in uploaded.items():
        if not _same(path, store, key):
            store.put_file(key, path)
    before = {i.key for i in store.list(keys.raw_photos(vehicle))}
    return Imported(tuple(uploaded), tuple(ignored), tuple(sorted(before - uploaded.keys())))


def run_vehicle(
    vehicle: keys.VehicleId, store: MediaStore, profile: str, progress: Progress
) -> tuple[Listing | None, str]:
    """Runs the vehicle's assets here and now; returns its listing, or None and what went wrong.

    The run is recorded in the instance that `okla up` shows.
    """
    from okla_assets.definitions import build_definitions, runner_of

    definitions = build_definitions(profile, store=store, progress=progress)
    with open_instance(location_of(store)) as instance:
        close_dead_runs(instance, only_processes=True)
        ran = runner_of(definitions).run(vehicle, store, instance, "process")
    if ran.interrupted:
        raise KeyboardInterrupt
    return ran.listing, ran.problem


def _files(folder: Path) -> Iterator[Path]:
    """Files of the folder and of its photos/ and video/, in order of name; hidden ones left out."""
    for part in (folder, folder / "photos", folder / "video"):
        if part.is_dir():
            yield from sorted(
                p for p in part.iterdir() if p.is_file() and not p.name.startswith(".")
            )


def _same(path: Path, store: MediaStore, key: str) -> bool:
    """Whether the store has these bytes, so far as it can tell without fetching them."""
    info = store.stat(key)
    if info is None or info.size != path.stat().st_size:
        return False
    if isinstance(store, LocalMediaStore):
        with store.as_file(key) as there:
            return filecmp.cmp(there, path, shallow=False)
    algorithm, _, digest = info.digest.partition(":")
    if not digest:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


def definitions_module() -> str:
    """What Dagster's servers load: our definitions, or a module of the user's own."""
    return os.environ.get(DEFINITIONS) or OUR_DEFINITIONS


def dagster_environment(out: str | Path, profile: str) -> dict[str, str]:
    """The environment in which a Dagster process finds the same media, models and runs."""
    return (
        MALLOC
        | os.environ
        | {
            "OKLA_MEDIA_DIR": absolute(str(out)),
            "OKLA_PROFILE": profile,
            "DAGSTER_HOME": str(dagster_home(out)),
        }
    )

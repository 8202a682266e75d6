"""A folder of one car's photos becomes uploads in the media store."""

import filecmp
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from okla_assets import keys
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore, MediaStore


@dataclass(frozen=True)
class Imported:
    """What an import did: keys of the folder's uploads, and names of files of other kinds."""

    uploaded: tuple[str, ...]
    ignored: tuple[str, ...]
    earlier: tuple[str, ...]
    """Keys of photos of an earlier import that are no longer in the folder; they stay."""


def import_folder(folder: Path, vehicle: keys.VehicleId, store: MediaStore) -> Imported:
    """Copies a folder's photos and videos to raw/; files that are there already are skipped.

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
        # Keys have no backslash, and JSON no names that are not UTF-8 (from old zip archives).
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
        first = uploaded.setdefault(key, path)
        if first is not path and not filecmp.cmp(first, path, shallow=False):
            raise BadInput(f"{folder} holds two different files called {name}; rename one of them")
    if not uploaded:
        known = ", ".join(sorted(keys.PHOTO_SUFFIXES))
        raise BadInput(f"{folder} holds no photo; looked for files ending in {known}")
    for key, path in uploaded.items():
        if not _same(path, store, key):
            store.put_file(key, path)
    before = {i.key for i in store.list(keys.raw_photos(vehicle))}
    return Imported(tuple(uploaded), tuple(ignored), tuple(sorted(before - uploaded.keys())))


def _files(folder: Path) -> Iterator[Path]:
    """Files of the folder and of its photos/ and video/, sorted by name, without hidden ones."""
    for part in (folder, folder / "photos", folder / "video"):
        if part.is_dir():
            yield from sorted(
                p for p in part.iterdir() if p.is_file() and not p.name.startswith(".")
            )


def _same(path: Path, store: MediaStore, key: str) -> bool:
    """Whether the store has these bytes, as far as that can be told without a download."""
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

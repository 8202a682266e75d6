"""Files that callers upload for a vehicle: what they are, and what they are called in raw/."""

import re
from pathlib import Path
from typing import Literal

from okla_assets import keys
from okla_assets.doors.errors import DoorError
from okla_assets.imaging.photo.signatures import HEAD_BYTES, media_kind
from okla_assets.tables import Row
from resources.storage.media_store import MediaStore

Kind = Literal["photo", "video"]
LONGEST_STEM = 80


class Received(Row):
    """A file that was taken over. `name` is what options call it, `key` what jobs call it."""

    name: str
    key: str
    kind: Kind
    sha256: str
    size: int


def kind_of(path: Path, name: str) -> Kind:
    """Photo or video, by the content. Raises `DoorError` 415 where it is neither."""
    with path.open("rb") as file:
        kind = media_kind(file.read(HEAD_BYTES))
    if kind is None:
        raise DoorError(
            415, f"{_stem(name) or 'the file'} is neither a photo nor a video, by its content"
        )
    return kind


def take(
    store: MediaStore, vehicle: keys.VehicleId, path: Path, kind: Kind, sha256: str, name: str
) -> Received:
    """Stores the file among the vehicle's uploads; the same file again changes nothing.

    Its name keeps the sender's, for photos are shown in the order of their names, and gets a part
    of the digest: phones call every photo image.jpg.
    """
    given = keys.suffix_of(name)
    usual = keys.PHOTO_SUFFIXES if kind == "photo" else keys.VIDEO_SUFFIXES
    suffix = given if given in usual else {"photo": "jpg", "video": "mp4"}[kind]
    stored = keys.nfc(f"{_stem(name) or kind}-{sha256[:8]}.{suffix}")
    folder = keys.raw_photos(vehicle) if kind == "photo" else keys.raw_videos(vehicle)
    size, known = path.stat().st_size, store.stat(folder + stored)
    if known is None or known.size != size:
        store.put_file(folder + stored, path, durable=True)
    # From here on the sensor of uploads makes the vehicle, as it makes those of a folder.
    store.delete(keys.jobs_marker(vehicle))
    return Received(name=stored, key=folder + stored, kind=kind, sha256=sha256, size=size)


def _stem(name: str) -> str:
    """The sender's name for a file without its ending and without what is no part of a name."""
    last = re.split(r"[/\\]", name)[-1]
    stem = last.rpartition(".")[0] if keys.suffix_of(last) else last
    return re.sub(r"[^\w.()+ -]+", "-", stem).strip(" .-")[:LONGEST_STEM].rstrip(" .-")

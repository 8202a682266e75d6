"""Which store a place means: `s3://BUCKET[/PREFIX]`, else a folder on this machine."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import BadInput

if TYPE_CHECKING:
    from resources.storage.media_store import MediaStore

_SCHEME = re.compile(r"(s3:|[A-Za-z][A-Za-z0-9+.-]+://)", re.IGNORECASE)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Bucket:
    """A bucket, or the part of it under a prefix."""

    name: str
    prefix: str


def bucket_of(place: str) -> Bucket | None:
    """The bucket that a place means; None for a folder.

    Raises BadInput for one that looks like an address but is none.
    """
    if not _SCHEME.match(place):
        return None
    name, _, prefix = place.removeprefix("s3://").rstrip("/").partition("/")
    parts = prefix.split("/") if prefix else []
    if (
        not place.startswith("s3://")
        or not _BUCKET.fullmatch(name)
        or any(not part or part.startswith(".") or "\\" in part for part in parts)
    ):
        raise BadInput(
            f"{place!r} is no place for media; give s3://BUCKET, s3://BUCKET/PREFIX or a folder"
        )
    return Bucket(name, prefix)


def store_for(place: str) -> "MediaStore":
    """The store at a place; an empty one means OKLA_MEDIA_DIR, or `okla-media` here.

    A bucket's address is a setting. Connects to nothing. Raises BadInput for a wrong place.
    """
    from resources.settings import settings
    from resources.storage.media_store import LocalMediaStore

    chosen = settings()
    place = place or chosen.media_dir
    bucket = bucket_of(place)
    if bucket is None:
        return LocalMediaStore(root=place)
    from resources.storage.s3_store import S3MediaStore

    return S3MediaStore(
        bucket=bucket.name,
        prefix=bucket.prefix,
        endpoint_url=chosen.s3_endpoint_url,
        public_url=chosen.s3_public_url,
    )


def location_of(store: "MediaStore") -> str:
    """Of what `store_for` makes the same store again, from any working directory."""
    from resources.storage.media_store import LocalMediaStore
    from resources.storage.s3_store import S3MediaStore

    if isinstance(store, S3MediaStore):
        return store.place
    if isinstance(store, LocalMediaStore):
        return str(store.folder.resolve())
    raise TypeError(f"{type(store).__name__} has no place")


def absolute(place: str) -> str:
    """The same place, from any working directory."""
    return place if bucket_of(place) else str(Path(place).resolve())

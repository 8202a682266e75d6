"""The store at a location: `s3://BUCKET[/PREFIX]`, else a folder on this machine."""

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


def bucket_of(location: str) -> Bucket | None:
    """The bucket that a location names; None for a folder. Raises BadInput for a malformed one."""
    if not _SCHEME.match(location):
        return None
    name, _, prefix = location.removeprefix("s3://").rstrip("/").partition("/")
    parts = prefix.split("/") if prefix else []
    if (
        not location.startswith("s3://")
        or not _BUCKET.fullmatch(name)
        or any(not part or part.startswith(".") or "\\" in part for part in parts)
    ):
        raise BadInput(
            f"{location!r} is not a media location; "
            "give s3://BUCKET, s3://BUCKET/PREFIX or a folder"
        )
    return Bucket(name, prefix)


def store_for(location: str) -> "MediaStore":
    """The store at a location; an empty one means OKLA_MEDIA_DIR, or `okla-media` here.

    A bucket's address is a setting. Connects to nothing. Raises BadInput for a wrong place.
    """
    from resources.settings import settings
    from resources.storage.media_store import LocalMediaStore

    chosen = settings()
    location = location or chosen.media_dir
    bucket = bucket_of(location)
    if bucket is None:
        if Path(location).is_file():
            raise BadInput(f"{location} is a file; give a folder for the media")
        return LocalMediaStore(root=location)
    from resources.storage.s3_store import S3MediaStore

    return S3MediaStore(
        bucket=bucket.name,
        prefix=bucket.prefix,
        endpoint_url=chosen.s3_endpoint_url,
        public_url=chosen.s3_public_url,
    )


def existing_store(location: str) -> "MediaStore":
    """The same for a command that makes no vehicle: it never creates the media folder.

    Raises BadInput where there is no such folder. Whether a bucket is there shows when it is asked.
    """
    store = store_for(location)
    folder = location_of(store)
    if bucket_of(folder) is None:
        try:
            Path(folder).stat()
        except FileNotFoundError:
            raise BadInput(
                f"there is no media folder {folder}; give it by --out or OKLA_MEDIA_DIR"
            ) from None
    return store


def check_writable(store: "MediaStore", uploads: int = 0) -> None:
    """Raises BrokenSetup where a folder cannot take `uploads` bytes and what is made of them.

    What a bucket allows shows only when it is asked.
    """
    from resources.storage.media_store import LocalMediaStore

    if isinstance(store, LocalMediaStore):
        store.check_writable(uploads)


def location_of(store: "MediaStore") -> str:
    """The location from which `store_for` makes the same store, in any working directory."""
    from resources.storage.media_store import LocalMediaStore
    from resources.storage.s3_store import S3MediaStore

    if isinstance(store, S3MediaStore):
        return store.location
    if isinstance(store, LocalMediaStore):
        return str(store.folder.resolve())
    raise TypeError(f"{type(store).__name__} has no location")


def absolute(location: str) -> str:
    """The same location, from any working directory."""
    return location if bucket_of(location) else str(Path(location).resolve())

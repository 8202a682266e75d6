"""SHA-256 of uploads, each read once: as long as its ETag stays, so do its bytes."""

from collections.abc import Callable, Collection

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Row
from resources.storage.media_store import MediaStore, ObjectInfo

VERSION = "1"


def uploads_in(store: MediaStore, folder: str, suffixes: Collection[str]) -> list[ObjectInfo]:
    """Uploaded files with one of these suffixes, photo2 before photo10."""
    found = (info for info in store.list(folder) if keys.suffix_of(info.key) in suffixes)
    return sorted(found, key=lambda info: keys.natural_order(info.key))


class _Seen(Row):
    """ETag and SHA-256 by key."""

    uploads: dict[str, tuple[str, str]]


class UploadDigests:
    """What is known of one vehicle's uploads of one `kind`: a run need not download them again."""

    def __init__(self, store: MediaStore, vehicle: keys.VehicleId, kind: str) -> None:
        self._cache = StepCache(store, vehicle, f"{kind}_seen", _Seen)
        self._own = digest_of("seen", VERSION)
        kept = self._cache.get(self._own)
        self._before = {} if kept is None else kept.row.uploads
        self._now: dict[str, tuple[str, str]] = {}

    def of(self, info: ObjectInfo, read: Callable[[], str]) -> str:
        """Hex SHA-256 of an upload; `read` works it out where it is new or another.

        May be called from several threads.
        """
        etag, sha256 = self._before.get(info.key, ("", ""))
        if not etag or etag != info.etag:
            sha256 = read()
        self._now[info.key] = (info.etag, sha256)
        return sha256

    def keep(self) -> None:
        """Remembers those asked for, and only them."""
        if self._now != self._before:
            self._cache.put(self._own, _Seen(uploads=dict(sorted(self._now.items()))), {})

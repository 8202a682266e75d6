"""What was read of uploads, each once: as long as its ETag stays, so do its bytes."""

from collections.abc import Callable

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Row
from resources.storage.media_store import MediaStore, ObjectInfo

VERSION = "1"


class _Seen(Row):
    """ETag and fact by key."""

    uploads: dict[str, tuple[str, str]]


class UploadFacts:
    """A fact about each of one vehicle's uploads, under a `name`: no run reads them again for it.

    `version` is that of whoever works the fact out.
    """

    def __init__(
        self, store: MediaStore, vehicle: keys.VehicleId, name: str, version: str = VERSION
    ) -> None:
        self._cache = StepCache(store, vehicle, f"{name}_seen", _Seen)
        self._own = digest_of("seen", version)
        kept = self._cache.get(self._own)
        self._before = {} if kept is None else kept.row.uploads
        self._now: dict[str, tuple[str, str]] = {}

    def of(self, info: ObjectInfo, read: Callable[[], str]) -> str:
        """The fact about an upload; `read` works it out where it is new or another.

        May be called from several threads.
        """
        etag, fact = self._before.get(info.key, ("", ""))
        if not etag or etag != info.etag:
            fact = read()
        self._now[info.key] = (info.etag, fact)
        return fact

    def keep(self) -> None:
        """Remembers those asked for, and only them."""
        if self._now != self._before:
            self._cache.put(self._own, _Seen(uploads=dict(sorted(self._now.items()))), {})

"""Links to files that need no key and that expire."""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from okla_assets import keys
from resources.storage.media_store import MediaStore

FILES = "/files/"
SECONDS = 24 * 3600


@dataclass(frozen=True)
class Links:
    """Makes and checks links below the door's own address.

    A link is good for `seconds` at least: it ends at a full hour, so that the same file has the
    same link for a while and caches keep it.
    """

    store: MediaStore
    secret: bytes
    seconds: int = SECONDS

    def to(self, key: str, base: str) -> str:
        """The address of a finished file; `base` is where the caller reaches the door."""
        return f"{base.rstrip('/')}{self.path(key)}"

    def path(self, key: str) -> str:
        """The same without the door's address."""
        ends = (int(time.time()) // 3600 + 1) * 3600 + self.seconds
        return f"{FILES}{quote(key)}?expires={ends}&signature={self._signature(key, ends)}"

    def allows(self, key: str, expires: str, signature: str) -> bool:
        """Whether such a link was made here and has not expired."""
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return False
        right = hmac.compare_digest(self._signature(key, int(expires)).encode(), signature.encode())
        return right and time.time() < int(expires)

    def _signature(self, key: str, ends: int) -> str:
        message = f"{key}\n{ends}".encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()[:32]


def secret_of(given: str, folder: Path) -> bytes:
    """What links are signed with: the secret of OKLA_API_SECRET, else one that is kept in the
    folder and made there the first time, of which all processes have the same."""
    if given:
        return given.encode()
    place = folder / "links.secret"
    if not place.exists():
        fresh = folder / f"links.secret.{os.getpid()}"
        with open(fresh, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.write(secrets.token_hex(32))
        try:
            os.link(fresh, place)
        except FileExistsError:  # another process was faster
            pass
        finally:
            fresh.unlink()
    return place.read_bytes()


def file_address(links: Links, base: str) -> Callable[[str], str]:
    """How files are named where no request tells the door's address: published ones at the media's
    own address where everybody may read there, else by links below `base`, else by paths alone."""
    public = links.store.public_base()

    def named(key: str) -> str:
        if public is not None and key.startswith(keys.PROCESSED):
            return public + quote(key)
        return links.to(key, base) if base else links.path(key)

    return named

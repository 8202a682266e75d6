"""Where media live: one interface over a local folder or a bucket.

Keys are relative, with forward slashes (`okla_assets/keys.py` builds them). Writes replace whole
objects atomically: a reader sees the old bytes or the new ones, never a part.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Protocol, runtime_checkable

import dagster as dg

from resources.errors import BrokenSetup, system_reason
from resources.settings import settings

TEMP_FOLDER = ".tmp"
STALE_TEMP_SECONDS = 24 * 3600
LEAST_FREE = 100 * 2**20
"""What a vehicle of some photos takes beside its uploads, in bytes."""

# Also surrogates: a file name that is not UTF-8 can stand in no JSON.
_UNUSABLE = re.compile(r"[\0\\\ud800-\udfff]")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    `etag` changes whenever the bytes do; `modified` is when they arrived here, in UTC. `digest` is
    "sha256:HEX" or "md5:HEX" of the bytes where the store knows it without reading them.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    digest: str = field(default="", compare=False)


class BadKey(ValueError):
    """The key is empty, absolute, hidden or climbs out of the store."""


@runtime_checkable
class MediaStore(Protocol):
    """What the pipeline needs of storage; the local folder and S3 are siblings behind it."""

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix` and is greater than `after`, in key order.

        Lazy: a caller who stops early has not listed the whole bucket.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the direct sub-folders of `prefix` (which ends in '/'), in order."""
        ...

    def get(self, key: str) -> bytes:
        """The object's bytes; raises `FileNotFoundError` naming the key."""
        ...

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        """The object as a file on this machine while the context lasts; not to be written to.

        Raises `FileNotFoundError` naming the key.
        """
        ...

    def put(self, key: str, data: bytes, content_type: str | None = None) -> str:
        """Writes or replaces the object, atomically; returns the ETag of these bytes."""
        ...

    def put_file(self, key: str, path: Path, content_type: str | None = None) -> str:
        """The same from a file on disk, without holding it in memory."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """The object's facts, or None where there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Removes the object; one that is already gone is no error."""
        ...

    def url(self, key: str) -> str:
        """A link to the object, or the folder a key ends in '/' for, for a person's browser."""
        ...


class LocalMediaStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder on this machine, laid out as the bucket would be.

    Names that start with a dot are not part of the store: `.tmp/` holds writes in progress. An
    empty `root` means OKLA_MEDIA_DIR, or `okla-media` in the working directory.
    """

    root: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.root or settings().media_dir)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        yield from self._walk(self.folder / folder, f"{folder}/" if folder else "", prefix, after)

    def folders(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix.rstrip("/"))
        if folder.is_dir():
            yield from sorted(e.name for e in os.scandir(folder) if e.is_dir() and e.name[0] != ".")

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(f"{key} is not in the media store {self.folder}") from None

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise FileNotFoundError(f"{key} is not in the media store {self.folder}")
        yield path

    def put(self, key: str, data: bytes, content_type: str | None = None) -> str:
        return self._write(key, lambda temp: temp.write_bytes(data))

    def put_file(self, key: str, path: Path, content_type: str | None = None) -> str:
        with path.open("rb"):  # else an error of the source would count as one of the store
            pass
        return self._write(key, lambda temp: shutil.copyfile(path, temp))

    def stat(self, key: str) -> ObjectInfo | None:
        try:
            found = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _info(key, found) if S_ISREG(found.st_mode) else None

    def delete(self, key: str) -> None:
        """Removes the object and folders left empty by it."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.folder:
                break
            try:
                folder.rmdir()
            except OSError:  # not empty, or already gone
                break

    def url(self, key: str) -> str:
        """A file:// link; a key ending in '/' names a folder."""
        return self._path(key.rstrip("/")).resolve().as_uri()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.folder.joinpath(*key.split("/"))

    def _walk(self, folder: Path, base: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        # A folder sorts as "name/", so that the order is that of the whole keys, as on S3.
        entries = [e for e in entries if not e.name.startswith(".") and _usable(e)]
        for entry in sorted(entries, key=lambda e: e.name + "/" * e.is_dir()):
            key = base + entry.name
            if entry.is_dir():
                inside = f"{key}/"
                if (inside.startswith(prefix) or prefix.startswith(inside)) and (
                    inside > after or after.startswith(inside)
                ):
                    yield from self._walk(folder / entry.name, inside, prefix, after)
            elif key.startswith(prefix) and key > after and entry.is_file():
                try:
                    yield _info(key, entry.stat())
                except FileNotFoundError:  # deleted while we list
                    continue

    def check_writable(self, uploads: int = 0) -> None:
        """Raises BrokenSetup where nothing can be written, or not `uploads` bytes and a vehicle."""
        with self._writing():
            temp = self._temp_file()
            try:
                temp.write_bytes(b"\0")
            finally:
                temp.unlink(missing_ok=True)
            free = shutil.disk_usage(self.folder).free
        if free < uploads + LEAST_FREE:
            raise BrokenSetup(
                f"{self.folder} has {free >> 20} MB left, and this takes about "
                f"{(uploads + LEAST_FREE) >> 20} MB; free some space or choose another folder"
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns what the system raises into a BrokenSetup that says what to do."""
        try:
            yield
        except OSError as error:
            raise BrokenSetup(f"{self.folder} cannot be written: {system_reason(error)}") from error

    def _temp_file(self) -> Path:
        folder = self.folder / TEMP_FOLDER
        if folder not in _swept:
            _swept.add(folder)
            _remove_stale_temps(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}"

    def _write(self, key: str, fill: Callable[[Path], object]) -> str:
        path = self._path(key)
        with self._writing():
            return self._move_in(path, self._temp_file(), fill)

    def _move_in(self, path: Path, temp: Path, fill: Callable[[Path], object]) -> str:
        try:
            fill(temp)
            _date_after(temp, path)
            etag = _etag(temp.stat())  # after the move it may be another writer's
            path.parent.mkdir(parents=True, exist_ok=True)
            temp.replace(path)
            return etag
        except BaseException:
            temp.unlink(missing_ok=True)
            raise


_swept: set[Path] = set()
"""Temp folders that this process has already cleared of what killed processes left."""


def _remove_stale_temps(folder: Path) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        host, _, rest = path.name.rpartition(".")[0].rpartition(".")
        dead = host == socket.gethostname() and not (rest.isdigit() and _alive(int(rest)))
        try:
            if dead or time.time() - path.stat().st_mtime > STALE_TEMP_SECONDS:
                path.unlink()
        except FileNotFoundError:  # another process was quicker
            continue


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def check_key(key: str) -> None:
    """Raises BadKey for a key that no store accepts."""
    parts = key.split("/")
    if _UNUSABLE.search(key) or any(not p or p.startswith(".") for p in parts):
        raise BadKey(f"{key!r} is not a usable storage key")


def _usable(entry: os.DirEntry[str]) -> bool:
    if not _UNUSABLE.search(entry.name):
        return True
    warn_unusable(entry.path)
    return False


@lru_cache
def warn_unusable(path: str) -> None:
    """Warns of a file that no key can name; once a process, because the sensor lists often."""
    log.warning("%r is left alone: rename it without backslashes and in UTF-8", path)


def _date_after(temp: Path, path: Path) -> None:
    """Makes the mtime, and so the ETag, differ from that of the file which is about to go.

    Many file systems have timestamps of some milliseconds: two quick writes would look the same.
    """
    try:
        before = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return
    if temp.stat().st_mtime_ns <= before:
        os.utime(temp, ns=(before + 1000, before + 1000))  # Windows counts in 100 ns


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=stat.st_size,
        etag=_etag(stat),
        # Copying keeps the mtime, which for a photo can be years ago or a camera's wrong guess;
        # the ctime is when the file got here.
        modified=datetime.fromtimestamp(stat.st_ctime, UTC),
    )

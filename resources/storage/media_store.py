"""Where media live: one interface over a local folder or a bucket.

Keys are relative, with forward slashes (`okla_assets/keys.py` builds them). Writes replace whole
objects atomically: a reader sees the old bytes or the new ones, never a part.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Protocol, runtime_checkable

import dagster as dg

from resources.errors import BrokenSetup, Unreadable, system_reason
from resources.settings import settings
from resources.storage.folders import DEEPEST, entries_of, identity, is_folder
from resources.storage.links import FILES_URL, file_link
from resources.storage.odd_entries import (
    OddEntries,
    OddEntry,
    check_key,
    may_not,
    odd_name,
    odd_of,
    warn_once,
)
from resources.storage.whole_files import AlreadyThere, temp_file, write_whole

LEAST_FREE = 100 * 2**20
"""What a vehicle of some photos takes beside its uploads, in bytes."""


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


class Replaced(Exception):
    """The object was written anew since its facts were asked for."""


@runtime_checkable
class MediaStore(Protocol):
    """What the pipeline needs of storage; the local folder and S3 are siblings behind it."""

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix` and is greater than `after`, in key order.

        Lazy: a caller who stops early has not listed the whole bucket. What is no object never ends
        the listing: `odd` is told of it, or the log once. Raises `Unreadable` where the folder that
        the prefix names may not be listed.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the direct sub-folders of `prefix` (which ends in '/'), in order."""
        ...

    def get(self, key: str) -> bytes:
        """The object's bytes; raises `FileNotFoundError` and `Unreadable` naming the key."""
        ...

    def head(self, key: str, count: int) -> bytes:
        """The object's first `count` bytes, or all there are; raises as `get` does."""
        ...

    def part(self, of: ObjectInfo, first: int, count: int) -> bytes:
        """`count` bytes of the object from `first` on; not to be asked for behind its end.

        Raises as `get` does, and `Replaced` where its bytes are not those of `of` any more.
        """
        ...

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        """The object as a file on this machine while the context lasts; not to be written to.

        Raises `FileNotFoundError` and `Unreadable` naming the key.
        """
        ...

    def put(
        self, key: str, data: bytes, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        """Writes or replaces the object, atomically; returns the ETag of these bytes.

        With `durable` it outlives a loss of power from when this returns; where it replaces one,
        it or that one does. Without, neither may be there then.
        """
        ...

    def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
        """Writes the object, durably, unless there is one: that one stays, and this is False.

        Of several writers at the same moment one gets True.
        """
        ...

    def put_file(
        self, key: str, path: Path, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        """As `put`, from a file on disk, without holding it in memory."""
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

    def public_base(self) -> str | None:
        """The address that, with a key behind it, is a finished file's for everybody; or None."""
        ...

    def uri(self, key: str) -> str:
        """Where the object or folder is, for programs: file:///... or s3://..."""
        ...

    def link(self, key: str) -> str | None:
        """An address that opens from Dagster's UI; None for what may show plates, as in raw/."""
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

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder)
        base = f"{folder}/" if folder else ""
        try:
            entries = entries_of(self.folder / folder)
        except OSError as error:
            raise Unreadable(f"{base or self.folder} {may_not(error)}") from None
        at = (self.folder / folder).resolve()
        above = tuple(identity(place) for place in (at, *at.parents))
        yield from self._walk(entries, base, prefix, after, odd or warn_once, above)

    def folders(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix.rstrip("/"))
        try:
            entries = entries_of(folder)
        except OSError as error:
            raise Unreadable(f"{prefix} {may_not(error)}") from None
        yield from sorted(e.name for e in entries if e.name[0] != "." and is_folder(e))

    def get(self, key: str) -> bytes:
        with self._reading(key):
            return self._path(key).read_bytes()

    def head(self, key: str, count: int) -> bytes:
        with self._reading(key), self._path(key).open("rb") as file:
            return file.read(count)

    def part(self, of: ObjectInfo, first: int, count: int) -> bytes:
        with self._reading(of.key), self._path(of.key).open("rb") as file:
            if _etag(os.fstat(file.fileno())) != of.etag:
                raise Replaced(of.key)
            file.seek(first)
            return file.read(count)

    @contextmanager
    def as_file(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        with self._reading(key), path.open("rb"):
            pass
        yield path

    def put(
        self, key: str, data: bytes, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        return self._write(key, lambda temp: temp.write_bytes(data), durable)

    def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
        try:
            self._write(key, lambda temp: temp.write_bytes(data), durable=True, new=True)
        except AlreadyThere:
            return False
        return True

    def put_file(
        self, key: str, path: Path, content_type: str | None = None, *, durable: bool = False
    ) -> str:
        with path.open("rb"):  # else an error of the source would count as one of the store
            pass
        return self._write(key, lambda temp: shutil.copyfile(path, temp), durable)

    def stat(self, key: str) -> ObjectInfo | None:
        try:
            found = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in _NO_OBJECT:
                return None
            raise Unreadable(f"{key} {may_not(error)}") from None
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

    def public_base(self) -> str | None:
        return None  # a folder is on this machine alone

    def uri(self, key: str) -> str:
        return self.url(key)

    def link(self, key: str) -> str | None:
        """On the file server of `okla up`, for browsers refuse file:// links on a page."""
        return file_link(settings().files_url or FILES_URL, key)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.folder.joinpath(*key.split("/"))

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(f"{key} is not in the media store {self.folder}") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise FileNotFoundError(f"{key[:80]}... is longer than any key") from None
            raise Unreadable(f"{key} {may_not(error)}") from None

    def _walk(
        self,
        entries: Sequence[os.DirEntry[str]],
        base: str,
        prefix: str,
        after: str,
        odd: OddEntries,
        above: tuple[tuple[int, int], ...],
    ) -> Iterator[ObjectInfo]:
        """Objects below a folder; `above` are the folders that it lies in, itself included."""
        # A folder sorts as "name/", so that the order is that of the whole keys, as on S3.
        for entry in sorted(entries, key=lambda e: e.name + "/" * is_folder(e)):
            key = base + entry.name
            if is_folder(entry):
                key += "/"
                if not (key.startswith(prefix) or prefix.startswith(key)) or not (
                    key > after or after.startswith(key)
                ):
                    continue
            elif not (key.startswith(prefix) and key > after):
                continue
            if (reason := odd_name(key)) is not None:
                odd(reason)
            elif key.endswith("/"):
                yield from self._below(entry, key, prefix, after, odd, above)
            else:
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    if entry.is_symlink():
                        odd(OddEntry(key, "not_a_file", f"{key} is a link that leads nowhere"))
                    continue  # else deleted while we list
                except OSError as error:
                    odd(odd_of(key, error))
                    continue
                if S_ISREG(found.st_mode):
                    yield _info(key, found)
                else:
                    odd(OddEntry(key, "not_a_file", f"{key} is no ordinary file"))

    def _below(
        self,
        entry: os.DirEntry[str],
        key: str,
        prefix: str,
        after: str,
        odd: OddEntries,
        above: tuple[tuple[int, int], ...],
    ) -> Iterator[ObjectInfo]:
        try:
            itself = identity(entry.path)
            entries = entries_of(entry.path)
        except OSError as error:
            odd(odd_of(key, error))
            return
        if key.count("/") > DEEPEST:
            odd(
                OddEntry(
                    key, "unreadable", f"{key} lies more than {DEEPEST} folders deep; move it up"
                )
            )
            return
        if itself in above:
            odd(OddEntry(key, "not_a_file", f"{key} is a link to a folder that it lies in"))
            return
        yield from self._walk(entries, key, prefix, after, odd, (*above, itself))

    def check_writable(self, uploads: int = 0) -> None:
        """Raises BrokenSetup where nothing can be written, or not `uploads` bytes and a vehicle."""
        with self._writing():
            temp = temp_file(self.folder)
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

    def _write(
        self, key: str, fill: Callable[[Path], object], durable: bool, new: bool = False
    ) -> str:
        with self._writing():
            return _etag(write_whole(self.folder, self._path(key), fill, durable=durable, new=new))


_NO_OBJECT = frozenset({errno.ELOOP, errno.ENAMETOOLONG})
"""A link that leads to itself, and a name that no file can have."""


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

"""Parts of an object that an HTTP request asks for, read a piece at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from resources.storage.media_store import MediaStore, ObjectInfo

PIECE = 2 * 2**20
"""Bytes that are read at once, and so what a reader takes of memory."""
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class OutsideFile(Exception):
    """The range that is asked for has no byte of the object (HTTP 416)."""


@dataclass(frozen=True)
class Part:
    """`count` bytes from `first` on, of an object of `size` bytes."""

    first: int
    count: int
    size: int

    @property
    def content_range(self) -> str:
        """The same as HTTP has it in Content-Range."""
        return f"bytes {self.first}-{self.first + self.count - 1}/{self.size}"


def asked_part(header: str, size: int) -> Part | None:
    """The part that a request's Range asks for; None for the whole, as for several ranges.

    Raises `OutsideFile`.
    """
    asked = _ONE_RANGE.fullmatch(header.strip())
    if asked is None or not any(asked.groups()):
        return None
    if not asked[1]:
        first, last = max(0, size - int(asked[2])), size - 1
    else:
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    if first > last:
        raise OutsideFile
    return Part(first, last - first + 1, size)


def pieces(store: MediaStore, info: ObjectInfo, part: Part) -> Iterator[bytes]:
    """The bytes of a part, in order. Raises as `MediaStore.part` does, at any piece."""
    end = part.first + part.count
    for first in range(part.first, end, PIECE):
        yield store.part(info, first, min(PIECE, end - first))

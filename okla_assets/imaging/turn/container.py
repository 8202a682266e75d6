"""What a video file's boxes say before anything is decoded: cut off, or part of a Live Photo.

MP4 and QuickTime are trees of boxes (ISO/IEC 14496-12, 4.2): length, name, content. AVI is one RIFF
chunk. Only the standard library.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.photo.signatures import HEAD_BYTES, QUICKTIME_BOXES, media_kind

MOST_BOXES = 10_000
MOST_INDEX = 64_000_000  # bytes of `moov`; one of five minutes has under a million
LIVE_PHOTO_SECONDS = 10.0  # Apple's have three, with room for edited ones
UNMARKED_SECONDS = 3.5
STILL_TIME = b"com.apple.quicktime.still-image-time"
CONTENT_IDENTIFIER = b"com.apple.quicktime.content.identifier"


@dataclass(frozen=True)
class Box:
    """A box of the top level: its name, and where its content begins and ends."""

    name: bytes
    start: int
    end: int


def is_cut_off(path: Path) -> bool:
    """Whether an MP4, MOV or AVI ends before it should, as a recording or upload broken off does.

    Its index is missing, which cameras write last, or a box claims more bytes than there are.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
        if media_kind(head) != "video":
            return False
        if head.startswith(b"RIFF"):
            return 8 + int.from_bytes(head[4:8], "little") > size
        if head[4:8] != b"ftyp" and head[4:8] not in QUICKTIME_BOXES:
            return False
        boxes = list(_boxes(file, size))
    return not any(box.name == b"moov" for box in boxes) or any(box.end > size for box in boxes)


def is_live_photo(path: Path, *, beside_photo: bool = False) -> bool:
    """Whether this is the clip of a Live Photo: Apple's own marks, and a few seconds long.

    `beside_photo` says that a photo has the same name but for the ending: then a QuickTime file of
    three seconds is one even where some program has left the marks out.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[4:8] not in QUICKTIME_BOXES | {b"ftyp"}:
            return False
        index = next((box for box in _boxes(file, size) if box.name == b"moov"), None)
        if index is None or index.end - index.start > MOST_INDEX:
            return False
        file.seek(index.start)
        content = file.read(index.end - index.start)
    seconds = _seconds(content)
    if beside_photo and head[4:12] == b"ftypqt  " and 0 < seconds <= UNMARKED_SECONDS:
        return True
    marked = STILL_TIME in content or CONTENT_IDENTIFIER in content
    return marked and 0 < seconds <= LIVE_PHOTO_SECONDS


def live_photo() -> Refused:
    """The refusal of such a clip."""
    return Refused(
        "live_photo",
        "This is the clip of a Live Photo, not a walk-around video; its photo is what counts.",
    )


def _boxes(file: IO[bytes], size: int) -> Iterator[Box]:
    """The boxes of the top level, as far as their lengths make sense."""
    position = 0
    for _ in range(MOST_BOXES):
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head[:8])
        start = position + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
            start += 8
        elif length == 0:  # to the end of the file
            length = size - position
        if length < start - position:
            return
        yield Box(name, start, position + length)
        position += length


def _seconds(index: bytes) -> float:
    """Length of the whole, by the movie header in a `moov` box; 0 where there is none."""
    header = index[index.find(b"mvhd") + 4 :]
    if b"mvhd" not in index or len(header) < 32:
        return 0.0
    clock, length = struct.unpack_from(
        ">IQ" if header[0] else ">II", header, 20 if header[0] else 12
    )
    return float(length / clock) if clock else 0.0

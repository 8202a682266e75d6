"""PNG's chunks that Pillow does not read or refuses a photo for: long texts and profiles, cICP."""

import struct
import zlib
from dataclasses import dataclass

SIGNATURE_BYTES = 8
MOST_TEXT = 500_000  # bytes unpacked, of all texts together: half of what Pillow takes of one
LONG_PROFILE = 500_000  # bytes unpacked; Pillow takes twice that
MOST_PROFILE = 16_000_000
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


@dataclass(frozen=True)
class PngChunks:
    """A PNG without the texts and the profile that are too long for Pillow.

    `icc` is that profile. `code_points` are ColourPrimaries and TransferCharacteristics of the
    cICP chunk (PNG, third edition, 11.3.2.6).
    """

    data: bytes
    icc: bytes | None
    code_points: tuple[int, int] | None


def read_chunks(data: bytes) -> PngChunks:
    """Sorts the chunks of a PNG; a broken one and what follows it stay for the decoder to judge."""
    kept: list[bytes] = []
    icc, code_points = None, None
    texts = 0
    start = position = SIGNATURE_BYTES
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        following = position + 12 + length
        if following > len(data):
            break
        body = data[position + 8 : following - 4] if name != b"IDAT" else b""
        dropped = False
        if name == b"cICP" and length >= 2:
            code_points = (body[0], body[1])
        elif name in TEXTS:
            size = _text_size(name, body)
            dropped = texts + size > MOST_TEXT
            texts += 0 if dropped else size
        elif name == b"iCCP":
            profile = _inflated(body.partition(b"\0")[2][1:], MOST_PROFILE)
            dropped = len(profile) > LONG_PROFILE
            icc = profile if dropped else None
        if dropped:
            kept.append(data[start:position])
            start = following
        position = following
    if kept:
        data = b"".join((data[:SIGNATURE_BYTES], *kept, data[start:]))
    return PngChunks(data, icc, code_points)


def _text_size(name: bytes, body: bytes) -> int:
    """Bytes of a text chunk, unpacked."""
    _, _, rest = body.partition(b"\0")
    packed = b""
    if name == b"zTXt":
        packed = rest[1:]
    elif name == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    return len(body) + len(_inflated(packed, MOST_TEXT + 1))


def _inflated(packed: bytes, most: int) -> bytes:
    """The first `most` bytes of what a zlib stream holds; nothing where it is broken."""
    try:
        return zlib.decompressobj().decompress(packed, most) if packed else b""
    except zlib.error:
        return b""

"""HEIC files that pillow-heif reads but does not write: with a gain map or a depth image.

Their second picture is made an auxiliary of the first by its boxes (ISO/IEC 23008-12, 6.5.8, and
ISO/IEC 14496-12, 8.11).
"""

import struct
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image

GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
DEPTH = b"urn:mpeg:hevc:2015:auxid:2"

Boxes = list[tuple[bytes, bytes]]


def with_auxiliary(main: Image.Image, other: Image.Image, kind: bytes, **options: Any) -> bytes:
    """A HEIC of `main` whose second picture is its gain map or depth."""
    out = BytesIO()
    heif = pillow_heif.from_pillow(main)
    heif.add_from_pillow(other)
    heif.save(out, quality=92, **options)
    data = out.getvalue()
    meta = dict(boxes(data))[b"meta"]
    first, second = (struct.unpack_from(">H", body, 4)[0] for body in _items(meta))
    inside = []
    for name, body in boxes(meta[4:]):
        if name == b"iprp":
            body = _with_property(body, second, kind)
        inside.append((name, body))
    reference = box(b"auxl", struct.pack(">HHH", second, 1, first))
    inside = [(name, body) for name, body in inside if name != b"iref"]
    inside.append((b"iref", bytes(4) + reference))
    grown = len(joined(inside)) - len(meta[4:])
    inside = [(n, _moved(b, grown) if n == b"iloc" else b) for n, b in inside]
    changed = meta[:4] + joined(inside)
    return joined([(n, changed if n == b"meta" else b) for n, b in boxes(data)])


def boxes(data: bytes) -> Boxes:
    found, at = [], 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at + 8 : at + length]))
        at += length
    return found


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def joined(parts: Boxes) -> bytes:
    return b"".join(box(name, body) for name, body in parts)


def _items(meta: bytes) -> list[bytes]:
    """The infe boxes of pictures."""
    (information,) = (body for name, body in boxes(meta[4:]) if name == b"iinf")
    return [body for name, body in boxes(information[6:]) if body[8:12] in (b"hvc1", b"grid")]


def _with_property(iprp: bytes, item: int, kind: bytes) -> bytes:
    """An auxC property more, tied to the item."""
    (_, container), (_, ties) = boxes(iprp)
    number = len(boxes(container)) + 1
    container += box(b"auxC", bytes(4) + kind + b"\0")
    version, flags = ties[0], ties[3]
    assert (version, flags) == (0, 0)
    (count,) = struct.unpack_from(">I", ties, 4)
    out, at = ties[:8], 8
    for _ in range(count):
        owner, own = struct.unpack_from(">HB", ties, at)
        listed = ties[at + 3 : at + 3 + own]
        at += 3 + own
        if owner == item:
            listed += bytes([0x80 | number])
        out += struct.pack(">HB", owner, len(listed)) + listed
    return joined([(b"ipco", container), (b"ipma", out)])


def _moved(iloc: bytes, distance: int) -> bytes:
    """The places of all items further into the file: libheif gives each a base of four bytes."""
    data = bytearray(iloc)
    assert (data[0], data[4], data[5]) == (0, 0x44, 0x40)
    (count,) = struct.unpack_from(">H", data, 6)
    at = 8
    for _ in range(count):
        (base,) = struct.unpack_from(">I", data, at + 4)
        struct.pack_into(">I", data, at + 4, base + distance)
        (extents,) = struct.unpack_from(">H", data, at + 8)
        at += 10 + 8 * extents
    return bytes(data)

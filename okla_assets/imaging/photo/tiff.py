"""TIFF uploads: the page that is the photo, and camera raw, which is TIFF too."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from okla_assets.imaging.photo.formats import camera_raw

MOST_PAGES = 64
HEADER_BYTES = 8

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
MAKE, ORIENTATION, SUB_IFDS, ICC_PROFILE, DNG_VERSION = 271, 274, 330, 34675, 50706
MASK = 4  # bit of SUBFILE: a transparency mask of another page
SENSOR = frozenset({32803, 34892})  # PHOTOMETRIC of the DNG specification: CFA, LinearRaw
RAW_COMPRESSIONS = {32767: "ARW", 32769: "raw", 32770: "SRW", 34713: "NEF", 65535: "PEF"}
RAW_MAKERS = {"NIKON": "NEF", "SONY": "ARW", "PENTAX": "PEF", "SAMSUNG": "SRW"}


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF: where its directory stands, its size as stored, bits a sample, whether
    it is to be turned or mirrored, and its ICC profile."""

    offset: int
    width: int
    height: int
    bits: int
    turned: bool
    icc: bytes | None


def main_page(data: bytes) -> Page | None:
    """The largest page, the first of equals: a smaller one before it is its thumbnail.

    None where the directories cannot be read: then the decoder says what is wrong. Raises Refused
    (unsupported_format) for camera raw, whose readable pages are previews.
    """
    pages = []
    for offset, directory in _directories(data):
        ending = _raw_ending(directory)
        if ending is not None:
            raise camera_raw(ending)
        subfile, width, height = (directory.get(tag, 0) for tag in (SUBFILE, WIDTH, HEIGHT))
        bits = _several(directory.get(BITS, 1))
        if not all(isinstance(number, int) for number in (subfile, width, height, *bits)):
            continue  # the tag's type is damaged
        if subfile & MASK or not width or not height:
            continue
        turned = directory.get(ORIENTATION, 1) in range(2, 9)
        icc = directory.get(ICC_PROFILE)
        pages.append(Page(offset, width, height, max(bits, default=1), turned, icc))
    return max(pages, key=lambda page: page.width * page.height, default=None)


def beginning_at(data: bytes, page: Page) -> bytes:
    """The same TIFF with this page as its first."""
    return data[:4] + page.offset.to_bytes(4, _order(data)) + data[HEADER_BYTES:]


def _order(data: bytes) -> Literal["little", "big"]:
    return "little" if data.startswith(b"II") else "big"


def _raw_ending(directory: ImageFileDirectory_v2) -> str | None:
    if DNG_VERSION in directory:
        return "DNG"
    maker = str(directory.get(MAKE, "")).upper().split(" ")[0]
    if directory.get(PHOTOMETRIC) in SENSOR:
        return RAW_MAKERS.get(maker, "raw")
    return RAW_COMPRESSIONS.get(directory.get(COMPRESSION, 1))


def _directories(data: bytes) -> Iterator[tuple[int, ImageFileDirectory_v2]]:
    """Offset and tags of all pages and their sub-pages, each once; ends at one that is broken."""
    if data[2:4] not in (b"*\0", b"\0*"):
        return  # BigTIFF: no camera writes it
    stream = BytesIO(data)
    waiting = [int.from_bytes(data[4:8], _order(data))]
    seen: set[int] = set()
    while waiting and len(seen) < MOST_PAGES:
        offset = waiting.pop(0)
        if offset in seen or not HEADER_BYTES <= offset < len(data):
            continue
        seen.add(offset)
        directory = ImageFileDirectory_v2(data[:HEADER_BYTES])
        try:
            stream.seek(offset)
            directory.load(stream)
            subs = _several(directory.get(SUB_IFDS, ()))
            yield offset, directory
        except Exception:  # noqa: BLE001  broken tags surface as any error at all
            return
        waiting += [directory.next, *(sub for sub in subs if isinstance(sub, int))]


def _several(value: Any) -> tuple[Any, ...]:
    """A tag's values, of which a single one stands alone."""
    return value if isinstance(value, tuple) else (value,)

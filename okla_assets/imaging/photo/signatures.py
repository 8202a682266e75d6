"""What an uploaded file is by its first bytes, whatever it is called.

Only the standard library, so that whoever sorts uploads may ask without loading a decoder.
"""

from typing import Literal

MediaKind = Literal["photo", "video"]

HEAD_BYTES = 4096
"""Enough of a file's beginning for every answer given here."""

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIF_BRANDS = (
    frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
    | frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"MiHE", b"MiHB", b"MiHA"})
    | frozenset({b"avci", b"avcs", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"vvic", b"vvis"})
)
"""HEIC and its siblings (ISO/IEC 23008-12); decoded as far as libheif knows their codec."""
SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"pnot", b"skip", b"free"})
"""What a QuickTime file without `ftyp` may begin with: those of older cameras, and broken ones."""

RAW_HEADS: tuple[tuple[bytes, str], ...] = (
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"IIU\0", "RW2"),
    (b"II\x1a\0\0\0HEAPCCDR", "CRW"),
    (b"\0MRM", "MRW"),
    (b"FOVb", "X3F"),
)
"""Camera raw that is not TIFF; what is, `tiff.main_page` tells by its pages."""

_PHOTO_HEADS = (
    b"\xff\xd8",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"8BPS",
    b"\xff\x0a",  # JPEG XL
    b"\0\0\0\x0cJXL ",
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    *(head for head, _ in RAW_HEADS),
)
_VIDEO_HEADS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"\0\0\1\xba",  # MPEG program stream: MPG, VOB
    b"\0\0\1\xb3",  # MPEG video alone
    b"FLV\1",
    b"OggS",
    b".RMF",
)


def media_kind(head: bytes) -> MediaKind | None:
    """Photo or video, by a file's first `HEAD_BYTES`; None where it is neither.

    A kind that is not read (camera raw, JPEG XL) counts as what it is: its decoder refuses it and
    says what to do.
    """
    if head.startswith(b"RIFF"):
        riff: dict[bytes, MediaKind] = {b"WEBP": "photo", b"AVI ": "video"}
        return riff.get(head[8:12])
    brands = iso_brands(head)
    if brands:
        if brands & (AVIF_BRANDS | HEIF_BRANDS | {b"crx "}):
            return "photo"
        return None if head[8:12] in SOUND_BRANDS else "video"
    if head.startswith(_PHOTO_HEADS) or is_bitmap(head):
        return "photo"
    if head.startswith(_VIDEO_HEADS) or head[4:8] in QUICKTIME_BOXES or is_transport_stream(head):
        return "video"
    return None


def iso_brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO base media file; empty where it is none."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(head[:4], "big"), 256, len(head))
    return frozenset({head[8:12], *(head[i : i + 4] for i in range(16, end, 4))})


def raw_head(head: bytes) -> str | None:
    """The ending that camera raw with such a beginning goes by; None for all else."""
    if b"crx " in iso_brands(head):
        return "CR3"
    if head[8:10] == b"CR" and head.startswith(b"II*\0"):
        return "CR2"
    return next((name for start, name in RAW_HEADS if head.startswith(start)), None)


def is_bitmap(head: bytes) -> bool:
    """A Windows bitmap; its reserved bytes tell it from a text that begins with BM."""
    return head.startswith(b"BM") and head[6:10] == bytes(4)


def is_transport_stream(head: bytes) -> bool:
    """MPEG-TS, or the packets of AVCHD's MTS, which carry four bytes more."""
    return any(
        len(head) > first + 3 * size and all(head[first + i * size] == 0x47 for i in range(4))
        for first, size in ((0, 188), (4, 192))
    )

"""JPEG uploads: reduced while decoding, mended where the end is missing, searched for damage.

libjpeg's warnings do not get through Pillow, so damage that it papers over is looked for in the
stream itself.
"""

import re
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from okla_assets.imaging.photo.formats import DecodeNote, cut_off, load, open_header
from okla_assets.imaging.photo.refusals import Refused

REPAIRABLE_SHARE = 0.03  # of the rows; a JPEG that lost more is refused
TAIL_BYTES = 16  # left out to see whether they matter: less than any damage loses
JPEG_END = b"\xff\xd9"

# Markers of ITU-T T.81, table B.1.
SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
LOSSLESS = 0xC3
HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
SOS, DRI, EOI = 0xDA, 0xDD, 0xD9
BETWEEN_SCANS = frozenset({0xC4, 0xCC, SOS, 0xDB, 0xDC, DRI, EOI, 0xFE})
"""What may follow scan data: tables, a comment, the next scan, the end."""
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")


@dataclass(frozen=True)
class Scans:
    """What the stream of markers says: where the picture ends (-1: it does not), and damage."""

    end: int
    lossless: bool
    damaged: bool


def load_jpeg(
    image: JpegImageFile, data: bytes, scans: Scans, working_side: int, notes: set[DecodeNote]
) -> Image.Image:
    """Decodes a JPEG, at 1/2, 1/4 or 1/8 where that is still no smaller than `working_side`.

    Only the first picture of a multi-picture file is read: it is the main one (CIPA DC-007), before
    gain maps, depth and further views. Raises Refused: corrupt, truncated, too_many_pixels.
    """
    progressive = bool(image.info.get("progressive"))
    if scans.end < 0:
        image = JpegImageFile(BytesIO(data + JPEG_END))
    reduced = max(image.size) / working_side
    if reduced >= 2 and not scans.lossless:  # lossless has no blocks to be decoded in part
        image.draft(image.mode, (int(image.width / reduced), int(image.height / reduced)))
    load(image, "JPEG")
    if scans.end < 0:
        # A cut progressive file has every row, at an unknown quality.
        if progressive or image.mode not in ("RGB", "L"):
            raise cut_off()
        notes.add("truncated_repaired")
        image = _fill_missing_rows(image)
    if scans.damaged or (
        scans.end >= 0 and not (progressive or scans.lossless) and _ends_early(data, scans.end)
    ):
        notes.add("damaged_data")
    return image


def _fill_missing_rows(image: JpegImageFile) -> JpegImageFile:
    """Continues the last complete row over the blocks that libjpeg filled with plain 128.

    Raises Refused (truncated) where more than REPAIRABLE_SHARE of the rows is missing.
    """
    pixels = np.array(image)
    gray = (pixels == 128).reshape(*pixels.shape[:2], -1).all(axis=2)
    present = np.flatnonzero(~gray[:, -1])
    first = int(present[-1]) + 1 if len(present) else 0
    if image.height - first > max(16, REPAIRABLE_SHARE * image.height):
        raise cut_off()
    if 0 < first < image.height:
        above = np.broadcast_to(pixels[first - 1], pixels[first:].shape)
        pixels[first:][gray[first:]] = above[gray[first:]]
    image.paste(Image.fromarray(pixels))
    return image


@dataclass(frozen=True)
class _Frame:
    """A start-of-frame segment: kind, size, and sampling factors by component."""

    kind: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]

    def units(self, components: bytes) -> int:
        """MCUs in a scan of these components (T.81, A.2)."""
        side = 1 if self.kind == LOSSLESS else 8
        across = max(h for h, _ in self.sampling.values())
        down = max(v for _, v in self.sampling.values())
        if len(components) == 1:
            h, v = self.sampling[components[0]]
            width, height = -(-self.width * h // across), -(-self.height * v // down)
            return -(-width // side) * -(-height // side)
        return -(-self.width // (side * across)) * -(-self.height // (side * down))


def read_scans(data: bytes) -> Scans:
    """Follows the markers from the beginning of the picture to its end.

    Damage is a marker inside scan data that has no business there, and a restart marker that is
    missing, repeated or out of order (T.81, E.1.4). Raises Refused (unsupported_format) for the
    kinds of JPEG that libjpeg does not read.
    """
    frame: _Frame | None = None
    interval, damaged, position = 0, False, 2
    while (found := _MARKER.search(data, position)) is not None:
        marker = found[1][0]
        if marker == EOI:
            return Scans(found.start(), _is_lossless(frame), damaged)
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        body = data[found.end() + 2 : found.end() + length]
        position = found.end() + length
        if marker in SOF and len(body) >= 6:
            ids, factors = body[6::3], body[7::3]
            frame = _Frame(
                marker,
                int.from_bytes(body[3:5], "big"),
                int.from_bytes(body[1:3], "big"),
                {one: (f >> 4, f & 15) for one, f in zip(ids, factors, strict=False)},
            )
            if marker in HIERARCHICAL or body[0] != 8:
                kind = "hierarchical" if marker in HIERARCHICAL else f"of {body[0]} bits a colour"
                raise Refused(
                    "unsupported_format",
                    f"This is a JPEG of a rare kind ({kind}); save it again as ordinary JPEG.",
                )
        elif marker == DRI:
            interval = int.from_bytes(body[:2], "big")
        elif marker == SOS and body:
            following = _MARKER.search(data, position)
            end = len(data) if following is None else following.start()
            restarts = bytes(m[1][0] & 7 for m in _RESTART.finditer(data, position, end))
            components = body[1 : 1 + 2 * body[0] : 2]
            missing = _missing_restarts(restarts, frame, components, interval)
            damaged |= missing is None or (following is not None and missing > 0)
            if following is not None and following[1][0] not in BETWEEN_SCANS:
                return Scans(data.find(JPEG_END, end), _is_lossless(frame), True)
            position = end
    return Scans(-1, _is_lossless(frame), damaged)


def _is_lossless(frame: _Frame | None) -> bool:
    return frame is not None and frame.kind == LOSSLESS


def _missing_restarts(
    restarts: bytes, frame: _Frame | None, components: bytes, interval: int
) -> int | None:
    """How many restart markers a scan lacks; None where it has others than it should.

    Some encoders write one more after the last interval.
    """
    if frame is None or not components or not frame.sampling.keys() >= {*components}:
        return 0  # not to be decoded at all, which the decoder says
    if not all(across and down for across, down in frame.sampling.values()):
        return 0  # nor this
    expected = -(-frame.units(components) // interval) - 1 if interval else 0
    spare = 1 if interval else 0
    if restarts != bytes(i & 7 for i in range(len(restarts))) or len(restarts) > expected + spare:
        return None
    return max(0, expected - len(restarts))


def _ends_early(data: bytes, end: int) -> bool:
    """Whether the picture was complete before the scan data, which ends at `end`, was used up.

    That is libjpeg's warning "extraneous bytes before marker": a flipped bit puts the Huffman
    decoder out of step, which then needs fewer bytes than there are. In a sound file the last block
    needs the last bytes, and leaving them out shows. Tried at 1/8 size, where little but the
    Huffman decoding costs time; what that leaves open, when the last bytes hold only fine detail,
    is decided at full size.
    """
    cut = data[: end - TAIL_BYTES] + JPEG_END
    for scale in (8, 1):
        whole, without = (np.asarray(_scaled_jpeg(d, scale)) for d in (data, cut))
        # Blocks without data come out as plain 128; where the picture ends in that, nothing shows.
        if (whole[-1, -1] == 128).all() or not np.array_equal(whole, without):
            return False
    return True


def _scaled_jpeg(data: bytes, scale: int) -> Image.Image:
    image = open_header(BytesIO(data), "JPEG")
    image.draft(image.mode, (image.width // scale, image.height // scale))
    load(image, "JPEG")
    return image

"""JPEG uploads: reduced while decoding, mended where the end is missing, searched for damage.

libjpeg's warnings do not get through Pillow, so damage that it papers over is looked for in the
stream itself.
"""

from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from okla_assets.imaging.photo.formats import DecodeNote, cut_off, load

REPAIRABLE_SHARE = 0.03  # of the rows; a JPEG that lost more is refused
TAIL_BYTES = 16  # left out to see whether they matter: less than any damage loses
JPEG_END = b"\xff\xd9"
# Bytes that may follow 0xFF inside JPEG scan data: stuffing, fill, restarts, and what may stand
# between the scans of a progressive file (tables, comment, start of scan).
SCAN_MARKERS = np.array(
    [0x00, 0xFF, *range(0xD0, 0xD8), 0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE], np.uint8
)


def load_jpeg(
    image: JpegImageFile, data: bytes, start: int, working_side: int, notes: set[DecodeNote]
) -> Image.Image:
    """Decodes a JPEG, at 1/2, 1/4 or 1/8 where that is still no smaller than `working_side`.

    `start` is where the header was left: behind the first start-of-scan marker. Only the first
    picture of a multi-picture file is read. Raises Refused: corrupt, truncated, too_many_pixels.
    """
    end = data.find(JPEG_END, start)
    progressive = bool(image.info.get("progressive"))
    if end < 0:
        image = JpegImageFile(BytesIO(data + JPEG_END))
    reduced = max(image.size) / working_side
    if reduced >= 2:
        image.draft(image.mode, (int(image.width / reduced), int(image.height / reduced)))
    load(image, "JPEG")
    if end < 0:
        # A cut progressive file has every row, at an unknown quality.
        if progressive or image.mode not in ("RGB", "L"):
            raise cut_off()
        notes.add("truncated_repaired")
        return _fill_missing_rows(image)
    if _has_stray_marker(data, start, end) or (not progressive and _ends_early(data, end)):
        notes.add("damaged_data")
    return image


def _fill_missing_rows(image: JpegImageFile) -> Image.Image:
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
    repaired = Image.fromarray(pixels)
    repaired.info = image.info
    return repaired


def _has_stray_marker(data: bytes, start: int, end: int) -> bool:
    """Whether a marker stands inside the scan data that has no business there."""
    scan = np.frombuffer(data, np.uint8)[start : end + 1]
    after = scan[1:][scan[:-1] == 0xFF]
    return not bool(np.isin(after[:-1], SCAN_MARKERS).all())


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
    image = JpegImageFile(BytesIO(data))
    image.draft(image.mode, (image.width // scale, image.height // scale))
    load(image, "JPEG")
    return image

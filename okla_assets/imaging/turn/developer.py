"""Pictures of a video's frames: upright, in sRGB, with square pixels, RGB uint8 (H, W, 3)."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation

from okla_assets.imaging.photo import colour
from okla_assets.imaging.photo.codec import resize
from okla_assets.imaging.types import Rgb

MOST_STRETCH = 4.0  # of pixels that are not square
HD_HEIGHT = 720  # from here on, untagged video is BT.709: what players assume
PEAK_MEMORY = 20.0  # frames over which the brightest light is averaged, as libplacebo has it

# Code points of ITU-T H.273, which ffmpeg uses.
UNTAGGED = 2
BT2020_CONSTANT = 10  # swscale knows its sibling, BT.2020 with non-constant luminance


@dataclass(frozen=True)
class Film:
    """What the file says of all its frames: their duration in seconds, the width of a pixel in
    heights, and code points of primaries, transfer and matrix, for frames that do not say them
    themselves."""

    seconds: float = 0.0
    pixel_aspect: float = 1.0
    primaries: int = UNTAGGED
    transfer: int = UNTAGGED
    matrix: int = UNTAGGED


class Developer:
    """Makes pictures of one video's frames, `most_width` pixels wide and `most_height` high at
    most."""

    def __init__(self, most_width: int, most_height: int) -> None:
        self._most_width, self._most_height = most_width, most_height
        self._peak: float | None = None

    def picture_of(self, frame: VideoFrame, film: Film) -> Rgb:
        """The frame upright, in sRGB, with square pixels.

        HDR is tone-mapped from a peak that follows the frames slowly, so that neighbours look
        alike. Colours in a space that is not known are taken for sRGB.
        """
        space = colour.of_code_points(
            _told(frame.color_primaries, film.primaries), _told(frame.color_trc, film.transfer)
        )
        if space is None:
            space = colour.SRGB
        picture = self._rgb(frame, film, "rgb48le" if space.hdr else "rgb24")
        if space.hdr:
            peak = colour.peak_of(picture, space, video=True)
            known = peak if self._peak is None else self._peak
            self._peak = known + (peak - known) / PEAK_MEMORY
        if space != colour.SRGB:
            picture = colour.to_srgb(picture, space, self._peak, video=True)
        return upright(np.asarray(picture, np.uint8), frame)

    def _rgb(self, frame: VideoFrame, film: Film, pixel_format: str) -> Any:
        """(H, W, 3) at its final size, as stored: coded, and not turned."""
        aspect = film.pixel_aspect
        stretch = aspect if 1 / MOST_STRETCH <= aspect <= MOST_STRETCH else 1.0
        width, height = frame.width * stretch, float(frame.height)
        across, down = (height, width) if _lies(frame) else (width, height)
        scale = min(1.0, self._most_width / across, self._most_height / down)
        matrix = _told(frame.colorspace, film.matrix)
        if matrix == UNTAGGED:
            matrix = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
        if matrix == BT2020_CONSTANT:
            matrix = Colorspace.BT2020
        size = max(2, round(width * scale)), max(2, round(height * scale))
        smaller = Interpolation.AREA if scale < 1 else Interpolation.BICUBIC
        whole = frame.interlaced_frame
        picture = frame.reformat(
            width=size[0],
            height=frame.height if whole else size[1],
            format=pixel_format,
            src_colorspace=None if matrix == frame.colorspace else matrix,
            interpolation=smaller,
            threads=1,
        ).to_ndarray()
        return resize(one_field(picture), *size) if whole else picture


def one_field(picture: Any) -> Any:
    """The upper lines of an interlaced picture: the lower ones were taken 1/50 s apart."""
    return np.ascontiguousarray(picture[::2])


def _told(by_frame: int, by_file: int) -> int:
    """A code point: the frame's, or the file's where that is unspecified."""
    return int(by_file if by_frame == UNTAGGED else by_frame)


def upright(picture: Rgb, frame: VideoFrame) -> Rgb:
    """The picture turned and mirrored as the frame's display matrix says, to whole quarter turns.

    The matrix (ISO/IEC 14496-12, 6.2.2) takes x, y to ax + cy, bx + dy.
    """
    a, b, c, d = _display_matrix(frame)
    across, down = a, d
    if _lies(frame):
        picture = picture.swapaxes(0, 1)
        across, down = c, b
    return np.ascontiguousarray(picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _lies(frame: VideoFrame) -> bool:
    """Whether the frame is stored on its side."""
    a, b, c, d = _display_matrix(frame)
    return abs(b) + abs(c) > abs(a) + abs(d)


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    found = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(found, SideData):
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found))
    return a, b, c, d

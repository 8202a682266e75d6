"""A vehicle without its background, as a picture with transparency or on another background.

Photos and backgrounds are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1].
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.matte.cutout import foreground
from okla_assets.imaging.photo.codec import resize
from okla_assets.imaging.rendition.glass import SeenThrough
from okla_assets.imaging.rendition.layout import Layout, box_of
from okla_assets.imaging.rendition.shade import Shade
from okla_assets.imaging.studio.placement import Placement
from okla_assets.imaging.types import Alpha, Box, Floats, Rgb, Rgba

MARGIN = 8  # pixels of the photo around the matte that go along
BAND = 1024  # rows that are freed at a time: of a photo of 50 megapixels all would take gigabytes
RADIUS_AT_1600 = 90  # pixels: the wide neighbourhood of edge colours, of a canvas that wide
STEEPER, MOST_STEEPER = 0.5, 2.5
"""How much steeper an edge is made for each time that a matte is enlarged, and at most."""
SOLID = 0.9

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""


@dataclass(frozen=True)
class Drawn:
    """A drawn picture (H, W, 4), its `matte` (H, W) and where the vehicle lies on it."""

    picture: Rgba
    matte: Alpha
    foreground: Box | None


def draw(
    photo: Rgb,
    alpha: Alpha,
    layout: Layout,
    shrunk: float,
    *,
    glass: SeenThrough | None = None,
    shade: Shade | None = None,
    background: Colour | Rgb | None = None,
) -> Drawn:
    """The vehicle of `photo`, whose matte is `alpha` (of the photo's size), where it is laid out.

    `shrunk` are pixels of the photo to one of its source. Colours at the rim are the vehicle's own,
    freed of the old background. `glass` is seen through, `shade` lies under the vehicle,
    `background` under both: a colour, or a picture that is cut to cover the canvas.
    """
    colour, matte = _placed(photo, alpha, layout.of_copy(shrunk))
    seen = box_of(matte)
    if glass is not None:
        colour, matte = glass.clear(colour, matte, layout)
    shadow = None if shade is None else shade.on(layout)
    return Drawn(_laid(colour, matte, shadow, _filled(background, layout)), matte, seen)


def _placed(photo: Rgb, alpha: Alpha, placement: Placement) -> tuple[Rgb, Alpha]:
    """Clean colours (H, W, 3) and matte (H, W) on the canvas, black and 0 beside the vehicle."""
    canvas = np.zeros((placement.height, placement.width, 3), np.uint8)
    whole = np.zeros((placement.height, placement.width), np.float32)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not rows.size:
        return canvas, whole
    y0, y1 = max(0, int(rows[0]) - MARGIN), min(alpha.shape[0], int(rows[-1]) + MARGIN + 1)
    x0, x1 = max(0, int(columns[0]) - MARGIN), min(alpha.shape[1], int(columns[-1]) + MARGIN + 1)
    scale = placement.scale
    wide, tall = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    mixed = resize(np.ascontiguousarray(photo[y0:y1, x0:x1]), wide, tall)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    matte = cv2.resize(alpha[y0:y1, x0:x1], (wide, tall), interpolation=method).clip(0, 1)
    freed = _freed(mixed, np.asarray(matte, np.float32), placement.width)
    left, top = placement.left + round(x0 * scale), placement.top + round(y0 * scale)
    x, y = max(0, left), max(0, top)
    right, bottom = min(placement.width, left + wide), min(placement.height, top + tall)
    if right > x and bottom > y:
        part = slice(y - top, bottom - top), slice(x - left, right - left)
        canvas[y:bottom, x:right], whole[y:bottom, x:right] = freed[part], matte[part]
    return canvas, whole


def _freed(mixed: Rgb, matte: Alpha, width: int) -> Rgb:
    """`cutout.foreground`, some rows at a time with what they need of the rows around."""
    radius = max(RADIUS_AT_1600, round(RADIUS_AT_1600 * width / 1600))
    done = np.empty_like(mixed)
    for first in range(0, mixed.shape[0], BAND):
        last = min(mixed.shape[0], first + BAND)
        top, bottom = max(0, first - radius), min(mixed.shape[0], last + radius)
        # An odd first row would shift the half-sized copy by half a pixel against its neighbours.
        top -= top % 2
        band = foreground(mixed[top:bottom], matte[top:bottom], radius)
        done[first:last] = band[first - top : last - top]
    return done


def _filled(background: Colour | Rgb | None, layout: Layout) -> Colour | Rgb:
    """The background on the canvas; transparent black where there is none."""
    if background is None:
        return (0, 0, 0, 0)
    if isinstance(background, tuple):
        return background
    return covering(background, layout.width, layout.height)


def enlarged(alpha: Alpha, width: int, height: int) -> Alpha:
    """A matte for a larger copy of its photo, its edges about as sharp there as they were.

    Lines that are nowhere solid, such as an antenna, are left soft: they would be lost.
    """
    larger = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    times = width / alpha.shape[1]
    if times <= 1:
        return np.asarray(larger.clip(0, 1), np.float32)
    steeper = min(MOST_STEEPER, 1 + STEEPER * (times - 1))
    sharp = ((larger - 0.5) * steeper + 0.5).clip(0, 1)
    solid = cv2.dilate((alpha > SOLID).astype(np.uint8), np.ones((5, 5), np.uint8))
    beside = cv2.resize(solid, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.where(beside > 0, sharp, larger.clip(0, 1)).astype(np.float32)


def covering(picture: Rgb, width: int, height: int) -> Rgb:
    """The middle of a picture (H, W, 3), as large as covers `width` x `height`."""
    rows, columns = picture.shape[:2]
    scale = max(width / columns, height / rows)
    wide, tall = min(columns, round(width / scale)), min(rows, round(height / scale))
    top, left = (rows - max(1, tall)) // 2, (columns - max(1, wide)) // 2
    part = picture[top : top + max(1, tall), left : left + max(1, wide)]
    return resize(np.ascontiguousarray(part), width, height)


def _laid(colour: Rgb, matte: Alpha, shadow: Floats | None, below: Colour | Rgb) -> Rgba:
    """Vehicle over shadow over background (Porter and Duff's "over"), with straight alpha."""
    height, width = matte.shape
    picture = np.empty((height, width, 4), np.uint8)
    if isinstance(below, tuple):
        picture[:] = below if below[3] else (0, 0, 0, 0)
        solid = np.float32(below[3] / 255)
    else:
        picture[..., :3], picture[..., 3] = below, 255
        solid = np.float32(1)
    covered = matte.any(axis=1) if shadow is None else matte.any(axis=1) | shadow.any(axis=1)
    rows = np.flatnonzero(covered)
    if not rows.size:
        return picture
    for first in range(int(rows[0]), int(rows[-1]) + 1, BAND):
        part = slice(first, min(first + BAND, int(rows[-1]) + 1))
        front = matte[part]
        under = (1 - front) * solid
        opacity = front + under
        if shadow is not None:
            dark = (1 - front) * shadow[part]
            under = under * (1 - shadow[part])
            opacity = front + dark + under
        whole = np.maximum(opacity, np.float32(1e-4))
        mixed = _weighted(colour[part], front / whole)
        if solid:
            ground = np.ascontiguousarray(picture[part, :, :3])
            mixed += _weighted(ground, under / whole)
        # Rounded, and within 0..255.
        picture[part, :, :3] = cv2.convertScaleAbs(mixed)
        picture[part, :, 3] = cv2.convertScaleAbs(opacity, alpha=255)
    return picture


def _weighted(colours: Rgb, share: npt.NDArray[np.floating[Any]]) -> Floats:
    """The colours (H, W, 3) times a share (H, W)."""
    each = cv2.merge((share, share, share))
    return np.asarray(cv2.multiply(colours, each, dtype=cv2.CV_32F), np.float32)

"""What is seen of the old background through a vehicle's panes, and the panes without it.

No network of ours knows glass, so this is an estimate, and a modest one: panes are taken to be
where the upper part of the body is dark and colourless and not of the paint's colour; on them each
pixel is a mixture of the darkest glass and of the background beside the vehicle. At most MOST of
a pixel is taken for background, since a mirrored sky looks like one that is seen through. A dark
vehicle, whose panes are like its paint, keeps them opaque.

Photo RGB uint8 (H, W, 3) and matte float32 (H, W) in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.rendition.layout import Layout
from okla_assets.imaging.studio.placement import extent
from okla_assets.imaging.types import Alpha, Bools, Floats, Pixels, Rgb

WORK_WIDTH = 640
ROOF, BELT = 0.06, 0.40  # of the vehicle's height, from its top: panes lie between
PAINT_TOP, PAINT_LOW = 0.48, 0.72  # where its paint is measured
RIM = 0.025  # of the vehicle's height: panes lie this far inside of the outline
DARK = 95.0  # lightness (Lab, 0..255) of glass with nothing bright behind it
COLOURLESS = 14.0  # chroma, likewise
LIGHTER = 45.0  # lightness of the paint over that of the panes, below which they look alike
UNLIKE = 26.0  # distance in Lab from the paint, from which a pixel of a pane is none of it
LEAST_PANE = 0.006  # of the vehicle's area
LEAST_DARK = 0.3  # of a pane
GAP = 0.02  # of the vehicle's height: what is bright in a pane is closed over so far, twice
MIDDLE = 0.32  # of the vehicle's height, from its top: a pane's middle is above, a lamp's below
AROUND = 0.3  # of the vehicle's width: over which the background beside it is averaged
LEAST_LIGHT = 40.0  # levels of background over glass, to tell one from the other
MOST = 0.5
SURE = 0.15  # share of background from which it is told from a sheen
UNEXPLAINED = 0.25  # of the squared difference between the two: a pixel further off is of a third


@dataclass(frozen=True)
class SeenThrough:
    """The `share` (h, w) of background in each pixel of a small copy, and that `background`.

    A source pixel is `scale` wide on the copy.
    """

    share: Floats
    background: Floats
    scale: float

    def clear(self, colour: Rgb, matte: Alpha, layout: Layout) -> tuple[Rgb, Alpha]:
        """Colours and matte of a canvas with the background taken out of the panes."""
        factor = layout.scale / self.scale
        shift = factor / 2 - 0.5
        matrix = np.array([[factor, 0, layout.left + shift], [0, factor, layout.top + shift]])
        size = matte.shape[1], matte.shape[0]
        share = np.asarray(cv2.warpAffine(self.share, matrix, size), np.float32)
        panes = np.flatnonzero(share.any(axis=1))
        if not panes.size:
            return colour, matte
        rows = slice(int(panes[0]), int(panes[-1]) + 1)
        had = np.asarray(cv2.warpAffine(self.background, matrix, size), np.float32)[rows]
        part = share[rows][..., None]
        # No pixel may hold more background than it is bright: its glass is no darker than black.
        most = (colour[rows] / np.maximum(had, 1)).min(axis=2, keepdims=True)
        part = np.minimum(part, most.astype(np.float32))
        own = (colour[rows] - part * had) / (1 - part)
        cleared, opened = colour.copy(), matte.copy()
        cleared[rows] = np.rint(own.clip(0, 255))
        opened[rows] *= 1 - part[..., 0]
        return cleared, opened


def seen_through(photo: Rgb, alpha: Alpha, source_width: int) -> SeenThrough | None:
    """What is seen through the panes of a photo `source_width` pixels wide; None where nothing is
    told."""
    scale = min(1.0, WORK_WIDTH / alpha.shape[1])
    size = max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale))
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    matte = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    if not (matte > 0.5).any():
        return None
    found = panes_of(small, matte)
    if found is None:
        return None
    panes, dark = found
    background = _beside(small, matte)
    glass = np.asarray(np.percentile(small[dark], 25, axis=0), np.float32)
    line, here = background - glass, small - glass
    length = np.square(line).sum(axis=2)
    share = (here * line).sum(axis=2) / np.maximum(length, 1)
    left = np.square(here - share[..., None] * line).sum(axis=2)
    trust = (2 - left / (UNEXPLAINED * length + 1)).clip(0, 1)
    trust *= length > 3 * LEAST_LIGHT**2
    share = (((share - SURE) / (1 - SURE)).clip(0, 1) * trust * MOST * panes).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(share, (0, 0), 1.0), np.float32) * panes
    if not (soft > 0.05).any():
        return None
    return SeenThrough(soft.astype(np.float32), background, size[0] / source_width)


def panes_of(photo: Rgb, alpha: Alpha) -> tuple[Bools, Bools] | None:
    """Where panes are (H, W), and which part of them is dark; None where they cannot be told."""
    body = extent(alpha)
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(np.float32)
    solid = alpha > 0.9
    row = (np.arange(alpha.shape[0]) - body.y0) / body.height
    paint_zone = solid & ((row > PAINT_TOP) & (row < PAINT_LOW))[:, None]
    if not paint_zone.any():
        return None
    paint = np.median(lab[paint_zone], axis=0)
    reach = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 3)
    upper = (reach > RIM * body.height) & ((row > ROOF) & (row < BELT))[:, None]
    chroma = np.hypot(lab[..., 1] - 128, lab[..., 2] - 128)
    dark = upper & (lab[..., 0] < min(DARK, paint[0] - LIGHTER)) & (chroma < COLOURLESS)
    near = np.ones((2 * round(GAP * body.height) + 1,) * 2, np.uint8)
    closed = np.asarray(cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_CLOSE, near), np.uint8)
    filled = cv2.drawContours(closed, _outlines(closed), -1, 1, -1)
    # A wiper is no bridge from a pane to what is dark below it.
    opened = np.asarray(cv2.morphologyEx(filled, cv2.MORPH_OPEN, near), np.uint8)
    panes = np.zeros(alpha.shape, np.uint8)
    for contour in _outlines(opened):
        pane = cv2.drawContours(np.zeros_like(panes), [contour], -1, 1, -1) > 0
        area, rows = int(pane.sum()), np.flatnonzero(pane.any(axis=1))
        is_lamp = (rows[0] + rows[-1]) / 2 > body.y0 + MIDDLE * body.height
        if area < LEAST_PANE * solid.sum() or is_lamp or (pane & dark).sum() < LEAST_DARK * area:
            continue
        panes[pane] = 1
    distance = np.sqrt(np.square(lab - paint.astype(np.float32)).sum(axis=2))
    unlike = cv2.medianBlur((distance > UNLIKE).astype(np.uint8), 5) > 0
    found = (panes > 0) & upper & unlike
    inside = dark & found
    return (found, inside) if inside.any() else None


def _outlines(mask: Pixels) -> Sequence[npt.NDArray[np.int32]]:
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cast(Sequence[npt.NDArray[np.int32]], found)


def _beside(photo: Rgb, alpha: Alpha) -> Floats:
    """The background's colour (H, W, 3), gone on smoothly behind the vehicle."""
    outside = (alpha < 0.05).astype(np.float32)
    window = max(3, round(AROUND * extent(alpha).width) | 1)
    sums = cv2.blur(photo * outside[..., None], (window, window))
    weight = cv2.blur(outside, (window, window))
    whole = (photo * outside[..., None]).sum(axis=(0, 1)) / max(float(outside.sum()), 1.0)
    few = np.float32(0.01)
    mean = (sums + few * whole) / (weight + few)[..., None]
    return np.asarray(mean, np.float32)

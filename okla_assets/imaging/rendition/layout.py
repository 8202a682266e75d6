"""Where a cut-out vehicle goes on its canvas: cropped, scaled, moved, and bounded in size.

All lengths come in pixels of the upright source photo, so that a photo read at a smaller size is
laid out alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from okla_assets.imaging.studio.placement import Placement
from okla_assets.imaging.types import Alpha, Box

Length = tuple[float, Literal["px", "%"]]

SEEN = 0.1
"""Of a layer: what is fainter does not count for the foreground's box."""
LARGEST = 50.0
"""Megapixels that no result exceeds."""


@dataclass(frozen=True)
class Layout:
    """A canvas of `width` x `height` pixels, to which source pixels go by x' = scale x + left.

    `largest` are the width and height that it would have without a limit on its size.
    """

    width: int
    height: int
    scale: float
    left: float
    top: float
    largest: tuple[int, int]

    def of_copy(self, shrunk: float) -> Placement:
        """The same for a copy of the photo on which a pixel is 1 / `shrunk` source pixels wide."""
        left, top = round(self.left), round(self.top)
        return Placement(self.width, self.height, self.scale / shrunk, left, top)


def box_of(layer: Alpha, seen: float = SEEN) -> Box | None:
    """The box of what is over `seen` of a layer (H, W); None where nothing is."""
    solid = layer > seen
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    if not columns.size:
        return None
    x, y = int(columns[0]), int(rows[0])
    return float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)


def joined(first: Box, second: Box) -> Box:
    """The smallest box around two."""
    x, y = min(first[0], second[0]), min(first[1], second[1])
    right = max(first[0] + first[2], second[0] + second[2])
    bottom = max(first[1] + first[3], second[1] + second[3])
    return x, y, right - x, bottom - y


def lay_out(
    size: tuple[int, int],
    subject: Box,
    *,
    crop: bool = False,
    margin: Sequence[Length] = (),
    scale: float | None = None,
    position: tuple[float, float] | None = None,
    megapixels: float = LARGEST,
) -> Layout:
    """The canvas for a photo of `size` (width, height) whose foreground lies in `subject`.

    Cropped, the canvas is the subject with its `margin`: none, one length for all sides, two
    (above and below, left and right) or four (top, right, bottom, left); shares are of the
    subject's sides. `scale` is the share of the canvas that the subject fills in the direction in
    which it is the larger, `position` its place in percent of the room that it leaves (50, 50: the
    middle, as with a `scale` and no position).
    """
    x, y, w, h = subject
    wide, tall, left, top = float(size[0]), float(size[1]), 0.0, 0.0
    if crop:
        above, right, below, before = (
            _pixels(length, side) for length, side in zip(_four(margin), (h, w, h, w), strict=True)
        )
        wide, tall = w + before + right, h + above + below
        left, top = before - x, above - y
    factor = 1.0 if scale is None else scale * min(wide / w, tall / h)
    if scale is not None and position is None:
        position = (50.0, 50.0)
    if position is not None:
        left = (wide - factor * w) * position[0] / 100 - factor * x
        top = (tall - factor * h) * position[1] / 100 - factor * y
    bound = min(1.0, (LARGEST * 1e6 / (wide * tall)) ** 0.5)
    largest = max(1, int(wide * bound + 1e-6)), max(1, int(tall * bound + 1e-6))
    shrink = min(bound, (megapixels * 1e6 / (wide * tall)) ** 0.5)
    return Layout(
        max(1, int(wide * shrink + 1e-6)),
        max(1, int(tall * shrink + 1e-6)),
        factor * shrink,
        left * shrink,
        top * shrink,
        largest,
    )


def _four(margin: Sequence[Length]) -> Sequence[Length]:
    """Lengths of top, right, bottom and left. Raises ValueError where they are not 0, 1, 2 or 4."""
    match list(margin):
        case []:
            return [(0.0, "px")] * 4
        case [every]:
            return [every] * 4
        case [upright, level]:
            return [upright, level, upright, level]
        case [_, _, _, _] as four:
            return four
    raise ValueError(f"a margin has 1, 2 or 4 lengths, not {len(margin)}")


def _pixels(length: Length, side: float) -> float:
    value, unit = length
    return value / 100 * side if unit == "%" else value

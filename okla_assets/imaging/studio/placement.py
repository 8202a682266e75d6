"""Where a vehicle's photo goes on the canvas of a studio scene.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1].
"""

from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Angle, Floats, Rgb

# Photos smaller than the canvas are not enlarged beyond this: the canvas shrinks instead, down to
# what a gallery can still show.
MOST_UPSCALE = 1.5
SMALLEST_WIDTH = 480


@dataclass(frozen=True)
class Placement:
    """Canvas size, the factor on the photo's pixels, and where the photo's origin lands."""

    width: int
    height: int
    scale: float
    left: int
    top: int

    def box_of(self, photo: Rgb) -> tuple[float, float, float, float]:
        """Where the whole photo lies on the canvas: x, y, w, h in shares of the canvas's size."""
        height, width = photo.shape[:2]
        return (
            round(self.left / self.width, 5),
            round(self.top / self.height, 5),
            round(width * self.scale / self.width, 5),
            round(height * self.scale / self.height, 5),
        )

    def laid(self, layer: Floats) -> Floats:
        """A layer (h, w) of the photo on the canvas (height, width), 0 beside the photo."""
        move = np.array([[self.scale, 0, self.left], [0, self.scale, self.top]], np.float64)
        move[:, 2] += (self.scale - 1) / 2  # of the middles of pixels
        size = self.width, self.height
        return np.asarray(cv2.warpAffine(layer, move, size, flags=cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True)
class Extent:
    """The solid part of a matte: first and last column and row (inclusive, pixels)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0 + 1

    @property
    def height(self) -> int:
        return self.y1 - self.y0 + 1


def extent(alpha: Alpha) -> Extent:
    """Where the matte is solid; a stray pixel or an antenna's tip beside the rest does not count.

    Raises ValueError where nothing is solid.
    """
    solid = alpha > 0.5
    columns, rows = solid.sum(axis=0), solid.sum(axis=1)
    tallest, widest = columns.max(initial=0), rows.max(initial=0)
    if not tallest:
        raise ValueError("the matte is empty")
    xs = np.flatnonzero(columns >= min(tallest, max(2, 0.01 * tallest)))
    ys = np.flatnonzero(rows >= min(widest, max(2, 0.015 * widest)))
    return Extent(int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1]))


ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9)
WHEEL_LINES = (0.74, 0.82, 0.84, 0.86)
MARGIN = 0.04
"""Share of the canvas's width that stays free on each side, at least."""
HEADROOM = 0.10
"""Least share of the canvas's height that stays free over a roof."""

PROPORTIONS = (1.0, 1.3, 1.55, 2.0, 2.6)
SHARES = (0.50, 0.57, 0.78, 0.86, 0.90)
"""Share of the canvas's width that a vehicle fills, by its own width over its height."""

BANDS: dict[Angle, tuple[float, float]] = {
    "front": (0.50, 0.62),
    "rear": (0.50, 0.62),
    "front-quarter": (0.78, 0.88),
    "rear-quarter": (0.78, 0.88),
    "side": (0.86, 0.92),
}
"""Shares that a known view stays within, as the trade shows cars."""


def wheel_line(aspect: float) -> float:
    """The row that tyres stand on, in shares of the canvas's height, for its width over height."""
    return float(np.interp(aspect, ASPECTS, WHEEL_LINES))


def tallest(aspect: float) -> float:
    """The share of the canvas's height that no vehicle exceeds."""
    return wheel_line(aspect) - HEADROOM


def width_share(
    width: float,
    height: float,
    aspect: float,
    angle: Angle | None = None,
    margin: float = MARGIN,
) -> float:
    """Share of the canvas's width that a vehicle of this width and height fills.

    `margin` is the share that stays free on each side.
    """
    low, high = (0.0, 1.0) if angle is None else BANDS[angle]
    share = min(max(float(np.interp(width / height, PROPORTIONS, SHARES)), low), high)
    return min(share, tallest(aspect) / aspect * width / height, 1 - 2 * margin)


def place(
    vehicle: Extent,
    max_width: int,
    aspect: float,
    angle: Angle | None = None,
    margin: float = MARGIN,
) -> Placement:
    """Where a photo goes so that its vehicle fills the canvas and stands on the wheel line.

    `aspect` is the canvas's width by its height, `margin` as of `width_share`.
    """
    per_pixel = width_share(vehicle.width, vehicle.height, aspect, angle, margin) / vehicle.width
    width = min(max_width, max(SMALLEST_WIDTH, round(MOST_UPSCALE / per_pixel)))
    width -= width % 2
    height = round(width / aspect)
    scale = per_pixel * width
    centre = (vehicle.x0 + vehicle.x1 + 1) / 2 * scale
    bottom = (vehicle.y1 + 1) * scale
    return Placement(
        width, height, scale, round(width / 2 - centre), round(wheel_line(aspect) * height - bottom)
    )

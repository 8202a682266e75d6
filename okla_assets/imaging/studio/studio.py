"""The studio: a scene made by code, the vehicle's place in it, and the finished picture.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], boxes (x, y, w, h) in pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.matte.cutout import foreground
from okla_assets.imaging.studio.shadow import ground_shadow
from okla_assets.imaging.types import Alpha, Rgb

# Where the vehicle stands, as shares of the canvas. A constant height keeps the scale of a set;
# only a vehicle too long for the canvas is made smaller.
VEHICLE_HEIGHT = 0.49
WIDEST = 0.92
WHEEL_LINE = 0.815
HORIZON = 0.60
# Photos smaller than the canvas are not blown up past this: the canvas shrinks instead, down to
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


@dataclass(frozen=True)
class Extent:
    """The solid part of a matte: first and last column and row (inclusive, pixels)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.x1 - self.x0 + 1

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.y1 - self.y0 + 1


def as_alpha(grey: npt.NDArray[np.uint8]) -> Alpha:
    """A matte stored as uint8 0..255, as float32 in [0, 1]."""
    return np.asarray(grey, np.float32) / np.float32(255)


def extent(alpha: Alpha) -> Extent:
    """Where the matte is solid; a stray pixel or an antenna's tip does not count.

    Raises ValueError on an empty matte.
    """
    solid = alpha > 0.5
    columns, rows = solid.sum(axis=0), solid.sum(axis=1)
    if not columns.any():
        raise ValueError("the matte is empty")
    xs = np.flatnonzero(columns >= max(2, 0.01 * columns.max()))
    ys = np.flatnonzero(rows >= max(2, 0.015 * rows.max()))
    return Extent(int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1]))


def place(vehicle: Extent, max_width: int, aspect: float) -> Placement:
    """Where a photo goes so that its vehicle has the set's height and stands on the wheel line."""
    # In units of the canvas width:
    per_pixel = min(VEHICLE_HEIGHT / aspect / vehicle.height, WIDEST / vehicle.width)
    width = min(max_width, max(SMALLEST_WIDTH, round(MOST_UPSCALE / per_pixel)))
    width -= width % 2
    height = round(width / aspect)
    scale = per_pixel * width
    centre = (vehicle.x0 + vehicle.x1 + 1) / 2 * scale
    bottom = (vehicle.y1 + 1) * scale
    return Placement(
        width, height, scale, round(width / 2 - centre), round(WHEEL_LINE * height - bottom)
    )


@lru_cache(maxsize=8)
def white_studio(width: int, height: int) -> npt.NDArray[np.float32]:
    """A white cyclorama: wall, cove and floor under one soft light. Float32 (H, W, 3), 0..255."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    wall = 0.935 - 0.055 * y / HORIZON - 0.045 * np.abs(x) ** 2.2
    depth = ((y - HORIZON) / (1 - HORIZON)).clip(0, 1)
    pool = np.exp(-((x / 0.95) ** 2 + ((y - 0.82) / 0.24) ** 2))
    floor = 0.865 + 0.035 * depth + 0.065 * pool - 0.05 * x**2
    cove = 1 / (1 + np.exp(-(y - HORIZON) / 0.028))
    light = wall * (1 - cove) + floor * cove
    tint = np.array([0.992, 0.997, 1.0], np.float32)  # daylight tubes: a trace of blue
    scene = light[..., None] * tint * 255
    # One grey level spans many rows of so smooth a scene: without noise it shows as bands.
    noise = np.random.default_rng(7).triangular(-1, 0, 1, (height, width, 1))
    scene = np.asarray(scene + noise, np.float32)
    scene.setflags(write=False)
    return scene


def compose(photo: Rgb, alpha: Alpha, placement: Placement, shadow_opacity: float | None) -> Rgb:
    """The vehicle of `photo` in the studio, standing on its shadow.

    `alpha` has the photo's size. `shadow_opacity` in [0, 1]; None leaves the shadow out.
    """
    colour, matte, left, top = _placed(photo, alpha, placement)
    scene = white_studio(placement.width, placement.height)
    full = np.zeros((placement.height, placement.width), np.float32)
    h, w = matte.shape
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(placement.height, top + h), min(placement.width, left + w)
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    window = (slice(y0, y1), slice(x0, x1))
    full[window] = matte[part]
    if shadow_opacity:
        scene = scene * _each_channel(1 - np.float32(shadow_opacity) * ground_shadow(full))
    picture = cv2.convertScaleAbs(scene)  # rounds and keeps within 0..255
    a = _each_channel(full[window])
    picture[window] = cv2.convertScaleAbs(scene[window] * (1 - a) + colour[part] * a)
    return np.asarray(picture, np.uint8)


def _each_channel(layer: Alpha) -> npt.NDArray[np.float32]:
    """The layer (H, W) as (H, W, 3): several times as quick to multiply by as a broadcast one."""
    return np.asarray(cv2.merge((layer, layer, layer)), np.float32)


def _placed(photo: Rgb, alpha: Alpha, placement: Placement) -> tuple[Rgb, Alpha, int, int]:
    """The vehicle's clean colours and matte at canvas scale, and the corner they go to."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    margin = 8
    y0, y1 = max(0, int(rows[0]) - margin), min(alpha.shape[0], int(rows[-1]) + margin + 1)
    x0, x1 = max(0, int(columns[0]) - margin), min(alpha.shape[1], int(columns[-1]) + margin + 1)
    part = photo[y0:y1, x0:x1]
    scale = placement.scale
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    mixed = np.asarray(cv2.resize(part, size, interpolation=method), np.uint8)
    matte = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=method).clip(0, 1)
    # At canvas scale, where there are fewer pixels: colours and matte were mixed alike.
    colour = foreground(mixed, np.asarray(matte, np.float32))
    return (
        colour,
        np.asarray(matte, np.float32),
        placement.left + round(x0 * scale),
        placement.top + round(y0 * scale),
    )

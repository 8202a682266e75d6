"""Made pictures, a made car on a made street: shapes whose right answer is known exactly."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Alpha, Pixels, Rgb

PAINT = (180, 30, 40)
STREET = (120, 150, 90)


def car_alpha(width: int = 800, height: int = 600, tyres: bool = True) -> Alpha:
    """A side view: body from x 150 to 650, sill at y 380, tyres down to y 420 at x 250 and 550."""
    big = np.zeros((height * 4, width * 4), np.uint8)
    body = np.array([[150, 380], [150, 300], [260, 290], [320, 220], [520, 220], [600, 300]])
    body = np.concatenate([body, [[650, 310], [650, 380]]])
    cv2.fillPoly(big, [body * 4], 255)
    if tyres:
        for x in (250, 550):
            cv2.circle(big, (x * 4, 375 * 4), 45 * 4, 255, -1)
    return np.asarray(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA) / 255, "f4")


def photo_of(alpha: Alpha, paint: tuple[int, int, int] = PAINT) -> Rgb:
    """The vehicle in one colour before a street in another, mixed at the edge as a camera would."""
    a = alpha[..., None]
    mixed = np.array(paint) * a + np.array(STREET) * (1 - a)
    return np.asarray(np.rint(mixed), np.uint8)


def picture(height: int = 240, width: int = 320) -> Pixels:
    """Smooth colours and no symmetry, so that every turn and channel swap shows."""
    y, x = np.mgrid[0:height, 0:width]
    red = 30 + 200 * x / width
    green = 30 + 200 * y / height
    blue = 60 + 150 * (x / width) * (y / height)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def noisy(height: int = 480, width: int = 640) -> Pixels:
    """A picture with detail, so that its JPEG has scan data to damage."""
    noise = np.random.default_rng(0).integers(-25, 26, (height, width, 1))
    return (picture(height, width).astype(np.int16) + noise).clip(0, 255).astype(np.uint8)


def off_by(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """The mean difference of two pictures in levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.float64) - b).mean())


def dot(at: tuple[float, float] = (201.3, 148.6), size: tuple[int, int] = (400, 300)) -> Rgb:
    """A soft white dot on grey."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    blob = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 6.0**2))
    return np.repeat(np.rint(60 + 190 * blob)[..., None], 3, axis=2).astype(np.uint8)

"""Exposure and colour correction, gentle enough to keep a car's paint its own colour.

Photos are RGB uint8 (H, W, 3). Corrections are measured on a small copy and applied as one lookup
table a channel, so they cost milliseconds at any size.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Alpha, Floats, Pixels, Rgb

MEASURE_SIDE = 320
TARGET_MEDIAN = 0.46  # of full scale: where a well exposed scene has its middle
MOST_GAMMA = 1.45
MOST_CAST = 0.06  # a channel's gain is changed by at most this, from grey pixels
MOST_BLUE = 1.45  # red is raised and blue lowered by at most this, from a blue floor
BLACK_PERCENTILE, WHITE_PERCENTILE = 0.4, 99.6
MOST_BLACK, LEAST_WHITE = 0.07, 0.80


def enhance(photo: Rgb, vehicle: Alpha | None = None) -> Rgb:
    """Neutral, well exposed copy of the photo.

    `vehicle` is the matte (H, W) in [0, 1] of the vehicle it shows, if any: the light is then
    judged by the floor around the vehicle and the exposure partly by the vehicle. The steps are a
    bounded white balance (shades of grey, Finlayson and Trezzi 2004, on the less colourful
    pixels), a bounded stretch of black and white point and a bounded gamma towards a middle grey.
    """
    return corrected(photo, correction([photo], [vehicle]))


def corrected(photo: Rgb, table: Pixels) -> Rgb:
    """A copy of the photo under a table of `correction`."""
    return cv2.LUT(photo, table).astype(np.uint8, copy=False)


def correction(photos: Sequence[Rgb], vehicles: Sequence[Alpha | None]) -> Pixels:
    """One lookup table (1, 256, 3) for all the photos, as if they were one: see `enhance`.

    So the pictures of a turn keep one exposure and one white balance.
    """
    smalls, alphas = [], []
    for photo, vehicle in zip(photos, vehicles, strict=True):
        scale = MEASURE_SIDE / max(photo.shape[:2])
        size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
        small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.float32)
        smalls.append(small / 255)
        alphas.append(
            None
            if vehicle is None
            else np.asarray(cv2.resize(vehicle, size, interpolation=cv2.INTER_AREA), np.float32)
        )
    gains = _grey_pixel_gains(np.concatenate([small.reshape(-1, 1, 3) for small in smalls]))
    floors = [
        _blue_floor_gains(np.asarray(small * gains, np.float32), alpha)
        for small, alpha in zip(smalls, alphas, strict=True)
        if alpha is not None
    ]
    if floors:
        gains = np.asarray(gains * np.median(floors, axis=0), np.float32)
    lumas = [
        (small * gains).clip(0, 1) @ np.array([0.299, 0.587, 0.114], np.float32) for small in smalls
    ]
    counted = [
        np.zeros(luma.size, bool) if alpha is None else (alpha > 0.5).ravel()
        for luma, alpha in zip(lumas, alphas, strict=True)
    ]
    curve = _tone_curve(np.concatenate([luma.ravel() for luma in lumas]), np.concatenate(counted))
    values = np.arange(256, dtype=np.float32) / 255
    tables = [np.interp((values * gain).clip(0, 1), values, curve) for gain in gains]
    return np.asarray(np.rint(np.stack(tables, axis=-1) * 255)[None], np.uint8)


def _grey_pixel_gains(small: Floats) -> Floats:
    """Gains (3,) that make the nearly grey pixels grey, each within 1 +- MOST_CAST."""
    brightest, darkest = small.max(axis=2), small.min(axis=2)
    grey = (brightest - darkest < 0.18) & (brightest > 0.15) & (brightest < 0.98)
    if grey.mean() < 0.05:
        return np.ones(3, np.float32)
    pixels = small[grey]
    norm = np.power(np.power(pixels, 6).mean(axis=0), 1 / 6)
    gains = norm.mean() / np.maximum(norm, 1e-3)
    # Half of the measured cast: an evening sky is meant to stay a little warm.
    gains = np.clip(1 + 0.5 * (gains - 1), 1 - MOST_CAST, 1 + MOST_CAST)
    return np.asarray(gains / gains.mean(), np.float32)


def _blue_floor_gains(small: Floats, alpha: Alpha) -> Floats:
    """Gains (3,) against a blue cast, seen on the floor beside the vehicle.

    Phones that meter a yellow wall turn everything else blue. Floors are asphalt, concrete, sand
    or brick: grey or warm, hardly ever blue, so only blue is corrected.
    """
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    if rows.size == 0:
        return np.ones(3, np.float32)
    floor = alpha < 0.02
    floor[: (rows[0] + 2 * rows[-1]) // 3] = False
    if floor.mean() < 0.03:
        return np.ones(3, np.float32)
    red, green, blue = np.median(small[floor], axis=0)
    if min(red, green, blue) < 0.05 or not blue > green >= red * 0.97:
        return np.ones(3, np.float32)
    excess = min(float(np.sqrt(blue / red)), MOST_BLUE)
    middle = min(max(float(np.sqrt(red * blue) / green), 1 / 1.05), 1.05)
    gains = np.array([excess, middle, 1 / excess])
    return np.asarray(gains / (gains @ [0.299, 0.587, 0.114]), np.float32)


def _tone_curve(luma: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    """Output level in [0, 1] for each of 256 input levels."""
    black = min(float(np.percentile(luma, BLACK_PERCENTILE)), MOST_BLACK)
    white = max(float(np.percentile(luma, WHITE_PERCENTILE)), LEAST_WHITE)
    levels = np.arange(256, dtype=np.float32) / 255
    stretched = ((levels - black) / (white - black)).clip(0, 1)
    # A black car is meant to be dark: the middle is that of the whole photo, and the vehicle only
    # pulls it a little.
    middle = float(np.median(luma))
    if counted.any():
        middle = 0.7 * middle + 0.3 * float(np.median(luma[counted]))
    middle = min(max((middle - black) / (white - black), 0.02), 0.98)
    gamma = float(np.log(TARGET_MEDIAN) / np.log(middle))
    gamma = 1 + 0.6 * (gamma - 1)
    gamma = min(max(gamma, 1 / MOST_GAMMA), 1.15)
    return np.asarray(np.power(stretched, gamma), np.float32)

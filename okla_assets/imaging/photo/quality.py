"""How good an accepted photo is, and whether it repeats another one.

Everything is measured at a fixed working scale, so that a 12 MP photo and its 2 MP copy get the
same answer. The thresholds were set on ordinary dealer photos, of which none should be flagged,
and on the same photos made worse; the measured values stand beside each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import imagehash
import numpy as np
from PIL import Image

from okla_assets.imaging.photo import faults
from okla_assets.imaging.photo.codec import fit_within
from okla_assets.imaging.types import Box, Floats, Pixels

QualityIssue = Literal[
    "blurred",
    "dark",
    "overexposed",
    "low_contrast",
    "low_resolution",
    "too_far",
    "too_close",
    "tilted",
    "finger",
    "screenshot_or_collage",
    "cropped",
    "obstructed",
    "other_vehicle",
    "near_duplicate",
    "exact_duplicate",
    "damaged_data",
    "colour_unknown",
]
"""From `cropped` on they need more than the one photo; the caller adds them."""

MEASURED_SIDE = 1024
TILE = 64
TEXTURED = 10.0  # mean squared gradient; below it a tile is plain paint, sky or wall
MIN_SHARPNESS = 0.45  # good photos 0.60..0.96; blurred by 2 px at 1024 at most 0.43, by 3 px 0.23
FULL_SHARPNESS = 0.75
DARK_P95 = 100.0  # good photos 150 and more, black cars included: something bright is always there
DARK_MEAN = 35.0  # good photos 49 and more
CLIPPED_LEVEL = 250
MAX_CLIPPED = 0.35  # share of the pixels; good photos at most 0.18
MIN_RANGE = 60.0  # percentile 99 less percentile 1; good photos 180 and more
MIN_SHORT_SIDE = 600  # of 24 pictures made of 552, 700 and 900 columns, 0, 0 and 5 of 8 were fit
MIN_CAR_SIDE = 480  # long side of the vehicle's box, which is .8 of so small a photo's width
FULL_SHORT_SIDE = 1080
FLAGGED_SCORE = 49  # the most that a photo with an issue can get

# Of 256 bits. A re-encoded or resized copy differs by 2, a brightened one by up to 16; neighbouring
# frames of a turntable by 14 and more, different photos of one vehicle by 94 and more.
MAX_DUPLICATE_DISTANCE = 12


@dataclass(frozen=True)
class Quality:
    """Score 0..100 and the issues found, in the order of `QualityIssue`."""

    score: int
    issues: tuple[QualityIssue, ...]


def quality(
    rgb: Pixels,
    source_width: int,
    source_height: int,
    box: Box | None = None,
    tilt: float | None = None,
) -> Quality:
    """Judges RGB uint8 (H, W, 3), the upright sRGB working copy of a source of the given size.

    `box` is the vehicle's (x, y, w, h) in pixels of `rgb`: inside it sharpness and blown-out areas
    are measured, so that neither a blurred background nor a white sky counts against the car.
    `tilt` is by how many degrees what should be level is not, where that is known.
    """
    small = fit_within(rgb, MEASURED_SIDE)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    part = luma if box is None else _cut(luma, box, luma.shape[1] / rgb.shape[1])
    sharp = sharpness(part)
    clipped = float((part >= CLIPPED_LEVEL).mean())
    p1, p95, p99 = (float(p) for p in np.percentile(luma, (1, 95, 99)))
    mean = float(luma.mean())
    short_side = min(source_width, source_height)

    issues: list[QualityIssue] = []
    if sharp is not None and sharp < MIN_SHARPNESS:
        issues.append("blurred")
    if p95 < DARK_P95 or mean < DARK_MEAN:
        issues.append("dark")
    if clipped > MAX_CLIPPED:
        issues.append("overexposed")
    if p99 - p1 < MIN_RANGE:
        issues.append("low_contrast")
    car_side = None if box is None else max(box[2:]) * source_width / rgb.shape[1]
    if short_side < MIN_SHORT_SIDE or (car_side is not None and car_side < MIN_CAR_SIDE):
        issues.append("low_resolution")
    away = None if box is None else faults.distance(box, rgb.shape[1], rgb.shape[0])
    if away is not None:
        issues.append(away)
    if tilt is not None and abs(tilt) > faults.MOST_TILT:
        issues.append("tilted")
    if faults.has_finger(rgb):
        issues.append("finger")
    if faults.is_screenshot_or_collage(small):
        issues.append("screenshot_or_collage")

    score = round(
        45 * min(1.0, (sharp or 0.0) / FULL_SHARPNESS)
        + 30 * min(1.0, mean / 80, max(0.0, 1.25 - clipped / MAX_CLIPPED))
        + 25 * min(1.0, short_side / FULL_SHORT_SIDE)
    )
    return Quality(min(score, FLAGGED_SCORE) if issues else score, tuple(issues))


def _cut(luma: Pixels, box: Box, scale: float) -> Pixels:
    """The part of (H, W) inside a box given at another scale; all where that is too little."""
    x, y, w, h = (round(v * scale) for v in box)
    part = luma[max(0, y) : y + h, max(0, x) : x + w]
    return part if min(part.shape) > TILE else luma


def sharpness(luma: Pixels) -> float | None:
    """Share of the edge energy that a small blur takes away: near 0 blurred, 0.6 and more sharp.

    `luma` is uint8 (H, W) at the measured scale. The upper quartile over textured tiles, because a
    car is mostly smooth paint; None where nothing has texture. A relative measure, and therefore
    independent of contrast, after F. Crete et al., "The blur effect", SPIE 6492 (2007).
    """
    before = _tile_gradients(luma.astype(np.float32))
    textured = before > TEXTURED
    if not textured.any():
        return None
    blurred = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 1.5)
    after = _tile_gradients(np.asarray(blurred, np.float32))
    return float(np.percentile(1 - after[textured] / before[textured], 75))


def _tile_gradients(luma: Floats) -> Floats:
    """Mean squared gradient of each whole tile of float32 (H, W), flat; one tile where smaller."""
    gradient = np.diff(luma, axis=1)[:-1] ** 2 + np.diff(luma, axis=0)[:, :-1] ** 2
    rows, columns = (side // TILE for side in gradient.shape)
    if not rows or not columns:
        return np.asarray([gradient.mean()], np.float32)
    tiles = gradient[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return np.asarray(tiles.mean(axis=(1, 3)).ravel(), np.float32)


def perceptual_hash(rgb: Pixels) -> str:
    """256-bit DCT hash of RGB uint8 (H, W, 3) as 64 hex digits (imagehash's phash)."""
    image = Image.fromarray(fit_within(rgb, 256))
    return str(imagehash.phash(image, hash_size=16))


def near_duplicate(a: str, b: str) -> bool:
    """Whether two `perceptual_hash` values come from copies of one photo."""
    return (int(a, 16) ^ int(b, 16)).bit_count() <= MAX_DUPLICATE_DISTANCE


def find_near_duplicates(hashes: Sequence[str]) -> list[int | None]:
    """For each photo the index of the first earlier one that it repeats, or None."""
    return [
        next((j for j in range(i) if near_duplicate(hashes[j], hashes[i])), None)
        for i in range(len(hashes))
    ]

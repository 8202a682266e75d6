"""Whether a matte has the wheels that its view must show, and their round feet.

Seen from the side a car stands on two wheels, from a quarter on one at least: its silhouette
reaches down there like a leg, and the leg ends round.

Thresholds were set on mattes of 141 whole cars and 130 smaller ones, of which none is called
incomplete.
"""

import cv2
import numpy as np

from okla_assets.imaging.types import Bools, Floats

WIDE = 600  # columns of the profile
SIDE_VIEW, QUARTER_VIEW = 0.46, 0.53  # height by width: the highest silhouette of that view
STUMP = 0.035  # of the height: a leg is longer
WIDEST = 0.25  # of the width: a leg is narrower
FOOT, ANKLE = 0.006, 0.06  # of the height: where a leg's width is measured
FLAT = 0.7  # width of the foot by that of the ankle; whole wheels of small photos have .68 at most
LEAST_SPREAD = 0.35  # of the width: between the two wheels of a side view


def missing(matte: Bools) -> str | None:
    """What of the wheels is missing, in words; None where nothing is, or the view does not tell."""
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if not rows.size:
        return None
    part = matte[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    shape = part.shape[0] / part.shape[1]
    if shape > QUARTER_VIEW:
        return None
    height = round(WIDE * shape)
    solid = cv2.resize(part, (WIDE, height), interpolation=cv2.INTER_AREA) > 0.5
    lowest = height - 1 - solid[::-1].argmax(axis=0)
    bottom = np.where(solid.any(axis=0), lowest, 0).astype(np.float32)
    feet = _legs(bottom, height)
    needed = 2 if shape <= SIDE_VIEW else 1
    spread = (feet[-1] - feet[0]) / WIDE if feet else 0.0
    if len(feet) < needed or (needed == 2 and spread < LEAST_SPREAD):
        return "a wheel"
    on_floor = sorted(feet, key=lambda foot: -bottom[foot])[:needed]
    flat = (
        _run(bottom, foot, FOOT * height) > FLAT * _run(bottom, foot, ANKLE * height)
        for foot in on_floor
    )
    return "the foot of a wheel" if any(flat) else None


def _legs(bottom: Floats, height: int) -> list[int]:
    """The column of each leg's foot, from left to right."""
    kernel = np.ones((1, int(WIDEST * WIDE) | 1), np.uint8)
    body = cv2.morphologyEx(bottom[None], cv2.MORPH_OPEN, kernel)[0]
    out = np.flatnonzero(bottom - body > STUMP * height)
    if not out.size:
        return []
    legs = np.split(out, np.flatnonzero(np.diff(out) > 1) + 1)
    return [int(np.median(leg[bottom[leg] >= bottom[leg].max() - 0.5])) for leg in legs]


def _run(bottom: Floats, foot: int, above: float) -> int:
    """How many columns around the foot reach down to `above` pixels over it."""
    low = bottom >= bottom[foot] - above
    left, right = foot, foot
    while left > 0 and low[left - 1]:
        left -= 1
    while right + 1 < low.size and low[right + 1]:
        right += 1
    return right - left + 1

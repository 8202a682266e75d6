"""Telling a photographed sheet of paper (a price list, a document) from a part of a vehicle."""

import cv2
import numpy as np

from okla_assets.imaging.types import Rgb

SIDE = 800
LEAST_LETTERS = 50
LEAST_SHARE = 0.5
"""Of all letter-sized marks, the share that stands in lines. Measured on the dealers' misc photos:
two price lists .76 and .82; engines, wheels and labels at most .27."""

MOST_MARKS = 2000
"""Each mark is compared with each, which for the many thousands that a picture may hold would take
gigabytes. The dealers' photos have 237 at most, a page full of small print 3,000."""

SURE_SHARE = 0.6  # outdoor photos with the dealer's sign in them reach .44


def is_paper(picture: Rgb) -> bool:
    """Whether the RGB picture is mostly lines of print."""
    marks, lined = print_marks(picture)
    return lined >= LEAST_LETTERS and lined >= LEAST_SHARE * marks


def is_surely_paper(picture: Rgb) -> bool:
    """The same of a photo that also shows a vehicle, which may be printed on the sheet."""
    marks, lined = print_marks(picture)
    return lined >= LEAST_LETTERS and lined >= SURE_SHARE * marks


def print_marks(picture: Rgb) -> tuple[int, int]:
    """Dark marks of a letter's size, and how many have a like neighbour on the same line.

    Of more than MOST_MARKS only the topmost are counted.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = SIDE / max(grey.shape)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ink = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 18
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    x, y, w, h, area = stats[1:].T
    sized = (h >= 6) & (h <= 40) & (w >= 3) & (w <= 60) & (area >= 12)
    x, y, w, h = (v[sized].astype(np.float32) for v in (x, y, w, h))
    if len(x) > MOST_MARKS:
        topmost = np.argsort(y, kind="stable")[:MOST_MARKS]
        x, y, w, h = (v[topmost] for v in (x, y, w, h))
    gap = x[None, :] - (x + w)[:, None]
    level = np.abs((y + h)[None, :] - (y + h)[:, None])
    alike = np.abs(h[None, :] - h[:, None])
    near = (gap >= -1) & (gap < 1.2 * h[:, None])
    neighbours = near & (level < 0.2 * h[:, None] + 1) & (alike < 0.3 * h[:, None] + 1)
    return len(x), int(neighbours.any(axis=1).sum())

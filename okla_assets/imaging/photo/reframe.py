"""A finished picture in a frame of another shape."""

import cv2
import numpy as np

from okla_assets.imaging.photo.codec import resize
from okla_assets.imaging.photo.window import Window
from okla_assets.imaging.types import Pixels

STREAK = 41
"""Pixels along the border over which what lies beyond it is averaged."""


def cut(picture: Pixels, window: Window, width: int, height: int) -> Pixels:
    """That part of RGB uint8 (H, W, 3) at the given size; beyond the picture its border goes on."""
    rows, columns = picture.shape[:2]
    above, before = max(0, -window.top), max(0, -window.left)
    below = max(0, window.top + window.height - rows)
    after = max(0, window.left + window.width - columns)
    if window.extends(columns, rows):
        bordered = cv2.copyMakeBorder(picture, above, below, before, after, cv2.BORDER_REPLICATE)
        picture = np.asarray(bordered, np.uint8)
        # Of one row repeated, each pixel's noise would make a streak.
        for part in (picture[:above], picture[above + rows :]):
            if part.size:
                part[:] = cv2.blur(part, (STREAK, 1))
        for part in (picture[:, :before], picture[:, before + columns :]):
            if part.size:
                part[:] = cv2.blur(part, (1, STREAK))
    top, left = window.top + above, window.left + before
    part = picture[top : top + window.height, left : left + window.width]
    return resize(np.ascontiguousarray(part), width, height)

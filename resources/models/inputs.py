"""How pictures are fed to networks: letterboxed in [0, 1], or normalised as ImageNet's."""

from __future__ import annotations

import numpy as np

from okla_assets.imaging.types import Floats, Rgb

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""ImageNet's mean and spread, by channel, of pictures in [0, 1]: x is fed as (x - MEAN) / STD."""
PAD_GREY = 114

Letterboxed = tuple[Floats, float, float, float]


def letterbox(photo: Rgb, side: int) -> Letterboxed:
    """The photo fitted into a square on grey 114, as 1x3xSxS in [0, 1]; with scale, left, top."""
    import cv2

    height, width = photo.shape[:2]
    scale = side / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(
        photo, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    left, top = (side - w) // 2, (side - h) // 2
    canvas = np.full((side, side, 3), PAD_GREY, np.uint8)
    canvas[top : top + h, left : left + w] = small
    pixels = np.asarray(canvas.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    return pixels, scale, float(left), float(top)


def imagenet_pixels(picture: Rgb) -> Floats:
    """A picture less ImageNet's mean, over its spread: float32 1x3xHxW."""
    pixels = (picture.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])

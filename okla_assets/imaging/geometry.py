"""Boxes (x, y, w, h) and quads ((x, y) x 4): their overlap, and on other copies of a picture."""

from typing import Any

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Quad


def box_iou(box: npt.ArrayLike, boxes: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    """Intersection over union of a box (4,) with boxes (..., 4), as (...), in their precision."""
    one, many = np.asarray(box), np.asarray(boxes)
    low = np.maximum(one[:2], many[..., :2])
    high = np.minimum(one[:2] + one[2:], many[..., :2] + many[..., 2:])
    common = (high - low).clip(0).prod(axis=-1)
    union = one[2:].prod() + many[..., 2:].prod(axis=-1) - common
    return np.asarray(common / np.maximum(union, 1e-6))


def move_box(box: Box, scale: float, left: float = 0.0, top: float = 0.0) -> Box:
    """The box on a picture `scale` times as large whose origin lies at (left, top)."""
    x, y, w, h = box
    return x * scale + left, y * scale + top, w * scale, h * scale


def move_quad(quad: Quad, scale: float, left: float = 0.0, top: float = 0.0) -> Quad:
    """The quad on a picture `scale` times as large whose origin lies at (left, top)."""
    a, b, c, d = ((x * scale + left, y * scale + top) for x, y in quad)
    return a, b, c, d


def square(box: Box) -> Box:
    """The square about the box's middle that holds it."""
    x, y, w, h = box
    side = max(w, h)
    return x + (w - side) / 2, y + (h - side) / 2, side, side


def clip_box(box: Box, width: int, height: int) -> Box:
    """The part of the box inside a picture; of negative size where it lies outside."""
    x, y, w, h = box
    x0, y0 = max(0.0, x), max(0.0, y)
    return x0, y0, min(float(width), x + w) - x0, min(float(height), y + h) - y0


def round_box(box: Box) -> Box:
    """The box to a tenth of a pixel, as tables hold it."""
    x, y, w, h = (round(v, 1) for v in box)
    return x, y, w, h


def round_quad(quad: Quad) -> Quad:
    """The quad to a tenth of a pixel, as tables hold it."""
    a, b, c, d = ((round(x, 1), round(y, 1)) for x, y in quad)
    return a, b, c, d

"""Words and panels: what is drawn over a shot."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.promo.moves import ease
from okla_assets.imaging.promo.yuv import Frame, Plane, Yuv, mix, planes_of, to_yuv
from okla_assets.imaging.types import Rgba


@dataclass(frozen=True)
class Layer:
    """Something drawn over a shot: planes and their weights (0..255), at even (x, y).

    It fades in at `begin` and is gone at `end` (seconds of the shot; None stays), rising by `rise`
    pixels while it comes.
    """

    planes: Yuv
    weights: Plane
    half_weights: Plane
    x: int
    y: int
    begin: float = 0.0
    end: float | None = None
    fade: float = 0.45
    rise: float = 0.0


def layer(
    rgba: Rgba,
    x: int,
    y: int,
    *,
    begin: float = 0.0,
    end: float | None = None,
    rise: float = 0.0,
) -> Layer:
    """A layer of an RGBA picture (straight alpha) whose corner is at (x, y) of the frame."""
    left, top = x % 2, y % 2
    height, width = rgba.shape[:2]
    room = 2 * math.ceil(rise / 2)  # below, where it comes from
    padding = ((top, (top + height) % 2 + room), (left, (left + width) % 2), (0, 0))
    even = np.pad(rgba, padding, mode="edge")
    even[..., 3] = np.pad(rgba[..., 3], padding[:2])
    weights = np.ascontiguousarray(even[..., 3])
    half = cv2.resize(weights, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    planes = to_yuv(np.ascontiguousarray(even[..., :3]))
    return Layer(
        planes, weights, np.asarray(half, np.uint8), x - left, y - top, begin, end, rise=rise
    )


def draw_layer(frame: Frame, drawn: Layer, seconds: float) -> None:
    """Blends a layer into a frame as it is `seconds` into its shot."""
    strength = min(max((seconds - drawn.begin) / drawn.fade, 0.0), 1.0)
    coming = strength
    if drawn.end is not None:
        strength = min(strength, max((drawn.end - seconds) / drawn.fade, 0.0))
    if strength <= 0:
        return
    sink = drawn.rise * (1 - ease(coming)) if drawn.rise else 0.0
    for name, plane in planes_of(frame).items():
        halves = 1 if name == "y" else 2
        weights = drawn.weights if name == "y" else drawn.half_weights
        values = getattr(drawn.planes, name)
        x, y = drawn.x // halves, drawn.y // halves
        if sink:
            weights = _shifted(weights, sink / halves, cv2.BORDER_CONSTANT)
            # Colours are not weighted: mixed with nothing, the first row would be dark and green.
            values = _shifted(values, sink / halves, cv2.BORDER_REPLICATE)
        if strength < 1:
            weights = np.asarray(cv2.convertScaleAbs(weights, alpha=strength), np.uint8)
        h, w = weights.shape
        part = plane[y : y + h, x : x + w]
        part[:] = mix(part, values[: part.shape[0], : part.shape[1]], weights)


def _shifted(plane: Plane, down: float, border: int) -> Plane:
    """The plane moved down by a fraction of a pixel or more; what leaves is lost."""
    height, width = plane.shape
    warp = np.array([[1, 0, 0], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(plane, warp, (width, height), borderMode=border), np.uint8)

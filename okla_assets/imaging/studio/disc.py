"""The disc that turns a vehicle, drawn as a view sees it."""

import cv2
import numpy as np

from okla_assets.imaging.studio.floor import Floor
from okla_assets.imaging.types import Doubles, Floats

RADIUS = 1.65  # vehicle heights, at least: just under 2.5 m
SPARE = 1.05  # of what the vehicle needs to stand on it whole: a low, long one would hang over
EDGE = 0.035  # vehicle heights that the disc stands above the floor
LIGHTER, RIM, GAP = 1.018, 0.90, 0.72
"""Light on the disc, on its upright edge and in the gap around it, of the floor's."""


def on_turntable(canvas: Floats, floor: Floor) -> Floats:
    """A copy of the scene (H, W, 3) with the disc under the vehicle."""
    view = floor.view
    turns = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    middle = view.footprint.mean(axis=0)
    offset = float(np.median(floor.shift))
    # The vehicle stands on the disc, so the disc's edge hangs below the row of its top.
    radius = max(RADIUS, SPARE * float(np.hypot(*(view.footprint - middle).T).max()))
    points = middle + radius * circle
    points[:, 1] = np.maximum(points[:, 1], 0.4)
    top = view.seen(points)
    down = view.focal * EDGE / points[:, 1]
    foot = top + np.stack([np.zeros_like(down), down], axis=1)
    lit = canvas.copy()
    gap = view.seen(middle + (radius + 0.03) * circle)
    gap[:, 1] += float(down.max())
    rows = np.concatenate([gap[:, 1], foot[:, 1], top[:, 1]]) + offset
    first = min(max(0, int(rows.min()) - 2), canvas.shape[0] - 1)
    part = slice(first, max(first + 1, min(canvas.shape[0], int(rows.max()) + 3)))
    plain, drawn = canvas[part], lit[part]
    for outline, light in ((gap, GAP), (foot, RIM), (top, LIGHTER)):
        mask = _filled(np.add(outline, (0.0, offset - first)), drawn.shape[:2])
        np.copyto(drawn, drawn + ((plain * np.float32(light)).clip(0, 255) - drawn) * mask)
    return lit


def _filled(outline: Doubles, shape: tuple[int, int]) -> Floats:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return np.asarray(mask[..., None] / np.float32(255), np.float32)

"""A point of a vehicle carried from one picture of it to others that were taken from elsewhere.

The vehicle is the upright box that `studio.camera` fits to its matte in each picture. A pixel is
taken back along its ray to the side of the box that it lies on, and from there into the other
camera. Pixels are those of each picture's working copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.types import Doubles

FACES_CAMERA = 0.42
"""Cosine of the angle to a side's normal from which the side is seen well: 65 degrees."""
BESIDE = 0.08
"""Of a side's length: how far beyond its end a pixel may still belong to it."""
ABOVE, BELOW = 1.06, -0.06
"""Vehicle heights between which a point of the vehicle lies."""


@dataclass(frozen=True)
class Anchor:
    """A point on a vehicle: on which of its box's sides (0 front, 1 right, 2 rear, 3 left), how far
    along it (0 to 1, clockwise seen from above) and how high (vehicle heights)."""

    side: int
    along: float
    height: float


def anchored(view: View, x: float, y: float) -> Anchor | None:
    """The point of the vehicle at a pixel; None where the box is not."""
    slope = (x - view.centre) / view.focal
    best: tuple[tuple[float, float], Anchor] | None = None
    for side, (start, end) in enumerate(_sides(view)):
        across, deep = end - start
        turn = across - slope * deep
        if abs(turn) < 1e-9 or _facing(start, end, (start + end) / 2) <= 0:
            continue
        along = float((slope * start[1] - start[0]) / turn)
        distance = float(start[1] + along * deep)
        height = view.camera_height - (y - view.horizon) / view.focal * distance
        inside = -BESIDE <= along <= 1 + BESIDE and BELOW <= height <= ABOVE
        beside = max(-along, along - 1, 0.0)
        rank = beside, distance  # what lies on a side before what lies beside one
        if inside and distance > 0 and (best is None or rank < best[0]):
            best = rank, Anchor(side, min(max(along, 0.0), 1.0), min(max(height, 0.0), 1.0))
    return None if best is None else best[1]


def seen_at(anchor: Anchor, view: View) -> tuple[float, float] | None:
    """The pixel that shows the point; None where its side is turned away."""
    start, end = _sides(view)[anchor.side]
    point = start + anchor.along * (end - start)
    if point[1] <= 0 or _facing(start, end, point) < FACES_CAMERA:
        return None
    x = view.centre + view.focal * point[0] / point[1]
    y = view.horizon + view.focal * (view.camera_height - anchor.height) / point[1]
    return float(x), float(y)


def steadied(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of neighbouring pictures, each the mean of itself (twice) and its neighbours."""
    if len(points) < 3:
        return list(points)
    given = np.array(points)
    smooth = given.copy()
    smooth[1:-1] = (given[:-2] + 2 * given[1:-1] + given[2:]) / 4
    return [(float(x), float(y)) for x, y in smooth]


def _sides(view: View) -> list[tuple[Doubles, Doubles]]:
    """The ends of the box's sides on the floor: front, right, rear, left of the vehicle."""
    front_left, front_right, rear_right, rear_left = view.footprint
    return [
        (front_left, front_right),
        (front_right, rear_right),
        (rear_right, rear_left),
        (rear_left, front_left),
    ]


def _facing(start: Doubles, end: Doubles, point: Doubles) -> float:
    """Cosine between a side's outward normal and the way from the point to the camera at (0, 0)."""
    along = (end - start) / np.hypot(*(end - start))
    outward = np.array([-along[1], along[0]])
    return float(outward @ -point / np.hypot(*point))

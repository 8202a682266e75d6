"""What detectors of vehicles share: which of their answers are vehicles, and which are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from okla_assets.imaging.types import Floats
from resources.models.base import Detection

LEAST_CAR = 0.5  # of a vehicle's score: one with a lower score as a car is another vehicle


@dataclass(frozen=True)
class Classes:
    """What a network's class numbers stand for: its vehicles, what may stand before one by number,
    and cars, None where it does not tell them from other vehicles."""

    vehicles: Sequence[int]
    objects: Mapping[int, str]
    car: int | None


class Limits(Protocol):
    """What a detector's own fields say: vehicles score `min_score` at least, what may stand before
    one `min_object_score`; of boxes that overlap by more than `nms_iou` the best one stays."""

    @property
    def min_score(self) -> float: ...
    @property
    def min_object_score(self) -> float: ...
    @property
    def nms_iou(self) -> float: ...


def detections_of(
    boxes: Floats, scores: Floats, classes: Classes, shape: tuple[int, ...], limits: Limits
) -> list[Detection]:
    """The vehicles among a network's answers, best first, then what may stand before one.

    `boxes` (N, 4; x, y, w, h) are in pixels of the photo of `shape`, `scores` (N, classes).
    """

    def best(numbers: Sequence[int], least: float, kind: str) -> list[Detection]:
        score = scores[:, numbers].max(axis=1)
        keep = score >= least
        tells = kind == "vehicle" and classes.car is not None
        cars = scores[keep, classes.car] if tells else None
        return best_of(boxes[keep], score[keep], least, limits.nms_iou, shape, cars, kind)

    found = best(classes.vehicles, limits.min_score, "vehicle")
    for number, name in classes.objects.items():
        found += best([number], limits.min_object_score, name)
    return found


def best_of(
    boxes: Floats,
    scores: Floats,
    min_score: float,
    nms_iou: float,
    shape: tuple[int, ...],
    cars: Floats | None = None,
    kind: str = "vehicle",
) -> list[Detection]:
    """The best of many overlapping boxes (N, 4; x, y, w, h), cut at the photo of `shape`.

    `cars` (N,) are their scores as a car, None where the detector does not tell. One vehicle may be
    seen as car and as truck: NMS runs over the classes together.
    """
    import cv2

    if not len(boxes):
        return []
    chosen = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, nms_iou)
    height, width = shape
    found = []
    for i in np.asarray(chosen, dtype=int).ravel():
        x, y, w, h = boxes[i]
        x0, y0 = max(0.0, float(x)), max(0.0, float(y))
        x1, y1 = min(float(width), float(x + w)), min(float(height), float(y + h))
        other = cars is not None and bool(cars[i] < LEAST_CAR * scores[i])
        box = (x0, y0, x1 - x0, y1 - y0)
        found.append(Detection(box, float(scores[i]), kind, other_vehicle=other))
    return found


def by_class(numbers: Floats, scores: Floats, classes: Classes) -> Floats:
    """Scores (N, classes) of a network that names one class a box; -1 of every other class."""
    known = np.arange(1 + max([*classes.vehicles, *classes.objects]))
    return np.where(numbers.astype(int)[:, None] == known, scores[:, None], -1)


def from_centres(boxes: Floats) -> Floats:
    """(N, 4) of centre x, y, width, height as (N, 4) of x, y, width, height."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def from_corners(corners: Floats) -> Floats:
    """(N, 4) of left, top, right, bottom as (N, 4) of x, y, width, height."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)

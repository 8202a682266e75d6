"""Further questions to the segmenter about a crop, from the embedding that it already has.

One answer costs a call of the small decoder, a fiftieth of the encoder's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Floats

OUTSIDE, INSIDE, TOP_LEFT, BOTTOM_RIGHT = 0, 1, 2, 3
"""Labels of SAM 2's points: on the background, on the object, the corners of its box."""

Point = tuple[float, float]
Ask = Callable[[Sequence[Point], Sequence[int]], tuple[Floats, Floats]]
"""Points in pixels of the crop and their labels -> three masks' logits (3, h, w), which cover the
crop at a size of the network's own, and the score of each in [0, 1]."""


@dataclass(frozen=True)
class Answer:
    """One mask on the crop: logits float32 (H, W), > 0 is inside; score in [0, 1]."""

    logits: Floats
    score: float

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.logits > 0)


def about_box(ask: Ask, box: Box, shape: tuple[int, ...], outside: Sequence[Point] = ()) -> Answer:
    """The best mask of what is in the box, without what lies at the points `outside`."""
    x, y, w, h = box
    points = [(x, y), (x + w, y + h), *outside]
    return _best(ask(points, [TOP_LEFT, BOTTOM_RIGHT, *[OUTSIDE] * len(outside)]), shape)


def about_point(ask: Ask, point: Point, shape: tuple[int, ...]) -> list[Answer]:
    """The three masks of what lies at the point: a part, what it is part of, and the whole."""
    logits, scores = ask([point], [INSIDE])
    return [
        Answer(_at_size(one, shape), float(score))
        for one, score in zip(logits, scores, strict=True)
    ]


def _best(answer: tuple[Floats, Floats], shape: tuple[int, ...]) -> Answer:
    logits, scores = answer
    best = int(scores.argmax())
    return Answer(_at_size(logits[best], shape), float(scores[best]))


def _at_size(logits: Floats, shape: tuple[int, ...]) -> Floats:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR), np.float32)

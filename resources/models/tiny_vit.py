"""Category, angle, side and azimuth from TinyViT features and the small heads of `view_heads`.

TinyViT-5M (Wu et al. 2022, distilled on ImageNet-22k; MIT upstream) is used frozen: a 7x7 grid of
320 features. The category is read from their mean over the whole photo; the angle from the grid
itself over the boxed vehicle, since a mean cannot separate left from right. Every vehicle is
classified twice, as it is and mirrored, and the probabilities averaged: it costs one pass and saves
most flips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Floats, Rgb
from resources.models import inputs
from resources.models.base import ModelInfo, View
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest
from resources.models.view_heads import (
    CHANNELS,
    GRID,
    PoseProbabilities,
    ViewHeads,
    load_heads,
    packaged_heads,
)
from resources.models.view_probabilities import ViewProbabilities

if TYPE_CHECKING:
    import onnxruntime

WEIGHT = "tiny_vit_5m_patch"
SIDE_PX = 224
MARGIN = 0.06  # of the box, on each side: the heads were trained with it
_MEAN, _STD = inputs.MEAN * 255, inputs.STD * 255
# Memory, not speed: the network is no faster a picture in a batch.
_BATCH = 8


class TinyVitViewClassifier(dg.ConfigurableResource):  # type: ignore[type-arg]
    """TinyViT features under heads trained by `okla train-views`.

    `heads` is the path of a heads file, empty for the packaged one.
    """

    in_threads: ClassVar[bool] = True
    weights: str = WEIGHT
    heads: str = ""
    threads: int = 0
    runs_on: RunsOn = "cpu"

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        session = load_session(self.weights, self.threads, self.runs_on)
        heads = load_heads(self._heads_path())
        return [_view(session, heads, photo, box) for photo, box in zip(photos, boxes, strict=True)]

    def probabilities(
        self, photos: Sequence[Rgb], boxes: Sequence[Box | None]
    ) -> list[ViewProbabilities]:
        session = load_session(self.weights, self.threads, self.runs_on)
        heads = load_heads(self._heads_path())
        return [
            _probabilities(session, heads, photo, box)
            for photo, box in zip(photos, boxes, strict=True)
        ]

    def fingerprint(self) -> str:
        heads = load_heads(self._heads_path())
        own = f"tiny-vit-views:{weight_digest(self.weights)}:{heads.digest}"
        return own + engine_mark(self.weights, self.runs_on)

    def models(self) -> tuple[ModelInfo, ...]:
        path = self._heads_path()
        heads = ModelInfo("view heads", path.name, load_heads(path).digest, "AGPL-3.0-or-later")
        return (catalogue_model(self.weights), heads)

    def _heads_path(self) -> Path:
        return Path(self.heads) if self.heads else packaged_heads()


def _view(
    session: onnxruntime.InferenceSession, heads: ViewHeads, photo: Rgb, box: Box | None
) -> View:
    # The pose costs two passes, so it is computed only where it is part of the result.
    whole = _probabilities(session, heads, photo, None)
    view = whole.view()
    if view.category != "exterior" or box is None:
        return view
    return ViewProbabilities(whole.category, _pose_probabilities(session, heads, photo, box)).view()


def _probabilities(
    session: onnxruntime.InferenceSession, heads: ViewHeads, photo: Rgb, box: Box | None
) -> ViewProbabilities:
    category = heads.category.probabilities(mean_features(grid_features(session, [squash(photo)])))[
        0
    ]
    return ViewProbabilities(
        category, None if box is None else _pose_probabilities(session, heads, photo, box)
    )


def _pose_probabilities(
    session: onnxruntime.InferenceSession, heads: ViewHeads, photo: Rgb, box: Box
) -> PoseProbabilities:
    crop = vehicle_crop(photo, box)
    return mirror_averaged(heads, grid_features(session, [crop, crop[:, ::-1]]))


def mirror_averaged(heads: ViewHeads, grids: Floats) -> PoseProbabilities:
    """Probabilities of N vehicles from 2N grids: each crop followed by its mirror image."""
    return heads.angle_probabilities(grids[::2]).averaged(
        heads.angle_probabilities(grids[1::2]).mirrored()
    )


def squash(photo: Rgb) -> Rgb:
    """The whole photo at 224x224, aspect ratio not kept. RGB uint8 in and out."""
    import cv2

    shrinks = photo.shape[0] * photo.shape[1] > SIDE_PX * SIDE_PX
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(photo, (SIDE_PX, SIDE_PX), interpolation=method), np.uint8)


def vehicle_crop(photo: Rgb, box: Box) -> Rgb:
    """The box and a margin around it, squashed to 224x224. RGB uint8 in and out.

    `box` is (x, y, w, h) in pixels of `photo`; what sticks out of the photo is cut off.
    """
    height, width = photo.shape[:2]
    x, y, w, h = box
    left = int(np.clip(x - MARGIN * w, 0, width - 1))
    top = int(np.clip(y - MARGIN * h, 0, height - 1))
    right = int(np.clip(np.ceil(x + w + MARGIN * w), left + 1, width))
    bottom = int(np.clip(np.ceil(y + h + MARGIN * h), top + 1, height))
    return squash(photo[top:bottom, left:right])


def grid_features(session: onnxruntime.InferenceSession, pictures: Sequence[Rgb]) -> Floats:
    """TinyViT features (N, 7, 7, 320) float32 of 224x224 RGB pictures; rows, then columns."""
    name = session.get_inputs()[0].name
    grids = [session.run(None, {name: _normalised(batch)})[0] for batch in _batches(pictures)]
    if not grids:
        return np.zeros((0, GRID, GRID, CHANNELS), np.float32)
    return np.concatenate(grids).astype(np.float32, copy=False)


def mean_features(grids: Floats) -> Floats:
    """(N, 7, 7, 320) -> (N, 320)."""
    return np.asarray(grids.mean(axis=(1, 2)), np.float32)


def _batches(pictures: Sequence[Rgb]) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(pictures), _BATCH):
        yield np.stack(pictures[start : start + _BATCH])


def _normalised(batch: npt.NDArray[np.uint8]) -> Floats:
    scaled = (batch.astype(np.float32) - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

"""Mattes of a turn: SAM 2 on every fourth of 36 frames and where it is narrowest, U2-Net on all.

The method is in `imaging.turn.propagation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dagster as dg
import numpy as np
import numpy.typing as npt
from pydantic import Field

from okla_assets.imaging.types import Alpha, Box, Floats, Rgb
from resources.models.asking import asked
from resources.models.base import Matte, ModelInfo
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.u2net_onnx import U2NetOnnx

METHOD = 8  # of `imaging.turn.propagation` and `imaging.matte.cutout`, for the fingerprint


class PropagatedMatte(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SAM 2's silhouettes propagated from key frames, U2-Net's edge.

    Where the two disagree on a frame, or it contradicts its neighbours, SAM 2 segments it too. One
    that contradicts them even then, as with a wall taken for its roof, gets their silhouettes
    instead, and agreement 0 where that contradicts them too.
    """

    sam2: Sam2Onnx = Field(default_factory=Sam2Onnx)
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        from okla_assets.imaging.turn import propagation

        work = _Turn(self.sam2, self.saliency, frames, boxes)
        exact = propagation.key_frames(boxes)

        def between(i: int) -> None:
            work.propagate(i, exact)
            if work.agreement[i] < propagation.LEAST_AGREEMENT:
                work.segment(i)

        each = partial(asked, models=[self.sam2, self.saliency])
        each(exact, ask=work.segment)
        each(sorted(set(range(len(frames))) - set(exact)), ask=between)
        each(propagation.jumps(work.grids(), boxes), ask=work.segment)
        odd = propagation.jumps(work.grids(), boxes)
        sound = sorted(set(range(len(frames))) - set(odd))
        for i in odd:
            work.propagate(i, sound)
        for i in propagation.jumps(work.grids(), boxes):
            work.agreement[i] = 0.0
        return work.mattes()

    def fingerprint(self) -> str:
        return f"carried:{METHOD}:{self.sam2.fingerprint()}:{self.saliency.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        return self.sam2.models() + self.saliency.models()


class _Turn:
    """What is known of each frame so far: the alpha of its crop, and the networks' agreement."""

    def __init__(
        self, sam2: Sam2Onnx, saliency: U2NetOnnx, frames: Sequence[Rgb], boxes: Sequence[Box]
    ) -> None:
        from okla_assets.imaging.matte import cutout

        self._sam2, self._saliency = sam2, saliency
        self._frames, self._boxes = frames, boxes
        self._crops = [
            cutout.crop_box(box, frame.shape[1], frame.shape[0])
            for frame, box in zip(frames, boxes, strict=True)
        ]
        self._alphas: dict[int, Alpha] = {}
        self._salient: dict[int, Alpha] = {}
        self._grey: dict[int, npt.NDArray[np.uint8]] = {}
        self._distance: dict[int, Floats] = {}
        self._segmented: set[int] = set()
        self.agreement: dict[int, float] = {}

    def segment(self, i: int) -> None:
        """The full method on one frame, once."""
        from okla_assets.imaging.matte import cutout

        if i in self._segmented:
            return
        self._segmented.add(i)
        crop, (left, top, _, _) = self._crop(i), self._crops[i]
        x, y, w, h = self._boxes[i]
        logits = self._sam2.logits(crop, (x - left, y - top, w, h))
        alpha, self.agreement[i] = cutout.fuse(
            logits, self._seen(i, crop), (x - left, y - top, w, h)
        )
        self._alphas[i] = alpha

    def propagate(self, i: int, exact: Sequence[int]) -> None:
        """The matte of one frame between two of the `exact` ones, which have theirs."""
        from okla_assets.imaging.turn import propagation

        before = max(k for k in exact if k < i)
        after = min(k for k in exact if k > i)
        near = (i - before) / (after - before)
        keys = [(before, 1 - near), (after, near)]
        distance = propagation.propagated(
            self._grey_of(i), [(self._grey_of(k), self._distance_of(k), w) for k, w in keys]
        )
        (x, y, w, h), (left, top, _, _) = self._boxes[i], self._crops[i]
        self._alphas[i], self.agreement[i] = propagation.fuse_propagated(
            distance, self._seen(i, self._crop(i)), (x - left, y - top, w, h)
        )

    def _distance_of(self, i: int) -> Floats:
        from okla_assets.imaging.turn import propagation

        if i not in self._distance:
            grid = propagation.as_grid(self._alphas[i])
            self._distance[i] = propagation.signed_distance(grid > 0.5)
        return self._distance[i]

    def grids(self) -> list[Alpha]:
        from okla_assets.imaging.turn import propagation

        return [propagation.as_grid(self._alphas[i]) for i in range(len(self._frames))]

    def mattes(self) -> list[Matte]:
        """Every frame's matte, at the frame's size."""
        from okla_assets.imaging.matte import cutout

        mattes = []
        for i, (frame, (left, top, right, bottom)) in enumerate(
            zip(self._frames, self._crops, strict=True)
        ):
            alpha = np.zeros(frame.shape[:2], np.float32)
            alpha[top:bottom, left:right] = self._alphas[i]
            mattes.append(Matte(cutout.smooth_edge(alpha, frame.shape[1]), self.agreement[i]))
        return mattes

    def _crop(self, i: int) -> Rgb:
        left, top, right, bottom = self._crops[i]
        return np.ascontiguousarray(self._frames[i][top:bottom, left:right])

    def _seen(self, i: int, crop: Rgb) -> Alpha:
        if i not in self._salient:
            self._salient[i] = self._saliency.saliency(crop)
        return self._salient[i]

    def _grey_of(self, i: int) -> npt.NDArray[np.uint8]:
        from okla_assets.imaging.turn import propagation

        if i not in self._grey:
            self._grey[i] = propagation.grey_grid(self._crop(i))
        return self._grey[i]

"""U2-Net saliency on ONNX Runtime: what stands out from its surroundings, with a fine edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Alpha, Rgb
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.inputs import MEAN, STD
from resources.models.onnx import (
    RunsOn,
    catalogue_model,
    engine_mark,
    load_session,
    weight_digest,
)

SIDE = 320


class U2NetOnnx(dg.ConfigurableResource):  # type: ignore[type-arg]
    """U2-Net (Qin et al. 2020), the network rembg uses by default."""

    in_threads: ClassVar[bool] = True
    weights: str = "u2net"
    threads: int = 0
    runs_on: RunsOn = "cpu"

    def saliency(self, picture: Rgb) -> Alpha:
        """Probability float32 (H, W) that a pixel belongs to what the picture is about."""
        import cv2

        session = load_session(self.weights, self.threads, self.runs_on)
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        pixels = (small / max(float(small.max()), 1e-6) - MEAN) / STD
        name, first = session.get_inputs()[0].name, session.get_outputs()[0].name
        (output,) = session.run([first], {name: pixels.transpose(2, 0, 1)[None]})
        probability = np.asarray(output)[0, 0]
        low, high = float(probability.min()), float(probability.max())
        probability = (probability - low) / max(high - low, 1e-6)
        full = cv2.resize(probability, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(full.clip(0, 1), np.float32)

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        """Mattes by saliency on the boxed crop alone."""
        from okla_assets.imaging.matte.cutout import crop_box

        mattes = []
        for photo, subject in zip(photos, subjects, strict=True):
            height, width = photo.shape[:2]
            x0, y0, x1, y1 = crop_box(subject.box, width, height)
            alpha = np.zeros((height, width), np.float32)
            alpha[y0:y1, x0:x1] = self.saliency(photo[y0:y1, x0:x1])
            mattes.append(Matte(alpha, None))
        return mattes

    def fingerprint(self) -> str:
        return f"u2net:{weight_digest(self.weights)}{engine_mark(self.weights, self.runs_on)}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights, "saliency matte"),)

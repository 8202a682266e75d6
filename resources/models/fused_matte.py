"""The default matte: SAM 2 says which pixels are the vehicle, U2-Net where its edge runs."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import numpy as np
from pydantic import Field

from resources.models.base import Box, Matte, ModelInfo, Rgb
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.u2net_onnx import U2NetOnnx


class FusedMatte(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Both networks on the boxed crop, fused; their agreement is the quality flag."""

    sam2: Sam2Onnx = Field(default_factory=Sam2Onnx)
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)

    def segment(self, photos: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """One matte a photo, for the vehicle in its box."""
        return [self._segment(p, b) for p, b in zip(photos, boxes, strict=True)]

    def fingerprint(self) -> str:
        """Identifies weights and settings."""
        return f"fused:{self.sam2.fingerprint()}:{self.saliency.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        """The weights it uses."""
        return self.sam2.models() + self.saliency.models()

    def _segment(self, photo: Rgb, box: Box) -> Matte:
        from okla_assets.imaging import matte

        height, width = photo.shape[:2]
        x0, y0, x1, y1 = matte.crop_box(box, width, height)
        crop = np.ascontiguousarray(photo[y0:y1, x0:x1])
        x, y, w, h = box
        logits = self.sam2.logits(crop, (x - x0, y - y0, w, h))
        fused, agreement = matte.fuse(logits, self.saliency.saliency(crop), w)
        alpha = np.zeros((height, width), np.float32)
        alpha[y0:y1, x0:x1] = fused
        return Matte(matte.smooth_edge(alpha, width), agreement)

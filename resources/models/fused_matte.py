"""The default matte: SAM 2 decides which pixels are the vehicle, U2-Net where its edge runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Alpha, Box, Floats, Rgb
from resources.models.base import Matte, ModelInfo
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.u2net_onnx import U2NetOnnx


class FusedMatte(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Both networks on the boxed crop, fused; their agreement is the quality flag."""

    sam2: Sam2Onnx = Field(default_factory=Sam2Onnx)
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)

    def segment(self, photos: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        return [self._segment(p, b) for p, b in zip(photos, boxes, strict=True)]

    def fingerprint(self) -> str:
        return f"fused:{self.sam2.fingerprint()}:{self.saliency.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        return self.sam2.models() + self.saliency.models()

    def _segment(self, photo: Rgb, box: Box) -> Matte:
        crop = crop_of(photo, box)
        logits = self.sam2.logits(crop.pixels, crop.box)
        return fused(crop, logits, self.saliency.saliency(crop.pixels))


@dataclass(frozen=True)
class Crop:
    """The boxed vehicle with some of its surroundings, cut out of its photo.

    `box` is the vehicle's, in pixels of the crop; `left` and `top` are its corner on the
    photo of `height` x `width`.
    """

    pixels: Rgb
    box: Box
    left: int
    top: int
    height: int
    width: int

    def on_photo(self, alpha: Alpha) -> Alpha:
        """An alpha of the crop, at the photo's size: 0 all around it."""
        whole = np.zeros((self.height, self.width), np.float32)
        rows, columns = alpha.shape
        whole[self.top : self.top + rows, self.left : self.left + columns] = alpha
        return whole

    def of_photo(self, alpha: Alpha) -> Alpha:
        """The crop's part of an alpha of the photo."""
        rows, columns = self.pixels.shape[:2]
        return alpha[self.top : self.top + rows, self.left : self.left + columns]


def crop_of(photo: Rgb, box: Box) -> Crop:
    """Cuts the crop out. Raises ValueError where the box lies outside the photo."""
    from okla_assets.imaging.matte import cutout

    height, width = photo.shape[:2]
    x0, y0, x1, y1 = cutout.crop_box(box, width, height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {box} lies outside the photo of {width}x{height} pixels")
    x, y, w, h = box
    pixels = np.ascontiguousarray(photo[y0:y1, x0:x1])
    return Crop(pixels, (x - x0, y - y0, w, h), x0, y0, height, width)


def fused(crop: Crop, logits: Floats, saliency: Alpha) -> Matte:
    """The matte of a photo from both networks' answers (H, W) on its crop."""
    from okla_assets.imaging.matte import cutout

    alpha, agreement = cutout.fuse(logits, saliency, crop.box[2])
    return Matte(cutout.smooth_edge(crop.on_photo(alpha), crop.width), agreement)

"""SAM 2 by the `sam2` package, for owners of its checkpoints rather than transformers'.

The package on PyPI is a re-upload by others than Meta; it is an extra of its own because its
requirements break Dagster's (see pyproject.toml). Its checkpoints are pickles, which it opens with
torch's restricted reader; name only one that you trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Box, Rgb
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.fused_matte import METHOD, crop_of, fused
from resources.models.sam2_torch import CLIP, Logits, at_size
from resources.models.torch_models import (
    Device,
    file_digest,
    in_batches,
    load,
    need,
    resolve_device,
    size_of,
)
from resources.models.u2net_onnx import U2NetOnnx
from resources.weights import WeightsMissing

INSTALL = "pip install 'okla-media[gpu,sam2]'"


class Sam2Meta(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SAM 2's image predictor, box prompt, refined once with its own mask, edge by U2-Net.

    `weights` is the path of a .pt checkpoint, `architecture` the package's configuration for it.
    """

    weights: str
    architecture: str = "configs/sam2.1/sam2.1_hiera_l.yaml"
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)
    device: str = "auto"
    batch: int = 4

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        cuts = list(zip(photos, subjects, strict=True))
        return in_batches(cuts, self.batch, self._segment, lambda cut: size_of(cut[0]))

    def fingerprint(self) -> str:
        where = resolve_device(self.device, "float32")
        own = f"{file_digest(self._path())}:{self.architecture}:{where}"
        return f"sam2-meta:{METHOD}:{own}:{self.saliency.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        path = self._path()
        own = ModelInfo("segmentation", path.name, file_digest(path), "Apache-2.0")
        return (own, *self.saliency.models())

    def _path(self) -> Path:
        path = Path(self.weights).expanduser()
        if not path.is_file():
            raise WeightsMissing(f"{path}: there is no such checkpoint of SAM 2")
        return path

    def _segment(self, cuts: Sequence[tuple[Rgb, Subject]]) -> list[Matte]:
        crops = [crop_of(photo, subject.box) for photo, subject in cuts]
        found = self._logits([c.pixels for c in crops], [c.box for c in crops])
        return [
            fused(
                crop,
                at_size(logits, crop.pixels),
                self.saliency.saliency(crop.pixels),
                subject,
                None,
            )
            for crop, (_, subject), logits in zip(crops, cuts, found, strict=True)
        ]

    def _logits(self, crops: Sequence[Rgb], boxes: Sequence[Box]) -> list[Logits]:
        """Refined mask logits (256, 256) of each squashed crop."""
        torch = need("torch")
        where, path = resolve_device(self.device, "float32"), self._path()
        key = f"sam2-meta:{self.architecture}"
        predictor = load(key, file_digest(path), where, lambda: self._predictor(path, where))
        corners = [np.array([x, y, x + w, y + h], np.float32) for x, y, w, h in boxes]
        with torch.inference_mode():
            predictor.set_image_batch(list(crops))
            first = _best(predictor.predict_batch(box_batch=corners, return_logits=True))
            again = [np.clip(logits, -CLIP, CLIP)[None] for logits in first]
            return _best(
                predictor.predict_batch(
                    box_batch=corners, mask_input_batch=again, return_logits=True
                )
            )

    def _predictor(self, path: Path, where: Device) -> Any:
        build = need_sam2("sam2.build_sam")
        image = need_sam2("sam2.sam2_image_predictor")
        network = build.build_sam2(self.architecture, str(path), device=where.device)
        return image.SAM2ImagePredictor(network)


def need_sam2(module: str) -> Any:
    """A module of the package, or `BrokenSetup` with the command that installs it."""
    return need(module, INSTALL)


def _best(answer: tuple[Sequence[Any], Sequence[Any], Sequence[Any]]) -> list[Logits]:
    """The low-resolution logits of each picture's best mask."""
    _, scores, low = answer
    return [
        np.asarray(logits[int(np.argmax(score))], np.float32)
        for score, logits in zip(scores, low, strict=True)
    ]

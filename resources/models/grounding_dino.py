"""Grounding DINO (Liu et al. 2023): an open-vocabulary detector, for what COCO has no class for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Floats, Rgb
from resources.models.base import Detection, ModelInfo
from resources.models.detections import best_of, from_centres
from resources.models.inputs import MEAN, STD
from resources.models.torch_models import (
    Checkpoint,
    checkpoint,
    from_folder,
    in_batches,
    need,
    normalised,
    resolve_device,
    size_of,
    to_device,
    tokenizer_of,
)


class GroundingDino(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Detects what `words` name; photos go through it squashed to `side`, a batch in one shape."""

    weights: str = "IDEA-Research/grounding-dino-tiny"
    words: list[str] = Field(default_factory=lambda: ["car", "bus", "truck"])
    side: int = 800
    min_score: float = 0.3
    nms_iou: float = 0.6
    device: str = "auto"
    batch: int = 4

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        return in_batches(photos, self.batch, self._detect, size_of)

    def fingerprint(self) -> str:
        settings = f"{self.words}:{self.side}:{self.min_score}:{self.nms_iou}"
        where = resolve_device(self.device, "float32")
        return f"grounding-dino:{self._checkpoint().digest}:{settings}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._checkpoint().info("vehicle detector"),)

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, ("grounding-dino",))

    def _detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        torch = need("torch")
        # float32: in bfloat16 its deformable attention samples the wrong positions.
        source, where = self._checkpoint(), resolve_device(self.device, "float32")
        model = from_folder("GroundingDinoForObjectDetection", source, where)
        tokens, spans = self._prompt(source)
        squashed = np.stack([_squashed(photo, self.side) for photo in photos])
        with torch.inference_mode():
            pixels = normalised(to_device(squashed, where), MEAN.tolist(), STD.tolist())
            repeated = {
                name: value.to(where.device).expand(len(photos), -1)
                for name, value in tokens.items()
            }
            answer = model(pixel_values=pixels, **repeated)
            probabilities = answer.logits.float().sigmoid().cpu().numpy()
            boxes = answer.pred_boxes.float().cpu().numpy()
        return [
            self._found(photo, o, b, spans)
            for photo, o, b in zip(photos, probabilities, boxes, strict=True)
        ]

    def _prompt(self, source: Checkpoint) -> tuple[dict[str, Any], list[tuple[int, int]]]:
        """The prompt's tokens, and the range of each word among them."""
        tokenizer = tokenizer_of(source)
        prompt = tokenizer(" ".join(f"{word.lower()}." for word in self.words), return_tensors="pt")
        end = tokenizer.convert_tokens_to_ids(".")
        stops = [i for i, token in enumerate(prompt["input_ids"][0].tolist()) if token == end]
        return dict(prompt), list(zip([1, *(s + 1 for s in stops[:-1])], stops, strict=True))

    def _found(
        self,
        photo: Rgb,
        probabilities: Floats,
        boxes: Floats,
        spans: Sequence[tuple[int, int]],
    ) -> list[Detection]:
        """`probabilities` (N, tokens); `boxes` (N, 4): centre and size in shares of the photo."""
        height, width = photo.shape[:2]
        score = np.max([probabilities[:, a:b].max(axis=1) for a, b in spans], axis=0)
        keep = score >= self.min_score
        size = np.array([width, height, width, height], np.float32)
        placed = from_centres(boxes[keep]) * size
        return best_of(placed, score[keep], self.min_score, self.nms_iou, (height, width))


def _squashed(photo: Rgb, side: int) -> Rgb:
    import cv2

    return np.asarray(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

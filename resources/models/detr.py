"""Detection transformers of transformers as vehicle detector: D-FINE (Peng et al. 2024), RT-DETR
(Zhao et al. 2023) and their kin, whose COCO weights are Apache-2.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import Detection, ModelInfo
from resources.models.detections import Classes, detections_of, from_centres
from resources.models.preprocessing import preprocessing
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
)
from resources.models.yolo_onnx import OBJECT_CLASSES, VEHICLE_CLASSES

KINDS = ("d_fine", "rt_detr", "rt_detr_v2")
"""Those that give each class a probability of its own; the first DETRs have a class for nothing."""
VEHICLES = tuple(VEHICLE_CLASSES.values())
OTHER_NAMES = {"motorbike": "motorcycle", "pottedplant": "potted plant"}
"""What RT-DETR's and D-FINE's own configurations call some of COCO's classes."""


class Detr(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Vehicles and what may stand before them, by the names in the checkpoint's own `id2label`.

    `weights` is a name of the catalogue, a folder or a hub id. `vehicles` are its labels of
    vehicles, for a network of other classes than COCO's.
    """

    weights: str = "dfine_medium"
    vehicles: list[str] = Field(default_factory=lambda: list(VEHICLES))
    min_score: float = 0.25
    min_object_score: float = 0.35
    nms_iou: float = 0.6
    device: str = "auto"
    batch: int = 8

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        return in_batches(photos, self.batch, self._detect, size_of)

    def fingerprint(self) -> str:
        own = f"{self.vehicles}:{self.min_score}:{self.min_object_score}:{self.nms_iou}"
        where = resolve_device(self.device, "float32")
        return f"detr:{self._checkpoint().digest}:{own}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._checkpoint().info("vehicle detector"),)

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, KINDS)

    def _detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        import cv2

        torch = need("torch")
        # float32: in bfloat16 deformable attention samples the wrong positions.
        source, where = self._checkpoint(), resolve_device(self.device, "float32")
        numbers = self._numbers(source)
        wanted = preprocessing(source)
        model = from_folder("AutoModelForObjectDetection", source, where)
        size = wanted.size[::-1]
        squashed = [cv2.resize(photo, size, interpolation=cv2.INTER_AREA) for photo in photos]
        with torch.inference_mode():
            pixels = to_device(np.stack(squashed), where)
            answer = model(pixel_values=normalised(pixels, wanted.mean, wanted.std))
            scores = answer.logits.float().sigmoid().cpu().numpy()
            boxes = answer.pred_boxes.float().cpu().numpy()
        return [
            self._found(photo.shape[:2], s, b, numbers)
            for photo, s, b in zip(photos, scores, boxes, strict=True)
        ]

    def _numbers(self, source: Checkpoint) -> dict[str, int]:
        """The class of each label that is looked for. Raises `BrokenSetup` for an unknown one."""
        labels = source.config.get("id2label")
        named = labels if isinstance(labels, Mapping) else {}
        numbers = {
            OTHER_NAMES.get(str(label), str(label)): int(number) for number, label in named.items()
        }
        if missing := [name for name in self.vehicles if name not in numbers]:
            raise BrokenSetup(
                f"{source.folder}: its config.json has no label {', '.join(missing)}; set vehicles "
                f"to some of: {', '.join(numbers) or 'none'}"
            )
        return numbers

    def _classes(self, numbers: Mapping[str, int]) -> Classes:
        """Other things than vehicles are looked for where these are COCO's."""
        beside = OBJECT_CLASSES.values() if tuple(self.vehicles) == VEHICLES else ()
        return Classes(
            [numbers[name] for name in self.vehicles],
            {numbers[name]: name for name in beside if name in numbers},
            numbers["car"] if "car" in self.vehicles else None,
        )

    def _found(
        self, shape: tuple[int, ...], scores: Floats, boxes: Floats, numbers: Mapping[str, int]
    ) -> list[Detection]:
        """`scores` (N, classes); `boxes` (N, 4): centre and size in shares of the photo."""
        height, width = shape
        placed = from_centres(boxes * np.array([width, height, width, height], np.float32))
        return detections_of(placed, scores, self._classes(numbers), shape, self)

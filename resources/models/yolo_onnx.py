"""YOLOv8 exported to ONNX, as vehicle detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Rgb
from resources.models.base import Detection, ModelInfo
from resources.models.detections import Classes, detections_of, from_centres
from resources.models.inputs import letterbox
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest

if TYPE_CHECKING:
    import onnxruntime

INPUT_SIDE = 640
CAR = 2
VEHICLE_CLASSES = {CAR: "car", 5: "bus", 7: "truck"}
OBJECT_CLASSES = {
    0: "person",
    1: "bicycle",
    3: "motorcycle",
    10: "fire hydrant",
    11: "stop sign",
    12: "parking meter",
    13: "bench",
    15: "cat",
    16: "dog",
    25: "umbrella",
    28: "suitcase",
    56: "chair",
    58: "potted plant",
}
"""What may stand before a vehicle."""
COCO = Classes(tuple(VEHICLE_CLASSES), OBJECT_CLASSES, CAR)
"""COCO's classes as YOLO numbers them, without gaps."""


class YoloOnnxDetector(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Vehicles (COCO car, bus, truck), and what may stand before them, by an Ultralytics YOLOv8
    export without NMS inside."""

    in_threads: ClassVar[bool] = True
    weights: str = "yolov8s"
    min_score: float = 0.25
    min_object_score: float = 0.35
    nms_iou: float = 0.6
    threads: int = 0
    runs_on: RunsOn = "cpu"

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        session = load_session(self.weights, self.threads, self.runs_on)
        return [self._detect(session, photo) for photo in photos]

    def fingerprint(self) -> str:
        own = f"yolo:{weight_digest(self.weights)}:{self.min_score}:{self.nms_iou}"
        own += f":{self.min_object_score}"
        return own + engine_mark(self.weights, self.runs_on)

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights),)

    def _detect(self, session: onnxruntime.InferenceSession, photo: Rgb) -> list[Detection]:
        pixels, scale, left, top = letterbox(photo, INPUT_SIDE)
        (output,) = session.run(None, {"images": pixels})
        rows = np.asarray(output)[0].T  # centre, size, and a score a class
        corner = np.array([left / scale, top / scale, 0, 0], np.float32)
        boxes = from_centres(rows[:, :4] / scale) - corner
        return detections_of(boxes, rows[:, 4:], COCO, photo.shape[:2], self)

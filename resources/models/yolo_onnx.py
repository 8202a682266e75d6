"""YOLOv8 exported to ONNX, as vehicle detector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Floats, Rgb
from resources.models.base import Detection, ModelInfo
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest

INPUT_SIDE = 640
PAD_GREY = 114
CAR = 2
VEHICLE_CLASSES = {CAR: "car", 5: "bus", 7: "truck"}
LEAST_CAR = 0.5  # of a vehicle's score: one with a lower score as a car is another vehicle
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
        found = []
        for photo in photos:
            pixels, scale, left, top = letterbox(photo, INPUT_SIDE)
            (output,) = session.run(None, {"images": pixels})
            found.append(self._detections(np.asarray(output)[0], scale, left, top, photo.shape[:2]))
        return found

    def fingerprint(self) -> str:
        own = f"yolo:{weight_digest(self.weights)}:{self.min_score}:{self.nms_iou}"
        own += f":{self.min_object_score}"
        return own + engine_mark(self.weights, self.runs_on)

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights),)

    def _detections(
        self,
        output: Floats,
        scale: float,
        left: float,
        top: float,
        shape: tuple[int, ...],
    ) -> list[Detection]:
        def found(classes: Iterable[int], least: float, kind: str) -> list[Detection]:
            score = output[[4 + number for number in classes]].max(axis=0)
            keep = score >= least
            cx, cy, w, h = output[:4, keep] / scale
            boxes = np.stack([cx - w / 2 - left / scale, cy - h / 2 - top / scale, w, h], axis=1)
            cars = output[4 + CAR, keep] if kind == "vehicle" else None
            return best_of(boxes, score[keep], least, self.nms_iou, shape, cars, kind)

        detections = found(VEHICLE_CLASSES, self.min_score, "vehicle")
        for number, name in OBJECT_CLASSES.items():
            detections += found([number], self.min_object_score, name)
        return detections


def best_of(
    boxes: Floats,
    scores: Floats,
    min_score: float,
    nms_iou: float,
    shape: tuple[int, ...],
    cars: Floats | None = None,
    kind: str = "vehicle",
) -> list[Detection]:
    """The best of many overlapping boxes (N, 4; x, y, w, h), cut at the photo of `shape`.

    `cars` (N,) are their scores as a car, None where the detector does not tell. One vehicle may be
    seen as car and as truck: NMS runs over the classes together.
    """
    import cv2

    if not len(boxes):
        return []
    chosen = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, nms_iou)
    height, width = shape
    found = []
    for i in np.asarray(chosen, dtype=int).ravel():
        x, y, w, h = boxes[i]
        x0, y0 = max(0.0, float(x)), max(0.0, float(y))
        x1, y1 = min(float(width), float(x + w)), min(float(height), float(y + h))
        other = cars is not None and bool(cars[i] < LEAST_CAR * scores[i])
        box = (x0, y0, x1 - x0, y1 - y0)
        found.append(Detection(box, float(scores[i]), kind, other_vehicle=other))
    return found


Letterboxed = tuple[Floats, float, float, float]


def letterbox(photo: Rgb, side: int) -> Letterboxed:
    """The photo fitted into a square on grey 114, as 1x3xSxS in [0, 1]; with scale, left, top."""
    import cv2

    height, width = photo.shape[:2]
    scale = side / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(
        photo, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    left, top = (side - w) // 2, (side - h) // 2
    canvas = np.full((side, side, 3), PAD_GREY, np.uint8)
    canvas[top : top + h, left : left + w] = small
    pixels = np.asarray(canvas.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    return pixels, scale, float(left), float(top)

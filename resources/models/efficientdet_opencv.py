"""EfficientDet-Lite on OpenCV, as vehicle detector: permissive weights, and no package more."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import Detection, ModelInfo
from resources.models.detections import Classes, by_class, detections_of, from_corners
from resources.models.onnx import catalogue_model, weight_digest, weight_file

if TYPE_CHECKING:
    import cv2

COCO = Classes(
    vehicles=(2, 5, 7),
    objects={
        0: "person",
        1: "bicycle",
        3: "motorcycle",
        10: "fire hydrant",
        12: "stop sign",
        13: "parking meter",
        14: "bench",
        16: "cat",
        17: "dog",
        27: "umbrella",
        32: "suitcase",
        61: "chair",
        63: "potted plant",
    },
    car=2,
)
"""COCO's own numbers less one: unlike YOLO's, they have gaps."""

_networks: dict[str, cv2.dnn.Net] = {}
_in_use = threading.Lock()


class EfficientDetLite(dg.ConfigurableResource):  # type: ignore[type-arg]
    """EfficientDet-Lite (Tan et al. 2020; Google's TFLite files, Apache-2.0), trained on COCO.

    `weights` is a name of the catalogue or the path of a .tflite file whose NMS is inside; `side`
    is that of its input: Lite0 320, Lite1 384, Lite2 448.
    """

    weights: str = "efficientdet_lite2"
    side: int = 448
    min_score: float = 0.25
    min_object_score: float = 0.35
    nms_iou: float = 0.6

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        return [self._detect(photo) for photo in photos]

    def fingerprint(self) -> str:
        own = f"{self.side}:{self.min_score}:{self.min_object_score}:{self.nms_iou}"
        return f"efficientdet:{weight_digest(self.weights)}:{own}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights, "vehicle detector"),)

    def _detect(self, photo: Rgb) -> list[Detection]:
        rows = self._run(photo)
        height, width = photo.shape[:2]
        boxes = from_corners(rows[:, 3:] * np.array([width, height, width, height], np.float32))
        scores = by_class(rows[:, 1], rows[:, 2], COCO)
        return detections_of(boxes, scores, COCO, (height, width), self)

    def _run(self, photo: Rgb) -> Floats:
        """(N, 7): unused, class, score, and two corners in shares of the photo."""
        import cv2

        # Not padded: the boxes of a squashed photo are the better ones (IoU .97 against .94).
        method = cv2.INTER_AREA if max(photo.shape) > self.side else cv2.INTER_LINEAR
        square = cv2.resize(photo, (self.side, self.side), interpolation=method)
        # A network of OpenCV holds its input and is not to be used by two threads at once.
        with _in_use:
            network = self._network()
            # It normalises inside.
            network.setInput(cv2.dnn.blobFromImage(square))
            try:
                # OpenCV 4 names one output; 5 names four, and has all of them in the first.
                answered = network.forward(network.getUnconnectedOutLayersNames())[0]
            except cv2.error as error:
                raise BrokenSetup(
                    f"{self.weights}: takes no pictures of {self.side} pixels; set side ({error})"
                ) from error
        if answered is None or answered.shape[-1] != 7:
            raise BrokenSetup(
                f"{self.weights}: does not answer with boxes; it needs a detector with "
                "TFLite_Detection_PostProcess inside"
            )
        return np.asarray(answered, np.float32).reshape(-1, 7)

    def _network(self) -> cv2.dnn.Net:
        import cv2

        key = weight_digest(self.weights)
        if key not in _networks:
            content = np.fromfile(weight_file(self.weights), np.uint8)
            try:
                _networks[key] = cv2.dnn.readNetFromTFLite(content)
            except cv2.error as error:
                raise BrokenSetup(
                    f"{self.weights}: is no TFLite file that OpenCV reads ({error})"
                ) from error
        return _networks[key]

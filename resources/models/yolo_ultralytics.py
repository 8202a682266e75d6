"""Any YOLO detector of Ultralytics (v8, 11, 26) as vehicle detector, batched: .pt or .onnx.

Only the network is Ultralytics' here: photos are letterboxed and boxes chosen by our own code, the
same for every format, so that a .pt and its .onnx agree, and nothing of the package's is run that
downloads, installs or reports.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import Detection, ModelInfo
from resources.models.detections import (
    Classes,
    by_class,
    detections_of,
    from_centres,
    from_corners,
)
from resources.models.inputs import letterbox
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest
from resources.models.torch_models import (
    Device,
    as_numbers,
    file_digest,
    in_batches,
    load,
    need,
    resolve_device,
    size_of,
    to_device,
)
from resources.models.yolo_onnx import OBJECT_CLASSES, VEHICLE_CLASSES
from resources.weights import WeightsMissing

QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
"""Ultralytics' own switches, read when it is imported: else it reports each run to its makers and
installs packages by itself."""


class YoloUltralytics(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Vehicles (COCO car, bus, truck) by a YOLO network.

    `weights` is a name of the catalogue, or the path of an .onnx or .pt file. A .pt is a pickle,
    which can run any code while it is opened: name only one that you trust. `classes` maps the
    network's class numbers to what they are, for a network of other classes than COCO's.
    """

    weights: str = "yolov8m"
    side: int = 640
    min_score: float = 0.25
    min_object_score: float = 0.35
    nms_iou: float = 0.6
    classes: dict[str, str] = Field(
        default_factory=lambda: {str(number): name for number, name in VEHICLE_CLASSES.items()}
    )
    device: str = "auto"
    # bfloat16 knows the corners of a box only to 4 of 640 pixels.
    dtype: str = "float32"
    compiled: bool = False
    runs_on: RunsOn = "auto"
    batch: int = 16

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        return in_batches(photos, self.batch, self._detect, size_of, fill=self.compiled)

    def fingerprint(self) -> str:
        own = f"{self.side}:{self.min_score}:{self.nms_iou}:{sorted(self.classes.items())}"
        own += f":{self.min_object_score}"
        if self._is_pickle():
            return (
                f"yolo-pt:{self._pickle_digest()}:{own}:{resolve_device(self.device, self.dtype)}"
            )
        own += engine_mark(self.weights, self.runs_on)
        return f"yolo-onnx:{weight_digest(self.weights)}:{own}"

    def models(self) -> tuple[ModelInfo, ...]:
        role = "vehicle detector"
        if not self._is_pickle():
            return (catalogue_model(self.weights, role),)
        path = Path(self.weights)
        return (ModelInfo(role, path.name, self._pickle_digest(), "AGPL-3.0"),)

    def _is_pickle(self) -> bool:
        return self.weights.lower().endswith(".pt")

    def _pickle_digest(self) -> str:
        path = Path(self.weights).expanduser()
        if not path.is_file():
            raise WeightsMissing(
                f"{path}: there is no such file of YOLO weights; it is not downloaded by itself"
            )
        return file_digest(path)

    def _detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        boxed = [letterbox(photo, self.side) for photo in photos]
        if self._is_pickle():
            outputs = self._by_torch(np.concatenate([pixels for pixels, *_ in boxed]))
        else:
            session = load_session(self.weights, 0, self.runs_on)
            name = session.get_inputs()[0].name
            # Exports have their batch of 1 inside.
            outputs = [np.asarray(session.run(None, {name: p})[0])[0] for p, *_ in boxed]
        return [
            self._found(photo, output, *place)
            for photo, output, (_, *place) in zip(photos, outputs, boxed, strict=True)
        ]

    def _found(
        self, photo: Rgb, output: Floats, scale: float, left: float, top: float
    ) -> list[Detection]:
        classes = self._classes(output)
        boxes, scores = self._read(output, classes)
        offset = np.array([left, top, 0, 0], np.float32)
        return detections_of(
            (boxes - offset) / np.float32(scale), scores, classes, photo.shape[:2], self
        )

    def _classes(self, output: Floats) -> Classes:
        """What may stand before a vehicle is looked for where the network knows COCO's classes."""
        numbers = [int(number) for number in self.classes]
        has_objects = output.shape[-1] == 6 or output.shape[0] > 4 + max(OBJECT_CLASSES)
        return Classes(
            numbers,
            OBJECT_CLASSES if set(numbers) == set(VEHICLE_CLASSES) and has_objects else {},
            next((int(number) for number, name in self.classes.items() if name == "car"), None),
        )

    def _by_torch(self, pixels: Floats) -> list[Floats]:
        torch = need("torch")
        where = resolve_device(self.device, self.dtype, self.compiled)
        digest, path = self._pickle_digest(), Path(self.weights).expanduser()
        network = load("yolo", digest, where, lambda: _network(path, where))
        with torch.inference_mode():
            tensor = to_device(pixels, where).to(getattr(torch, where.dtype))
            output = network(tensor)
            output = output[0] if isinstance(output, (tuple, list)) else output
            return list(output.float().cpu().numpy())

    def _read(self, output: Floats, classes: Classes) -> tuple[Floats, Floats]:
        """Boxes (N, 4; x, y, w, h) of the letterboxed picture, and scores (N, classes).

        A network gives (4 + classes, anchors): centre, size and a score per class; or, where NMS
        is inside (26), (boxes, 6): two corners, score and class.
        """
        rows = np.asarray(output, np.float32)
        if rows.ndim == 2 and rows.shape[1] == 6:
            return from_corners(rows[:, :4]), by_class(rows[:, 5], rows[:, 4], classes)
        last = max(classes.vehicles)
        if rows.ndim != 2 or rows.shape[0] <= 4 + last:
            raise BrokenSetup(
                f"{self.weights}: its output {rows.shape} has no class {last}; set classes to the "
                'network\'s own numbers, for one of cars alone {"0" = "car"}'
            )
        return from_centres(rows[:4].T), rows[4:].T


def _network(path: Path, where: Device) -> Any:
    """The network of a .pt file, on its device, its batch norms folded in."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    torch, ultralytics = need("torch"), need("ultralytics")
    try:
        network = ultralytics.YOLO(str(path), task="detect").model
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise BrokenSetup(f"{path}: is no YOLO network of Ultralytics: {error}") from error
    if not isinstance(network, torch.nn.Module):
        raise BrokenSetup(f"{path}: is no YOLO network of Ultralytics")
    return as_numbers(network.float().fuse(verbose=False).to(where.device).eval(), where)

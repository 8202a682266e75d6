"""CenterFace on OpenVINO or OpenCV, as face detector."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Floats, Rgb
from resources import weights
from resources.models.base import FaceFound, ModelInfo
from resources.models.cpu_engines import engine_on_cpu
from resources.models.detections import from_centres
from resources.models.onnx import catalogue_model, engine_mark, load_session, weight_digest

if TYPE_CHECKING:
    import cv2

STRIDE = 32  # the network takes sides that are a multiple of it
INPUT = "input.1"
OUTPUTS = ("537", "538", "539", "540")  # scores, sizes, offsets, landmarks
CELL = 4  # pixels of the input to one cell of the output
NMS_IOU = 0.3
CLOSER_SIDE, CLOSER_FACE = 192, 64  # pixels: an enlarged view, and the face on it
SAME = 0.3  # IoU of a face with itself on the enlarged view

_networks: dict[str, cv2.dnn.Net] = {}
_in_use = threading.Lock()


class CenterFace(dg.ConfigurableResource):  # type: ignore[type-arg]
    """CenterFace (Xu et al. 2019, MIT): faces of 24 pixels and more on a photo of 2016.

    The photo is looked at with its longer side at `side` pixels and a low threshold. What is not
    `certain` there is looked at again, enlarged: faces score .5 to .9 then, and the wheels, lamps
    and reflections of a car below .4. Where `cpu_engines` does not choose OpenVINO, OpenCV runs it,
    with half of ONNX Runtime's CPU seconds.
    """

    in_threads: ClassVar[bool] = True
    weights: str = "centerface"
    side: int = 896
    min_score: float = 0.15
    certain: float = 0.6
    confirmed: float = 0.5

    def detect(self, photos: Sequence[Rgb]) -> list[list[FaceFound]]:
        return [self._detect(photo) for photo in photos]

    def fingerprint(self) -> str:
        own = f"{self.side}:{self.min_score}:{self.certain}:{self.confirmed}"
        return f"centerface:{weight_digest(self.weights)}:{own}{engine_mark(self.weights, 'cpu')}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights),)

    def _detect(self, photo: Rgb) -> list[FaceFound]:
        faces = []
        scale = min(1.0, self.side / max(photo.shape[:2]))
        for face in self._faces(photo, scale, self.min_score):
            score = face.score if face.score >= self.certain else self._closer(photo, face.box)
            if score >= self.confirmed:
                faces.append(FaceFound(face.box, score))
        return sorted(faces, key=lambda face: -face.score)

    def _closer(self, photo: Rgb, box: Box) -> float:
        """The score of one face on an enlarged view; 0 where it is none there."""
        import cv2

        from okla_assets.imaging import geometry

        x, y, w, h = box
        scale = CLOSER_FACE / max(w, h)
        reach = CLOSER_SIDE / scale / 2
        left, top = max(0, round(x + w / 2 - reach)), max(0, round(y + h / 2 - reach))
        crop = photo[top : round(y + h / 2 + reach), left : round(x + w / 2 + reach)]
        rows, columns = (max(1, min(CLOSER_SIDE, round(n * scale))) for n in crop.shape[:2])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        view = cv2.copyMakeBorder(
            cv2.resize(crop, (columns, rows), interpolation=method),
            *(0, CLOSER_SIDE - rows, 0, CLOSER_SIDE - columns),
            cv2.BORDER_REPLICATE,
        )
        wanted = geometry.move_box((x - left, y - top, w, h), scale)
        found = self._faces(np.asarray(view, np.uint8), 1.0, self.min_score)
        return max(
            (f.score for f in found if float(geometry.box_iou(wanted, f.box)) >= SAME), default=0.0
        )

    def _faces(self, photo: Rgb, scale: float, least: float) -> list[FaceFound]:
        """Faces in pixels of the photo, which the network sees `scale` times as large."""
        import cv2

        height, width = photo.shape[:2]
        rows, columns = (int(np.ceil(n * scale / STRIDE)) * STRIDE for n in (height, width))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        seen = cv2.resize(photo, (columns, rows), interpolation=method)
        heat, sizes, offsets = self._run(np.asarray(seen, np.uint8))
        ys, xs = np.nonzero(heat >= least)
        if not len(ys):
            return []
        h, w = np.exp(sizes[:, ys, xs]) * CELL
        cy, cx = (np.stack([ys, xs]) + offsets[:, ys, xs] + 0.5) * CELL
        boxes = from_centres(np.stack([cx, cy, w, h], axis=1))
        boxes *= np.array([width / columns, height / rows] * 2)
        scores = heat[ys, xs]
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), least, NMS_IOU)
        return [
            FaceFound((float(x), float(y), float(w), float(h)), float(scores[i]))
            for i in np.asarray(kept, int).ravel()
            for x, y, w, h in [boxes[i]]
        ]

    def _run(self, picture: Rgb) -> tuple[Floats, Floats, Floats]:
        """Scores (h, w), log sizes (2, h, w) and offsets (2, h, w), down before across."""
        import cv2

        pixels = cv2.dnn.blobFromImage(picture)
        if engine_on_cpu(self.weights) == "onnxruntime":
            heat, sizes, offsets, _landmarks = self._by_opencv(pixels)
        else:
            session = load_session(self.weights, any_size=True)
            heat, sizes, offsets, _landmarks = session.run(OUTPUTS, {INPUT: pixels})
        return heat[0, 0], sizes[0], offsets[0]

    def _by_opencv(self, pixels: npt.NDArray[Any]) -> Sequence[Floats]:
        import cv2

        # A network of OpenCV holds its input and is not to be used by two threads at once.
        with _in_use:
            key = weight_digest(self.weights)
            if key not in _networks:
                content = np.fromfile(weights.weight_path(self.weights), np.uint8)
                _networks[key] = cv2.dnn.readNetFromONNX(content)
            _networks[key].setInput(pixels)
            return [np.asarray(found) for found in _networks[key].forward(list(OUTPUTS))]

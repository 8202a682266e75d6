"""Licence plates on ONNX Runtime: two networks, fused by location.

No network finds every plate: platedet (YOLOv8s-seg) is good at tilted and small ones and draws an
outline, plate-fast (YOLOv8n) at frontal and dark ones. Together they miss none of the annotated
plates that either misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import dagster as dg
import numpy as np
import numpy.typing as npt
from pydantic import Field

from okla_assets.imaging.types import Box, Floats, Quad, Rgb
from resources.models.base import ModelInfo, PlateFound
from resources.models.detections import from_centres
from resources.models.inputs import Letterboxed, letterbox
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest
from resources.models.yolo_onnx import INPUT_SIDE

if TYPE_CHECKING:
    from okla_assets.imaging.plates import Candidate, RawDetection

SURE_ENOUGH = 1.0
"""Sum of the networks' scores from which the main vehicle is not looked at again."""

HARDLY_LARGER = 0.85
"""Of the photo's longer side: a main vehicle that fills so much is seen no better by itself."""


class PlateNetwork(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What is common to networks that find plates on one picture."""

    in_threads: ClassVar[bool] = True
    weights: str
    min_score: float = 0.05
    threads: int = 0
    runs_on: RunsOn = "cpu"

    def raw_detections(
        self, picture: Rgb, network: int, boxed: Letterboxed | None = None
    ) -> list[RawDetection]:
        """All boxes of the picture, no NMS; `network` tells it from others in a cluster.

        `boxed` is the picture as `letterbox` makes it, where that has been made already.
        """
        raise NotImplementedError

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        from okla_assets.imaging.plates import cluster

        return [plates_found(photo, cluster(self.raw_detections(photo, 0), 1)) for photo in photos]

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights),)


class PlatedetOnnx(PlateNetwork):
    """platedet, a YOLOv8s-seg export with float16 input: boxes and outlines."""

    weights: str = "platedet"

    def raw_detections(
        self, picture: Rgb, network: int, boxed: Letterboxed | None = None
    ) -> list[RawDetection]:
        """All boxes of the picture, no NMS; the best of each location with its outline."""
        from okla_assets.imaging.plates import RawDetection

        session = load_session(self.weights, self.threads, self.runs_on)
        pixels, scale, left, top = boxed or letterbox(picture, INPUT_SIDE)
        output, prototypes = session.run(None, {"images": pixels.astype(np.float16)})
        rows = np.asarray(output, np.float32)[0]
        rows = rows[:, rows[4] >= self.min_score]
        boxes = from_centres(rows[:4].T)
        outlined = _surest(boxes, rows[4])
        found = []
        for i, (box, row) in enumerate(zip(boxes, rows.T, strict=True)):
            quad = None
            if i in outlined:
                quad = _outline(box, row[5:], np.asarray(prototypes)[0])
                quad = None if quad is None else (quad - np.array([left, top], np.float32)) / scale
            found.append(RawDetection(_placed(box, scale, left, top), float(row[4]), network, quad))
        return found

    def fingerprint(self) -> str:
        own = f"platedet:{weight_digest(self.weights)}:{self.min_score}"
        return own + engine_mark(self.weights, self.runs_on)


class PlateFastOnnx(PlateNetwork):
    """plate-fast, a YOLOv8n export: boxes only."""

    weights: str = "plate_fast"

    def raw_detections(
        self, picture: Rgb, network: int, boxed: Letterboxed | None = None
    ) -> list[RawDetection]:
        """All boxes of the picture, no NMS."""
        from okla_assets.imaging.plates import RawDetection

        session = load_session(self.weights, self.threads, self.runs_on)
        pixels, scale, left, top = boxed or letterbox(picture, INPUT_SIDE)
        (output,) = session.run(None, {"images": pixels})
        rows = np.asarray(output)[0]
        rows = rows[:, rows[4] >= self.min_score]
        return [
            RawDetection(_placed(box, scale, left, top), float(score), network)
            for box, score in zip(from_centres(rows[:4].T), rows[4], strict=True)
        ]

    def fingerprint(self) -> str:
        own = f"plate-fast:{weight_digest(self.weights)}:{self.min_score}"
        return own + engine_mark(self.weights, self.runs_on)


class FusedPlates(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Both networks on the photo, plate-fast again on the main vehicle where they doubt, and
    platedet again on the enlarged candidates, which confirms them and outlines them exactly.

    `batch` photos are worked on at once, a thread each: on a GPU most of the time is not the
    networks'. On a CPU these take all cores by themselves.
    """

    in_threads: ClassVar[bool] = True
    outlines: PlatedetOnnx = Field(default_factory=PlatedetOnnx)
    boxes: PlateFastOnnx = Field(default_factory=PlateFastOnnx)
    batch: int = 1

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        each = list(zip(photos, vehicles, known or [()] * len(photos), strict=True))
        if self.batch == 1 or len(each) < 2:
            return [self._detect(*one) for one in each]
        with ThreadPoolExecutor(min(len(each), self.batch)) as pool:
            return list(pool.map(self._detect, *zip(*each, strict=True)))

    def fingerprint(self) -> str:
        return f"fused-plates:{self.outlines.fingerprint()}:{self.boxes.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        return self.outlines.models() + self.boxes.models()

    def _detect(
        self, photo: Rgb, vehicles: Sequence[Box], known: Sequence[Quad]
    ) -> list[PlateFound]:
        from okla_assets.imaging import plates

        boxed = letterbox(photo, INPUT_SIDE)
        seen = self.outlines.raw_detections(photo, 0, boxed)
        seen += self.boxes.raw_detections(photo, 1, boxed)
        if vehicles:
            on_main = (
                sum(c.scores) for c in plates.cluster(seen, 2) if plates.owner(c.box, vehicles) == 0
            )
            if max(on_main, default=0.0) < SURE_ENOUGH:
                seen += self._look_again(photo, vehicles[0])
        candidates = plates.cluster(seen, 2)
        return plates_found(photo, self._look_closer(photo, candidates, vehicles, known))

    def _look_again(self, photo: Rgb, vehicle: Box) -> list[RawDetection]:
        from okla_assets.imaging import plates
        from okla_assets.imaging.matte import cutout

        height, width = photo.shape[:2]
        x0, y0, x1, y1 = cutout.crop_box(vehicle, width, height)
        if max(x1 - x0, y1 - y0) > HARDLY_LARGER * max(width, height):
            return []
        seen = self.boxes.raw_detections(np.ascontiguousarray(photo[y0:y1, x0:x1]), 1)
        return [
            plates.RawDetection(
                (s.box[0] + x0, s.box[1] + y0, s.box[2], s.box[3]), s.score, s.network
            )
            for s in seen
        ]

    def _look_closer(
        self,
        photo: Rgb,
        candidates: list[Candidate],
        vehicles: Sequence[Box],
        known: Sequence[Quad],
    ) -> list[Candidate]:
        """The better candidates not `known`, seen again, enlarged, in one run of platedet."""
        from okla_assets.imaging import plates

        worth = [
            c
            for c in candidates
            if plates.worth_a_closer_look(c, vehicles)
            and not plates.lies_on(plates.box_quad(c.box), known)
        ]
        worth = worth[: plates.MOST_TILES]
        if not worth:
            return candidates
        others = [c for c in candidates if c not in worth]
        picture, matrices = plates.tiles(photo, [c.box for c in worth], INPUT_SIDE)
        seen = self.outlines.raw_detections(picture, 0)
        closer: list[Candidate] = []
        for candidate, matrix in zip(worth, matrices, strict=True):
            here = [plates.out_of_tile(s, matrix) for s in seen if s.quad is not None]
            same = [s for s in here if plates.same_plate(s.box, candidate.box)]
            best = max(same, key=lambda s: s.score, default=None)
            closer.append(replace(candidate, closer=best))
        return sorted([*closer, *others], key=lambda c: -c.score)


def as_quad(corners: Floats) -> Quad:
    """Corners (4, 2) as plain numbers, rounded to a tenth of a pixel."""
    a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return a, b, c, d


# --- shared ---------------------------------------------------------------------------------------

LEAST_SCORE = 0.10
"""Candidates that all networks together give less are not handed on."""


def plates_found(
    photo: Rgb, candidates: Sequence[Candidate], agreed: float = 1.0
) -> list[PlateFound]:
    """Candidates as plates with outlines; `agreed` is the share of their agreement that counts."""
    from okla_assets.imaging import plates

    found = []
    for candidate in candidates:
        if candidate.score < LEAST_SCORE:
            continue
        quad = plates.plate_quad(photo, candidate)
        agreement = candidate.agreement * agreed
        found.append(PlateFound(as_quad(quad), candidate.box, candidate.score, agreement))
    return found


def _placed(box: Floats, scale: float, left: float, top: float) -> Box:
    """A box of the letterboxed picture, on the picture."""
    x, y, w, h = (float(v) for v in box)
    return (x - left) / scale, (y - top) / scale, w / scale, h / scale


def _surest(boxes: Floats, scores: Floats) -> set[int]:
    """Index of the best box of each location: drawing the outline of every box costs too much."""
    from okla_assets.imaging.geometry import box_iou
    from okla_assets.imaging.plates import SAME_PLACE

    free = np.ones(len(boxes), bool)
    chosen = set()
    for i in np.argsort(-scores, kind="stable"):
        if free[i]:
            chosen.add(int(i))
            free &= box_iou(boxes[i], boxes) < SAME_PLACE
    return chosen


PROTOTYPE_STRIDE = 4
OUTLINE_WIDTH = 160  # pixels that the mask of a plate is drawn in: its own 10 to 60 are steps


def _outline(
    box: Floats,
    coefficients: Floats,
    prototypes: npt.NDArray[np.float16],
) -> Floats | None:
    """The plate's quad in pixels of the letterboxed picture, from its mask inside its box."""
    import cv2

    from okla_assets.imaging.plates import mask_quad

    side = prototypes.shape[1]
    x, y, w, h = box / PROTOTYPE_STRIDE
    x0, y0 = max(0, int(x) - 2), max(0, int(y) - 2)
    x1, y1 = min(side, int(np.ceil(x + w)) + 2), min(side, int(np.ceil(y + h)) + 2)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    logits = np.tensordot(coefficients, prototypes[:, y0:y1, x0:x1].astype(np.float32), 1)
    zoom = max(1, int(np.ceil(OUTLINE_WIDTH / max(float(w), 4.0))))
    large = cv2.resize(logits, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    mask = 1 / (1 + np.exp(-large.clip(-20, 20)))
    # The network is trained on masks cut to their boxes; its output outside is meaningless.
    inside = np.zeros(mask.shape, np.float32)
    left, top = max(0, round((x - x0) * zoom)), max(0, round((y - y0) * zoom))
    right, bottom = round((x + w - x0) * zoom), round((y + h - y0) * zoom)
    inside[top:bottom, left:right] = mask[top:bottom, left:right]
    quad = mask_quad(inside)
    if quad is None:
        return None
    corner = np.array([x0, y0], np.float32)
    return np.asarray((quad / zoom + corner) * PROTOTYPE_STRIDE, np.float32)

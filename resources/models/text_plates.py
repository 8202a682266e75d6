"""Licence plates as text: the lines of print that PP-OCR finds and that read like a plate.

For those who may not use the AGPL-licensed plate networks. It finds what can be read; a plate that
is blurred or seen too steeply to be read is left as it is, and a sticker with a telephone number is
covered as a plate.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Box, Corners, Floats, Quad, Rgb
from resources.models.base import ModelInfo, PlateFound
from resources.models.inputs import imagenet_pixels
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest
from resources.models.plates_onnx import plates_found
from resources.models.ppocr_onnx import PpOcrReader

STRIDE = 32  # the network takes sides that are a multiple of it
LEAST_TEXT = 0.3  # probability of a pixel that belongs to text, as PP-OCR has it
UNCLIP = 1.6  # the network draws text shrunk; so much of area over perimeter is given back
LEAST_HEIGHT = 3.0  # pixels of the network's input
FEW, MANY = 4, 10  # characters of a plate
FRAME = 0.3  # of a line's height, on each side of it
WIDEST = 9.0  # width to height of a plate's line
WORD = 0.3  # of its score is left of a line without a digit: a maker's or a dealer's name
ELSEWHERE = 0.2  # agreement, as a share of the score: signs away from every vehicle are text too


class TextPlates(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PP-OCR's text detector (DB, Liao et al. 2020) on the photo and on the main vehicle's crop, at
    `side` and `crop_side` pixels of the longer side (0: not looked at again), then its reader."""

    weights: str = "ppocr_det"
    reader: PpOcrReader = Field(default_factory=PpOcrReader)
    side: int = 1280
    crop_side: int = 960
    min_score: float = 0.4
    threads: int = 0
    runs_on: RunsOn = "cpu"

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        return [self._detect(*each) for each in zip(photos, vehicles, strict=True)]

    def fingerprint(self) -> str:
        own = f"{weight_digest(self.weights)}:{self.side}:{self.crop_side}:{self.min_score}"
        own += engine_mark(self.weights, self.runs_on)
        return f"text-plates:{own}:{self.reader.fingerprint()}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights, "text detector"), *self.reader.models())

    def _detect(self, photo: Rgb, vehicles: Sequence[Box]) -> list[PlateFound]:
        from okla_assets.imaging import plates
        from okla_assets.imaging.matte import cutout

        lines = self._lines(photo, self.side)
        if vehicles and self.crop_side:
            x0, y0, x1, y1 = cutout.crop_box(vehicles[0], photo.shape[1], photo.shape[0])
            crop = self._lines(np.ascontiguousarray(photo[y0:y1, x0:x1]), self.crop_side)
            lines += [(quad + np.array([x0, y0], np.float32), score) for quad, score in crop]
        read = self.reader.read([upright(photo, quad) for quad, _ in lines])
        seen = [
            plates.RawDetection(_around(quad), score * plate_likeness(text, quad), 0, quad)
            for (quad, score), (text, _) in zip(lines, read, strict=True)
        ]
        return plates_found(photo, plates.cluster(seen, 1), ELSEWHERE)

    def _lines(self, picture: Rgb, side: int) -> list[tuple[Corners, float]]:
        """Each line of text as a quad on the picture, with its mean probability."""
        import cv2

        session = load_session(self.weights, self.threads, self.runs_on)
        height, width = picture.shape[:2]
        scale = side / max(height, width)
        rows, columns = (max(1, round(n * scale / STRIDE)) * STRIDE for n in (height, width))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        # BGR, as it was trained, and ImageNet's mean and spread in that order all the same.
        small = cv2.resize(picture, (columns, rows), interpolation=method)[..., ::-1]
        name = session.get_inputs()[0].name
        (answered,) = session.run(None, {name: imagenet_pixels(np.asarray(small, np.uint8))})
        text = np.asarray(answered, np.float32)[0, 0]
        back = np.array([width / columns, height / rows], np.float32)
        return [(quad * back, score) for quad, score in text_lines(text, self.min_score)]


def text_lines(text: Floats, least: float) -> list[tuple[Corners, float]]:
    """Lines of a probability map (H, W), as DB's own post-processing finds them."""
    import cv2

    outlines, _ = cv2.findContours(
        (text > LEAST_TEXT).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    found = []
    for outline in outlines:
        centre, (w, h), angle = cv2.minAreaRect(outline)
        if min(w, h) < LEAST_HEIGHT:
            continue
        x, y, columns, rows = cv2.boundingRect(outline)
        inside = np.zeros((rows, columns), np.uint8)
        cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED, offset=(-x, -y))
        score = float(text[y : y + rows, x : x + columns][inside > 0].mean())
        if score >= least:
            margin = w * h * UNCLIP / (w + h)  # both sides of area over perimeter
            found.append((_quad(centre, w + margin, h + margin, angle), score))
    return found


def plate_likeness(text: str, quad: Corners) -> float:
    """The share of a line's score that is left, by what it reads: 1 for what may be a plate, 0 for
    what is too short, too long or too wide for one."""
    characters = [c for c in text if c.isalnum()]
    width, height = (float(np.linalg.norm(quad[i] - quad[1])) for i in (0, 2))
    if not FEW <= len(characters) <= MANY or max(width, height) > WIDEST * min(width, height):
        return 0.0
    return 1.0 if any(c.isdigit() for c in characters) else WORD


def upright(photo: Rgb, quad: Corners) -> Rgb:
    """A quad's pixels as an upright strip."""
    import cv2

    w, h = (max(8, round(float(np.linalg.norm(quad[i] - quad[1])))) for i in (0, 2))
    corners = np.array([[0, 0], [w, 0], [w, h]], np.float32)
    matrix = cv2.getAffineTransform(np.ascontiguousarray(quad[:3]), corners)
    return np.asarray(cv2.warpAffine(photo, matrix, (w, h)), np.uint8)


def _around(quad: Corners) -> Box:
    """The box around a line's plate: its frame lies beyond its characters."""
    from okla_assets.imaging import plates

    x, y, w, h = plates.quad_box(quad)
    frame = FRAME * min(float(np.linalg.norm(quad[i] - quad[1])) for i in (0, 2))
    return x - frame, y - frame, w + 2 * frame, h + 2 * frame


def _quad(centre: Sequence[float], w: float, h: float, angle: float) -> Corners:
    """Corners of a turned rectangle, clockwise from the top left one of the text on it."""
    # OpenCV turns by up to 90 degrees and swaps the sides; a line of text is wider than high.
    if w < h:
        w, h, angle = h, w, angle + 90
    turn = np.deg2rad((angle + 90) % 180 - 90)
    across, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    shifts = ((-w, -h), (w, -h), (w, h), (-w, h))
    corners = [np.array(centre) + (a * across + b * down) / 2 for a, b in shifts]
    return np.array(corners, np.float32)

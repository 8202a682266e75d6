"""PP-OCR's reader of single lines on ONNX Runtime, for the search for plates left readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Floats, Rgb
from resources.models.base import ModelInfo
from resources.models.onnx import RunsOn, catalogue_model, engine_mark, load_session, weight_digest


class PpOcrReader(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PP-OCR's recogniser of single lines (Baidu, PaddleOCR).

    `batch` is the number of photos whose strips may come in one call; they are read one by one.
    """

    in_threads: ClassVar[bool] = True
    weights: str = "ppocr_rec"
    threads: int = 0
    runs_on: RunsOn = "cpu"
    batch: int = 1

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        session = load_session(self.weights, self.threads, self.runs_on)
        listed = session.get_modelmeta().custom_metadata_map["character"].split("\n")
        alphabet = ["", *listed, " "]
        read = []
        for strip in strips:
            (probabilities,) = session.run(None, {"x": _line_pixels(strip)})
            read.append(greedy(np.asarray(probabilities)[0], alphabet))
        return read

    def fingerprint(self) -> str:
        return f"ppocr:{weight_digest(self.weights)}{engine_mark(self.weights, self.runs_on)}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights),)


LINE_HEIGHT = 48
LONGEST_LINE = 640


def _line_pixels(strip: Rgb) -> Floats:
    """The strip at the reader's height, as 1x3x48xW in [-1, 1], BGR as it was trained."""
    import cv2

    width = round(LINE_HEIGHT * strip.shape[1] / strip.shape[0])
    size = (min(LONGEST_LINE, max(LINE_HEIGHT, width)), LINE_HEIGHT)
    small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)[..., ::-1]
    pixels = (small.astype(np.float32) / 255 - 0.5) / 0.5
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def greedy(probabilities: Floats, alphabet: Sequence[str]) -> tuple[str, float]:
    """CTC decoding (T, classes): best class a step, repeats and blanks (class 0) dropped."""
    best = probabilities.argmax(axis=1)
    kept = (best != 0) & (best != np.concatenate([[-1], best[:-1]]))
    text = "".join(alphabet[i] for i in best[kept])
    return text, float(probabilities.max(axis=1)[kept].mean()) if kept.any() else 0.0

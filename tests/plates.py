"""Annotated plates of the private photos, and how much of them is covered."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from okla_assets.imaging import plates
from okla_assets.imaging.matte import cutout
from okla_assets.imaging.plates.quads import box_quad
from okla_assets.imaging.types import Box, Rgb
from resources.models.yolo_onnx import YoloOnnxDetector


@dataclass(frozen=True)
class Labelled:
    """A test photo and its annotated plates, in pixels of the file."""

    file: Path
    set: str
    category: str
    truth: tuple[Box, ...]


def labelled(testdata: Path, sets: str, category: str, boxed: bool) -> Iterator[Labelled]:
    with (testdata / "manifest.csv").open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            wanted = row["set"].startswith(sets) and category in ("", row["category"])
            if wanted and bool(row["plate_boxes"]) == boxed:
                boxes = [
                    (float(x), float(y), float(w), float(h))
                    for x, y, w, h in (b.split(",") for b in row["plate_boxes"].split(";") if b)
                ]
                yield Labelled(testdata / row["file"], row["set"], row["category"], tuple(boxes))


def vehicles_of(photo: Rgb) -> list[Box]:
    (found,) = YoloOnnxDetector().detect([photo])
    boxes = [d.box for d in found]
    main = cutout.main_vehicle(boxes, [d.score for d in found], photo.shape[1], photo.shape[0])
    return boxes if main is None else [boxes[main], *boxes[:main], *boxes[main + 1 :]]


def covered_share(truth: Box, quads: Sequence[npt.NDArray[np.float32]], around: bool) -> float:
    """Share of an annotated box under the padded quads, or under the boxes around them."""
    x, y, w, h = truth
    xs, ys = x + (np.arange(100) + 0.5) / 100 * w, y + (np.arange(50) + 0.5) / 50 * h
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)
    hit = np.zeros(len(points), bool)
    for quad in quads:
        padded = plates.padded(quad)
        shape = box_quad(plates.quad_box(padded)) if around else padded
        hit |= plates.contains(shape, points)
    return float(hit.mean())

"""Annotated plates of the private photos, and how much of them is covered."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from okla_assets.imaging import plates
from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo.rotation import rotated, turned_back
from okla_assets.imaging.plates.quads import box_quad
from okla_assets.imaging.types import Box, Corners, Floats, Quad, Rgb
from okla_assets.steps.plate_masking import vehicle_boxes
from okla_assets.steps.plate_search import (
    Finders,
    TurnedView,
    search,
    turned_views,
    without_repeats,
)
from okla_assets.steps.standing import standing
from okla_assets.tables import Mask
from resources.models.base import vehicles_of
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


@dataclass(frozen=True)
class Stood:
    """A photo as the plates step gets it: turned upright where it lay, and its row of `masks`.

    `matrix` (2, 3) leads from the photo as given to `picture`.
    """

    picture: Rgb
    matrix: Floats
    mask: Mask

    @property
    def vehicles(self) -> list[Box]:
        return vehicle_boxes(self.mask)


def stood(photo: Rgb) -> Stood:
    """The vehicles of a photo and how it stands, without a matte."""
    detector = YoloOnnxDetector()
    (first,) = detector.detect([photo])
    stands = standing(detector, photo, first)
    found = vehicles_of(stands.seen(first))
    picture, matrix = rotated(photo, stands.turned)
    boxes = [d.box for d in found]
    main = cutout.main_vehicle(boxes, [d.score for d in found], picture.shape[1], picture.shape[0])
    mask = Mask(
        number=1,
        status="no_vehicle" if main is None else "cropped",
        vehicle_box=None if main is None else boxes[main],
        other_vehicles=tuple(box for i, box in enumerate(boxes) if i != main),
        vehicle_score=None if main is None else found[main].score,
        matte_key=None,
        agreement=None,
        turned=stands.turned,
        tilt=stands.tilt,
        digest="",
    )
    return Stood(picture, matrix, mask)


def plates_on(stood: Stood, finders: Finders, interior: bool) -> list[Quad]:
    """What the plates step covers, in pixels of the turned picture."""
    views = views_of(stood, interior)
    (sightings,) = search(finders, [stood.picture], [stood.vehicles], [views])
    return [s.quad for s in without_repeats([s for s in sightings if s.is_plate(interior)])]


def views_of(stood: Stood, interior: bool) -> tuple[TurnedView, ...]:
    size = stood.picture.shape[0], stood.picture.shape[1]
    return turned_views(stood.mask, size, interior)


def as_given(quads: Sequence[Quad], matrix: Floats) -> list[Corners]:
    """Quads on a turned picture, on the photo that was turned by `matrix`."""
    return [turned_back(np.array(quad, np.float32), matrix) for quad in quads]


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

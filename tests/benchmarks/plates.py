"""Plates: how many are covered, what else is, whether a planted one is caught, and seconds.

    python -m tests.benchmarks.plates [--style fill] [--plants 100]

Runs over the private photos with annotated plates and the dealers' photos without. Coverage is the
share of an annotated box under the padded quads, taken as hidden from 95 % on; a tilted plate's
annotation is an upright box, so there the box around our quad counts. Planted plates are crops of
annotated plates laid on the covered places of other photos.
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging import plates
from okla_assets.imaging.photo import codec
from okla_assets.imaging.plates import quads
from okla_assets.imaging.plates.masking import Style
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.steps.plate_leaks import SearchRegion, find_leaks
from resources import weights
from resources.models.plates_onnx import FusedPlates
from resources.models.ppocr_onnx import PpOcrReader
from tests.conftest import REPOSITORY
from tests.plates import Labelled, covered_share, labelled, vehicles_of

HIDDEN = 0.95


@dataclass(frozen=True)
class Masked:
    """A photo, its vehicles and accepted plates, the masked picture, and what that took."""

    photo: Labelled
    original: Rgb
    picture: Rgb
    vehicles: list[Box]
    quads: list[Quad]
    find_seconds: float
    mask_seconds: float


def masked(photo: Labelled, detector: FusedPlates, style: Style) -> Masked:
    """The photo through detection and masking, timed without decoding and vehicle boxes."""
    original = codec.decode_trusted(photo.file.read_bytes())
    vehicles = vehicles_of(original)
    interior = photo.category == "interior"
    began = time.perf_counter()
    (found,) = detector.detect([original], [vehicles])
    quads = [
        f.quad
        for f in found
        if plates.accept_plate(f.box, f.score, f.agreement, vehicles, interior)
    ]
    middle = time.perf_counter()
    picture = plates.mask_plates(original, [np.array(q, np.float32) for q in quads], style)
    end = time.perf_counter()
    return Masked(photo, original, picture, vehicles, quads, middle - began, end - middle)


def planted(target: Masked, place: Quad, source: Masked, plate: Box) -> Rgb:
    """The masked picture with a plate of another photo laid, readable, on a covered place."""
    x, y, w, h = (round(v) for v in plate)
    crop = source.original[max(0, y) : y + h, max(0, x) : x + w]
    corners = quads.box_quad((0, 0, crop.shape[1], crop.shape[0]))
    matrix = cv2.getPerspectiveTransform(corners, np.array(place, np.float32))
    size = (target.picture.shape[1], target.picture.shape[0])
    laid = cv2.warpPerspective(crop, matrix, size, flags=cv2.INTER_AREA)
    where = cv2.warpPerspective(np.ones(crop.shape[:2], np.float32), matrix, size)[..., None]
    mixed: npt.NDArray[np.float32] = target.picture * (1 - where) + laid * where
    return np.asarray(np.rint(mixed), np.uint8)


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--testdata", default=REPOSITORY.parent / "shared" / "testdata")
    arguments.add_argument("--style", default="fill", choices=("fill", "blur"))
    arguments.add_argument("--plants", type=int, default=100)
    given = arguments.parse_args()
    weights.ensure(weights.names_for("local"))
    detector, reader = FusedPlates(), PpOcrReader()

    def leaks(picture: Rgb, shown: SearchRegion) -> bool:
        return bool(find_leaks([picture], [shown], detector, reader)[0])

    photos = [
        *labelled(Path(given.testdata), "plates_openalpr", "", boxed=True),
        *labelled(Path(given.testdata), "dealer", "", boxed=True),
        *labelled(Path(given.testdata), "dealer", "", boxed=False),
    ]
    done = [masked(photo, detector, given.style) for photo in photos]

    hidden: Counter[str] = Counter()
    for item in done:
        quads = [np.array(q, np.float32) for q in item.quads]
        for truth in item.photo.truth:
            share = covered_share(truth, quads, around=truth[3] > 0.8 * truth[2])
            hidden[f"{item.photo.set} hidden" if share >= HIDDEN else "bare"] += 1
            if share < HIDDEN:
                print(f"bare: {share:.2f} of {truth[2]:.0f} x {truth[3]:.0f} in {item.photo.set}")
    print("plates:", dict(hidden))

    for category in ("exterior", "interior", "misc"):
        free = [i for i in done if not i.photo.truth and i.photo.category == category]
        boxes = sum(len(i.quads) for i in free)
        print(f"{category} without an annotated plate: {boxes} boxes on {len(free)} photos")

    alarms = sum(
        leaks(i.picture, SearchRegion(i.quads, i.vehicles, i.photo.category == "interior"))
        for i in done
    )
    print(f"masked pictures kept back: {alarms} of {len(done)}")

    with_plates = [i for i in done if i.photo.truth]
    # What cannot be read on the photo itself proves nothing when it is planted.
    places = [(i, q) for i in with_plates for q in i.quads if plate_width(q) >= 60]
    sources = [(i, t) for i in with_plates for t in i.photo.truth if t[2] >= max(60, 1.6 * t[3])]
    rng = np.random.default_rng(3)
    caught = 0
    for _ in range(given.plants):
        target, place = places[rng.integers(len(places))]
        source, plate = sources[rng.integers(len(sources))]
        picture = planted(target, place, source, plate)
        caught += leaks(picture, SearchRegion(target.quads, target.vehicles))
    print(f"planted plates caught: {caught} of {given.plants}")

    print(
        f"detection: {mean(i.find_seconds for i in done):.2f} s a photo; masking: "
        f"{1000 * mean(i.mask_seconds for i in with_plates):.1f} ms"
    )


def plate_width(quad: Quad) -> float:
    """Length of the upper side in pixels."""
    return float(np.hypot(quad[1][0] - quad[0][0], quad[1][1] - quad[0][1]))


if __name__ == "__main__":
    main()

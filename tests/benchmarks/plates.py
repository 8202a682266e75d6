"""Plates: how many are covered, what else is, whether a planted one is caught, and seconds.

    python -m tests.benchmarks.plates [--style fill] [--plants 100] [--turns 0,45,90] [--part 0/4]

Runs over the private photos with annotated plates, each turned by every angle of --turns, and over
the dealers' photos without. Coverage is the share of an annotated box under the padded quads, taken
as hidden from 95 % on; a tilted plate's annotation is an upright box, so there the box around our
quad counts. Planted plates are crops of annotated plates laid on the covered places of other
photos, every second one on its head; the search that covers them must leave none that reads.
`--part 1/4` takes every fourth photo from the second on.
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
from okla_assets.imaging.photo.rotation import rotated, turned_back
from okla_assets.imaging.plates import quads
from okla_assets.imaging.plates.masking import Style
from okla_assets.imaging.types import Box, Corners, Floats, Quad, Rgb
from okla_assets.steps.plate_leaks import SearchRegion, cover_leaks, find_leaks
from okla_assets.steps.plate_masking import Masking
from okla_assets.steps.plate_search import Finders
from resources import weights
from resources.models.plates_onnx import FusedPlates, PlateFastOnnx
from resources.models.ppocr_onnx import PpOcrReader
from tests.conftest import REPOSITORY
from tests.plates import (
    Labelled,
    Stood,
    as_given,
    covered_share,
    labelled,
    plates_on,
    stood,
    views_of,
)

HIDDEN = 0.95


@dataclass(frozen=True)
class Masked:
    """A photo turned by `degrees`, how it stands, its accepted plates on that picture, the masked
    picture, and what that took. `turn` leads from the photo to what was given to the pipeline.
    """

    photo: Labelled
    degrees: int
    turn: Floats
    original: Rgb
    stands: Stood
    picture: Rgb
    quads: list[Quad]
    find_seconds: float
    mask_seconds: float

    @property
    def region(self) -> SearchRegion:
        """What the leak search is told."""
        interior = self.photo.category == "interior"
        views = views_of(self.stands, interior)
        return SearchRegion(self.quads, self.stands.vehicles, interior, views)

    @property
    def covers(self) -> list[Corners]:
        """The accepted plates on the photo itself."""
        return [turned_back(q, self.turn) for q in as_given(self.quads, self.stands.matrix)]


def masked(photo: Labelled, finders: Finders, style: Style, degrees: int = 0) -> Masked:
    """The photo through detection and masking, timed without decoding and vehicle boxes."""
    original = codec.decode_trusted(photo.file.read_bytes())
    given, turn = rotated(original, degrees)
    stands = stood(given)
    began = time.perf_counter()
    found = plates_on(stands, finders, photo.category == "interior")
    middle = time.perf_counter()
    picture = plates.mask_plates(stands.picture, [np.array(q, np.float32) for q in found], style)
    end = time.perf_counter()
    return Masked(
        *(photo, degrees, turn, original, stands, picture, found, middle - began, end - middle)
    )


def planted(target: Masked, place: Quad, source: Masked, plate: Box, on_its_head: bool) -> Rgb:
    """The masked picture with a plate of another photo laid, readable, on a covered place."""
    x, y, w, h = (round(v) for v in plate)
    crop = source.original[max(0, y) : y + h, max(0, x) : x + w]
    corners = quads.box_quad((0, 0, crop.shape[1], crop.shape[0]))
    to = np.roll(np.array(place, np.float32), 2 if on_its_head else 0, axis=0)
    matrix = cv2.getPerspectiveTransform(corners, to)
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
    arguments.add_argument("--turns", default="0,45,90,135,180,225,270,315")
    arguments.add_argument("--part", default="0/1")
    given = arguments.parse_args()
    weights.ensure(weights.names_for("local"))
    reader, masking = PpOcrReader(), Masking(given.style)
    finders = Finders(FusedPlates(), PlateFastOnnx())
    turns = [int(turn) for turn in given.turns.split(",")]
    first, step = map(int, given.part.split("/"))
    testdata = Path(given.testdata)
    with_plates = [
        *labelled(testdata, "plates_openalpr", "", boxed=True),
        *labelled(testdata, "dealer", "", boxed=True),
    ][first::step]
    without = [*labelled(testdata, "dealer", "", boxed=False)][first::step]
    plated = [masked(p, finders, given.style, turn) for p in with_plates for turn in turns]
    free = [masked(photo, finders, given.style) for photo in without]

    hidden: Counter[str] = Counter()
    for item in plated:
        for truth in item.photo.truth:
            share = covered_share(truth, item.covers, around=truth[3] > 0.8 * truth[2])
            hidden["hidden" if share >= HIDDEN else "bare"] += 1
            if share < HIDDEN:
                print(
                    f"bare: {share:.2f} of {truth[2]:.0f} x {truth[3]:.0f} in {item.photo.set}, "
                    f"turned by {item.degrees}"
                )
    print("plates:", dict(hidden))
    for turn in turns:
        count = sum(len(i.quads) - len(i.photo.truth) for i in plated if i.degrees == turn)
        print(f"turned by {turn}: {count} boxes more than annotated plates")

    for category in ("exterior", "interior", "misc"):
        shown = [i for i in free if i.photo.category == category]
        boxes = sum(len(i.quads) for i in shown)
        print(f"{category} without an annotated plate: {boxes} boxes on {len(shown)} photos")
    print("turned though upright:", sum(bool(i.stands.mask.turned) for i in free))

    cleared = [
        cover_leaks([i.picture], [i.region], finders, reader, masking)[0] for i in (*plated, *free)
    ]
    print(f"masked pictures covered once more: {sum(bool(c.covers) for c in cleared)}")
    print(f"kept back: {sum(bool(c.leaks) for c in cleared)} of {len(cleared)}")

    # What cannot be read on the photo itself proves nothing when it is planted.
    places = [(i, q) for i in plated for q in i.quads if plate_width(q) >= 60]
    sources = [(i, t) for i in plated for t in i.photo.truth if t[2] >= max(60, 1.6 * t[3])]
    rng = np.random.default_rng(3)
    caught = gone = 0
    for number in range(given.plants):
        target, place = places[rng.integers(len(places))]
        source, plate = sources[rng.integers(len(sources))]
        picture = planted(target, place, source, plate, on_its_head=bool(number % 2))
        caught += bool(find_leaks([picture], [target.region], finders, reader)[0])
        (after,) = cover_leaks([picture], [target.region], finders, reader, masking)
        gone += not after.leaks
    print(f"planted plates caught: {caught} of {given.plants}; covered then: {gone}")

    print(
        f"detection: {mean(i.find_seconds for i in (*plated, *free)):.2f} s a photo; masking: "
        f"{1000 * mean(i.mask_seconds for i in plated):.1f} ms"
    )


def plate_width(quad: Quad) -> float:
    """Length of the longest side in pixels."""
    sides = np.array(quad) - np.roll(np.array(quad), -1, axis=0)
    return float(np.hypot(*sides.T).max())


if __name__ == "__main__":
    main()

"""No plate of the test photos is left bare, no cabin gets a box, and a leak is told from a logo."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import PrivateAttr

from okla_assets.imaging import plates
from okla_assets.imaging.photo import codec
from okla_assets.imaging.plates import RawDetection, quads
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.steps.plate_leaks import (
    Leak,
    SearchRegion,
    Suspect,
    cover_leaks,
    find_leaks,
)
from okla_assets.steps.plate_masking import Masking
from okla_assets.steps.plate_search import Finders
from resources.models.base import ModelInfo, PlateDetector, PlateFound, TextReader
from resources.models.plates_onnx import (
    FusedPlates,
    PlatedetOnnx,
    PlateFastOnnx,
    as_quad,
)
from resources.models.ppocr_onnx import PpOcrReader, greedy
from tests.plates import as_given, covered_share, labelled, plates_on, stood

PICTURE = np.full((300, 400, 3), 128, np.uint8)
CAR = (50.0, 50.0, 300.0, 200.0)
PLACE = as_quad(quads.box_quad((150, 180, 80, 25)))


@dataclass(frozen=True)
class FakePlates:
    """Finds what it is told."""

    found: tuple[PlateFound, ...] = ()

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        return [list(self.found) for _ in photos]

    def fingerprint(self) -> str:
        return "fake-plates:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


@dataclass(frozen=True)
class FakeReader:
    """Reads what it is told, everywhere."""

    text: str = ""
    sure: float = 0.9

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        return [(self.text, self.sure) for _ in strips]

    def fingerprint(self) -> str:
        return "fake-reader:1"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def leaks_on(
    covered: Sequence[Quad],
    detector: FakePlates,
    reader: FakeReader,
    is_certainly_interior: bool = False,
) -> list[Leak]:
    """Of two pictures the second: nothing is to be seen on the first, which has no vehicle."""
    shown = [SearchRegion([], []), SearchRegion(covered, [CAR], is_certainly_interior)]
    _, leaks = find_leaks([PICTURE, PICTURE], shown, Finders(detector, detector), reader, ["OKLA"])
    return leaks


def at(box: Box, score: float, agreement: float = 0.0) -> PlateFound:
    return PlateFound(as_quad(quads.box_quad(box)), box, score, agreement)


@pytest.mark.parametrize("model", [FusedPlates(), PlatedetOnnx(), PlateFastOnnx(), FakePlates()])
def test_models_fill_the_role(model: object) -> None:
    assert isinstance(model, PlateDetector)


def test_readers_fill_the_role() -> None:
    assert isinstance(PpOcrReader(), TextReader)
    assert isinstance(FakeReader(), TextReader)


# --- leaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sure", "kinds"),
    [
        ("ABC 1234", 0.9, ["covered"]),
        ("A-12", 0.9, []),  # three characters: nobody is known by them
        ("ABC 1234", 0.3, []),  # the reader guesses
        ("OKLA", 0.9, []),  # the owner's logo
    ],
)
def test_a_covered_place_must_not_be_readable(text: str, sure: float, kinds: list[str]) -> None:
    leaks = leaks_on([PLACE], FakePlates(), FakeReader(text, sure))
    assert [leak.kind for leak in leaks] == kinds


class Outlines(PlatedetOnnx):
    """Finds one plate wherever it looks, and counts how often it does."""

    _asked: list[Rgb] = PrivateAttr(default_factory=list)

    def raw_detections(
        self, picture: Rgb, network: int, boxed: object = None
    ) -> list[RawDetection]:
        self._asked.append(picture)
        return [RawDetection((150, 180, 80, 25), 0.8, network)]


class NoBoxes(PlateFastOnnx):
    """Finds nothing."""

    def raw_detections(
        self, picture: Rgb, network: int, boxed: object = None
    ) -> list[RawDetection]:
        return []


@pytest.mark.parametrize(
    ("known", "looks"), [([], 2), ([PLACE], 1), ([as_quad(quads.box_quad((0, 0, 20, 9)))], 2)]
)
def test_what_is_known_is_not_looked_at_closer(known: list[Quad], looks: int) -> None:
    outlines = Outlines()
    detector = FusedPlates(outlines=outlines, boxes=NoBoxes())
    (found,) = detector.detect([PICTURE], [[CAR]], [known])
    assert [plate.box for plate in found] == [(150, 180, 80, 25)]
    assert len(detector.outlines._asked) == looks  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("found", "text", "kinds"),
    [
        (at((80, 80, 60, 20), 0.25), "ABC 1234", ["read"]),  # on the car, missed before
        (at((80, 80, 60, 20), 0.25), "", []),
        (at((80, 80, 60, 20), 0.70), "", ["seen"]),  # sure, if illegible to the reader
        (at((155, 182, 70, 20), 0.70), "", []),  # a blank plate where one was covered
        (at((5, 5, 60, 20), 0.40), "GARAGE", []),  # a shop sign in the street
        (at((5, 5, 60, 20), 0.65), "", []),  # a fence
        (at((5, 5, 60, 20), 0.55), "ABC 1234", ["read"]),  # a car that nobody found
        (at((5, 5, 60, 20), 0.55), "AFINACIONES", []),  # longer than any plate, no digit
    ],
)
def test_what_is_found_on_the_finished_picture(
    found: PlateFound, text: str, kinds: list[str]
) -> None:
    reader = FakeReader(text)
    covered = [] if text else [PLACE]
    leaks = leaks_on(covered, FakePlates((found,)), reader)
    assert [leak.kind for leak in leaks] == kinds
    assert "1234" not in repr(leaks)  # a report of a leak must not leak


@pytest.mark.parametrize(
    ("box", "text", "sure", "covered", "leaks"),
    [
        ((60.0, 120.0, 35.0, 12.0), "GTI", 1.0, [PLACE], 0),
        ((60.0, 120.0, 35.0, 12.0), "GTI", 0.9, [PLACE], 1),  # not read for sure
        ((60.0, 120.0, 35.0, 12.0), "G1I", 1.0, [PLACE], 1),
        ((60.0, 120.0, 35.0, 12.0), "", 1.0, [PLACE], 1),
        ((60.0, 120.0, 60.0, 18.0), "GTI", 1.0, [PLACE], 1),  # nearly as wide as the plate
        ((60.0, 120.0, 35.0, 12.0), "GTI", 1.0, [], 1),  # it may be the vehicle's only plate
        ((360.0, 20.0, 35.0, 12.0), "GTI", 1.0, [PLACE], 1),  # not on the vehicle
    ],
)
def test_a_models_badge_is_no_plate(
    box: Box, text: str, sure: float, covered: list[Quad], leaks: int
) -> None:
    """A short word beside the covered plate of its vehicle, read without a doubt."""
    found = leaks_on(covered, FakePlates((at(box, 0.75, 0.3),)), FakeReader(text, sure))
    assert len(found) == leaks


@dataclass
class Remaining:
    """Finds a plate where there is still something black on the picture."""

    score: float = 0.7

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        plate = at((80, 80, 60, 20), self.score)
        return [[plate] if (photo.max(axis=2) < 20).any() else [] for photo in photos]

    def fingerprint(self) -> str:
        return "remaining"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def bared() -> Rgb:
    """A picture on which something black stands at (80, 80, 60, 20)."""
    picture = PICTURE.copy()
    picture[80:100, 80:140] = 230
    picture[86:94, 90:130] = 0
    return picture


@pytest.mark.parametrize("text", ["", "ABC 1234"])
def test_what_is_found_is_covered_and_searched_again(text: str) -> None:
    class Reads(FakeReader):
        def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
            return [(text if strip.min() < 60 else "", 0.9) for strip in strips]

    shown = [SearchRegion([], [CAR]), SearchRegion([], [CAR])]
    clean, cleared = cover_leaks(
        [PICTURE, bared()],
        shown,
        Finders(Remaining(), Remaining()),
        Reads(),
        Masking("fill"),
        ["OKLA"],
    )
    assert (clean.covers, clean.leaks) == ((), [])
    assert clean.picture is PICTURE
    assert ([len(quads) for quads in cleared.covers], cleared.leaks) == ([1], [])
    assert cleared.picture[80:100, 80:140].min() > 100  # its bolts


def test_where_the_suspects_are_told_they_are_read_and_nothing_is_searched() -> None:
    class Idle(FakePlates):
        def detect(self, *asked: object) -> list[list[PlateFound]]:
            raise AssertionError("it was searched")

    suspect = Suspect(as_quad(quads.box_quad((80, 80, 60, 20))), 0.25, False, False)
    shown = [SearchRegion([PLACE], [CAR], suspects=told) for told in ([], [suspect])]
    finders = Finders(Idle(), Idle())
    for text, kinds in (("ABC 1234", [["covered"], ["covered", "read"]]), ("", [[], []])):
        leaks = find_leaks([PICTURE, PICTURE], shown, finders, FakeReader(text))
        assert [[leak.kind for leak in here] for here in leaks] == kinds


def test_what_reads_though_covered_twice_is_told() -> None:
    shown = [SearchRegion([PLACE], [CAR])]
    (cleared,) = cover_leaks(
        [PICTURE],
        shown,
        Finders(FakePlates(), FakePlates()),
        FakeReader("ABC 1234"),
        Masking("fill"),
    )
    assert [leak.kind for leak in cleared.leaks] == ["covered"]
    assert sum(map(len, cleared.covers)) == 1


def test_a_screen_in_a_cabin_is_no_leak_unless_both_networks_see_a_plate() -> None:
    one, both = at((80, 80, 60, 20), 0.85), at((80, 80, 60, 20), 0.85, 0.5)
    reader = FakeReader("ABC 1234")
    for found, kinds in ((one, []), (both, ["read"])):
        leaks = leaks_on([], FakePlates((found,)), reader, is_certainly_interior=True)
        assert [leak.kind for leak in leaks] == kinds


def test_greedy_drops_blanks_and_repeats() -> None:
    steps = [1, 1, 0, 1, 2, 2, 0, 3]
    probabilities = np.full((len(steps), 4), 0.05, np.float32)
    probabilities[np.arange(len(steps)), steps] = 0.85
    text, sure = greedy(probabilities, ["", "A", "B", " "])
    assert text == "AAB "
    assert sure == pytest.approx(0.85)
    assert greedy(probabilities[2:3], ["", "A", "B", " "]) == ("", 0.0)


@pytest.mark.weights
def test_the_reader_reads_a_line(weights: dict[str, Path]) -> None:
    strip = np.full((60, 330, 3), 240, np.uint8)
    cv2.putText(strip, "KLM 5082", (10, 45), cv2.FONT_HERSHEY_DUPLEX, 1.6, (20, 20, 20), 3)
    ((text, sure),) = PpOcrReader(threads=1).read([strip])
    assert text.replace(" ", "") == "KLM5082"
    assert sure > 0.8
    ((text, _),) = PpOcrReader(threads=1).read([np.full((60, 330, 3), 200, np.uint8)])
    assert plates.readable_characters(text) < plates.READABLE


# --- real photos ----------------------------------------------------------------------------------


def believed_on(photo: Rgb, interior: bool) -> list[npt.NDArray[np.float32]]:
    seen = stood(photo)
    return as_given(plates_on(seen, Finders(FusedPlates(), PlateFastOnnx()), interior), seen.matrix)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.testdata
@pytest.mark.parametrize("sets", ["plates_openalpr", "dealer"])
def test_every_annotated_plate_is_covered(
    testdata: Path, weights: dict[str, Path], sets: str
) -> None:
    bare, count = [], 0
    for photo in labelled(testdata, sets, "", boxed=True):
        quads = believed_on(codec.decode_trusted(photo.file.read_bytes()), interior=False)
        for index, truth in enumerate(photo.truth):
            count += 1
            # Annotations are upright boxes: the corners of a tilted plate's box are no plate.
            tilted = truth[3] > 0.8 * truth[2]
            if covered_share(truth, quads, around=tilted) < 0.95:
                bare.append(f"plate {index + 1} of photo {count}")
    assert count >= 14
    assert not bare


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.testdata
def test_nothing_is_covered_in_a_cabin(testdata: Path, weights: dict[str, Path]) -> None:
    interiors = list(labelled(testdata, "dealer", "interior", boxed=False))
    assert len(interiors) >= 20
    wrong = [
        p.file.name
        for p in interiors
        if believed_on(codec.decode_trusted(p.file.read_bytes()), True)
    ]
    assert not wrong


def test_photos_worked_on_at_once_keep_their_order() -> None:
    class Counting(FusedPlates):
        def _detect(
            self, photo: Rgb, vehicles: Sequence[Box], known: Sequence[Quad]
        ) -> list[PlateFound]:
            time.sleep(0.02 if photo[0, 0, 0] % 2 else 0)
            x = float(photo[0, 0, 0])
            box = (x, float(len(vehicles)), 1.0, 1.0)
            return [PlateFound(((0, 0), (1, 0), (1, 1), (0, 1)), box, 0.9, 0.9)]

    photos = [np.full((4, 4, 3), i, np.uint8) for i in range(7)]
    vehicles: list[list[Box]] = [[(0.0, 0.0, 1.0, 1.0)] * i for i in range(7)]
    together = Counting(batch=3).detect(photos, vehicles)
    assert [found[0].box[:2] for found in together] == [(i, i) for i in range(7)]
    assert together == Counting().detect(photos, vehicles)

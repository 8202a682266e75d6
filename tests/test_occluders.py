"""Pictures with something pasted before a dealer's car: what is known is never a hole."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Rgb
from resources.decoding.photo_decoder import PhotoDecoder
from resources.models.base import Matte, Subject
from resources.models.fused_matte import FusedMatte, crop_of
from resources.models.main_vehicle import find_subject
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.yolo_onnx import YoloOnnxDetector

pytestmark = [pytest.mark.testdata, pytest.mark.weights, pytest.mark.slow]

Thing = npt.NDArray[np.uint8]  # RGBA
LEAST_HOLE = 0.015  # of the vehicle's area


def a_board(height: int, rng: np.random.Generator) -> Thing:
    """A sale board on two feet."""
    width = int(height * rng.uniform(0.5, 0.8))
    board = np.zeros((height, width, 4), np.uint8)
    board[..., 3] = 255
    paint = [int(level) for level in rng.integers(60, 255, 3)]
    edge = width // 20
    cv2.rectangle(
        board, (edge, edge), (width - edge, int(0.82 * height)), (*paint, 255), cv2.FILLED
    )
    board[int(0.86 * height) :, int(0.15 * width) : int(0.85 * width), 3] = 0
    cv2.putText(
        board, "SALE", (width // 8, height // 3), cv2.FONT_HERSHEY_SIMPLEX, width / 120, (0,) * 3, 3
    )
    return board


def a_pole(height: int, rng: np.random.Generator) -> Thing:
    """A round post that leaves the picture at its top."""
    width = max(8, int(height * rng.uniform(0.012, 0.03)))
    pole = np.zeros((3000, width, 4), np.uint8)
    pole[..., :3] = (np.sin(np.linspace(0.25, 2.9, width)) * rng.integers(80, 200))[None, :, None]
    pole[..., 3] = 255
    return pole


def a_bicycle(height: int, rng: np.random.Generator) -> Thing:
    """Two spoked wheels and a frame."""
    bike = np.zeros((height, int(1.65 * height), 4), np.uint8)
    wide, radius, thick = bike.shape[1], int(0.33 * height), max(3, height // 30)
    axle = height - radius - thick
    rear, front, pedals = (
        (radius + thick, axle),
        (wide - radius - thick, axle),
        (int(0.45 * wide), axle),
    )
    seat, bars = (int(0.38 * wide), int(0.28 * height)), (int(0.68 * wide), int(0.25 * height))
    paint = (*(int(level) for level in rng.integers(0, 200, 3)), 255)
    black = (25, 25, 25, 255)
    for hub in (rear, front):
        cv2.circle(bike, hub, radius, black, thick + 2, cv2.LINE_AA)
        for spoke in np.arange(12) * np.pi / 6:
            rim = hub[0] + radius * np.cos(spoke), hub[1] + radius * np.sin(spoke)
            cv2.line(bike, hub, (int(rim[0]), int(rim[1])), (140, 140, 140, 255), 1, cv2.LINE_AA)
    for start, end in (
        *((rear, pedals), (rear, seat), (pedals, seat)),
        *((pedals, bars), (seat, bars), (bars, front)),
    ):
        cv2.line(bike, start, end, paint, thick, cv2.LINE_AA)
    for x, y in (seat, bars):
        top = int(y - 0.08 * height)
        cv2.line(bike, (x, y), (x, top), black, thick)
        cv2.line(bike, (x - height // 8, top), (x + height // 8, top), black, thick + 2)
    return bike


@pytest.fixture(scope="module")
def person(testdata: Path, weights: object) -> Thing:
    """The person of a public report, cut out."""
    photo = codec.decode_trusted((testdata / "reports" / "person_before_side.jpg").read_bytes())
    (found,) = YoloOnnxDetector().detect([photo])
    crop = crop_of(photo, next(d.box for d in found if d.kind == "person"))
    inside = cutout.largest_component(Sam2Onnx().logits(crop.pixels, crop.box) > 0)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    cut = np.dstack([crop.pixels, np.where(inside, 255, 0).astype(np.uint8)])
    return np.ascontiguousarray(cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def pasted(photo: Rgb, thing: Thing, x: float, foot: float) -> Rgb:
    """The photo with the thing standing at column x, its foot at that row."""
    height, width = thing.shape[:2]
    top, left = int(foot) - height, int(x - width / 2)
    rows = slice(max(0, top), min(photo.shape[0], top + height))
    columns = slice(max(0, left), min(photo.shape[1], left + width))
    part = thing[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    shown = photo.copy()
    share = part[..., 3:].astype(np.float32) / 255
    shown[rows, columns] = photo[rows, columns] * (1 - share) + part[..., :3] * share
    return shown


def cut(photo: Rgb) -> tuple[Subject, Matte]:
    subject = find_subject(photo)
    assert subject is not None
    (matte,) = FusedMatte().segment([photo], [subject])
    return subject, matte


def cars(testdata: Path) -> Iterator[Rgb]:
    for name in (
        "alv_bmw2017/exterior2.jpg",
        "alv_hondacrv2023/exterior4.jpg",
        "prestige_volkswagen-golf/03.webp",
    ):
        decoded = PhotoDecoder().decode((testdata / "dealer" / name).read_bytes(), 1280)
        yield decoded.rgb


def test_no_occluded_car_is_published_with_a_hole(
    testdata: Path, weights: object, person: Thing
) -> None:
    rng = np.random.default_rng(13)

    def a_person(height: int, rng: np.random.Generator) -> Thing:
        tall = int(height * rng.uniform(1.5, 1.9))
        return np.asarray(
            cv2.resize(person, (person.shape[1] * tall // person.shape[0], tall)), np.uint8
        )

    things: list[Callable[[int, np.random.Generator], Thing]] = [
        *(a_board, a_pole, a_bicycle, a_person)
    ]
    published, obstructed, alone = [], 0, 0
    for number, photo in enumerate(cars(testdata)):
        subject, clean = cut(photo)
        alone += clean.obstructed is not None
        x, y, w, h = subject.box
        whole = clean.alpha > 0.5
        for kind, make in enumerate(things):
            thing = make(int(0.6 * h), rng)
            shown = pasted(photo, thing, x + rng.uniform(0.2, 0.8) * w, y + 1.05 * h)
            if kind % 2 != number % 2:
                continue  # every second one, for its time
            seen, matte = cut(shown)
            if matte.obstructed is not None:
                obstructed += 1
                continue
            lost = (whole & (matte.alpha <= 0.5)).sum() / whole.sum()
            if cutout.trustworthy(matte.alpha, matte.agreement, seen.box):
                published.append((make.__name__, round(float(lost), 4)))
    assert alone == 0
    holes = [what for what, hole in published if hole > LEAST_HOLE]
    # A drawn bicycle that the detector does not know can leave a hole: docs/limits.md says so.
    assert set(holes) <= {"a_bicycle"}
    assert len(holes) <= 1
    assert obstructed >= 4, published

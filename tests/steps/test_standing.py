"""A photo on its side is turned upright; one that may be upright never is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from okla_assets.imaging.types import Box, Rgb
from okla_assets.steps.standing import (
    AS_IT_IS,
    TURNS,
    VIEWS_SIDE,
    standing,
    upright,
    upright_photos,
)
from okla_assets.tables import Mask, Photo
from resources.models.base import Detection, ModelInfo, VehicleDetector

PHOTO = np.random.default_rng(2).integers(0, 255, (300, 400, 3), dtype=np.uint8)
TILE = VIEWS_SIDE // 3


@dataclass
class Scripted:
    """Answers as it is told, one picture after the other, and keeps what it was shown."""

    answers: list[list[Detection]]
    shown: list[Rgb] = field(default_factory=list)

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        self.shown += photos
        return [self.answers.pop(0) for _ in photos]

    def fingerprint(self) -> str:
        return "scripted"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def vehicle(score: float, box: Box = (40, 40, 200, 100)) -> list[Detection]:
    return [Detection(box, score)]


def in_views(**scores: float) -> list[Detection]:
    """A vehicle in the middle of the views so turned, as `t90=0.9`."""
    found = []
    for name, score in scores.items():
        row, column = divmod(TURNS.index(int(name[1:])), 3)
        found.append(Detection((column * TILE + 50, row * TILE + 60, 100, 80), score))
    return found


def test_the_fake_fills_the_role() -> None:
    assert isinstance(Scripted([]), VehicleDetector)


def test_a_photo_with_an_upright_vehicle_costs_nothing() -> None:
    detector = Scripted([])
    assert standing(detector, PHOTO, vehicle(0.8)) == AS_IT_IS
    assert detector.shown == []


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_photo_on_its_side_is_turned(degrees: int) -> None:
    turned = vehicle(0.9, (1, 2, 200, 100))
    detector = Scripted([in_views(**{f"t{degrees}": 0.9, "t45": 0.5}), turned])
    stands = standing(detector, PHOTO, [])
    assert stands.turned == degrees
    assert stands.upright is not None
    assert np.array_equal(stands.upright, np.rot90(PHOTO, degrees // 90))
    assert stands.seen([]) == turned


@pytest.mark.parametrize(
    ("as_it_is", "views", "turned"),
    [
        (0.0, {}, 0.0),  # no vehicle at any angle
        (0.0, {"t270": 0.6}, 0.9),  # the view is not sure
        (0.0, {"t270": 0.9}, 0.5),  # the turned photo is not
        (0.6, {"t0": 0.7, "t270": 0.9}, 0.9),  # a cabin: a car at any angle
        (0.0, {"t0": 0.9, "t270": 0.8}, 0.9),  # best as it is
    ],
)
def test_what_is_not_sure_stays(as_it_is: float, views: dict[str, float], turned: float) -> None:
    detector = Scripted([in_views(**views), vehicle(turned)])
    assert standing(detector, PHOTO, vehicle(as_it_is)) == AS_IT_IS


def test_a_box_over_several_views_is_of_none() -> None:
    wide = [Detection((10, 10, 500, 300), 0.95)]
    assert standing(Scripted([wide]), PHOTO, []) == AS_IT_IS


def test_a_tilted_photo_stays_and_nothing_upright_is_believed() -> None:
    detector = Scripted([in_views(t0=0.75, t315=0.9), vehicle(0.92, (9, 8, 70, 60))])
    stands = standing(detector, PHOTO, vehicle(0.6))
    assert (stands.turned, stands.upright) == (0, None)
    assert stands.tilt is not None
    assert (stands.tilt.degrees, stands.tilt.vehicles) == (315, ((9, 8, 70, 60),))
    assert stands.seen(vehicle(0.6)) == ()


def photo() -> Photo:
    return Photo(
        number=3, source_key="raw/v/photos/a.jpg", source_sha256="0" * 64,
        width=3000, height=4000, working_width=1500, format="JPEG", notes=(),
        digest="d" * 64, work_key="private/v/photos/d.jpg",
        perceptual_hash="0", duplicate_of=None, exact_duplicate=False,
    )  # fmt: skip


def mask(turned: int) -> Mask:
    return Mask(
        number=3, status="no_vehicle", vehicle_box=None, vehicle_score=None, matte_key=None,
        agreement=None, digest="", turned=turned,
        upright_key="private/v/masks/e.jpg" if turned else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("turned", "size", "key"),
    [
        (0, (3000, 4000, 1500), "private/v/photos/d.jpg"),
        (90, (4000, 3000, 2000), "private/v/masks/e.jpg"),
        (180, (3000, 4000, 1500), "private/v/masks/e.jpg"),
    ],
)
def test_later_steps_get_the_photo_as_it_was_turned(
    turned: int, size: tuple[int, int, int], key: str
) -> None:
    seen = upright(photo(), mask(turned))
    assert (seen.width, seen.height, seen.working_width) == size
    assert (seen.work_key, seen.scale) == (key, 2.0)
    assert list(upright_photos([photo()], [mask(turned)])) == [seen]
    assert list(upright_photos([photo()], [])) == []

"""Plates are looked for in the views that a picture needs, and told where they are on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from okla_assets.imaging.photo.rotation import rotated
from okla_assets.imaging.plates import quads
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.steps.plate_search import (
    Finders,
    Sighting,
    TurnedView,
    moved_view,
    search,
    turned_views,
    without_repeats,
)
from okla_assets.tables import Mask, Tilt
from resources.models.base import ModelInfo, PlateFound
from resources.models.plates_onnx import as_quad

SIZE = 300, 400
RED = (255, 0, 0)


@dataclass
class RedPlates:
    """The box around all that is red; none on pictures that are wider than high, if so told."""

    only_upright: bool = False
    vehicles: list[list[Box]] = field(default_factory=list)

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        self.vehicles += [list(boxes) for boxes in vehicles]
        return [self._on(photo) for photo in photos]

    def _on(self, photo: Rgb) -> list[PlateFound]:
        rows, columns = np.nonzero((photo == RED).all(axis=2))
        if self.only_upright and np.ptp(columns) < np.ptp(rows):
            return []
        x, y = float(columns.min()), float(rows.min())
        box = (x, y, float(columns.max()) + 1 - x, float(rows.max()) + 1 - y)
        return [PlateFound(as_quad(quads.box_quad(box)), box, 0.9, 0.6)]

    def fingerprint(self) -> str:
        return "red"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def mask(score: float | None, tilt: Tilt | None = None) -> Mask:
    return Mask(
        number=1, status="no_vehicle", vehicle_box=None if score is None else (10, 20, 100, 50),
        other_vehicles=((300, 200, 40, 30),), vehicle_score=score, matte_key=None, agreement=None,
        digest="", tilt=tilt,
    )  # fmt: skip


def test_an_upright_vehicle_needs_no_other_view() -> None:
    assert turned_views(mask(0.9), SIZE, False) == ()


def test_a_cabin_needs_none() -> None:
    assert turned_views(mask(None), SIZE, True) == ()


def test_without_a_sure_vehicle_the_picture_is_looked_at_all_round() -> None:
    views = turned_views(mask(0.3), SIZE, False)
    assert [view.degrees for view in views] == [45, 90, 135, 180, 225, 270, 315]
    # Turned counter-clockwise, the picture's right edge is on top.
    assert np.allclose(views[1].vehicles, [(20, 290, 50, 100), (200, 60, 30, 40)], atol=0.01)
    (other,) = turned_views(mask(None), SIZE, False)[1].vehicles
    assert other == pytest.approx((200, 60, 30, 40), abs=0.01)


def test_a_tilted_one_is_looked_at_as_its_vehicles_stand() -> None:
    tilt = Tilt(degrees=315, vehicles=((5, 6, 70, 80),))
    (view,) = turned_views(mask(None, tilt), SIZE, True)
    assert view == TurnedView(315, ((5, 6, 70, 80),))
    assert moved_view(view, 2) == TurnedView(315, [(10, 12, 140, 160)])


def test_what_is_found_on_a_turned_view_is_told_on_the_picture() -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[100:180, 250:270] = RED  # a plate on its side
    beside = picture.copy()
    detector = RedPlates(only_upright=True)
    views = [(), (TurnedView(90, ((1, 2, 3, 4),)),)]
    none, (sighting,) = search(
        Finders(detector, RedPlates()), [beside, picture], [[], [(0, 0, 9, 9)]], views
    )
    assert none == []
    assert sighting.box == pytest.approx((250, 100, 20, 80))
    assert sighting.found.box == (100, 130, 80, 20)  # where it was found, upright
    assert list(sighting.vehicles) == [(1, 2, 3, 4)]
    assert detector.vehicles == [[], [(0, 0, 9, 9)], [(1, 2, 3, 4)]]


@dataclass
class Promises(RedPlates):
    """Is asked about seven views, and scores them as it is told."""

    scores: tuple[float, ...] = ()

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        assert len(photos) == 7
        box = (0.0, 0.0, 9.0, 3.0)
        quad = as_quad(quads.box_quad(box))
        return [[PlateFound(quad, box, s, s)] if s else [] for s in self.scores]


@pytest.mark.parametrize(
    ("scores", "turns"),
    [
        ((0.1, 0.0, 0.3, 0.0, 0.0, 0.2, 0.6), [315, 135]),
        ((0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6), [315]),
        ((0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), [90]),
    ],
)
def test_the_full_search_looks_where_the_quick_one_has_hope(
    scores: tuple[float, ...], turns: list[int]
) -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[100:180, 250:270] = RED
    views = turned_views(mask(None), SIZE, False)
    full = RedPlates()
    search(Finders(full, Promises(scores=scores)), [picture], [[]], [views])
    by_turn = {view.degrees: view.vehicles for view in views}
    assert full.vehicles == [[], *(list(by_turn[turn]) for turn in turns)]


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_points_come_back_from_any_angle(degrees: int) -> None:
    """Cross-checked on pixels: a red spot is found where the matrix says."""
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[40:50, 330:340] = RED
    turned, matrix = rotated(picture, degrees)
    rows, columns = np.nonzero(turned[..., 0] > 128)
    centre = np.array([columns.mean(), rows.mean()]) + 0.5
    assert matrix[:, :2] @ [335, 45] + matrix[:, 2] == pytest.approx(centre, abs=0.5)


def sighting(box: Box, score: float, degrees: int) -> Sighting:
    quad = as_quad(quads.box_quad(box))
    return Sighting(quad, box, PlateFound(quad, box, score, score), (), degrees)


def test_a_plate_seen_in_two_views_counts_once() -> None:
    best, slanted = sighting((100, 100, 80, 30), 0.9, 315), sighting((90, 80, 100, 70), 0.8, 0)
    other = sighting((10, 10, 40, 20), 0.4, 0)
    assert without_repeats([other, slanted, best]) == [best, other]


def test_what_is_not_sure_drops_nothing() -> None:
    unsure, slanted = sighting((100, 100, 80, 30), 0.6, 315), sighting((90, 80, 100, 70), 0.5, 0)
    assert without_repeats([slanted, unsure]) == [unsure, slanted]


def test_within_one_view_all_is_covered() -> None:
    best, wider = sighting((100, 100, 80, 30), 0.9, 0), sighting((60, 80, 160, 70), 0.5, 0)
    assert without_repeats([wider, best]) == [best, wider]

"""The camera: whole cars stay in the frame, close-ups stay in the picture."""

import numpy as np
import pytest

from okla_assets.imaging.promo.moves import MARGIN, Path, path, studio_place
from okla_assets.imaging.promo.timeline import Picture, load_template
from okla_assets.imaging.studio.placement import Extent, place

MOVES = load_template().moves
WIDE, UPRIGHT = (1920, 1080), (1080, 1920)
CARS = {
    "long": (0.04, 0.4, 0.92, 0.4),
    "tall": (0.25, 0.32, 0.5, 0.5),
    "off-centre": (0.02, 0.1, 0.4, 0.3),
}


def ways(picture: Picture, frame: tuple[int, int], captioned: bool = False) -> list[Path]:
    return [path(picture, m, (1600, 1200), frame, captioned) for m in MOVES.values()]


@pytest.mark.parametrize("captioned", [False, True])
@pytest.mark.parametrize("frame", [WIDE, UPRIGHT])
@pytest.mark.parametrize("car", CARS.values(), ids=CARS)
def test_a_whole_car_is_in_the_frame_all_the_way(
    car: tuple[float, float, float, float], frame: tuple[int, int], captioned: bool
) -> None:
    x, y, w, h = (v * side for v, side in zip(car, (1600, 1200, 1600, 1200), strict=True))
    for way in ways(Picture("p", "exterior", car=car, plain=True), frame, captioned):
        for t in np.linspace(0, 1, 21):
            seen = way.at(t)
            room = MARGIN * seen.w - 1e-6, MARGIN * seen.h - 1e-6
            assert seen.w / seen.h == pytest.approx(frame[0] / frame[1])
            assert seen.x + room[0] <= x and x + w <= seen.x + seen.w - room[0]
            assert seen.y + room[1] <= y and y + h <= seen.y + seen.h - room[1]


@pytest.mark.parametrize("frame", [WIDE, UPRIGHT])
def test_a_car_is_shown_large(frame: tuple[int, int]) -> None:
    for way in ways(Picture("p", "exterior", car=CARS["long"], plain=True), frame):
        assert 0.92 * 1600 / way.begin.w > 0.64


def test_a_close_up_fills_a_wide_frame_and_is_mostly_seen_in_an_upright_one() -> None:
    for way in ways(Picture("p", "interior"), WIDE):
        for seen in (way.begin, way.end):
            assert seen.x >= -1e-6 and seen.x + seen.w <= 1600 + 1e-6
            assert seen.y >= -1e-6 and seen.y + seen.h <= 1200 + 1e-6
    for way in ways(Picture("p", "interior"), UPRIGHT):
        assert way.begin.w >= 0.6 * 1600 and way.begin.x >= 0


def test_every_move_moves() -> None:
    for way in ways(Picture("p", "interior"), WIDE):
        assert abs(way.begin.w - way.end.w) + abs(way.begin.x - way.end.x) > 16


@pytest.mark.parametrize("size", [(400, 150), (300, 240)])
def test_the_place_in_the_studio_is_where_the_studio_puts_a_car(size: tuple[int, int]) -> None:
    car = Extent(100, 50, 100 + size[0] - 1, 50 + size[1] - 1)
    placed = place(car, 1600, 4 / 3)
    x, y, w, h = studio_place(*size, 4 / 3)
    left = (placed.left + car.x0 * placed.scale) / placed.width
    top = (placed.top + car.y0 * placed.scale) / placed.height
    assert x < left and x + w > left + car.width * placed.scale / placed.width
    assert y < top and y + h > top + car.height * placed.scale / placed.height
    assert w < car.width * placed.scale / placed.width + 0.05

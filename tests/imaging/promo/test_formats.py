"""On a film's own canvas the vehicle is large and whole, and the frame never leaves the canvas."""

import numpy as np
import pytest

from okla_assets.imaging.promo import formats
from okla_assets.imaging.promo.moves import path
from okla_assets.imaging.promo.timeline import Picture, TemplateName, load_template
from okla_assets.imaging.studio.placement import Extent

WIDE, UPRIGHT = (1920, 1080), (1080, 1920)
VEHICLES = {"side": (1400, 480), "quarter": (1200, 600), "front": (900, 760)}


@pytest.mark.parametrize("frame", [WIDE, UPRIGHT])
@pytest.mark.parametrize("size", VEHICLES.values(), ids=VEHICLES)
def test_the_car_is_where_it_is_said_to_be(size: tuple[int, int], frame: tuple[int, int]) -> None:
    canvas = formats.canvas_of(frame)
    vehicle = Extent(200, 300, 200 + size[0] - 1, 300 + size[1] - 1)
    placed = formats.place(vehicle, canvas)
    x, y, w, h = formats.car_on(*size, frame[0] / frame[1])
    left = (placed.left + vehicle.x0 * placed.scale) / placed.width
    top = (placed.top + vehicle.y0 * placed.scale) / placed.height
    wide = vehicle.width * placed.scale / placed.width
    high = vehicle.height * placed.scale / placed.height
    assert x < left and left + wide < x + w
    assert y < top and top + high < y + h
    assert (placed.width, placed.height) == canvas
    if frame == UPRIGHT:
        assert wide >= 0.8 - 1e-3


@pytest.mark.parametrize("template", ["standard", "lively", "calm"])
@pytest.mark.parametrize("frame", [WIDE, UPRIGHT])
@pytest.mark.parametrize("size", VEHICLES.values(), ids=VEHICLES)
def test_a_move_shows_the_whole_car_moves_and_never_leaves_the_scene(
    size: tuple[int, int], frame: tuple[int, int], template: TemplateName
) -> None:
    width, height = formats.canvas_of(frame)
    car = formats.car_on(*size, frame[0] / frame[1])
    picture = Picture("p", "exterior", car=car, plain=True, composed=True)
    for name, move in load_template(template).moves.items():
        way = path(picture, move, (width, height), frame, captioned=True)
        for t in np.linspace(0, 1, 11):
            seen = way.at(t)
            assert seen.x >= -1 and seen.x + seen.w <= width + 1
            assert seen.y >= -1 and seen.y + seen.h <= height + 1
            assert seen.x <= car[0] * width + 1
            assert (car[0] + car[2]) * width <= seen.x + seen.w + 1
        zoom = max(way.begin.w, way.end.w) / min(way.begin.w, way.end.w)
        shift = abs(way.begin.x - way.end.x) / width + abs(way.begin.y - way.end.y) / height
        assert zoom > 1.09 or shift > 0.03 or name == "still"


def test_a_small_photo_makes_the_canvas_smaller() -> None:
    placed = formats.place(Extent(10, 10, 309, 159), formats.canvas_of(WIDE))
    assert placed.scale <= 1.5
    assert placed.width < formats.canvas_of(WIDE)[0]

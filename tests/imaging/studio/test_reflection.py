import numpy as np
import pytest

from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.reflection import MOST, reflected, strength
from okla_assets.imaging.types import Floats, Rgb
from tests.imaging.scenes import car_alpha, photo_of

WALL = 200.0


def mirror(paint: tuple[int, int, int]) -> Floats:
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    wall = np.full((*alpha.shape, 3), WALL, np.float32)
    colour: Rgb = photo_of(alpha, paint)
    return reflected(colour, alpha, wall, floor_of(alpha, view), 0.5, 0.02)


def test_a_dark_car_shows_below_its_tyres_and_fades() -> None:
    image = mirror((20, 20, 20)).mean(axis=2)
    line = 420  # where the tyres stand
    assert image[line + 45 : line + 90, 300:500].mean() < -8  # darker than the wall it replaces
    assert image[: line - 30].max() == pytest.approx(0, abs=1e-3)
    assert abs(image[-10:].mean()) < abs(image[line + 60].mean())


def test_a_car_of_the_walls_colour_has_no_image() -> None:
    plain, dark = (np.abs(mirror((c, c, c))).mean() for c in (200, 20))
    assert plain < dark / 20  # its rim, mixed with the street, is what is left


def test_a_floor_is_no_mirror() -> None:
    view = view_of(car_alpha(), 90.0)
    assert view is not None
    assert 0.04 < strength(view) <= MOST

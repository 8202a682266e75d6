import numpy as np
import pytest

from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.reflection import MOST, reflected, strength
from okla_assets.imaging.types import Floats, Rgb
from tests.imaging.scenes import car_alpha, photo_of

WALL = 200.0


def mirror(paint: tuple[int, int, int], ground: float = WALL) -> Floats:
    """What a floor of this level gains, on the whole canvas."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    wall, below = (np.full((*alpha.shape, 3), level, np.float32) for level in (WALL, ground))
    colour: Rgb = photo_of(alpha, paint)
    floor = floor_of(alpha, view)
    window, layer = reflected(colour, alpha, wall, below, floor, 0.5, 0.02)
    assert layer.shape[0] < 0.6 * alpha.shape[0]  # only what lies below the vehicle
    whole = np.zeros_like(wall)
    whole[window] = layer
    return whole


def test_a_dark_car_shows_below_its_tyres_and_fades() -> None:
    image = mirror((20, 20, 20)).mean(axis=2)
    line = 420  # where the tyres stand
    assert image[line + 45 : line + 90, 300:500].mean() < -2  # darker than the wall it replaces
    assert image[: line - 30].max() == pytest.approx(0, abs=1e-3)
    assert abs(image[-10:].mean()) < abs(image[line + 60].mean())


def test_a_car_of_the_walls_colour_has_no_image() -> None:
    plain, dark = (np.abs(mirror((c, c, c))).mean() for c in (200, 20))
    assert plain < dark / 20  # its rim, mixed with the street, is what is left


def test_a_light_car_shows_best_on_a_dark_floor() -> None:
    """Light adds up, levels do not."""
    light, dark = (mirror((250, 250, 250), ground).mean() for ground in (WALL, 20.0))
    assert dark > 2 * light > 0


def test_a_floor_mirrors_most_where_the_camera_looks_along_it() -> None:
    view = view_of(car_alpha(), 90.0)
    assert view is not None
    shares = strength(view, np.array([view.horizon, 420.0, 590.0], np.float32))
    assert shares[0] == pytest.approx(MOST)
    assert MOST > shares[1] > shares[2] > 0.04

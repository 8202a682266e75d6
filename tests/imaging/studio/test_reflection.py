from dataclasses import replace

import cv2
import numpy as np
import pytest

from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.reflection import MOST, reflected, strength
from okla_assets.imaging.types import Floats, Rgb
from tests.imaging.scenes import car_alpha, photo_of

WALL = 200.0


BODY = np.s_[480:540, 320:480]
"""Where the floor shows the body's flank; nearer to the tyres it shows the body from below."""


def mirror(paint: tuple[int, int, int], wall: float = WALL, lit: float = 1.0) -> Floats:
    """What the floor of a scene of this level gains, on the whole canvas."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    scene = np.full((*alpha.shape, 3), wall, np.float32)
    colour: Rgb = photo_of(alpha, paint)
    left = np.full(alpha.shape, lit, np.float32)
    window, layer = reflected(colour, alpha, scene, left, floor_of(alpha, view), 0.5, 0.02)
    assert layer.shape[0] < 0.6 * alpha.shape[0]  # only what lies below the vehicle
    whole = np.zeros_like(scene)
    whole[window] = layer
    return whole


def test_a_dark_car_shows_below_its_tyres_and_fades() -> None:
    image = mirror((20, 20, 20)).mean(axis=2)
    line = 420  # where the tyres stand
    assert image[line + 45 : line + 90, 300:500].mean() < -2  # darker than the wall it replaces
    assert image[: line - 60].max() == pytest.approx(0, abs=1e-3)
    assert abs(image[-10:].mean()) < abs(image[line + 60].mean())


def test_a_car_of_the_walls_colour_shows_from_below_only() -> None:
    plain, dark = (np.abs(mirror((c, c, c))[BODY]).mean() for c in (200, 20))
    assert plain < dark / 10
    assert mirror((200, 200, 200))[405:415, 380:420].mean() < -5  # the underside


def test_the_old_scene_beside_the_matte_is_not_mirrored() -> None:
    """The colours come with what lay around the vehicle on its photo."""

    def made(around: int) -> Floats:
        alpha = car_alpha()
        view = view_of(alpha, 90.0)
        assert view is not None
        colour = photo_of(alpha, (20, 20, 20))
        colour[cv2.dilate(alpha, np.ones((9, 9), np.uint8)) == 0] = around  # its rim is clean
        scene = np.full((*alpha.shape, 3), 30, np.float32)
        left = np.ones(alpha.shape, np.float32)
        _, layer = reflected(colour, alpha, scene, left, floor_of(alpha, view), 0.7, 0.05)
        return layer

    assert np.abs(made(255) - made(0)).max() < 1


def test_a_light_car_shows_best_on_a_dark_floor() -> None:
    """Light adds up, levels do not."""
    light, dark = (mirror((250, 250, 250), wall)[BODY].mean() for wall in (WALL, 20.0))
    assert dark > 5 * light > 0


def test_a_shadow_takes_no_light_that_the_floor_mirrors_elsewhere() -> None:
    """The image hides no more of the wall than the shadow has left of it."""
    lit, shaded = (mirror((200, 200, 200), lit=share)[BODY].mean() for share in (1.0, 0.5))
    assert shaded > lit + 1


def test_a_floor_mirrors_most_where_the_camera_looks_along_it() -> None:
    view = view_of(car_alpha(), 90.0)
    assert view is not None
    shares = strength(view, np.array([view.horizon, 420.0, 590.0], np.float32))
    assert shares[0] == pytest.approx(MOST)
    assert MOST > shares[1] > shares[2] > 0.04


def test_a_flat_silhouette_at_the_pictures_end_mirrors_nothing() -> None:
    alpha = np.zeros((600, 800), np.float32)
    alpha[578:598, 200:600] = 1
    view = view_of(alpha, 90.0)
    assert view is not None
    scene = np.full((600, 800, 3), WALL, np.float32)
    left = np.ones(alpha.shape, np.float32)
    colour = photo_of(alpha, (20, 20, 20))
    window, layer = reflected(colour, alpha, scene, left, floor_of(alpha, view), 0.5, 0.02)
    assert layer.shape == scene[window].shape
    assert not layer.any()


@pytest.mark.parametrize("row", [0.5, 12.0])
def test_a_vehicle_below_its_own_floor_line_mirrors_nothing(row: float) -> None:
    """Of a silhouette like a comb, the lower edge is told to lie above its roof."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    floor = floor_of(alpha, view)
    wrong = replace(floor, line=np.where(np.isfinite(floor.line), np.float32(row), np.nan))
    scene = np.full((*alpha.shape, 3), WALL, np.float32)
    colour, left = photo_of(alpha, (20, 20, 20)), np.ones(alpha.shape, np.float32)
    window, layer = reflected(colour, alpha, scene, left, wrong, 0.5, 0.02)
    assert layer.shape == scene[window].shape
    assert not layer.any()

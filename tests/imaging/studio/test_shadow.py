import cv2
import numpy as np
import pytest

from okla_assets.imaging.studio.shadow import floor_line, ground_shadow
from tests.imaging.scenes import car_alpha


def test_the_floor_runs_from_tyre_to_tyre() -> None:
    floor = floor_line(car_alpha())
    assert floor is not None
    x0, x1, line, _, height = floor
    assert (x0, x1) == pytest.approx((150, 649), abs=2)
    assert height == pytest.approx(200, abs=3)
    between = line[250 - x0 : 550 - x0]
    assert between == pytest.approx(np.full(300, 419.0), abs=2)


def test_the_floor_follows_a_car_seen_at_an_angle() -> None:
    """The near tyre stands lower in the picture than the far one."""
    turned = cv2.warpAffine(
        car_alpha(), np.array([[1, 0, 0], [0.15, 1, -60]], np.float32), (800, 600)
    )
    floor = floor_line(np.asarray(turned, np.float32))
    assert floor is not None
    x0, _, line, _, _ = floor
    slope = (line[540 - x0] - line[260 - x0]) / 280
    assert slope == pytest.approx(0.15, abs=0.02)


def test_no_floor_without_a_vehicle() -> None:
    empty = np.zeros((300, 400), np.float32)
    assert floor_line(empty) is None
    assert not ground_shadow(empty).any()


def test_the_shadow_is_darkest_under_the_tyres_and_fades() -> None:
    shadow = ground_shadow(car_alpha())
    assert shadow.dtype == np.float32
    assert shadow.min() >= 0
    assert shadow.max() <= 1
    under_tyre, under_sill = shadow[420, 250], shadow[405, 400]
    assert under_tyre > 0.6
    assert under_sill > 0.5
    column = shadow[425:600, 400]
    assert (np.diff(column) <= 1e-3).all()
    assert column[-1] < 0.02


def test_a_bumper_hanging_before_the_tyres_still_has_a_shadow_below_it() -> None:
    shadow = ground_shadow(car_alpha(tyres=False))
    assert shadow[385, 400] > 0.3


def test_a_picture_twice_the_size_has_the_same_shadow() -> None:
    small = car_alpha()
    large = np.asarray(cv2.resize(small, (1600, 1200), interpolation=cv2.INTER_LINEAR), np.float32)
    halved = cv2.resize(ground_shadow(large), (800, 600), interpolation=cv2.INTER_AREA)
    assert np.abs(halved - ground_shadow(small)).mean() < 0.004


def test_a_mirror_beside_the_body_casts_no_shadow_on_the_air() -> None:
    plain = car_alpha()
    with_mirror = plain.copy()
    with_mirror[270:285, 120:160] = 1  # sticks out in the upper half
    changed = np.abs(ground_shadow(with_mirror) - ground_shadow(plain))
    assert changed.max() < 0.02

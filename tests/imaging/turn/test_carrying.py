"""A point of a vehicle is found again on pictures from elsewhere, on made cameras."""

from dataclasses import replace

import numpy as np
import pytest

from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.turn import carrying

LENGTH, WIDTH, DISTANCE = 2.9, 1.2, 5.0


def camera(azimuth: float) -> View:
    """A camera 5 vehicle heights away, of a picture 1280 x 720."""
    a = np.radians(azimuth)
    ahead = np.array([1, 1, -1, -1]) * LENGTH / 2
    left = np.array([1, -1, -1, 1]) * WIDTH / 2
    x = -ahead * np.sin(a) + left * np.cos(a)
    z = DISTANCE - ahead * np.cos(a) - left * np.sin(a)
    footprint = np.stack([x, z], axis=1)
    return View(900, 640, 300, 1.0, footprint, footprint, 180, 0.5)


@pytest.mark.parametrize("other", [60.0, 75.0, 110.0])
def test_a_door_handle_is_found_again_from_elsewhere(other: float) -> None:
    """On the left side, two thirds up."""
    handle = carrying.Anchor(3, 0.4, 0.65)
    pixel = carrying.seen_at(handle, camera(90))
    assert pixel is not None
    found = carrying.anchored(camera(90), *pixel)
    assert found is not None
    assert found.side == 3
    there, true = carrying.seen_at(found, camera(other)), carrying.seen_at(handle, camera(other))
    assert there == pytest.approx(true, abs=1)


def test_what_is_turned_away_is_not_shown() -> None:
    badge = carrying.Anchor(2, 0.5, 0.6)
    assert carrying.seen_at(badge, camera(180)) is not None
    assert carrying.seen_at(badge, camera(140)) is not None
    assert carrying.seen_at(badge, camera(90)) is None
    assert carrying.seen_at(badge, camera(0)) is None


def test_the_nearer_side_is_the_one_that_a_pixel_shows() -> None:
    from_quarter = camera(45)
    lamp = carrying.seen_at(carrying.Anchor(0, 0.1, 0.6), from_quarter)
    assert lamp is not None
    found = carrying.anchored(from_quarter, *lamp)
    assert found is not None and found.side == 0


def test_no_point_lies_beside_the_vehicle() -> None:
    assert carrying.anchored(camera(90), 5, 300) is None
    assert carrying.anchored(replace(camera(90), horizon=-900), 640, 300) is None


def test_jitter_is_taken_out_and_the_ends_stay() -> None:
    steady = carrying.steadied([(0.0, 0.0), (1.2, 0.0), (2.0, 0.0)])
    assert steady == [(0.0, 0.0), (pytest.approx(1.1), 0.0), (2.0, 0.0)]
    assert carrying.steadied([(0.0, 1.0)]) == [(0.0, 1.0)]

"""A frame of another shape shows the whole vehicle, or there is none."""

import numpy as np
import pytest

from okla_assets.imaging.photo import reframe
from okla_assets.imaging.photo.window import MARGIN, Window, choose

CAR = (200.0, 500.0, 1200.0, 500.0)


def test_the_same_shape_is_the_whole_picture() -> None:
    window = choose(1600, 1200, 4 / 3, CAR, extendable=False)
    assert window == Window(0, 0, 1600, 1200)


def test_a_narrow_frame_follows_the_vehicle() -> None:
    left = choose(1600, 1200, 1.0, (50, 500, 700, 400), extendable=False)
    right = choose(1600, 1200, 1.0, (850, 500, 700, 400), extendable=False)
    assert left == Window(0, 0, 1200, 1200)
    assert right == Window(400, 0, 1200, 1200)


def test_a_vehicle_that_does_not_fit_is_not_cut() -> None:
    assert choose(1600, 1200, 1.0, CAR, extendable=False) is None
    window = choose(1600, 1200, 1.0, CAR, extendable=True)
    assert window is not None
    assert window.extends(1600, 1200)
    assert window.left <= CAR[0] - MARGIN * window.width + 1
    assert window.left + window.width >= CAR[0] + CAR[2] + MARGIN * window.width - 1


@pytest.mark.parametrize("safe_zone", [0.8, 0.6])
def test_the_safe_zone_holds_the_vehicle(safe_zone: float) -> None:
    window = choose(1600, 1200, 1.91, CAR, extendable=True, safe_zone=safe_zone)
    assert window is not None
    assert CAR[2] <= safe_zone * window.width + 1
    assert CAR[3] <= safe_zone * window.height + 1


def test_what_lies_beyond_goes_on_with_the_border() -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[0], picture[-1] = 200, 90
    made = reframe.cut(picture, Window(0, -20, 160, 160), 80, 80)
    assert made.shape == (80, 80, 3)
    assert (made[:9] == 200).all()
    assert (made[-9:] == 90).all()

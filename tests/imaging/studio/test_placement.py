import numpy as np
import pytest

from okla_assets.imaging.studio.placement import (
    MOST_UPSCALE,
    SMALLEST_WIDTH,
    Extent,
    extent,
    place,
)
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from tests.imaging.scenes import car_alpha

WIDTH, ASPECT = 1600, 4 / 3


def test_a_long_vehicle_is_made_to_fit() -> None:
    placement = place(Extent(0, 100, 1999, 299), WIDTH, ASPECT, WHITE_STUDIO)
    assert placement.scale * 2000 == pytest.approx(WHITE_STUDIO.widest * placement.width, rel=0.01)


def test_a_small_photo_is_not_blown_up() -> None:
    placement = place(Extent(50, 50, 349, 199), WIDTH, ASPECT, WHITE_STUDIO)
    assert placement.scale <= MOST_UPSCALE + 0.01
    assert SMALLEST_WIDTH <= placement.width < WIDTH
    assert placement.width / placement.height == pytest.approx(ASPECT, rel=0.01)


def test_an_empty_matte_has_no_extent() -> None:
    with pytest.raises(ValueError, match="empty"):
        extent(np.zeros((10, 10), np.float32))


def test_an_antenna_does_not_change_the_scale() -> None:
    alpha = car_alpha()
    with_antenna = alpha.copy()
    with_antenna[120:220, 400:402] = 1
    assert extent(with_antenna) == extent(alpha)

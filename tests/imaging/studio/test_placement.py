import numpy as np
import pytest
from hypothesis import given, strategies as st

from okla_assets.imaging.studio.placement import (
    BANDS,
    HEADROOM,
    MOST_UPSCALE,
    SMALLEST_WIDTH,
    Extent,
    extent,
    place,
    wheel_line,
    width_share,
)
from okla_assets.imaging.types import Angle
from tests.imaging.scenes import car_alpha

WIDTH, ASPECT = 1600, 4 / 3

SIZES: dict[Angle, tuple[int, int]] = {
    "front": (1250, 1000),
    "front-quarter": (1600, 1000),
    "side": (2700, 1000),
    "rear-quarter": (1500, 1000),
    "rear": (1200, 1000),
}


@pytest.mark.parametrize("angle", SIZES)
def test_a_vehicle_fills_the_picture_as_the_trade_shows_its_view(angle: Angle) -> None:
    low, high = BANDS[angle]
    share = width_share(*SIZES[angle], ASPECT, angle)
    assert low <= share <= high
    blind = width_share(*SIZES[angle], ASPECT)
    assert blind == pytest.approx(share, abs=0.08)  # its proportions tell the view nearly as well


@pytest.mark.parametrize("aspect", [1.0, 4 / 3, 3 / 2, 16 / 9, 2.5, 0.6])
@pytest.mark.parametrize("angle", SIZES)
def test_roof_and_ends_keep_their_room_in_every_picture(aspect: float, angle: Angle) -> None:
    width, height = SIZES[angle]
    placement = place(Extent(0, 0, width - 1, height - 1), WIDTH, aspect, angle, 0.05)
    top = placement.top / placement.height
    assert top > HEADROOM - 0.01
    assert placement.left >= 0.05 * placement.width - 2
    bottom = (placement.top + placement.scale * height) / placement.height
    assert bottom == pytest.approx(wheel_line(aspect), abs=0.003)


def test_a_small_photo_is_not_blown_up() -> None:
    placement = place(Extent(50, 50, 349, 199), WIDTH, ASPECT)
    assert placement.scale <= MOST_UPSCALE + 0.01
    assert SMALLEST_WIDTH <= placement.width < WIDTH
    assert placement.width / placement.height == pytest.approx(ASPECT, rel=0.01)


@given(
    rows=st.integers(1, 40), columns=st.integers(1, 40), y=st.integers(0, 9), x=st.integers(0, 9)
)
def test_a_matte_is_as_large_as_it_is_solid_however_thin(
    rows: int, columns: int, y: int, x: int
) -> None:
    matte = np.zeros((60, 60), np.float32)
    matte[y : y + rows, x : x + columns] = 1
    assert extent(matte) == Extent(x, y, x + columns - 1, y + rows - 1)


def test_a_stray_pixel_beside_a_vehicle_does_not_count() -> None:
    matte = np.zeros((60, 60), np.float32)
    matte[20:40, 10:50] = 1
    matte[5, 55] = 1
    assert extent(matte) == Extent(10, 20, 49, 39)


def test_an_empty_matte_has_no_extent() -> None:
    matte = np.zeros((10, 10), np.float32)
    with pytest.raises(ValueError, match="empty"):
        extent(matte)


def test_an_antenna_does_not_change_the_scale() -> None:
    alpha = car_alpha()
    with_antenna = alpha.copy()
    with_antenna[120:220, 400:402] = 1
    assert extent(with_antenna) == extent(alpha)

import numpy as np
import pytest

from okla_assets import sample
from okla_assets.imaging.matte import wheels
from okla_assets.imaging.photo import codec
from tests.imaging.scenes import car_alpha


def test_a_side_view_on_two_wheels_is_whole() -> None:
    assert wheels.missing(car_alpha() > 0.5) is None


@pytest.mark.parametrize("x", [250, 550])
def test_a_wheel_that_is_not_there_is_missed(x: int) -> None:
    car = car_alpha() > 0.5
    car[381:, x - 60 : x + 60] = False
    assert wheels.missing(car) == "a wheel"


@pytest.mark.parametrize("x", [250, 550])
def test_a_tyre_cut_flat_is_missed(x: int) -> None:
    car = car_alpha() > 0.5
    car[407:, x - 60 : x + 60] = False
    assert wheels.missing(car) == "the foot of a wheel"


def test_no_view_of_the_sample_lacks_a_wheel() -> None:
    mattes = sorted((sample.FOLDER / "mattes").glob("*.png"))
    assert len(mattes) > 20
    for path in mattes:
        assert wheels.missing(codec.decode_gray(path.read_bytes()) > 127) is None, path.name


def test_an_empty_matte_tells_nothing() -> None:
    assert wheels.missing(np.zeros((60, 80), bool)) is None

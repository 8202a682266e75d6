import cv2
import numpy as np
import pytest

from okla_assets.imaging.matte import roof
from okla_assets.steps.wholeness import MOST_ASKEW
from tests.imaging.matte.test_parts import Bools
from tests.imaging.matte.test_twins import front


def rolled(matte: Bools, degrees: float) -> Bools:
    height, width = matte.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
    return np.asarray(cv2.warpAffine(matte.astype(np.uint8), turn, (width, height)) > 0)


@pytest.mark.parametrize("degrees", [-8.0, -4.0, 0.0, 4.0, 8.0])
def test_a_whole_car_has_a_level_roof_also_on_a_photo_that_is_rolled(degrees: float) -> None:
    found = roof.askew(rolled(front(), degrees))
    assert (found or 0) < 3
    assert degrees or found is not None


@pytest.mark.parametrize("degrees", [-12.0, 12.0, 18.0])
def test_a_roof_behind_a_slanted_edge_is_cut_off(degrees: float) -> None:
    """A photo taken past a car's own windscreen, or under a beam."""
    rows, columns = np.mgrid[:600, :800]
    below = rows > 190 + np.tan(np.radians(degrees)) * (columns - 400)
    found = roof.askew(front() & below)
    assert found is not None
    assert found > MOST_ASKEW


def test_a_round_roof_and_a_speck_tell_nothing() -> None:
    car = np.zeros((300, 400), np.uint8)
    cv2.ellipse(car, (200, 150), (120, 100), 0, 0, 360, 1, -1)
    assert roof.askew(car > 0) is None
    assert roof.askew(np.zeros((60, 80), bool)) is None

"""On photos of the sample, whose cameras stand without roll, and drawn ones."""

import cv2
import numpy as np
import pytest

from okla_assets.imaging.photo import level
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.types import Pixels, Rgb

SIZE = 900, 1200


@pytest.fixture
def view() -> View:
    """A camera that looks down: its horizon lies above the middle of the photo."""
    box = np.array([[-1.2, 3.0], [1.2, 3.0], [1.2, 4.0], [-1.2, 4.0]])
    return View(900.0, 600.0, 330.0, 1.0, box, box, 250.0, 0.2)


def street(tilt: float, view: View) -> tuple[Rgb, Pixels]:
    """House corners behind a vehicle, as that camera sees them when it is tilted; its matte."""
    height, width = SIZE
    photo = np.full((height, width, 3), 180, np.uint8)
    down = (height / 2 - view.horizon) / view.focal
    for x in range(60, width, 70):
        lean = -down * (x - width / 2) / view.focal
        top, bottom = (x - lean * 200, 60), (x + lean * 200, 460)
        start, end = ((round(16 * x), round(16 * y)) for x, y in (top, bottom))
        cv2.line(photo, start, end, (60, 50, 40), 3, cv2.LINE_AA, 4)
    matte = np.zeros((height, width), np.uint8)
    cv2.rectangle(matte, (300, 420), (900, 700), 255, -1)
    photo[matte > 0] = (150, 30, 30)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, 1.0)
    turned = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8), np.asarray(cv2.warpAffine(matte, matrix, (width, height)))


@pytest.mark.parametrize("tilt", [-6.0, -2.0, 0.0, 3.0])
def test_upright_lines_tell_the_tilt(view: View, tilt: float) -> None:
    found = level.tilt_of(*street(tilt, view), view)
    assert found == pytest.approx(tilt, abs=0.5)


def test_a_plain_wall_tells_nothing(view: View) -> None:
    photo, matte = np.full((*SIZE, 3), 128, np.uint8), np.zeros(SIZE, np.uint8)
    assert level.tilt_of(photo, matte, view) is None


def test_lines_of_the_vehicle_do_not_count(view: View) -> None:
    photo, matte = np.full((*SIZE, 3), 128, np.uint8), np.zeros(SIZE, np.uint8)
    matte[200:800, 100:1100] = 255
    for x in range(150, 1050, 60):
        cv2.line(photo, (x, 300), (x + 30, 700), (0, 0, 0), 3)
    assert level.tilt_of(photo, matte, view) is None


def test_a_levelled_photo_is_level(view: View) -> None:
    photo, matte = street(4.0, view)
    turn = level.levelling(4.0, None, matte)
    assert turn is not None
    again = level.tilt_of(level.levelled(photo, turn), level.levelled(matte, turn), view)
    assert again == pytest.approx(0.0, abs=0.5)


def test_points_move_as_pixels_do() -> None:
    picture = np.zeros((300, 400), np.uint8)
    cv2.circle(picture, (300, 100), 6, 255, -1)
    turn = Levelled(7.0, 0.4, 0.6)
    rows, columns = np.nonzero(level.levelled(picture, turn) > 127)
    x, y = turn.moved(300.5 / 400, 100.5 / 300, 4 / 3)
    assert (x * 400, y * 300) == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5), abs=0.3)


def matte_of(left: int, right: int) -> Pixels:
    matte = np.zeros(SIZE, np.uint8)
    matte[400:700, left:right] = 255
    return matte


def test_what_is_hardly_tilted_or_tilted_beyond_belief_stays() -> None:
    assert level.levelling(0.8, None, matte_of(300, 900)) is None
    assert level.levelling(9.0, None, matte_of(300, 900)) is None
    assert level.levelling(None, None, matte_of(300, 900)) is None


def test_the_wheels_of_a_side_view_say_by_how_much_at_most() -> None:
    matte = matte_of(300, 900)
    agreed = level.levelling(5.0, 2.0, matte)
    assert agreed is not None and agreed.degrees == -2.0
    assert level.levelling(5.0, -2.0, matte) is None


def test_a_vehicle_is_not_turned_out_of_its_photo() -> None:
    assert level.levelling(6.0, None, matte_of(300, 900)) is not None
    high = np.zeros(SIZE, np.uint8)
    high[5:700, 100:1100] = 255
    assert level.levelling(6.0, None, high) is None

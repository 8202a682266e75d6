import numpy as np
import pytest

from okla_assets.imaging.plates.neutral import neutralised

QUAD = np.array([[60, 40], [140, 44], [140, 64], [60, 60]], np.float32)
RED = (170, 30, 40)


def car(plate: tuple[int, int, int]) -> np.ndarray:
    import cv2

    picture = np.full((100, 200, 3), RED, np.uint8)
    cv2.fillPoly(picture, [QUAD.astype(np.int32)], plate)
    return picture


BEFORE = car((200, 203, 206))


@pytest.mark.parametrize(
    "tint", [(230, 200, 190), (170, 200, 230), (205, 205, 180), (255, 150, 140)]
)
def test_a_tinted_blank_plate_is_grey_again(tint: tuple[int, int, int]) -> None:
    made = neutralised(car(tint), BEFORE, [QUAD])
    plate = made[50:54, 70:130].astype(int)
    assert np.ptp(plate, axis=2).max() <= 2
    before = np.array(tint) @ [0.299, 0.587, 0.114]
    assert plate.mean() == pytest.approx(before, abs=2)


def test_paint_beside_the_plate_keeps_its_colour() -> None:
    picture = car((230, 200, 190))
    made = neutralised(picture, BEFORE, [QUAD])
    beside = np.ones((100, 200), bool)
    beside[38:67, 58:143] = False
    assert (made[beside] == picture[beside]).all()
    assert (made[36:39, 70:130] == RED).all()


def test_what_is_no_blank_plate_stays() -> None:
    """A logo's colours, or a quad that lies on paint."""
    picture = car((20, 60, 200))
    assert (neutralised(picture, picture, [QUAD]) == picture).all()
    outside = np.add(QUAD, np.float32(400))
    assert (neutralised(picture, picture, [outside]) == picture).all()


def test_a_bumper_as_light_and_as_tinted_as_the_plate_is_one_colour_up_to_it() -> None:
    """The plate is grey again, and no frame of grey is left round it."""
    tint = (206, 214, 230)
    picture = np.full((100, 200, 3), tint, np.uint8)
    made = neutralised(picture, BEFORE, [QUAD])
    beside = np.ones((100, 200), bool)
    beside[37:68, 57:144] = False
    assert (made[beside] == tint).all()


@pytest.mark.parametrize("tint", [(230, 214, 206), (206, 214, 230)])
def test_white_paint_beside_a_white_plate_is_not_given_the_opposite_tint(
    tint: tuple[int, int, int],
) -> None:
    """The correction has brought it to its colour; it is nearly as bright as the plate."""
    paint = (212, 213, 212)
    picture = car(tint)
    picture[(picture == RED).all(axis=2)] = paint
    made = neutralised(picture, BEFORE, [QUAD]).astype(int)
    assert np.ptp(made[50:54, 70:130], axis=2).max() <= 2
    beside = np.ones((100, 200), bool)
    beside[36:69, 56:145] = False
    assert np.abs(made[beside] - paint).max() <= 1
    assert np.abs(made[36:39, 70:130] - paint).max() <= 1


def test_a_tint_that_goes_over_the_plate_is_gone_at_both_ends() -> None:
    """A field of gains makes one end warm and the other cold, and its middle grey."""
    picture = car((200, 200, 200)).astype(float)
    across = np.linspace(-1, 1, 200)[None, :, None]
    picture[40:65] += (across * np.array([18, 0, -18]))[:, :, :]
    picture = np.rint(picture.clip(0, 255)).astype(np.uint8)
    made = neutralised(picture, BEFORE, [QUAD])[50:54, 64:136].astype(int)
    assert np.ptp(picture[50:54, 64:136].astype(int), axis=2).max() > 10
    assert np.ptp(made, axis=2).max() <= 2

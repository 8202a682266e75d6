from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from okla_assets.imaging.photo.correction import CURVE_TOP, Correction, GainField
from okla_assets.imaging.photo.enhance import corrected, decode, encode, window_of
from okla_assets.imaging.types import Rgb
from tests.imaging.scenes import car_alpha, picture

AS_IT_IS = tuple(np.linspace(0, CURVE_TOP, 65).tolist())
FIELD = GainField((0.2, 0.1, 0.6, 0.7), 3, 2, ((0.2, 0.0, -0.3),) * 3 + ((-0.4, 0.1, 0.5),) * 3)


def every_colour() -> Rgb:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18 * 18, 18, 3)


def test_nothing_to_correct_changes_nothing() -> None:
    photo = every_colour()
    same = corrected(photo, Correction((1.0, 1.0, 1.0), 1.0, AS_IT_IS))
    assert np.abs(same.astype(int) - photo).max() <= 1


@pytest.mark.parametrize("field", [None, FIELD])
def test_pixels_are_those_of_the_formula(field: GainField | None) -> None:
    """As documented, in double precision and pixel by pixel."""
    photo = (every_colour() * 0.8).astype(np.uint8)  # none is clipped
    curve = tuple(float(v) ** 0.9 for v in AS_IT_IS)
    correction = Correction((1.3, 0.9, 0.7), 1.2, curve, field)
    gains = np.ones(photo.shape)
    if field is not None:
        gains = np.exp(spline(field, photo.shape[0], photo.shape[1]))
    linear = np.where(
        photo / 255 <= 0.04045, photo / 255 / 12.92, ((photo / 255 + 0.055) / 1.055) ** 2.4
    )
    lifted = linear * gains * correction.gains
    luminance = lifted @ [[0.2126], [0.7152], [0.0722]]
    lifted = (luminance + 1.2 * (lifted - luminance)).clip(0)
    low = lifted * 12.92
    encoded = np.where(lifted <= 0.0031308, low, 1.055 * lifted ** (1 / 2.4) - 0.055)
    expected = np.interp(encoded, np.linspace(0, CURVE_TOP, 65), curve).clip(0, 1) * 255
    assert np.abs(corrected(photo, correction) - expected).max() <= 1.01


def spline(field: GainField, height: int, width: int) -> npt.NDArray[np.float64]:
    """The uniform cubic B-spline of a field's knots at each pixel, (H, W, 3)."""
    knots = np.array(field.log_gains).reshape(field.rows, field.columns, 3)
    x, y, w, h = field.box
    return along(along(knots, 0, field.rows, height, y, h), 1, field.columns, width, x, w)


def along(
    knots: npt.NDArray[np.float64], axis: int, count: int, size: int, start: float, length: float
) -> npt.NDArray[np.float64]:
    rows = []
    for pixel in range(size):
        at = min(max(((pixel + 0.5) / size - start) / length * count - 0.5, 0), count - 1)
        row = 0.0
        for knot in range(-3, count + 3):
            d = abs(at - knot)
            weight = 2 / 3 - d * d + d**3 / 2 if d < 1 else max(0.0, 2 - d) ** 3 / 6
            row = row + weight * knots.take(min(max(knot, 0), count - 1), axis=axis)
        rows.append(row)
    return np.stack(rows, axis=axis)


def test_a_correction_read_back_gives_the_same_pixels() -> None:
    correction = Correction((1.3, 0.9, 0.7), 1.1, AS_IT_IS, FIELD)
    kept = TypeAdapter(Correction).dump_json(correction)
    again = TypeAdapter(Correction).validate_json(kept)
    assert asdict(again) == asdict(correction)
    assert (corrected(picture(), again) == corrected(picture(), correction)).all()


def test_what_is_clipped_stays_white() -> None:
    """A lamp tells no colour: gains would turn it yellow or blue."""
    lamp = np.full((4, 4, 3), 255, np.uint8)
    assert corrected(lamp, Correction((1.4, 1.0, 0.5), 1.0, AS_IT_IS)).min() == 255


def test_outside_the_window_nothing_changes() -> None:
    alpha = car_alpha(320, 240)
    photo = picture()
    window = window_of(alpha)
    changed = corrected(photo, Correction((1.2, 1.0, 0.8), 1.0, AS_IT_IS, FIELD), window)
    whole = corrected(photo, Correction((1.2, 1.0, 0.8), 1.0, AS_IT_IS, FIELD))
    inside = np.zeros(alpha.shape, bool)
    inside[window] = True
    assert inside[alpha > 0].all()
    assert (changed[inside] == whole[inside]).all()
    assert (changed[~inside] == photo[~inside]).all()
    assert window_of(np.zeros((5, 5), np.float32)) == (slice(0, 0), slice(0, 0))


def test_encoding_is_srgb() -> None:
    levels = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.allclose(encode(decode(levels)), levels, atol=1e-5)
    assert decode(np.array([0.5], np.float32))[0] == pytest.approx(0.21404, abs=1e-4)


def test_a_large_photo_is_done_in_strips_that_do_not_show() -> None:
    tall = np.repeat(picture(40, 300), 40, axis=0)
    correction = Correction((1.1, 1.0, 0.9), 1.1, AS_IT_IS)
    assert (corrected(tall, correction)[::40] == corrected(picture(40, 300), correction)).all()

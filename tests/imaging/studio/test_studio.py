import numpy as np
import pytest

from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from tests.imaging.scenes import PAINT, STREET, car_alpha, photo_of

WIDTH, ASPECT = 1600, 4 / 3


def finished(scale: float = 1.0, shift: int = 0, opacity: float | None = 0.75) -> np.ndarray:
    alpha = car_alpha() if scale == 1 else _scaled(scale)
    alpha = np.roll(alpha, shift, axis=1)
    placement = place(extent(alpha), WIDTH, ASPECT, WHITE_STUDIO)
    return studio.compose(photo_of(alpha), alpha, placement, WHITE_STUDIO, opacity)


def _scaled(scale: float) -> np.ndarray:
    import cv2

    full = car_alpha()
    return np.asarray(cv2.resize(full, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def paint_rows_and_columns(picture: np.ndarray) -> tuple[int, int, int, int]:
    near = np.abs(picture.astype(int) - PAINT).max(axis=2) < 12
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0), (1.0, -100), (2.0, 0), (1.0, 120)])
def test_scale_wheel_line_and_middle_are_the_same_across_a_set(scale: float, shift: int) -> None:
    """However near the photographer stood and wherever the car was in the photo."""
    picture = finished(scale, shift)
    height, width = picture.shape[:2]
    top, bottom, left, right = paint_rows_and_columns(picture)
    assert bottom / height == pytest.approx(WHITE_STUDIO.wheel_line, abs=0.005)
    assert (left + right) / 2 / width == pytest.approx(0.5, abs=0.003)
    expected = min(WHITE_STUDIO.vehicle_height, WHITE_STUDIO.widest * ASPECT * 200 / 500)
    assert (bottom - top) / height == pytest.approx(expected, abs=0.007)


def test_nothing_of_the_old_street_is_left() -> None:
    picture = finished().astype(int)
    street = np.abs(picture - STREET).max(axis=2) < 25
    assert street.sum() == 0


def test_the_shadow_darkens_the_floor_under_the_car_and_nothing_far_from_it() -> None:
    lit, shaded = finished(opacity=None).astype(int), finished().astype(int)
    darker = (lit - shaded).max(axis=2)
    _, bottom, left, right = paint_rows_and_columns(lit)
    middle = (left + right) // 2
    assert darker[bottom - 12, middle] > 90  # between the tyres
    assert darker[: len(lit) // 4].max() <= 1
    assert darker[-10:].max() <= 3
    assert darker[:, [0, -1]].max() < darker.max() / 3


def test_the_same_input_gives_the_same_bytes() -> None:
    assert (finished() == finished()).all()

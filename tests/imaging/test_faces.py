"""A blurred face shows nothing of a person, and nothing else changes."""

import numpy as np
import pytest

from okla_assets.imaging.faces import AROUND, blur_faces
from okla_assets.imaging.types import Box

NOISE = np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8)


def detail(picture: np.ndarray) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


@pytest.mark.parametrize("face", [(60, 40, 24, 30), (100, 70, 6, 8)])
def test_nothing_of_a_face_is_left_and_the_rest_is_as_it_was(face: Box) -> None:
    x, y, w, h = (int(v) for v in face)
    blurred = blur_faces(NOISE, [face])
    assert detail(blurred[y : y + h, x : x + w]) < 0.25 * detail(NOISE)
    outside = np.ones(NOISE.shape[:2], bool)
    rows, columns = round(AROUND * h), round(AROUND * w)
    outside[y - rows : y + h + rows, x - columns : x + w + columns] = False
    assert (blurred == NOISE)[outside].all()


def test_a_face_that_the_picture_cuts_is_blurred_as_far_as_it_is_shown() -> None:
    blurred = blur_faces(NOISE, [(-10, 100, 24, 30), (300, 300, 10, 10)])
    assert detail(blurred[104:, :10]) < 0.25 * detail(NOISE)
    assert (blurred[:80] == NOISE[:80]).all()


def test_without_a_face_nothing_changes() -> None:
    assert (blur_faces(NOISE, []) == NOISE).all()

"""The floor's line: legs of the silhouette are peaks of its lower edge."""

import cv2
import numpy as np
import pytest
from scipy.signal import find_peaks

from okla_assets.imaging.studio import floor
from okla_assets.imaging.studio.camera import view_of
from okla_assets.sample.render import EXTERIORS
from tests.imaging.studio.test_camera import azimuth, matte


@pytest.mark.parametrize("seed", range(40))
def test_the_peaks_are_those_that_scipy_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    levels = random.integers(0, 3 + seed % 9, random.integers(3, 60)).astype(np.float64)
    profile = np.repeat(levels, random.integers(1, 4, len(levels)))

    for prominence in (0.5, 1.0, 2.5):
        expected, _ = find_peaks(profile, prominence=prominence, plateau_size=1)
        assert floor._peaks(profile, prominence).tolist() == expected.tolist()


def test_a_level_profile_has_no_peak() -> None:
    assert floor._peaks(np.zeros(12), 0.5).size == 0


@pytest.mark.parametrize("degrees", [-5.0, 5.0])
@pytest.mark.parametrize("name", ["IMG_0101", "IMG_0103", "IMG_0109", "IMG_0110"])
def test_tyres_of_a_tilted_quarter_view_are_where_they_are_seen(name: str, degrees: float) -> None:
    """The nearest tyre is the lowest: the others hang above it without hanging in the air."""
    (shot,) = (shot for shot in EXTERIORS if shot.name == name)
    alpha = matte(shot)
    view = view_of(alpha, azimuth(shot))
    assert view is not None
    height, width = alpha.shape
    turn = cv2.getRotationMatrix2D((width / 2, 0.7 * height), degrees, 1)
    tilted = np.asarray(cv2.warpAffine(alpha, turn, (width, height)), np.float32)
    found = floor.floor_of(tilted, view)
    sides = floor.side_facing(view)
    assert set(sides) <= set(found.found)
    across = view.seen(found.tyres)[sides, 0]
    below = [np.flatnonzero(tilted[:, round(x)] > 0.5)[-1] + 1 for x in across]
    moved = view.seen(found.tyres)[sides, 1] + found.shift[np.rint(across).astype(int)]
    assert moved == pytest.approx(below, abs=0.02 * view.vehicle_height)

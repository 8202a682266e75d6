"""The floor's line: legs of the silhouette are peaks of its lower edge."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from okla_assets.imaging.studio import floor


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

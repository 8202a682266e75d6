"""Our own music: just so long, always the same, each bed another, and something to hear."""

from typing import get_args

import numpy as np
import pytest

from okla_assets.imaging.promo.audio import RATE, arrange
from okla_assets.imaging.promo.beds import Bed, bed

BEDS: tuple[Bed, ...] = get_args(Bed)


@pytest.mark.parametrize("name", BEDS)
def test_a_bed_sounds_from_beginning_to_end_and_is_not_clipped(name: Bed) -> None:
    samples = bed(name, 6.0)
    assert samples.shape == (6 * RATE, 2)
    loud = np.sqrt((samples.reshape(12, RATE // 2, 2) ** 2).mean(axis=(1, 2)))
    assert loud.min() > 0.02
    assert 0.5 < np.abs(samples).max() <= 0.71
    assert np.array_equal(samples, bed(name, 6.0))
    assert arrange(samples, 6.0).shape == samples.shape


def test_beds_differ() -> None:
    heard = [np.abs(np.fft.rfft(bed(name, 3.0)[:, 0])) for name in BEDS]
    for i, one in enumerate(heard):
        for other in heard[:i]:
            alike = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
            assert alike < 0.9

"""Music at the clip's length."""

import numpy as np
import pytest

from okla_assets.imaging.promo.audio import RATE, Samples, TooShort, arrange


def tone(seconds: float, level: float = 0.5) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    wave = level * np.sin(2 * np.pi * 220 * t)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


@pytest.mark.parametrize("length", [0.7, 3.0, 5.0, 12.0])
def test_it_is_trimmed_or_looped_and_faded(length: float) -> None:
    out = arrange(tone(length), 5.0)
    assert out.shape == (5 * RATE, 2)
    loud = np.sqrt((out[:, 0].reshape(-1, RATE // 20) ** 2).mean(axis=1))
    assert loud[0] < 0.1 and loud[-1] < 0.05
    middle = loud[20:50]
    # Two copies of a tone may meet out of step; a gap or a click would be far outside this.
    assert middle.min() > 0.02 and middle.max() < 0.75
    assert np.abs(np.diff(out[:, 0])).max() < 0.03


def test_too_little_sound_is_refused() -> None:
    with pytest.raises(TooShort, match=r"0\.10 seconds"):
        arrange(tone(0.1), 5.0)

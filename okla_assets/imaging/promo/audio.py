"""The promo's music as samples: float32 (N, 2) in [-1, 1] at `RATE`."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

RATE = 48_000
SEAM_SECONDS = 1.0
"""Where a short piece begins again, its end and its beginning are mixed for this long."""
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.6, 2.0
LOUDNESS = -16.0
"""What the music is brought to, in LUFS (EBU R 128; -16 is what phone players expect)."""
LEAST_LOUDNESS = -60.0
"""Quieter music is silence or a broken file: bringing it up would only bring up noise."""


class TooShort(ValueError):
    """There is too little sound to loop."""


def arrange(samples: Samples, seconds: float) -> Samples:
    """The music at the clip's length: trimmed or looped, faded in and out.

    Raises TooShort where there is too little to loop.
    """
    wanted = round(seconds * RATE)
    looped = _looped(samples, wanted)
    gains = np.ones(wanted, np.float32)
    for count, ends in (
        (_count(FADE_IN_SECONDS, wanted), 1),
        (_count(FADE_OUT_SECONDS, wanted), -1),
    ):
        # Equal power: a straight line sounds as if it dropped at once.
        gains[::ends][:count] *= np.sin(np.linspace(0, np.pi / 2, count, dtype=np.float32))
    return np.asarray(looped * gains[:, None], np.float32)


def _count(seconds: float, wanted: int) -> int:
    return min(round(seconds * RATE), wanted // 3)


def _looped(samples: Samples, wanted: int) -> Samples:
    if len(samples) >= wanted:
        return samples[:wanted]
    if len(samples) < RATE // 2:
        raise TooShort(f"it holds only {len(samples) / RATE:.2f} seconds of sound")
    seam = min(round(SEAM_SECONDS * RATE), len(samples) // 4)
    rise = np.sin(np.linspace(0, np.pi / 2, seam, dtype=np.float32))[:, None]
    out = samples.copy()
    while len(out) < wanted:
        mixed = out[-seam:] * rise[::-1] + samples[:seam] * rise
        out = np.concatenate([out[:-seam], mixed, samples[seam:]])
    return out[:wanted]

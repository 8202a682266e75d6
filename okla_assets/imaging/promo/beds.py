"""Music beds of our own: synthesised here, note by note, so that nobody else's licence is needed.

A bed is stereo float32 (N, 2) in [-1, 1] at `audio.RATE`; the same name and length give the same
samples. Its loudness is set where it is mixed (`audio.LOUDNESS`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.promo.audio import RATE, Samples

Bed = Literal["warm", "drive", "bright"]

Mono = npt.NDArray[np.float64]
A4 = 440.0

# Four chords, a bar each, as semitones from A: the root first.
WARM = ((-12, 0, 3, 7), (-16, -4, 0, 3), (-9, 3, 7, 10), (-14, -2, 2, 5))  # Am F C G
BRIGHT = ((-9, 3, 7, 10), (-14, -2, 2, 5), (-12, 0, 3, 7), (-16, -4, 0, 3))  # C G Am F


@dataclass(frozen=True)
class _Score:
    """Beats a minute, the chords of its bars, and what plays a bar of one of them."""

    tempo: float
    chords: tuple[tuple[int, ...], ...]
    bar: Callable[[tuple[int, ...], float, int], Samples]


def bed(name: Bed, seconds: float) -> Samples:
    """The bed, just so long; it begins with its first bar."""
    score = _SCORES[name]
    beat = 60.0 / score.tempo
    length = round(4 * beat * RATE)
    wanted = round(seconds * RATE)
    bars = -(-wanted // length)
    tail = 2 * RATE  # what a bar still sounds into the next ones
    out = np.zeros((bars * length + tail, 2), np.float32)
    for number in range(bars):
        chord = score.chords[number % len(score.chords)]
        played = score.bar(chord, beat, number)[: length + tail]
        out[number * length : number * length + len(played)] += played
    out = out[:wanted]
    return np.asarray(0.7 * out / max(float(np.abs(out).max()), 1e-6), np.float32)


def _frequency(semitones: float) -> float:
    return float(A4 * 2 ** (semitones / 12))


def _time(seconds: float) -> Mono:
    return np.arange(round(seconds * RATE)) / RATE


def _envelope(at: Mono, attack: float, decay: float) -> Mono:
    """Rises within `attack` seconds, then falls to 1/e within `decay`; ends at nothing."""
    rise = np.minimum(at / attack, 1.0)
    end = np.minimum((at[-1] - at) / 0.03, 1.0)
    return np.asarray(rise * np.exp(-np.maximum(at - attack, 0) / decay) * end)


def _pad(semitones: float, seconds: float) -> Mono:
    """A soft string: few harmonics, two voices slightly apart."""
    at = _time(seconds)
    sound = np.zeros_like(at)
    for detune in (-0.04, 0.05):
        f = _frequency(semitones + detune)
        for harmonic in range(1, 6):
            sound += np.sin(2 * np.pi * harmonic * f * at) / harmonic**1.9
    swell = np.sin(np.pi * np.clip(at / seconds, 0, 1)) ** 0.6
    return sound * swell


def _pluck(semitones: float, seconds: float, brightness: float) -> Mono:
    """A struck bar, as a marimba's: its fundamental and two overtones that die sooner."""
    at = _time(seconds)
    f = _frequency(semitones)
    parts = ((1.0, 1.0, 0.45), (3.93, 0.30 * brightness, 0.12), (9.2, 0.10 * brightness, 0.05))
    sounds = (
        share * np.sin(2 * np.pi * factor * f * at) * _envelope(at, 0.003, decay)
        for factor, share, decay in parts
    )
    return np.asarray(sum(sounds))


def _bass(semitones: float, seconds: float) -> Mono:
    at = _time(seconds)
    f = _frequency(semitones)
    sound = np.sin(2 * np.pi * f * at) + 0.35 * np.sin(4 * np.pi * f * at)
    return sound * _envelope(at, 0.01, 0.5 * seconds)


def _kick(seconds: float = 0.25) -> Mono:
    at = _time(seconds)
    sweep = 48 * at + 95 * 0.035 * (1 - np.exp(-at / 0.035))
    return np.sin(2 * np.pi * sweep) * _envelope(at, 0.002, 0.09)


def _hat(seed: int, seconds: float = 0.08) -> Mono:
    noise = np.random.default_rng(seed).normal(0, 1, round(seconds * RATE))
    return np.diff(noise, prepend=0.0) * _envelope(_time(seconds), 0.001, 0.018)


class _Bar:
    """A bar that sounds are laid into, with room for what they still ring."""

    def __init__(self, beat: float) -> None:
        self._beat = beat
        self._samples = np.zeros((round(4 * beat * RATE) + 2 * RATE, 2))

    def add(self, sound: Mono, beats: float, gain: float, pan: float = 0.0) -> None:
        """`beats` from the bar's begin; `pan` from -1, left, to 1, right, at equal power."""
        start = round(beats * self._beat * RATE)
        part = self._samples[start : start + len(sound)]
        angle = (pan + 1) * np.pi / 4
        sides = gain * np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)])
        part += sound[: len(part), None] * sides

    @property
    def samples(self) -> Samples:
        return self._samples.astype(np.float32)


def _warm(chord: tuple[int, ...], beat: float, number: int) -> Samples:
    """Strings, and a slow broken chord over them from the third bar on."""
    bar = _Bar(beat)
    for i, note in enumerate(chord[1:]):
        bar.add(_pad(note - 12, 4.6 * beat), 0, 0.16, 0.5 * (i - 1))
    bar.add(_bass(chord[0] - 12, 3.6 * beat), 0, 0.34)
    if number >= 2:
        order = (1, 2, 3, 2)
        for step, voice in enumerate(order):
            bar.add(_pluck(chord[voice], 1.4, 0.5), step, 0.16, 0.35 * (-1) ** step)
    return bar.samples


def _drive(chord: tuple[int, ...], beat: float, number: int) -> Samples:
    """A kick on every beat, hats between them, a bass in eighths and short chords."""
    bar = _Bar(beat)
    for quarter in range(4):
        bar.add(_kick(), quarter, 0.85)
        bar.add(_hat(31 * number + quarter), quarter + 0.5, 0.07, 0.3)
        for eighth in (0.0, 0.5):
            bar.add(_bass(chord[0] - 12, 0.42 * beat), quarter + eighth, 0.30)
    for at in (0.5, 1.5, 2.75, 3.5):
        for i, note in enumerate(chord[1:]):
            bar.add(_pluck(note, 0.5, 0.8), at, 0.12, 0.5 * (i - 1))
    return bar.samples


def _bright(chord: tuple[int, ...], beat: float, number: int) -> Samples:
    """A marimba's running eighths over a light bass, a shaker under them."""
    bar = _Bar(beat)
    bar.add(_bass(chord[0], 1.8 * beat), 0, 0.26)
    bar.add(_bass(chord[0], 1.8 * beat), 2, 0.22)
    for i, note in enumerate(chord[1:]):
        bar.add(_pad(note - 12, 4.3 * beat), 0, 0.05, 0.6 * (i - 1))
    pattern = (1, 2, 3, 2, 1, 3, 2, 3)
    for step, voice in enumerate(pattern):
        lift = 12 if step % 4 == 2 and number % 2 else 0
        bar.add(_pluck(chord[voice] + lift, 0.9, 1.0), step / 2, 0.20, 0.4 * (-1) ** step)
        bar.add(_hat(17 * number + step), step / 2 + 0.25, 0.035, -0.3)
    return bar.samples


_SCORES: dict[Bed, _Score] = {
    "warm": _Score(76, WARM, _warm),
    "drive": _Score(112, WARM, _drive),
    "bright": _Score(104, BRIGHT, _bright),
}

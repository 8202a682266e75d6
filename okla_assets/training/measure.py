"""Held-out figures of trained heads, and the temperatures that calibrate their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from okla_assets.imaging.types import Floats
from okla_assets.training.labels import LabelledPhoto
from okla_assets.training.samples import CleanSamples, Ints, angle_targets
from okla_assets.training.temperature import FEWEST, fitted_temperature
from resources.models import tiny_vit
from resources.models.view_heads import (
    ANGLES,
    BINS,
    CATEGORIES,
    SIDES,
    AngleHead,
    Pose,
    ViewHeads,
    decide,
    split_outputs,
)

LEAST, MOST = 0.6, 3.0
"""Bounds of a temperature: few held-out photos would otherwise make the heads far too certain."""


@dataclass(frozen=True)
class Score:
    """`right` of `total` held-out photos."""

    right: int
    total: int

    @property
    def rate(self) -> float | None:
        """In [0, 1]; None where nothing was held out."""
        return self.right / self.total if self.total else None


@dataclass(frozen=True)
class HeldOut:
    """Scores on the held-out vehicles of heads trained on the others, one clean sample a photo.

    `side` counts left against right; `azimuth_error_deg` is the median, None without labels.
    """

    vehicles: int
    category: Score
    angle: Score
    side: Score
    azimuth_error_deg: float | None


@dataclass(frozen=True)
class Temperatures:
    """What the logits of angle and side are divided by; the azimuth's are left alone."""

    angle: float
    side: float

    def cool(self, head: AngleHead) -> AngleHead:
        """The head with the temperatures folded into its weights."""
        sizes = (BINS, len(ANGLES), len(SIDES))
        by = np.repeat(np.array([1.0, self.angle, self.side], np.float32), sizes)
        return replace(head, out=head.out / by, out_bias=head.out_bias / by)


def measure(heads: ViewHeads, clean: CleanSamples) -> HeldOut:
    """Scores heads that have not seen the vehicles of `clean`."""
    photos = clean.photos
    probabilities = tiny_vit.mirror_averaged(heads, clean.grids)
    categories = [CATEGORIES[n] for n in heads.category.probabilities(clean.means).argmax(axis=1)]
    poses = decide(probabilities)
    # The side is scored as the head predicts it, also where `decide` gives none.
    sides = [SIDES[n] for n in probabilities.side.argmax(axis=1)]
    return HeldOut(
        vehicles=len({photo.vehicle for photo in photos}),
        category=_score([photo.category for photo in photos], categories),
        angle=_score([photo.angle for photo in photos], [pose.angle for pose in poses]),
        side=_score([photo.side for photo in photos], sides),
        azimuth_error_deg=_azimuth_error(photos, poses),
    )


def find_temperatures(heads: ViewHeads, clean: CleanSamples) -> Temperatures:
    """Those that fit the held-out photos best."""
    truth = angle_targets(clean.photos, [False] * len(clean.photos))
    logits = np.mean([head.logits(clean.grids[::2]) for head in heads.angles], axis=0)
    _, angle, side = split_outputs(np.asarray(logits, np.float32))
    return Temperatures(_temperature(angle, truth.angle), _temperature(side, truth.side))


def _score(truths: Sequence[str | None], guesses: Sequence[str]) -> Score:
    pairs = [(t, g) for t, g in zip(truths, guesses, strict=True) if t is not None]
    return Score(sum(t == g for t, g in pairs), len(pairs))


def _azimuth_error(photos: list[LabelledPhoto], poses: list[Pose]) -> float | None:
    errors = [
        abs((pose.azimuth_deg - photo.azimuth_deg + 180.0) % 360.0 - 180.0)
        for photo, pose in zip(photos, poses, strict=True)
        if photo.azimuth_deg is not None
    ]
    return float(np.median(errors)) if errors else None


def _temperature(logits: Floats, truth: Ints) -> float:
    """1 where few classes are known."""
    known = np.flatnonzero(truth >= 0)
    if len(known) < FEWEST:
        return 1.0
    return fitted_temperature(logits[known], truth[known].tolist(), LEAST, MOST)

"""Odds of what photos show, before anything is decided: what several classifiers can be asked for
and have averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from resources.models.base import Box, Rgb, View
from resources.models.view_heads import (
    ANGLES,
    AZIMUTHS,
    BIN_DEG,
    BINS,
    BINS_OF_SIDE,
    CATEGORIES,
    AngleOdds,
    Floats,
    decide,
)


@dataclass(frozen=True)
class ViewOdds:
    """One photo's: category (3,) in the order of `CATEGORIES`, and the pose where it has a box."""

    category: Floats
    pose: AngleOdds | None

    def view(self) -> View:
        """The likeliest; angle, side and azimuth only for an exterior with a box."""
        best = int(self.category.argmax())
        category, confidence = CATEGORIES[best], float(self.category[best])
        if category != "exterior" or self.pose is None:
            return View(category, confidence)
        pose = decide(self.pose)[0]
        return View(
            category,
            confidence,
            angle=pose.angle,
            angle_confidence=pose.angle_confidence,
            side=pose.side,
            side_confidence=pose.side_confidence,
            azimuth_deg=pose.azimuth_deg,
        )


@runtime_checkable
class GivesOdds(Protocol):
    """A classifier whose odds can be had."""

    def odds(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[ViewOdds]:
        """One photo's odds each; a pose for every photo with a box, whatever its category."""
        ...


def pose_odds(angle: Floats, side: Floats) -> AngleOdds:
    """Azimuth odds for a classifier that knows angle (N, 5) and side (N, 2) alone.

    Every bin that an angle's range and a side share is as likely as the others.
    """
    centres = np.arange(BINS) * BIN_DEG
    from_front = np.minimum(centres, 360.0 - centres)
    azimuth = np.zeros((len(angle), BINS), np.float32)
    for i in range(len(ANGLES)):
        low, high = AZIMUTHS[i]
        ranged = (from_front >= low - BIN_DEG / 4) & (from_front <= high + BIN_DEG / 4)
        for j, of_side in enumerate(BINS_OF_SIDE):
            bins = ranged & of_side
            azimuth[:, bins] += (angle[:, i] * side[:, j])[:, None] / bins.sum()
    return AngleOdds(azimuth, angle, side)

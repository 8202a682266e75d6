"""Probabilities of what photos show, undecided, so that classifiers can be averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from okla_assets.imaging.types import Floats
from resources.models.base import View
from resources.models.view_heads import (
    ANGLES,
    AZIMUTHS,
    BIN_DEG,
    BINS,
    BINS_OF_SIDE,
    CATEGORIES,
    PoseProbabilities,
    decide,
)


@dataclass(frozen=True)
class ViewProbabilities:
    """One photo's: category (3,) in the order of `CATEGORIES`; and where it has a box the pose,
    whatever the category."""

    category: Floats
    pose: PoseProbabilities | None

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
            azimuth_deg=pose.azimuth_deg,
        )


def pose_probabilities(angle: Floats, side: Floats) -> PoseProbabilities:
    """Azimuth probabilities for a classifier that knows angle (N, 5) and side (N, 2) alone.

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
    return PoseProbabilities(azimuth, angle, side)

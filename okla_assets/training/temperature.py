"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from okla_assets.imaging.types import Floats
from resources.models.clip_views import probabilities_at

FEWEST = 50
"""Labelled photos from which a temperature is fitted."""


def nll(logits: Floats, labels: Sequence[int], temperature: float) -> float:
    """Mean negative log-likelihood of the true classes, in nats."""
    probabilities = probabilities_at(logits, temperature)[np.arange(len(labels)), list(labels)]
    return -float(np.log(probabilities.clip(1e-12, 1)).mean())


def fitted_temperature(
    logits: Floats, labels: Sequence[int], least: float = 0.05, most: float = 20.0
) -> float:
    """The temperature from `least` to `most` with the least negative log-likelihood.

    `logits` are (N, classes), or (N, views, classes) whose probabilities are averaged.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: nll(logits, labels, float(np.exp(log))),
        bounds=(np.log(least), np.log(most)),
        method="bounded",
    )
    return float(np.exp(found.x))

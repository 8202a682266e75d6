"""Fits the view heads to the features of labelled samples.

No torch and no sklearn: both heads are small enough for numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Floats
from okla_assets.training.samples import AngleTargets, Ints, Samples
from resources.models.view_heads import (
    ANGLES,
    BINS_OF_SIDE,
    CATEGORIES,
    CHANNELS,
    GRID,
    OUTPUTS,
    SIDES,
    AngleHead,
    CategoryHead,
    ViewHeads,
    sigmoid,
    silu,
    softmax,
    split_outputs,
)

_PROJECTED = 16
_HIDDEN = 64
_EPOCHS = 15
_LEAST_STEPS = 600
_BATCH = 128
_PEAK_RATE = 2e-3
_DECAY = 0.02
_CATEGORY_L2 = 0.1


def fit_heads(samples: Samples, seeds: Sequence[int], steps: int | None) -> ViewHeads:
    """The category head, and an angle head a seed."""
    angles, categories = samples.angles, samples.categories
    return ViewHeads(
        fit_category_head(categories.means, categories.category),
        tuple(fit_angle_head(angles.grids, angles.targets, seed=n, steps=steps) for n in seeds),
    )


def fit_angle_head(
    grids: npt.NDArray[np.float16],
    targets: AngleTargets,
    *,
    seed: int,
    steps: int | None = None,
) -> AngleHead:
    """Trains one head on feature grids (N, 7, 7, 320) with AdamW and dropout.

    `steps` batches of 128; without it 15 epochs, and never fewer than 600 batches.
    """
    rng = np.random.default_rng(seed)
    mean, deviation = _channel_statistics(grids)
    weights = _initial_weights(rng)
    optimiser = _AdamW(weights)
    batches = max(1, math.ceil(len(grids) / _BATCH))
    steps = steps or max(_LEAST_STEPS, _EPOCHS * batches)
    order = rng.permutation(len(grids))
    for step in range(steps):
        if step % batches == 0:
            order = rng.permutation(len(grids))
        chosen = order[step % batches :: batches]
        standard = ((grids[chosen] - mean) / deviation).astype(np.float32)
        gradients = _gradients(weights, standard, targets.rows(chosen), rng)
        optimiser.step(gradients, _one_cycle(step / steps))
    scaled = weights["project"] / deviation[:, None]
    bias = weights["project_bias"] - mean @ scaled
    return replace(AngleHead(**weights), project=scaled, project_bias=bias)


def _channel_statistics(grids: npt.NDArray[np.float16]) -> tuple[Floats, Floats]:
    """Mean and deviation a channel, over all cells, so that they fold into the projection."""
    flat = grids.reshape(-1, grids.shape[-1])
    mean = flat.mean(axis=0, dtype=np.float64)
    square = np.zeros_like(mean)
    for part in np.array_split(flat, max(1, len(flat) // 65536)):
        square += ((part - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(square / max(1, len(flat))) + 1e-4
    return mean.astype(np.float32), deviation.astype(np.float32)


def _initial_weights(rng: np.random.Generator) -> dict[str, Floats]:
    def linear(inputs: int, outputs: int) -> Floats:
        bound = 1.0 / math.sqrt(inputs)
        return rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)

    return {
        "project": linear(CHANNELS, _PROJECTED),
        "project_bias": np.zeros(_PROJECTED, np.float32),
        "hidden": linear(GRID * GRID * _PROJECTED, _HIDDEN),
        "hidden_bias": np.zeros(_HIDDEN, np.float32),
        "out": linear(_HIDDEN, OUTPUTS),
        "out_bias": np.zeros(OUTPUTS, np.float32),
    }


def _gradients(
    w: dict[str, Floats], x: Floats, targets: AngleTargets, rng: np.random.Generator
) -> dict[str, Floats]:
    """Back-propagation through `AngleHead.logits`, with dropout before each layer."""
    count = len(x)
    x = np.multiply(x, _dropout(rng, x.shape, 0.2)).reshape(-1, CHANNELS)
    a1: Floats = x @ w["project"] + w["project_bias"]
    keep1 = _dropout(rng, (count, len(w["hidden"])), 0.3)
    h1: Floats = silu(a1).reshape(count, -1) * keep1
    a2: Floats = h1 @ w["hidden"] + w["hidden_bias"]
    keep2 = _dropout(rng, a2.shape, 0.4)
    h2: Floats = silu(a2) * keep2
    d_out = _loss_gradient(h2 @ w["out"] + w["out_bias"], targets)
    d2 = (d_out @ w["out"].T) * keep2 * _silu_slope(a2)
    d1 = ((d2 @ w["hidden"].T) * keep1).reshape(a1.shape) * _silu_slope(a1)
    return {
        "project": x.T @ d1,
        "project_bias": d1.sum(axis=0),
        "hidden": h1.T @ d2,
        "hidden_bias": d2.sum(axis=0),
        "out": h2.T @ d_out,
        "out_bias": d_out.sum(axis=0),
    }


def _loss_gradient(logits: Floats, targets: AngleTargets) -> Floats:
    """Gradient of the mean weighted cross-entropies of the three outputs, at the logits (N, 23).

    Where the side is known and the azimuth is not, the azimuth only has to lie on that side.
    """
    azimuth, angle, side = (softmax(part) for part in split_outputs(logits))
    has_azimuth = targets.azimuth.sum(axis=1, keepdims=True) > 0
    has_side = targets.side[:, None] >= 0
    half = azimuth * BINS_OF_SIDE[targets.side]
    half = half / (half.sum(axis=1, keepdims=True) + 1e-9)
    joined = [
        np.where(has_azimuth, azimuth - targets.azimuth, 0.5 * has_side * (azimuth - half)),
        (targets.angle[:, None] >= 0) * (angle - np.eye(len(ANGLES))[targets.angle]),
        has_side * (side - np.eye(len(SIDES))[targets.side]),
    ]
    scale = targets.weight[:, None] / len(logits)
    return (np.concatenate(joined, axis=1) * scale).astype(np.float32)


def _silu_slope(x: Floats) -> Floats:
    s = sigmoid(x)
    return np.asarray(s * (1 + x * (1 - s)), np.float32)


def _dropout(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Floats:
    # Bytes are drawn four times as fast as floats, and drawing is a third of the training time.
    keep = rng.integers(0, 256, shape, dtype=np.uint8) >= round(256 * rate)
    return np.multiply(keep, 1 / (1 - rate), dtype=np.float32)


def _one_cycle(done: float) -> float:
    """Learning rate: up over the first 15 %, then down along a cosine."""
    if done < 0.15:
        return _PEAK_RATE * (0.04 + 0.96 * done / 0.15)
    return _PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (done - 0.15) / 0.85))


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019); changes the weights in place."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        self._first = {name: np.zeros_like(value) for name, value in weights.items()}
        self._second = {name: np.zeros_like(value) for name, value in weights.items()}
        self._steps = 0

    def step(self, gradients: dict[str, Floats], rate: float) -> None:
        self._steps += 1
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            unbiased = first / (1 - 0.9**self._steps)
            spread = np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8
            self._weights[name] -= rate * (unbiased / spread + _DECAY * self._weights[name])


def fit_category_head(means: Floats, category: Ints) -> CategoryHead:
    """Balanced logistic regression on mean features (N, 320), by Nesterov's gradient descent."""
    mean, deviation = means.mean(axis=0), means.std(axis=0) + 1e-4
    x = ((means - mean) / deviation).astype(np.float32)
    truth = np.eye(len(CATEGORIES), dtype=np.float32)[category]
    share = truth.sum(axis=0)
    weight = (truth / np.maximum(share, 1)).sum(axis=1, keepdims=True) / np.count_nonzero(share)
    # 1 / Lipschitz constant of the gradient; the softmax's curvature is at most 1/2.
    rate = 1.0 / (0.5 * float(np.linalg.norm(x * np.sqrt(weight), 2)) ** 2 + _CATEGORY_L2)
    matrix = np.zeros((x.shape[1], len(CATEGORIES)), np.float32)
    bias = np.zeros(len(CATEGORIES), np.float32)
    ahead, ahead_bias = matrix, bias
    for step in range(400):
        error = (softmax(x @ ahead + ahead_bias) - truth) * weight
        new = ahead - rate * (x.T @ error + _CATEGORY_L2 * ahead)
        new_bias = ahead_bias - rate * error.sum(axis=0)
        momentum = step / (step + 3)
        ahead = new + momentum * (new - matrix)
        ahead_bias = new_bias + momentum * (new_bias - bias)
        matrix, bias = new, new_bias
    scaled = (matrix / deviation[:, None]).astype(np.float32)
    return CategoryHead(scaled, (bias - mean @ scaled).astype(np.float32))

"""The small heads on top of the TinyViT features: numpy forward pass and safetensors files.

Two kinds. `AngleHead` reads the 7x7 grid of the boxed vehicle: one projection shared by all cells,
one hidden layer, three outputs. `CategoryHead` is a logistic regression on the whole photo. A file
holds one category head and an ensemble of angle heads, whose probabilities are averaged.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Angle, Category, Floats, Side
from resources.errors import BrokenSetup

CATEGORIES: Final[tuple[Category, ...]] = ("exterior", "interior", "misc")
ANGLES: Final[tuple[Angle, ...]] = ("front", "front-quarter", "side", "rear-quarter", "rear")
SIDES: Final[tuple[Side, ...]] = ("left", "right")
BINS: Final = 16
BIN_DEG: Final = 360.0 / BINS
OUTPUTS: Final = BINS + len(ANGLES) + len(SIDES)
GRID: Final = 7
CHANNELS: Final = 320
FILE_NAME: Final = "views.safetensors"
FORMAT: Final = "okla-view-heads/1"
# Bin k of a mirrored picture is bin -k of the picture.
MIRRORED_BINS: Final = np.array([-k % BINS for k in range(BINS)])
# Which bins show the left side, which the right; front and rear show both.
BINS_OF_SIDE: Final = np.array(
    [[k <= 8 for k in range(BINS)], [k % 8 == 0 or k > 8 for k in range(BINS)]]
)
_BIN_CENTRES: Final = np.arange(BINS) * BIN_DEG
# Degrees away from the front that each angle may have. People call a car seen from 15 degrees off
# its axis "front" and from 20 off its flank "side", so the ranges overlap.
AZIMUTHS: Final = ((0.0, 22.5), (10.0, 80.0), (67.5, 112.5), (100.0, 170.0), (157.5, 180.0))
_CLEARLY_TURNED: Final = 10.0
_MIN_SIDE_PROBABILITY: Final = 0.9


class BadHeads(BrokenSetup):
    """A heads file that is not one, or one made for other features."""


@dataclass(frozen=True)
class PoseProbabilities:
    """Probabilities of N vehicles: azimuth (N, 16) in bins of 22.5 degrees from 0, angle (N, 5) and
    side (N, 2) in the order of `ANGLES` and `SIDES`."""

    azimuth: Floats
    angle: Floats
    side: Floats

    def averaged(self, *others: PoseProbabilities) -> PoseProbabilities:
        """The mean of these probabilities and others of the same vehicles."""
        all_probabilities = (self, *others)
        return PoseProbabilities(
            _mean([o.azimuth for o in all_probabilities]),
            _mean([o.angle for o in all_probabilities]),
            _mean([o.side for o in all_probabilities]),
        )

    def mirrored(self) -> PoseProbabilities:
        """The probabilities of the picture, from the probabilities of its mirror image."""
        return PoseProbabilities(self.azimuth[:, MIRRORED_BINS], self.angle, self.side[:, ::-1])


@dataclass(frozen=True)
class AngleHead:
    """Grid of features -> probabilities; standardisation and temperatures are in the weights.

    `project` (320, k) is shared by the 49 cells; `hidden` (49 k, h); `out` (h, 23).
    """

    project: Floats
    project_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def probabilities(self, grids: Floats) -> PoseProbabilities:
        """Probabilities for feature grids (N, 7, 7, 320)."""
        return PoseProbabilities(*(softmax(part) for part in split_outputs(self.logits(grids))))

    def logits(self, grids: Floats) -> Floats:
        """Raw outputs (N, 23): azimuth bins, angles, sides."""
        count = grids.shape[0]
        cells = grids.reshape(count, -1, self.project.shape[0])
        projected = silu(cells @ self.project + self.project_bias)
        hidden = silu(projected.reshape(count, -1) @ self.hidden + self.hidden_bias)
        return np.asarray(hidden @ self.out + self.out_bias, np.float32)


@dataclass(frozen=True)
class CategoryHead:
    """Mean features -> category. `weight` (320, 3), `bias` (3,); standardisation folded in."""

    weight: Floats
    bias: Floats

    def probabilities(self, means: Floats) -> Floats:
        """Probabilities (N, 3), in the order of `CATEGORIES`, for mean features (N, 320)."""
        return softmax(np.asarray(means @ self.weight + self.bias, np.float32))


@dataclass(frozen=True)
class ViewHeads:
    """All heads of one file. `digest` is the file's SHA-256, empty before it is saved."""

    category: CategoryHead
    angles: tuple[AngleHead, ...]
    digest: str = ""

    def angle_probabilities(self, grids: Floats) -> PoseProbabilities:
        """Mean probabilities of the ensemble for feature grids (N, 7, 7, 320)."""
        first, *rest = (head.probabilities(grids) for head in self.angles)
        return first.averaged(*rest)


@dataclass(frozen=True)
class Pose:
    """Orientation of one vehicle. Azimuth 0 is its front, 90 its left side; the side is None where
    the vehicle is seen straight from the front or the rear."""

    angle: Angle
    angle_confidence: float
    side: Side | None
    azimuth_deg: float


def decide(probabilities: PoseProbabilities) -> list[Pose]:
    """One consistent pose a vehicle: the azimuth lies in the angle's range and on the side."""
    return [
        _pose(azimuth, angle, side)
        for azimuth, angle, side in zip(
            probabilities.azimuth, probabilities.angle, probabilities.side, strict=True
        )
    ]


def _pose(azimuth: Floats, angle: Floats, side: Floats) -> Pose:
    best, best_side = int(angle.argmax()), int(side.argmax())
    low, high = AZIMUTHS[best]
    # Only the bins that agree with class and side vote, so that a second peak (front
    # against rear, left against right) cannot pull the mean into the middle between the two.
    from_front = np.minimum(_BIN_CENTRES, 360.0 - _BIN_CENTRES)
    votes = azimuth * ((from_front > low - BIN_DEG) & (from_front < high + BIN_DEG))
    on_axis = ANGLES[best] in ("front", "rear")
    if not on_axis:
        votes = votes * BINS_OF_SIDE[best_side]
    mean = np.sum(votes * np.exp(1j * np.radians(_BIN_CENTRES)))
    degrees = float(np.degrees(np.angle(mean))) if abs(mean) > 1e-9 else 0.5 * (low + high)
    turned = float(np.clip(abs(degrees), low, high))
    if on_axis:
        left = degrees >= 0
        clear = _CLEARLY_TURNED <= turned <= 180.0 - _CLEARLY_TURNED and (
            side[0 if left else 1] >= _MIN_SIDE_PROBABILITY
        )
        named: Side | None = SIDES[0 if left else 1] if clear else None
    else:
        left, named = best_side == 0, SIDES[best_side]
    return Pose(
        angle=ANGLES[best],
        angle_confidence=float(angle[best]),
        side=named,
        azimuth_deg=(turned if left else 360.0 - turned) % 360.0,
    )


def split_outputs(outputs: Floats) -> tuple[Floats, Floats, Floats]:
    """(N, 23) -> azimuth (N, 16), angle (N, 5), side (N, 2)."""
    end = BINS + len(ANGLES)
    return outputs[:, :BINS], outputs[:, BINS:end], outputs[:, end:]


def packaged_heads() -> Path:
    """The heads file that comes with the package."""
    return Path(__file__).with_name("heads") / FILE_NAME


def save_heads(heads: ViewHeads, path: Path) -> ViewHeads:
    """Writes the heads as float16 .safetensors, in one step; returns them with their digest."""
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[np.float16]] = {}
    named: list[tuple[str, CategoryHead | AngleHead]] = [("category", heads.category)]
    named += [(f"angle.{n}", head) for n, head in enumerate(heads.angles)]
    for name, head in named:
        for field in fields(head):
            tensors[f"{name}.{field.name}"] = getattr(head, field.name).astype(np.float16)
    content = save(tensors, metadata={"format": FORMAT})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return replace(heads, digest=hashlib.sha256(content).hexdigest())


def load_heads(path: Path) -> ViewHeads:
    """The heads of a file, cached while the file stays the same.

    Raises `BadHeads` where the file is missing, is no safetensors file, or fits other features.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise BadHeads(f"{path}: no such heads file; `okla train-views` makes one") from error
    return _load_cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load_cached(path: Path, _modified_ns: int, _size: int) -> ViewHeads:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = path.read_bytes()
    try:
        tensors = {name: value.astype(np.float32) for name, value in load(content).items()}
        category = CategoryHead(**_members(tensors, "category", CategoryHead))
        count = len({name.split(".")[1] for name in tensors if name.startswith("angle.")})
        angles = tuple(
            AngleHead(**_members(tensors, f"angle.{n}", AngleHead)) for n in range(count)
        )
        if not angles:
            raise KeyError("angle.0.project")
        _probe(ViewHeads(category, angles))
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadHeads(f"{path}: not a heads file of {FORMAT}: {error}") from error
    return ViewHeads(category, angles, hashlib.sha256(content).hexdigest())


def _members(
    tensors: Mapping[str, Floats], prefix: str, kind: type[CategoryHead] | type[AngleHead]
) -> dict[str, Floats]:
    return {field.name: tensors[f"{prefix}.{field.name}"] for field in fields(kind)}


def _probe(heads: ViewHeads) -> None:
    """Raises ValueError where the shapes do not fit each other or the features."""
    probabilities = heads.angle_probabilities(np.zeros((1, GRID, GRID, CHANNELS), np.float32))
    category = heads.category.probabilities(np.zeros((1, CHANNELS), np.float32))
    if probabilities.side.shape != (1, len(SIDES)) or category.shape != (1, len(CATEGORIES)):
        raise ValueError("the outputs have other sizes")


def _mean(parts: list[Floats]) -> Floats:
    return np.asarray(np.mean(parts, axis=0), np.float32)


def softmax(logits: Floats) -> Floats:
    """Along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def silu(x: Floats) -> Floats:
    """x * sigmoid(x)."""
    return np.asarray(x * sigmoid(x), np.float32)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)

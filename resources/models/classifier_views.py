"""Category, angle and side by an image classifier of transformers that the owner fine-tuned: ViT,
EfficientNet, ResNet, ConvNeXt, Swin or any other, read from its folder.

The labels of its config.json (`id2label`) define its classes: `interior`, `misc`, `exterior`, an
angle (`front`, `side`, ...) or an angle and a side (`front-quarter left`); an angle implies
exterior.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Box, Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import ModelInfo, View
from resources.models.clip_views import boxed_square
from resources.models.preprocessing import Preprocessing, preprocessing
from resources.models.torch_models import (
    Checkpoint,
    as_numbers,
    checkpoint,
    from_folder,
    in_batches,
    kinds_of,
    load,
    need,
    normalised,
    resolve_device,
    size_of,
    to_device,
)
from resources.models.view_heads import (
    ANGLES,
    CATEGORIES,
    SIDES,
    PoseProbabilities,
    softmax,
)
from resources.models.view_probabilities import ViewProbabilities, pose_probabilities

CLASSIFIER = "AutoModelForImageClassification"
Meaning = tuple[str, str | None, str | None]


class ClassifierViews(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A fine-tuned image classifier of transformers.

    `weights` is its folder or hub id. Size and normalisation of its pictures are those of its
    `preprocessor_config.json`.
    """

    weights: str
    device: str = "auto"
    dtype: str = "auto"
    compiled: bool = False
    batch: int = 32

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        return [probabilities.view() for probabilities in self.probabilities(photos, boxes)]

    def probabilities(
        self, photos: Sequence[Rgb], boxes: Sequence[Box | None]
    ) -> list[ViewProbabilities]:
        """Probabilities of each photo: the category from the whole photo, the pose from the box."""
        pairs = list(zip(photos, boxes, strict=True))
        return in_batches(
            pairs,
            self.batch,
            self._probabilities,
            lambda pair: size_of(pair[0]),
            fill=self.compiled,
        )

    def fingerprint(self) -> str:
        where = resolve_device(self.device, self.dtype)
        return f"classifier-views:{self._checkpoint().digest}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._checkpoint().info("views"),)

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, kinds_of("IMAGE_CLASSIFICATION"), "an image classifier")

    def _probabilities(self, pairs: Sequence[tuple[Rgb, Box | None]]) -> list[ViewProbabilities]:
        source = self._checkpoint()
        meanings = meanings_of(source.config.get("id2label"), str(source.folder))
        wanted = preprocessing(source)
        side = max(wanted.size)
        pictures = [boxed_square(photo, None, side) for photo, _ in pairs]
        crops = [boxed_square(photo, box, side) for photo, box in pairs if box is not None]
        labels = self._labels(source, wanted, pictures + crops)
        poses = iter(labels[len(pairs) :])
        return [
            ViewProbabilities(
                _category(labels[i], meanings),
                None if box is None else _pose(next(poses), meanings),
            )
            for i, (_, box) in enumerate(pairs)
        ]

    def _labels(self, source: Checkpoint, wanted: Preprocessing, pictures: Sequence[Rgb]) -> Floats:
        """Probabilities (N, labels)."""
        torch = need("torch")
        where = resolve_device(self.device, self.dtype, self.compiled)
        model = from_folder(CLASSIFIER, source, where)
        ready = load(f"{CLASSIFIER}.ready", source.digest, where, lambda: as_numbers(model, where))
        with torch.inference_mode():
            pixels = normalised(to_device(np.stack(pictures), where), wanted.mean, wanted.std)
            logits = ready(pixel_values=pixels.to(getattr(torch, where.dtype))).logits
            return softmax(np.asarray(logits.float().cpu().numpy()))


def meanings_of(labels: Any, where: str) -> list[Meaning]:
    """Each label as category, angle, side. Raises `BrokenSetup` for one that cannot be read."""
    if not isinstance(labels, Mapping) or not labels:
        raise BrokenSetup(f"{where}: its config.json has no id2label, so its labels mean nothing")
    return [_meaning(str(labels[number]), where) for number in sorted(labels, key=int)]


def _meaning(label: str, where: str) -> Meaning:
    words = "-".join(re.findall(r"[a-z]+", label.lower())).removeprefix("exterior-")
    if words in CATEGORIES:
        return words, None, None
    side = next((s for s in SIDES if words.endswith(f"-{s}")), None)
    angle = words.removesuffix(f"-{side}")
    if angle not in ANGLES:
        raise BrokenSetup(
            f"{where}: the label {label!r} is neither a category ({', '.join(CATEGORIES)}) nor an "
            f"angle ({', '.join(ANGLES)}), with or without left or right behind it"
        )
    return "exterior", angle, side


def _category(probabilities: Floats, meanings: Sequence[Meaning]) -> Floats:
    sums = [
        sum(p for p, m in zip(probabilities, meanings, strict=True) if m[0] == c)
        for c in CATEGORIES
    ]
    return np.asarray(sums, np.float32)


def _pose(probabilities: Floats, meanings: Sequence[Meaning]) -> PoseProbabilities | None:
    """None where the network knows no angles."""
    if not any(angle for _, angle, _ in meanings):
        return None
    angle, side = np.zeros(len(ANGLES), np.float32), np.zeros(len(SIDES), np.float32)
    for p, (_, named, sided) in zip(probabilities, meanings, strict=True):
        if named is not None:
            angle[ANGLES.index(named)] += p
            side += (
                p / 2 if sided is None else p * np.array([sided == s for s in SIDES], np.float32)
            )
    whole = max(float(angle.sum()), 1e-9)
    return pose_probabilities(angle[None] / np.float32(whole), side[None] / np.float32(whole))

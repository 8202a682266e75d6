"""Category, angle and side by CLIP, zero-shot: no training photos needed.

Radford et al. 2021, with prompt ensembles. CLIP hardly separates left from right; every vehicle is
therefore classified twice, as it is and mirrored, and `MeanViews` averages with the trained heads.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Box, Floats, Rgb
from resources.errors import BadInput
from resources.models.base import ModelInfo, View
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.torch_models import (
    Checkpoint,
    Device,
    as_numbers,
    checkpoint,
    from_folder,
    in_batches,
    load,
    need,
    normalised,
    resolve_device,
    size_of,
    to_device,
    tokenizer_of,
)
from resources.models.view_heads import (
    ANGLES,
    CATEGORIES,
    SIDES,
    PoseProbabilities,
    softmax,
)
from resources.models.view_probabilities import ViewProbabilities, pose_probabilities

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
GREY = 114
MARGIN = 0.06  # of the box, on each side
TASKS: Mapping[str, tuple[str, ...]] = {"category": CATEGORIES, "angle": ANGLES, "side": SIDES}


class ClipViews(dg.ConfigurableResource):  # type: ignore[type-arg]
    """CLIP, zero-shot. `prompts` is the path of a file like clip_prompts.toml, empty for that."""

    weights: str = "clip_vit_large_patch14"
    prompts: str = ""
    device: str = "auto"
    dtype: str = "auto"
    compiled: bool = False
    batch: int = 32

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        return [probabilities.view() for probabilities in self.probabilities(photos, boxes)]

    def probabilities(
        self, photos: Sequence[Rgb], boxes: Sequence[Box | None]
    ) -> list[ViewProbabilities]:
        temperature = self._load_prompts().temperature
        return [_probabilities(logits, temperature) for logits in self.logits(photos, boxes)]

    def logits(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[ClipLogits]:
        """CLIP's logits of each photo, before any temperature."""
        pairs = list(zip(photos, boxes, strict=True))
        return in_batches(
            pairs, self.batch, self._logits, lambda pair: size_of(pair[0]), fill=self.compiled
        )

    def fingerprint(self) -> str:
        where = resolve_device(self.device, self.dtype)
        return f"clip-views:{self._checkpoint().digest}:{self._load_prompts().digest}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._checkpoint().info("views"),)

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, ("clip",))

    def _load_prompts(self) -> Prompts:
        return load_prompts(Path(self.prompts).expanduser() if self.prompts else packaged_prompts())

    def _logits(self, pairs: Sequence[tuple[Rgb, Box | None]]) -> list[ClipLogits]:
        network = _Clip(
            self._checkpoint(),
            resolve_device(self.device, self.dtype, self.compiled),
            self._load_prompts(),
        )
        pictures = [boxed_square(photo, None, network.side) for photo, _ in pairs]
        crops = [boxed_square(p, box, network.side) for p, box in pairs if box is not None]
        pictures += crops + [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
        features = network.features(pictures)
        count, boxed = len(pairs), len(crops)
        category = network.logits("category", features[:count])
        seen, mirrored = features[count : count + boxed], features[count + boxed :]
        angles = np.stack([network.logits("angle", both) for both in (seen, mirrored)], axis=1)
        sides = np.stack(
            [network.logits("side", seen), network.logits("side", mirrored)[:, ::-1]], axis=1
        )
        poses = iter(zip(angles, sides, strict=True))
        return [
            ClipLogits(category[i], *(next(poses) if box is not None else (None, None)))
            for i, (_, box) in enumerate(pairs)
        ]


@dataclass(frozen=True)
class ClipLogits:
    """One photo's logits: category (3,), and where it has a box angle (2, 5) and side (2, 2), of
    the vehicle as it is seen and of its mirror image, both in the photo's own terms."""

    category: Floats
    angle: Floats | None
    side: Floats | None


def _probabilities(logits: ClipLogits, temperature: Mapping[str, float]) -> ViewProbabilities:
    def of(task: str, values: Floats) -> Floats:
        return probabilities_at(values[None], temperature[task])

    pose = None
    if logits.angle is not None and logits.side is not None:
        pose = pose_probabilities(of("angle", logits.angle), of("side", logits.side))
    return ViewProbabilities(of("category", logits.category)[0], pose)


class MeanViews(dg.ConfigurableResource):  # type: ignore[type-arg]
    """CLIP and our trained heads together: the mean of their probabilities."""

    clip: ClipViews = Field(default_factory=ClipViews)
    heads: TinyVitViewClassifier = Field(default_factory=TinyVitViewClassifier)
    clip_share: float = 0.5
    batch: int = 32

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        both = zip(
            self.clip.probabilities(photos, boxes),
            self.heads.probabilities(photos, boxes),
            strict=True,
        )
        return [_mean(clip, heads, self.clip_share).view() for clip, heads in both]

    def fingerprint(self) -> str:
        both = f"{self.clip.fingerprint()}:{self.heads.fingerprint()}"
        return f"mean-views:{self.clip_share}:{both}"

    def models(self) -> tuple[ModelInfo, ...]:
        return self.clip.models() + self.heads.models()


def _mean(one: ViewProbabilities, other: ViewProbabilities, share: float) -> ViewProbabilities:
    def mixed(a: Floats, b: Floats) -> Floats:
        return np.asarray(share * a + (1 - share) * b, np.float32)

    category = mixed(one.category, other.category)
    if one.pose is None or other.pose is None:
        return ViewProbabilities(category, None)
    a, b = one.pose, other.pose
    pose = PoseProbabilities(
        mixed(a.azimuth, b.azimuth), mixed(a.angle, b.angle), mixed(a.side, b.side)
    )
    return ViewProbabilities(category, pose)


@dataclass(frozen=True)
class Prompts:
    """Sentences by task and class, and the temperature of each task. `digest` is the file's."""

    sentences: Mapping[str, Mapping[str, tuple[str, ...]]]
    temperature: Mapping[str, float]
    digest: str


def packaged_prompts() -> Path:
    """The prompts that come with the package."""
    return Path(__file__).with_name("clip_prompts.toml")


def load_prompts(path: Path) -> Prompts:
    """Reads a file of prompts. Raises `BadInput` naming the section that cannot be used."""
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as prompts: {error}") from error
    templates = table.get("templates")
    if not templates or not all(isinstance(t, str) and "{}" in t for t in templates):
        raise BadInput(f"{path}: templates must be sentences with {{}} where the phrase goes")
    sentences: dict[str, dict[str, tuple[str, ...]]] = {}
    temperature: dict[str, float] = {}
    for task, classes in TASKS.items():
        section = table.get(task)
        if not isinstance(section, dict) or set(section) != set(classes):
            raise BadInput(f"{path}: [{task}] must have exactly {', '.join(classes)}")
        if not all(isinstance(phrases, list) and phrases for phrases in section.values()):
            raise BadInput(f"{path}: [{task}] needs at least one phrase a class, as a list")
        sentences[task] = {
            name: tuple(t.format(phrase) for phrase in section[name] for t in templates)
            for name in classes
        }
        value = table.get("temperature", {}).get(task, 1.0)
        if not isinstance(value, (int, float)) or value <= 0:
            raise BadInput(f"{path}: [temperature] {task} must be a number above 0")
        temperature[task] = float(value)
    return Prompts(sentences, temperature, hashlib.sha256(content).hexdigest())


def probabilities_at(logits: Floats, temperature: float) -> Floats:
    """Probabilities (N, classes) of logits (N, classes), or (N, views, classes): their mean."""
    probabilities = softmax(np.asarray(logits / np.float32(temperature), np.float32))
    return (
        probabilities
        if probabilities.ndim == 2
        else np.asarray(probabilities.mean(axis=1), np.float32)
    )


def boxed_square(photo: Rgb, box: Box | None, side: int) -> Rgb:
    """The box and a margin, or the whole photo, fitted into a square on grey: nothing is cut off
    and nothing distorted. RGB uint8 (side, side, 3)."""
    import cv2

    if box is not None:
        height, width = photo.shape[:2]
        x, y, w, h = box
        left, top = max(0, int(x - MARGIN * w)), max(0, int(y - MARGIN * h))
        right = min(width, int(np.ceil(x + w + MARGIN * w)))
        bottom = min(height, int(np.ceil(y + h + MARGIN * h)))
        if right <= left or bottom <= top:
            raise ValueError(f"the box {box} lies outside the photo of {width}x{height} pixels")
        photo = photo[top:bottom, left:right]
    height, width = photo.shape[:2]
    scale = side / max(height, width)
    w_px, h_px = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    square = np.full((side, side, 3), GREY, np.uint8)
    x0, y0 = (side - w_px) // 2, (side - h_px) // 2
    square[y0 : y0 + h_px, x0 : x0 + w_px] = cv2.resize(photo, (w_px, h_px), interpolation=method)
    return square


class _Clip:
    """The loaded network, and its text features of the prompts' classes."""

    def __init__(self, source: Checkpoint, where: Device, prompts: Prompts) -> None:
        self._source, self._where, self._prompts = source, where, prompts
        self._model = from_folder("CLIPModel", source, where)
        self.side = int(self._model.config.vision_config.image_size)
        # Text first: it is read in float32, once.
        self._classes = load(
            f"clip-classes:{prompts.digest}", source.digest, where, self._read_classes
        )
        self._vision = load(
            "CLIPModel.vision_model",
            source.digest,
            where,
            lambda: as_numbers(self._model.vision_model, where),
        )

    def features(self, pictures: Sequence[Rgb]) -> Floats:
        """Unit features (N, D) of square pictures."""
        torch = need("torch")
        with torch.inference_mode():
            pixels = normalised(to_device(np.stack(pictures), self._where), MEAN, STD)
            pooled = self._vision(pixels.to(getattr(torch, self._where.dtype))).pooler_output
            seen = self._model.visual_projection(pooled.float())
            return np.asarray(torch.nn.functional.normalize(seen, dim=-1).cpu().numpy())

    def logits(self, task: str, features: Floats) -> Floats:
        scale = float(self._model.logit_scale.detach().exp())
        return np.asarray(scale * features @ self._classes[task].T, np.float32)

    def _read_classes(self) -> dict[str, Floats]:
        """The unit feature (classes, D) of each class: the mean of its sentences'."""
        tokenizer = tokenizer_of(self._source)
        return {
            task: np.stack([self._read(tokenizer, sentences) for sentences in classes.values()])
            for task, classes in self._prompts.sentences.items()
        }

    def _read(self, tokenizer: Any, sentences: Sequence[str]) -> Floats:
        torch = need("torch")
        longest = int(self._model.config.text_config.max_position_embeddings)
        tokens = tokenizer(
            list(sentences), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(self._where.device)
        with torch.inference_mode():
            pooled = self._model.text_model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
            each = torch.nn.functional.normalize(self._model.text_projection(pooled), dim=-1)
            mean = torch.nn.functional.normalize(each.mean(dim=0), dim=-1)
            return np.asarray(mean.cpu().numpy(), np.float32)

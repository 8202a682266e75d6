"""SAM 2 (hiera tiny) on ONNX Runtime, prompted by a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Box, Floats, Rgb
from resources import weights
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.inputs import imagenet_pixels
from resources.models.onnx import catalogue_model, engine_mark, load_session

SIDE = 1024
BOX_CORNERS = (2, 3)  # labels of a box's two points


class Sam2Onnx(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SAM 2 by Meta (Ravi et al. 2024), box prompt, refined once with its own mask."""

    in_threads: ClassVar[bool] = True
    encoder: str = "sam2_hiera_tiny_encoder"
    decoder: str = "sam2_hiera_tiny_decoder"
    threads: int = 0

    def logits(self, crop: Rgb, box: Box) -> Floats:
        """Mask logits float32 (H, W) of the vehicle in `box` of the crop; > 0 is inside."""
        return self.embedded(crop).vehicle(box)

    def embedded(self, crop: Rgb) -> Embedded:
        """The crop, ready for any number of questions."""
        return Embedded(self, self._encode(crop), crop.shape[1], crop.shape[0])

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        """Mattes by SAM 2 alone: sharp logits, no second opinion."""
        return [
            Matte(
                (1 / (1 + np.exp(-6 * np.clip(self.logits(p, s.box), -10, 10)))).astype(np.float32),
                None,
            )
            for p, s in zip(photos, subjects, strict=True)
        ]

    def fingerprint(self) -> str:
        parts = (self.encoder, self.decoder)
        return "sam2:" + ":".join(weights.digest(part) + engine_mark(part, "cpu") for part in parts)

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.encoder), catalogue_model(self.decoder))

    def _encode(self, crop: Rgb) -> dict[str, Floats]:
        session = load_session(self.encoder, self.threads)
        outputs = session.run(None, {"image": imagenet_pixels(squashed(crop))})
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, (np.asarray(o) for o in outputs), strict=True))

    def decode(
        self,
        features: dict[str, Floats],
        points: Floats,
        labels: Sequence[int],
        mask: Floats | None,
    ) -> tuple[Floats, Floats]:
        """The decoder's three masks (3, 256, 256) and their scores, for points on the input."""
        session = load_session(self.decoder, self.threads)
        masks, scores = session.run(
            ["masks", "iou_predictions"],
            features
            | {
                "point_coords": points[None],
                "point_labels": np.array([labels], np.float32),
                "mask_input": np.zeros((1, 1, 256, 256), np.float32)
                if mask is None
                else mask[None, None],
                "has_mask_input": np.array([mask is not None], np.float32),
            },
        )
        return np.asarray(masks, np.float32)[0], np.asarray(scores, np.float32)[0]


@dataclass(frozen=True)
class Embedded:
    """A crop of `width` x `height` pixels that the encoder has seen."""

    network: Sam2Onnx
    features: dict[str, Floats]
    width: int
    height: int

    def vehicle(self, box: Box) -> Floats:
        """Mask logits float32 (H, W) of the vehicle in the box, refined once by its own mask."""
        import cv2

        x, y, w, h = box
        corners = [(x, y), (x + w, y + h)]
        first = self._best(corners, None)
        refined = self._best(corners, np.clip(first, -32, 32))
        full = cv2.resize(refined, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32)

    def ask(
        self, points: Sequence[tuple[float, float]], labels: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """`imaging.matte.prompts.Ask`."""
        return self.network.decode(self.features, self._on_input(points), labels, None)

    def _best(self, corners: Sequence[tuple[float, float]], mask: Floats | None) -> Floats:
        masks, scores = self.network.decode(
            self.features, self._on_input(corners), BOX_CORNERS, mask
        )
        return np.asarray(masks[int(scores.argmax())])

    def _on_input(self, points: Sequence[tuple[float, float]]) -> Floats:
        scale = np.array([SIDE / self.width, SIDE / self.height], np.float32)
        return np.asarray(points, np.float32) * scale


def squashed(crop: Rgb) -> Rgb:
    """The crop at SAM 2's input size, its aspect ratio not kept."""
    import cv2

    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)

"""SAM 2 (hiera tiny) on ONNX Runtime, prompted by a box."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Box, Floats, Rgb
from resources import weights
from resources.models.base import Matte, ModelInfo
from resources.models.onnx import catalogue_model, load_session

SIDE = 1024
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Sam2Onnx(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SAM 2 by Meta (Ravi et al. 2024), box prompt, refined once with its own mask."""

    encoder: str = "sam2_hiera_tiny_encoder"
    decoder: str = "sam2_hiera_tiny_decoder"
    threads: int = 0

    def logits(self, crop: Rgb, box: Box) -> Floats:
        """Mask logits float32 (H, W) of the vehicle in `box` of the crop; > 0 is inside."""
        import cv2

        height, width = crop.shape[:2]
        features = self._encode(crop)
        x, y, w, h = box
        scale = np.array([SIDE / width, SIDE / height], np.float32)
        corners = np.array([[x, y], [x + w, y + h]], np.float32) * scale
        first = self._decode(features, corners, None)
        refined = self._decode(features, corners, np.clip(first, -32, 32))
        full = cv2.resize(refined, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32)

    def segment(self, photos: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """Mattes by SAM 2 alone: sharp logits, no second opinion."""
        return [
            Matte(
                (1 / (1 + np.exp(-6 * np.clip(self.logits(p, b), -10, 10)))).astype(np.float32),
                None,
            )
            for p, b in zip(photos, boxes, strict=True)
        ]

    def fingerprint(self) -> str:
        return f"sam2:{weights.digest(self.encoder)}:{weights.digest(self.decoder)}"

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.encoder), catalogue_model(self.decoder))

    def _encode(self, crop: Rgb) -> dict[str, Floats]:
        session = load_session(self.encoder, self.threads)
        outputs = session.run(None, {"image": normalised(crop, SIDE)})
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, (np.asarray(o) for o in outputs), strict=True))

    def _decode(
        self,
        features: dict[str, Floats],
        corners: Floats,
        mask: Floats | None,
    ) -> Floats:
        """The 256x256 logits of the best of the decoder's three answers."""
        session = load_session(self.decoder, self.threads)
        masks, scores = session.run(
            ["masks", "iou_predictions"],
            features
            | {
                "point_coords": corners[None],
                "point_labels": np.array([[2, 3]], np.float32),
                "mask_input": np.zeros((1, 1, 256, 256), np.float32)
                if mask is None
                else mask[None, None],
                "has_mask_input": np.array([mask is not None], np.float32),
            },
        )
        return np.asarray(masks[0][int(np.asarray(scores)[0].argmax())], np.float32)


def normalised(picture: Rgb, side: int) -> Floats:
    """Squashed to a square and ImageNet-normalised: float32 1x3xSxS."""
    import cv2

    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    pixels = (small.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])

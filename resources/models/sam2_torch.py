"""SAM 2 and 2.1 on PyTorch (`transformers`), any size, batched: the gpu profile's matte.

The image encoder is nearly all of the work and runs in the device's dtype (bfloat16 on a GPU). The
prompt and mask decoder stay in float32: bfloat16 resolves the corners of a box only to 4 of 1024
pixels, and costs nothing noticeable to avoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Box, Floats, Rgb
from resources.models.base import Matte, ModelInfo, Subject
from resources.models.fused_matte import METHOD, Crop, crop_of, fused
from resources.models.inputs import MEAN, STD
from resources.models.onnx import usable_cores
from resources.models.sam2_onnx import SIDE, squashed
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
)
from resources.models.u2net_onnx import U2NetOnnx

KINDS = ("sam2", "sam2_video")  # the hub's SAM 2.1 checkpoints call themselves by the second
CLIP = 32.0  # of the logits that go back in as a prompt

Logits = Floats


class Sam2Torch(dg.ConfigurableResource):  # type: ignore[type-arg]
    """SAM 2 by Meta (Ravi et al. 2024), box prompt, refined once with its own mask.

    `weights` is a name of the catalogue, a folder or a hub id, of any size from tiny to large.
    `fusion` lets U2-Net draw the edge, as in the local profile; without it there is no second
    opinion and so no agreement.
    """

    weights: str = "sam2.1_hiera_large"
    saliency: U2NetOnnx = Field(default_factory=U2NetOnnx)
    fusion: bool = True
    device: str = "auto"
    dtype: str = "auto"
    compiled: bool = False
    batch: int = 8

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        cuts = list(zip(photos, subjects, strict=True))
        return in_batches(cuts, self.batch, self._segment, lambda cut: size_of(cut[0]))

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        """One matte a frame, each by the full method; one that contradicts its neighbours gets
        agreement 0."""
        from okla_assets.imaging.turn import propagation

        mattes = self.segment(frames, [Subject(box) for box in boxes])
        crops = [crop_of(frame, box) for frame, box in zip(frames, boxes, strict=True)]
        pairs = zip(crops, mattes, strict=True)
        grids = [propagation.as_grid(crop.of_photo(cut.alpha)) for crop, cut in pairs]
        doubted = set(propagation.jumps(grids, boxes))
        return [
            Matte(cut.alpha, 0.0 if i in doubted else cut.agreement) for i, cut in enumerate(mattes)
        ]

    def logits(self, crops: Sequence[Rgb], boxes: Sequence[Box]) -> list[Logits]:
        """Mask logits float32 (256, 256) of the vehicle in each crop's box; > 0 is inside.

        They cover the crop squashed to a square; `at_size` brings them to its pixels.
        """
        where = resolve_device(self.device, self.dtype, self.compiled)
        network = _Sam2(self._checkpoint(), where)
        pairs = list(zip(crops, boxes, strict=True))
        return in_batches(
            pairs,
            self.batch,
            lambda some: [
                embedded.vehicle
                for embedded in network.embedded([c for c, _ in some], [b for _, b in some])
            ],
            lambda pair: size_of(pair[0]),
            fill=self.compiled,
        )

    def fingerprint(self) -> str:
        where = resolve_device(self.device, self.dtype)
        edge = self.saliency.fingerprint() if self.fusion else "alone"
        return f"sam2-torch:{METHOD}:{self._checkpoint().digest}:{where}:{edge}"

    def models(self) -> tuple[ModelInfo, ...]:
        own = (self._checkpoint().info("segmentation"),)
        return own + self.saliency.models() if self.fusion else own

    def _checkpoint(self) -> Checkpoint:
        return checkpoint(self.weights, KINDS)

    def _segment(self, cuts: Sequence[tuple[Rgb, Subject]]) -> list[Matte]:
        crops = [crop_of(photo, subject.box) for photo, subject in cuts]
        network = _Sam2(self._checkpoint(), resolve_device(self.device, self.dtype, self.compiled))
        embedded = network.embedded([c.pixels for c in crops], [c.box for c in crops])
        # numpy and cv2 let go of the interpreter: half a second a photo, over all cores.
        with ThreadPoolExecutor(min(len(crops), usable_cores())) as pool:
            return list(pool.map(self._matte, crops, (s for _, s in cuts), embedded))

    def _matte(self, crop: Crop, subject: Subject, embedded: _Embedded) -> Matte:
        from okla_assets.imaging.matte import cutout

        full = at_size(embedded.vehicle, crop.pixels)
        if self.fusion:
            saliency = self.saliency.saliency(crop.pixels)
            return fused(crop, full, saliency, subject, embedded.ask)
        alpha = cutout.alone(full, crop.box[2])
        return Matte(cutout.smooth_edge(crop.on_photo(alpha), crop.width), None)


def at_size(logits: Logits, crop: Rgb) -> Logits:
    """Logits of a squashed crop, at the crop's size."""
    import cv2

    height, width = crop.shape[:2]
    full = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, np.float32)


class _Sam2:
    """The loaded network."""

    def __init__(self, source: Checkpoint, where: Device) -> None:
        self._where = where
        self._model = from_folder("Sam2Model", source, where)
        self._encoder = load(
            "Sam2Model.vision_encoder",
            source.digest,
            where,
            lambda: as_numbers(self._model.vision_encoder, where),
        )

    def embedded(self, crops: Sequence[Rgb], boxes: Sequence[Box]) -> list[_Embedded]:
        """Each crop with the refined logits of its vehicle, ready for further questions."""
        torch = need("torch")
        pictures = np.stack([squashed(crop) for crop in crops])
        corners = np.array(
            [corners_of(c, b) for c, b in zip(crops, boxes, strict=True)], np.float32
        )
        with torch.inference_mode():
            features = self._features(to_device(pictures, self._where))
            prompt = to_device(corners, self._where)[:, None]
            first = self._best(features, prompt, None)
            refined = self._best(features, prompt, first.clamp(-CLIP, CLIP))
            logits = refined[:, 0].cpu().numpy()
        return [
            _Embedded(self, [part[i : i + 1] for part in features], logits[i], crop.shape)
            for i, crop in enumerate(crops)
        ]

    def answer(
        self, features: list[Any], points: Floats, labels: Sequence[int]
    ) -> tuple[Logits, Floats]:
        """The three masks (3, 256, 256) for points on the squashed crop, and their scores."""
        torch = need("torch")
        with torch.inference_mode():
            answer = self._model(
                image_embeddings=list(features),
                input_points=to_device(points[None, None], self._where),
                input_labels=to_device(np.array([[labels]], np.int64), self._where),
            )
            masks, scores = answer.pred_masks[0, 0], answer.iou_scores[0, 0]
            return masks.float().cpu().numpy(), scores.float().cpu().numpy()

    def _features(self, pictures: Any) -> list[Any]:
        """What `Sam2Model.get_image_embeddings` gives, the encoder alone in another dtype."""
        pixels = normalised(pictures, MEAN.tolist(), STD.tolist())
        dtype = next(self._encoder.parameters()).dtype
        fine, middle, coarse = self._encoder(pixels.to(dtype)).fpn_hidden_states
        decoder = self._model.mask_decoder
        return [
            decoder.conv_s0(fine.float()),
            decoder.conv_s1(middle.float()),
            coarse.float() + self._model.no_memory_embedding.reshape(1, -1, 1, 1),
        ]

    def _best(self, features: list[Any], boxes: Any, masks: Any) -> Any:
        """(N, 1, 256, 256) logits of the best of the decoder's three answers."""
        torch = need("torch")
        answer = self._model(image_embeddings=list(features), input_boxes=boxes, input_masks=masks)
        best = answer.iou_scores[:, 0].argmax(dim=1)
        rows = torch.arange(len(best), device=best.device)
        return answer.pred_masks[rows, 0, best][:, None]


@dataclass(frozen=True)
class _Embedded:
    """One crop that the encoder has seen, and the logits (256, 256) of its vehicle."""

    network: _Sam2
    features: list[Any]
    vehicle: Logits
    shape: tuple[int, ...]

    def ask(
        self, points: Sequence[tuple[float, float]], labels: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """`imaging.matte.prompts.Ask`."""
        scale = np.array([SIDE / self.shape[1], SIDE / self.shape[0]], np.float32)
        return self.network.answer(self.features, np.asarray(points, np.float32) * scale, labels)


def corners_of(crop: Rgb, box: Box) -> tuple[float, float, float, float]:
    """The box's corners in pixels of the squashed crop."""
    height, width = crop.shape[:2]
    x, y, w, h = box
    across, down = SIDE / width, SIDE / height
    return x * across, y * down, (x + w) * across, (y + h) * down

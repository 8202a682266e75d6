"""Mask R-CNN of torchvision (He et al. 2017), the model that Detectron2 is known for: as vehicle
detector, and as segmenter by its own masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Box, Floats, Rgb
from resources.models.base import Detection, Matte, ModelInfo, Subject
from resources.models.detections import by_class, detections_of, from_corners
from resources.models.efficientdet_opencv import COCO
from resources.models.torch_models import (
    Device,
    file_digest,
    filled,
    in_batches,
    load,
    need,
    resolve_device,
    size_of,
    tensors_file,
    to_device,
)

CLASSES = 91


class MaskRcnn(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Trained on COCO (BSD-3-Clause). `weights` is torchvision's .pth, or its tensors as
    .safetensors; `architecture` is torchvision's name of the network they are of, `proposals` how
    many places of a photo it looks at."""

    weights: str
    architecture: Literal["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"] = (
        "maskrcnn_resnet50_fpn_v2"
    )
    side: int = 800
    proposals: int = 1000
    min_score: float = 0.25
    min_object_score: float = 0.35
    nms_iou: float = 0.6
    device: str = "auto"
    batch: int = 4

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        answers = in_batches(photos, self.batch, self._ask, size_of)
        return [
            self._detections(photo.shape[:2], answer)
            for photo, answer in zip(photos, answers, strict=True)
        ]

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        """The mask whose box is the subject's; an empty matte where the network sees none there,
        which the steps take as one that cannot be trusted."""
        return [
            Matte(mask_at(photo.shape[:2], subject.box, answer), None)
            for photo, subject, answer in zip(
                photos, subjects, in_batches(photos, self.batch, self._ask, size_of), strict=True
            )
        ]

    def fingerprint(self) -> str:
        where = resolve_device(self.device, "float32")
        own = f"{self.architecture}:{self.side}:{self.proposals}:{self.min_score}"
        own += f":{self.min_object_score}"
        digest = file_digest(tensors_file(self.weights))
        return f"mask-rcnn:{digest}:{own}:{self.nms_iou}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        path = tensors_file(self.weights)
        return (ModelInfo("vehicles and masks", path.name, file_digest(path), "BSD-3-Clause"),)

    def _ask(self, photos: Sequence[Rgb]) -> list[Mapping[str, Floats]]:
        """Of each photo boxes (N, 4; two corners), labels, scores and masks (N, 1, H, W)."""
        torch = need("torch")
        where, path = resolve_device(self.device, "float32"), tensors_file(self.weights)
        key = f"{self.architecture}:{self.side}:{self.proposals}:{self.min_score}"
        network = load(key, file_digest(path), where, lambda: self._network(where))
        pictures = [to_device(np.ascontiguousarray(p), where).permute(2, 0, 1) for p in photos]
        with torch.inference_mode():
            answers = network([picture.float() / 255 for picture in pictures])
        return [{name: value.cpu().numpy() for name, value in a.items()} for a in answers]

    def _network(self, where: Device) -> Any:
        kind = getattr(need("torchvision").models.detection, self.architecture)
        network = kind(
            weights=None,
            weights_backbone=None,
            num_classes=CLASSES,
            min_size=self.side,
            max_size=2 * self.side,
            rpn_pre_nms_top_n_test=self.proposals,
            rpn_post_nms_top_n_test=self.proposals,
            box_score_thresh=self.min_score,
        )
        return filled(network, tensors_file(self.weights)).to(where.device)

    def _detections(self, shape: tuple[int, ...], answer: Mapping[str, Floats]) -> list[Detection]:
        scores = by_class(_numbers(answer), answer["scores"], COCO)
        return detections_of(from_corners(answer["boxes"]), scores, COCO, shape, self)


def _numbers(answer: Mapping[str, Floats]) -> Floats:
    """The labels as `COCO` numbers them; the network's are COCO's own."""
    return answer["labels"] - 1


def mask_at(shape: tuple[int, ...], box: Box, answer: Mapping[str, Floats]) -> Floats:
    """The mask (H, W) in [0, 1] of the vehicle whose box overlaps `box` most, by half at least."""
    from okla_assets.imaging.geometry import box_iou

    vehicles = np.isin(_numbers(answer), COCO.vehicles)
    corners = answer["boxes"][vehicles]
    if not len(corners):
        return np.zeros(shape, np.float32)
    overlaps = box_iou(np.array(box, np.float32), from_corners(corners))
    best = int(overlaps.argmax())
    if overlaps[best] < 0.5:
        return np.zeros(shape, np.float32)
    return np.asarray(answer["masks"][vehicles][best, 0], np.float32).clip(0, 1)

"""D-FINE and RT-DETR: what they answer, against how transformers itself reads it,
on networks that know nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import VehicleDetector
from resources.models.detr import Detr
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip

LABELS = ("person", "car", "motorbike", "bus", "truck", "tie")
SIDE = 64
SMALL: dict[str, Any] = {
    "d_model": 32, "encoder_hidden_dim": 32, "encoder_in_channels": [16, 16, 16],
    "encoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32, "decoder_layers": 2, "decoder_attention_heads": 2, "num_queries": 20,
    "num_denoising": 0,
}  # fmt: skip


def picture(seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (90, 120, 3), np.uint8)


def write_detr(folder: Path, kind: str) -> Path:
    """D-FINE or RT-DETR at its smallest, with random weights and its processor's settings."""
    torch = torch_or_skip("transformers", "torchvision")
    import transformers

    torch.manual_seed(0)
    labels = dict(enumerate(("car", "bus", "truck")))
    if kind == "DFine":
        backbone = transformers.HGNetV2Config(
            stem_channels=[3, 8, 8], hidden_sizes=[16, 16, 16, 16], depths=[1, 1, 1, 1],
            stage_in_channels=[8, 16, 16, 16], stage_mid_channels=[8, 8, 8, 8],
            stage_out_channels=[16, 16, 16, 16], stage_num_blocks=[1, 1, 1, 1],
            stage_numb_of_layers=[1, 1, 1, 1], out_indices=[2, 3, 4],
        )  # fmt: skip
    else:
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[16, 16, 16, 16], depths=[1, 1, 1, 1],
            out_indices=[2, 3, 4],
        )  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(
        **SMALL, backbone_config=backbone, id2label=labels
    )
    getattr(transformers, f"{kind}ForObjectDetection")(config).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    transformers.RTDetrImageProcessor(size=size).save_pretrained(folder)
    return folder


def test_it_fills_its_role() -> None:
    assert isinstance(Detr(), VehicleDetector)


@pytest.mark.parametrize("kind", ["DFine", "RTDetr"])
def test_what_it_finds_is_what_transformers_reads_from_it(kind: str, tmp_path: Path) -> None:
    folder = write_detr(tmp_path, kind)
    import cv2
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    detr = Detr(weights=str(folder), min_score=0.0, nms_iou=1.0, device="cpu", batch=2)
    processor = AutoImageProcessor.from_pretrained(folder)
    network = AutoModelForObjectDetection.from_pretrained(folder).eval()
    found = detr.detect([picture(), picture(1), picture()])
    for photo, ours in zip([picture(), picture(1)], found[:2], strict=True):
        small = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            answered = network(**processor(images=small, return_tensors="pt"))
        (theirs,) = processor.post_process_object_detection(
            answered, target_sizes=[photo.shape[:2]], threshold=0.0, use_focal_loss=True
        )
        # Theirs lists the 20 surest pairs of box and label, ours each box once, cut at the photo.
        width, height = photo.shape[1], photo.shape[0]
        corners = theirs["boxes"].numpy().clip(0, [width, height, width, height])
        boxes = np.array([d.box for d in ours])
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([d.score for d in ours])
        for corner, score in zip(corners, theirs["scores"].numpy(), strict=True):
            here = np.abs(boxes - corner).max(axis=1) < 0.05
            assert scores[here].max() >= score - 1e-4
        assert scores.max() == pytest.approx(float(theirs["scores"].max()), abs=1e-4)
    assert [d.box for d in found[0]] == [d.box for d in found[2]]


def test_the_names_of_classes_come_from_its_configuration(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    detr = Detr(weights=str(tmp_path))
    config = {"model_type": "d_fine", "id2label": {str(n): name for n, name in enumerate(LABELS)}}
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps(config))
    numbers = detr._numbers(detr._checkpoint())
    assert (numbers["car"], numbers["motorcycle"]) == (1, 2)
    scores = np.full((2, len(LABELS)), 0.01, np.float32)
    scores[0, 4], scores[0, 1], scores[1, 2] = 0.9, 0.2, 0.8
    boxes = np.array([[0.5, 0.5, 0.4, 0.2], [0.2, 0.2, 0.2, 0.2]], np.float32)
    truck, motorcycle = detr._found((100, 200), scores, boxes, numbers)
    assert truck.box == pytest.approx((60, 40, 80, 20), abs=1e-3)
    assert (truck.kind, truck.other_vehicle, motorcycle.kind) == ("vehicle", True, "motorcycle")
    with pytest.raises(BrokenSetup, match="has no label sedan; set vehicles to some of: person, c"):
        own = Detr(weights=str(tmp_path), vehicles=["sedan"])
        own._numbers(own._checkpoint())


def test_missing_and_wrong_weights_are_refused_by_name(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    with pytest.raises(WeightsMissing, match=str(tmp_path / "nowhere")):
        Detr(weights=str(tmp_path / "nowhere")).detect([picture()])
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    with pytest.raises(BrokenSetup, match="of a model 'detr'; looked for d_fine or rt_detr or rt"):
        Detr(weights=str(tmp_path)).models()

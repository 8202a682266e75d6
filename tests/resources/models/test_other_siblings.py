"""Grounding DINO, ISNet and Meta's package: loading, asking and choosing, on networks that know
nothing."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import Segmenter, VehicleDetector
from resources.models.grounding_dino import GroundingDino
from resources.models.isnet_onnx import IsNetOnnx
from resources.models.sam2_meta import Sam2Meta
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip


def noise(height: int = 90, width: int = 120) -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_they_fill_their_roles() -> None:
    assert isinstance(GroundingDino(), VehicleDetector)
    assert isinstance(IsNetOnnx(), Segmenter)
    assert isinstance(Sam2Meta(weights="sam2.pt"), Segmenter)


def test_a_word_is_as_sure_as_its_surest_token() -> None:
    dino = GroundingDino(words=["car", "fire truck"])
    probabilities = np.zeros((3, 8), np.float32)
    probabilities[0, 1], probabilities[1, 4], probabilities[2, 1] = 0.9, 0.6, 0.2
    boxes = np.array([[0.5, 0.5, 0.4, 0.2], [0.2, 0.2, 0.2, 0.2], [0.8, 0.8, 0.1, 0.1]], np.float32)
    found = dino._found(noise(100, 200), probabilities, boxes, [(1, 2), (3, 5)])
    assert [round(d.score, 2) for d in found] == [0.9, 0.6]
    assert found[0].box == pytest.approx((60, 40, 80, 20), abs=1e-3)


def write_dino(folder: Path) -> Path:
    """Grounding DINO at its smallest, and a tokenizer that knows three words."""
    import torch
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        SwinConfig,
    )

    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "car", "bus", "truck"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(
        vocab_file=str(folder / "vocab.txt"), vocab=str(folder / "vocab.txt")
    ).save_pretrained(folder)
    torch.manual_seed(0)
    small = {"encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = GroundingDinoConfig(
        d_model=32, num_queries=20, **small, **heads,
        backbone_config=SwinConfig(
            embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8], window_size=7,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32,
        ),
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_grounding_dino_is_asked_in_words(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    dino = GroundingDino(
        weights=str(write_dino(tmp_path)), side=64, min_score=0.0, nms_iou=1.0, device="cpu"
    )
    found = dino.detect([noise(), noise()])
    assert len(found) == 2
    assert found[0]
    assert [d.box for d in found[0]] == [d.box for d in found[1]]


def test_isnet_is_not_stretched_to_what_it_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.models import isnet_onnx

    seen: list[Any] = []

    class Session:
        def get_inputs(self) -> Any:
            return [type("Port", (), {"name": "input"})]

        get_outputs = get_inputs

        def run(self, names: Any, feeds: dict[str, Any]) -> Any:
            seen.append(feeds["input"])
            return [np.full((1, 1, 1024, 1024), 0.02, np.float32)]

    monkeypatch.setattr(isnet_onnx, "load_session", lambda *a: Session())
    saliency = IsNetOnnx(weights="isnet.onnx").saliency(np.full((50, 80, 3), 64, np.uint8))
    assert seen[0].shape == (1, 3, 1024, 1024)
    assert float(seen[0].mean()) == pytest.approx(-0.25)
    assert saliency.shape == (50, 80)
    assert saliency.max() < 0.1


def test_metas_package_is_prompted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_or_skip()
    calls: list[dict[str, Any]] = []

    class Predictor:
        def __init__(self, network: object) -> None:
            self.count = 0

        def set_image_batch(self, pictures: list[Rgb]) -> None:
            self.count = len(pictures)

        def predict_batch(self, **asked: Any) -> Any:
            calls.append(asked)
            low = [np.stack([np.full((256, 256), v, np.float32) for v in (1, 50, 2)])] * self.count
            return None, [np.array([0.1, 0.9, 0.3])] * self.count, low

    build, image = ModuleType("sam2.build_sam"), ModuleType("sam2.sam2_image_predictor")
    build.build_sam2 = lambda *a, **k: object()  # type: ignore[attr-defined]
    image.SAM2ImagePredictor = Predictor  # type: ignore[attr-defined]
    for module in (ModuleType("sam2"), build, image):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    checkpoint = tmp_path / "sam2.pt"
    checkpoint.write_bytes(tmp_path.as_posix().encode())
    sam2 = Sam2Meta(weights=str(checkpoint), device="cpu")
    logits = sam2._logits([noise(), noise()], [(10.0, 10.0, 50.0, 40.0)] * 2)
    assert [float(one.max()) for one in logits] == [50.0, 50.0]
    assert calls[0]["box_batch"][0].tolist() == [10, 10, 60, 50]
    assert "mask_input_batch" not in calls[0]
    assert calls[1]["mask_input_batch"][0].shape == (1, 256, 256)
    assert calls[1]["mask_input_batch"][0].max() == 32.0


def test_metas_package_and_checkpoint_are_named_where_they_are_missing(tmp_path: Path) -> None:
    torch_or_skip()
    with pytest.raises(WeightsMissing, match=r"none\.pt: there is no such checkpoint"):
        Sam2Meta(weights=str(tmp_path / "none.pt"), device="cpu").fingerprint()
    (tmp_path / "some.pt").write_bytes(b"x")
    with pytest.raises(BrokenSetup, match=r"sam2 is not installed.*gpu,sam2"):
        Sam2Meta(weights=str(tmp_path / "some.pt"), device="cpu")._logits(
            [noise()], [(10.0, 10.0, 50.0, 40.0)]
        )

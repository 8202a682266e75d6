"""Matting networks by description, on one of a single layer that the test writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import Segmenter, Subject
from resources.models.matting_onnx import MattingOnnx
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip

SIDE = 32
PLAIN: dict[str, Any] = {"side": SIDE, "mean": [0.0] * 3, "std": [1.0] * 3, "answer": "matte"}


def write(path: Path, weights: list[float], bias: float, *, channels: int = 1) -> str:
    """`weights` times red, green and blue, plus `bias`; a coarser output comes before it."""
    torch_or_skip("onnx")
    import onnx
    from onnx import helper, numpy_helper

    kernel = np.tile(np.array(weights, np.float32).reshape(1, 3, 1, 1), (channels, 1, 1, 1))
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "kernel", "bias"], ["matte"]),
            helper.make_node("GlobalAveragePool", ["matte"], ["coarse"]),
        ],
        "matting",
        [helper.make_tensor_value_info("picture", 1, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("coarse", 1, None),
            helper.make_tensor_value_info("matte", 1, None),
        ],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.full(channels, bias, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return str(path)


def half_red() -> Rgb:
    picture = np.full((40, 60, 3), 128, np.uint8)
    picture[:, 30:] = (255, 0, 0)
    return picture


def test_it_fills_its_role() -> None:
    assert isinstance(MattingOnnx(weights="birefnet.onnx"), Segmenter)


def test_the_description_says_how_pixels_go_in(tmp_path: Path) -> None:
    red = write(tmp_path / "red.onnx", [1.0, 0.0, 0.0], 0.0)
    plain = MattingOnnx(weights=red, **PLAIN).saliency(half_red())
    assert plain.shape == (40, 60)
    assert plain[:, :25].mean() == pytest.approx(128 / 255, abs=0.01)
    assert plain[:, 35:].mean() == pytest.approx(1.0, abs=0.01)
    shifted = MattingOnnx(weights=red, **PLAIN | {"mean": [0.5] * 3, "std": [0.5] * 3})
    assert shifted.saliency(half_red())[:, :25].mean() == pytest.approx(0.004, abs=0.01)
    assert shifted.fingerprint() != MattingOnnx(weights=red, **PLAIN).fingerprint()


def test_the_description_says_what_comes_out(tmp_path: Path) -> None:
    logits = write(tmp_path / "logits.onnx", [8.0, 0.0, 0.0], -6.0)
    with pytest.raises(BrokenSetup, match=r'numbers from -1\.98 to 2\.00.*answer = "logits"'):
        MattingOnnx(weights=logits, **PLAIN).saliency(half_red())
    sigmoid = MattingOnnx(weights=logits, **PLAIN | {"answer": "logits"}).saliency(half_red())
    assert sigmoid[:, 35:].mean() == pytest.approx(1 / (1 + np.exp(-2)), abs=0.01)
    stretched = MattingOnnx(weights=logits, **PLAIN | {"answer": "unscaled"}).saliency(half_red())
    assert (float(stretched.min()), float(stretched.max())) == (0.0, 1.0)
    cut = MattingOnnx(weights=logits, **PLAIN | {"answer": "unscaled"})
    (matte,) = cut.segment([half_red()], [Subject((25.0, 5.0, 30.0, 30.0))])
    assert matte.alpha[20, 45] > 0.9
    assert matte.alpha[:, :20].max() == 0


def test_a_network_that_is_not_as_described_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "red.onnx", [1.0, 0.0, 0.0], 0.0)
    three = write(tmp_path / "three.onnx", [1.0, 0.0, 0.0], 0.0, channels=3)
    for weights, changed, told in (
        (path, {"side": 64}, r"red\.onnx: takes pictures of \[32, 32\] pixels, not 64; set side"),
        (path, {"output": "alpha"}, r"no output 'alpha'; it has: coarse, matte"),
        (three, {}, r"answers with \(1, 3, 32, 32\), which is no single matte"),
    ):
        with pytest.raises(BrokenSetup, match=told):
            MattingOnnx(weights=weights, **PLAIN | changed).saliency(half_red())
    with pytest.raises(WeightsMissing, match=r"none\.onnx: there is no such file of weights"):
        MattingOnnx(weights=str(tmp_path / "none.onnx")).saliency(half_red())

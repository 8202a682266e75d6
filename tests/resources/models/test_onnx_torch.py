"""ONNX networks on torch give what they give on ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.errors import BrokenSetup
from resources.models import onnx as engines
from resources.weights import WeightsMissing, weight_path
from tests.torch_here import torch_or_skip


def write(path: Path, nodes: list[Any], shape: list[int], numbers: dict[str, Any]) -> Path:
    """An ONNX file with one input `x` and one output `y`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def both(path: Path, feeds: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """What ONNX Runtime says, and what torch says."""
    import onnxruntime

    from resources.models.onnx_torch import TorchSession

    theirs = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = TorchSession(path, "cpu")
    assert [i.name for i in ours.get_inputs()] == [i.name for i in theirs.get_inputs()]
    ours.run(None, feeds)
    return theirs.run(None, feeds), ours.run(None, feeds)  # the second run is the prepared one


def conv(helper: Any) -> list[Any]:
    return [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])]


def lopsided(helper: Any) -> list[Any]:
    return [helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 1], dilations=[2, 1])]


def resized(helper: Any) -> list[Any]:
    return [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Mul", ["shape", "doubled"], ["sizes"]),
        helper.make_node(
            "Resize",
            ["x", "", "", "sizes"],
            ["y"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        ),
    ]


def split_and_joined(helper: Any) -> list[Any]:
    return [
        helper.make_node("Split", ["x"], ["a", "b", "c"], axis=1),
        helper.make_node("Softmax", ["b"], ["d"], axis=-1),
        helper.make_node("Concat", ["c", "d", "a"], ["e"], axis=2),
        helper.make_node("Slice", ["e", "starts", "ends", "axes"], ["f"]),
        helper.make_node("Transpose", ["f"], ["y"], perm=[0, 2, 3, 1]),
    ]


@pytest.mark.parametrize("nodes", [conv, lopsided, resized, split_and_joined])
def test_operators_agree(nodes: Callable[[Any], list[Any]], tmp_path: Path) -> None:
    torch_or_skip("onnx")
    from onnx import helper

    rng = np.random.default_rng(0)
    numbers = {
        "w": rng.standard_normal((4, 3, 3, 3), np.float32),
        "doubled": np.array([1, 1, 2, 2], np.int64),
        "starts": np.array([1], np.int64),
        "ends": np.array([-2], np.int64),
        "axes": np.array([2], np.int64),
    }
    path = write(tmp_path / "made.onnx", nodes(helper), [1, 3, 11, 14], numbers)
    theirs, ours = both(path, {"x": rng.standard_normal((1, 3, 11, 14), np.float32)})
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)


def test_an_operator_that_is_not_there_is_named_before_anything_runs(tmp_path: Path) -> None:
    torch_or_skip("onnx")
    from onnx import helper

    from resources.models.onnx_torch import TorchSession

    path = write(tmp_path / "odd.onnx", [helper.make_node("Tan", ["x"], ["y"])], [1], {})
    with pytest.raises(BrokenSetup, match=r"odd\.onnx: uses the operator Tan"):
        TorchSession(path, "cpu")


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("plate_fast", (1, 3, 640, 640)),
        ("u2net", (1, 3, 320, 320)),
        ("tiny_vit_5m_patch", (2, 3, 224, 224)),
        ("ppocr_rec", (1, 3, 48, 200)),
    ],
)
def test_the_catalogues_networks_agree(name: str, shape: tuple[int, ...], weights: object) -> None:
    torch_or_skip("onnx")
    from resources.models.onnx_torch import TorchSession

    path = weight_path(name)
    feed = TorchSession(path, "cpu").get_inputs()[0].name
    theirs, ours = both(path, {feed: np.random.default_rng(0).random(shape, np.float32)})
    for one, other in zip(theirs, ours, strict=True):
        assert np.abs(one - other).max() <= 5e-4 * np.abs(one).max()


def test_a_file_beside_the_catalogue_is_used_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"mine\.onnx: there is no such file"):
        engines.weight_digest(str(tmp_path / "mine.onnx"))
    (tmp_path / "mine.onnx").write_bytes(b"x")
    assert len(engines.weight_digest(str(tmp_path / "mine.onnx"))) == 64


def test_a_gpu_is_taken_where_there_is_one_and_missed_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(engines, "_torch_sees_a_gpu", lambda: False)
    assert engines.engine_for("mine.onnx", "auto") == "onnxruntime"
    assert engines.engine_mark("mine.onnx", "auto") == ""
    with pytest.raises(BrokenSetup, match="neither onnxruntime nor torch sees a GPU"):
        engines.engine_for("u2net", "gpu")
    monkeypatch.setattr(engines, "_torch_sees_a_gpu", lambda: True)
    assert engines.engine_for("u2net", "auto") == "torch-cuda"
    assert engines.engine_mark("u2net", "gpu") == ":torch-cuda"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert engines.engine_for("u2net", "auto") == "onnxruntime-cuda"
    assert engines.engine_for("mine.onnx", "cpu") == "onnxruntime"

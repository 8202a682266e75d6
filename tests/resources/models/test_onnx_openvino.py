"""ONNX networks on OpenVINO give what they give on ONNX Runtime, each time the same."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources import weights as catalogue
from resources.errors import BrokenSetup
from resources.models.onnx_openvino import (
    OpenVinoSession,
    _boxes_in_float32,
    core,
    plain_onnx,
)

if find_spec("openvino") is None:  # importing it would tell Google Analytics
    pytest.skip("openvino has no wheel for this machine", allow_module_level=True)

PICTURE = np.random.default_rng(0).random((1, 3, 640, 640), np.float32)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of compiled networks, empty."""
    monkeypatch.setattr(catalogue, "models_dir", lambda: tmp_path)
    return tmp_path / "compiled"


def plates() -> OpenVinoSession:
    path = catalogue.weight_path("plate_fast")
    return OpenVinoSession(path, catalogue.digest("plate_fast"), 1, "float32")


def answer(session: Any) -> Any:
    (boxes,) = session.run(None, {"images": PICTURE})
    return boxes


def on_onnx_runtime(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.weights
def test_it_agrees_and_answers_the_same_bytes_each_time(kept: Path, weights: object) -> None:
    compiled = plates()
    other = on_onnx_runtime(catalogue.weight_path("plate_fast"))
    theirs, first = answer(other), answer(compiled)
    assert np.abs(first - theirs).max() <= 1e-5 * np.abs(theirs).max()

    (file,) = kept.iterdir()
    written = file.stat().st_mtime_ns
    with ThreadPoolExecutor(3) as threads:  # the network as it was kept
        again = list(threads.map(answer, [plates()] * 3))
    assert file.stat().st_mtime_ns == written
    assert all(np.array_equal(first, each) for each in again)
    for mine, its in (
        (compiled.get_inputs(), other.get_inputs()),
        (compiled.get_outputs(), other.get_outputs()),
    ):
        assert [(port.name, port.type) for port in mine] == [(port.name, port.type) for port in its]


@pytest.mark.slow
@pytest.mark.weights
def test_a_kept_network_that_was_damaged_is_compiled_again(kept: Path, weights: object) -> None:
    sound = answer(plates())
    (file,) = kept.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 64  # in the midst of the numbers
    file.write_bytes(content)
    assert np.array_equal(answer(plates()), sound)
    assert file.read_bytes() != bytes(content)
    file.write_bytes(content[: len(content) // 2])
    assert np.array_equal(answer(plates()), sound)


@pytest.mark.weights
def test_a_folder_that_cannot_be_written_is_as_good(kept: Path, weights: object) -> None:
    kept.write_text("a file, where the folder would be")
    assert answer(plates()).shape == (1, 5, 8400)
    assert kept.is_file()


@pytest.mark.weights
def test_the_metadata_of_the_file_is_there(kept: Path, weights: object) -> None:
    path, digest = catalogue.weight_path("ppocr_rec"), catalogue.digest("ppocr_rec")
    theirs = on_onnx_runtime(path).get_modelmeta().custom_metadata_map
    for _ in ("compiled", "kept"):
        session = OpenVinoSession(path, digest, 1, "float32")
        assert session.get_modelmeta().custom_metadata_map["character"] == theirs["character"]


@pytest.mark.weights
def test_an_ort_file_becomes_an_onnx_file_of_the_same_network(
    tmp_path: Path, kept: Path, weights: object
) -> None:
    import onnxruntime

    path = catalogue.weight_path("plate_fast")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(tmp_path / "plates.ort")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    plain = plain_onnx(tmp_path / "plates.ort", tmp_path)
    assert np.array_equal(answer(on_onnx_runtime(plain)), answer(on_onnx_runtime(path)))
    read = OpenVinoSession(tmp_path / "plates.ort", "0" * 64, 1, "float32")
    assert np.array_equal(answer(read), answer(plates()))


@pytest.mark.weights
@pytest.mark.parametrize("weight", ["plate_fast", "yolov8s"])
def test_boxes_are_decoded_outside_what_bfloat16_computes(weights: object, weight: str) -> None:
    def answered() -> Any:
        return core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(PICTURE)[0]

    model = core().read_model(catalogue.weight_path(weight))
    before = answered()
    _boxes_in_float32(model)
    assert np.abs(answered() - before).max() <= 1e-5 * np.abs(before).max()
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    last = max(i for i, kind in enumerate(kinds) if kind == "Convolution")
    assert "Softmax" in kinds[last:]  # the distances' probabilities come after all convolutions


@pytest.mark.weights
def test_a_network_of_any_size_takes_pictures_as_they_are(kept: Path, weights: object) -> None:
    import cv2

    path, names = catalogue.weight_path("centerface"), ["537", "538", "539", "540"]
    session = OpenVinoSession(path, catalogue.digest("centerface"), 1, "float32", any_size=True)
    network = cv2.dnn.readNetFromONNX(np.fromfile(path, np.uint8))
    for height, width in ((96, 128), (64, 64)):
        pixels = PICTURE[:, :, :height, :width] * 255
        network.setInput(pixels)
        for mine, theirs in zip(
            session.run(names, {"input.1": pixels}), network.forward(names), strict=True
        ):
            assert mine.shape == (1, theirs.shape[1], height // 4, width // 4)
            assert np.abs(mine - theirs).max() < 1e-4


def test_a_file_that_openvino_refuses_is_named(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_bytes(b"not a network")
    with pytest.raises(BrokenSetup, match=r"odd\.onnx: OpenVINO cannot run it .*onnxruntime"):
        OpenVinoSession(tmp_path / "odd.onnx", "0" * 64, 1, "float32")


def test_nobody_is_told_that_it_runs_here(tmp_path: Path) -> None:
    """openvino_telemetry leaves a client's id in the home folder, and sends it."""
    code = (
        "import sys\nfrom resources.models.onnx_openvino import core\n"
        "print(core().available_devices)\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    home = os.environ | {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    home.pop("CI", None)  # there it would be silent by itself
    told = subprocess.run(
        [sys.executable, "-c", code], env=home, capture_output=True, text=True, check=True
    )
    assert "CPU" in told.stdout
    assert not list(tmp_path.iterdir())

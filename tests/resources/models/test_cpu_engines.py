"""Which runtime runs a network on a CPU, and that a cache says by which it was made."""

import pytest

from okla_assets.steps.pipeline import Fingerprinted, Pipeline
from resources.errors import BrokenSetup
from resources.models import cpu_engines
from resources.models.cpu_engines import Cpu, engine_on_cpu
from resources.models.fused_matte import FusedMatte
from resources.models.onnx import engine_mark
from resources.models.yolo_onnx import YoloOnnxDetector

ENCODER = "sam2_hiera_tiny_encoder"
BARE = Cpu(openvino=False, avx512=False, bfloat16=False)
AVX2 = Cpu(openvino=True, avx512=False, bfloat16=False)
AVX512 = Cpu(openvino=True, avx512=True, bfloat16=False)
BFLOAT16 = Cpu(openvino=True, avx512=True, bfloat16=True)


def on(monkeypatch: pytest.MonkeyPatch, cpu: Cpu, runtime: str = "", precision: str = "") -> None:
    monkeypatch.setattr(cpu_engines, "cpu", lambda: cpu)
    monkeypatch.setenv("OKLA_ONNX_RUNTIME", runtime)
    monkeypatch.setenv("OKLA_ONNX_PRECISION", precision)


@pytest.mark.parametrize(
    ("cpu", "runtime", "precision", "encoder", "detector"),
    [
        (BARE, "", "", "onnxruntime", "onnxruntime"),
        (AVX2, "", "", "openvino-float32", "onnxruntime"),
        (AVX512, "", "", "openvino-float32", "openvino-float32"),
        (BFLOAT16, "", "", "openvino-bfloat16", "openvino-bfloat16"),
        (BFLOAT16, "", "float32", "openvino-float32", "openvino-float32"),
        (BFLOAT16, "onnxruntime", "", "onnxruntime", "onnxruntime"),
        (AVX2, "openvino", "", "openvino-float32", "openvino-float32"),
        (BFLOAT16, "openvino", "bfloat16", "openvino-bfloat16", "openvino-bfloat16"),
    ],
)
def test_what_was_measured_to_be_quicker_or_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    cpu: Cpu,
    runtime: str,
    precision: str,
    encoder: str,
    detector: str,
) -> None:
    on(monkeypatch, cpu, runtime, precision)
    assert (engine_on_cpu(ENCODER), engine_on_cpu("yolov8s")) == (encoder, detector)


def test_some_networks_are_on_openvino_in_bfloat16_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, AVX512)
    assert engine_on_cpu("platedet") == "onnxruntime"
    on(monkeypatch, BFLOAT16)
    assert engine_on_cpu("platedet") == "openvino-bfloat16"
    assert engine_on_cpu("sam2_hiera_tiny_decoder") == "onnxruntime"


def test_an_unknown_file_runs_on_onnx_runtime_unless_openvino_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on(monkeypatch, BFLOAT16)
    assert engine_on_cpu("mine.onnx") == "onnxruntime"
    on(monkeypatch, BFLOAT16, "openvino")
    assert engine_on_cpu("mine.onnx") == "openvino-float32"


@pytest.mark.parametrize(
    ("runtime", "says"),
    [("", "this CPU has no bfloat16"), ("onnxruntime", "OKLA_ONNX_RUNTIME is onnxruntime")],
)
def test_bfloat16_is_refused_where_it_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, runtime: str, says: str
) -> None:
    on(monkeypatch, AVX512, runtime, "bfloat16")
    with pytest.raises(BrokenSetup, match=says):
        engine_on_cpu(ENCODER)


def test_a_cache_of_another_runtime_or_precision_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mattes, boxes = set(), set()
    for cpu in (BARE, AVX2, AVX512, BFLOAT16):
        on(monkeypatch, cpu)
        mattes.add(FusedMatte().fingerprint())
        boxes.add(YoloOnnxDetector().fingerprint())
    assert len(mattes) == 3  # with AVX-512 as without
    assert len(boxes) == 3  # AVX-512 brings the detector to OpenVINO
    assert engine_mark(ENCODER, "cpu") == ":openvino-bfloat16"


def test_a_listing_is_not_outdated_by_another_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprints = set()
    for cpu in (BARE, AVX2, AVX512, BFLOAT16):
        on(monkeypatch, cpu)
        roles: dict[str, Fingerprinted] = {
            "detector": YoloOnnxDetector(),
            "segmenter": FusedMatte(),
            "other": YoloOnnxDetector(weights="yolov8n"),
        }
        fingerprints.add(Pipeline("local", roles, {"masks": "1"}).fingerprint())
    assert len(fingerprints) == 1
    del roles["other"]
    assert Pipeline("local", roles, {"masks": "1"}).fingerprint() not in fingerprints

"""YOLO by any file: .pt and .onnx of one network agree, and so do our two readers of one .onnx."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import VehicleDetector
from resources.models.detections import best_of
from resources.models.yolo_onnx import YoloOnnxDetector
from resources.models.yolo_ultralytics import QUIET, YoloUltralytics
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip


def picture(seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (300, 400, 3), np.uint8)


PHOTO = picture()


def test_it_fills_its_role() -> None:
    assert isinstance(YoloUltralytics(), VehicleDetector)


def test_both_forms_of_output_are_read() -> None:
    yolo = YoloUltralytics(weights="any.onnx")
    many = np.zeros((84, 3), np.float32)
    many[:4] = [[50, 90, 20], [40, 80, 20], [20, 30, 10], [10, 20, 10]]
    many[4 + 2], many[4 + 7], many[4] = [0.9, 0.1, 0.1], [0.2, 0.6, 0.1], 0.99
    car, truck, *people = yolo._found(PHOTO, many, 1.0, 0.0, 0.0)
    assert (car.box, truck.box) == ((40, 35, 20, 10), (75, 70, 30, 20))
    assert (car.score, truck.score) == pytest.approx((0.9, 0.6))
    assert (car.other_vehicle, truck.other_vehicle) == (False, True)
    assert [one.kind for one in people] == ["person"] * 3
    few = np.array([[40, 35, 60, 45, 0.9, 2], [0, 0, 9, 9, 0.9, 0], [1, 1, 2, 2, 0.1, 7]])
    car, person = yolo._found(PHOTO, few.astype(np.float32), 1.0, 0.0, 0.0)
    assert (car.kind, car.box, car.other_vehicle) == ("vehicle", (40, 35, 20, 10), False)
    assert car.score == pytest.approx(0.9)
    assert (person.kind, person.box) == ("person", (0, 0, 9, 9))


def test_a_bus_is_told_from_a_car() -> None:
    boxes = np.array([[10, 10, 50, 30], [80, 10, 50, 30], [150, 10, 50, 30]], np.float32)
    scores, cars = np.array([0.9, 0.8, 0.7]), np.array([0.9, 0.1, 0.5])
    shape = (100, 300)
    found = best_of(boxes, scores, 0.25, 0.6, shape, cars)
    assert [one.other_vehicle for one in found] == [False, True, False]
    assert not any(one.other_vehicle for one in best_of(boxes, scores, 0.25, 0.6, shape))


def test_a_network_without_the_classes_says_which_is_missing() -> None:
    with pytest.raises(BrokenSetup, match="has no class 7; set classes"):
        YoloUltralytics(weights="cars.onnx")._found(
            PHOTO, np.zeros((5, 8400), np.float32), 1.0, 0.0, 0.0
        )


def test_a_missing_file_is_named_and_nothing_is_downloaded(tmp_path: Path) -> None:
    torch_or_skip("ultralytics")
    yolo = YoloUltralytics(weights=str(tmp_path / "yolo11x.pt"))
    with pytest.raises(WeightsMissing, match=r"yolo11x\.pt: there is no such file"):
        yolo.detect([picture()])
    (tmp_path / "yolo11x.pt").write_bytes(b"no weights")
    with pytest.raises(BrokenSetup, match=r"yolo11x\.pt: is no YOLO network"):
        yolo.detect([picture()])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_a_pt_and_its_onnx_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = torch_or_skip("ultralytics", "onnx")
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    from ultralytics import YOLO

    torch.manual_seed(0)
    network = YOLO("yolo11n.yaml", task="detect")
    network.save("made.pt")
    exported = network.export(format="onnx", imgsz=160, opset=17, simplify=False)
    Path(exported).replace("made.onnx")
    common: dict[str, Any] = {
        "side": 160,
        "min_score": 0.0,
        "nms_iou": 1.0,
        "device": "cpu",
        "runs_on": "cpu",
    }
    pt, onnx = (
        YoloUltralytics(weights=str(tmp_path / name), **common).detect([picture(), picture(1)])
        for name in ("made.pt", "made.onnx")
    )
    for ours, theirs in zip(pt, onnx, strict=True):
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.box, other.box, atol=0.01)
            assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.weights
@pytest.mark.testdata
def test_both_readers_of_an_onnx_agree(testdata: Path, weights: object) -> None:
    from okla_assets.imaging.photo import codec

    torch_or_skip()
    path = sorted((testdata / "dealer").glob("*/exterior*.jpg"))[0]
    photo = codec.decode_trusted(path.read_bytes())
    (ours,) = YoloUltralytics(weights="yolov8s", runs_on="cpu").detect([photo])
    (theirs,) = YoloOnnxDetector().detect([photo])
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=0.01)

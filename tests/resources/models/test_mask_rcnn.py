"""Mask R-CNN of torchvision: boxes and masks, against torchvision's own answer, on a network that
knows nothing."""

import os
from pathlib import Path

import numpy as np
import pytest

from okla_assets.imaging.matte import cutout
from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import Segmenter, Subject, VehicleDetector, vehicles_of
from resources.models.mask_rcnn import MaskRcnn, mask_at
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip


def picture() -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def test_it_fills_two_roles() -> None:
    assert isinstance(MaskRcnn(weights="mask.pth"), VehicleDetector)
    assert isinstance(MaskRcnn(weights="mask.pth"), Segmenter)


@pytest.mark.slow
def test_what_it_answers_is_what_torchvision_answers(tmp_path: Path) -> None:
    torch = torch_or_skip("torchvision")
    from torchvision.models import detection

    torch.manual_seed(0)
    network = detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=96, max_size=192, box_score_thresh=0.05,
        rpn_pre_nms_top_n_test=20, rpn_post_nms_top_n_test=20,
    )  # fmt: skip
    # Random, it says nothing of a vehicle; leaning to cars it does.
    network.roi_heads.box_predictor.cls_score.weight.data *= 1e-3
    network.roi_heads.box_predictor.cls_score.bias.data[3] = 2.0
    torch.save(network.state_dict(), tmp_path / "mask.pth")
    with torch.inference_mode():
        pixels = torch.from_numpy(picture()).permute(2, 0, 1).float() / 255
        (theirs,) = network.eval()([pixels])
    own = MaskRcnn(
        weights=str(tmp_path / "mask.pth"), architecture="maskrcnn_resnet50_fpn", side=96,
        proposals=20, min_score=0.05, nms_iou=1.0, device="cpu",
    )  # fmt: skip
    (found,) = own.detect([picture()])
    cars = theirs["labels"] == 3
    assert int(cars.sum()) > 0
    best = vehicles_of(found)[0]
    x0, y0, x1, y1 = theirs["boxes"][cars][0].tolist()
    assert best.box == pytest.approx((x0, y0, x1 - x0, y1 - y0), abs=0.01)
    assert best.score == pytest.approx(float(theirs["scores"][cars][0]), abs=1e-5)
    assert not best.other_vehicle
    (matte,) = own.segment([picture()], [Subject(best.box)])
    np.testing.assert_allclose(matte.alpha, theirs["masks"][cars][0, 0].numpy(), atol=1e-5)
    with pytest.raises(BrokenSetup, match=r"mask\.pth: does not hold this network's weights"):
        MaskRcnn(weights=str(tmp_path / "mask.pth"), device="cpu").detect([picture()])


def test_where_it_sees_no_vehicle_the_matte_is_empty_and_not_trusted() -> None:
    masks = np.ones((2, 1, 96, 128), np.float32)
    answer = {
        "boxes": np.array([[0, 0, 60, 60], [60, 40, 120, 90]], np.float32),
        "labels": np.array([1, 3]),
        "scores": np.array([0.9, 0.8], np.float32),
        "masks": masks * np.array([0.5, 0.7], np.float32)[:, None, None, None],
    }
    person, car = (0.0, 0.0, 60.0, 60.0), (62.0, 40.0, 58.0, 50.0)
    assert mask_at((96, 128), car, answer).mean() == pytest.approx(0.7)
    empty = mask_at((96, 128), person, answer)
    assert empty.shape == (96, 128)
    assert not empty.any()
    assert not cutout.trustworthy(empty, None, person)


class Trap:
    """What a pickle may be: code that runs when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


def test_missing_and_wrong_weights_are_refused_and_no_code_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = torch_or_skip("torchvision")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsMissing, match=r"none\.pth: there is no such file of weights"):
        MaskRcnn(weights=str(tmp_path / "none.pth")).detect([picture()])
    torch.save({"a": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(BrokenSetup, match=r"trap\.pth: does not hold this network's weights"):
        MaskRcnn(weights=str(tmp_path / "trap.pth"), device="cpu").detect([picture()])
    assert not (tmp_path / "trapped").exists()

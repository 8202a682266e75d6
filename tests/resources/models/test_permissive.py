"""The profile without a copyleft licence among its weights: which these are, and that it finds the
sample's car and its plate."""

import re
from importlib.metadata import distribution, requires

import numpy as np
import pytest

from okla_assets.imaging import plates
from okla_assets.imaging.geometry import box_iou
from okla_assets.imaging.photo import codec
from okla_assets.sample import FOLDER, MEDIA
from okla_assets.sample.truth import truth
from resources import weights as catalogue
from resources.errors import BrokenSetup
from resources.model_choice import PROFILES, models_for
from resources.models.base import Model, PlateDetector, VehicleDetector, vehicles_of
from resources.models.efficientdet_opencv import EfficientDetLite
from resources.models.text_plates import TextPlates, plate_likeness, text_lines, upright
from resources.weights import WeightsMissing
from resources.weights.puller import PullFailed
from tests.plates import covered_share

PERMISSIVE = {"Apache-2.0", "MIT", "BSD-3-Clause"}
OURS = "view heads"
"""They are this project's own, under its licence."""
COPYLEFT = re.compile(r"\b(A?GPL|Affero|GNU General Public)", re.IGNORECASE)


@pytest.fixture(scope="module")
def permissive_weights() -> None:
    try:
        catalogue.ensure(catalogue.names_for("permissive"))
    except PullFailed as failed:
        if not failed.offline:
            raise
        pytest.skip(f"needs weights, and no registry can be reached: {failed}")


def licences(profile: str) -> dict[str, str]:
    """The licence of each of the weights that a profile loads, but for our own."""
    return {
        info.name: info.licence
        for model in models_for(profile).values()
        if isinstance(model, Model)
        for info in model.models()
        if info.role != OURS
    }


def test_no_weights_of_the_permissive_profile_are_copyleft() -> None:
    found = licences("permissive")
    assert set(found) == set(catalogue.names_for("permissive"))
    assert set(found.values()) <= PERMISSIVE
    assert licences("local")["yolov8s"] == "AGPL-3.0"


def test_no_package_that_it_needs_declares_a_copyleft_licence() -> None:
    """What wheels carry inside is in the table of docs/models.md."""
    named = [r for r in requires("okla-media") or () if "extra ==" not in r]
    needed = [match[0] for r in named if (match := re.match(r"[\w.-]+", r))]
    assert {"onnxruntime", "opencv-python", "av"} <= set(needed)
    for name in needed:
        stated = distribution(name).metadata
        classifiers = [c for c in stated.get_all("Classifier") or () if c.startswith("License")]
        words = " ".join([stated["License-Expression"] or "", *classifiers])
        assert not COPYLEFT.search(words), name


def test_they_fill_their_roles() -> None:
    assert isinstance(EfficientDetLite(), VehicleDetector)
    assert isinstance(TextPlates(), PlateDetector)
    assert set(PROFILES["permissive"]) == set(PROFILES["local"])


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("file", ["photos/IMG_0101.jpg", "photos/IMG_0106.jpg"])
def test_the_samples_car_and_its_plate_are_found(file: str, permissive_weights: None) -> None:
    (known,) = (photo for photo in truth().photos if photo.file == file)
    assert known.matte is not None
    picture = codec.decode_trusted((MEDIA / file).read_bytes())
    (found,) = EfficientDetLite().detect([picture])
    (car,) = vehicles_of(found)
    rows, columns = np.nonzero(codec.decode_gray((FOLDER / known.matte).read_bytes()) > 127)
    left, top = columns.min(), rows.min()
    true_box = (left, top, columns.max() - left, rows.max() - top)
    assert float(box_iou(np.array(car.box), np.array(true_box))) > 0.85
    assert not car.other_vehicle
    (candidates,) = TextPlates().detect([picture], [[car.box]])
    quads = [
        np.array(c.quad, np.float32)
        for c in candidates
        if plates.accept_plate(c.box, c.score, c.agreement, [car.box], False)
    ]
    assert len(quads) == 1
    corners = np.array(known.plates[0].quad, np.float32)
    x, y = corners.min(axis=0)
    w, h = corners.max(axis=0) - corners.min(axis=0)
    assert covered_share((x, y, w, h), quads, True) > 0.95


@pytest.mark.weights
def test_a_side_that_the_network_does_not_take_is_named(permissive_weights: None) -> None:
    with pytest.raises(BrokenSetup, match="efficientdet_lite2: takes no pictures of 320 pixels"):
        EfficientDetLite(side=320).detect([np.zeros((90, 120, 3), np.uint8)])


def test_missing_and_foreign_files_are_named(tmp_path: object) -> None:
    with pytest.raises(WeightsMissing, match=r"none\.tflite: there is no such file of weights"):
        EfficientDetLite(weights=f"{tmp_path}/none.tflite").detect(
            [np.zeros((90, 120, 3), np.uint8)]
        )
    with pytest.raises(WeightsMissing, match=r"none\.onnx: there is no such file of weights"):
        TextPlates(weights=f"{tmp_path}/none.onnx").fingerprint()


def test_what_reads_like_a_plate_keeps_its_score() -> None:
    line = np.array([[0, 0], [120, 0], [120, 30], [0, 30]], np.float32)
    assert plate_likeness("LM·010 BE", line) == 1.0
    assert 0 < plate_likeness("HYUNDAI", line) < 0.33
    assert plate_likeness("X5", line) == 0.0
    assert plate_likeness("0800 123 456 789", line) == 0.0
    assert plate_likeness("AB 123", line * np.array([4, 1], np.float32)) == 0.0


def test_lines_are_found_with_their_turn_and_stood_upright() -> None:
    import cv2

    text = np.zeros((200, 300), np.float32)
    box = cv2.boxPoints(((150.0, 100.0), (120.0, 20.0), 30.0))
    cv2.fillPoly(text, [box.astype(np.int32)], 0.9)
    text[10:12, 10:12] = 0.9  # a speck
    ((quad, score),) = text_lines(text, 0.4)
    assert score == pytest.approx(0.9, abs=0.01)
    across = quad[1] - quad[0]
    assert np.rad2deg(np.arctan2(across[1], across[0])) == pytest.approx(30, abs=2)
    margin = 120 * 20 * 1.6 / 140
    assert np.linalg.norm(across) == pytest.approx(120 + margin, abs=4)
    photo = np.repeat((text * 255).astype(np.uint8)[..., None], 3, axis=2)
    strip = upright(photo, quad)
    assert strip.shape[1] > 3 * strip.shape[0]
    assert strip[strip.shape[0] // 2, 30:-30].min() > 200

"""Profiles, and what the owner's file changes in them."""

from pathlib import Path

import pytest

from resources import model_choice
from resources.decoding.promo_encoder import PromoEncoder
from resources.errors import BadInput, BrokenSetup
from resources.model_choice import CONFIG, MODELS_BY_ROLE, PROFILES, models_for, weights_for
from resources.models.base import (
    FaceDetector,
    PlateDetector,
    Segmenter,
    TextReader,
    TurnSegmenter,
    VehicleDetector,
    ViewClassifier,
)
from resources.models.clip_views import MeanViews
from resources.models.sam2_torch import Sam2Torch
from resources.models.yolo_ultralytics import YoloUltralytics
from resources.weights import names_for

ROLES: dict[str, type] = {
    "detector": VehicleDetector,
    "segmenter": Segmenter,
    "turn_segmenter": TurnSegmenter,
    "views": ViewClassifier,
    "plate_detector": PlateDetector,
    "quick_plate_detector": PlateDetector,
    "plate_reader": TextReader,
    "face_detector": FaceDetector,
    "promo_encoder": PromoEncoder,
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the owner's file is looked for."""
    monkeypatch.setenv(CONFIG, str(tmp_path / "okla.toml"))
    return tmp_path / "okla.toml"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_role_of_a_profile_is_filled(profile: str) -> None:
    models = models_for(profile)
    assert set(models) == set(ROLES) == set(MODELS_BY_ROLE)
    for role, protocol in ROLES.items():
        assert isinstance(models[role], protocol), role


@pytest.mark.parametrize("profile", PROFILES)
def test_the_catalogue_says_which_weights_a_profile_loads(profile: str) -> None:
    assert weights_for(profile) == names_for(profile)


def test_the_gpu_profile_takes_the_gpu_where_there_is_one() -> None:
    models = models_for("gpu")
    views = models["views"]
    assert isinstance(views, MeanViews)
    assert views.heads.runs_on == "auto"
    assert models["segmenter"].saliency.runs_on == "auto"
    assert models["plate_detector"].boxes.runs_on == "auto"


def test_the_gpu_profile_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "find_spec", lambda name: None)
    with pytest.raises(BrokenSetup, match=r"torch, transformers, onnx.*'okla-media\[gpu\]'"):
        model_choice.check_extras("gpu")
    model_choice.check_extras("local")


def test_a_section_changes_one_role(config: Path) -> None:
    config.write_text(
        '[detector]\nmodel = "yolo_ultralytics"\nweights = "yolo11x.pt"\n'
        '[segmenter]\nbatch = 2\nsaliency = { weights = "u2netp" }\n'
    )
    models = models_for("gpu")
    assert isinstance(models["detector"], YoloUltralytics)
    assert models["detector"].weights == "yolo11x.pt"
    cutter = models["segmenter"]
    assert isinstance(cutter, Sam2Torch)
    assert (cutter.batch, cutter.saliency.weights, cutter.saliency.runs_on) == (2, "u2netp", "auto")
    assert "u2netp" in weights_for("gpu")
    assert "yolov8m" not in weights_for("gpu")
    with pytest.raises(BadInput, match=r"\[segmenter\]: fused_matte: has no field 'batch'"):
        models_for("local")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[detektor]\nmodel = "x"', r"\[detektor\]: there is no such role; there are: detector"),
        ('[detector]\nmodel = "yolo"', r"\[detector\]: model: there is no 'yolo'; there are: yolo"),
        ("[detector]\nweight = 1", r"\[detector\]: yolo_onnx: has no field 'weight'; it has: wei"),
        ("[detector]\nmin_score = 'x'", r"\[detector\]: min_score: .* valid number"),
        (
            "[segmenter]\nsam2 = { enkoder = 'x' }",
            r"\[segmenter\]: fused_matte\.sam2: has no field 'enkoder'",
        ),
        (
            '[views]\nmodel = "classifier_views"',
            r"\[views\]: weights: Input should be a valid string",
        ),
        ("[promo_encoder]\nshort_side = 721", r"\[promo_encoder\]: short_side: .* multiple of 2"),
        ("[promo_encoder]\ncrf = 0", r"\[promo_encoder\]: crf: .* greater than or equal to 1"),
        ("[promo_encoder]\nfps = 0", r"\[promo_encoder\]: fps: .* greater than or equal to 1"),
        ("[promo_encoder]\nthreads = 0", r"\[promo_encoder\]: threads: .* greater than or equal"),
        (
            "[promo_encoder]\npreset = 'fst'",
            r"\[promo_encoder\]: preset: Input should be 'ultrafast', 'superfast'",
        ),
        ("detector = 3", r"\[detector\]: must be a section"),
        ("[detector", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_named_by_section_and_field(
    text: str, said: str, config: Path
) -> None:
    config.write_text(text)
    with pytest.raises(BadInput, match=said):
        models_for("local")


def test_a_byte_order_mark_is_no_part_of_it(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbf[detector]\nmin_score = 0.5\n")
    assert models_for("local")["detector"].min_score == 0.5


def test_a_file_that_is_not_there_is_named(config: Path) -> None:
    with pytest.raises(BadInput, match=r"OKLA_CONFIG names .*okla\.toml, which cannot be read"):
        models_for("local")


def test_dagster_takes_every_sibling() -> None:
    import dagster as dg

    given = {
        "classifier_views": {"weights": "folder"},
        "sam2_meta": {"weights": "sam2.pt"},
        "matting_onnx": {"weights": "birefnet.onnx"},
        "mask_rcnn": {"weights": "mask.pth"},
        "easyocr": {"weights": "english_g2.pth"},
    }
    models = {
        f"{role}_{name}": kind(**given.get(name, {}))
        for role, siblings in MODELS_BY_ROLE.items()
        for name, kind in siblings.items()
    }
    defined = dg.Definitions(resources=models).get_repository_def().get_top_level_resources()
    assert set(defined) == set(models)

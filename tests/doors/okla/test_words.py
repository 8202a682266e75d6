"""OKLA's words and ours."""

from typing import Any

import pytest
from pydantic import ValidationError

from okla_assets.doors.jobs.record import new_id, new_job
from okla_assets.doors.jobs.requests import Operation, checked
from okla_assets.doors.okla.models import SpinBody
from okla_assets.doors.okla.words import (
    BadWords,
    cut_out_options,
    frames_made,
    frames_wanted,
    kind_of,
    studio_options,
)
from okla_assets.options import StudioOptions


def test_the_defaults_of_its_contract_are_ours() -> None:
    given = {
        "backgroundId": "white_studio",
        "customBackgroundUrl": None,
        "maskLicensePlate": True,
        "licensePlateMaskType": "blur",
        "generateShadow": True,
        "autoEnhance": True,
        "outputFormat": "jpg",
        "outputQuality": 90,
    }
    assert studio_options(given) == {
        "background_id": "white_studio",
        "mask_license_plate": True,
        "license_plate_mask_type": "blur",
        "generate_shadow": True,
        "auto_enhance": True,
        "output_format": "jpg",
        "output_quality": 90,
    }


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ({"background_code": "dark_studio"}, {"background_id": "dark_studio"}),
        ({"BackgroundID": "Dark_Studio"}, {"background_id": "dark_studio"}),
        ({"shadow_intensity": 0.3}, {"shadow_opacity": 0.3}),
        ({"shadowBlur": 50}, {"shadow_softness": 0.5}),
        ({"licensePlateMaskType": "black"}, {"license_plate_mask_type": "fill"}),
        ({"quality": 85}, {"output_quality": 85}),
        ({"quality": "High"}, {"output_quality": 90}),
        ({"outputFormat": "JPEG"}, {"output_format": "jpg"}),
        ({"targetFrameCount": 6}, {"spin_frames": 8}),
        ({"frameCount": "100"}, {"spin_frames": 72}),
        ({"frameWidth": 1920, "frameHeight": 1080}, {"max_width": 1920, "aspect": "1920:1080"}),
        ({"maxWidth": 1600, "maxHeight": 600}, {"max_width": 800}),
        ({"brightness": 1.0, "contrast": 1, "customBackgroundUrl": ""}, {}),
        ({"generateViewerEmbed": False, "processFrames": True}, {}),
        ({"aspect": "16:9", "promo": False}, {"aspect": "16:9", "promo": False}),
    ],
)
def test_each_name_is_understood(given: dict[str, Any], ours: dict[str, Any]) -> None:
    assert studio_options(given) == ours


@pytest.mark.parametrize(
    "given",
    [
        {"backgrund": "white_studio"},
        {"customBackgroundUrl": "https://example.org/room.jpg"},
        {"licensePlateLogoUrl": "https://example.org/logo.png"},
        {"brightness": 1.2},
        {"saturation": True},
        {"processFrames": False},
        {"outputQuality": 5},
        {"outputFormat": "tiff"},
        {"outputFormat": 3},
        {"licensePlateMaskType": ["blur"]},
        {"shadowBlur": "much"},
        {"shadowBlur": 400},
        {"frameHeight": 1080},
        {"frameWidth": 1920, "frameHeight": 100},
        {"maxHeight": "high"},
        {"frameCount": 0},
        {"frameCount": 10**9},
        {"frameCount": True},
        {"backgroundId": "../../etc/passwd"},
        {"backgroundId": {"a": 1}},
    ],
)
def test_what_cannot_be_used_is_named_as_it_was_given(given: dict[str, Any]) -> None:
    with pytest.raises(BadWords) as refused:
        studio_options(given)
    assert set(refused.value.fields) <= set(given)
    assert str(refused.value)


def test_counts_of_frames_are_those_of_the_options() -> None:
    least, most = frames_made(1), frames_made(360)
    for usable in (least, most):
        assert StudioOptions(spin_frames=usable).spin_frames == usable
    for wrong in (least - 1, most + 1):
        with pytest.raises(ValidationError):
            StudioOptions(spin_frames=wrong)
    body = SpinBody(vehicle_id="CAR-1", video_url="https://example.org/1.mp4")
    request = checked(operation="generate-360")
    usual = StudioOptions().spin_frames
    assert body.frame_count == usual == frames_wanted(new_job(request, new_id("", None)))
    asked = checked(operation="generate-360", options={"spin_frames": 24})
    assert frames_wanted(new_job(asked, new_id("", None))) == 24


def test_types_are_names_or_numbers() -> None:
    assert kind_of("BackgroundReplacement").operation is Operation.background
    assert kind_of("background_replacement").operation is Operation.background
    assert kind_of(8).operation is kind_of("8").operation is Operation.full
    assert kind_of(0).operation is Operation.cut_out
    assert kind_of("QualityAnalysis").operation is Operation.classify
    for wrong in ("Painting", 9, -1, True, ""):
        with pytest.raises(BadWords, match="FullPipeline"):
            kind_of(wrong)


def test_a_cut_out_is_png_unless_a_format_is_named() -> None:
    drawn = cut_out_options(kind_of("BackgroundRemoval"), studio_options({}))
    assert drawn is not None and (drawn.format, drawn.shadow) == ("png", "none")
    drawn = cut_out_options(kind_of(0), studio_options({"outputFormat": "WEBP", "quality": 70}))
    assert drawn is not None and (drawn.format, drawn.quality) == ("webp", 70)
    assert cut_out_options(kind_of("FullPipeline"), {}) is None

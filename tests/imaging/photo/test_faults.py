"""Faults of framing and of the file: each is found where it was made, and not on what is sound."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets.imaging.photo import faults
from okla_assets.imaging.photo.codec import resize
from okla_assets.imaging.types import Pixels
from tests.imaging.photo.test_quality import dealer_photos, load, scene

SKIN, DARK = (190, 120, 95), (25, 16, 14)


def textured(seed: int = 0) -> Pixels:
    """A sharp picture with contents everywhere, (600, 800, 3)."""
    noise = np.random.default_rng(seed).integers(-20, 20, (600, 800, 1))
    return np.asarray(np.clip(scene(seed, 600, 800).astype(np.int16) + noise, 0, 255), np.uint8)


def with_blob(rgb: Pixels, colour: tuple[int, int, int], soft: float) -> Pixels:
    """The picture with an ellipse at its right border that ends in a slope of that many pixels."""
    height, width = rgb.shape[:2]
    share = np.zeros((height, width), np.float32)
    cv2.ellipse(share, (width, 420), (170, 150), 0, 0, 360, 1, -1)
    share = np.asarray(cv2.GaussianBlur(share, (0, 0), soft), np.float32)[..., None]
    return np.asarray(rgb * (1 - share) + np.array(colour) * share, np.uint8)


@pytest.mark.parametrize("colour", [SKIN, DARK])
def test_a_finger_is_a_blob_out_of_focus(colour: tuple[int, int, int]) -> None:
    assert faults.has_finger(with_blob(textured(), colour, 30))
    assert not faults.has_finger(with_blob(textured(), colour, 1)), "a wall or a shadow"
    assert not faults.has_finger(textured())
    middle = np.roll(with_blob(textured(), colour, 30), -400, axis=1)
    assert not faults.has_finger(middle), "what does not reach in from the border"


def test_collages_and_screenshots_have_seams() -> None:
    a, b = textured(1) // 2, textured(2) // 2 + 127
    assert not faults.is_screenshot_or_collage(a)
    assert faults.is_screenshot_or_collage(np.hstack([a, b]))
    assert faults.is_screenshot_or_collage(np.vstack([a, b]))
    framed = cv2.copyMakeBorder(a, 0, 0, 90, 90, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    assert faults.is_screenshot_or_collage(np.asarray(framed, np.uint8))
    phone = np.full((1600, 740, 3), 250, np.uint8)
    phone[500:1055] = resize(a, 740, 555)
    assert faults.is_screenshot_or_collage(phone)


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((300, 200, 400, 200), None),
        ((450, 300, 130, 70), "too_far"),
        ((3, 200, 995, 300), "too_close"),
        ((3, 200, 500, 300), None),
    ],
)
def test_the_vehicles_share_of_the_photo_tells_the_distance(
    box: tuple[float, float, float, float], fault: str | None
) -> None:
    assert faults.distance(box, 1000, 700) == fault


def car_matte(degrees: float) -> Pixels:
    """A side view's silhouette, turned counter-clockwise about its middle."""
    matte = np.zeros((600, 900), np.uint8)
    cv2.rectangle(matte, (150, 250), (750, 380), 255, -1)
    for x in (270, 630):
        cv2.circle(matte, (x, 380), 55, 255, -1)
    turn = cv2.getRotationMatrix2D((450, 300), degrees, 1)
    return np.asarray(cv2.warpAffine(matte, turn, (900, 600)), np.uint8)


@pytest.mark.parametrize("degrees", [-12, -5, 0, 5, 12])
def test_the_line_under_the_wheels_tells_the_tilt(degrees: int) -> None:
    found = faults.wheel_line_tilt(car_matte(degrees))
    assert found is not None
    assert abs(found - degrees) < 2


@pytest.mark.parametrize("columns", [slice(810, 830), slice(70, 90)])
def test_a_mirror_that_lies_apart_has_no_feet(columns: slice) -> None:
    """Between it and the body there is nothing, least of all a lowest row."""
    matte = car_matte(5)
    matte[260:290, columns] = 255
    assert faults.wheel_line_tilt(matte) == faults.wheel_line_tilt(car_matte(5))


def test_no_tilt_is_told_without_two_feet() -> None:
    assert faults.wheel_line_tilt(np.zeros((600, 900), np.uint8)) is None
    whole = np.full((600, 900), 255, np.uint8)
    assert faults.wheel_line_tilt(whole) is None


@pytest.mark.slow
@pytest.mark.testdata
def test_no_dealer_photo_has_a_finger_or_a_seam(testdata: Path) -> None:
    photos = [path for paths in dealer_photos(testdata).values() for path in paths]
    assert len(photos) > 80
    for path in photos[::3]:
        rgb = load(path).rgb
        assert not faults.has_finger(rgb), path
        assert not faults.is_screenshot_or_collage(rgb), path

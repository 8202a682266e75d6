"""Quality and near-duplicates: on real photos where the claim is about real photos."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from okla_assets.imaging.photo.codec import decode_trusted, encode_jpeg, fit_within, resize
from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode
from okla_assets.imaging.photo.quality import (
    find_near_duplicates,
    near_duplicate,
    perceptual_hash,
    quality,
)
from okla_assets.imaging.types import Pixels


def scene(seed: int = 0, height: int = 900, width: int = 1200) -> Pixels:
    """Hard-edged blocks of many grays and sizes: sharp and well exposed."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), 120, np.uint8)
    for _ in range(400):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(10, 150, 2)
        rgb[y : y + h, x : x + w] = rng.integers(10, 245, 3)
    return rgb


def blurred(rgb: Pixels, factor: int) -> Pixels:
    height, width = rgb.shape[:2]
    return resize(resize(rgb, width // factor, height // factor), width, height)


def issues(rgb: Pixels, box: tuple[float, float, float, float] | None = None) -> tuple[str, ...]:
    return quality(rgb, rgb.shape[1], rgb.shape[0], box).issues


def test_a_good_picture_has_no_issue_and_a_high_score() -> None:
    result = quality(scene(), 1600, 1200)
    assert result.issues == ()
    assert result.score >= 90


@pytest.mark.parametrize(
    ("rgb", "issue"),
    [
        (blurred(scene(), 10), "blurred"),
        (scene() // 8, "dark"),
        (np.clip(scene().astype(np.int16) + 180, 0, 255).astype(np.uint8), "overexposed"),
        (scene() // 6 + 110, "low_contrast"),
        (scene(height=240, width=320), "low_resolution"),
    ],
)
def test_each_fault_is_named_and_caps_the_score(rgb: Pixels, issue: str) -> None:
    result = quality(rgb, rgb.shape[1], rgb.shape[0])
    assert issue in result.issues
    assert result.score < 50


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_is_flagged_but_not_for_blur(value: int) -> None:
    found = issues(np.full((600, 800, 3), value, np.uint8))
    assert "low_contrast" in found
    assert "blurred" not in found


def test_the_verdict_does_not_depend_on_resolution() -> None:
    soft = blurred(scene(height=1800, width=2400), 14)
    for side in (2400, 1600, 1024):
        assert "blurred" in quality(fit_within(soft, side), 2400, 1800).issues
        assert quality(fit_within(scene(height=1800, width=2400), side), 2400, 1800).issues == ()


def test_inside_a_box_only_the_car_counts() -> None:
    rgb = blurred(scene(), 10)
    rgb[300:600, 400:800] = scene(1)[300:600, 400:800]
    assert "blurred" in issues(rgb, (0, 0, 400, 300))
    assert "blurred" not in issues(rgb, (400, 300, 400, 300))


def test_a_car_that_is_small_on_its_photo_is_low_resolution() -> None:
    assert "low_resolution" in issues(scene(), (500, 400, 200, 100))
    assert "low_resolution" not in quality(scene(), 4800, 3600, (500, 400, 200, 100)).issues


def test_repeats_point_to_the_first_of_their_kind() -> None:
    a, b = scene(1), scene(2)
    copies = [a, b, decode_trusted(encode_jpeg(a, 40)), fit_within(b, 500), resize(a, 777, 583)]
    assert find_near_duplicates([perceptual_hash(rgb) for rgb in copies]) == [None, None, 0, 1, 0]
    assert find_near_duplicates([]) == []


def load(path: Path) -> DecodedPhoto:
    return decode(path.read_bytes(), DecodeLimits(), 2048)


def dealer_photos(testdata: Path) -> dict[str, list[Path]]:
    return {
        folder.name: [path for path in sorted(folder.iterdir()) if "mask" not in path.name]
        for folder in sorted((testdata / "dealer").iterdir())
    }


@pytest.mark.slow
@pytest.mark.testdata
def test_ordinary_dealer_photos_are_not_flagged(testdata: Path) -> None:
    counts: Counter[str] = Counter()
    photos = [path for paths in dealer_photos(testdata).values() for path in paths]
    assert len(photos) > 80
    for path in photos:
        photo = load(path)
        found = quality(photo.rgb, photo.width, photo.height).issues
        small = min(photo.width, photo.height) < 600  # those of two dealers' web pages
        assert ("low_resolution" in found) == small, path.name
        counts.update(set(found) - {"low_resolution"})
    assert counts.total() <= len(photos) // 50, counts


@pytest.mark.testdata
@pytest.mark.parametrize(
    ("name", "issue"),
    [
        ("blurred.jpg", "blurred"),
        ("very_dark.jpg", "dark"),
        ("overexposed.jpg", "overexposed"),
        ("blank_white.jpg", "overexposed"),
        ("thumb_160x120.jpg", "low_resolution"),
    ],
)
def test_bad_photos_are_flagged(testdata: Path, name: str, issue: str) -> None:
    photo = load(testdata / "bad" / name)
    assert issue in quality(photo.rgb, photo.width, photo.height).issues


@pytest.mark.slow
@pytest.mark.testdata
def test_different_photos_of_one_car_are_no_duplicates_but_a_copy_is(testdata: Path) -> None:
    bad = testdata / "bad"
    original = perceptual_hash(load(bad / "exact_duplicate_a.jpg").rgb)
    assert near_duplicate(original, perceptual_hash(load(bad / "near_duplicate_reencoded.jpg").rgb))
    for vehicle, paths in dealer_photos(testdata).items():
        hashes = [perceptual_hash(load(path).rgb) for path in paths]
        pairs = itertools.combinations(hashes, 2)
        assert not any(near_duplicate(a, b) for a, b in pairs), vehicle


@pytest.mark.testdata
def test_neighbouring_frames_of_a_turntable_are_no_duplicates(testdata: Path) -> None:
    for name in ("creta_closed", "beetle_rgba"):
        folder = testdata / "spin" / name
        frames = [path for path in sorted(folder.iterdir()) if path.stem.isdigit()]
        assert len(frames) > 20
        hashes = [perceptual_hash(load(path).rgb) for path in frames]
        assert not any(near_duplicate(a, b) for a, b in itertools.pairwise(hashes))

"""What the heads promise: consistent poses, mirrored photos mirrored, files that come back whole.

The packaged heads were trained on every photo there is here, so nothing below claims an accuracy
for them; held-out figures come from `train_views` and stand in the model card.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resources.models.base import ViewClassifier
from resources.models.tiny_vit import TinyVitViewClassifier, squash, vehicle_crop
from resources.models.view_heads import (
    ANGLES,
    BINS,
    CHANNELS,
    GRID,
    OUTPUTS,
    AngleHead,
    BadHeads,
    CategoryHead,
    PoseProbabilities,
    ViewHeads,
    decide,
    load_heads,
    packaged_heads,
    save_heads,
)


def made_heads(seed: int = 0, members: int = 2) -> ViewHeads:
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    def angle_head() -> AngleHead:
        return AngleHead(
            noise(CHANNELS, 4), noise(4), noise(GRID * GRID * 4, 8), noise(8),
            noise(8, OUTPUTS), noise(OUTPUTS),
        )  # fmt: skip

    return ViewHeads(
        CategoryHead(noise(CHANNELS, 3), noise(3)), tuple(angle_head() for _ in range(members))
    )


def probabilities_at(azimuth_bin: int, angle: str, left: float) -> PoseProbabilities:
    azimuth = np.full((1, BINS), 0.01, np.float32)
    azimuth[0, azimuth_bin] = 1 - 0.01 * (BINS - 1)
    names = np.full((1, len(ANGLES)), 0.05, np.float32)
    names[0, ANGLES.index(angle)] = 0.8
    return PoseProbabilities(azimuth, names, np.array([[left, 1 - left]], np.float32))


@pytest.mark.parametrize(
    ("azimuth_bin", "angle", "left", "side", "low", "high"),
    [
        (0, "front", 0.5, None, -5, 5),
        (2, "front-quarter", 0.95, "left", 40, 50),
        (14, "front-quarter", 0.05, "right", -50, -40),
        (4, "side", 0.9, "left", 85, 95),
        (12, "side", 0.1, "right", -95, -85),
        (6, "rear-quarter", 0.9, "left", 130, 140),
        (8, "rear", 0.5, None, 175, 185),
        (1, "front", 0.99, "left", 10, 22.5),  # clearly turned
        (15, "front", 0.01, "right", -22.5, -10),
    ],
)
def test_pose_names_the_side_the_nose_points_to(
    azimuth_bin: int, angle: str, left: float, side: str | None, low: float, high: float
) -> None:
    (pose,) = decide(probabilities_at(azimuth_bin, angle, left))
    assert (pose.angle, pose.side) == (angle, side)
    middle, half = (low + high) / 2, (high - low) / 2
    assert abs((pose.azimuth_deg - middle + 180) % 360 - 180) <= half + 0.01


def test_pose_is_consistent_whatever_the_probabilities() -> None:
    rng = np.random.default_rng(3)
    many = PoseProbabilities(
        *(rng.dirichlet(np.full(n, 0.3), 500).astype(np.float32) for n in (BINS, len(ANGLES), 2))
    )
    ranges = dict(
        zip(ANGLES, [(0, 22.5), (10, 80), (67.5, 112.5), (100, 170), (157.5, 180)], strict=True)
    )
    for pose in decide(many):
        assert 0 <= pose.azimuth_deg < 360
        turned = min(pose.azimuth_deg, 360 - pose.azimuth_deg)
        low, high = ranges[pose.angle]
        assert low - 0.01 <= turned <= high + 0.01
        if pose.side is not None:
            assert (pose.side == "left") == (pose.azimuth_deg < 180)
        assert pose.side is not None or pose.angle in ("front", "rear")


def test_mirrored_odds_turn_the_circle_round() -> None:
    (pose,) = decide(probabilities_at(3, "front-quarter", 0.9).mirrored())
    assert pose.side == "right"
    assert pose.azimuth_deg == pytest.approx(292.5, abs=5)


def test_saved_heads_come_back(tmp_path: Path) -> None:
    heads = made_heads()
    saved = save_heads(heads, tmp_path / "new" / "views.safetensors")
    loaded = load_heads(tmp_path / "new" / "views.safetensors")
    assert loaded.digest == saved.digest
    grids = np.random.default_rng(1).normal(0, 1, (5, GRID, GRID, CHANNELS)).astype(np.float32)
    np.testing.assert_allclose(
        loaded.angle_probabilities(grids).angle, heads.angle_probabilities(grids).angle, atol=0.01
    )
    means = grids.mean(axis=(1, 2))
    np.testing.assert_allclose(
        loaded.category.probabilities(means), heads.category.probabilities(means), atol=0.01
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["views.safetensors"]


def test_replaced_heads_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "views.safetensors"
    save_heads(made_heads(0), path)
    before = load_heads(path).digest
    save_heads(made_heads(1, members=1), path)
    assert load_heads(path).digest != before


def test_missing_and_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadHeads, match=r"none\.safetensors"):
        load_heads(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not a tensor in sight")
    with pytest.raises(BadHeads, match=r"text\.safetensors"):
        load_heads(tmp_path / "text.safetensors")
    good = made_heads()
    other = replace(good, category=CategoryHead(np.zeros((7, 3), np.float32), good.category.bias))
    save_heads(other, tmp_path / "other.safetensors")
    with pytest.raises(BadHeads, match=r"other\.safetensors"):
        load_heads(tmp_path / "other.safetensors")


def test_packaged_heads_load_and_are_small() -> None:
    heads = load_heads(packaged_heads())
    assert heads.angles
    assert packaged_heads().stat().st_size < 1_000_000
    assert (packaged_heads().parent / "MODEL_CARD.md").is_file()


def test_crop_takes_the_box_and_a_margin() -> None:
    photo = np.zeros((200, 400, 3), np.uint8)
    photo[50:150, 100:300] = (200, 10, 10)
    crop = vehicle_crop(photo, (100.0, 50.0, 200.0, 100.0))
    assert crop.shape == (224, 224, 3)
    assert crop[112, 112].tolist() == [200, 10, 10]
    assert crop[112, 2].tolist() == [0, 0, 0]
    assert crop[112, 20].tolist() == [200, 10, 10]


@pytest.mark.parametrize("box", [(-50.0, -50.0, 900.0, 900.0), (399.5, 199.5, 5.0, 5.0)])
def test_crop_survives_boxes_over_the_edge(box: tuple[float, float, float, float]) -> None:
    photo = np.full((200, 400, 3), 90, np.uint8)
    assert (vehicle_crop(photo, box) == 90).all()
    assert squash(photo).shape == (224, 224, 3)


def exteriors(testdata: Path) -> list[Path]:
    folders = sorted(path for path in (testdata / "dealer").iterdir() if path.is_dir())
    return [path for folder in folders for path in sorted(folder.glob("exterior*.jpg"))]


@pytest.mark.weights
@pytest.mark.testdata
def test_mirrored_photo_shows_the_other_side(testdata: Path) -> None:
    from PIL import Image

    classifier: ViewClassifier = TinyVitViewClassifier()
    photos = []
    for path in exteriors(testdata)[:6]:
        with Image.open(path) as file:
            photos.append(np.asarray(file.convert("RGB").resize((640, 480))))
    assert photos
    box = (40.0, 80.0, 560.0, 360.0)
    mirrored_box = (640.0 - 40.0 - 560.0, 80.0, 560.0, 360.0)
    views = classifier.classify(photos, [box] * len(photos))
    mirrored = classifier.classify(
        [np.ascontiguousarray(photo[:, ::-1]) for photo in photos], [mirrored_box] * len(photos)
    )
    other = {"left": "right", "right": "left", None: None}
    for view, flipped in zip(views, mirrored, strict=True):
        assert view.category == flipped.category == "exterior"
        assert flipped.side == other[view.side]
        assert flipped.angle == view.angle
        assert view.azimuth_deg is not None
        assert flipped.azimuth_deg is not None
        gap = (view.azimuth_deg + flipped.azimuth_deg + 180) % 360 - 180
        assert abs(gap) < 1.0
    assert any(view.side for view in views)


@pytest.mark.weights
@pytest.mark.testdata
def test_angle_needs_an_exterior_and_a_box(testdata: Path) -> None:
    from PIL import Image

    with Image.open(exteriors(testdata)[0]) as file:
        photo = np.asarray(file.convert("RGB"))
    (view,) = TinyVitViewClassifier().classify([photo], [None])
    assert view.category == "exterior"
    assert (view.angle, view.side, view.azimuth_deg) == (None, None, None)


@pytest.mark.weights
def test_fingerprint_changes_with_the_heads(tmp_path: Path) -> None:
    save_heads(made_heads(), tmp_path / "mine.safetensors")
    packaged = TinyVitViewClassifier()
    mine = TinyVitViewClassifier(heads=str(tmp_path / "mine.safetensors"))
    assert packaged.fingerprint() == TinyVitViewClassifier(threads=1).fingerprint()
    assert mine.fingerprint() != packaged.fingerprint()

"""CLIP, a fine-tuned ViT and the mean of two: prompts, labels, probabilities.

The networks are random: nothing here claims that they know a car from a cabin."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.types import Rgb
from okla_assets.training.calibrate import calibrate_clip
from okla_assets.training.labels import LabelError
from resources.errors import BadInput, BrokenSetup
from resources.models.base import ViewClassifier
from resources.models.clip_views import (
    ClipViews,
    MeanViews,
    boxed_square,
    load_prompts,
    packaged_prompts,
)
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.view_heads import ANGLES, CATEGORIES, SIDES, decide, softmax
from resources.models.view_probabilities import (
    ViewProbabilities,
    pose_probabilities,
)
from resources.models.vit_views import VitViews, _category, _pose, meanings_of
from tests.networks import write_clip
from tests.torch_here import torch_or_skip


def noise(seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (120, 200, 3), np.uint8)


def one_hot(names: tuple[str, ...], name: str, sure: float = 0.9) -> np.ndarray:
    probabilities = np.full(len(names), (1 - sure) / (len(names) - 1), np.float32)
    probabilities[names.index(name)] = sure
    return probabilities


def test_they_fill_their_role() -> None:
    for model in (ClipViews(), MeanViews(), VitViews(weights="folder")):
        assert isinstance(model, ViewClassifier)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("side", SIDES)
def test_odds_of_angle_and_side_give_a_pose_that_agrees_with_both(angle: str, side: str) -> None:
    probabilities = pose_probabilities(one_hot(ANGLES, angle)[None], one_hot(SIDES, side)[None])
    assert probabilities.azimuth.sum() == pytest.approx(1.0, abs=1e-5)
    (pose,) = decide(probabilities)
    assert pose.angle == angle
    if angle not in ("front", "rear"):
        assert pose.side == side
        assert (pose.azimuth_deg < 180) == (side == "left")


def test_only_an_exterior_with_a_box_has_an_angle() -> None:
    pose = pose_probabilities(one_hot(ANGLES, "side")[None], one_hot(SIDES, "left")[None])
    exterior = ViewProbabilities(one_hot(CATEGORIES, "exterior"), pose).view()
    assert (exterior.category, exterior.angle, exterior.side) == ("exterior", "side", "left")
    assert ViewProbabilities(one_hot(CATEGORIES, "interior"), pose).view().angle is None
    assert ViewProbabilities(one_hot(CATEGORIES, "exterior"), None).view().angle is None


def test_the_packaged_prompts_name_every_class() -> None:
    prompts = load_prompts(packaged_prompts())
    assert set(prompts.sentences["category"]) == set(CATEGORIES)
    assert set(prompts.sentences["angle"]) == set(ANGLES)
    assert (
        "a photo of a car's dashboard and steering wheel."
        in (prompts.sentences["category"]["interior"])
    )


def test_prompts_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf" + packaged_prompts().read_bytes())
    mine = load_prompts(tmp_path / "mine.toml")
    assert mine.sentences == load_prompts(packaged_prompts()).sentences


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[side]", "[sides]", r"\[side\] must have exactly left, right"),
        ("misc = [", "other = [", r"\[category\] must have exactly exterior, interior, misc"),
        ("category = 1.0", "category = 0", r"\[temperature\] category must be a number above 0"),
        ("{}.", "it.", "templates must be sentences"),
        ("[angle]", "[angle", "cannot be read as prompts"),
    ],
)
def test_prompts_that_cannot_be_used_are_named(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = packaged_prompts().read_text()
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=said):
        load_prompts(tmp_path / "mine.toml")


def labelled(folder: Path, count: int) -> Path:
    """A table of so many photos of noise, labelled by chance; every other one has an angle."""
    rng = np.random.default_rng(0)
    rows = ["file,category,angle,side,azimuth_deg,vehicle_id,mask,box"]
    for n in range(count):
        Image.fromarray(noise(n)).save(folder / f"{n}.png")
        angle = f"{rng.choice(ANGLES)},{rng.choice(SIDES)}" if n % 2 else ","
        category = "exterior" if n % 2 else rng.choice(CATEGORIES)
        rows.append(f'{n}.png,{category},{angle},,car{n % 7},,"20,10,150,90"')
    table = folder / "labels.csv"
    table.write_text("\n".join(rows))
    return table


def test_clip_is_calibrated_on_labelled_photos(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    folder = str(write_clip(tmp_path / "clip"))
    clip, out = ClipViews(weights=folder, device="cpu"), tmp_path / "new" / "mine.toml"
    fits = {fit.task: fit for fit in calibrate_clip([labelled(tmp_path, 60)], clip, out)}
    assert [fits[task].photos for task in ("category", "angle", "side")] == [60, 30, 30]
    assert fits["category"].nll < fits["category"].nll_before
    assert fits["angle"].temperature == 1.0  # of 30 photos nothing is concluded
    kept, ours = load_prompts(out), load_prompts(packaged_prompts())
    assert kept.sentences == ours.sentences
    assert kept.temperature == {task: fit.temperature for task, fit in fits.items()}
    again = ClipViews(weights=folder, device="cpu", prompts=str(out))
    (logits,), (probabilities,) = (
        clip.logits([noise()], [None]),
        again.probabilities([noise()], [None]),
    )
    calm = softmax(logits.category / np.float32(fits["category"].temperature))
    np.testing.assert_allclose(probabilities.category, calm, atol=1e-6)
    # From the file it wrote it comes to the same.
    assert calibrate_clip([tmp_path / "labels.csv"], again, out) == list(fits.values())


def test_too_few_labels_are_refused(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    clip = ClipViews(weights=str(write_clip(tmp_path / "clip")), device="cpu")
    with pytest.raises(LabelError, match="of 10 photos 10 have a label for category, 5 have"):
        calibrate_clip([labelled(tmp_path, 10)], clip, tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_nothing_of_a_photo_is_cut_off_or_distorted() -> None:
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[:, :3] = photo[:, -3:] = (255, 0, 0)
    square = boxed_square(photo, None, 96)
    assert square.shape == (96, 96, 3)
    assert square[48, 0, 0] > 200
    assert square[48, -1, 0] > 200
    assert (square[:30] == 114).all()
    assert (square[70:] == 114).all()


def test_clip_is_asked_about_the_photo_its_vehicle_and_its_mirror(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    clip = ClipViews(weights=str(write_clip(tmp_path)), device="cpu", batch=2)
    box = (20.0, 10.0, 150.0, 90.0)
    mirrored_box = (200 - 20.0 - 150.0, 10.0, 150.0, 90.0)
    photo, other = noise(), noise(1)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    first, second, third = clip.probabilities([photo, other, mirrored], [box, None, mirrored_box])
    assert second.pose is None
    assert first.pose is not None
    assert third.pose is not None
    for probabilities in (first, second, third):
        assert probabilities.category.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(third.pose.side, first.pose.side[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(third.pose.angle, first.pose.angle, atol=1e-4)
    with pytest.raises(ValueError, match="lies outside the photo"):
        clip.classify([photo, other], [None, (900.0, 900.0, 5.0, 5.0)])


def test_what_clip_says_follows_the_prompts(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    text = packaged_prompts().read_text()
    swapped = text.replace("exterior = [", "X = [").replace("interior = [", "exterior = [")
    (tmp_path / "swapped.toml").write_text(swapped.replace("X = [", "interior = ["))
    folder = str(write_clip(tmp_path / "clip"))
    plain = ClipViews(weights=folder, device="cpu")
    other = ClipViews(weights=folder, device="cpu", prompts=str(tmp_path / "swapped.toml"))
    assert plain.fingerprint() != other.fingerprint()
    (one,), (two,) = plain.probabilities([noise()], [None]), other.probabilities([noise()], [None])
    np.testing.assert_allclose(one.category[[1, 0, 2]], two.category, atol=1e-5)


def test_clip_without_its_tokenizer_says_what_to_copy(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    folder = write_clip(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    with pytest.raises(BrokenSetup, match=r"holds no tokenizer; copy tokenizer\.json"):
        ClipViews(weights=str(folder), device="cpu").classify([noise()], [None])


@pytest.mark.weights
def test_the_mean_lies_between_both(tmp_path: Path, weights: object) -> None:
    torch_or_skip("transformers")
    clip = ClipViews(weights=str(write_clip(tmp_path)), device="cpu")
    box = (20.0, 10.0, 150.0, 90.0)
    (ours,) = TinyVitViewClassifier().probabilities([noise()], [box])
    (theirs,) = clip.probabilities([noise()], [box])
    (view,) = MeanViews(clip=clip, clip_share=0.25).classify([noise()], [box])
    mean = 0.25 * theirs.category + 0.75 * ours.category
    assert view.category == CATEGORIES[int(mean.argmax())]
    assert view.category_confidence == pytest.approx(float(mean.max()), abs=1e-5)
    (alone,) = MeanViews(clip=clip, clip_share=0.0).classify([noise()], [box])
    (heads,) = TinyVitViewClassifier().classify([noise()], [box])
    assert replace(alone, category_confidence=0) == replace(heads, category_confidence=0)


def test_labels_of_a_fine_tuned_network_are_understood() -> None:
    labels = {"0": "Interior", "1": "misc", "2": "exterior front", "3": "rear_quarter_left"}
    meanings = meanings_of(labels, "here")
    assert meanings == [
        ("interior", None, None),
        ("misc", None, None),
        ("exterior", "front", None),
        ("exterior", "rear-quarter", "left"),
    ]
    probabilities = np.array([0.1, 0.1, 0.2, 0.6], np.float32)
    assert _category(probabilities, meanings).tolist() == pytest.approx([0.8, 0.1, 0.1])
    pose = _pose(probabilities, meanings)
    assert pose is not None
    assert pose.angle[0].tolist() == pytest.approx([0.25, 0, 0, 0.75, 0])
    assert pose.side[0].tolist() == pytest.approx([0.875, 0.125])
    assert _pose(np.array([0.5, 0.5], np.float32), meanings[:2]) is None
    with pytest.raises(BrokenSetup, match="the label 'LABEL_0' is neither"):
        meanings_of({"0": "LABEL_0"}, "here")
    with pytest.raises(BrokenSetup, match="no id2label"):
        meanings_of(None, "here")


def test_a_fine_tuned_vit_is_read_from_its_folder(tmp_path: Path) -> None:
    torch = torch_or_skip("transformers")
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8,
        id2label=dict(enumerate(["interior", "misc", "front", "side left", "side right"])),
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    vit = VitViews(weights=str(tmp_path), device="cpu")
    first, second = vit.probabilities([noise(), noise(1)], [(20.0, 10.0, 150.0, 90.0), None])
    assert first.pose is not None
    assert second.pose is None
    assert first.pose.angle.sum() == pytest.approx(1.0, abs=1e-5)
    assert first.category.sum() == pytest.approx(1.0, abs=1e-5)
    assert vit.classify([noise()], [None])[0].category in CATEGORIES

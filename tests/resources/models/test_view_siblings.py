"""CLIP, a fine-tuned ViT and the mean of two: prompts, labels, probabilities.

The networks are random: nothing here claims that they know a car from a cabin."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from okla_assets.imaging.types import Rgb
from okla_assets.training.calibrate import calibrate_clip
from okla_assets.training.labels import LabelError
from resources.errors import BadInput, BrokenSetup
from resources.models.base import ViewClassifier
from resources.models.classifier_views import ClassifierViews, _category, _pose, meanings_of
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
from tests.networks import SAM2_SMALLEST, write_clip, write_sam2
from tests.torch_here import torch_or_skip


def noise(seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (120, 200, 3), np.uint8)


def one_hot(names: tuple[str, ...], name: str, sure: float = 0.9) -> np.ndarray:
    probabilities = np.full(len(names), (1 - sure) / (len(names) - 1), np.float32)
    probabilities[names.index(name)] = sure
    return probabilities


def test_they_fill_their_role() -> None:
    for model in (ClipViews(), MeanViews(), ClassifierViews(weights="folder")):
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


SMALL: dict[str, dict[str, Any]] = {
    "ViT": {
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "image_size": 32, "patch_size": 8,
    },
    "EfficientNet": {
        "width_coefficient": 0.25, "depth_coefficient": 0.25, "image_size": 32, "hidden_dim": 320,
    },
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
}  # fmt: skip
"""Networks of transformers at their smallest."""


def write_classifier(folder: Path, kind: str, labels: tuple[str, ...]) -> Path:
    """A classifier with random weights, and the processor of its own kind."""
    torch = torch_or_skip("transformers", "torchvision")
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SMALL[kind], id2label=dict(enumerate(labels)))
    getattr(transformers, f"{kind}ForImageClassification")(config).save_pretrained(folder)
    size = {"shortest_edge": 32} if kind in ("ResNet", "ConvNext") else {"height": 32, "width": 32}
    processor = {"ResNet": "ConvNext"}.get(kind, kind)
    getattr(transformers, f"{processor}ImageProcessor")(size=size).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", SMALL)
def test_a_classifier_sees_what_its_own_processor_would_show_it(kind: str, tmp_path: Path) -> None:
    labels = ("interior", "misc", "front", "side left", "side right")
    folder = write_classifier(tmp_path, kind, labels)
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    views = ClassifierViews(weights=str(folder), device="cpu")
    square = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    # Cut at the edges, it would no longer be the picture that is compared.
    processor = AutoImageProcessor.from_pretrained(folder, crop_pct=1.0, do_center_crop=False)
    shown = processor(images=square, return_tensors="pt", do_resize=False)
    network = AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        theirs = network(**shown).logits.softmax(-1)[0].numpy()
    ours = views.probabilities([square], [None])[0].category
    np.testing.assert_allclose(ours, [theirs[2:].sum(), theirs[0], theirs[1]], atol=1e-5)

    first, second = views.probabilities([noise(), noise(1)], [(20.0, 10.0, 150.0, 90.0), None])
    assert first.pose is not None
    assert second.pose is None
    assert first.pose.angle.sum() == pytest.approx(1.0, abs=1e-5)
    assert views.classify([noise()], [None])[0].category in CATEGORIES


def test_a_folder_that_is_no_classifier_or_lacks_its_processor_is_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "vit", "ViT", ("interior", "front"))
    from safetensors.torch import load_file, save_file

    views = ClassifierViews(weights=str(folder), device="cpu")
    settings = folder / "preprocessor_config.json"
    settings.write_text('{"size": {"height": 32, "width": 32}}')
    with pytest.raises(BrokenSetup, match="does not say size, image_mean and image_std"):
        views.classify([noise()], [None])
    settings.unlink()
    with pytest.raises(BrokenSetup, match=r"holds no preprocessor_config\.json.*copy it"):
        views.classify([noise()], [None])
    write_classifier(folder, "ViT", ("interior", "front"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BrokenSetup, match=r"are not in it, classifier\.weight"):
        views.classify([noise()], [None])
    write_sam2(tmp_path / "sam2", SAM2_SMALLEST)
    with pytest.raises(BrokenSetup, match="of a model 'sam2'; looked for an image classifier"):
        ClassifierViews(weights=str(tmp_path / "sam2")).fingerprint()

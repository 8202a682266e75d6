"""SAM 2 on torch answers as it does on ONNX Runtime; the rest is shown on random weights."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.models.base import Segmenter, Subject, TurnSegmenter
from resources.models.fused_matte import FusedMatte, crop_of
from resources.models.main_vehicle import find_main_vehicle
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.sam2_torch import KINDS, Sam2Torch, _Sam2, at_size
from resources.models.sam2_video import Sam2VideoTorch
from resources.models.torch_models import checkpoint, resolve_device
from resources.models.u2net_onnx import U2NetOnnx
from tests import networks
from tests.conftest import REPOSITORY
from tests.torch_here import torch_or_skip


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAM 2 at its smallest, with random weights."""
    torch_or_skip("transformers")
    return networks.write_sam2(tmp_path_factory.mktemp("sam2"), networks.SAM2_SMALLEST)


def noise(height: int, width: int, seed: int = 0) -> Rgb:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_it_fills_its_roles() -> None:
    assert isinstance(Sam2Torch(), Segmenter)
    assert isinstance(Sam2Torch(), TurnSegmenter)
    assert isinstance(Sam2VideoTorch(), TurnSegmenter)


def test_pictures_reach_the_encoder_as_through_transformers_own_processor(smallest: Path) -> None:
    torch = torch_or_skip("transformers", "torchvision")
    from transformers import Sam2ImageProcessor

    from resources.models.inputs import MEAN, STD
    from resources.models.torch_models import normalised

    picture = noise(1024, 1024)
    theirs = Sam2ImageProcessor()(picture, return_tensors="pt")["pixel_values"]
    ours = normalised(torch.from_numpy(picture)[None], MEAN.tolist(), STD.tolist())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_its_features_are_those_of_the_model_as_a_whole(smallest: Path) -> None:
    torch = torch_or_skip("transformers")
    from resources.models.inputs import MEAN, STD
    from resources.models.torch_models import normalised

    network = _Sam2(checkpoint(str(smallest), KINDS), resolve_device("cpu"))
    pictures = torch.from_numpy(noise(1024, 1024)[None])
    with torch.inference_mode():
        ours = network._features(pictures)
        pixels = normalised(pictures, MEAN.tolist(), STD.tolist())
        for mine, theirs in zip(ours, network._model.get_image_embeddings(pixels), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_a_batch_gives_what_its_photos_give_alone(smallest: Path) -> None:
    sam2 = Sam2Torch(weights=str(smallest), device="cpu", fusion=False, batch=2)
    photos = [noise(90, 120, 1), noise(200, 150, 2), noise(64, 64, 3)]
    boxes = [(20.0, 20.0, 80.0, 50.0), (10.0, 30.0, 100.0, 100.0), (5.0, 5.0, 50.0, 50.0)]
    together = sam2.segment(photos, [Subject(box) for box in boxes])
    for photo, box, cut in zip(photos, boxes, together, strict=True):
        (alone,) = sam2.segment([photo], [Subject(box)])
        assert cut.alpha.shape == photo.shape[:2]
        assert cut.agreement is None
        np.testing.assert_allclose(cut.alpha, alone.alpha, atol=1e-3)


def test_a_box_beside_its_photo_is_refused(smallest: Path) -> None:
    sam2 = Sam2Torch(weights=str(smallest), device="cpu", fusion=False)
    boxes = [(20.0, 20.0, 80.0, 50.0), (900.0, 900.0, 10.0, 10.0)]
    with pytest.raises(ValueError, match="lies outside the photo of 120x90"):
        sam2.segment([noise(90, 120)] * 2, [Subject(box) for box in boxes])


@pytest.mark.weights
def test_the_fingerprint_says_what_decides_a_result(smallest: Path, weights: object) -> None:
    plain = Sam2Torch(weights=str(smallest), device="cpu")
    assert plain.fingerprint() == Sam2Torch(weights=str(smallest), device="cpu").fingerprint()
    others = [
        Sam2Torch(weights=str(smallest), device="cpu", fusion=False),
        Sam2Torch(weights=str(smallest), device="cpu", dtype="bfloat16"),
    ]
    assert len({model.fingerprint() for model in [plain, *others]}) == 3


def test_a_turn_is_tracked_from_its_key_frames(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    folder = networks.write_sam2(tmp_path, networks.SAM2_SMALLEST, "Sam2Video")
    frames = [noise(90, 120, seed) for seed in range(3)]
    boxes = [(20.0, 20.0, 80.0, 50.0)] * 3
    tracked = Sam2VideoTorch(weights=str(folder), device="cpu").tracked(frames, boxes)
    assert [logits.shape for logits in tracked] == [(256, 256)] * 3
    assert all(np.isfinite(logits).all() for logits in tracked)


def test_a_tracked_turn_is_made_anew_with_a_new_method(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sam2VideoTorch, "_checkpoint", lambda _: SimpleNamespace(digest="1"))
    monkeypatch.setattr(U2NetOnnx, "fingerprint", lambda _: "2")
    monkeypatch.setattr("resources.models.sam2_video.resolve_device", lambda *_: "cpu")
    model = Sam2VideoTorch()
    found = {model.fingerprint()}
    for method in ("FUSION", "PROPAGATION"):
        with monkeypatch.context() as patched:
            patched.setattr(f"resources.models.sam2_video.{method}", "new")
            found.add(model.fingerprint())
    assert len(found) == 3


@pytest.fixture(scope="session")
def genuine() -> Path:
    """SAM 2 hiera tiny as transformers reads it; ../shared/tools/sam2_torch makes the folder."""
    given = os.environ.get("OKLA_TEST_SAM2")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "sam2_hiera_tiny"
    if not (folder / "model.safetensors").is_file():
        pytest.skip("needs SAM 2 hiera tiny as a folder of transformers, in OKLA_TEST_SAM2")
    return folder


@pytest.mark.slow
@pytest.mark.testdata
@pytest.mark.weights
def test_it_cuts_as_the_local_profile_does(testdata: Path, weights: object, genuine: Path) -> None:
    """The same network, hiera tiny, on both engines."""
    torch_or_skip("transformers")
    from okla_assets.imaging.photo import codec

    files = sorted((testdata / "dealer").glob("*/exterior*.jpg"))[:10]
    photos = [codec.decode_trusted(path.read_bytes()) for path in files]
    found = [(photo, box) for photo in photos if (box := find_main_vehicle(photo))]
    crops = [crop_of(photo, box) for photo, box in found]
    ours = Sam2Torch(weights=str(genuine), device="cpu", batch=2)
    scores = []
    for crop, logits in zip(
        crops, ours.logits([c.pixels for c in crops], [c.box for c in crops]), strict=True
    ):
        here, there = at_size(logits, crop.pixels) > 0, Sam2Onnx().logits(crop.pixels, crop.box) > 0
        scores.append(float((here & there).sum() / (here | there).sum()))
    assert len(scores) == 10
    assert np.mean(scores) >= 0.995
    (photo, box), *_ = found
    subject = Subject(box)
    (mine,), (theirs,) = ours.segment([photo], [subject]), FusedMatte().segment([photo], [subject])
    assert np.abs(mine.alpha - theirs.alpha).mean() < 0.001
    assert mine.agreement == pytest.approx(theirs.agreement, abs=0.005)

"""How batches are fed to a GPU, and which folders of weights are refused, with what words."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from okla_assets.digests import digest_of
from okla_assets.imaging.types import Box, Rgb
from okla_assets.steps.batches import Done, PhotoWork, run_batches
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import PhotoRow
from resources.errors import BrokenSetup
from resources.models import torch_models
from resources.models.base import Subject, View
from resources.models.classifier_views import ClassifierViews
from resources.models.clip_views import ClipLogits, ClipViews
from resources.models.grounding_dino import GroundingDino
from resources.models.isnet_onnx import IsNetOnnx
from resources.models.sam2_meta import Sam2Meta
from resources.models.sam2_torch import Sam2Torch
from resources.models.sam2_video import Sam2VideoTorch
from resources.models.torch_models import checkpoint, in_batches, need, resolve_device
from resources.models.yolo_ultralytics import YoloUltralytics
from resources.storage.media_store import LocalMediaStore
from resources.weights import PickleRefused, WeightsMissing
from tests.fakes import VEHICLE, Quiet
from tests.networks import SAM2_SMALLEST, write_clip, write_sam2
from tests.torch_here import torch_or_skip

PICTURE = np.zeros((90, 120, 3), np.uint8)
BOX = (20.0, 20.0, 80.0, 50.0)


def test_a_batch_too_large_for_the_memory_is_halved_and_the_size_remembered() -> None:
    torch = torch_or_skip()
    tried: list[int] = []

    def run(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [item * 10 for item in batch]

    assert in_batches(range(10), 8, run, str) == [item * 10 for item in range(10)]
    assert tried == [8, 4, 2, 2, 2, 2, 2]


def test_a_compiled_network_sees_one_size_until_memory_is_short() -> None:
    torch = torch_or_skip()
    tried: list[list[int]] = []
    most = 8

    def run(batch: Sequence[int]) -> list[int]:
        tried.append(list(batch))
        if len(batch) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [item * 10 for item in batch]

    assert in_batches(range(5), 4, run, str, fill=True) == [0, 10, 20, 30, 40]
    assert tried == [[0, 1, 2, 3], [4, 4, 4, 4]]
    tried.clear()
    most = 2
    assert in_batches([7], 8, run, str, fill=True) == [70]
    assert [len(batch) for batch in tried] == [8, 4, 2]
    most = 0
    with pytest.raises(MemoryError, match=r"one photo .7.:"):
        in_batches([7], 8, run, str, fill=True)


def test_a_photo_too_large_alone_is_named_by_its_size() -> None:
    torch = torch_or_skip()

    def run(batch: Sequence[str]) -> list[str]:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match=r"too little memory for one photo .9000x6000 pixels"):
        in_batches(["9000x6000 pixels"] * 4, 4, run, str)


class Viewed(PhotoRow):
    category: str


def staged(
    store: LocalMediaStore,
    model: ClipViews,
    photos: Sequence[tuple[Rgb, Box | None]],
    ask: Callable[[Sequence[tuple[Rgb, Box | None]]], Sequence[View]],
) -> Done[Viewed]:
    """The photos through the loop of the steps."""

    def finish(number: int, view: View) -> tuple[Viewed, dict[str, bytes]]:
        return Viewed(number=number, category=view.category), {}

    def prepare(number: int) -> tuple[Rgb, Box | None]:
        return photos[number - 1]

    jobs = [
        PhotoWork(n, f"{n}.jpg", digest_of(n), partial(prepare, n), partial(finish, n))
        for n in range(1, len(photos) + 1)
    ]
    cache = StepCache(store, VEHICLE, "views", Viewed)
    return run_batches("Viewing", jobs, ask, [model], cache, Quiet())


def test_a_bad_photo_costs_a_torch_model_only_that_photo(
    tmp_path: Path, store: LocalMediaStore
) -> None:
    torch_or_skip("transformers")
    clip = ClipViews(weights=str(write_clip(tmp_path / "clip")), device="cpu", batch=3)
    photos: list[tuple[Rgb, Box | None]] = [(PICTURE + n, BOX) for n in range(5)]
    photos[1] = (PICTURE, (900.0, 900.0, 5.0, 5.0))
    photos[4] = (PICTURE[:0], None)

    def ask(pairs: Sequence[tuple[Rgb, Box | None]]) -> list[View]:
        return clip.classify([photo for photo, _ in pairs], [box for _, box in pairs])

    done = staged(store, clip, photos, ask)
    assert [row.number for row in done.rows] == [1, 3, 4]
    assert [failed.number for failed in done.failed] == [2, 5]
    assert "lies outside the photo of 120x90 pixels" in done.failed[0].detail


def test_a_photo_too_large_for_the_device_costs_only_itself(
    tmp_path: Path, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = torch_or_skip("transformers")
    clip = ClipViews(weights=str(write_clip(tmp_path / "clip")), device="cpu", batch=4)
    fits = ClipViews._logits

    def too_large(self: ClipViews, pairs: Sequence[tuple[Rgb, Box | None]]) -> list[ClipLogits]:
        if any(photo.shape[1] > 120 for photo, _ in pairs):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return fits(self, pairs)

    monkeypatch.setattr(ClipViews, "_logits", too_large)
    photos: list[tuple[Rgb, Box | None]] = [(PICTURE + n, BOX) for n in range(4)]
    photos[2] = (np.zeros((600, 900, 3), np.uint8), BOX)

    def ask(pairs: Sequence[tuple[Rgb, Box | None]]) -> list[View]:
        return clip.classify([photo for photo, _ in pairs], [box for _, box in pairs])

    done = staged(store, clip, photos, ask)
    assert [row.number for row in done.rows] == [1, 2, 4]
    (failed,) = done.failed
    assert failed.number == 3
    assert "too little memory for one photo (900x600 pixels)" in failed.detail


def test_what_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(BrokenSetup, match=r"no_such_network.*pip install 'okla-media\[gpu\]'"):
        need("no_such_network")


def test_a_device_that_is_not_there_is_refused() -> None:
    torch = torch_or_skip()
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert resolve_device() == resolve_device("cpu", "float32")
    with pytest.raises(BrokenSetup, match=r"device cuda: torch .* sees 0 GPUs"):
        resolve_device("cuda")
    with pytest.raises(BrokenSetup, match="no device 'gpu'"):
        resolve_device("gpu")
    with pytest.raises(BrokenSetup, match="no dtype 'int8'"):
        resolve_device("cpu", "int8")


def test_missing_and_foreign_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="no such folder"):
        checkpoint(str(tmp_path / "nowhere"), ("sam2",))
    with pytest.raises(WeightsMissing, match=r"holds no \.safetensors"):
        checkpoint(str(tmp_path), ("sam2",))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(PickleRefused, match="pickle can run any code"):
        checkpoint(str(tmp_path), ("sam2",))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsMissing, match=r"holds no config\.json"):
        checkpoint(str(tmp_path), ("sam2",))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BrokenSetup, match="no configuration of a transformers model"):
        checkpoint(str(tmp_path), ("sam2",))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(BrokenSetup, match="weights of a model 'bert'; looked for sam2 or other"):
        checkpoint(str(tmp_path), ("sam2", "other"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2"}))
    assert checkpoint(str(tmp_path), ("sam2",)).folder == tmp_path


def test_a_catalogue_name_that_was_not_pulled_says_how_to_pull_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_MODELS_DIR", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"okla models pull sam2\.1_hiera_large"):
        checkpoint("sam2.1_hiera_large", ("sam2",))


def test_a_hub_id_that_was_not_fetched_says_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the gpu extra")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match="hf download nobody/nothing"):
        checkpoint("nobody/nothing", ("sam2",))


def test_the_digest_follows_the_weights_and_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2"}))
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = checkpoint(str(tmp_path), ("sam2",)).digest
    assert checkpoint(str(tmp_path), ("sam2",)).digest == first
    (tmp_path / "model.safetensors").write_bytes(b"other")
    second = checkpoint(str(tmp_path), ("sam2",)).digest
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam2", "layers": 3}))
    assert len({first, second, checkpoint(str(tmp_path), ("sam2",)).digest}) == 3


def test_a_checkpoint_that_lacks_weights_is_never_filled_with_random_ones(tmp_path: Path) -> None:
    torch_or_skip("transformers")
    from safetensors.torch import load_file, save_file

    folder = write_sam2(tmp_path / "sam2", SAM2_SMALLEST)
    tensors = load_file(folder / "model.safetensors")
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BrokenSetup, match=r"1 weights of Sam2Model .* mask_decoder\.iou_token"):
        torch_models.from_folder(
            "Sam2Model", checkpoint(str(folder), ("sam2",)), resolve_device("cpu", "float32")
        )
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BrokenSetup, match="cannot be loaded as Sam2Model"):
        torch_models.from_folder(
            "Sam2Model", checkpoint(str(folder), ("sam2",)), resolve_device("cpu", "float32")
        )


@pytest.mark.parametrize(
    "ask",
    [
        lambda where: Sam2Torch(weights=where).segment([PICTURE], [Subject(BOX)]),
        lambda where: Sam2Torch(weights=where).fingerprint(),
        lambda where: Sam2VideoTorch(weights=where).segment_turn([PICTURE], [BOX]),
        lambda where: ClipViews(weights=where).classify([PICTURE], [BOX]),
        lambda where: ClassifierViews(weights=where).classify([PICTURE], [BOX]),
        lambda where: GroundingDino(weights=where).detect([PICTURE]),
        lambda where: YoloUltralytics(weights=f"{where}.pt").detect([PICTURE]),
        lambda where: YoloUltralytics(weights=f"{where}.onnx").detect([PICTURE]),
        lambda where: YoloUltralytics(weights=f"{where}.onnx").models(),
        lambda where: Sam2Meta(weights=f"{where}.pt").segment([PICTURE], [Subject(BOX)]),
        lambda where: IsNetOnnx(weights=f"{where}.onnx").saliency(PICTURE),
    ],
)
def test_no_model_answers_without_its_weights(ask: Callable[[str], object], tmp_path: Path) -> None:
    torch_or_skip("transformers")
    with pytest.raises(WeightsMissing, match=str(tmp_path / "nowhere")):
        ask(str(tmp_path / "nowhere"))

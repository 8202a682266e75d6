"""A real GPU that runs out of memory: SAM 2.1 large on random weights, most of the memory taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.types import Box, Rgb
from resources.models.sam2_torch import Sam2Torch
from tests import networks
from tests.torch_here import torch_or_skip

COUNT = 16
BOX: Box = (100.0, 60.0, 400.0, 300.0)


@pytest.fixture(scope="module")
def cuda() -> Any:
    """torch, where it has a GPU."""
    torch = torch_or_skip("transformers")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that runs CUDA")
    return torch


@pytest.fixture(scope="module")
def large(cuda: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gpu profile's architecture."""
    return networks.write_sam2(tmp_path_factory.mktemp("sam2"), networks.SAM2_LARGE)


def pictures() -> list[Rgb]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(COUNT)]


def logits(folder: Path, batch: int) -> npt.NDArray[np.float32]:
    sam2 = Sam2Torch(weights=str(folder), fusion=False, batch=batch)
    return np.stack(sam2.logits(pictures(), [BOX] * COUNT))


def needed(torch: Any, folder: Path, batch: int) -> int:
    """Bytes that a batch takes beside what is there already."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    logits(folder, batch)
    return int(torch.cuda.max_memory_allocated() - before)


@contextmanager
def only(torch: Any, left: int) -> Iterator[None]:
    """The device with so many bytes left, as when other processes have the rest."""
    torch.cuda.empty_cache()
    size = torch.cuda.mem_get_info()[0] - left
    ballast: list[Any] = []
    while size >= 1 << 20:
        try:
            ballast.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.cuda.OutOfMemoryError:
            size //= 2
            continue
        if left:  # else also the gaps in what this process holds already
            break
    try:
        yield
    finally:
        ballast.clear()
        torch.cuda.empty_cache()


def test_what_does_not_fit_at_once_is_done_in_smaller_batches(cuda: Any, large: Path) -> None:
    logits(large, 1)
    one, all_ = needed(cuda, large, 1), needed(cuda, large, COUNT)
    assert all_ > 4 * one
    together = logits(large, COUNT)
    before = cuda.cuda.memory_stats()["num_ooms"]
    with only(cuda, (one + all_) // 2):
        in_parts = logits(large, COUNT)
    assert cuda.cuda.memory_stats()["num_ooms"] > before
    # bfloat16 sums in another order in another batch.
    scale = np.abs(together).max()
    np.testing.assert_allclose(in_parts, together, atol=0.05 * scale)


def test_not_even_one_fits_is_said_and_passes(cuda: Any, large: Path) -> None:
    together = logits(large, 1)
    with (
        only(cuda, 0),
        pytest.raises(MemoryError, match=r"too little memory for one photo .640x480 pixels"),
    ):
        logits(large, COUNT)
    np.testing.assert_array_equal(logits(large, 1), together)

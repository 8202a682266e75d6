"""EasyOCR's network as reader, against EasyOCR's own reading, with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets.imaging.types import Rgb
from resources.errors import BrokenSetup
from resources.models.base import TextReader
from resources.models.easyocr_reader import CHANNELS, EasyOcrReader
from resources.weights import WeightsMissing
from tests.torch_here import torch_or_skip


def strip(seed: int, width: int) -> Rgb:
    small = np.random.default_rng(seed).integers(0, 256, (6, width // 8, 3), np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


def write_recogniser(path: Path) -> Any:
    """english_g2 with random weights, saved as EasyOCR's own are; and its alphabet."""
    torch = torch_or_skip("torchvision", "easyocr")
    from easyocr.config import recognition_models
    from easyocr.model.vgg_model import Model

    characters = recognition_models["gen2"]["english_g2"]["characters"]
    torch.manual_seed(1)
    network = Model(num_class=len(characters) + 1, **CHANNELS)
    # Random, it answers the same class everywhere; louder, it reads.
    network.Prediction.weight.data *= 40
    torch.save({f"module.{n}": t for n, t in network.state_dict().items()}, path)
    return characters


def test_it_fills_its_role() -> None:
    assert isinstance(EasyOcrReader(weights="english_g2.pth"), TextReader)


@pytest.mark.filterwarnings("ignore")  # of EasyOCR
def test_it_reads_what_easyocr_reads(tmp_path: Path) -> None:
    path = tmp_path / "english_g2.pth"
    characters = write_recogniser(path)
    import cv2
    from easyocr.recognition import get_recognizer, get_text
    from safetensors.torch import save_file

    recogniser, converter = get_recognizer(
        "generation2", CHANNELS, characters, {}, {}, str(path), quantize=False
    )
    strips = [strip(1, 160), strip(2, 320)]
    reader = EasyOcrReader(weights=str(path), device="cpu")
    read = reader.read(strips)
    for line, (text, _) in zip(strips, read, strict=True):
        grey = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY)
        width = -(-64 * grey.shape[1] // grey.shape[0])
        ((_, theirs, _),) = get_text(
            characters, 64, width, recogniser, converter, [((0, 0), grey)], workers=0,
            contrast_ths=0.0,
        )  # fmt: skip
        assert text == theirs
    assert any(text for text, _ in read)
    assert all(0 <= sure <= 1 for _, sure in read)
    save_file(recogniser.state_dict(), tmp_path / "own.safetensors")
    again = EasyOcrReader(weights=str(tmp_path / "own.safetensors"), device="cpu")
    assert again.read(strips) == read
    assert again.fingerprint() != reader.fingerprint()


def test_missing_and_wrong_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "english_g2.pth"
    write_recogniser(path)
    with pytest.raises(BrokenSetup, match="EasyOCR has no model 'klingon'; it has: english_g2"):
        EasyOcrReader(weights=str(path), model="klingon").read([strip(1, 160)])
    with pytest.raises(BrokenSetup, match=r"english_g2\.pth: does not hold this network's weights"):
        EasyOcrReader(weights=str(path), model="latin_g2", device="cpu").read([strip(1, 160)])
    with pytest.raises(WeightsMissing, match=r"none\.pth: there is no such file of weights"):
        EasyOcrReader(weights=str(tmp_path / "none.pth")).models()
    (tmp_path / "own.bin").write_bytes(b"")
    with pytest.raises(BrokenSetup, match=r"own\.bin: is neither a \.safetensors nor a \.pth"):
        EasyOcrReader(weights=str(tmp_path / "own.bin")).models()

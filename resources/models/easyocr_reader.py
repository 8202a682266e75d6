"""EasyOCR's reader of single lines, for owners of its weights.

Its network alone is used: lines are scaled and decoded here, and nothing is downloaded. EasyOCR
asks for opencv-python-headless, which overwrites the opencv-python of this project, so that it is
installed without what it asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np

from okla_assets.imaging.types import Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import ModelInfo
from resources.models.ppocr_onnx import greedy
from resources.models.torch_models import (
    Device,
    file_digest,
    filled,
    in_batches,
    load,
    need,
    resolve_device,
    size_of,
    tensors_file,
    to_device,
)
from resources.models.view_heads import softmax

INSTALL = (
    "pip install --no-deps easyocr==1.7.2 && pip install python-bidi pyclipper shapely scikit-image"
)
HEIGHT = 64
LONGEST = 1280  # pixels of a line
CHANNELS = {"input_channel": 1, "output_channel": 256, "hidden_size": 256}


class EasyOcrReader(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The recogniser of EasyOCR's second generation (CRNN, Shi et al. 2015; Apache-2.0).

    `weights` is the path of a model's .pth, or of its tensors as .safetensors; `model` is its name
    in EasyOCR (english_g2, latin_g2, cyrillic_g2 ...), which tells its alphabet.
    """

    weights: str
    model: str = "english_g2"
    device: str = "auto"
    batch: int = 1

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        # One by one: padded to the longest of a batch, short lines would read otherwise.
        return in_batches(strips, 1, self._read, size_of)

    def fingerprint(self) -> str:
        where = resolve_device(self.device, "float32")
        return f"easyocr:{self.model}:{file_digest(tensors_file(self.weights))}:{where}"

    def models(self) -> tuple[ModelInfo, ...]:
        path = tensors_file(self.weights)
        return (ModelInfo("text reader", path.name, file_digest(path), "Apache-2.0"),)

    def _read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        torch = need("torch")
        where, path = resolve_device(self.device, "float32"), tensors_file(self.weights)
        alphabet = self._alphabet()
        network = load(
            f"easyocr:{self.model}",
            file_digest(path),
            where,
            lambda: self._network(len(alphabet), where),
        )
        with torch.inference_mode():
            answers = [network(to_device(line_of(strip), where), None) for strip in strips]
        return [greedy(softmax(answer[0].cpu().numpy()), alphabet) for answer in answers]

    def _alphabet(self) -> list[str]:
        known = need("easyocr.config", INSTALL).recognition_models["gen2"]
        if self.model not in known:
            raise BrokenSetup(f"EasyOCR has no model {self.model!r}; it has: {', '.join(known)}")
        return ["", *known[self.model]["characters"]]

    def _network(self, classes: int, where: Device) -> Any:
        kind = need("easyocr.model.vgg_model", INSTALL).Model
        network = kind(num_class=classes, **CHANNELS)
        # They were saved from within DataParallel.
        return filled(network, tensors_file(self.weights), "module.").to(where.device)


def line_of(strip: Rgb) -> Floats:
    """A strip as the network reads it: grey, 64 pixels high, (1, 1, 64, W) in [-1, 1]."""
    import cv2
    from PIL import Image

    grey = Image.fromarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY))
    width = min(LONGEST, math.ceil(HEIGHT * grey.width / grey.height))
    scaled = np.asarray(grey.resize((width, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    return np.asarray((scaled / 255 - 0.5) / 0.5, np.float32)[None, None]

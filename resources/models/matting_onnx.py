"""Any network that answers a picture with one matte, as ONNX, by a description of what goes in and
what comes out: BiRefNet, RMBG, InSPyReNet, MODNet and their like.

| network | side | mean | std | answer |
|---|---|---|---|---|
| BiRefNet (Zheng et al. 2024, MIT) | 1024 | ImageNet's | ImageNet's | logits |
| InSPyReNet (Kim et al. 2022, MIT) | 1024 | ImageNet's | ImageNet's | matte |
| RMBG 1.4 (BRIA, not for commercial use) | 1024 | .5 | 1 | unscaled |
| MODNet (Ke et al. 2022, Apache-2.0) | 512 | .5 | .5 | matte |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from okla_assets.imaging.types import Alpha, Floats, Rgb
from resources.errors import BrokenSetup
from resources.models.base import ModelInfo
from resources.models.inputs import MEAN, STD
from resources.models.onnx import catalogue_model, engine_mark, load_session, weight_digest
from resources.models.onnx_torch import HALF
from resources.models.u2net_onnx import U2NetOnnx

Answer = Literal["matte", "logits", "unscaled"]


class MattingOnnx(U2NetOnnx):
    """`weights` is the path of an .onnx file with one picture as input.

    The picture is squashed to `side`, scaled to [0, 1], less `mean`, over `std`. `answer` tells
    what comes out: a `matte` in [0, 1], `logits` that the sigmoid makes one of, or numbers that are
    `unscaled`, of which the lowest is taken as 0 and the highest as 1. `output` is the name of the
    output, empty for the last one, which is the finest of those with several.
    """

    weights: str
    side: int = 1024
    mean: list[float] = Field(default_factory=lambda: MEAN.tolist())
    std: list[float] = Field(default_factory=lambda: STD.tolist())
    answer: Answer = "logits"
    output: str = ""

    def saliency(self, picture: Rgb) -> Alpha:
        """Probability float32 (H, W) that a pixel belongs to what the picture is about.

        Raises `BrokenSetup` where the network is not as it is described.
        """
        import cv2

        session = load_session(self.weights, self.threads, self.runs_on)
        inputs, outputs = session.get_inputs(), [port.name for port in session.get_outputs()]
        self._check(inputs[0].shape, len(inputs), outputs)
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_AREA)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels = (small.astype(np.float32) / 255 - mean) / std
        feed = {inputs[0].name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}
        if inputs[0].type == HALF:
            feed = {inputs[0].name: feed[inputs[0].name].astype(np.float16)}
        (answered,) = session.run([self.output or outputs[-1]], feed)
        matte = self._matte(np.asarray(answered, np.float32))
        full = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full.clip(0, 1), np.float32)

    def fingerprint(self) -> str:
        own = f"{self.side}:{self.mean}:{self.std}:{self.answer}:{self.output}"
        return (
            f"matting:{weight_digest(self.weights)}:{own}{engine_mark(self.weights, self.runs_on)}"
        )

    def models(self) -> tuple[ModelInfo, ...]:
        return (catalogue_model(self.weights, "matte"),)

    def _check(self, shape: Sequence[int | str], count: int, outputs: Sequence[str]) -> None:
        """A size that the file leaves open is a string there."""
        if count != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise BrokenSetup(
                f"{self.weights}: takes {count} inputs, the first of shape {list(shape)}; a "
                "matting network takes one picture, 1x3xHxW"
            )
        fixed = [size for size in shape[2:] if isinstance(size, int)]
        if any(size != self.side for size in fixed):
            raise BrokenSetup(
                f"{self.weights}: takes pictures of {fixed} pixels, not {self.side}; set side"
            )
        if self.output and self.output not in outputs:
            raise BrokenSetup(
                f"{self.weights}: has no output {self.output!r}; it has: {', '.join(outputs)}"
            )

    def _matte(self, answered: Floats) -> Floats:
        """The answer (1, 1, H, W), (1, H, W) or (H, W) as a matte (H, W)."""
        if answered.ndim < 2 or answered.size != answered.shape[-1] * answered.shape[-2]:
            raise BrokenSetup(
                f"{self.weights}: answers with {answered.shape}, which is no single matte; name "
                "another output"
            )
        flat = answered.reshape(answered.shape[-2:])
        low, high = float(flat.min()), float(flat.max())
        if self.answer == "logits":
            return np.asarray(1 / (1 + np.exp(-flat.clip(-30, 30))), np.float32)
        if self.answer == "unscaled":
            return np.asarray((flat - low) / max(high - low, 1e-6), np.float32)
        if low < -0.01 or high > 1.01:
            raise BrokenSetup(
                f"{self.weights}: answers with numbers from {low:.2f} to {high:.2f}, which are no "
                'matte; set answer = "logits" or "unscaled"'
            )
        return flat

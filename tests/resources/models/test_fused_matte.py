"""What both networks' answers come to, on drawn vehicles."""

import cv2
import numpy as np

from okla_assets.imaging.types import Floats
from resources.models.base import Matte, Subject
from resources.models.fused_matte import Crop, fused
from tests.imaging.matte.test_parts import DIFFUSER, REAR, Truth

BOX = (200.0, 200.0, 400.0, 300.0)


def of_the_rear(logits: Floats, answer: Truth) -> Matte:
    """Of a rear view whose diffuser SAM 2 leaves out until it is asked, and the other net takes."""
    logits[DIFFUSER] = -2.3
    saliency = np.where(REAR, 1, 0).astype(np.float32)
    saliency[DIFFUSER] = 0.97
    crop = Crop(np.full((*REAR.shape, 3), 128, np.uint8), BOX, 0, 0, *REAR.shape)
    return fused(crop, logits, saliency, Subject(BOX), answer)


def test_a_diffuser_that_is_found_is_no_hole_that_something_stands_in() -> None:
    matte = of_the_rear(np.where(REAR, 8, -8).astype(np.float32), Truth(DIFFUSER))
    assert (matte.alpha[DIFFUSER] > 0.5).mean() > 0.9
    assert matte.obstructed is None


def test_nor_is_it_a_second_half_where_a_seam_lies_between() -> None:
    near = cv2.dilate(DIFFUSER.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    logits = np.where(REAR, 8, -8).astype(np.float32)
    logits[near & REAR] = -0.5
    matte = of_the_rear(logits, Truth(near & (REAR | DIFFUSER)))
    assert matte.obstructed is None

"""No old background shines at the rim: known truth, the sample car's own mattes and colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets import sample
from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo import codec

MATTES = Path(sample.__file__).parent / "mattes"
PHOTOS = sample.MEDIA / "photos"
STREETS = [(220, 20, 20), (20, 200, 20), (20, 40, 220), (240, 220, 20)]
"""Strongly coloured backgrounds."""
STUDIOS = (255, 26)  # white and dark


def truth(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The car's own colours, carried on from its solid part past its edge, and its exact matte."""
    alpha = codec.decode_gray((MATTES / f"{name}.png").read_bytes()) / np.float32(255)
    photo = cv2.imread(str(PHOTOS / f"{name}.jpg"), cv2.IMREAD_COLOR)
    assert photo is not None
    photo = cv2.resize(photo, alpha.shape[::-1], interpolation=cv2.INTER_AREA)[..., ::-1]
    solid = cv2.erode((alpha > 0.98).astype(np.uint8), np.ones((5, 5), np.uint8))
    _, nearest = cv2.distanceTransformWithLabels(
        1 - solid, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour_of = np.zeros((nearest.max() + 1, 3), np.float32)
    colour_of[nearest[solid > 0]] = photo[solid > 0]
    return colour_of[nearest], alpha


@pytest.mark.parametrize("name", ["IMG_0101", "IMG_0105"])
def test_no_old_background_shines_at_the_rim(name: str) -> None:
    own, alpha = truth(name)
    share = alpha[..., None]
    edge = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((3, 3))) > 0
    ours: list[float] = []
    straight: list[float] = []
    for street in STREETS:
        photo = np.rint(share * own + (1 - share) * np.array(street, np.float32)).astype(np.uint8)
        found = cutout.foreground(photo, alpha)
        for studio in STUDIOS:
            right = share * own + (1 - share) * studio
            for colours, errors in ((found, ours), (photo, straight)):
                set_on = share * colours + (1 - share) * studio
                errors.append(float(np.abs(set_on - right)[edge].mean()))
    assert np.mean(straight) > 4
    assert np.mean(ours) <= np.mean(straight) / 3

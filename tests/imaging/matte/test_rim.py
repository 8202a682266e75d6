"""No old background shines at the rim: known truth, the sample car's own mattes and colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets import sample
from okla_assets.imaging.matte import cutout, rim
from okla_assets.imaging.photo import codec
from tests.imaging.scenes import car_alpha, photo_of

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


@pytest.mark.parametrize("street", STREETS)
def test_an_edge_two_pixels_off_is_settled_by_the_colours(street: tuple[int, int, int]) -> None:
    own, alpha = truth("IMG_0101")
    share = alpha[..., None]
    mixed = np.rint(share * own + (1 - share) * np.array(street, np.float32)).astype(np.uint8)
    photo = codec.decode_trusted(codec.encode_jpeg(mixed, 90))
    for off in (-2, 2):
        solid = cutout.dilated(alpha > 0.5, off).astype(np.float32)
        matte = cutout.smooth_edge(solid, alpha.shape[1])
        edge = np.abs(matte - alpha) > 0.02
        before = np.abs(matte - alpha)[edge].mean()
        after = np.abs(rim.settled(photo, matte) - alpha)[edge].mean()
        assert after < 0.6 * before


def test_what_differs_in_brightness_alone_settles_nothing() -> None:
    """A shadow's edge or a mirrored sky is none of the vehicle's."""
    alpha = cutout.smooth_edge((car_alpha() > 0.5).astype(np.float32), 800)
    for dark, light in ((40, 220), (200, 60)):
        grey = np.where(np.roll(alpha, 2, axis=0) > 0.5, dark, light).astype(np.uint8)
        assert (rim.settled(np.repeat(grey[..., None], 3, axis=2), alpha) == alpha).all()


def test_a_lamp_at_the_edge_is_no_background() -> None:
    """Of a third colour: neither the paint's nor the street's."""
    alpha = cutout.smooth_edge((car_alpha() > 0.5).astype(np.float32), 800)
    photo = photo_of(alpha, (90, 95, 100))
    photo[alpha < 0.5] = (230, 200, 30)
    lamp = np.zeros(alpha.shape, bool)
    lamp[320:340, 640:660] = True
    photo[lamp & (alpha > 0.5)] = (200, 20, 30)
    settled = rim.settled(photo, alpha)
    assert (settled[lamp & (alpha > 0.99)] > 0.9).all()


def test_an_empty_matte_stays_empty() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    assert not rim.settled(photo, np.zeros((60, 80), np.float32)).any()


def test_a_vehicle_without_an_edge_stays_as_it_is() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    assert rim.settled(photo, np.ones((60, 80), np.float32)).all()


def test_a_settled_edge_stays_a_line_in_grain() -> None:
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float32)
    roof = 120.4 + columns / 12
    true = (rows - roof).clip(-0.5, 0.5)[..., None] + 0.5
    grain = np.random.default_rng(0).normal(0, 12, (300, 400, 3))
    mixed = true * (60, 70, 120) + (1 - true) * (170, 150, 90) + grain
    photo = codec.decode_trusted(codec.encode_jpeg(mixed.clip(0, 255).astype(np.uint8), 85))
    matte = (rows - roof - 1.5).clip(-0.7, 0.7) / 1.4 + 0.5
    settled = rim.settled(photo, np.asarray(matte, np.float32))[:, 40:360]
    edge = 300 - settled.sum(axis=0) - 0.5
    line = np.polyval(np.polyfit(columns[0, 40:360], edge, 1), columns[0, 40:360])
    assert np.abs(edge - line).max() < 0.4
    assert np.abs(edge - roof[0, 40:360] + 0.5).mean() < 0.8  # it was 1.5 off

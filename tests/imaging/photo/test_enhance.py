import numpy as np
import pytest

from okla_assets.imaging.photo.enhance import enhance
from tests.imaging.scenes import car_alpha, photo_of


def photograph(seed: int = 0) -> np.ndarray:
    """Smooth structure over the whole range, as a well exposed photo has."""
    import cv2

    noise = np.random.default_rng(seed).normal(0.5, 1.6, (24, 32, 1))
    smooth = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    return np.asarray((smooth[..., None].repeat(3, axis=2) * 255).clip(0, 255), np.uint8)


def test_a_good_photo_is_hardly_changed() -> None:
    photo = photograph()
    assert np.abs(enhance(photo).astype(int) - photo).mean() < 12


def test_a_dark_photo_gets_lighter_but_not_day_from_night() -> None:
    dark = np.asarray(photograph() * 0.35, np.uint8)
    result = enhance(dark)
    assert result.mean() > 1.2 * dark.mean()
    assert result.mean() < 150


def test_detail_is_kept_in_order() -> None:
    """One curve a channel: what was lighter stays lighter."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(64, axis=0)
    result = enhance(ramp)[0].astype(int)
    assert (np.diff(result, axis=0) >= 0).all()


@pytest.mark.parametrize("paint", [(180, 30, 40), (20, 60, 160), (235, 235, 230), (15, 15, 15)])
def test_paint_keeps_its_hue(paint: tuple[int, int, int]) -> None:
    alpha = car_alpha()
    result = enhance(photo_of(alpha, paint), alpha)
    before, after = np.array(paint, float), result[alpha >= 1].mean(axis=0)
    before, after = before - before.mean(), after - after.mean()
    if np.abs(before).max() > 20:
        cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
        assert cosine > 0.97
    else:
        assert np.abs(after).max() < 14


def test_a_blue_floor_tells_a_blue_cast() -> None:
    alpha = car_alpha()
    grey_car = photo_of(alpha, (90, 90, 90)).astype(float)
    grey_car[alpha < 0.5] = (130, 130, 130)
    cast = np.asarray(grey_car * (0.62, 0.85, 1.3), float).clip(0, 255).astype(np.uint8)
    blueness = [
        float(p[alpha >= 1].mean(axis=0) @ (-1, 0, 1) / p[alpha >= 1].mean())
        for p in (cast, enhance(cast, alpha))
    ]
    assert blueness[0] > 0.7
    assert blueness[1] < 0.35


def test_shape_and_type_stay() -> None:
    photo = photograph()[:, :333]
    result = enhance(photo)
    assert result.shape == photo.shape
    assert result.dtype == np.uint8

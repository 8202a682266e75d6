import numpy as np
import pytest

from okla_assets.imaging.photo.codec import decode_trusted
from okla_assets.imaging.photo.contact_sheet import contact_sheet


@pytest.mark.parametrize("count", [1, 5, 36])
def test_it_fits_and_shows_every_picture(count: int) -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(count)]
    data = contact_sheet(pictures, 6000)
    assert len(data) <= 6000
    sheet = decode_trusted(data)
    assert sheet.shape[1] / sheet.shape[0] == pytest.approx(
        min(6, count) * 98 / (-(-count // 6) * 74), rel=0.1
    )


def test_gray_portraits_and_landscapes_mix() -> None:
    pictures = [np.full((300, 100), 10, np.uint8), np.full((100, 300, 3), 200, np.uint8)]
    sheet = decode_trusted(contact_sheet(pictures, 8000))
    assert sheet.min() < 40
    assert sheet.shape[0] == 74


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a picture"):
        contact_sheet([], 8000)

"""Cut-outs of dealers' photos whose mattes were drawn by hand."""

from pathlib import Path

import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.rendition import glass
from okla_assets.imaging.rendition.drawing import draw
from okla_assets.imaging.rendition.layout import box_of, lay_out
from okla_assets.imaging.rendition.shade import shade_of
from okla_assets.imaging.studio.studio import as_alpha
from okla_assets.imaging.types import Alpha, Rgb

PHOTOS = ("alv_bmw2017/exterior6.jpg", "alv_hondacrv2023/exterior8.jpg")


@pytest.fixture(params=PHOTOS)
def car(request: pytest.FixtureRequest, testdata: Path) -> tuple[Rgb, Alpha]:
    photo = testdata / "dealer" / request.param
    if not photo.exists():
        pytest.skip(f"needs {request.param} among the private photos")
    matte = codec.decode_gray(photo.with_name(f"{photo.stem}_mask.png").read_bytes())
    return codec.decode_trusted(photo.read_bytes()), as_alpha(matte)


def test_nothing_but_panes_is_seen_through(car: tuple[Rgb, Alpha]) -> None:
    photo, alpha = car
    box = box_of(alpha)
    assert box is not None
    layout = lay_out((photo.shape[1], photo.shape[0]), box)
    seen = glass.seen_through(photo, alpha, photo.shape[1])
    drawn = draw(photo, alpha, layout, 1.0, glass=seen)
    lost = (alpha - drawn.picture[..., 3] / np.float32(255)) * (alpha > 0.95)
    belt = round(box[1] + 0.5 * box[3])
    assert lost[belt:].max() < 0.01
    assert (lost > 0.05).sum() < 0.15 * (alpha > 0.5).sum()


def test_the_car_stands_on_its_shadow(car: tuple[Rgb, Alpha]) -> None:
    photo, alpha = car
    shade = shade_of(alpha, photo.shape[1], "car", 1.0)
    box = box_of(alpha)
    assert shade is not None and box is not None
    layer = shade.on(lay_out((photo.shape[1], photo.shape[0]), box))
    # Right below the lowest of the car, where a tyre stands or a bumper hangs, it is dark.
    rows = np.where(alpha > 0.5, np.arange(alpha.shape[0])[:, None], 0).max(axis=0)
    column = int(rows.argmax())
    below = layer[rows[column] + 2 : rows[column] + 8, column]
    assert below.size and below.max() > 0.3
    # Over the roof there is none.
    assert layer[: round(box[1] + 0.3 * box[3])].max() < 0.05

"""HEIC as phones and cameras write it: the main picture among gain maps, depth and bursts."""

from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode
from tests import colours, heif_boxes
from tests.imaging.photo.test_colour import JUST_NOTICEABLE, colourful
from tests.imaging.photo.test_decode import display_p3
from tests.imaging.scenes import off_by, picture


def read(data: bytes) -> DecodedPhoto:
    return decode(data, DecodeLimits(), 2016)


@pytest.mark.parametrize("kind", [heif_boxes.GAIN_MAP, heif_boxes.DEPTH])
@pytest.mark.parametrize("size", [(160, 120), (640, 480)])
def test_a_gain_map_or_depth_image_is_not_the_photo(kind: bytes, size: tuple[int, int]) -> None:
    other = Image.new("RGB", size, (200, 200, 200))
    data = heif_boxes.with_auxiliary(Image.fromarray(picture()), other, kind)
    file = pillow_heif.open_heif(BytesIO(data))
    assert len(file) == 1
    assert file.info["aux"] or file.info["depth_images"]
    photo = read(data)
    assert (photo.width, photo.height) == (320, 240)
    assert off_by(photo.rgb, picture()) < 4
    assert photo.notes == ()


@pytest.mark.parametrize("primary", [0, 2])
@pytest.mark.parametrize("deep", [False, True])
def test_of_several_pictures_the_primary_is_taken(primary: int, deep: bool) -> None:
    if deep:
        rgb = colours.coded(picture(), "bt2020", "hlg")
        main = pillow_heif.from_bytes("RGB;16", (320, 240), rgb.tobytes())
        options = colours.nclx("bt2020", "hlg")
    else:
        main, options = pillow_heif.from_pillow(Image.fromarray(picture())), {}
    others = [pillow_heif.from_pillow(Image.new("RGB", (320, 240), c)) for c in ("red", "blue")]
    file, *more = [main, *others] if primary == 0 else [*others, main]
    for other in more:
        file.add_from_heif(other[0])
    out = BytesIO()
    file.save(out, quality=92, primary_index=primary, **options)
    photo = read(out.getvalue())
    assert off_by(photo.rgb, picture()) < 5


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_what_cameras_call_hif(chroma: str, brand: bytes) -> None:
    truth = colourful()
    deep = colours.coded(truth, "bt2020", "pq")
    data = colours.heic(deep, "bt2020", "pq", chroma=chroma)
    photo = read(data[:8] + brand + data[12:])
    assert photo.format == "HEIF"
    assert colours.delta_e(photo.rgb, truth) < JUST_NOTICEABLE


def test_a_profile_in_a_heic_is_applied() -> None:
    out = BytesIO()
    image = Image.new("RGB", (128, 128), (200, 100, 50))
    pillow_heif.from_pillow(image).save(out, quality=100, icc_profile=display_p3())
    photo = read(out.getvalue())
    assert photo.notes == ("icc_converted",)
    assert np.abs(photo.rgb[64, 64].astype(int) - (215, 93, 31)).max() <= 4

import warnings
from io import BytesIO

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from okla_assets.imaging.photo.decode import DecodeLimits, decode
from okla_assets.imaging.photo.lens import focal_length


def photo(told: dict[str, int], size: tuple[int, int] = (400, 300)) -> bytes:
    exif = Image.Exif()
    camera = exif.get_ifd(IFD.Exif)
    for name, value in told.items():
        camera[getattr(Base, name)] = value
    file = BytesIO()
    Image.new("RGB", size, "grey").save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_a_phones_lens_is_known() -> None:
    decoded = decode(photo({"FocalLengthIn35mmFilm": 26}), DecodeLimits(), 200)
    assert decoded.focal == pytest.approx(26 / 43.27)


def test_a_photo_turned_after_it_was_taken_keeps_its_lens() -> None:
    told = {"FocalLengthIn35mmFilm": 52, "ExifImageWidth": 4000, "ExifImageHeight": 3000}
    assert decode(photo(told, (300, 400)), DecodeLimits(), 200).focal is not None


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"FocalLengthIn35mmFilm": 0},
        {"FocalLengthIn35mmFilm": 4},
        {"FocalLengthIn35mmFilm": 26, "ExifImageWidth": 4000, "ExifImageHeight": 2250},
    ],
)
def test_no_lens_nonsense_and_a_cropped_photo_tell_nothing(told: dict[str, int]) -> None:
    assert decode(photo(told), DecodeLimits(), 200).focal is None


def test_broken_exif_tells_nothing() -> None:
    file = BytesIO()
    broken = b"Exif\0\0MM\0*\0\0\xff\xff" + bytes(20)
    Image.new("RGB", (400, 300)).save(file, "JPEG", exif=broken)
    with warnings.catch_warnings(action="ignore"):  # Pillow's, of the EXIF
        assert focal_length(Image.open(file)) is None

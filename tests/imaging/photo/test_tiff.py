"""The photo in a TIFF, which need not be its first page; and camera raw, which is TIFF too."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode
from okla_assets.imaging.photo.refusals import Refused
from tests.imaging.photo.test_decode import refusal, saved
from tests.imaging.scenes import off_by, picture

Tags = Mapping[int, int | str]
THUMBNAIL = Image.new("RGB", (64, 64), "blue")


def read(data: bytes) -> DecodedPhoto:
    return decode(data, DecodeLimits(), 2016)


def pages(*images: Image.Image) -> bytes:
    return saved(images[0], "TIFF", save_all=True, append_images=list(images[1:]))


@pytest.mark.parametrize("after", [0, 2])
def test_the_photo_behind_a_thumbnail_is_taken(after: int) -> None:
    photo = read(pages(THUMBNAIL, Image.fromarray(picture()), *[THUMBNAIL] * after))
    assert (photo.width, photo.height) == (320, 240)
    assert np.array_equal(photo.rgb, picture())


def test_of_pages_of_one_size_the_first_is_taken() -> None:
    other = Image.new("RGB", (320, 240), "blue")
    assert np.array_equal(read(pages(Image.fromarray(picture()), other)).rgb, picture())


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_page_that_is_taken_is_turned_by_its_own_tag(orientation: int) -> None:
    image = Image.fromarray(picture())
    tagged = saved(image, "TIFF", tiffinfo={274: orientation})
    expected = read(tagged)
    photo = read(packed(picture().astype(np.uint16) * 16, {274: orientation}))
    assert photo.rgb.shape == expected.rgb.shape
    assert off_by(photo.rgb, expected.rgb) < 1
    assert ("rotated_by_exif" in photo.notes) == (orientation > 1)


def test_a_photo_in_a_sub_directory_is_taken() -> None:
    page = with_tags(Image.fromarray(picture()), {})
    before = len(with_tags(THUMBNAIL, {330: 0}))
    data = with_tags(THUMBNAIL, {330: before + 8}) + moved_by(page, before)
    assert np.array_equal(read(data).rgb, picture())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_ten_to_fourteen_bits_are_scaled(channels: int, bits: int) -> None:
    rgb = picture() if channels == 3 else picture()[..., 0]
    deep = np.rint(rgb / 255 * (2**bits - 1)).astype(np.uint16)
    photo = read(packed(deep, {}, bits))
    expected = picture() if channels == 3 else picture()[..., :1].repeat(3, axis=2)
    assert np.abs(photo.rgb.astype(int) - expected).max() <= 1
    assert "converted_16bit" in photo.notes
    assert (photo.width, photo.height) == (320, 240)


def test_limits_hold_for_such_too() -> None:
    deep = np.zeros((100, 100), np.uint16)
    assert refusal(packed(deep, {}), DecodeLimits(max_pixels=9_999)) == "too_many_pixels"


@pytest.mark.parametrize(
    ("tags", "ending"),
    [
        ({50706: 0x0601}, "DNG"),
        ({262: 32803}, "raw"),
        ({262: 34892}, "raw"),
        ({262: 32803, 271: "NIKON CORPORATION"}, "NEF"),
        ({259: 32767}, "ARW"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_camera_raw_is_refused_whatever_previews_it_holds(
    tags: Tags, ending: str, first: bool
) -> None:
    sensor = with_tags(THUMBNAIL, tags)
    preview = moved_by(with_tags(Image.fromarray(picture()), {}), len(sensor))
    data = bytearray(sensor + preview)
    if not first:
        data[4:8] = struct.pack("<I", len(sensor) + 8)
        chain(data, len(sensor) + 8, 8)
    with pytest.raises(Refused, match=ending) as caught:
        read(bytes(data))
    assert caught.value.reason == "unsupported_format"
    assert "export it as JPEG" in caught.value.detail


@pytest.mark.testdata
def test_the_reported_raw_file_is_refused(testdata: Path) -> None:
    with pytest.raises(Refused, match=r"camera raw \(DNG\)"):
        read((testdata / "reports" / "proraw_dng_named.jpg").read_bytes())


def test_directories_that_name_each_other_end() -> None:
    data = bytearray(with_tags(Image.fromarray(picture()), {}))
    chain(data, 8, 8)
    assert np.array_equal(read(bytes(data)).rgb, picture())


def with_tags(image: Image.Image, tags: Tags) -> bytes:
    """An uncompressed little-endian TIFF, directory first, with these tags over the ordinary."""
    width, height = image.size
    return written(np.asarray(image).tobytes(), width, height, 3, 8, tags)


def packed(pixels: npt.NDArray[np.uint16], tags: Tags, bits: int = 12) -> bytes:
    """A TIFF of gray (H, W) or RGB (H, W, 3), its samples packed in `bits`, rows on whole bytes."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    each = (rows[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint16)) & 1
    data = np.packbits(each.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    return written(data, width, height, 3 if pixels.ndim == 3 else 1, bits, tags)


def written(strip: bytes, width: int, height: int, channels: int, bits: int, tags: Tags) -> bytes:
    values: dict[int, int | str] = {
        256: width, 257: height, 258: 0, 259: 1, 262: 2 if channels == 3 else 1, 273: 0,
        277: channels, 278: height, 279: len(strip), **tags,
    }  # fmt: skip
    after = 8 + 2 + 12 * len(values) + 4
    extra = struct.pack(f"<{channels}H", *[bits] * channels)
    texts = {tag: text.encode() + b"\0" for tag, text in values.items() if isinstance(text, str)}
    values[273] = after + len(extra) + sum(map(len, texts.values()))
    body = struct.pack("<H", len(values))
    place = after + len(extra)
    for tag, value in sorted(values.items()):
        if tag == 258:
            at = after if channels > 2 else bits
            body += struct.pack("<HHII", tag, 3, channels, at)
        elif isinstance(value, str):
            body += struct.pack("<HHII", tag, 2, len(texts[tag]), place)
            place += len(texts[tag])
        else:
            body += struct.pack("<HHII", tag, 4, 1, value)
    head = b"II*\0" + struct.pack("<I", 8) + body + bytes(4) + extra
    return head + b"".join(texts[tag] for tag in sorted(texts)) + strip


def moved_by(tiff: bytes, distance: int) -> bytes:
    """A file of `written`, for a place `distance` bytes into another."""
    data = bytearray(tiff)
    (count,) = struct.unpack_from("<H", data, 8)
    for i in range(count):
        entry = 10 + 12 * i
        tag, _, number, value = struct.unpack_from("<HHII", data, entry)
        if tag == 273 or (tag == 258 and number > 2) or tag == 271:
            struct.pack_into("<I", data, entry + 8, value + distance)
    return bytes(data)


def chain(data: bytearray, directory: int, following: int) -> None:
    """Lets the directory at one place name another as the next."""
    (count,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * count, following)


@pytest.mark.parametrize("kind", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("tag", [254, 256, 257, 258, 274, 330])
def test_a_tag_whose_type_is_damaged_is_no_error_of_ours(tag: int, kind: int) -> None:
    """Bytes, text, a fraction, undefined and a double where numbers belong."""
    data = bytearray(packed(picture().astype(np.uint16) * 16, {254: 0, 274: 1, 330: 9}))
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    entries = range(start + 2, start + 2 + 12 * count, 12)
    (entry,) = [at for at in entries if int.from_bytes(data[at : at + 2], "little") == tag]
    data[entry + 2 : entry + 4] = kind.to_bytes(2, "little")
    with suppress(Refused):  # any other error fails the test
        assert read(bytes(data)).rgb.shape[2] == 3

"""Files of every kind in, the same upright sRGB picture out. All are made here."""

import random
import struct
import time
import tracemalloc
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from okla_assets.imaging.photo.codec import encode_jpeg, encode_png, encode_webp
from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode, turn_upright
from okla_assets.imaging.photo.refusals import RefusalReason, Refused
from okla_assets.imaging.types import Pixels
from tests.imaging.scenes import noisy, off_by, picture

LIMITS = DecodeLimits()
ORIENTATION, GPS_IFD = 0x0112, 0x8825


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def read(data: bytes, working_side: int = 2048) -> DecodedPhoto:
    return decode(data, LIMITS, working_side)


def refusal(data: bytes, limits: DecodeLimits = LIMITS) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        decode(data, limits, 2048)
    assert caught.value.detail.endswith(".")
    return caught.value.reason


def stored_for(upright: Pixels, orientation: int) -> Pixels:
    """The pixels that a camera stores so that this orientation makes them upright."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    return turn_upright(upright, inverse)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turn_upright_agrees_with_pillow(orientation: int) -> None:
    image = Image.fromarray(picture())
    image.getexif()[ORIENTATION] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(turn_upright(picture(), orientation), expected)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_give_the_same_upright_picture(orientation: int, file_format: str) -> None:
    image = Image.fromarray(stored_for(picture(), orientation))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if file_format == "HEIF":
        heif = pillow_heif.from_pillow(image)
        out = BytesIO()
        heif.save(out, exif=exif.tobytes(), quality=90)
        data = out.getvalue()
    else:
        quality = {} if file_format in ("PNG", "TIFF") else {"quality": 92}
        data = saved(image, file_format, exif=exif, **quality)
    photo = read(data)
    assert (photo.width, photo.height) == (320, 240)
    assert off_by(photo.rgb, picture()) < 4
    assert ("rotated_by_exif" in photo.notes) == (orientation > 1)


def test_orientation_and_reduction_together() -> None:
    image = Image.fromarray(stored_for(picture(1500, 2000), 6))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo = read(saved(image, "JPEG", exif=exif, quality=92), 800)
    assert (photo.width, photo.height) == (2000, 1500)
    assert off_by(photo.rgb, picture(600, 800)) < 3


@pytest.mark.parametrize("working_side", [1999, 1000, 999, 500, 250, 64])
def test_reduction_keeps_the_working_side_and_the_picture(working_side: int) -> None:
    photo = read(encode_jpeg(picture(1500, 2000), 95), working_side)
    assert max(photo.rgb.shape) == working_side
    assert (photo.width, photo.height) == (2000, 1500)
    height, width = photo.rgb.shape[:2]
    assert off_by(photo.rgb, picture(height, width)) < 3


def test_a_small_picture_is_not_enlarged() -> None:
    assert read(encode_png(picture())).rgb.shape == (240, 320, 3)


def test_odd_metadata_does_not_stop_a_photo() -> None:
    jpeg = encode_jpeg(picture())
    rubbish = b"\xff\xe1" + struct.pack(">H", 40) + b"Exif\0\0" + b"\xff" * 32
    assert read(jpeg[:2] + rubbish + jpeg[2:]).width == 320


def test_published_bytes_carry_no_metadata() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (18.0, 28.0, 0.0)})
    source = saved(
        Image.fromarray(picture()), "JPEG", exif=exif, icc_profile=display_p3(), comment=b"secret"
    )
    assert Image.open(BytesIO(source)).getexif().get_ifd(GPS_IFD)
    rgb = read(source).rgb
    for encode in (encode_jpeg, encode_png, encode_webp):
        image = Image.open(BytesIO(encode(rgb)))
        image.load()
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & image.info.keys()


def display_p3() -> bytes:
    """A Display P3 profile (ICC.1:2010): P3 primaries adapted to D50, sRGB's curve."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + s15(*values)

    text = b"Display P3"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    curve = b"para\0\0\0\0\0\3\0\0" + s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": description,
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.51512, 0.2412, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.1571, 0.06657, 0.78407),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += padded
    header = struct.pack(
        ">I4sI4s4s4s", offset + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + table + body


def test_a_display_p3_photo_is_converted() -> None:
    # P3 (200, 100, 50) is a stronger colour than sRGB of the same numbers: sRGB (215, 93, 31).
    image = Image.new("RGB", (100, 100), (200, 100, 50))
    photo = read(saved(image, "PNG", icc_profile=display_p3()))
    assert photo.notes == ("icc_converted",)
    assert np.abs(photo.rgb[50, 50].astype(int) - (215, 93, 31)).max() <= 1


def test_an_srgb_profile_changes_nothing_and_a_broken_one_is_noted() -> None:
    image = Image.fromarray(picture())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read(saved(image, "PNG", icc_profile=srgb))
    assert photo.notes == ()
    assert np.array_equal(photo.rgb, picture())
    for icc in (b"not a profile", display_p3()[:200], srgb[:128] + bytes(len(srgb) - 128)):
        photo = read(saved(image, "PNG", icc_profile=icc))
        assert photo.notes == ("colour_unknown", "icc_unreadable")
        assert np.array_equal(photo.rgb, picture())


def test_an_rgb_profile_on_a_gray_picture_is_ignored() -> None:
    image = Image.fromarray(picture()).convert("L")
    assert read(saved(image, "JPEG", icc_profile=display_p3())).notes == (
        "converted_gray",
        "icc_unreadable",
    )


def gray16() -> npt.NDArray[np.uint16]:
    return np.linspace(0, 65535, 320 * 240).reshape(240, 320).astype(np.uint16)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_not_clipped(file_format: str) -> None:
    photo = read(saved(Image.fromarray(gray16()), file_format))
    assert photo.notes == ("converted_16bit", "converted_gray")
    expected = np.round(gray16() / 257)[..., None].repeat(3, axis=2)
    assert np.abs(photo.rgb - expected).max() <= 1


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_16_bit_rgb_is_scaled_not_clipped(extension: str) -> None:
    wide = picture().astype(np.uint16) * 257
    data = cv2.imencode(extension, cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))[1].tobytes()
    photo = read(data)
    assert photo.notes == ("converted_16bit",)
    assert np.array_equal(photo.rgb, picture())


def test_cmyk_gray_and_palette_come_out_as_rgb() -> None:
    image = Image.fromarray(picture())
    cmyk = read(saved(image.convert("CMYK"), "JPEG", quality=95))
    assert cmyk.notes == ("converted_cmyk",)
    assert off_by(cmyk.rgb, picture()) < 4
    gray = read(saved(image.convert("L"), "JPEG", quality=95))
    assert gray.notes == ("converted_gray",)
    assert off_by(gray.rgb[..., 0], np.asarray(image.convert("L"))) < 3
    palette = read(saved(image.quantize(256), "PNG"))
    assert palette.notes == ("converted_palette",)
    assert off_by(palette.rgb, picture()) < 8
    bilevel = read(saved(image.convert("1"), "PNG"))
    assert set(np.unique(bilevel.rgb)) == {0, 255}


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_transparency_is_flattened_on_white(file_format: str) -> None:
    rgba = np.dstack([picture(), np.full((240, 320), 255, np.uint8)])
    rgba[:, :160, 3] = 0
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    photo = read(saved(Image.fromarray(rgba), file_format, **lossless))
    assert photo.notes == ("transparency_flattened",)
    assert (photo.rgb[:, :150] == 255).all()
    assert off_by(photo.rgb[:, 170:], picture()[:, 170:]) < 4


def test_an_opaque_alpha_channel_is_not_worth_a_note() -> None:
    rgba = np.dstack([picture(), np.full((240, 320), 255, np.uint8)])
    photo = read(saved(Image.fromarray(rgba), "PNG"))
    assert photo.notes == ()
    assert np.array_equal(photo.rgb, picture())


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_is_taken(file_format: str) -> None:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue")]
    photo = read(saved(frames[0], file_format, save_all=True, append_images=frames[1:]))
    assert "first_frame_of_animation" in photo.notes
    assert off_by(photo.rgb, np.full((100, 100, 3), (255, 0, 0))) < 6


def test_the_first_picture_of_an_mpo_is_taken() -> None:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue")]
    photo = read(saved(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert photo.format == "JPEG"
    assert photo.notes == ()
    assert off_by(photo.rgb, np.full((100, 100, 3), (255, 0, 0))) < 3


@pytest.mark.parametrize("progressive", [False, True])
def test_a_sound_jpeg_is_not_called_damaged(progressive: bool) -> None:
    for rgb in (noisy(), picture(), np.full((480, 640, 3), 128, np.uint8)):
        for quality in (30, 95):
            data = saved(Image.fromarray(rgb), "JPEG", quality=quality, progressive=progressive)
            assert read(data).notes == ()
            assert read(data + b"trailer of a phone").notes == ()


def test_a_jpeg_that_lost_its_end_is_mended_and_one_cut_in_half_is_refused() -> None:
    data = encode_jpeg(noisy(), 90)
    for lost in (1, 2, 40):
        photo = read(data[:-lost])
        assert photo.notes == ("truncated_repaired",)
        assert off_by(photo.rgb, read(data).rgb) < 1
        assert not (photo.rgb == 128).all(axis=2)[-8:, -8:].all()
    for share in (0.3, 0.6, 0.9):
        assert refusal(data[: int(share * len(data))]) == "truncated"
    progressive = saved(Image.fromarray(noisy()), "JPEG", progressive=True)
    assert refusal(progressive[: len(progressive) // 2]) == "truncated"


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "GIF", "AVIF", "HEIF"])
def test_half_a_file_of_another_format_is_refused(file_format: str) -> None:
    if file_format == "HEIF":
        out = BytesIO()
        pillow_heif.from_pillow(Image.fromarray(noisy())).save(out)
        data = out.getvalue()
    else:
        data = saved(Image.fromarray(noisy()), file_format)
    assert refusal(data[: len(data) // 2]) in ("truncated", "corrupt")


def test_overwritten_scan_data_rarely_passes_unseen() -> None:
    data = encode_jpeg(noisy(), 90)
    start = data.index(b"\xff\xda") + 14
    rng = random.Random(0)
    unseen = 0
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(60):
            damaged[rng.randrange(start, len(data) - 2)] = rng.randrange(256)
        try:
            unseen += "damaged_data" not in read(bytes(damaged)).notes
        except Refused as refused:
            assert refused.reason == "corrupt"
    assert unseen <= 4


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(encode_jpeg(picture()))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def test_a_bomb_is_refused_by_its_header_quickly_and_without_memory() -> None:
    gif = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(6) + b","
    gif += struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\x02\x02\x44\x01\0;"
    for bomb in (png_claiming(20_000, 20_000), jpeg_claiming(65_500, 65_500), gif):
        tracemalloc.start()
        started = time.process_time()
        assert refusal(bomb) == "too_many_pixels"
        assert time.process_time() - started < 0.5
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        (b"", "empty_file", "empty"),
        (b"<!DOCTYPE html><html><h1>403</h1></html>", "not_an_image", "HTML page"),
        (b"\xef\xbb\xbf \n<HTML>", "not_an_image", "HTML page"),
        ("no es una imagen: añó ".encode() * 400, "not_an_image", "plain text"),
        (bytes(1000), "not_an_image", "zero bytes"),
        (random.Random(0).randbytes(5000), "not_an_image", "not a picture"),
        (b"PK\x03\x04" + bytes(50), "not_an_image", "archive"),
        (b"%PDF-1.7 " + bytes(50), "unsupported_format", "PDF"),
        (b"<?xml version='1.0'?><svg/>", "unsupported_format", "SVG"),
        (b"\0\0\0\x20ftypisom" + bytes(20), "unsupported_format", "video"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "unsupported_format", "video"),
        (b"BM" + bytes(50), "unsupported_format", "bitmap"),
        (b"\0\0\0\x14ftypcrx \0\0\0\1crx " + bytes(50), "unsupported_format", "raw (CR3)"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(50), "unsupported_format", "raw (RAF)"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "unsupported_format", "raw (CR2)"),
        (b"\xff\x0a\xfa\x7f" + bytes(50), "unsupported_format", "JPEG XL"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(50), "unsupported_format", "sound"),
        (b"\xff\xd8\0\0\0\0\0\0", "corrupt", "header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "corrupt", "header"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "corrupt", "header"),
    ],
)
def test_what_is_not_a_photo_is_refused_with_what_it_looks_like(
    data: bytes, reason: str, told: str
) -> None:
    with pytest.raises(Refused) as caught:
        read(data)
    assert caught.value.reason == reason
    assert told in caught.value.detail


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((1, 1), "too_small"),
        ((63, 400), "too_small"),
        ((40, 3000), "extreme_aspect"),
        ((100, 801), "extreme_aspect"),
        ((1100, 1000), "too_many_pixels"),
    ],
)
def test_sizes_out_of_bounds_are_refused(size: tuple[int, int], reason: str) -> None:
    data = encode_png(picture(*size))
    assert refusal(data, DecodeLimits(max_pixels=1_000_000)) == reason


def test_sizes_on_the_bounds_are_accepted() -> None:
    for height, width in ((64, 64), (100, 800), (1000, 1000)):
        assert decode(encode_png(picture(height, width)), DecodeLimits(max_pixels=10**6), 2048)


def test_a_file_beyond_the_byte_limit_is_refused_unread() -> None:
    data = encode_png(picture())
    assert refusal(data, DecodeLimits(max_bytes=len(data) - 1)) == "file_too_large"
    assert decode(data, DecodeLimits(max_bytes=len(data)), 2048)

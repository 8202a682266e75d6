"""Colours as the camera meant them: other spaces come back as the sRGB they were made from."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from okla_assets.imaging.photo import colour
from okla_assets.imaging.photo.decode import DecodedPhoto, DecodeLimits, decode
from okla_assets.imaging.types import Pixels
from tests import colours
from tests.colours import Curve, Gamut, delta_e
from tests.conftest import REPOSITORY
from tests.imaging.photo.test_decode import chunk, display_p3, saved
from tests.imaging.scenes import picture

JUST_NOTICEABLE = 3.0
SAMPLE = REPOSITORY / "okla_assets" / "sample" / "media" / "photos"
SPACES = [(g, c) for g in get_args(Gamut) for c in get_args(Curve) if (g, c) != ("bt709", "srgb")]


def read(data: bytes) -> DecodedPhoto:
    return decode(data, DecodeLimits(), 2016)


def colourful() -> Pixels:
    """Soft blocks in all hues and tones, black and white among them."""
    hues, tones = np.meshgrid(np.arange(12) * 15, np.linspace(0, 255, 9))
    hsv = np.stack([hues, np.full_like(hues, 190), tones], axis=2).astype(np.uint8)
    blocks = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    greys = np.repeat(np.linspace(0, 255, 12).astype(np.uint8)[None, :, None], 3, axis=2)
    mosaic = np.concatenate([blocks, greys])
    return np.asarray(cv2.resize(mosaic, (480, 360), interpolation=cv2.INTER_LINEAR), np.uint8)


@pytest.mark.parametrize(("gamut", "curve"), SPACES)
def test_a_heic_of_any_space(gamut: Gamut, curve: Curve) -> None:
    truth = colourful()
    photo = read(colours.heic(colours.coded(truth, gamut, curve), gamut, curve))
    assert delta_e(photo.rgb, truth) < JUST_NOTICEABLE
    hdr = curve in ("pq", "hlg")
    assert ("tone_mapped" in photo.notes) == hdr
    assert ("colour_converted" in photo.notes) == (not hdr and gamut != "bt709")


@pytest.mark.parametrize(("gamut", "curve"), SPACES)
def test_an_avif_of_any_space(tmp_path: Path, gamut: Gamut, curve: Curve) -> None:
    truth = colourful()
    data = colours.avif(tmp_path / "a.avif", colours.coded(truth, gamut, curve), gamut, curve)
    assert delta_e(read(data).rgb, truth) < JUST_NOTICEABLE


@pytest.mark.parametrize(("by_channel", "bt1886"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("curve", ["hlg", "pq"])
@pytest.mark.parametrize("number", [1, 6, 12])
def test_hdr_stills_of_each_convention(
    curve: Curve, number: int, by_channel: bool, bt1886: bool
) -> None:
    truth = np.asarray(Image.open(SAMPLE / f"IMG_01{number:02d}.jpg").resize((640, 480)))
    deep = colours.coded(truth, "bt2020", curve, by_channel=by_channel, bt1886=bt1886)
    assert delta_e(read(colours.heic(deep, "bt2020", curve)).rgb, truth) < JUST_NOTICEABLE


@pytest.mark.parametrize(("gamut", "curve"), SPACES)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_with_cicp_of_any_space(gamut: Gamut, curve: Curve, bits: int) -> None:
    truth = colourful()
    deep = colours.coded(truth, gamut, curve)
    stored = deep if bits == 16 else np.rint(deep / 257).astype(np.uint8)
    png = cv2.imencode(".png", cv2.cvtColor(stored, cv2.COLOR_RGB2BGR))[1].tobytes()
    cicp = bytes([colours.PRIMARIES[gamut], colours.TRANSFERS[curve], 0, 1])
    photo = read(with_chunks(png, (b"cICP", cicp)))
    assert delta_e(photo.rgb, truth) < JUST_NOTICEABLE


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """The PNG with more chunks after its header."""
    header = 8 + 25
    return png[:header] + b"".join(chunk(*c) for c in chunks) + png[header:]


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_what_is_brighter_than_white_is_rolled_off_and_keeps_its_order(curve: Curve) -> None:
    # A grey ramp up to four reference whites, as a sky in the sun.
    ramp = np.repeat(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], 3, axis=2)
    deep = np.repeat(colours.coded(ramp, "bt2020", curve, white=812), 64, axis=0)
    space = colour.of_code_points(9, colours.TRANSFERS[curve])
    assert space is not None
    out = colour.to_srgb(deep, space)[10, :, 0].astype(int)
    assert (np.diff(out) >= 0).all()
    assert out[-1] >= 254
    white = int(np.searchsorted(ramp[0, :, 0], 137))  # 203 of 812 nits
    assert 205 < out[white] < 245  # dimmed to make room, not grey
    dark = colour.linear(deep, space)[10, 100].max()
    plain = 255 * dark ** (1 / colour.HDR_STILLS_GAMMA)
    assert out[100] == pytest.approx(plain, abs=2)  # the shadows stay


def test_a_turned_hdr_photo_is_upright(tmp_path: Path) -> None:
    truth = np.ascontiguousarray(picture(320, 240))
    stored = np.rot90(truth)  # the phone was turned clockwise by 90 degrees
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    deep = colours.coded(np.ascontiguousarray(stored), "bt2020", "hlg")
    photo = read(colours.heic(deep, "bt2020", "hlg", exif=exif.tobytes()))
    assert photo.rgb.shape == truth.shape
    assert delta_e(photo.rgb, truth) < JUST_NOTICEABLE


def test_a_large_hdr_photo_is_reduced() -> None:
    truth = picture(600, 800)
    data = colours.heic(colours.coded(truth, "bt2020", "pq"), "bt2020", "pq")
    photo = decode(data, DecodeLimits(), 400)
    assert (photo.width, photo.height) == (800, 600)
    assert delta_e(photo.rgb, picture(300, 400)) < JUST_NOTICEABLE


def test_a_space_that_nobody_knows_is_noted() -> None:
    out = BytesIO()
    options = colours.nclx("bt709", "srgb") | {"transfer_characteristics": 10}  # logarithmic
    pillow_heif.from_pillow(Image.fromarray(picture())).save(out, quality=90, **options)
    assert read(out.getvalue()).notes == ("colour_unknown",)


def adobe_exif(index: str | None, space: int) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif)[Base.ColorSpace] = space
    if index is not None:
        exif.get_ifd(IFD.Exif)[Base.ExifInteroperabilityOffset] = {1: index, 2: b"0100"}
    return exif.tobytes()


@pytest.mark.parametrize(
    ("index", "space", "adobe"),
    [("R03", 65535, True), (None, 2, True), ("R98", 1, False), (None, 65535, False)],
)
def test_adobe_rgb_told_by_exif_alone(index: str | None, space: int, adobe: bool) -> None:
    # By the matrix and gamma of Adobe RGB (1998), annex A, and IEC 61966-2-1.
    image = Image.new("RGB", (100, 100), (200, 100, 50))
    photo = read(saved(image, "JPEG", quality=98, subsampling=0, exif=adobe_exif(index, space)))
    expected = (227, 100, 42) if adobe else (200, 100, 50)
    assert np.abs(photo.rgb[50, 50].astype(int) - expected).max() <= 3
    assert ("colour_converted" in photo.notes) == adobe


def test_a_profile_comes_before_exif() -> None:
    image = Image.new("RGB", (100, 100), (200, 100, 50))
    data = saved(image, "JPEG", quality=98, subsampling=0, exif=adobe_exif("R03", 65535))
    told = saved(
        image, "JPEG", quality=98, subsampling=0, exif=adobe_exif("R03", 65535),
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )  # fmt: skip
    assert read(told).rgb[50, 50].astype(int).tolist() == pytest.approx((200, 100, 50), abs=2)
    assert read(data).rgb[50, 50, 0] > 220


def renamed(icc: bytes, name: bytes) -> bytes:
    """The profile under another name of the same length."""
    assert icc.count(b"Display P3") == 1
    return icc.replace(b"Display P3", name.ljust(10, b"\0"))


def test_a_profile_is_judged_by_its_content_not_by_its_name() -> None:
    image = Image.new("RGB", (100, 100), (200, 100, 50))
    photo = read(saved(image, "PNG", icc_profile=renamed(display_p3(), b"sRGB wide")))
    assert photo.notes == ("icc_converted",)
    assert np.abs(photo.rgb[50, 50].astype(int) - (215, 93, 31)).max() <= 1


def test_a_profile_of_srgb_under_another_name_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = icc.replace("sRGB".encode("utf-16-be"), "XYZW".encode("utf-16-be"))
    assert other != icc
    photo = read(saved(Image.fromarray(picture()), "PNG", icc_profile=other))
    assert photo.notes == ()
    assert np.array_equal(photo.rgb, picture())


def test_a_profile_that_names_hdr_is_tone_mapped() -> None:
    truth = colourful()
    deep = colours.coded(truth, "bt2020", "hlg")
    image = Image.fromarray(np.rint(deep / 257).astype(np.uint8))
    icc = bytearray(display_p3())
    # One tag more would move all offsets: the white point's place is taken.
    entry = icc.index(b"wtpt")
    icc += b"cicp\0\0\0\0" + bytes([9, 18, 0, 1])
    icc[entry : entry + 12] = b"cicp" + struct.pack(">II", len(icc) - 12, 12)
    icc[:4] = struct.pack(">I", len(icc))
    photo = read(saved(image, "PNG", icc_profile=bytes(icc)))
    assert photo.notes == ("tone_mapped",)
    assert delta_e(photo.rgb, truth) < JUST_NOTICEABLE


def test_gamma_and_chromaticities_of_a_png() -> None:
    grey = cv2.imencode(".png", np.full((80, 80, 3), 55, np.uint8))[1].tobytes()
    linear = with_chunks(grey, (b"gAMA", struct.pack(">I", 100000)))
    assert read(linear).rgb[40, 40].tolist() == [128, 128, 128]  # 55/255 of the light
    plain = with_chunks(grey, (b"gAMA", struct.pack(">I", 45455)))
    assert read(plain).notes == ()
    told = with_chunks(grey, (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000)))
    assert read(told).notes == ()


def test_chromaticities_that_no_picture_has_are_ignored() -> None:
    png = saved(Image.fromarray(picture()), "PNG")
    rng = np.random.default_rng(0)
    told = [[0] * 8, [31270] * 8, [2**32 - 1] * 8, *rng.integers(0, 100_000, (40, 8)).tolist()]
    for values in told:
        data = with_chunks(png, (b"cHRM", struct.pack(">8I", *values)), (b"gAMA", bytes(4)))
        photo = read(data)
        assert photo.notes in ((), ("colour_converted",))
    p3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    one = saved(Image.new("RGB", (100, 100), (200, 100, 50)), "PNG")
    wide = read(with_chunks(one, (b"cHRM", struct.pack(">8I", *p3))))
    assert np.abs(wide.rgb[50, 50].astype(int) - (215, 93, 31)).max() <= 1


def test_a_png_with_texts_and_a_profile_longer_than_pillow_reads() -> None:
    png = saved(Image.fromarray(picture()), "PNG")
    long = b"x" * 3_000_000
    texts = [
        (b"tEXt", b"Comment\0" + b"y" * 400_000),
        (b"zTXt", b"History\0\0" + zlib.compress(long)),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(long)),
    ]
    before = with_chunks(png, *texts)
    after = png[:-12] + b"".join(chunk(*t) for t in texts) + png[-12:]
    for data in (before, after):
        photo = read(data)
        assert photo.notes == ()
        assert np.array_equal(photo.rgb, picture())
    icc = display_p3() + np.random.default_rng(0).bytes(1_200_000)
    icc = struct.pack(">I", len(icc)) + icc[4:]
    wide = with_chunks(png, (b"iCCP", b"P3\0\0" + zlib.compress(icc)))
    assert read(wide).notes == ("icc_converted",)


@pytest.mark.testdata
@pytest.mark.parametrize("name", ["hdr_pq.heic", "gimp_linear_srgb.jpg"])
def test_reported_photos_have_the_colours_of_the_reference(testdata: Path, name: str) -> None:
    photo = read((testdata / "reports" / name).read_bytes())
    truth = Image.open(testdata / "reports" / "colour_reference_srgb.jpg")
    small = truth.resize(photo.rgb.shape[1::-1], Image.Resampling.BOX)
    assert delta_e(photo.rgb, np.asarray(small)) < JUST_NOTICEABLE

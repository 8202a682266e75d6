"""Whatever happens to a file's bytes, it is a photo or it is refused: never another error."""

import struct
import warnings
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from okla_assets.imaging.photo.decode import DecodeLimits, decode
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.photo.signatures import HEAD_BYTES, media_kind
from okla_assets.imaging.photo.told_colour import ADOBE_COLOUR_SPACE
from tests import colours
from tests.imaging.photo.test_colour import adobe_exif, with_chunks
from tests.imaging.photo.test_decode import display_p3, saved
from tests.imaging.photo.test_tiff import packed
from tests.imaging.scenes import picture

KINDS = ("jpeg", "restarts", "progressive", "tiff", "packed", "png", "heic", "avif")


@cache
def sound(kind: str) -> bytes:
    image = Image.fromarray(picture(96, 128))
    if kind == "jpeg":
        exif = adobe_exif("R03", ADOBE_COLOUR_SPACE)
        return saved(image, "JPEG", exif=exif, icc_profile=display_p3())
    if kind == "restarts":
        return saved(image, "JPEG", restart_marker_blocks=3)
    if kind == "progressive":
        return saved(image, "JPEG", progressive=True)
    if kind == "tiff":
        thumbnail = Image.new("RGB", (64, 64))
        return saved(thumbnail, "TIFF", save_all=True, append_images=[image])
    if kind == "packed":
        return packed(picture(96, 128).astype("u2") * 16, {})
    if kind == "png":
        data = saved(image, "PNG", icc_profile=display_p3())
        return with_chunks(data, (b"cICP", b"\x09\x10\0\1"), (b"gAMA", struct.pack(">I", 45455)))
    if kind == "avif":
        return saved(image, "AVIF")
    return colours.heic(colours.coded(picture(96, 128), "bt2020", "pq"), "bt2020", "pq")


@pytest.mark.parametrize("kind", KINDS)
def test_the_untouched_files_are_read(kind: str) -> None:
    assert decode(sound(kind), DecodeLimits(), 64).rgb.shape == (48, 64, 3)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    changed = bytearray(sound(kind))
    # Most of what can go wrong stands in the headers.
    for _ in range(data.draw(st.integers(1, 6))):
        most = data.draw(st.sampled_from([64, 700, len(changed)]))
        changed[data.draw(st.integers(0, min(most, len(changed)) - 1))] = data.draw(
            st.one_of(st.sampled_from([0, 1, 255]), st.integers(0, 255))
        )
    cut = data.draw(st.one_of(st.just(len(changed)), st.integers(0, len(changed))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in the worker process
        try:
            photo = decode(bytes(changed[:cut]), DecodeLimits(), 64)
        except Refused as refused:
            assert refused.detail.endswith(".")
        else:
            assert photo.rgb.shape[2] == 3


@given(st.binary(max_size=600))
def test_any_beginning_has_an_answer(head: bytes) -> None:
    assert media_kind(head[:HEAD_BYTES]) in ("photo", "video", None)

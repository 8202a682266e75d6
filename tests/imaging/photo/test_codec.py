"""The pipeline's own pictures survive being written and read."""

import numpy as np
import pytest

from okla_assets.imaging.photo.codec import (
    decode_gray,
    decode_trusted,
    encode_jpeg,
    encode_png,
    encode_webp,
    fit_within,
    resize,
)
from tests.imaging.scenes import noisy, off_by, picture


def test_encoding_gives_equal_bytes_and_nearly_equal_pixels() -> None:
    rgb = noisy()
    for encode in (encode_jpeg, encode_png, encode_webp):
        assert encode(rgb) == encode(rgb.copy())
        assert off_by(decode_trusted(encode(rgb)), rgb) < 12
    assert off_by(decode_trusted(encode_jpeg(picture(), 95)), picture()) < 2


def test_png_is_lossless_for_rgb_and_gray() -> None:
    assert np.array_equal(decode_trusted(encode_png(noisy())), noisy())
    assert np.array_equal(decode_gray(encode_png(noisy()[..., 1])), noisy()[..., 1])


def test_full_chroma_keeps_coloured_edges() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, 1::2] = (255, 0, 0)
    full = off_by(decode_trusted(encode_jpeg(rgb, 95, subsampling444=True)), rgb)
    assert full < off_by(decode_trusted(encode_jpeg(rgb, 95)), rgb) / 4


def test_wrong_input_to_the_fast_paths_raises() -> None:
    with pytest.raises(ValueError, match="not a picture"):
        decode_trusted(b"")
    with pytest.raises(ValueError, match="not a picture"):
        decode_gray(b"rubbish")
    with pytest.raises(TypeError, match="uint8"):
        encode_png(picture().astype(np.float32))


def test_resizing() -> None:
    assert resize(picture(), 100, 50).shape == (50, 100, 3)
    assert resize(picture()[..., 0], 640, 480).shape == (480, 640)
    assert fit_within(picture(), 320) is not None
    assert fit_within(picture(), 160).shape == (120, 160, 3)
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert (np.abs(fit_within(stripes, 32).astype(int) - 128) <= 1).all()

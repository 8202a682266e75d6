"""The pipeline's own pictures: bytes to pixels and back, and other sizes; only here is BGR.

What sellers upload goes to `decode`.
"""

from io import BytesIO
from typing import Any, Literal, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from okla_assets.imaging.types import Pixels

P = TypeVar("P", bound=npt.NDArray[np.unsignedinteger[Any]])


def fit_within(pixels: P, side: int) -> P:
    """Pixels reduced by area averaging so that the long side is at most `side`; never enlarged."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def fit_width(pixels: P, width: int) -> P:
    """Pixels reduced by area averaging to at most `width` columns; never enlarged."""
    if pixels.shape[1] <= width:
        return pixels
    return resize(pixels, width, max(1, round(pixels.shape[0] * width / pixels.shape[1])))


def resize(pixels: P, width: int, height: int) -> P:
    """Pixels (H, W) or (H, W, C) at the given size: area averaging down, bicubic up."""
    down = width * height < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if down else cv2.INTER_CUBIC
    resized = cv2.resize(pixels, (width, height), interpolation=method)
    return cast(P, np.asarray(resized, pixels.dtype))


def encode_jpeg(rgb: Pixels, quality: int = 90, *, subsampling444: bool = False) -> bytes:
    """JPEG bytes of RGB uint8 (H, W, 3). No metadata; equal pixels give equal bytes."""
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        if subsampling444
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    )
    return _imencode(
        ".jpg",
        rgb,
        [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling],
    )


def encode_progressive(rgb: Pixels, quality: int) -> bytes:
    """Progressive JPEG bytes of RGB uint8 (H, W, 3) with tables of its own: a tenth smaller."""
    return _imencode(
        ".jpg",
        rgb,
        [
            *(cv2.IMWRITE_JPEG_QUALITY, quality),
            *(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
            *(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        ],
    )


def encode_png(pixels: Pixels, level: int = 3) -> bytes:
    """PNG bytes of gray uint8 (H, W) or RGB uint8 (H, W, 3); `level` is zlib's, 0..9."""
    return _imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])


def encode_webp(rgb: Pixels, quality: int = 85) -> bytes:
    """Lossy WebP bytes of RGB uint8 (H, W, 3), quality 1..100, no metadata.

    By Pillow, for OpenCV has no word in the encoder's effort (0..6, 4 by default): at 2 a picture
    takes 40 % of the time and 5 % more bytes.
    """
    written = BytesIO()
    Image.fromarray(rgb).save(written, "WEBP", quality=quality, method=2)
    return written.getvalue()


def _imencode(extension: str, pixels: Pixels, options: list[int]) -> bytes:
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels must be uint8, not {pixels.dtype}")
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    return cv2.imencode(extension, bgr, options)[1].tobytes()


def decode_trusted(data: bytes) -> Pixels:
    """RGB uint8 (H, W, 3) of a picture that this pipeline wrote; no limits, so not for uploads.

    Raises ValueError where the bytes are no picture.
    """
    return _imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def decode_small(data: bytes, divisor: Literal[2, 4]) -> Pixels:
    """As `decode_trusted`, its sides divided, and several times as quick."""
    flag = cv2.IMREAD_REDUCED_COLOR_2 if divisor == 2 else cv2.IMREAD_REDUCED_COLOR_4
    small = _imdecode(data, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def decode_gray(data: bytes) -> Pixels:
    """Gray uint8 (H, W) of a mask or gray picture that this pipeline wrote; as `decode_trusted`."""
    return _imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


def decode_rgba(data: bytes) -> Pixels:
    """A picture the owner gives, as RGBA (H, W, 4); raises ValueError where it is none.

    For files of whoever runs the pipeline, such as a logo; what sellers upload goes to `decode`.
    """
    pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels.dtype == np.uint16:
        pixels = np.asarray(pixels >> 8, np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGBA), np.uint8)
    code = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _imdecode(data: bytes, flags: int) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise ValueError(f"not a picture that can be read ({len(data)} bytes)")
    return cast(Pixels, pixels)

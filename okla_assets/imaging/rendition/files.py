"""Pictures with transparency as files."""

import zipfile
from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from okla_assets.imaging.photo.codec import encode_jpeg, encode_png
from okla_assets.imaging.types import Alpha, Pixels, Rgb, Rgba

Format = Literal["png", "jpg", "webp", "zip"]
TYPES: dict[Format, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "zip": "application/zip",
}
SPREAD = 31  # pixels: how far the vehicle's colours go on beyond its rim, for JPEG to blur
WEBP_EFFORT = 1  # of 0 to 6: each more takes much longer and saves little
DAY = (1980, 1, 1, 0, 0, 0)
"""Of files in an archive: equal pictures give equal bytes."""


def encoded(picture: Rgba, file_format: Format, quality: int = 90) -> bytes:
    """The bytes of a picture (H, W, 4).

    JPEG has no transparency: it lies on white. `zip` is `color.jpg` and `alpha.png`, together the
    picture, and smaller than a PNG.
    """
    alpha = picture[..., 3]
    if file_format == "png":
        return _png(picture)
    if file_format == "webp":
        out = BytesIO()
        Image.fromarray(picture).save(out, "WEBP", quality=quality, method=WEBP_EFFORT)
        return out.getvalue()
    if file_format == "jpg":
        return encode_jpeg(on_white(picture), quality)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("color.jpg", DAY), encode_jpeg(_spread(picture), quality))
        archive.writestr(zipfile.ZipInfo("alpha.png", DAY), encode_png(np.ascontiguousarray(alpha)))
    return packed.getvalue()


def encoded_matte(matte: Alpha, file_format: Format, quality: int = 90) -> bytes:
    """A matte (H, W) as a grey picture; as `encoded`, an archive holds only `alpha.png`."""
    grey = np.asarray(np.rint(matte * 255), np.uint8)
    if file_format == "png":
        return encode_png(grey)
    if file_format == "zip":
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo("alpha.png", DAY), encode_png(grey))
        return packed.getvalue()
    each = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    solid = np.dstack([each, np.full(grey.shape, 255, np.uint8)])
    return encoded(solid, file_format, quality)


def on_white(picture: Rgba) -> Rgb:
    """RGB (H, W, 3) of the picture laid on white."""
    if picture[..., 3].min() == 255:
        return np.ascontiguousarray(picture[..., :3])
    share = picture[..., 3:].astype(np.float32) / 255
    mixed = picture[..., :3] * share + 255 * (1 - share)
    return np.asarray(np.rint(mixed), np.uint8)


def _png(picture: Rgba) -> bytes:
    """PNG without the alpha where nothing is transparent."""
    if picture[..., 3].min() == 255:
        return encode_png(np.ascontiguousarray(picture[..., :3]))
    bgra = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()


def _spread(picture: Rgba) -> Pixels:
    """The colours (H, W, 3), gone on beyond the rim, where the alpha hides them."""
    height, width = picture.shape[:2]
    half = max(1, width // 2), max(1, height // 2)
    alpha = picture[..., 3].copy()
    colours = np.ascontiguousarray(picture[..., :3])
    # Weighted before they are made smaller: what is transparent is black, and would darken the rim.
    shown = cv2.multiply(colours, cv2.merge((alpha, alpha, alpha)), scale=1 / 255)
    weighted = np.asarray(cv2.resize(shown, half, interpolation=cv2.INTER_AREA), np.float32)
    share = np.asarray(cv2.resize(alpha, half, interpolation=cv2.INTER_AREA), np.float32) / 255
    window = (SPREAD // 2 | 1,) * 2
    around = cv2.blur(weighted, window) / np.maximum(cv2.blur(share, window), 1e-3)[..., None]
    whole = cv2.resize(cv2.convertScaleAbs(around), (width, height))
    return np.asarray(cv2.copyTo(colours, alpha, whole), np.uint8)

"""Pictures with transparency as files."""

import zipfile
from io import BytesIO
from typing import Literal

import cv2
import numpy as np

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
        bgra = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
        return cv2.imencode(".webp", bgra, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
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
    share = picture[..., 3].astype(np.float32)
    weighted = cv2.blur(picture[..., :3] * share[..., None], (SPREAD, SPREAD))
    around = weighted / np.maximum(cv2.blur(share, (SPREAD, SPREAD)), 1e-3)[..., None]
    return np.where(picture[..., 3:] > 0, picture[..., :3], np.rint(around)).astype(np.uint8)

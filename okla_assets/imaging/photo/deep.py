"""Pictures of more than eight bits at their full depth, which Pillow would cut to eight.

Needed where eight bits are not enough to work on (HDR, linear light), and for the 10, 12 and 14
bits a sample that TIFFs of scanners and cameras may have.
"""

from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pillow_heif import open_heif

from okla_assets.imaging.photo.formats import PhotoFormat, decoding

Deep = npt.NDArray[np.uint16]
Anyhow = npt.NDArray[Any]
MOST = 65535


def deep_pixels(data: bytes, photo_format: PhotoFormat, bits: int) -> Deep:
    """RGB uint16 (H, W, 3) over the whole range, on white where the picture is transparent.

    `bits` is what an AVIF's samples have. HEIF and TIFF come out upright, AVIF and PNG as stored.
    Raises Refused: corrupt, truncated, too_many_pixels.
    """
    with decoding(photo_format):
        pixels = _heif(data) if photo_format == "HEIF" else _opencv(data)
    if photo_format == "AVIF" and pixels.dtype == np.uint16:
        pixels = np.rint(pixels * np.float32(MOST / (2**bits - 1)))
    elif pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    if pixels.ndim == 2:
        pixels = pixels[..., None].repeat(3, axis=2)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / MOST
        pixels = np.rint(pixels[..., :3] * alpha + MOST * (1 - alpha))
    return np.ascontiguousarray(pixels, np.uint16)


def _heif(data: bytes) -> Anyhow:
    file = open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=True)
    return np.asarray(file[file.primary_index])


def _opencv(data: bytes) -> Anyhow:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("not a picture that OpenCV reads")
    if found.ndim == 3:
        code = cv2.COLOR_BGRA2RGBA if found.shape[2] == 4 else cv2.COLOR_BGR2RGB
        found = cv2.cvtColor(found, code)
    return np.asarray(found)

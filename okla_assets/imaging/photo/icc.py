"""ICC profiles: judged by what they hold, never by their name, and applied by littleCMS."""

import struct
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from okla_assets.imaging.photo import colour
from okla_assets.imaging.photo.formats import DecodeNote
from okla_assets.imaging.types import Pixels, Rgb

MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
SAME_COLOUR = 2  # levels: sRGB profiles of different makers differ by rounding
GRID = 17  # levels of each channel on which a profile is compared with sRGB
HEADER_BYTES = 128
MOST_TAGS = 100


def code_points(icc: bytes) -> colour.ColourSpace | None:
    """The space of a profile's `cicp` tag (ICC.1:2022, 9.2.17), which HDR profiles carry."""
    if len(icc) < HEADER_BYTES + 4:
        return None
    (count,) = struct.unpack_from(">I", icc, HEADER_BYTES)
    for i in range(min(count, MOST_TAGS)):
        entry = icc[HEADER_BYTES + 4 + 12 * i :][:12]
        if entry.startswith(b"cicp") and len(entry) == 12:
            (offset,) = struct.unpack_from(">I", entry, 4)
            tag = icc[offset : offset + 12]
            return colour.of_code_points(tag[8], tag[9]) if len(tag) == 12 else None
    return None


def apply(pixels: Pixels, icc: bytes, notes: set[DecodeNote]) -> Rgb:
    """RGB (H, W, 3) in sRGB from gray (H, W), RGB or CMYK (H, W, 4) pixels and their profile.

    A profile that means sRGB changes nothing; one that is broken or made for another kind of
    pixels is ignored, with the note icc_unreadable, and colour_unknown where there are colours.
    """
    mode = "L" if pixels.ndim == 2 else "RGB" if pixels.shape[2] == 3 else "CMYK"
    # By bytes: fromarray takes four channels for RGBA.
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if MODES.get(space) != mode:
            raise ImageCms.PyCMSError(f"a {space} profile on {mode} pixels")
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, mode, "RGB")
        if mode == "CMYK" or not _means_srgb(transform, mode):
            image = transform.apply(image)
            notes.add("icc_converted")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.add("icc_unreadable")
        if mode != "L":
            notes.add("colour_unknown")
    return np.ascontiguousarray(np.asarray(image.convert("RGB")))


def _means_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform to sRGB leaves colours all through the cube where they are."""
    levels = np.linspace(0, 255, GRID).round().astype(np.uint8)
    cube = levels[None] if mode == "L" else np.stack(np.meshgrid(levels, levels, levels), -1)
    before = Image.fromarray(cube.reshape(1, -1, *cube.shape[3:]))
    after = np.asarray(transform.apply(before), int)
    return bool(np.abs(after - np.asarray(before.convert("RGB"))).max() <= SAME_COLOUR)

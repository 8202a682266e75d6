"""Uploaded bytes to pixels.

What comes out of `decode` is what every later step may take for granted: upright, sRGB, no alpha,
no metadata, at most `working_side` long. Uploads are untrusted, so sizes are read from the header
before any pixel is decoded.

`decode` bounds bytes and pixels, not seconds, and a native decoder can still crash: uploads go
through `resources.decoding.photo_decoder`, which runs this in a worker process. The warnings that
Pillow gives on odd files are left to the caller's filters.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from okla_assets.imaging.photo import colour, icc, panorama
from okla_assets.imaging.photo.codec import P, fit_within
from okla_assets.imaging.photo.deep import Deep, deep_pixels
from okla_assets.imaging.photo.formats import DecodeNote, PhotoFormat, load, open_header, sniff
from okla_assets.imaging.photo.jpeg import load_jpeg, read_scans
from okla_assets.imaging.photo.lens import focal_length
from okla_assets.imaging.photo.png import read_chunks
from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.photo.tiff import Page, beginning_at, main_page
from okla_assets.imaging.photo.told_colour import ToldColour, told_colour
from okla_assets.imaging.types import Pixels, Rgb

ANIMATED_FORMATS: frozenset[PhotoFormat] = frozenset({"GIF", "WEBP", "AVIF", "PNG"})
ORIENTATION_TAG = 0x0112  # of EXIF and TIFF
ODD_BITS = (10, 12, 14)  # a sample of a TIFF
TURNED = range(2, 9)


@dataclass(frozen=True)
class DecodeLimits:
    """What a photo may ask of this machine; beyond it the photo is refused by name."""

    max_bytes: int = 60_000_000
    max_pixels: int = 120_000_000
    min_side: int = 64
    max_aspect: float = 8.0


@dataclass(frozen=True)
class DecodedPhoto:
    """An accepted photo.

    `rgb` is uint8 (H, W, 3), sRGB, upright, C-contiguous, long side at most the working side and
    never enlarged. `width` and `height` are those of the upright source, before any reduction;
    `focal` is the lens's focal length in diagonals of the picture, None where it does not tell.
    """

    rgb: Pixels
    width: int
    height: int
    format: PhotoFormat
    notes: tuple[DecodeNote, ...]
    focal: float | None = None


def decode(data: bytes, limits: DecodeLimits, working_side: int) -> DecodedPhoto:
    """The photo in `data`, upright, in sRGB, reduced by area averaging to `working_side`.

    A panorama's working side is `panorama.LARGER` times as long.

    Raises Refused with one of: empty_file, file_too_large, not_an_image, unsupported_format,
    corrupt, truncated, too_many_pixels, too_small, extreme_aspect.
    """
    if not data:
        raise Refused("empty_file", "The file is empty (0 bytes); upload the photo again.")
    if len(data) > limits.max_bytes:
        raise Refused(
            "file_too_large",
            f"The file has {len(data) / 1e6:.0f} MB, more than the {limits.max_bytes / 1e6:.0f} MB "
            "allowed; upload a smaller version of the photo.",
        )
    photo_format = sniff(data)
    notes: set[DecodeNote] = set()
    page = main_page(data) if photo_format == "TIFF" else None
    if page is not None and page.bits in ODD_BITS:
        loaded = _load_odd_tiff(data, page, limits, notes)
    else:
        if page is not None:
            data = beginning_at(data, page)
        loaded = _load(data, photo_format, limits, working_side, notes)
    width, height = loaded.width, loaded.height
    if loaded.orientation >= 5:
        width, height = height, width
    side = _side(width, height, working_side)
    rgb = _to_srgb(
        turn_upright(fit_within(loaded.pixels, side), loaded.orientation), loaded.colour, notes
    )
    if side > working_side:
        if panorama.is_named(data) or panorama.closes(rgb):
            notes.add("equirectangular")
        else:
            rgb = np.ascontiguousarray(fit_within(rgb, working_side))
    return DecodedPhoto(rgb, width, height, photo_format, tuple(sorted(notes)), loaded.focal)


def _side(width: int, height: int, working_side: int) -> int:
    """The working side of a photo that may turn out to be a panorama, or not."""
    return working_side * (panorama.LARGER if panorama.may_be(width, height) else 1)


@dataclass(frozen=True)
class _Loaded:
    """A picture as stored, or reduced while decoding; `width` and `height` are the file's.

    `pixels` are uint8 (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK, or uint16 RGB; `orientation` is
    what is still to be done.
    """

    pixels: Pixels | Deep
    width: int
    height: int
    orientation: int
    colour: ToldColour
    focal: float | None = None


def _load(
    data: bytes,
    photo_format: PhotoFormat,
    limits: DecodeLimits,
    working_side: int,
    notes: set[DecodeNote],
) -> _Loaded:
    chunks = None
    if photo_format == "PNG":
        chunks = read_chunks(data)
        data = chunks.data
    scans = read_scans(data) if photo_format == "JPEG" else None
    image = open_header(BytesIO(data), photo_format)
    _check_size(*image.size, limits)
    focal = focal_length(image)
    if photo_format in ANIMATED_FORMATS and getattr(image, "is_animated", False):
        notes.add("first_frame_of_animation")
    if scans is not None and isinstance(image, JpegImageFile):
        width, height = image.size
        orientation = _orientation(image, photo_format, notes)
        loaded = load_jpeg(image, data, scans, _side(width, height, working_side), notes)
        told = told_colour(loaded, data, photo_format, None)
        return _Loaded(_plain_pixels(loaded, data, notes), width, height, orientation, told, focal)
    told = told_colour(image, data, photo_format, chunks)
    if _needs_depth(image, data, told):
        orientation = _orientation(image, photo_format, notes)
        deep = deep_pixels(data, photo_format, told.bits)
        return _Loaded(deep, deep.shape[1], deep.shape[0], orientation, told, focal)
    if isinstance(image, TiffImageFile) and image.tag_v2.get(ORIENTATION_TAG) in TURNED:
        notes.add("rotated_by_exif")
    load(image, photo_format)
    width, height = image.size  # only now: Pillow turns a TIFF upright while loading it
    orientation = _orientation(image, photo_format, notes)
    return _Loaded(_plain_pixels(image, data, notes), width, height, orientation, told, focal)


def _load_odd_tiff(
    data: bytes, page: Page, limits: DecodeLimits, notes: set[DecodeNote]
) -> _Loaded:
    """A TIFF whose samples have a number of bits that Pillow does not know, or does not scale."""
    _check_size(page.width, page.height, limits)
    deep = deep_pixels(beginning_at(data, page), "TIFF", page.bits)
    notes.add("converted_16bit")
    if page.turned:
        notes.add("rotated_by_exif")
    pixels = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    told = ToldColour(colour.SRGB, page.icc, page.bits)
    return _Loaded(pixels, pixels.shape[1], pixels.shape[0], 1, told)


def _needs_depth(image: Image.Image, data: bytes, told: ToldColour) -> bool:
    """Whether eight bits would show steps: HDR and linear light in a file that has more."""
    coarse = told.space is not None and (told.space.hdr or told.space.transfer == 1)
    return coarse and (told.bits > 8 or _has_16_bits(image, data))


def _check_size(width: int, height: int, limits: DecodeLimits) -> None:
    short, long = sorted((width, height))
    if width * height > limits.max_pixels:
        raise Refused(
            "too_many_pixels",
            f"The file claims {width} x {height} pixels, more than the "
            f"{limits.max_pixels / 1e6:.0f} million allowed; upload a smaller version.",
        )
    if long > limits.max_aspect * short:
        raise Refused(
            "extreme_aspect",
            f"The picture is a strip of {width} x {height} pixels; upload an ordinary photo.",
        )
    if short < limits.min_side:
        raise Refused(
            "too_small",
            f"The picture has only {width} x {height} pixels; upload the original photo, "
            "not its thumbnail.",
        )


def _orientation(image: Image.Image, photo_format: PhotoFormat, notes: set[DecodeNote]) -> int:
    """The EXIF orientation still to be applied, 1..8."""
    if photo_format == "HEIF":
        # libheif has turned the picture by its irot and imir boxes, which the EXIF value repeats.
        done = image.info.get("original_orientation")
        orientation = 1
    else:
        try:
            orientation = image.getexif().get(ORIENTATION_TAG, 1)
        except Exception:  # noqa: BLE001  broken EXIF surfaces as any error at all
            orientation = 1
        done = orientation
    if done in TURNED:
        notes.add("rotated_by_exif")
    return orientation if orientation in TURNED else 1


def _plain_pixels(image: Image.Image, data: bytes, notes: set[DecodeNote]) -> Pixels:
    """uint8 (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK of a loaded image, flattened on white.

    Still in the file's own colour space: the ICC profile is applied afterwards.
    """
    deep = image.mode.startswith("I;16")
    if deep or _has_16_bits(image, data):
        notes.add("converted_16bit")
    if deep:
        notes.add("converted_gray")
        # Pillow would clip here; for the other 16-bit modes it keeps the high byte by itself.
        wide = np.asarray(image).astype(np.uint32)
        return ((wide + 128) // 257).astype(np.uint8)
    if image.mode in ("1", "L", "LA", "La"):
        notes.add("converted_gray")
    elif image.mode in ("P", "PA"):
        notes.add("converted_palette")
    elif image.mode == "CMYK":
        notes.add("converted_cmyk")
        return np.array(image)
    elif image.mode not in ("RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "LAB", "HSV"):
        raise Refused(
            "unsupported_format",
            f"The picture's pixel format ({image.mode}) is not one that photos have; "
            "upload the photo as JPEG, PNG, WebP or HEIC.",
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema() != (255, 255):
            notes.add("transparency_flattened")
            flat = Image.new("RGB", image.size, "white")
            flat.paste(image, mask=alpha)
            image = flat
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.array(image)


def _has_16_bits(image: Image.Image, data: bytes) -> bool:
    if isinstance(image, PngImageFile):
        return data[24] == 16  # IHDR stands first, at a fixed place
    return isinstance(image, TiffImageFile) and 16 in image.tag_v2.get(258, ())


def _to_srgb(pixels: Pixels | Deep, told: ToldColour, notes: set[DecodeNote]) -> Rgb:
    """RGB (H, W, 3) in sRGB from gray, RGB or CMYK pixels and what the file says of its colours."""
    if told.icc is not None and pixels.dtype == np.uint8:
        return icc.apply(pixels.astype(np.uint8, copy=False), told.icc, notes)
    rgb = pixels
    if pixels.ndim == 2:
        rgb = pixels[..., None].repeat(3, axis=2)
    elif pixels.shape[2] == 4:
        # By bytes: fromarray takes four channels for RGBA.
        cmyk = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes())
        rgb = np.array(cmyk.convert("RGB"))
    if told.space is None:
        notes.add("colour_unknown")
    elif told.space != colour.SRGB:
        notes.add("tone_mapped" if told.space.hdr else "colour_converted")
        rgb = colour.to_srgb(rgb, told.space)
    return np.ascontiguousarray(rgb, np.uint8)


def turn_upright(pixels: P, orientation: int) -> P:
    """Pixels (H, W) or (H, W, C) turned by an EXIF orientation 1..8 (EXIF 2.3, tag 0x0112)."""
    turned: npt.NDArray[Any] = pixels
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    return cast(P, np.ascontiguousarray(turned))

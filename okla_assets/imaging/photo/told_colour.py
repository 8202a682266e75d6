"""What a photo says its colours are: an ICC profile, code points, or EXIF."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base
from pillow_heif import open_heif

from okla_assets.imaging.photo import colour, icc as profiles
from okla_assets.imaging.photo.formats import PhotoFormat
from okla_assets.imaging.photo.png import PngChunks

INTEROPERABILITY_INDEX = 1  # of the IFD of this name
ADOBE_INDEX = "R03"  # DCF 2.0: optional colour space
ADOBE_COLOUR_SPACE, SRGB_COLOUR_SPACE = 2, 1  # EXIF ColorSpace; 2 is what Windows writes


@dataclass(frozen=True)
class ToldColour:
    """The space of a photo's numbers, and the profile that comes before it, if any.

    `space` is None where the file names one that is not known; `bits` are those of a sample in a
    HEIF or AVIF file, else 8.
    """

    space: colour.ColourSpace | None
    icc: bytes | None
    bits: int


def told_colour(
    image: Image.Image, data: bytes, photo_format: PhotoFormat, chunks: PngChunks | None
) -> ToldColour:
    """Reads it from the headers.

    Code points of HDR come before a profile, which cannot say where its white is; else a profile
    comes first (ISO/IEC 23008-12 and PNG have it so), then code points, then EXIF.
    """
    icc = image.info.get("icc_profile") or (chunks.icc if chunks else None)
    points, bits = None, 8
    if photo_format in ("HEIF", "AVIF"):
        points, bits = _heif_header(data)
    elif chunks is not None:
        points = chunks.code_points
    coded = colour.of_code_points(*points) if points else None
    if coded is not None and coded.hdr:
        return ToldColour(coded, None, bits)
    if icc:
        hdr = profiles.code_points(icc)
        if hdr is not None and hdr.hdr:
            return ToldColour(hdr, None, bits)
        return ToldColour(colour.SRGB, icc, bits)
    if points and points != (colour.UNSPECIFIED, colour.UNSPECIFIED):
        return ToldColour(coded, None, bits)
    if chunks is not None and "srgb" not in image.info:
        space = colour.of_png(image.info.get("gamma"), image.info.get("chromaticity"))
        if space != colour.SRGB:
            return ToldColour(space, None, bits)
    return ToldColour(colour.ADOBE if _adobe_by_exif(image) else colour.SRGB, None, bits)


def _heif_header(data: bytes) -> tuple[tuple[int, int] | None, int]:
    """Code points of the primary picture's nclx box, and the bits of a sample.

    libheif reads the header of AVIF too.
    """
    try:
        file = open_heif(BytesIO(data))
        info: dict[str, Any] = file[file.primary_index].info
    except Exception:  # noqa: BLE001  broken headers surface as any error at all; see open_header
        return None, 8
    told = info.get("nclx_profile")
    points = (int(told["color_primaries"]), int(told["transfer_characteristics"])) if told else None
    return points, int(info.get("bit_depth", 8))


def _adobe_by_exif(image: Image.Image) -> bool:
    """Whether the camera's EXIF says Adobe RGB, as DCF 2.0 has it, or as Windows does."""
    try:
        exif = image.getexif()
        camera = exif.get_ifd(IFD.Exif)
        space, index = camera.get(Base.ColorSpace), ""
        if Base.ExifInteroperabilityOffset in camera:
            index = str(exif.get_ifd(IFD.Interop).get(INTEROPERABILITY_INDEX, ""))
    except Exception:  # noqa: BLE001  broken EXIF surfaces as any error at all
        return False
    adobe = index.strip("\0 ") == ADOBE_INDEX and space != SRGB_COLOUR_SPACE
    return adobe or space == ADOBE_COLOUR_SPACE

"""The picture formats that uploads may have: recognised by their first bytes, opened and loaded.

Only the formats named here are ever handed to a parser.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Literal

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pillow_heif import HeifImageFile

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.photo.signatures import (
    AVIF_BRANDS,
    HEAD_BYTES,
    HEIF_BRANDS,
    is_bitmap,
    iso_brands,
    media_kind,
    raw_head,
)

PhotoFormat = Literal["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF", "GIF"]

DecodeNote = Literal[
    "colour_converted",
    "colour_unknown",
    "converted_16bit",
    "converted_cmyk",
    "converted_gray",
    "converted_palette",
    "damaged_data",
    "equirectangular",
    "first_frame_of_animation",
    "icc_converted",
    "icc_unreadable",
    "rotated_by_exif",
    "tone_mapped",
    "transparency_flattened",
    "truncated_repaired",
]
"""What was done to a photo on its way in, or what kind it is: an `equirectangular` one shows
the whole sphere. `damaged_data` and `colour_unknown` ask for a person's eye."""


def sniff(data: bytes) -> PhotoFormat:
    """The picture format by its first bytes, whatever the file is called.

    Raises Refused (not_an_image, unsupported_format) with what the file looks like instead.
    """
    head = data[:64]
    if head.startswith(b"\xff\xd8"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    raw = raw_head(head)
    if raw is not None:
        raise camera_raw(raw)
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    brands = iso_brands(data[:HEAD_BYTES])
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & HEIF_BRANDS:
        return "HEIF"
    if media_kind(data[:HEAD_BYTES]) == "video":
        raise Refused(
            "unsupported_format",
            "This file is a video, not a photo; upload it as the walk-around video.",
        )
    raise _not_a_photo(data)


def camera_raw(ending: str) -> Refused:
    """The refusal of a raw file, by the ending that such files go by."""
    return Refused(
        "unsupported_format",
        f"This file is camera raw ({ending}), not a finished photo; export it as JPEG or HEIC and "
        "upload that.",
    )


def _not_a_photo(data: bytes) -> Refused:
    """The refusal that says what a file without a known picture signature looks like."""
    head = data[:4096]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return Refused(
            "not_an_image",
            "This file holds an HTML page, not a picture; upload the photo again.",
        )
    if b"<svg" in text:
        what = "an SVG drawing"
    elif text.startswith(b"%pdf"):
        what = "a PDF document"
    elif head.startswith((b"RIFF", b"ID3")) or iso_brands(head):
        what = "a sound recording"
    elif head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        what = "a JPEG XL picture"
    elif head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        what = "a JPEG 2000 picture"
    elif is_bitmap(head) or head.startswith((b"8BPS", b"\0\0\1\0")):
        what = "a bitmap, icon or Photoshop picture"
    else:
        if not any(data):
            content = "holds nothing but zero bytes, as after a broken transfer"
        elif head.startswith((b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")):
            content = "is a compressed archive, not a picture"
        elif _is_text(head):
            content = "holds plain text, not a picture"
        else:
            content = "is not a picture in any format known here"
        return Refused("not_an_image", f"This file {content}; upload the photo again.")
    return Refused(
        "unsupported_format",
        f"This file is {what}; upload the photo as JPEG, PNG, WebP, HEIC, AVIF or TIFF.",
    )


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The cut at the end of the head may split one character.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(c.isprintable() or c.isspace() for c in text)


# The plugin classes are called directly because Image.open would try every parser it knows and
# check sizes against process-wide settings instead of `DecodeLimits`.
_OPENERS: dict[PhotoFormat, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "AVIF": AvifImageFile,
    "TIFF": TiffImageFile,
    "HEIF": HeifImageFile,
    "GIF": GifImageFile,
}


def open_header(stream: BytesIO, photo_format: PhotoFormat) -> ImageFile.ImageFile:
    """The picture with its header read and nothing decoded.

    Raises Refused: corrupt, too_many_pixels.
    """
    try:
        return _OPENERS[photo_format](stream)
    except (MemoryError, Image.DecompressionBombError) as error:
        raise _too_large() from error
    except Exception as error:  # broken headers surface as any error at all, KeyError to struct
        raise Refused(
            "corrupt",
            f"The file begins like a {photo_format} picture, but its header is damaged; "
            "upload the photo again.",
        ) from error


def load(image: ImageFile.ImageFile, photo_format: PhotoFormat) -> None:
    """Decodes the pixels in place. Raises Refused: corrupt, truncated, too_many_pixels."""
    with decoding(photo_format):
        image.load()


@contextmanager
def decoding(photo_format: PhotoFormat) -> Iterator[None]:
    """Turns a decoder's errors into Refused: corrupt, truncated, too_many_pixels."""
    try:
        yield
    except (MemoryError, Image.DecompressionBombError) as error:
        raise _too_large() from error
    except Exception as error:  # as in open_header
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise cut_off() from error
        raise _damaged(photo_format) from error


def _too_large() -> Refused:
    return Refused(
        "too_many_pixels",
        "The picture needs more memory than a photo may take; upload a smaller version.",
    )


def cut_off() -> Refused:
    return Refused(
        "truncated", "The file ends before the picture does; upload the photo again, completely."
    )


def _damaged(photo_format: PhotoFormat) -> Refused:
    return Refused(
        "corrupt",
        f"The picture data of this {photo_format} file is damaged; upload the photo again.",
    )

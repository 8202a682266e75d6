"""Bytes to pixels and back: the only file that knows file formats, EXIF, ICC and BGR.

What comes out of `decode` is what every later step may take for granted: upright, sRGB, no alpha,
no metadata, at most `working_side` long. Uploads are untrusted, so sizes are read from the header
before any pixel is decoded, and only the formats named here are ever handed to a parser.

`decode` bounds bytes and pixels, not seconds, and a native decoder can still crash: uploads go
through `resources.decoding.photo_decoder`, which runs this in a worker process. The warnings that
Pillow gives on odd files are left to the caller's filters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pillow_heif import HeifImageFile

from okla_assets.imaging.photo.refusals import Refused

Pixels = npt.NDArray[np.uint8]

PhotoFormat = Literal["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF", "GIF"]

DecodeNote = Literal[
    "converted_16bit",
    "converted_cmyk",
    "converted_gray",
    "converted_palette",
    "damaged_data",
    "first_frame_of_animation",
    "icc_converted",
    "icc_unreadable",
    "rotated_by_exif",
    "transparency_flattened",
    "truncated_repaired",
]
"""What was done to a photo on its way in. `damaged_data` asks for a person's eye."""

ANIMATED_FORMATS: frozenset[PhotoFormat] = frozenset({"GIF", "WEBP", "AVIF", "PNG"})
REPAIRABLE_SHARE = 0.03  # of the rows; a JPEG that lost more is refused
TAIL_BYTES = 16  # left out to see whether they matter: less than any damage loses
JPEG_END = b"\xff\xd9"
ORIENTATION_TAG = 0x0112  # of EXIF and TIFF
TURNED = range(2, 9)
# Bytes that may follow 0xFF inside JPEG scan data: stuffing, fill, restarts, and what may stand
# between the scans of a progressive file (tables, comment, start of scan).
SCAN_MARKERS = np.array(
    [0x00, 0xFF, *range(0xD0, 0xD8), 0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE], np.uint8
)


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
    never enlarged. `width` and `height` are those of the upright source, before any reduction.
    """

    rgb: Pixels
    width: int
    height: int
    format: PhotoFormat
    notes: tuple[DecodeNote, ...]


def decode(data: bytes, limits: DecodeLimits, working_side: int) -> DecodedPhoto:
    """The photo in `data`, upright, in sRGB, reduced by area averaging to `working_side`.

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
    stream = BytesIO(data)
    image = _open(stream, photo_format)
    _check_size(*image.size, limits)

    notes: set[DecodeNote] = set()
    if photo_format in ANIMATED_FORMATS and getattr(image, "is_animated", False):
        notes.add("first_frame_of_animation")
    if isinstance(image, JpegImageFile):
        width, height = image.size
        orientation = _orientation(image, photo_format, notes)
        loaded = _load_jpeg(image, data, stream.tell(), working_side, notes)
    else:
        if isinstance(image, TiffImageFile) and image.tag_v2.get(ORIENTATION_TAG) in TURNED:
            notes.add("rotated_by_exif")
        _load(image, photo_format)
        width, height = image.size  # only now: Pillow turns a TIFF upright while loading it
        orientation = _orientation(image, photo_format, notes)
        loaded = image
    icc = loaded.info.get("icc_profile")
    pixels = _plain_pixels(loaded, data, notes)

    if orientation >= 5:
        width, height = height, width
    pixels = fit_within(pixels, working_side)
    pixels = turn_upright(pixels, orientation)
    rgb = _to_srgb(pixels, icc, notes)
    return DecodedPhoto(rgb, width, height, photo_format, tuple(sorted(notes)))


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
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4], "big")
        brands = {head[8:12], *(data[i : i + 4] for i in range(16, min(size, 256), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "HEIF"
        raise Refused(
            "unsupported_format",
            "This file is a video, not a photo; upload it as the walk-around video.",
        )
    raise _not_a_photo(data)


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
    elif head.startswith((b"\x1a\x45\xdf\xa3", b"RIFF")):
        what = "a video or sound recording"
    elif head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        what = "a JPEG XL picture"
    elif head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        what = "a JPEG 2000 picture"
    elif head.startswith((b"BM", b"8BPS", b"\0\0\1\0")):
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


def _open(stream: BytesIO, photo_format: PhotoFormat) -> ImageFile.ImageFile:
    """Reads the header, decodes nothing."""
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


def _too_large() -> Refused:
    return Refused(
        "too_many_pixels",
        "The picture needs more memory than a photo may take; upload a smaller version.",
    )


def _load(image: ImageFile.ImageFile, photo_format: PhotoFormat) -> None:
    """Decodes the pixels in place."""
    try:
        image.load()
    except (MemoryError, Image.DecompressionBombError) as error:
        raise _too_large() from error
    except Exception as error:  # as in _open
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise _cut_off() from error
        raise _damaged(photo_format) from error


def _cut_off() -> Refused:
    return Refused(
        "truncated", "The file ends before the picture does; upload the photo again, completely."
    )


def _damaged(photo_format: PhotoFormat) -> Refused:
    return Refused(
        "corrupt",
        f"The picture data of this {photo_format} file is damaged; upload the photo again.",
    )


def _load_jpeg(
    image: JpegImageFile, data: bytes, start: int, working_side: int, notes: set[DecodeNote]
) -> Image.Image:
    """Decodes a JPEG, at 1/2, 1/4 or 1/8 where that is still no smaller than `working_side`.

    `start` is where the header was left: behind the first start-of-scan marker. Only the first
    picture of a multi-picture file is read. libjpeg's warnings do not get through Pillow, so damage
    that it papers over is looked for in the stream itself.
    """
    end = data.find(JPEG_END, start)
    progressive = bool(image.info.get("progressive"))
    if end < 0:
        image = JpegImageFile(BytesIO(data + JPEG_END))
    reduced = max(image.size) / working_side
    if reduced >= 2:
        image.draft(image.mode, (int(image.width / reduced), int(image.height / reduced)))
    _load(image, "JPEG")
    if end < 0:
        # A cut progressive file has every row, at a quality nobody can tell from here.
        if progressive or image.mode not in ("RGB", "L"):
            raise _cut_off()
        notes.add("truncated_repaired")
        return _fill_missing_rows(image)
    if _has_stray_marker(data, start, end) or (not progressive and _ends_early(data, end)):
        notes.add("damaged_data")
    return image


def _fill_missing_rows(image: JpegImageFile) -> Image.Image:
    """Continues the last complete row over the blocks that libjpeg filled with plain 128.

    Raises Refused (truncated) where more than REPAIRABLE_SHARE of the rows is missing.
    """
    pixels = np.array(image)
    gray = (pixels == 128).reshape(*pixels.shape[:2], -1).all(axis=2)
    present = np.flatnonzero(~gray[:, -1])
    first = int(present[-1]) + 1 if len(present) else 0
    if image.height - first > max(16, REPAIRABLE_SHARE * image.height):
        raise _cut_off()
    if 0 < first < image.height:
        above = np.broadcast_to(pixels[first - 1], pixels[first:].shape)
        pixels[first:][gray[first:]] = above[gray[first:]]
    repaired = Image.fromarray(pixels)
    repaired.info = image.info
    return repaired


def _has_stray_marker(data: bytes, start: int, end: int) -> bool:
    """Whether a marker stands inside the scan data that has no business there."""
    scan = np.frombuffer(data, np.uint8)[start : end + 1]
    after = scan[1:][scan[:-1] == 0xFF]
    return not bool(np.isin(after[:-1], SCAN_MARKERS).all())


def _ends_early(data: bytes, end: int) -> bool:
    """Whether the picture was complete before the scan data, which ends at `end`, was used up.

    That is libjpeg's warning "extraneous bytes before marker": a flipped bit puts the Huffman
    decoder out of step, which then needs fewer bytes than there are. In a sound file the last block
    needs the last bytes, and leaving them out shows. Tried at 1/8 size, where little but the
    Huffman decoding costs time; what that leaves open, when the last bytes hold only fine detail,
    is decided at full size.
    """
    cut = data[: end - TAIL_BYTES] + JPEG_END
    for scale in (8, 1):
        whole, without = (np.asarray(_scaled_jpeg(d, scale)) for d in (data, cut))
        # Blocks without data come out as plain 128; where the picture ends in that, nothing shows.
        if (whole[-1, -1] == 128).all() or not np.array_equal(whole, without):
            return False
    return True


def _scaled_jpeg(data: bytes, scale: int) -> Image.Image:
    image = JpegImageFile(BytesIO(data))
    image.draft(image.mode, (image.width // scale, image.height // scale))
    _load(image, "JPEG")
    return image


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


def _to_srgb(pixels: Pixels, icc: bytes | None, notes: set[DecodeNote]) -> Pixels:
    """RGB (H, W, 3) in sRGB from gray, RGB or CMYK pixels and the ICC profile they came with.

    A profile that says it is sRGB is not applied; one that is broken or made for another kind of
    pixels is ignored, with the note icc_unreadable.
    """
    mode = "L" if pixels.ndim == 2 else "RGB" if pixels.shape[2] == 3 else "CMYK"
    if mode == "RGB" and not icc:
        return pixels
    # By bytes: fromarray takes four channels for RGBA.
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(icc))
            space = profile.profile.xcolor_space.strip()
            if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != mode:
                raise ImageCms.PyCMSError(f"a {space} profile on {mode} pixels")
            if "sRGB" not in (profile.profile.profile_description or ""):
                srgb = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
                if converted is not None:
                    image = converted
                notes.add("icc_converted")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.add("icc_unreadable")
    return np.ascontiguousarray(np.asarray(image.convert("RGB")))


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels (H, W) or (H, W, C) turned by an EXIF orientation 1..8 (EXIF 2.3, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def fit_within(pixels: Pixels, side: int) -> Pixels:
    """Pixels reduced by area averaging so that the long side is at most `side`; never enlarged."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Pixels (H, W) or (H, W, C) at the given size: area averaging down, bicubic up."""
    down = width * height < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if down else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)


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


def encode_png(pixels: Pixels, level: int = 3) -> bytes:
    """PNG bytes of gray uint8 (H, W) or RGB uint8 (H, W, 3); `level` is zlib's, 0..9."""
    return _imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])


def encode_webp(rgb: Pixels, quality: int = 85) -> bytes:
    """Lossy WebP bytes of RGB uint8 (H, W, 3), quality 1..100, no metadata."""
    return _imencode(".webp", rgb, [cv2.IMWRITE_WEBP_QUALITY, quality])


def encode_avif(rgb: Pixels, quality: int = 70) -> bytes:
    """AVIF bytes of RGB uint8 (H, W, 3), no metadata."""
    out = BytesIO()
    # One thread, or the tiles and so the bytes would follow the number of cores.
    Image.fromarray(rgb).save(out, "AVIF", quality=quality, speed=6, max_threads=1)
    return out.getvalue()


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

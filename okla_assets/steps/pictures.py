"""Reading and writing the pipeline's own pictures, and the sizes they are kept at.

Working copies are JPEG (RGB, 4:4:4), mattes 8-bit PNG of the copy's size.
"""

from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.options import StudioOptions
from resources.storage.media_store import MediaStore

# Just under half of a 12 MP phone photo's 4032, so that JPEG can be decoded at half scale.
WORKING_SIDE = 2016
FRAME_SIDE = 1280
WORKING_QUALITY = 95


def read_picture(store: MediaStore, key: str) -> Rgb:
    """A working copy or finished picture, RGB uint8 (H, W, 3)."""
    from okla_assets.imaging.photo import codec

    return codec.decode_trusted(store.get(key))


def read_matte(store: MediaStore, key: str) -> Alpha:
    """A matte, float32 (H, W) in [0, 1]."""
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.studio import studio

    return studio.as_alpha(codec.decode_gray(store.get(key)))


def encode_working(picture: Rgb) -> bytes:
    """A working copy as JPEG."""
    from okla_assets.imaging.photo import codec

    return codec.encode_jpeg(picture, WORKING_QUALITY, subsampling444=True)


def encode_finished(picture: Rgb, options: StudioOptions) -> bytes:
    """A finished picture in the format and quality that its options ask for."""
    from okla_assets.imaging.photo import codec

    if options.output_format == "png":
        return codec.encode_png(picture)
    if options.output_format == "webp":
        return codec.encode_webp(picture, options.output_quality)
    return codec.encode_jpeg(picture, options.output_quality)

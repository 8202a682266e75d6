"""Finished pictures in the sizes that web pages ask for, named by their bytes.

WebP was measured against AVIF on finished pictures: at 640 pixels of width AVIF of the same look
saves a fifth at best and costs ten times the seconds (docs/measured.md).
"""

from okla_assets import keys
from okla_assets.imaging.types import Rgb
from okla_assets.steps.batches import Outputs
from okla_assets.tables import Projection, SizedPicture

SMALL_FRAME = 640
"""Width of the spin's first pictures: 36 of them come in 25 s at 400 kbit/s."""
PHOTO_WIDTHS = (800, 1200)
PANORAMA_WIDTHS = (2016,)
SMALL_QUALITY, LARGE_QUALITY = 75, 80


def sizes_of_frame(
    vehicle: keys.VehicleId, position: int, picture: Rgb
) -> tuple[tuple[SizedPicture, ...], Outputs]:
    """A spin picture small (WebP, and JPEG for old browsers) and whole (WebP); its files.

    The whole JPEG is `keys.spin_frame`.
    """
    from okla_assets.imaging.photo import codec

    whole, small = picture.shape[1], codec.fit_width(picture, SMALL_FRAME)
    made = [(small, codec.encode_webp(small, SMALL_QUALITY), "webp")]
    if small.shape[1] < whole:
        made.append((small, codec.encode_progressive(small, SMALL_QUALITY), "jpg"))
        made.append((picture, codec.encode_webp(picture, LARGE_QUALITY), "webp"))
    named = [
        (keys.sized_frame(vehicle, position, pixels.shape[1], data, suffix), pixels, data)
        for pixels, data, suffix in made
    ]
    return _listed(named)


def sizes_of_photo(
    vehicle: keys.VehicleId,
    category: str,
    number: int,
    picture: Rgb,
    projection: Projection | None = None,
) -> tuple[tuple[SizedPicture, ...], Outputs]:
    """A finished photo as WebP at those of PHOTO_WIDTHS that are narrower than it; its files.

    Of a panorama the widths are PANORAMA_WIDTHS, and its own.
    """
    from okla_assets.imaging.photo import codec

    whole = picture.shape[1]
    wanted = (*PANORAMA_WIDTHS, whole) if projection else PHOTO_WIDTHS
    named = []
    for width in sorted(set(wanted)):
        if width < whole or (projection and width == whole):
            pixels = codec.fit_width(picture, width)
            data = codec.encode_webp(pixels, LARGE_QUALITY)
            key = keys.sized_photo(vehicle, category, number, width, data, "webp")
            named.append((key, pixels, data))
    return _listed(named)


def _listed(named: list[tuple[str, Rgb, bytes]]) -> tuple[tuple[SizedPicture, ...], Outputs]:
    sizes = tuple(
        SizedPicture(key=key, width=pixels.shape[1], height=pixels.shape[0])
        for key, pixels, _ in named
    )
    return sizes, {key: data for key, _, data in named}

"""How wide a lens a photo was taken with, as its EXIF tells."""

from PIL import Image
from PIL.ExifTags import IFD, Base

FILM_DIAGONAL = 43.27
"""Millimetres; equivalent focal lengths are told by the picture's diagonal (CIPA DCG-001)."""

SHORTEST, LONGEST = 10.0, 200.0
"""Millimetres on 35 mm film: a vehicle is photographed with no other."""

CROPPED = 0.02
"""A picture whose width by its height is off by this from what EXIF says was cut afterwards."""


def focal_length(image: Image.Image) -> float | None:
    """Focal length in diagonals of the picture, from the equivalent on 35 mm film.

    None where EXIF does not tell it, tells nonsense, or tells of a picture of another shape: it was
    cropped after it was taken.
    """
    try:
        camera = image.getexif().get_ifd(IFD.Exif)
        length = float(camera.get(Base.FocalLengthIn35mmFilm, 0))
        told = [float(camera.get(tag, 0)) for tag in (Base.ExifImageWidth, Base.ExifImageHeight)]
    except Exception:  # noqa: BLE001  broken EXIF surfaces as any error at all
        return None
    if not SHORTEST <= length <= LONGEST:
        return None
    if min(told) > 0:
        sides, stored = sorted(told), sorted(image.size)
        if abs(sides[0] / sides[1] - stored[0] / stored[1]) > CROPPED:
            return None
    return length / FILM_DIAGONAL

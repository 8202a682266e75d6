"""Small made photos: a saturated blob stands for a car, on a grey street that differs by seed.

Only the fakes of `tests/fakes.py` see a car in them. Same arguments, same bytes.
"""

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 360, 270
CLEAR = (235, 90, 10)
"""Paint of a car that the fake segmenter cuts well."""
DOUBTFUL = (20, 220, 60)
"""Paint of a car about which its two networks would disagree."""
PLATE = (250, 230, 20)
"""Ground of the plate that the fake plate detector finds."""
SKIN = (230, 185, 160)
FACE = (15, 10, 45, 50)
"""Where `with_face` paints a face: left, top, right, bottom."""
GPS_IFD, ARTIST, ORIENTATION = 0x8825, 0x013B, 0x0112


def car(seed: int = 0, paint: tuple[int, int, int] = CLEAR) -> Pixels:
    """RGB uint8 (270, 360, 3): a whole car somewhere near the middle."""
    image = Image.fromarray(_ground(seed, 110, 190))
    left, top = 80 + 7 * (seed % 6), 100 + 5 * (seed % 4)
    ImageDraw.Draw(image).ellipse((left, top, left + 180, top + 90), fill=paint)
    return np.asarray(image)


def plated_car(seed: int = 0) -> Pixels:
    """The same with a yellow plate that carries black characters."""
    image = Image.fromarray(car(seed))
    left, top = 80 + 7 * (seed % 6), 100 + 5 * (seed % 4)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left + 60, top + 56, left + 120, top + 72), fill=PLATE)
    draw.text((left + 66, top + 58), "AB 1234", fill=(0, 0, 0))
    return np.asarray(image)


def with_face(pixels: Pixels) -> Pixels:
    """The same with somebody in the upper left, whose face the fake face detector finds."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    draw.ellipse(FACE, fill=SKIN)
    for x, y in ((23, 24), (33, 24), (28, 36)):  # two eyes and a mouth
        draw.ellipse((x, y, x + 5, y + 4), fill=(20, 20, 20))
    return np.asarray(image)


def cropped_car(seed: int = 0) -> Pixels:
    """A close-up: the car runs out of the picture on all sides."""
    image = Image.fromarray(_ground(seed, 110, 190))
    ImageDraw.Draw(image).ellipse((-40, -40, WIDTH + 40, HEIGHT + 40), fill=CLEAR)
    return np.asarray(image)


def cabin(seed: int = 0) -> Pixels:
    """No car to be seen, and dark: an interior to the fake view classifier."""
    return _ground(seed, 20, 90)


def paper(seed: int = 0) -> Pixels:
    """No car to be seen, and bright: a document."""
    return _ground(seed, 160, 240)


def jpeg(pixels: Pixels, quality: int = 88, **options: Any) -> bytes:
    """The picture as a phone would save it."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def png(pixels: Pixels) -> bytes:
    """The picture without loss."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def with_gps(pixels: Pixels) -> bytes:
    """A JPEG whose EXIF says where it was taken and by whom."""
    exif = Image.Exif()
    exif[ARTIST] = "Rosa Secreta"
    exif.get_ifd(GPS_IFD).update(
        {1: "N", 2: (18.0, 28.0, 53.0), 3: "W", 4: (69.0, 55.0, 53.0), 29: "2024:05:01"}
    )
    return jpeg(pixels, exif=exif)


def _ground(seed: int, darkest: int, brightest: int) -> Pixels:
    """Grey blocks of random size and tone, so that no two seeds look alike."""
    rng = np.random.default_rng(seed)
    grey = np.full((HEIGHT, WIDTH), (darkest + brightest) // 2, np.uint8)
    for _ in range(60):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        w, h = rng.integers(15, 120, 2)
        grey[y : y + h, x : x + w] = rng.integers(darkest, brightest)
    return np.repeat(grey[..., None], 3, axis=2)

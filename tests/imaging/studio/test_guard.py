"""The sample's car on the scene: true as it is made, found out when something is painted."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.enhance import corrected
from okla_assets.imaging.photo.set_colour import measure, solve
from okla_assets.imaging.studio import guard, studio
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Alpha, Floats, Rgb
from okla_assets.sample import FOLDER, MEDIA
from okla_assets.sample.truth import truth

Mask = npt.NDArray[np.float32]


class Finished:
    """One of the sample's photos in the studio, and what it was made of."""

    def __init__(self, number: int, side: int = 1600) -> None:
        view = truth().photos[number]
        photo = codec.fit_within(codec.decode_trusted((MEDIA / view.file).read_bytes()), side)
        grey = codec.decode_gray((FOLDER / str(view.matte)).read_bytes())
        grey = codec.resize(grey, photo.shape[1], photo.shape[0])
        self.alpha: Alpha = studio.as_alpha(grey)
        (correction,) = solve([measure(photo, self.alpha)])
        self.photo = corrected(photo, correction)
        look = Look(SCENES["white_studio"], Casting())
        placement = place(extent(self.alpha), 1600, 4 / 3)
        camera = view_of(self.alpha, view.azimuth_deg)
        self.picture = studio.compose(self.photo, self.alpha, placement, camera, look)
        self.move: Floats = guard.placed_at(placement.box_of(self.photo), self.photo, self.picture)
        solid = cv2.warpAffine(self.alpha, self.move, self.picture.shape[1::-1]) > 0.99
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        self.left, self.right = int(columns[0]), int(columns[-1])
        self.top, self.bottom = int(rows[0]), int(rows[-1])

    def compared(self, picture: Rgb) -> Truth:
        return guard.compare(picture, self.photo, self.move, self.alpha)

    @property
    def door(self) -> tuple[int, int]:
        """A point on plain paint: x, y."""
        return (self.left + self.right) // 2, round(self.top + 0.55 * (self.bottom - self.top))


@pytest.fixture(scope="module")
def side() -> Finished:
    return Finished(7)


@pytest.mark.parametrize("number", [0, 5, 7])
def test_what_the_studio_makes_is_true(number: int) -> None:
    made = Finished(number)
    as_made = made.compared(made.picture)
    assert as_made.broken is None
    assert as_made.typical > 0
    for quality in (90, 60):
        again = codec.decode_trusted(codec.encode_jpeg(made.picture, quality))
        assert made.compared(again).broken is None, quality


@pytest.mark.parametrize("number", [0, 3, 5, 7])
@pytest.mark.parametrize("side", [640, 500, 360])
def test_a_small_photo_that_the_studio_enlarges_is_true(number: int, side: int) -> None:
    made = Finished(number, side)
    found = made.compared(made.picture)
    assert (found.typical < 1.5, found.tile < 4, found.patch < 1.6) == (True, True, True), found


def test_a_photo_made_smaller_is_true(side: Finished) -> None:
    small = codec.fit_within(side.photo, 900)
    whole = guard.placed_at((0, 0, 1, 1), side.photo, small)
    assert guard.compare(small, side.photo, whole).broken is None
    small[100:130, 200:260] = 255
    assert guard.compare(small, side.photo, whole).broken is not None


def blob(made: Finished, width: int, height: int) -> Mask:
    """A soft spot on the door, 0 to 1."""
    y, x = np.mgrid[: made.picture.shape[0], : made.picture.shape[1]].astype(np.float32)
    cx, cy = made.door
    return np.asarray(np.exp(-((((x - cx) / width) ** 2 + ((y - cy) / height) ** 2) ** 2)), "f4")


def mixed(picture: Rgb, other: npt.NDArray[Any], mask: Mask) -> Rgb:
    a = mask[..., None]
    return np.asarray((picture * (1 - a) + other * a).clip(0, 255).round(), np.uint8)


def dented(made: Finished) -> Rgb:
    """Shaded as a dent of 9 cm is: as much is lost where one is smoothed away."""
    up = np.linspace(0.8, 1.25, 60)
    shade = np.ones(made.picture.shape[:2], np.float32)
    shade[made.door[1] - 30 : made.door[1] + 30] = up[:, None]
    return mixed(made.picture, made.picture * shade[..., None], blob(made, 45, 25))


def inpainted(made: Finished, at: tuple[int, int], width: int, height: int) -> Rgb:
    hole = np.zeros(made.picture.shape[:2], np.uint8)
    cv2.rectangle(hole, (at[0], at[1]), (at[0] + width, at[1] + height), 255, -1)
    return np.asarray(cv2.inpaint(made.picture, hole, 5, cv2.INPAINT_TELEA), np.uint8)


def handle_erased(made: Finished) -> Rgb:
    """The most detailed small part of the upper door is painted over."""
    busy = np.abs(cv2.Laplacian(cv2.cvtColor(made.picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F))
    busy = cv2.boxFilter(busy, -1, (44, 20))
    cx, cy = made.door
    part = busy[cy - 60 : cy + 20, cx - 200 : cx + 200]
    y, x = np.unravel_index(int(part.argmax()), part.shape)
    return inpainted(made, (cx - 200 + int(x) - 22, cy - 60 + int(y) - 10), 44, 20)


def hue_shifted(made: Finished) -> Rgb:
    hsv = cv2.cvtColor(made.picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 7) % 180
    return mixed(made.picture, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), blob(made, 60, 40))


def wheels(made: Finished) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    size = round(0.18 * (made.right - made.left))
    rows = slice(made.bottom - size, made.bottom - size // 8)
    margin = round(0.1 * (made.right - made.left))
    return (rows, slice(made.left + margin, made.left + margin + size)), (
        rows,
        slice(made.right - margin - size, made.right - margin),
    )


def wheel_swapped(made: Finished) -> Rgb:
    picture = made.picture.copy()
    front, rear = wheels(made)
    picture[front] = made.picture[rear]
    return picture


def wheel_turned(made: Finished) -> Rgb:
    picture = made.picture.copy()
    front, _ = wheels(made)
    picture[front] = picture[front][:, ::-1]
    return picture


def scratched(made: Finished) -> Rgb:
    """As much is lost where a scratch is painted away."""
    picture = made.picture.copy()
    x, y = made.door
    lighter = tuple(int(v) for v in np.minimum(picture[y, x].astype(int) + 70, 255))
    cv2.line(picture, (x - 80, y - 8), (x + 80, y + 8), lighter, 2, cv2.LINE_AA)
    return picture


def rusted(made: Finished) -> Rgb:
    picture = made.picture.copy()
    cv2.circle(picture, made.door, 9, (95, 60, 35), -1, cv2.LINE_AA)
    return picture


def with_logo(made: Finished) -> Rgb:
    picture = made.picture.copy()
    x, y = made.door
    cv2.putText(picture, "DEAL", (x - 40, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (250, 250, 250), 2)
    return picture


def mirrored(made: Finished) -> Rgb:
    picture = made.picture.copy()
    columns = slice(made.left, made.right + 1)
    picture[:, columns] = made.picture[:, columns][:, ::-1]
    return picture


def recoloured(made: Finished) -> Rgb:
    hsv = cv2.cvtColor(made.picture, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1] * 1.2 + 5, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def polished(made: Finished) -> Rgb:
    """A reflection is painted onto the door."""
    return mixed(made.picture, made.picture * 1.18 + 6, blob(made, 90, 30))


def window_painted(made: Finished) -> Rgb:
    picture = made.picture.copy()
    x, y = made.door[0], round(made.top + 0.25 * (made.bottom - made.top))
    cv2.ellipse(picture, (x - 60, y), (40, 14), 0, 0, 360, (190, 200, 205), -1)
    return picture


def moved(made: Finished) -> Rgb:
    return np.roll(made.picture, 8, axis=1)


def stretched(made: Finished) -> Rgb:
    x = (made.left + made.right) / 2
    wider = np.array([[1.03, 0, -0.03 * x], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(made.picture, wider, made.picture.shape[1::-1]), np.uint8)


@pytest.mark.parametrize(
    "alter",
    [
        dented,
        handle_erased,
        hue_shifted,
        wheel_swapped,
        wheel_turned,
        scratched,
        rusted,
        with_logo,
        mirrored,
        recoloured,
        polished,
        window_painted,
        moved,
        stretched,
    ],
)
def test_what_is_altered_is_found(alter: Callable[[Finished], Rgb], side: Finished) -> None:
    broken = side.compared(alter(side)).broken
    assert broken is not None
    assert "not as on the photo" in broken


def test_what_lies_outside_is_not_the_vehicle(side: Finished) -> None:
    """Another scene, and a part that the matte leaves out."""
    picture = side.picture.copy()
    outside = cv2.warpAffine(side.alpha, side.move, picture.shape[1::-1]) == 0
    picture[outside] = (20, 90, 160)
    assert side.compared(picture).broken is None
    nothing = np.zeros_like(side.alpha)
    assert guard.compare(picture, side.photo, side.move, nothing) == Truth(0, 0, 0)

"""The photo's own shadow against that of a render, which `test_truth_of_shadow` describes."""

import cv2
import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import View, view_of
from okla_assets.imaging.studio.own_shadow import NotPlain, shadow_of
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look, as_alpha
from okla_assets.imaging.types import Alpha, Floats, Rgb
from okla_assets.sample import FOLDER
from tests.benchmarks.studio_floor import near
from tests.imaging.studio.test_truth_of_shadow import AZIMUTHS, RENDERED

GROUND = (176, 171, 168)


def rendered(name: str) -> tuple[Floats, Alpha, View]:
    """The floor's light of a render in levels (H, W), the car's matte, and its camera."""
    (path,) = (path for path in RENDERED if path.stem == name)
    light = codec.decode_gray(path.read_bytes()).astype(np.float32)
    grey = codec.decode_gray((FOLDER / "mattes" / path.name).read_bytes())
    small = cv2.resize(grey, light.shape[::-1], interpolation=cv2.INTER_AREA)
    alpha = as_alpha(np.asarray(small, np.uint8))
    view = view_of(alpha, AZIMUTHS[name])
    assert view is not None
    return light, alpha, view


def photographed(light: Floats, alpha: Alpha, ground: Floats | None = None) -> Rgb:
    """The render on a ground that gets darker to one side, with a camera's grain."""
    height, width = light.shape
    fall = (
        np.linspace(1.0, 0.85, width)[None, :, None] * np.linspace(0.9, 1.0, height)[:, None, None]
    )
    floor = np.broadcast_to(
        np.array(GROUND, np.float32) if ground is None else ground, (height, width, 3)
    )
    photo = floor * fall * light[..., None] / 255
    photo = photo * (1 - alpha[..., None]) + np.array((30, 40, 120)) * alpha[..., None]
    grain = np.random.default_rng(0).normal(0, 2, photo.shape)
    return np.asarray((photo + grain).clip(0, 255).round(), np.uint8)


@pytest.mark.parametrize("name", [path.stem for path in RENDERED])
def test_the_shadow_is_that_of_the_photo(name: str) -> None:
    light, alpha, view = rendered(name)
    taken = shadow_of(photographed(light, alpha), alpha, view)
    assert taken.shape == alpha.shape
    off = np.abs(255 * (1 - taken) - light)[near(alpha, view)].mean()
    assert off < 7  # without any shadow it is 14 to 20


def test_a_sunny_shadow_far_from_the_car_is_taken_over() -> None:
    light, alpha, view = rendered("IMG_0104")
    cast = light.copy()
    bottom = np.flatnonzero((alpha > 0.5).any(axis=1))[-1]
    reach = round(0.4 * view.vehicle_height)
    cast[bottom - 10 : bottom + reach, 100:220] *= 0.5
    taken = shadow_of(photographed(cast, alpha), alpha, view)
    assert taken[bottom + reach - 12, 160] == pytest.approx(0.5, abs=0.08)
    assert taken[bottom + reach + 12].max() < 0.1


def tiles(height: int, width: int) -> Floats:
    y, x = np.mgrid[0:height, 0:width]
    dark = ((x // 40 + y // 40) % 2).astype(np.float32)[..., None]
    return np.asarray(np.array(GROUND, np.float32) * (1 - 0.4 * dark), np.float32)


def halves(height: int, width: int) -> Floats:
    ground = np.tile(np.array(GROUND, np.float32), (height, width, 1))
    ground[:, : width // 2] = (214, 160, 110)
    grey = ground @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(ground * 171.0 / grey[..., None], np.float32)


@pytest.mark.parametrize(
    ("ground", "why"), [(tiles, "not of one level"), (halves, "not of one colour")]
)
def test_a_ground_that_is_not_plain_gives_none(ground: object, why: str) -> None:
    assert callable(ground)
    light, alpha, view = rendered("IMG_0101")
    with pytest.raises(NotPlain, match=why):
        shadow_of(photographed(light, alpha, ground(*light.shape)), alpha, view)


def test_a_car_that_fills_the_photo_gives_none() -> None:
    light, alpha, view = rendered("IMG_0104")
    place_of = extent(alpha)
    rows, columns = slice(place_of.y0, place_of.y1 + 4), slice(place_of.x0, place_of.x1 + 1)
    near_view = view.placed(1.0, -place_of.x0, -place_of.y0)
    with pytest.raises(NotPlain, match="too little of the ground"):
        shadow_of(photographed(light, alpha)[rows, columns], alpha[rows, columns], near_view)


def test_a_shadow_that_leaves_the_photo_gives_none() -> None:
    light, alpha, view = rendered("IMG_0104")
    cast = light.copy()
    bottom = np.flatnonzero((alpha > 0.5).any(axis=1))[-1]
    cast[bottom - 10 :, 100:220] *= 0.5
    with pytest.raises(NotPlain, match="beyond the photo's border"):
        shadow_of(photographed(cast, alpha), alpha, view)


def test_it_takes_the_place_of_the_drawn_one_in_the_studio() -> None:
    light, alpha, view = rendered("IMG_0101")
    photo = photographed(light, alpha)
    placement = place(extent(alpha), 800, 4 / 3)
    cut = studio.cut_out(photo, alpha, placement)
    scene = SCENES["white_studio"]
    bare = studio.on_scene(cut, placement, view, Look(scene, None))
    taken = shadow_of(photo, alpha, view)
    made = studio.on_scene(cut, placement, view, Look(scene, Casting()), taken)
    weak = studio.on_scene(cut, placement, view, Look(scene, Casting(intensity=0.5)), taken)
    floor = placement.laid(near(alpha, view).astype(np.float32)) > 0.99
    wanted = bare * (1 - placement.laid(taken))[..., None]
    assert np.abs(made - wanted)[floor].mean() < 1
    assert np.abs((bare.astype(float) - weak) * 2 - (bare.astype(float) - made))[floor].mean() < 1.5

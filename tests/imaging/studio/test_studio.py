from dataclasses import replace

import numpy as np
import pytest

from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.disc import on_turntable
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.own_scene import own_scene
from okla_assets.imaging.studio.placement import extent, place, wheel_line, width_share
from okla_assets.imaging.studio.reflection import UNDERSIDE
from okla_assets.imaging.studio.scenes import SCENES, SceneId
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look
from tests.imaging.scenes import PAINT, STREET, car_alpha, photo_of

WIDTH, ASPECT = 1600, 4 / 3
WHITE = SCENES["white_studio"]


def finished(
    scale: float = 1.0,
    shift: int = 0,
    casting: Casting | None = Casting(),  # noqa: B008 (frozen)
    scene: SceneId = "white_studio",
) -> np.ndarray:
    alpha = car_alpha() if scale == 1 else _scaled(scale)
    alpha = np.roll(alpha, shift, axis=1)
    placement = place(extent(alpha), WIDTH, ASPECT)
    look = Look(SCENES[scene], casting)
    return studio.compose(photo_of(alpha), alpha, placement, view_of(alpha, 90.0), look)


def _scaled(scale: float) -> np.ndarray:
    import cv2

    full = car_alpha()
    return np.asarray(cv2.resize(full, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def paint_rows_and_columns(picture: np.ndarray) -> tuple[int, int, int, int]:
    near = np.abs(picture.astype(int) - PAINT).max(axis=2) < 12
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0), (1.0, -100), (2.0, 0), (1.0, 120)])
def test_scale_wheel_line_and_middle_are_the_same_across_a_set(scale: float, shift: int) -> None:
    """However near the photographer stood and wherever the car was in the photo."""
    picture = finished(scale, shift)
    height, width = picture.shape[:2]
    _, bottom, left, right = paint_rows_and_columns(picture)
    assert bottom / height == pytest.approx(wheel_line(ASPECT), abs=0.005)
    assert (left + right) / 2 / width == pytest.approx(0.5, abs=0.003)
    assert (right - left) / width == pytest.approx(width_share(500, 200, ASPECT), abs=0.007)


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_of_the_old_street_is_left(scene: SceneId) -> None:
    picture = finished(scene=scene).astype(int)
    street = np.abs(picture - STREET).max(axis=2) < 25
    assert street.sum() == 0


@pytest.mark.parametrize("scene", SCENES)
def test_the_vehicle_itself_is_the_same_on_every_scene(scene: SceneId) -> None:
    picture = finished(scene=scene)
    top, bottom, left, right = paint_rows_and_columns(picture)
    middle = picture[(top + bottom) // 2, left + 150 : right - 150]
    assert np.abs(middle.astype(int) - PAINT).max() <= 1


def test_the_shadow_darkens_the_floor_under_the_car_and_nothing_far_from_it() -> None:
    lit, shaded = finished(casting=None).astype(int), finished().astype(int)
    darker = (lit - shaded).max(axis=2)
    _, bottom, left, right = paint_rows_and_columns(lit)
    middle = (left + right) // 2
    assert darker[bottom - 12, middle] > 90  # between the tyres
    assert darker[: len(lit) // 4].max() <= 3
    assert darker[-10:].max() < darker.max() / 4
    assert darker[:, [0, -1]].max() < darker.max() / 2


def test_the_turntable_lies_under_the_vehicle_alone() -> None:
    plain, turned = finished(), finished(scene="turntable")
    _, bottom, _, _ = paint_rows_and_columns(plain)
    changed = np.abs(plain.astype(int) - turned).max(axis=2)
    assert changed[bottom:].max() > 20  # its rim
    assert changed[: bottom - 250].max() == 0


def test_a_long_low_vehicle_does_not_hang_over_the_turntable() -> None:
    alpha = car_alpha()
    placement = place(extent(alpha), WIDTH, ASPECT)
    view = view_of(alpha, 90.0)
    assert view is not None
    seen = view.placed(placement.scale, placement.left, placement.top)
    middle = seen.footprint.mean(axis=0)
    seen = replace(seen, footprint=middle + 1.4 * (seen.footprint - middle))
    floor = floor_of(studio.cut_out(photo_of(alpha), alpha, placement).alpha, seen)
    bare = np.full((placement.height, placement.width, 3), 100, np.float32)
    disc = on_turntable(bare, floor)
    corners = seen.seen(seen.footprint)
    corners[:, 1] += np.median(floor.shift)
    for x, y in np.rint(corners).astype(int):
        if 0 <= x < placement.width and 0 <= y < placement.height:
            assert disc[y, x, 0] > 100, (x, y)


def test_without_a_view_the_vehicle_stands_on_the_empty_scene() -> None:
    alpha = car_alpha()
    placement = place(extent(alpha), WIDTH, ASPECT)
    picture = studio.compose(photo_of(alpha), alpha, placement, None, Look(WHITE, Casting()))
    assert paint_rows_and_columns(picture) == paint_rows_and_columns(finished())


def test_the_same_input_gives_the_same_bytes() -> None:
    assert (finished() == finished()).all()


def test_a_floor_of_two_colours_shines_within_its_levels() -> None:
    """The image is worked out smaller than the picture, where a joint is as light as its slabs: it
    took more from it than was there, which came out as a pale line."""
    alpha = car_alpha()
    rows, columns = np.mgrid[:600, :800]
    room = np.full((600, 800, 3), 230, np.uint8)
    room[(rows > 300) & ((columns // 12 + rows // 12) % 2 == 0)] = 4
    toml = b"horizon = 0.4\nwheels = 0.7\ngloss = 1.0\nroughness = 0.0\n"
    placement = place(extent(alpha), 800, 4 / 3, "side")

    def floor(gloss: float) -> np.ndarray:
        scene = replace(own_scene("mine", toml, room, "digest"), gloss=gloss)
        black = photo_of(alpha, (0, 0, 0))
        look = Look(scene, None)
        return studio.compose(black, alpha, placement, view_of(alpha, 90.0), look).astype(int)

    brighter = floor(1.0) - floor(0.0)
    assert brighter.min() < -20  # a black car takes light from the floor
    assert brighter[floor(0.0) < 100].max() <= UNDERSIDE

"""Against the sample's cameras, whose place is known, and a drawn side view."""

import math

import cv2
import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.camera import (
    STANDS,
    View,
    set_height,
    tells_height,
    view_of,
)
from okla_assets.imaging.types import Alpha
from okla_assets.sample import FOLDER
from okla_assets.sample.render import EXTERIORS, Shot
from tests.imaging.scenes import car_alpha

Point = tuple[float, float]

CAR_HEIGHT = 1.5  # metres; see sample/body.py


def azimuth(shot: Shot) -> float:
    return float(np.degrees(np.arctan2(shot.place[1], shot.place[0])) % 360)


def matte(shot: Shot) -> Alpha:
    grey = codec.decode_gray((FOLDER / "mattes" / f"{shot.name}.png").read_bytes())
    return np.asarray(grey / np.float32(255), np.float32)


def true_horizon(shot: Shot, alpha: Alpha) -> float:
    """In shares of the picture's height: the camera looks down at its target, without roll."""
    height, width = alpha.shape
    away = math.hypot(shot.place[0] - shot.target[0], shot.place[1] - shot.target[1])
    down = (shot.place[2] - shot.target[2]) / away
    return float(0.5 - shot.lens / 36 * width * down / height)


@pytest.fixture(scope="module")
def views() -> dict[str, View]:
    """Each photo's view as the pipeline takes it: its own, or with the height of the set."""
    own = {shot.name: view_of(matte(shot), azimuth(shot)) for shot in EXTERIORS}
    height = set_height([view for view in own.values() if view is not None])
    assert height is not None
    seen = {}
    for shot in EXTERIORS:
        view = own[shot.name]
        assert view is not None
        if not tells_height(view):
            view = view_of(matte(shot), azimuth(shot), height)
        assert view is not None
        seen[shot.name] = view
    return seen


def test_the_horizon_of_the_samples_photos_is_found(views: dict[str, View]) -> None:
    off = [
        abs(views[shot.name].horizon / alpha.shape[0] - true_horizon(shot, alpha))
        for shot in EXTERIORS
        for alpha in [matte(shot)]
    ]
    assert np.mean(off) < 0.03
    assert max(off) < 0.06


def test_the_height_of_the_samples_camera_is_found(views: dict[str, View]) -> None:
    quarters = [shot for shot in EXTERIORS if tells_height(views[shot.name])]
    assert len(quarters) >= 6
    off = [views[s.name].camera_height / (s.place[2] / CAR_HEIGHT) - 1 for s in quarters]
    assert abs(np.median(off)) < 0.12


def test_tyres_are_seen_where_the_matte_ends(views: dict[str, View]) -> None:
    """Those of the side that faces the camera."""
    for shot in EXTERIORS:
        a, alpha, view = azimuth(shot), matte(shot), views[shot.name]
        if not abs(math.sin(math.radians(a))) > 0.4:
            continue
        for i in (0, 3) if math.sin(math.radians(a)) > 0 else (1, 2):
            x, y = view.seen(view.tyres)[i]
            part = alpha[:, round(x) - 12 : round(x) + 13] > 0.5
            bottom = np.flatnonzero(part.any(axis=1))[-1] + 1
            assert abs(bottom - y) < 0.03 * view.vehicle_height


def test_a_view_moves_with_its_picture() -> None:
    view = view_of(car_alpha(), 90.0)
    assert view is not None
    moved = view.placed(2.0, 30.0, -10.0)
    assert moved.seen(view.tyres) == pytest.approx(view.seen(view.tyres) * 2 + [30, -10])


def test_without_an_azimuth_the_view_that_fits_best_is_taken() -> None:
    shot = EXTERIORS[0]
    told, found = view_of(matte(shot), azimuth(shot)), view_of(matte(shot), None)
    assert told is not None and found is not None
    assert found.error < 1.0
    assert found.horizon == pytest.approx(told.horizon, abs=0.1 * matte(shot).shape[0])


def test_a_speck_has_no_view() -> None:
    speck = np.zeros((300, 400), np.float32)
    assert view_of(speck, 90.0) is None
    speck[150:154, 200:204] = 1
    assert view_of(speck, 90.0) is None


def test_side_views_do_not_tell_how_high_a_camera_was() -> None:
    view = view_of(car_alpha(), 90.0)
    assert view is not None and not tells_height(view)
    assert set_height([view]) is None


def test_the_lens_that_a_photo_tells_is_the_views() -> None:
    """A lens twice as long as a phone's: told, the camera is found further away."""
    shot = EXTERIORS[0]
    alpha = matte(shot)
    usual = view_of(alpha, azimuth(shot))
    long = view_of(alpha, azimuth(shot), focal=2 * shot.lens / 43.27)
    assert usual is not None and long is not None
    assert long.focal == pytest.approx(2 * usual.focal, rel=0.15)
    assert long.distance > 1.5 * usual.distance


def drawn(azimuth: float, camera_height: float, zoom: float = 1.0) -> tuple[Alpha, float]:
    """A sports car drawn as a camera at that height sees it, 640x480, and its near front tyre's x.

    Lengths are in vehicle heights: body with its lip near the floor, cabin, and the wheels. `zoom`
    is the lens in those of a phone, and how much further away it stands.
    """
    focal, distance, horizon = zoom * 486.0, zoom * 3.6, 250.0
    turned = np.radians(azimuth)

    def seen(ahead: float, left: float, up: float) -> tuple[float, float]:
        x = -ahead * np.sin(turned) + left * np.cos(turned)
        z = distance - ahead * np.cos(turned) - left * np.sin(turned)
        return 320 + focal * x / z, horizon + focal * (camera_height - up) / z

    def box(front: float, rear: float, half: float, low: float, high: float) -> list[Point]:
        ends = [(front, s * half) for s in (1, -1)] + [(rear, s * half) for s in (1, -1)]
        return [seen(*end, up) for end in ends for up in (low, high)]

    parts = [box(1.42, -1.42, 0.6, 0.09, 0.62), box(0.2, -0.9, 0.45, 0.6, 1.0)]
    for ahead in (0.88, -0.82):
        for left in (0.56, -0.56):
            around = np.linspace(0, 2 * np.pi, 40)
            parts.append(
                [seen(ahead + 0.22 * np.cos(t), left, 0.22 + 0.22 * np.sin(t)) for t in around]
            )
    mask = np.zeros((480, 640), np.uint8)
    for part in parts:
        hull = cv2.convexHull(np.array(part, np.float32)).astype(np.int32)
        cv2.fillConvexPoly(mask, hull, 1)
    return mask.astype(np.float32), seen(0.88, 0.56, 0)[0]


@pytest.mark.parametrize("height", [0.35, 0.95])
def test_a_camera_near_the_floor_is_found_as_one_at_eye_height_is(height: float) -> None:
    alpha, tyre = drawn(40.0, height)
    view = view_of(alpha, 40.0)
    assert view is not None
    assert view.camera_height == pytest.approx(height, abs=0.15)
    assert view.seen(view.tyres)[0, 0] == pytest.approx(tyre, abs=0.16 * view.vehicle_height)
    assert set_height([view]) == (None if height < 0.4 else view.camera_height)


@pytest.mark.parametrize("azimuth", [30.0, 140.0, 215.0])
def test_a_zoomed_photo_whose_lens_nothing_tells_is_seen_from_afar(azimuth: float) -> None:
    """By a phone's lens the near tyre would hang below its shadow."""
    alpha, _ = drawn(azimuth, 0.95, zoom=3.5)
    usual, free = view_of(alpha, azimuth), view_of(alpha, azimuth, any_lens=True)
    assert usual is not None and free is not None
    assert free.focal > 2 * usual.focal
    assert free.error < 0.2
    assert free.camera_height == pytest.approx(0.95, abs=0.15)
    lowest = np.flatnonzero((alpha > 0.5).any(axis=1))[-1] + 1
    off = [(lowest - v.seen(v.tyres)[:, 1].max()) / v.vehicle_height for v in (usual, free)]
    assert off[1] < off[0]


def test_a_phones_photo_is_seen_alike_whatever_lens_it_may_have() -> None:
    for shot in EXTERIORS:
        usual, free = (
            view_of(matte(shot), azimuth(shot)),
            view_of(matte(shot), azimuth(shot), any_lens=True),
        )
        assert usual is not None and free is not None
        assert abs(usual.horizon - free.horizon) < 0.02 * matte(shot).shape[0]


@pytest.mark.parametrize("azimuth", [30.0, 45.0, 140.0, 215.0, 330.0])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("height", [0.35, 0.95])
def test_a_view_that_stands_is_not_given_up(azimuth: float, zoom: float, height: float) -> None:
    alpha, _ = drawn(azimuth, height, zoom)
    lowest = np.flatnonzero((alpha > 0.5).any(axis=1))[-1] + 1
    usual, free = view_of(alpha, azimuth), view_of(alpha, azimuth, any_lens=True)
    assert usual is not None and free is not None
    off = [abs(lowest - v.seen(v.tyres)[:, 1].max()) / v.vehicle_height for v in (usual, free)]
    assert off[1] < STANDS or off[0] >= STANDS

"""Close-ups are found where they were taken, and nowhere else."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging import hotspots
from okla_assets.imaging.hotspots import LocatedCloseUp
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.sample import FOLDER
from okla_assets.sample.truth import truth

Rgb = npt.NDArray[np.uint8]
Alpha = npt.NDArray[np.float32]

WIDTH, HEIGHT = 800, 600
BODY = (slice(150, 450), slice(100, 700))
"""Where the made vehicle is: 600 x 300 pixels."""
SURE = LocatedCloseUp(
    x=0.5, y=0.5, matches=30, off_wheels=30, cells=12, area=0.4, rival=0, span=0.3, on_vehicle=True
)


def texture(seed: int, width: int, height: int) -> Rgb:
    """Blots of all sizes, none like another."""
    rng = np.random.default_rng(seed)
    mixed = np.full((height, width, 3), 120, np.float32)
    for cell in (8, 16, 32, 64):
        coarse = rng.normal(0, 26, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        mixed += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return mixed.clip(0, 255).astype(np.uint8)


def vehicle(seed: int = 1) -> tuple[Rgb, Alpha]:
    """A textured body on a textured street, and its matte."""
    picture, alpha = texture(seed + 100, WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.float32)
    picture[BODY] = texture(seed, 600, 300)
    alpha[BODY] = 1
    return picture, alpha


def taken(picture: Rgb, x: float, y: float, *, zoom: float, turn: float, light: float) -> Rgb:
    """A close-up (480 x 360) with (x, y) in its middle: nearer, tilted and in another light."""
    matrix = cv2.getRotationMatrix2D((x, y), turn, zoom)
    matrix[:, 2] += np.array([240 - x, 180 - y])
    close = cv2.warpAffine(picture, matrix, (480, 360), flags=cv2.INTER_CUBIC)
    return np.asarray((close.astype(np.float32) * light + 8).clip(0, 255), np.uint8)


def found(
    close_up: Rgb, picture: Rgb, alpha: Alpha, *, from_end: bool = True
) -> LocatedCloseUp | None:
    view = hotspots.view_features(picture, alpha, from_end=from_end)
    return hotspots.locate(hotspots.close_up_features(close_up), view)


@pytest.mark.parametrize(
    ("x", "y", "zoom", "turn", "light"),
    [
        (400, 300, 2.5, 0, 1.0),
        (300, 260, 3.0, 12, 1.35),
        (540, 320, 2.0, -20, 0.6),
    ],
)
def test_a_close_up_is_found_where_it_was_taken(
    x: float, y: float, zoom: float, turn: float, light: float
) -> None:
    picture, alpha = vehicle()
    place = found(taken(picture, x, y, zoom=zoom, turn=turn, light=light), picture, alpha)
    assert place is not None
    assert place.accepted
    assert (place.x * WIDTH, place.y * HEIGHT) == pytest.approx((x, y), abs=5)
    assert place.span == pytest.approx(480 / zoom / WIDTH, rel=0.05)


def test_a_close_up_of_another_vehicle_stays_off() -> None:
    picture, alpha = vehicle(1)
    for seed in (2, 3):
        place = found(taken(vehicle(seed)[0], 400, 300, zoom=2.5, turn=0, light=1), picture, alpha)
        assert place is None or not place.accepted


def test_what_lies_beside_the_vehicle_is_no_place() -> None:
    picture, alpha = vehicle()
    place = found(taken(picture, 100, 75, zoom=4, turn=0, light=1), picture, alpha)
    assert place is None or not place.accepted


def test_what_the_vehicle_has_twice_stays_off() -> None:
    picture, alpha = vehicle()
    panel = texture(50, 180, 180)
    picture[200:380, 150:330] = panel
    picture[200:380, 470:650] = panel
    close_up = taken(picture, 240, 290, zoom=2.8, turn=0, light=1.1)
    place = found(close_up, picture, alpha)
    assert place is None or not place.accepted
    assert hotspots.choose([place]) is None
    picture[200:380, 470:650] = texture(51, 180, 180)  # only the twin was in the way
    place = found(close_up, picture, alpha)
    assert place is not None
    assert place.accepted


def test_wheels_alone_do_not_make_a_place_sure() -> None:
    """The same close-up counts where the wheels' faces are out of sight, as from the front."""
    picture, alpha = vehicle()
    close_up = taken(picture, 160, 390, zoom=5, turn=0, light=1)
    place = found(close_up, picture, alpha, from_end=False)
    assert place is not None
    assert place.matches >= hotspots.LEAST_MATCHES
    assert not place.accepted
    place = found(close_up, picture, alpha, from_end=True)
    assert place is not None
    assert place.accepted


@pytest.mark.parametrize(
    ("name", "on"), [("IMG_0113", None), ("IMG_0114", "IMG_0101"), ("IMG_0115", "IMG_0111")]
)
def test_the_samples_close_ups_have_their_place(name: str, on: str | None) -> None:
    """From the quarter a bumper's corner hangs where a wheel would be; the wheel itself is one of
    two."""
    photos = {Path(photo.file).stem: photo for photo in truth().photos}
    pixels = {
        stem: codec.decode_trusted((FOLDER / "media" / photo.file).read_bytes())
        for stem, photo in photos.items()
    }
    plates = {
        stem: [np.array(plate.quad, np.float32) for plate in photo.plates]
        for stem, photo in photos.items()
    }
    close_up = hotspots.close_up_features(pixels[name], plates[name])
    views, places = [], []
    for stem, photo in photos.items():
        if photo.matte is None or photo.azimuth_deg is None:
            continue
        alpha = studio.as_alpha(codec.decode_gray((FOLDER / photo.matte).read_bytes()))
        view = hotspots.view_features(
            pixels[stem],
            alpha,
            plates[stem],
            from_end=photo.azimuth_deg in (8, 180),
            camera=view_of(alpha, photo.azimuth_deg),
        )
        views.append(stem)
        places.append(hotspots.locate(close_up, view))
    chosen = hotspots.choose(places)
    assert (None if chosen is None else views[chosen]) == on
    if chosen is None or on is None:
        return
    # Both show the plate: what lies in the close-up's middle is seen about as far from it.
    height, width = pixels[name].shape[:2]
    matrix = cv2.getPerspectiveTransform(plates[name][0], plates[on][0])
    middle = cv2.perspectiveTransform(np.array([[[width / 2, height / 2]]], np.float32), matrix)[
        0, 0
    ]
    there, found = pixels[on], places[chosen]
    assert found is not None
    seen = found.x * there.shape[1], found.y * there.shape[0]
    assert np.hypot(*(seen - middle)) < 0.06 * there.shape[1]


def test_a_plate_places_nothing() -> None:
    picture, alpha = vehicle()
    close_up = taken(picture, 400, 300, zoom=2.5, turn=0, light=1)
    everything = np.array([[0, 0], [480, 0], [480, 360], [0, 360]], np.float32)
    view = hotspots.view_features(picture, alpha)
    assert hotspots.locate(hotspots.close_up_features(close_up, [everything]), view) is None


def test_a_watermark_on_all_pictures_is_not_the_vehicle() -> None:
    picture, alpha = vehicle()
    other = texture(70, WIDTH, HEIGHT)
    mark = texture(71, 200, 130)
    picture[270:400, 320:520] = other[270:400, 320:520] = mark
    place = found(other, picture, alpha)
    assert place is None or not place.accepted


def test_pictures_without_features_are_nowhere() -> None:
    picture, alpha = vehicle()
    blank = np.full((360, 480, 3), 200, np.uint8)
    assert found(blank, picture, alpha) is None
    assert found(picture, blank, np.ones((360, 480), np.float32)) is None
    assert found(picture, picture, np.zeros_like(alpha)) is None


@pytest.mark.parametrize(
    ("changed", "sure"),
    [
        ({}, True),
        ({"matches": 13}, False),
        ({"off_wheels": 5}, False),
        ({"cells": 5}, False),
        ({"area": 0.05}, False),
        ({"span": 1.1}, False),
        ({"on_vehicle": False}, False),
        ({"rival": 15}, True),
        ({"rival": 16}, False),
    ],
)
def test_what_it_takes_to_be_believed(changed: dict[str, float], sure: bool) -> None:
    assert replace(SURE, **changed).accepted is sure  # type: ignore[arg-type]


def test_the_view_with_the_most_matches_is_chosen() -> None:
    better, unsure = replace(SURE, matches=40), replace(SURE, matches=90, cells=2)
    assert hotspots.choose([None, SURE, better, unsure]) == 2
    assert hotspots.choose([better, better]) == 0
    assert hotspots.choose([None, unsure]) is None
    assert hotspots.choose([]) is None


def test_two_views_that_agree_make_a_likely_place_sure() -> None:
    likely = replace(SURE, matches=9, cells=5, area=0.04)
    better = replace(likely, matches=11, x=0.4)
    assert not likely.accepted and likely.likely

    def carried(x: float) -> Callable[[int, int], tuple[float, float] | None]:
        return lambda i, j: (x, 0.5)

    assert hotspots.choose_agreed([likely, None, better], carried(0.52)) == 2
    assert hotspots.choose_agreed([likely, None, better], carried(0.6)) is None
    assert hotspots.choose_agreed([likely], carried(0.5)) is None
    assert hotspots.choose_agreed([likely, better], lambda i, j: None) is None
    twofold = replace(SURE, matches=12, rival=8)
    assert hotspots.choose_agreed([likely, better, twofold], carried(0.5)) is None


def test_two_places_on_one_view_make_all_views_worthless() -> None:
    assert hotspots.choose([SURE, replace(SURE, matches=8, rival=6)]) is None


def test_a_point_is_mapped_to_the_frame_made_of_the_photo() -> None:
    picture, alpha = vehicle()
    placement = place(extent(alpha), 960, 4 / 3)
    frame = studio.compose(picture, alpha, placement, None, Look(WHITE_STUDIO, None))
    photo = hotspots.view_features(picture, alpha)
    point = hotspots.map_to_frame(0.4, 0.5, photo, hotspots.frame_features(frame))
    assert point is not None
    expected = (
        0.4 * WIDTH * placement.scale + placement.left,
        0.5 * HEIGHT * placement.scale + placement.top,
    )
    at = (point[0] * placement.width, point[1] * placement.height)
    assert at == pytest.approx(expected, abs=3)
    other = hotspots.frame_features(texture(80, 960, 720))
    assert hotspots.map_to_frame(0.4, 0.5, photo, other) is None


@pytest.mark.slow
@pytest.mark.testdata
def test_real_close_ups_of_other_cars_stay_off(testdata: Path) -> None:
    """Hand-traced views against every close-up of the other dealer cars."""
    with (testdata / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("dealer/")]
    views = {
        row["vehicle_id"]: hotspots.view_features(
            codec.decode_trusted((testdata / row["file"]).read_bytes()),
            studio.as_alpha(codec.decode_gray((testdata / row["mask"]).read_bytes())),
        )
        for row in rows
        if row["mask"]
    }
    pairs = 0
    for row in rows:
        if row["category"] != "misc":
            continue
        picture = codec.decode_trusted((testdata / row["file"]).read_bytes())
        close_up = hotspots.close_up_features(picture)
        for owner, view in views.items():
            place = hotspots.locate(close_up, view)
            if owner != row["vehicle_id"]:
                pairs += 1
                assert place is None or place.matches < hotspots.LEAST_MATCHES / 2, row["file"]
                assert place is None or not place.likely, row["file"]
    assert pairs >= 15


@pytest.mark.testdata
def test_a_real_headlamp_is_found_on_its_side(testdata: Path) -> None:
    """The right-hand lamp: on the view from front right, not on the one from front left."""
    folder = testdata / "dealer/prestige_audi-q3"
    close_up = hotspots.close_up_features(codec.decode_trusted((folder / "06.jpg").read_bytes()))
    places = []
    for name in ("00.jpg", "01.jpg"):
        picture = codec.decode_trusted((folder / name).read_bytes())
        whole = np.ones(picture.shape[:2], np.float32)  # no matte: its watermarks are in play
        places.append(hotspots.locate(close_up, hotspots.view_features(picture, whole)))
    assert hotspots.choose(places) == 0
    place = places[0]
    assert place is not None
    assert (place.x, place.y) == pytest.approx((0.645, 0.586), abs=0.03)

"""The sample vehicle's truth holds together, and the real models find it in the pictures.

It is the truth on machines without the private photos: azimuth, matte and plate corners are exact.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging import plates
from okla_assets.imaging.matte import cutout
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Box, Rgb
from okla_assets.sample import FOLDER, MEDIA, body
from okla_assets.sample.surface import inside, resampled, rounded
from okla_assets.sample.truth import PhotoTruth, Truth, truth
from resources.models.base import Matte, Subject, View
from resources.models.fused_matte import FusedMatte
from resources.models.plates_onnx import FusedPlates
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.yolo_onnx import YoloOnnxDetector

Mask = npt.NDArray[np.bool_]

SHOWN = 7
"""So many photos are shown to the models: every angle, both sides."""
ANGLE_NAMES = ("front", "front-quarter", "side", "rear-quarter", "rear")
ANGLE_MIDDLES = (0.0, 45.0, 90.0, 135.0, 180.0)


@pytest.fixture(scope="module")
def known() -> Truth:
    return truth()


def exteriors(known: Truth) -> list[PhotoTruth]:
    return [photo for photo in known.photos if photo.azimuth_deg is not None]


def decoded(photo: PhotoTruth) -> Rgb:
    return codec.decode_trusted((MEDIA / photo.file).read_bytes())


def true_matte(file: str) -> Mask:
    return codec.decode_gray((FOLDER / file).read_bytes()) > 127


# --- what is packaged -----------------------------------------------------------------------------


def test_the_sample_is_small_enough_for_a_package() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 10e6


def test_it_is_seen_from_all_round(known: Truth) -> None:
    azimuths = sorted(p.azimuth_deg for p in known.photos if p.azimuth_deg is not None)
    gaps = np.diff([*azimuths, azimuths[0] + 360])
    assert len(azimuths) >= 10
    assert gaps.max() <= 60


def test_every_picture_of_the_truth_is_there_and_no_other(known: Truth) -> None:
    media = {p.relative_to(MEDIA).as_posix() for p in MEDIA.rglob("*") if p.is_file()}
    assert media == {photo.file for photo in known.photos} | {known.video.file, "options.json"}
    mattes = {p.relative_to(FOLDER).as_posix() for p in (FOLDER / "mattes").iterdir()}
    of_photos = {photo.matte for photo in known.photos}
    of_frames = {frame.matte for frame in known.video.frames}
    assert mattes == (of_photos | of_frames) - {None}


def test_mattes_have_their_photos_size_and_plates_lie_in_them(known: Truth) -> None:
    for photo in exteriors(known):
        assert photo.matte is not None
        mask = true_matte(photo.matte)
        assert mask.shape == decoded(photo).shape[:2]
        assert 0.1 < mask.mean() < 0.6
        for plate in photo.plates:
            corners = np.array(plate.quad)
            # Seen from the side, a plate's far edge is the car's outline: a pixel of rounding.
            near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
            assert all(near[int(y), int(x)] for x, y in corners), photo.file
            across, down = corners[1] - corners[0], corners[3] - corners[0]
            assert across[0] * down[1] - across[1] * down[0] > 0  # clockwise


def test_the_video_is_one_full_turn(known: Truth) -> None:
    video = cv2.VideoCapture(str(MEDIA / known.video.file))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    assert video.get(cv2.CAP_PROP_FPS) == known.video.fps
    video.release()
    assert [frame.index for frame in known.video.frames] == list(range(count))
    azimuths = np.unwrap(np.radians([frame.azimuth_deg for frame in known.video.frames]))
    steps = np.degrees(np.diff(azimuths))
    assert steps.min() > 0
    assert np.degrees(azimuths[-1] - azimuths[0]) + steps.mean() == pytest.approx(360, abs=3)
    assert sum(frame.matte is not None for frame in known.video.frames) >= 8


# --- the model's geometry, without Blender --------------------------------------------------------


def test_the_car_has_a_cars_size_and_is_symmetric() -> None:
    skin = body.Skin(columns=240, rows=120)
    size = np.ptp(skin.mesh.vertices, axis=0)
    assert size == pytest.approx([body.LENGTH, body.WIDTH, body.HEIGHT - 0.2], abs=0.01)
    grid = skin.mesh.vertices.reshape(120, 240, 3)
    other_side = grid[:, -np.arange(240) % 240] * [1, -1, 1]
    assert np.allclose(grid, other_side, atol=1e-9)
    sides = skin.normals[(skin.v > 2) & (skin.v < 6)]
    flanks = skin.mesh.vertices[(skin.v > 2) & (skin.v < 6)]
    assert ((sides * flanks)[:, :2].sum(1) > 0).all()  # outward


def test_a_line_dropped_on_the_skin_lies_where_it_was_drawn() -> None:
    skin = body.Skin(columns=240, rows=120)
    line = np.array([[60.0, 60.0], [-60.0, 60.0], [-60.0, 90.0]])
    points, normals = skin.drop(line, body.SIDE)
    assert points[:, [0, 2]] * 100 == pytest.approx(line, abs=0.01)
    assert (points[:, 1] > 0.8).all()
    assert (normals[:, 1] > 0.9).all()


def test_outlines_contain_what_they_should() -> None:
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    points = np.array([[5.0, 5.0], [0.2, 0.2], [11.0, 5.0]])
    assert inside(points, square).tolist() == [True, True, False]
    corners_cut = rounded([(0, 0), (10, 0), (10, 10), (0, 10)], closed=True, radius=2.0)
    assert inside(points, corners_cut).tolist() == [True, False, False]
    steps = np.diff(resampled(square, 1.0, closed=True), axis=0)
    assert np.hypot(*steps.T) == pytest.approx(1.0)


# --- the real models ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the models of the local profile make of one photo."""

    score: float
    box: Box
    matte: Matte
    view: View
    plates: list[npt.NDArray[np.float32]]


@cache
def seen(photo: PhotoTruth) -> Seen:
    picture = decoded(photo)
    (found,) = YoloOnnxDetector().detect([picture])
    height, width = picture.shape[:2]
    main = cutout.main_vehicle([d.box for d in found], [d.score for d in found], width, height)
    assert main is not None, photo.file
    box = found[main].box
    (cut,) = FusedMatte().segment([picture], [Subject(box)])
    (view,) = TinyVitViewClassifier().classify([picture], [box])
    (candidates,) = FusedPlates().detect([picture], [[box]])
    accepted = [
        np.array(c.quad, np.float32)
        for c in candidates
        if plates.accept_plate(c.box, c.score, c.agreement, [box], False)
    ]
    return Seen(found[main].score, box, cut, view, accepted)


def degrees_apart(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


def allowed_angles(azimuth: float) -> set[str]:
    """The names of the two nearest middles where a border is near, else of one."""
    folded = min(azimuth % 360, 360 - azimuth % 360)
    return {
        name
        for name, middle in zip(ANGLE_NAMES, ANGLE_MIDDLES, strict=True)
        if abs(folded - middle) <= 22.5 + 12
    }


def covered_share(quad: object, found: list[npt.NDArray[np.float32]]) -> float:
    """Share of the true plate under the padded quads."""
    to_plate = cv2.getPerspectiveTransform(
        np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), np.array(quad, np.float32)
    )
    grid = np.stack(np.meshgrid((np.arange(100) + 0.5) / 100, (np.arange(40) + 0.5) / 40), -1)
    points = cv2.perspectiveTransform(grid.reshape(-1, 1, 2).astype(np.float64), to_plate)
    flat = points.reshape(-1, 2).astype(np.float32)
    hit = np.zeros(len(flat), bool)
    for one in found:
        hit |= plates.contains(plates.padded(one), flat)
    return float(hit.mean())


@pytest.mark.slow
@pytest.mark.weights
def test_the_models_take_it_for_a_car(known: Truth, weights: object) -> None:
    scores = []
    for photo in exteriors(known)[:SHOWN]:
        what = seen(photo)
        scores.append(what.score)
        assert what.view.category == "exterior", photo.file
    # From the front it is less sure (0.78 when this was written) than anywhere else.
    assert min(scores) >= 0.7
    assert sorted(scores)[1] >= 0.85


@pytest.mark.slow
@pytest.mark.weights
def test_its_matte_is_the_true_one(known: Truth, weights: object) -> None:
    overlaps = []
    for photo in exteriors(known)[:SHOWN]:
        assert photo.matte is not None
        what, mask = seen(photo), true_matte(photo.matte)
        assert cutout.trustworthy(what.matte.alpha, what.matte.agreement, what.box), photo.file
        cut = what.matte.alpha > 0.5
        overlaps.append((cut & mask).sum() / (cut | mask).sum())
    assert min(overlaps) >= 0.97
    assert np.mean(overlaps) >= 0.98


@pytest.mark.slow
@pytest.mark.weights
def test_its_angles_are_named(known: Truth, weights: object) -> None:
    for photo in exteriors(known)[:SHOWN]:
        view, azimuth = seen(photo).view, photo.azimuth_deg
        assert azimuth is not None
        assert view.azimuth_deg is not None
        assert degrees_apart(view.azimuth_deg, azimuth) <= 20, photo.file
        assert view.angle in allowed_angles(azimuth), photo.file
        if 25 < azimuth % 180 < 155:
            assert view.side == ("left" if azimuth < 180 else "right"), photo.file


@pytest.mark.slow
@pytest.mark.weights
def test_its_plates_are_covered(known: Truth, weights: object) -> None:
    count = 0
    for photo in exteriors(known)[:SHOWN]:
        for plate in photo.plates:
            count += 1
            assert covered_share(plate.quad, seen(photo).plates) >= 0.95, photo.file
    assert count >= 4

"""Real videos on the local profile: what is a turn, and that it stands still once it is one."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.assets.walkaround_frames import take_frames
from okla_assets.cli.process import run_vehicle
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.placement import extent
from okla_assets.imaging.turn import spin
from okla_assets.operations.folder_import import import_folder
from okla_assets.tables import Masks, SpinFrames, WalkaroundFrames
from resources.decoding.video_reader import VideoReader
from resources.models.tiny_vit import TinyVitViewClassifier
from resources.models.yolo_onnx import YoloOnnxDetector
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE, Quiet

pytestmark = [pytest.mark.testdata, pytest.mark.weights, pytest.mark.slow]


def taken(store: LocalMediaStore, video: Path) -> WalkaroundFrames:
    store.put_file(keys.raw_videos(VEHICLE) + video.name, video)
    table, _ = take_frames(
        VEHICLE, 36, (), store, VideoReader(), YoloOnnxDetector(), TinyVitViewClassifier(), Quiet()
    )
    return table


def test_a_car_that_drives_past_is_no_turn(
    testdata: Path, weights: object, store: LocalMediaStore
) -> None:
    table = taken(store, testdata / "video" / "street_car_shadow.mp4")
    (refused,) = table.refused
    assert refused.reason == "not_a_turn"
    assert "of 360 degrees" in (table.reason or "")
    assert table.frames == ()


def test_a_turntable_that_runs_backwards_is_a_turn(
    testdata: Path, weights: object, store: LocalMediaStore
) -> None:
    """Its 34 pictures are all there are of the one turn, so all are taken."""
    table = taken(store, testdata / "video" / "turntable_creta.mp4")
    assert (len(table.frames), table.direction) == (34, -1)
    assert max(frame.width for frame in table.frames) == 1280


def test_sixteen_views_turn_and_stand_still(
    testdata: Path, weights: object, tmp_path: Path
) -> None:
    """The video goes round twice; its truth is an azimuth of 22.5 degrees times the frame."""
    folder = tmp_path / "car"
    folder.mkdir()
    shutil.copy(testdata / "video" / "turntable_carvana16.mp4", folder)
    store = LocalMediaStore(root=str(tmp_path / "media"))
    # Neither plates nor a promo are what this is about, and they cost as much.
    store.put(keys.options(VEHICLE), b'{"promo": false, "mask_license_plate": false}')
    import_folder(folder, VEHICLE, store)
    listing, error = run_vehicle(VEHICLE, store, "local", Quiet())
    assert listing is not None, error
    assert listing.spin is not None, listing.spin_reason
    assert len(listing.spin.frames) == 16

    made = SpinFrames.model_validate_json(store.get(keys.table(VEHICLE, "spin_frames")))
    for frame in made.frames:
        truth = 22.5 * (frame.source - 1)
        assert abs((frame.azimuth_deg - truth + 180) % 360 - 180) < 8
    assert made.frames[0].source == 3
    shapes = {codec.decode_trusted(store.get(frame.key)).shape for frame in made.frames}
    assert shapes == {(made.height, made.width, 3)}

    masks = Masks.model_validate_json(store.get(keys.table(VEHICLE, "masks")))
    matte_of = {mask.number: mask.matte_key for mask in masks.frames}
    alphas = [
        studio.as_alpha(codec.decode_gray(store.get(matte_of[frame.source] or "")))
        for frame in made.frames
    ]
    canvas = spin.steady(
        [spin.stand_of(alpha) for alpha in alphas],
        [frame.azimuth_deg for frame in made.frames],
        1280,
        made.width / made.height,
    )
    boxes = []
    for alpha, move in zip(alphas, canvas.moves, strict=True):
        moved = spin.moved_to(alpha, move, canvas.width, canvas.height, cv2.INTER_LINEAR)
        box = extent(np.asarray(moved, np.float32))
        boxes.append(((box.x0 + box.x1) / 2, box.y1))
    places = np.array(boxes)
    trend = (np.roll(places, 1, axis=0) + np.roll(places, -1, axis=0)) / 2
    off = np.abs(places - trend).max(axis=0)
    assert off[0] <= 0.005 * made.width
    # 22.5 degrees apart, the camera's distance is smoothed over few frames only.
    assert off[1] <= 0.006 * made.height

"""The sample's walk with few frames: covers on its plates, and on nothing else."""

import av
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.sample import MEDIA
from okla_assets.sample.truth import truth
from okla_assets.steps.costs import Meter
from okla_assets.steps.frame_plates import find_on_frames
from okla_assets.steps.plate_masking import Masking, masked_copy
from okla_assets.tables import Frame, Mask
from resources.models.main_vehicle import find_subject
from resources.models.plates_onnx import FusedPlates, PlateFastOnnx
from resources.storage.media_store import LocalMediaStore
from tests.fakes import VEHICLE


def test_a_plate_is_as_large_as_tracked_on_frames_and_as_it_is_on_photos() -> None:
    picture = np.full((300, 480, 3), 60, np.uint8)
    picture[120:180, 160:340] = 230
    copy = codec.encode_jpeg(picture, 95)
    quad = ((150.0, 116.0), (350.0, 116.0), (350.0, 184.0), (150.0, 184.0))
    for on_frames, beside in ((True, 200), (False, 60)):
        masked = codec.decode_trusted(
            masked_copy(copy, picture, [quad], Masking("fill", on_frames=on_frames))
        )
        assert abs(float(masked[130:170, 153:156].mean()) - beside) < 30
        assert masked[140:160, 200:300].min() > 180


COUNT = 8
READABLE = 25  # pixels of width


@pytest.mark.weights
@pytest.mark.slow
def test_a_turn_of_eight_frames_has_covers_on_its_plates_only(
    store: LocalMediaStore, weights: object
) -> None:
    every = truth().video.frames
    shown = every[:: len(every) // COUNT]
    wanted = {frame.index for frame in shown}
    frames: list[Frame] = []
    masks: list[Mask] = []
    with av.open(str(MEDIA / truth().video.file)) as video:
        for index, moment in enumerate(video.decode(video=0)):
            if index not in wanted:
                continue
            picture = np.asarray(moment.to_ndarray(format="rgb24"), np.uint8)
            number = len(frames) + 1
            key = keys.private_file(VEHICLE, "frames", f"{number}" * 64, "jpg")
            store.put(key, codec.encode_jpeg(picture, 95))
            height, width = picture.shape[:2]
            azimuth = shown[number - 1].azimuth_deg
            frames.append(
                Frame(
                    number=number,
                    time=index / truth().video.fps,
                    azimuth_deg=azimuth % 360,
                    width=width,
                    height=height,
                    digest="d" * 64,
                    work_key=key,
                )
            )
            subject = find_subject(picture)
            assert subject is not None
            masks.append(
                Mask(
                    number=number,
                    status="cropped",
                    vehicle_box=subject.box,
                    other_vehicles=subject.others,
                    vehicle_score=0.9,
                    matte_key=None,
                    agreement=None,
                    digest="e" * 64,
                )
            )
    rows, _ = find_on_frames(
        *(VEHICLE, frames, masks, "f" * 64, Masking("fill"), store),
        *(FusedPlates(), PlateFastOnnx(), None, Meter(), lambda what: None),
    )
    for row, frame in zip(rows, shown, strict=True):
        there = [np.array(plate.quad) for plate in frame.plates]
        covers = [np.array(plate.quad).mean(axis=0) for plate in row.plates]
        for cover in covers:
            gaps = [np.hypot(*(cover - q.mean(axis=0))) / np.ptp(q, axis=0).max() for q in there]
            assert min(gaps, default=9) < 0.6, f"nothing is there at {frame.azimuth_deg}"
        readable = [quad for quad in there if np.ptp(quad[:, 0]) > READABLE]
        assert len(covers) >= len(readable), f"a plate is bare at {frame.azimuth_deg}"

"""The walk-around video as the pipeline takes it in: frames of a turn, or the reason why not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.tables import WalkaroundFrames
from resources.models.base import Detection
from resources.storage.media_store import LocalMediaStore
from tests import clips
from tests.fakes import VEHICLE, FakeDetector, Pipeline, contents
from tests.pictures import car, jpeg

AROUND = [float(a) for a in range(0, 360, 9)]
PHOTOS = {"1.jpg": jpeg(car(1))}


@pytest.fixture
def turning(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose view classifier reads the azimuths of `clips.turning_car`."""
    pipeline.models["views"] = clips.TurningViews()
    pipeline.upload(PHOTOS)
    # The clip of a turn costs more than the turn, and test_promo_video makes it; so do 36 frames.
    pipeline.store.put(keys.options(VEHICLE), b'{"promo": false, "spin_frames": 12}')
    return pipeline


def film(pipeline: Pipeline, azimuths: Sequence[float], name: str = "walk.mp4") -> None:
    path = Path(str(pipeline.store.folder)) / f"../{name}"
    clips.turn(path, azimuths)
    pipeline.store.put(keys.raw_videos(VEHICLE) + name, path.read_bytes())


def table(pipeline: Pipeline) -> WalkaroundFrames:
    return WalkaroundFrames.model_validate_json(
        pipeline.store.get(keys.table(VEHICLE, "walkaround_frames"))
    )


@pytest.mark.slow
def test_a_walk_gives_frames_with_their_azimuths(turning: Pipeline) -> None:
    turning.store.put(keys.options(VEHICLE), b'{"promo": false}')
    film(turning, AROUND)
    turning.run()
    frames = table(turning)
    assert frames.source_key == keys.raw_videos(VEHICLE) + "walk.mp4"
    assert (frames.direction, frames.reason, frames.refused) == (1, None, ())
    assert [f.number for f in frames.frames] == list(range(1, len(frames.frames) + 1))
    assert len(frames.frames) == 36
    for frame in frames.frames:
        expected = 9 * round(10 * frame.time)
        assert abs((frame.azimuth_deg - expected + 180) % 360 - 180) < 8
        assert (frame.width, frame.height) == (320, 240)
    shown = {key.split("/")[0] for key in contents(turning.store, "") if "frames/" in key}
    assert frames.frames[0].work_key.startswith("private/")
    assert shown <= {"private", "work"}


@pytest.mark.slow
def test_a_second_run_reads_no_video(turning: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, as_file = [], LocalMediaStore.as_file

    @contextmanager
    def noted(store: LocalMediaStore, key: str) -> Iterator[Path]:
        opened.append(key)
        with as_file(store, key) as path:
            yield path

    monkeypatch.setattr(LocalMediaStore, "as_file", noted)
    film(turning, AROUND)
    first = turning.run()
    assert opened.count(keys.raw_videos(VEHICLE) + "walk.mp4") == 1
    again = turning.run()
    assert opened.count(keys.raw_videos(VEHICLE) + "walk.mp4") == 1
    assert len(table(turning).frames) == 12  # as the options say
    assert first.computed["walkaround_frames"] == 1
    assert again.computed["walkaround_frames"] == 0
    assert again.metadata["walkaround_frames"]["frames"] == 12


def test_a_vehicle_without_a_video_says_so(turning: Pipeline) -> None:
    outcome = turning.run()
    assert table(turning).reason == "no walk-around video was uploaded"
    assert outcome.success
    assert outcome.listing.status == "ready"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("azimuths", "reason"),
    [
        ([100 + 0.5 * i for i in range(40)], "not_a_turn"),
        ([float(a) for a in range(5)], "too_short"),
    ],
)
def test_a_video_that_is_no_walk_costs_the_vehicle_nothing_else(
    turning: Pipeline, azimuths: list[float], reason: str
) -> None:
    film(turning, azimuths)
    outcome = turning.run()
    (refused,) = outcome.listing.refused
    assert (refused.reason, refused.source_key) == (reason, keys.raw_videos(VEHICLE) + "walk.mp4")
    assert outcome.success
    assert len(outcome.listing.photos) == 1
    assert outcome.listing.photos[0].treatment == "studio"
    assert outcome.listing.spin is None
    assert refused.detail in (outcome.listing.spin_reason or "")


@pytest.mark.slow
def test_broken_videos_are_refused_and_the_good_one_is_used(turning: Pipeline) -> None:
    turning.store.put(keys.raw_videos(VEHICLE) + "1_broken.mp4", b"\0" * 5000)
    turning.store.put(keys.raw_videos(VEHICLE) + "2_empty.mov", b"")
    film(turning, AROUND, "3_walk.mp4")
    outcome = turning.run()
    assert {r.source_key.rsplit("/", 1)[-1]: r.reason for r in outcome.listing.refused} == {
        "1_broken.mp4": "not_a_video",
        "2_empty.mov": "empty_file",
    }
    assert len(table(turning).frames) == 12


@pytest.mark.slow
def test_videos_after_the_walk_are_in_the_record(turning: Pipeline) -> None:
    film(turning, AROUND, "2 again.mp4")
    walk = turning.store.get(keys.raw_videos(VEHICLE) + "2 again.mp4")
    turning.store.put(keys.raw_photos(VEHICLE) + "1 walk", walk)  # no ending, among the photos
    outcome = turning.run()
    uses = {v.source_key.rsplit("/", 1)[-1]: v.use for v in outcome.listing.videos}
    assert uses == {"1 walk": "walkaround", "2 again.mp4": "not_needed"}
    assert outcome.listing.refused == ()


def test_live_photos_are_recognised_and_no_model_looks_at_them(turning: Pipeline) -> None:
    path = Path(str(turning.store.folder)) / "../IMG_1.MOV"
    mark = {"com.apple.quicktime.content.identifier": "8A0BD6B1-F3C3"}
    clips.turn(path, AROUND[:30], metadata=mark)
    turning.store.put(keys.raw_videos(VEHICLE) + "IMG_1.MOV", path.read_bytes())
    detector = FakeDetector()
    turning.models["detector"] = detector
    outcome = turning.run()
    (refused,) = outcome.listing.refused
    assert refused.reason == "live_photo"
    assert detector.asked == 1  # the photo
    assert (outcome.listing.spin_reason or "").startswith("no walk-around video was uploaded")
    assert outcome.listing.status == "ready"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames", "reason"),
    [
        ("1.MOV", 30, "live_photo"),  # beside 1.jpg
        ("2.MOV", 30, "not_a_turn"),
        ("1.MOV", 40, None),
        ("1.mp4", 30, "not_a_turn"),
    ],
)
def test_a_clip_without_marks_is_known_by_the_photo_of_its_name(
    turning: Pipeline, name: str, frames: int, reason: str | None
) -> None:
    path = Path(str(turning.store.folder)) / f"../{name}"
    clips.turn(path, AROUND[:frames])
    turning.store.put(keys.raw_videos(VEHICLE) + name, path.read_bytes())
    refused = turning.run().listing.refused
    assert [file.reason for file in refused] == ([] if reason is None else [reason])


@pytest.mark.slow
def test_half_a_walk_says_that_the_recording_was_cut_off(turning: Pipeline) -> None:
    path = Path(str(turning.store.folder)) / "../walk.mp4"
    clips.turn(path, AROUND, options={"movflags": "faststart"})
    data = path.read_bytes()
    turning.store.put(keys.raw_videos(VEHICLE) + "walk.mp4", data[: len(data) // 2])
    (refused,) = turning.run().listing.refused
    assert refused.reason == "not_a_turn"
    assert refused.detail.startswith("The recording was cut off")


def test_a_video_without_a_car_is_refused(turning: Pipeline) -> None:
    turning.models["detector"] = Blind()
    film(turning, AROUND)
    (refused,) = turning.run().listing.refused
    assert refused.reason == "no_vehicle"


@pytest.mark.slow
def test_frames_go_when_the_video_goes(turning: Pipeline) -> None:
    film(turning, AROUND)
    turning.run()
    folder = keys.private_folder(VEHICLE, "frames")
    assert len(contents(turning.store, folder)) == 12
    turning.store.delete(keys.raw_videos(VEHICLE) + "walk.mp4")
    turning.run()
    assert contents(turning.store, folder) == {}


class Blind(FakeDetector):
    """Sees no car."""

    def detect(self, photos: Sequence[clips.Pixels]) -> list[list[Detection]]:
        return [[] for _ in photos]

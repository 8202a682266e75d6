"""The 360 set as it is published: from a video or from photos, steady, and made once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.placement import wheel_line
from okla_assets.imaging.studio.scene import Stage
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.imaging.turn import spin
from okla_assets.imaging.types import Alpha, Floats, Rgb
from okla_assets.tables import LicensePlates, SpinFrames
from tests import clips
from tests.fakes import VEHICLE, FakePlates, FakeReader, Pipeline, finished_key, yellow
from tests.pictures import jpeg

AROUND = [float(a) for a in range(0, 360, 10)]
NO_PROMO = b'{"promo": false}'
"""The clip of a turn costs more than the turn, and test_promo_video makes it."""
TWELVE = b'{"promo": false, "spin_frames": 12}'


@pytest.fixture
def turning(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose view classifier reads the azimuths of `clips.turning_car`."""
    pipeline.models["views"] = clips.TurningViews()
    pipeline.upload({"1.jpg": jpeg(clips.turning_car(45))})
    pipeline.store.put(keys.options(VEHICLE), NO_PROMO)
    return pipeline


def film(
    pipeline: Pipeline, tmp_path: Path, azimuths: Sequence[float], plate: bool = False
) -> None:
    path = clips.turn(tmp_path / "walk.mp4", azimuths, plate)
    pipeline.store.put(keys.raw_videos(VEHICLE) + "walk.mp4", path.read_bytes())


def table(pipeline: Pipeline) -> SpinFrames:
    return SpinFrames.model_validate_json(pipeline.store.get(keys.table(VEHICLE, "spin_frames")))


def pictures(pipeline: Pipeline) -> list[clips.Pixels]:
    return [codec.decode_trusted(pipeline.store.get(f.key)) for f in table(pipeline).frames]


def car_boxes(frames: Sequence[clips.Pixels]) -> list[tuple[float, float]]:
    """Middle and lower edge of the car on each finished frame."""
    boxes = []
    for frame in frames:
        red = frame[..., 0].astype(int) - frame[..., 2] > 90
        columns, rows = np.flatnonzero(red.any(axis=0)), np.flatnonzero(red.any(axis=1))
        boxes.append(((columns[0] + columns[-1]) / 2, float(rows[-1])))
    return boxes


@pytest.mark.slow
@pytest.mark.parametrize("direction", [1, -1])
def test_a_walk_becomes_a_turn_from_the_front_quarter(
    turning: Pipeline, tmp_path: Path, direction: int
) -> None:
    film(turning, tmp_path, [200 + direction * a for a in AROUND])
    outcome = turning.run()
    spin = outcome.listing.spin
    assert spin is not None
    assert len(spin.frames) == 36
    assert 36 < spin.azimuths_deg[0] < 54
    assert sum(spin.gaps) == pytest.approx(360, abs=1)
    assert max(spin.gaps) < 25
    shapes = {picture.shape for picture in pictures(turning)}
    assert shapes == {(spin.height, spin.width, 3)}
    assert spin.width / spin.height == pytest.approx(4 / 3, abs=0.01)
    assert outcome.checks["listing_valid"]


@pytest.mark.slow
def test_the_car_stands_still_while_it_turns(turning: Pipeline, tmp_path: Path) -> None:
    # Twice as large: of the small clip, whose colours are half as fine, one pixel is the limit.
    shown = (clips.turning_car(a).repeat(2, axis=0).repeat(2, axis=1) for a in AROUND)
    walk = clips.write(tmp_path / "walk.mp4", shown)
    turning.store.put(keys.raw_videos(VEHICLE) + "walk.mp4", walk.read_bytes())
    spin = turning.run().listing.spin
    assert spin is not None
    boxes = np.array(car_boxes(pictures(turning)))
    trend = (np.roll(boxes, 1, axis=0) + np.roll(boxes, -1, axis=0)) / 2
    off = np.abs(boxes - trend)
    assert off[:, 0].max() <= 0.005 * spin.width
    assert off[:, 1].max() <= 0.005 * spin.height


@pytest.mark.slow
def test_a_second_run_makes_nothing(turning: Pipeline, tmp_path: Path) -> None:
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND)
    first = turning.run()
    before = turning.snapshot()
    again = turning.run()
    assert first.computed["spin_frames"] == 12
    assert again.computed == dict.fromkeys(again.computed, 0)
    assert turning.snapshot() == before


@pytest.mark.slow
def test_a_plate_that_is_missed_on_some_frames_is_on_none(
    turning: Pipeline, tmp_path: Path
) -> None:
    class Forgetful(FakePlates):
        """Misses every seventh picture it is shown."""

        def detect(self, photos, vehicles, known=()):  # type: ignore[no-untyped-def]
            found = super().detect(photos, vehicles, known)
            return [[] if self.asked % 7 == 0 else spots for spots in found]

    turning.models["plate_detector"] = Forgetful()
    turning.models["quick_plate_detector"] = Forgetful()
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND, plate=True)
    turning.run()
    plates = LicensePlates.model_validate_json(
        turning.store.get(keys.table(VEHICLE, "license_plates"))
    )
    assert len(plates.frames) == 12
    assert all(row.plates for row in plates.frames)
    for row in plates.frames:
        assert not inked(codec.decode_trusted(turning.store.get(row.masked_key)))
    for picture in pictures(turning):
        assert not inked(picture)


class BlindOnFrames(FakePlates):
    """Misses every plate on the video's own frames."""

    def detect(self, photos, vehicles, known=()):  # type: ignore[no-untyped-def]
        found = super().detect(photos, vehicles, known)
        size = clips.HEIGHT, clips.WIDTH
        return [[] if p.shape[:2] == size else f for p, f in zip(photos, found, strict=True)]


@pytest.mark.slow
def test_a_plate_that_masking_missed_is_found_on_the_finished_frames(
    turning: Pipeline, tmp_path: Path
) -> None:
    turning.models["plate_detector"] = BlindOnFrames()
    turning.models["quick_plate_detector"] = BlindOnFrames()
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND, plate=True)
    outcome = turning.run()
    late = [frame.late for frame in table(turning).frames]
    assert len(late) == 12
    assert all(late)
    assert outcome.metadata["spin_frames"]["plates_covered_late"] == 12
    assert not any(inked(picture) for picture in pictures(turning))


@pytest.mark.slow
def test_frames_on_which_a_plate_reads_whatever_is_done_are_not_published(
    turning: Pipeline, tmp_path: Path
) -> None:
    class Suspicious(FakeReader):
        """Reads a registration wherever it is asked about a finished frame's strip."""

        def read(self, strips):  # type: ignore[no-untyped-def]
            return [("AB 1234", 0.9) for _ in strips]

    turning.models["plate_reader"] = Suspicious()
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND, plate=True)
    listing = turning.run().listing
    assert listing.spin is None
    assert "a plate can be read" in (listing.spin_reason or "")
    assert listing.status == "needs_review"


@pytest.mark.slow
def test_a_gap_without_the_front_is_told_and_a_photo_fills_it(
    turning: Pipeline, tmp_path: Path
) -> None:
    film(turning, tmp_path, range(16, 345, 8))
    listing = turning.run().listing
    assert listing.spin is not None
    assert listing.status == "needs_review"
    assert any("lacks the front" in reason for reason in listing.reasons)
    turning.upload({"front.jpg": jpeg(clips.turning_car(0))})
    listing = turning.run().listing
    assert listing.spin is not None
    assert listing.status == "ready", listing.reasons
    (position,) = listing.spin.photo_frames
    assert listing.spin.azimuths_deg[position] == pytest.approx(0, abs=3)
    assert max(listing.spin.gaps) <= 20


def inked(picture: clips.Pixels) -> bool:
    """Whether dark strokes stand on the plate's yellow."""
    rows, columns = np.nonzero(yellow(picture))
    if not rows.size:
        return False
    plate = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return bool((plate.max(axis=2) < 110).mean() > 0.05)


@pytest.mark.slow
def test_photos_all_around_make_a_spin_where_there_is_no_video(turning: Pipeline) -> None:
    turning.upload({f"{i}.jpg": jpeg(clips.turning_car(22.5 * i)) for i in range(16)})
    outcome = turning.run()
    spin = outcome.listing.spin
    assert spin is not None
    assert table(turning).made_from == "photos"
    assert len(spin.frames) == 16
    assert 20 < max(spin.gaps) < 30  # steps of photos, as the seller took them: no fault of a film
    assert outcome.listing.status == "ready", outcome.listing.reasons
    assert outcome.listing.spin_reason is None


@pytest.mark.slow
def test_a_few_photos_make_none_and_the_reason_is_given(turning: Pipeline) -> None:
    turning.upload({f"{i}.jpg": jpeg(clips.turning_car(90.0 * i)) for i in range(4)})
    listing = turning.run().listing
    assert listing.spin is None
    assert listing.spin_reason == (
        "no walk-around video was uploaded; a 360 view needs at least 8 photos of the whole "
        "vehicle from all around it, with no gap wider than 60 degrees; 4 can be used"
    )


@pytest.mark.slow
def test_the_spin_goes_when_its_video_goes(turning: Pipeline, tmp_path: Path) -> None:
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND)
    turning.run()
    turning.store.delete(keys.raw_videos(VEHICLE) + "walk.mp4")
    assert turning.run().listing.spin is None
    assert list(turning.store.list(keys.spin_folder(VEHICLE))) == []


@pytest.mark.slow
def test_options_reach_every_frame(turning: Pipeline, tmp_path: Path) -> None:
    turning.store.put(
        keys.options(VEHICLE),
        b'{"aspect": "16:9", "max_width": 400, "generate_shadow": false, "promo": false,'
        b' "spin_frames": 12}',
    )
    film(turning, tmp_path, AROUND)
    spin = turning.run().listing.spin
    assert spin is not None
    assert (spin.width, spin.height) == (400, 225)
    floor = [picture[-20:].mean() for picture in pictures(turning)]
    assert max(floor) - min(floor) < 1  # nothing falls on it


@pytest.mark.slow
def test_the_scene_of_the_option_is_behind_photos_and_frames(
    turning: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def night(stage: Stage) -> Floats:
        return np.full((stage.height, stage.width, 3), 20, np.float32)

    monkeypatch.setitem(SCENES, "white_studio", replace(WHITE_STUDIO, paint=night))
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND)
    (photo,) = turning.run().listing.photos
    finished = codec.decode_trusted(turning.store.get(finished_key(photo)))
    frames = pictures(turning)
    assert all(picture[:20, :20].max() < 30 for picture in (finished, *frames))
    grounds = [ground / len(frames[0]) for _, ground in car_boxes(frames)]
    assert np.mean(grounds) == pytest.approx(wheel_line(4 / 3), abs=0.02)


@pytest.mark.slow
def test_a_frame_that_cannot_be_finished_costs_the_turn_only_itself(
    turning: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turning.store.put(keys.options(VEHICLE), b'{"promo": false, "spin_frames": 18}')
    film(turning, tmp_path, AROUND)
    whole = turning.run()
    lost = table(turning).frames[5].source
    finish = spin.finish

    def failing(picture: Rgb, matte: Alpha, canvas: spin.Steady, position: int, *more: Any) -> Rgb:
        if np.array_equal(picture, poisoned):
            raise ValueError("a bad frame")
        return finish(picture, matte, canvas, position, *more)

    plates = LicensePlates.model_validate_json(
        turning.store.get(keys.table(VEHICLE, "license_plates"))
    )
    (key,) = [row.masked_key for row in plates.frames if row.number == lost]
    poisoned = codec.decode_trusted(turning.store.get(key))
    monkeypatch.setattr(spin, "finish", failing)
    turning.store.put(
        keys.options(VEHICLE), b'{"promo": false, "spin_frames": 18, "auto_enhance": false}'
    )  # made anew
    outcome = turning.run()
    assert outcome.success
    assert whole.listing.spin is not None and outcome.listing.spin is not None
    assert len(outcome.listing.spin.frames) == len(whole.listing.spin.frames) - 1
    assert lost not in outcome.listing.spin.sources
    assert outcome.listing.status == "needs_review"
    (reason,) = [r for r in outcome.listing.reasons if "Turning" in r]
    assert f"moment {lost}: ValueError: a bad frame" in reason
    monkeypatch.setattr(spin, "finish", finish)
    healed = turning.run().listing.spin
    assert healed is not None and lost in healed.sources


@pytest.mark.slow
def test_each_frame_is_there_for_web_pages_too(turning: Pipeline, tmp_path: Path) -> None:
    turning.store.put(keys.options(VEHICLE), TWELVE)
    film(turning, tmp_path, AROUND)
    spin = turning.run().listing.spin
    assert spin is not None
    assert spin.sizes
    assert spin.sizes[0].type == "image/webp"
    for size in spin.sizes:
        assert len(size.frames) == len(spin.frames)
        for key in size.frames:
            picture = codec.decode_trusted(turning.store.get(key))
            assert picture.shape == (size.height, size.width, 3)
            assert keys.named_by_content(key)

"""One bad photo never costs the vehicle: the whole pipeline, with one that a model cannot do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.operations.backfill import missing_outputs
from resources.decoding import photo_decoder
from resources.decoding.photo_decoder import PhotoDecoder, stop_workers
from resources.errors import BrokenSetup
from resources.models.base import Detection, Matte, PlateFound, Subject, View
from resources.storage.media_store import LocalMediaStore
from tests import clips, pictures
from tests.fakes import (
    VEHICLE,
    FakeDetector,
    FakePlates,
    FakeReader,
    FakeSegmenter,
    FakeTurnSegmenter,
    FakeViews,
    Outcome,
    Pipeline,
    finished_key,
)

POISON = (40, 20, 235)
"""Paint of the car that the models below cannot do."""
PHOTOS = {
    "1.jpg": pictures.jpeg(pictures.car(1)),
    "2 poison.jpg": pictures.jpeg(pictures.car(2, POISON)),
    "3.jpg": pictures.jpeg(pictures.car(3)),
    "4.jpg": pictures.jpeg(pictures.cabin(4)),
}
"""Of four photos the second; a close-up or a paper would only take time."""


def swallow(photos: Sequence[Rgb], error: type[Exception] = RuntimeError) -> None:
    """Raises where one of the photos shows the poisoned paint."""
    for photo in photos:
        red, blue = photo[..., 0].astype(int), photo[..., 2].astype(int)
        if (blue - red > 120).sum() > 500:
            raise error("CUDA error: device-side assert\nmore of it")


@dataclass
class BatchDetector(FakeDetector):
    batch: int = 3


@dataclass
class BatchSegmenter(FakeSegmenter):
    batch: int = 3
    error: type[Exception] | None = None

    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        if self.error is not None:
            swallow(photos, self.error)
        return super().segment(photos, subjects)


@dataclass
class PoisonedDetector(FakeDetector):
    batch: int = 3

    def detect(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        swallow(photos)
        return super().detect(photos)


@dataclass
class PoisonedViews(FakeViews):
    batch: int = 3

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        swallow(photos)
        return super().classify(photos, boxes)


@dataclass
class PoisonedPlates(FakePlates):
    batch: int = 3

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        swallow(photos)
        return super().detect(photos, vehicles, known)


@dataclass
class BatchViews(FakeViews):
    batch: int = 3


@dataclass
class BatchPlates(FakePlates):
    batch: int = 3


@dataclass
class BatchReader(FakeReader):
    batch: int = 3


def upload(pipeline: Pipeline, options: bytes = b'{"promo": false}') -> None:
    pipeline.upload(PHOTOS)
    pipeline.store.put(keys.options(VEHICLE), options)


def made(pipeline: Pipeline) -> dict[str, object]:
    """Bytes of the finished files; of the listing what does not depend on the clock."""
    files: dict[str, object] = {key: data for key, (data, _) in pipeline.snapshot().items()}
    listing = json.loads(pipeline.store.get(keys.listing(VEHICLE)))
    del listing["generated_at"], listing["cost"]
    return files | {keys.listing(VEHICLE): listing}


def names(pipeline: Pipeline) -> set[str]:
    return {key.rsplit("/", 1)[-1] for key in pipeline.snapshot()}


def assert_only_the_poisoned_one_is_missing(pipeline: Pipeline, outcome: Outcome) -> None:
    listing = outcome.listing
    assert outcome.success
    assert [photo.number for photo in listing.photos] == [1, 3, 4]
    assert [p.treatment for p in listing.photos] == ["studio", "studio", "enhanced"]
    assert all(finished_key(photo) in pipeline.snapshot() for photo in listing.photos)
    (refused,) = listing.refused
    assert refused.source_key == f"{keys.raw_photos(VEHICLE)}2 poison.jpg"
    assert (refused.reason, refused.number) == ("step_failed", 2)
    assert "failed on this photo: RuntimeError: CUDA error: device-side assert" in refused.detail
    assert "more of it" not in refused.detail
    assert listing.status == "needs_review"
    assert list(listing.reasons) == [f"2 poison.jpg: {refused.detail}"]
    assert not [name for name in names(pipeline) if "_002" in name]


@pytest.mark.parametrize(
    ("role", "model", "step"),
    [
        pytest.param("detector", PoisonedDetector(), "masks", marks=pytest.mark.slow),
        ("segmenter", BatchSegmenter(error=RuntimeError), "masks"),
        pytest.param("views", PoisonedViews(), "classifications", marks=pytest.mark.slow),
        # Nobody has looked for its plate: it must not be shown.
        pytest.param("plate_detector", PoisonedPlates(), "license_plates", marks=pytest.mark.slow),
    ],
    ids=["detector", "segmenter", "views", "plates"],
)
def test_the_vehicle_completes_without_the_photo(
    pipeline: Pipeline, role: str, model: object, step: str
) -> None:
    upload(pipeline)
    pipeline.models |= {"detector": BatchDetector(), role: model}
    outcome = pipeline.run()
    assert_only_the_poisoned_one_is_missing(pipeline, outcome)
    assert outcome.computed[step] == 3


FRAME = (clips.HEIGHT, clips.WIDTH, 3)


def is_frame(photos: Sequence[Rgb]) -> bool:
    return any(photo.shape == FRAME for photo in photos)


@dataclass
class FramelessViews(clips.TurningViews):
    """Looks at the moments of a video while it is taken in."""

    broken: bool = True

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        if self.broken and is_frame(photos):
            raise RuntimeError("CUDA error: device-side assert\nmore of it")
        return super().classify(photos, boxes)


@dataclass
class FramelessSegmenter(FakeTurnSegmenter):
    broken: bool = True

    def segment_turn(self, frames: Sequence[Rgb], boxes: Sequence[Box]) -> list[Matte]:
        if self.broken:
            raise RuntimeError("CUDA error: device-side assert\nmore of it")
        return super().segment_turn(frames, boxes)


@dataclass
class FramelessPlates(FakePlates):
    broken: bool = True

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        if self.broken and is_frame(photos):
            raise RuntimeError("CUDA error: device-side assert\nmore of it")
        return super().detect(photos, vehicles, known)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "model", "said"),
    [
        ("views", FramelessViews(), "the models failed on this video"),
        ("turn_segmenter", FramelessSegmenter(), "Cutting out the turn failed"),
        # Nobody has looked for its plates: it must not be shown.
        ("plate_detector", FramelessPlates(), "Masking plates of the turn failed"),
    ],
    ids=["views", "segmenter", "plates"],
)
def test_a_turn_that_cannot_be_done_costs_the_vehicle_only_its_spin(
    pipeline: Pipeline,
    role: str,
    model: FramelessViews | FramelessSegmenter | FramelessPlates,
    said: str,
    tmp_path: Path,
) -> None:
    model.broken = True
    clips.turn(tmp_path / "walk.mp4", [float(a) for a in range(0, 360, 10)])
    video = keys.raw_videos(VEHICLE) + "walk.mp4"
    pipeline.store.put(video, (tmp_path / "walk.mp4").read_bytes())
    upload(pipeline)
    pipeline.models |= {"views": clips.TurningViews(), role: model}
    listing = pipeline.run().listing
    assert [photo.number for photo in listing.photos] == [1, 2, 3, 4]
    (refused,) = listing.refused
    detail = f"{said}: RuntimeError: CUDA error: device-side assert"
    assert (refused.source_key, refused.reason) == (video, "step_failed")
    assert refused.detail == detail
    assert (listing.status, listing.reasons) == ("needs_review", (f"walk.mp4: {detail}",))
    assert listing.spin is None
    assert detail in (listing.spin_reason or "")
    assert not [name for name in names(pipeline) if "spin" in name]
    assert missing_outputs(VEHICLE, pipeline.store) == "a step failed on 1 of its uploads"
    model.broken = False
    healed = pipeline.run().listing
    assert (healed.status, healed.refused) == ("ready", ())
    assert healed.spin is not None
    assert missing_outputs(VEHICLE, pipeline.store) == ""


@pytest.mark.slow
def test_it_keeps_its_number_and_comes_back_once_it_can_be_done(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.models["segmenter"] = BatchSegmenter(error=ValueError)
    pipeline.run()
    before = pipeline.snapshot()
    # Tried again, in vain: nothing else is computed and no byte changes.
    assert set(pipeline.run().computed.values()) == {0}
    assert pipeline.snapshot() == before
    pipeline.upload({"0 added.jpg": pictures.jpeg(pictures.cabin(9))})
    pipeline.models["segmenter"] = BatchSegmenter()
    healed = pipeline.run()
    assert [p.number for p in healed.listing.photos] == [1, 2, 3, 4, 5]
    assert healed.listing.photos[1].source_key.endswith("2 poison.jpg")
    assert (healed.listing.status, healed.listing.refused) == ("ready", ())


def test_a_broken_setup_is_not_taken_for_a_photo(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.models["segmenter"] = BatchSegmenter(error=BrokenSetup)
    with pytest.raises(BrokenSetup, match="device-side assert"):
        pipeline.run()
    assert pipeline.snapshot() == {}


@pytest.mark.slow
def test_a_photo_that_was_published_and_now_fails_is_shown_no_more(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.run()
    assert "exterior_002_processed.jpg" in names(pipeline)
    broken = PoisonedPlates(version="2")
    pipeline.models["plate_detector"] = broken
    assert_only_the_poisoned_one_is_missing(pipeline, pipeline.run())


@pytest.mark.slow
def test_batches_make_the_same_files(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.run()
    one_by_one = made(pipeline)
    for info in list(pipeline.store.list("")):
        if not info.key.startswith("raw/"):
            pipeline.store.delete(info.key)
    pipeline.models |= {
        "detector": BatchDetector(),
        "segmenter": BatchSegmenter(),
        "views": BatchViews(),
        "plate_detector": BatchPlates(),
        "plate_reader": BatchReader(),
    }
    pipeline.run()
    assert made(pipeline) == one_by_one


@pytest.mark.slow
def test_a_decoder_that_hangs_costs_one_photo(
    store: LocalMediaStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_workers()
    monkeypatch.setattr(photo_decoder, "DECODE_FUNCTION", "tests.resources.decoders:sleeping")
    pipeline = Pipeline(store, instance)
    pipeline.models["decoder"] = PhotoDecoder(timeout_seconds=3.0)
    upload(pipeline)
    pipeline.upload({"2 poison.jpg": b"hang"})
    outcome = pipeline.run()
    assert outcome.success
    assert [p.source_key.rsplit("/", 1)[-1] for p in outcome.listing.photos] == [
        "1.jpg",
        "3.jpg",
        "4.jpg",
    ]
    assert [r.reason for r in outcome.listing.refused] == ["decode_timeout"]
    assert outcome.listing.status == "ready"
    stop_workers()


@pytest.mark.slow
def test_what_a_photo_cost_stays_with_it_and_is_priced(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(pipeline)
    monkeypatch.setenv("OKLA_PRICE_CPU_HOUR", "36")
    monkeypatch.setenv("OKLA_PRICE_GPU_HOUR", "360")
    segmenter = BatchSegmenter()
    segmenter.device = "cuda"  # type: ignore[attr-defined]
    pipeline.models["segmenter"] = segmenter
    outcome = pipeline.run()
    cost, shown = outcome.listing.cost, outcome.metadata["listing"]
    assert cost.device_seconds["gpu"] > 0
    assert sum(cost.device_seconds.values()) == pytest.approx(sum(cost.seconds.values()), abs=0.1)
    expected = cost.device_seconds["cpu"] * 0.01 + cost.device_seconds["gpu"] * 0.1
    assert cost.usd is not None
    assert cost.usd == pytest.approx(expected, abs=1e-5)
    assert shown["cents_in_all"] == pytest.approx(cost.usd * 100, abs=1e-4)
    assert shown["gpu_seconds_in_all"] == cost.device_seconds["gpu"]
    files = pipeline.snapshot()
    again = pipeline.run()
    assert set(again.computed.values()) == {0}
    assert pipeline.snapshot() == files
    # An added photo adds what it cost to what the others had cost.
    pipeline.upload({"9.jpg": pictures.jpeg(pictures.car(5))})
    more = pipeline.run().listing.cost
    assert more.seconds["masks"] > cost.seconds["masks"]

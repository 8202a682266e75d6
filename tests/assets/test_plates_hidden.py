"""Nobody's plate leaves the house: the whole pipeline on photos that show one."""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.assets import composites as finishing
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import guard
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Alpha, Floats, Rgb
from tests import pictures
from tests.fakes import VEHICLE, FakePlates, FakeReader, Outcome, Pipeline, yellow

PRIVATE = (f"raw/{VEHICLE}/", f"private/{VEHICLE}/")
PICTURES = (".jpg", ".png", ".webp")


def upload(pipeline: Pipeline) -> None:
    pipeline.upload(
        {
            "1 plate.jpg": pictures.jpeg(pictures.plated_car(1), quality=95),
            "2 none.jpg": pictures.jpeg(pictures.car(2)),
            "3 cabin.jpg": pictures.jpeg(pictures.cabin(3)),
            "4 doubtful.jpg": pictures.jpeg(pictures.plated_car(4), quality=95),
        }
    )


def sheets(pipeline: Pipeline) -> list[bytes]:
    """Every picture in the metadata of any materialization."""
    found = []
    for key in pipeline.instance.all_asset_keys():
        for record in pipeline.instance.fetch_materializations(key, limit=100).records:
            event = record.asset_materialization
            assert event is not None
            for value in event.metadata.values():
                text = str(value.value)
                found += [base64.b64decode(b) for b in re.findall(r"base64,([\w+/=]+)", text)]
    return found


def characters(data: bytes) -> int:
    """Pixels of ink on yellow ground: what a plate shows, whatever the scale."""
    picture = codec.decode_trusted(data)
    ground = cv2.morphologyEx(yellow(picture).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
    ink = picture.max(axis=2) < 110
    count, _, boxes, _ = cv2.connectedComponentsWithStats(ground)
    return sum(int(ink[y : y + h, x : x + w].sum()) for x, y, w, h, _ in boxes[1:count])


def test_the_test_would_see_a_plate(pipeline: Pipeline) -> None:
    upload(pipeline)
    shown = [characters(pipeline.store.get(o.key)) for o in pipeline.store.list(PRIVATE[0])]
    assert sum(count > 20 for count in shown) == 2


@pytest.mark.slow
@pytest.mark.parametrize("style", ["fill", "blur"])
def test_no_output_shows_a_plate(pipeline: Pipeline, style: str) -> None:
    upload(pipeline)
    options = f'{{"license_plate_mask_type": "{style}"}}'.encode()
    pipeline.store.put(keys.options(VEHICLE), options)
    outcome = pipeline.run()
    assert outcome.success
    assert outcome.checks["no_plate_shown"]
    assert [len(photo.plates) for photo in outcome.listing.photos] == [1, 0, 0, 1]
    searched = {
        o.key: characters(pipeline.store.get(o.key))
        for o in pipeline.store.list("")
        if o.key.endswith(PICTURES) and not o.key.startswith(PRIVATE)
    }
    assert len(searched) > 12
    assert {key: count for key, count in searched.items() if count} == {}
    previews = sheets(pipeline)
    assert len(previews) >= 4
    assert [characters(sheet) for sheet in previews] == [0] * len(previews)


def kept_back(outcome: Outcome) -> list[int]:
    return [photo.number for photo in outcome.listing.photos if photo.withheld]


@pytest.mark.slow
def test_a_plate_that_was_missed_is_covered_on_the_finished_picture(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.models["plate_detector"] = FakePlates(blind_for=1)  # misses that of photo 1
    outcome = pipeline.run()
    assert outcome.checks["no_plate_shown"]
    assert kept_back(outcome) == []
    assert outcome.metadata["composites"]["plates_covered_late"] == 1
    shown = [o.key for o in pipeline.store.list(keys.processed_folder(VEHICLE))]
    pictures_of_it = [key for key in shown if keys.photo_shown(key) == 1]
    assert len(pictures_of_it) == 3  # the picture, its thumbnail, and the one before
    assert [characters(pipeline.store.get(key)) for key in pictures_of_it] == [0] * 3


class ReadsOn(FakeReader):
    """Reads a plate wherever it is asked, covered or not; other weights than the first reader."""

    def fingerprint(self) -> str:
        return "reads on"

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        return [("AB 1234", 0.9) for _ in strips]


@pytest.mark.slow
def test_a_plate_that_reads_all_the_same_keeps_its_picture_back(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.models["plate_reader"] = ReadsOn()
    outcome = pipeline.run()
    assert outcome.success  # the others go on
    assert not outcome.checks["no_plate_shown"]
    assert kept_back(outcome) == [1, 4]
    assert outcome.listing.status == "needs_review"
    assert "exterior_001: kept back: a plate can be read" in outcome.listing.reasons
    first, second, third, _ = outcome.listing.photos
    assert (first.processed_key, first.thumbnail_key) == (None, None)
    assert all(photo.processed_key and photo.thumbnail_key for photo in (second, third))
    shown = [o.key for o in pipeline.store.list(keys.processed_folder(VEHICLE))]
    assert not [key for key in shown if keys.photo_shown(key) in (1, 4)]
    assert "1234" not in outcome.listing.model_dump_json()


@pytest.mark.slow
def test_a_picture_that_is_not_true_to_its_photo_costs_the_vehicle_nothing_else(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is shown, its photo before neither, and the others go on."""
    upload(pipeline)
    measured = guard.compare

    def once(finished: Rgb, photo: Rgb, move: Floats, solid: Alpha | None = None) -> Truth:
        monkeypatch.setattr(guard, "compare", measured)
        return replace(measured(finished, photo, move, solid), tile=50.0)

    monkeypatch.setattr(guard, "compare", once)
    outcome = pipeline.run()
    assert outcome.success
    assert len(kept_back(outcome)) == 1
    assert outcome.listing.status == "needs_review"
    shown = [keys.photo_shown(o.key) for o in pipeline.store.list(keys.processed_folder(VEHICLE))]
    assert not set(kept_back(outcome)) & set(shown)
    assert len(set(shown) - {None}) == 3


@pytest.mark.slow
def test_what_was_published_of_a_picture_that_is_kept_back_now_goes(pipeline: Pipeline) -> None:
    upload(pipeline)
    assert kept_back(pipeline.run()) == []
    pipeline.models["plate_reader"] = ReadsOn()
    outcome = pipeline.run()
    assert outcome.success
    assert kept_back(outcome) == [1, 4]
    shown = [o.key for o in pipeline.store.list(keys.processed_folder(VEHICLE))]
    assert not [key for key in shown if keys.photo_shown(key) in (1, 4)]


@pytest.mark.slow
def test_a_picture_that_must_be_kept_back_stops_publication_where_it_is_shown(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(pipeline)
    pipeline.models["plate_reader"] = ReadsOn()
    published = pipeline.run().listing
    monkeypatch.setattr(finishing, "_unpublish", lambda *_: None)
    key = keys.processed_photo(VEHICLE, "exterior", 1, "jpg")
    pipeline.store.put(key, pictures.jpeg(pictures.plated_car(1)))
    outcome = pipeline.run(may_fail=True)
    assert not outcome.success
    assert not outcome.checks["no_plate_shown"]
    assert "listing" not in outcome.metadata
    assert outcome.listing == published


@pytest.mark.slow
def test_masking_can_be_switched_off(pipeline: Pipeline) -> None:
    upload(pipeline)
    pipeline.store.put(keys.options(VEHICLE), b'{"mask_license_plate": false}')
    outcome = pipeline.run()
    assert outcome.checks["no_plate_shown"]
    assert kept_back(outcome) == []
    key = keys.processed_photo(VEHICLE, "exterior", 1, "jpg")
    assert characters(pipeline.store.get(key)) > 20
    assert outcome.metadata["license_plates"]["style"] == "none"
    assert "preview" not in outcome.metadata["license_plates"]

"""Another scene under the same vehicle: composed anew, searched for plates no more."""

import json

import cv2
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.contract import ListingPhoto
from okla_assets.imaging.photo import codec
from resources.decoding.promo_encoder import PromoEncoder
from tests import clips, pictures
from tests.assets.test_plates_hidden import ReadsOn, characters
from tests.fakes import VEHICLE, FakePlates, Outcome, Pipeline, finished_key


def upload(pipeline: Pipeline) -> None:
    pipeline.upload(
        {
            "1 plate.jpg": pictures.jpeg(pictures.plated_car(1), quality=95),
            "2 none.jpg": pictures.jpeg(pictures.car(2)),
            "3 cabin.jpg": pictures.jpeg(pictures.cabin(3)),
        }
    )


def choose(pipeline: Pipeline, **options: object) -> None:
    told = json.dumps({"promo": False, **options}).encode()
    pipeline.store.put(keys.options(VEHICLE), told)


def asked(pipeline: Pipeline) -> dict[str, int]:
    """How often each network was asked."""
    return {name: m.asked for name, m in pipeline.models.items() if hasattr(m, "asked")}


@pytest.mark.slow
def test_a_change_of_scene_asks_no_network(pipeline: Pipeline) -> None:
    """Nor does one of the shadow or of the file format."""
    upload(pipeline)
    pipeline.models["plate_detector"] = FakePlates(blind_for=1)  # misses that of photo 1
    choose(pipeline)
    first = pipeline.run()
    shown = {
        photo.number: pipeline.store.get(finished_key(photo)) for photo in first.listing.photos
    }
    before = asked(pipeline)
    assert before["plate_detector"] > 3
    changes: tuple[dict[str, object], ...] = (
        {"background_id": "dark_studio"},
        {"shadow_opacity": 0.5, "output_format": "png"},
    )
    for change in changes:
        choose(pipeline, **change)
        outcome = pipeline.run()
        assert asked(pipeline) == before
        assert outcome.checks["no_plate_shown"]
        # A cabin that is on no scene is not made again, but for its file's format.
        assert outcome.computed["composites"] == (3 if "output_format" in change else 2)
        # What was covered late on one scene is covered on the next.
        assert outcome.metadata["composites"]["plates_covered_late"] == 1
        for photo in outcome.listing.photos:
            picture = pipeline.store.get(finished_key(photo))
            assert characters(picture) == 0
            alike = photo.number == 3 and "output_format" not in change
            assert (picture == shown[photo.number]) == alike
    choose(pipeline, max_width=800)  # other pixels of the vehicle: searched anew
    pipeline.run()
    assert asked(pipeline)["plate_detector"] > before["plate_detector"]


def test_of_a_shadow_that_is_asked_for_it_is_told_whose_it_is(pipeline: Pipeline) -> None:
    plain = np.full((270, 360, 3), 150, np.uint8)
    on_street = pictures.car(2)
    cv2.ellipse(plain, (180, 196), (95, 14), 0, 0, 360, (90, 90, 90), -1)
    cv2.ellipse(plain, (180, 150), (90, 45), 0, 0, 360, pictures.CLEAR, -1)
    pipeline.upload(
        {
            "1 plain.jpg": pictures.jpeg(plain),
            "2 street.jpg": pictures.jpeg(on_street),
            "3 cabin.jpg": pictures.jpeg(pictures.cabin(3)),
        }
    )
    choose(pipeline, shadow="original")
    kept, drawn, cabin = pipeline.run().listing.photos
    assert (kept.treatment, kept.own_shadow, kept.no_own_shadow) == ("studio", True, None)
    assert (drawn.treatment, drawn.own_shadow) == ("studio", False)
    assert "ground" in (drawn.no_own_shadow or "") or "border" in (drawn.no_own_shadow or "")
    assert (cabin.own_shadow, cabin.no_own_shadow) == (False, None)
    assert [shadow_source(photo) for photo in (kept, drawn, cabin)] == ["photo", "drawn", None]


def shadow_source(photo: ListingPhoto) -> object:
    assert photo.provenance is not None
    edits = {edit.action: edit.details for edit in photo.provenance.edits}
    return edits.get("shadow", {}).get("source")


def hang_a_plate_in_the_hall(pipeline: Pipeline) -> None:
    """An owner's scene whose picture shows a car with its plate."""
    room = np.full((1200, 1600, 3), 180, np.uint8)
    plated = cv2.resize(pictures.plated_car(1), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    room[150 : 150 + plated.shape[0], 600 : 600 + plated.shape[1]] = plated
    picture = codec.encode_jpeg(room, 95)
    assert characters(picture) > 20
    pipeline.store.put(keys.own_scene("hall"), b"horizon = 0.4\nwheels = 0.8\n")
    pipeline.store.put(keys.own_scene_pictures("hall")[0], picture)


@pytest.mark.slow
def test_a_plate_in_the_owners_room_is_covered_and_searched_for_once(pipeline: Pipeline) -> None:
    """The vehicle is searched without its scene, so the room is searched by itself."""
    upload(pipeline)
    hang_a_plate_in_the_hall(pipeline)
    choose(pipeline, background_id="hall")
    outcome = pipeline.run()
    before = asked(pipeline)
    for photo in outcome.listing.photos:
        assert characters(pipeline.store.get(finished_key(photo))) == 0
    choose(pipeline, background_id="hall", shadow_opacity=0.2)
    pipeline.run()
    assert asked(pipeline) == before


def turning_in_the_hall(pipeline: Pipeline) -> Outcome:
    pipeline.models["views"] = clips.TurningViews()
    pipeline.models["promo_encoder"] = PromoEncoder(short_side=240, fps=6)
    hang_a_plate_in_the_hall(pipeline)
    pipeline.upload({f"{n:02}.jpg": pictures.jpeg(clips.turning_car(22.5 * n)) for n in range(16)})
    choose(pipeline, background_id="hall", promo=True, promo_title="x")
    return pipeline.run()


@pytest.mark.slow
def test_nor_do_the_turn_and_the_film_show_it(pipeline: Pipeline) -> None:
    listing = turning_in_the_hall(pipeline).listing
    assert listing.spin is not None
    assert listing.promo is not None
    posters = [listing.promo.poster_key, listing.promo.vertical_poster_key]
    for key in [*listing.spin.frames, *filter(None, posters)]:
        assert characters(pipeline.store.get(key)) == 0, key


@pytest.mark.slow
def test_a_room_on_which_a_plate_reads_all_the_same_is_shown_nowhere(pipeline: Pipeline) -> None:
    pipeline.models["plate_reader"] = ReadsOn()
    outcome = turning_in_the_hall(pipeline)
    listing = outcome.listing
    assert all(photo.withheld for photo in listing.photos)
    assert listing.spin is None
    assert listing.status == "needs_review"

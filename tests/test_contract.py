"""listing.json is what other systems read: its schema must say no as well as yes."""

import json
from typing import Any

import jsonschema
import pytest

from okla_assets import keys
from okla_assets.contract import Listing, listing_schema
from okla_assets.options import StudioOptions
from tests import pictures
from tests.fakes import VEHICLE, Pipeline


@pytest.fixture
def published(pipeline: Pipeline) -> dict[str, Any]:
    """A listing with a photo of every kind and a refused file, as a reader gets it."""
    pipeline.upload(
        {
            "1.jpg": pictures.jpeg(pictures.car()),
            "2.jpg": pictures.jpeg(pictures.car(2, pictures.DOUBTFUL)),
            "3.jpg": pictures.jpeg(pictures.cabin(3)),
            "4.jpg": pictures.jpeg(pictures.paper(4)),
            "5.jpg": b"no picture",
        }
    )
    pipeline.run()
    listing: dict[str, Any] = json.loads(pipeline.store.get(keys.listing(VEHICLE)))
    return listing


@pytest.mark.slow
def test_the_schema_fits_what_is_published_and_nothing_else(published: dict[str, Any]) -> None:
    schema = listing_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert schema["$id"] == f"urn:okla-media:listing:{published['schema_version']}"
    validator.validate(published)
    assert [p["category"] for p in published["photos"]] == [
        "exterior",
        "exterior",
        "interior",
        "misc",
    ]

    def wrong(*path: str | int, to: object) -> bool:
        broken = json.loads(json.dumps(published))
        place = broken
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return not validator.is_valid(broken)

    assert wrong("schema_version", to=2)
    assert wrong("status", to="done")
    assert wrong("comment", to="unknown field")
    assert wrong("photos", 0, "category", to="engine")
    assert wrong("photos", 0, "quality", "score", to=101)
    assert wrong("photos", 0, "category_confidence", to=1.5)
    assert wrong("photos", 0, "azimuth_deg", to=360)
    assert wrong("photos", 0, "vehicle_box", to=[1, 2, 3])
    assert wrong("photos", 0, "source_key", to=None)
    assert wrong("refused", 0, "reason", to="ugly")
    assert not wrong("photos", 0, "mask_key", to=None)
    assert not wrong("promo", to=None)
    # What was added later is missing in listings that were made before.
    later = {"videos", "ignored", "order", "missing_views", "retakes", "channels"}
    later |= {"base_url", "gallery_key", "gallery_url", "cover", "cover_key"}
    for name in published:
        shorter = {k: v for k, v in published.items() if k != name}
        assert validator.is_valid(shorter) is (name in later), name


def test_the_published_listing_is_read_back_as_it_was(published: dict[str, Any]) -> None:
    assert json.loads(Listing.model_validate(published).model_dump_json()) == published


@pytest.mark.parametrize(
    "options",
    [
        {"max_width": 319},
        {"max_width": 4097},
        {"output_quality": 39},
        {"output_quality": "fine"},
        {"shadow_opacity": 1.01},
        {"shadow_opacity": float("nan")},
        {"aspect": "4x3"},
        {"output_format": "gif"},
        {"background_id": "../the moon"},
        {"backgroundid": "white_studio"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        StudioOptions.model_validate(options)

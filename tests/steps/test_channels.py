"""What each channel refuses, and why."""

from typing import Any

import pytest

from okla_assets.contract import ChannelVerdict
from okla_assets.options import StudioOptions
from okla_assets.steps import channels, selling
from okla_assets.steps.channel_rules import CHANNELS, RECALLED, ChannelName
from okla_assets.steps.provenance import provenance_of
from okla_assets.tables import Quality
from tests.viewer import made

PLATE = {"quad": ((10, 10), (60, 10), (60, 30), (10, 30)), "confidence": 0.9}


def verdict(
    name: ChannelName, options: StudioOptions | None = None, **changed: Any
) -> ChannelVerdict:
    """Of a sound front quarter, and a second photo with these changes."""
    size: dict[str, Any] = {"processed_size": (1600, 1200), "source_box": (0.0, 0.0, 1.0, 1.0)}
    photos = (made.photo(1, **size), made.photo(2, **size | {"angle": "rear"} | changed))
    used = options or StudioOptions()
    told = [p.model_copy(update={"provenance": provenance_of(p, used)}) for p in photos]
    listing = made.listing(photos=tuple(told), options=used)
    return channels.judged(selling.ordered(listing)).channels[name]


def cut_off(**changed: Any) -> dict[str, Any]:
    return {"quality": Quality(score=40, issues=("cropped",)), "treatment": "enhanced", **changed}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_sound_set_is_taken_whole(name: ChannelName) -> None:
    assert verdict(name) == ChannelVerdict(accepted=(1, 2), refused=())


@pytest.mark.parametrize(
    ("name", "changed", "rule"),
    [
        ("okla_listing", {"processed_key": None, "withheld": "a plate reads"}, "not_published"),
        ("okla_listing", {"duplicate_of": 1}, "duplicate"),
        (
            "okla_listing",
            {"quality": Quality(score=40, issues=("screenshot_or_collage",))},
            "overlay",
        ),
        ("autotrader_uk", {"processed_size": (1000, 750)}, "size"),
        ("google_vehicle_listings", cut_off(), "whole_vehicle"),
        (
            "meta_vehicle_catalog",
            {"treatment": "enhanced", "vehicle_box": (5, 100, 790, 400)},
            "aspect",
        ),
    ],
)
def test_a_photo_is_refused_by_rule(name: ChannelName, changed: dict[str, Any], rule: str) -> None:
    found = verdict(name, **changed)
    assert found.accepted == (1,)
    assert [(one.number, one.rule) for one in found.refused] == [(2, rule)]


def test_a_logo_over_a_plate_is_an_overlay() -> None:
    logo = StudioOptions(license_plate_mask_type="logo")
    assert verdict("google_vehicle_listings", logo, plates=(PLATE,)).accepted == (1,)
    assert verdict("google_vehicle_listings", logo, covered_late=1).accepted == (1,)
    assert verdict("google_vehicle_listings", plates=(PLATE,)).accepted == (1, 2)


def test_the_first_picture_may_lead() -> None:
    rear: dict[str, Any] = {"angle": "rear", "processed_size": (1600, 1200)}
    listing = made.listing(photos=(made.photo(1, **rear), made.photo(2, **rear)))
    found = channels.verdict(selling.ordered(listing), CHANNELS["google_vehicle_listings"])
    assert found.accepted == (1, 2)
    assert len(found.unmet) == 1
    assert "first picture" in found.unmet[0]


def test_more_than_a_channel_shows_are_left_out() -> None:
    photos = tuple(made.photo(n, processed_size=(1600, 1200)) for n in range(1, 14))
    listing = selling.ordered(made.listing(photos=photos))
    found = channels.verdict(listing, CHANNELS["google_vehicle_listings"])
    assert len(found.accepted) == 11
    assert [one.rule for one in found.refused] == ["count", "count"]


def test_every_rule_names_its_source() -> None:
    for channel in CHANNELS.values():
        for source in channel.sources:
            assert source.read
            assert source.url or source.says.startswith(RECALLED)

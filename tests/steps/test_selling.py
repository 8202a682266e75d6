"""The order of a listing, the views that are missing, and the seller's words."""

from typing import get_args

import pytest

from okla_assets.contract import ListingPhoto
from okla_assets.imaging.photo.quality import QualityIssue
from okla_assets.imaging.types import Angle, Side
from okla_assets.steps import selling
from okla_assets.tables import Quality
from tests.viewer import made


def view(number: int, angle: Angle, side: Side | None = None, score: int = 80) -> ListingPhoto:
    return made.photo(number, angle=angle, side=side, quality=Quality(score=score, issues=()))


def test_every_issue_has_its_words_in_both_languages() -> None:
    assert set(selling.RETAKE) == set(get_args(QualityIssue))
    words = [text for both in (*selling.RETAKE.values(), *selling.VIEWS.values()) for text in both]
    assert len(set(words)) == len(words)
    assert all(text.endswith(".") for text in words)


def test_the_best_front_quarter_comes_first_and_repeats_last() -> None:
    photos = [
        made.photo(1, "interior"),
        view(2, "rear"),
        made.photo(3, duplicate_of=2, angle="front-quarter"),
        view(4, "front-quarter", "left", score=70),
        view(5, "side", "right"),
        view(6, "front-quarter", "right", score=90),
        made.photo(7, "misc"),
        made.photo(8, processed_key=None, withheld="a plate reads"),
    ]
    assert selling.order_of(photos) == [6, 5, 2, 1, 4, 7, 3]


def test_a_studio_picture_goes_before_a_sharper_one_on_its_own_background() -> None:
    street = view(1, "front-quarter", score=99).model_copy(update={"treatment": "enhanced"})
    assert selling.order_of([street, view(2, "front-quarter", score=60)]) == [2, 1]


def test_missing_views_are_those_that_no_published_photo_shows() -> None:
    photos = [
        view(1, "front-quarter", "left"),
        view(2, "side", "left"),
        view(3, "front").model_copy(update={"processed_key": None}),
    ]
    missing = list(selling.missing_views(photos))
    assert missing == ["front", "side-right", "rear-quarter", "rear", "interior"]


@pytest.mark.parametrize(
    ("issues", "told"),
    [
        ((), []),
        (("blurred", "finger"), ["blurred", "finger"]),
        (("too_close", "cropped"), ["cropped"]),
        (("exact_duplicate", "near_duplicate"), ["exact_duplicate"]),
    ],
)
def test_a_retake_says_what_to_do(issues: tuple[str, ...], told: list[str]) -> None:
    photo = made.photo(1, quality=Quality(score=40, issues=issues))
    listing = selling.ordered(made.listing(photos=(photo,)))
    of_photo = [one for one in listing.retakes if one.photo == 1]
    assert [one.issue for one in of_photo] == told
    assert [(one.es, one.en) for one in of_photo] == [selling.RETAKE[issue] for issue in told]
    assert [one.view for one in listing.retakes if one.photo is None] == [*listing.missing_views]

from dataclasses import dataclass

import pytest

from okla_assets.assets.masks import look
from okla_assets.imaging.types import Category
from resources.models.base import View
from tests import pictures
from tests.fakes import FakeDetector, FakeSegmenter, FakeViews


@dataclass(kw_only=True)
class Showing(FakeViews):
    """Photos that all show the same."""

    view: View

    def classify(self, photos, boxes):  # type: ignore[no-untyped-def]
        self.asked += len(photos)
        return [self.view] * len(photos)


@pytest.mark.parametrize(
    ("category", "confidence", "cut"),
    [
        ("interior", 0.95, False),
        ("interior", 0.8, True),
        ("misc", 0.95, False),
        ("misc", 0.8, True),
        ("exterior", 0.99, True),
    ],
)
def test_what_surely_shows_a_part_is_not_cut_out(
    category: Category, confidence: float, cut: bool
) -> None:
    """Through a cabin's windows the detector sees other cars; below an open bonnet, this one."""
    segmenter, views = FakeSegmenter(), Showing(view=View(category, confidence))
    (seen,) = look(FakeDetector(), segmenter, views, [pictures.car(1)])
    assert seen.main is not None
    assert (seen.cut is not None, segmenter.asked) == (cut, int(cut))


def test_photos_without_a_whole_vehicle_ask_nothing_more() -> None:
    views = FakeViews()
    look(FakeDetector(), FakeSegmenter(), views, [pictures.cropped_car(1), pictures.cabin(2)])
    assert views.asked == 0

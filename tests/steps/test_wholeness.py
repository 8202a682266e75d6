"""A cut-out that lacks a part is named, and its vehicle is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from okla_assets.imaging.types import Angle, Category, Rgb
from okla_assets.steps.wholeness import part_missing
from okla_assets.tables import Mask, MaskStatus
from resources.models.base import Matte, Subject
from tests import pictures
from tests.fakes import FakeSegmenter, Pipeline

MIRROR = "the mirror on the left of the picture"


def cut_out(status: MaskStatus = "cut", **fields: Any) -> Mask:
    return Mask(
        number=1,
        status=status,
        vehicle_box=(1, 2, 3, 4),
        vehicle_score=0.9,
        matte_key=None,
        agreement=None,
        digest="0" * 64,
        **fields,
    )


@pytest.mark.parametrize(
    ("status", "category", "angle", "named", "mirrors", "missing"),
    [
        ("cut", "exterior", "side", None, None, None),
        ("cut", "exterior", "front", MIRROR, 1, MIRROR),
        ("cut", "exterior", "front", None, 2, None),
        ("cut", "exterior", "front", None, 0, "both door mirrors"),
        ("cut", "exterior", "rear", None, 0, None),  # wide hips hide them
        ("cut", "misc", "front", MIRROR, 0, None),
        ("obstructed", "exterior", "front", MIRROR, 0, None),  # keeps its own background
    ],
)
def test_what_is_missing(
    status: MaskStatus,
    category: Category,
    angle: Angle,
    named: str | None,
    mirrors: int | None,
    missing: str | None,
) -> None:
    mask = cut_out(status, part_missing=named, mirrors=mirrors)
    assert part_missing(mask, category, angle) == missing


@pytest.mark.parametrize(
    ("angle", "askew", "missing"),
    [
        ("rear", 12.0, "a piece of the roof"),
        ("front", 12.0, "a piece of the roof"),
        ("front", 5.0, None),
        ("front", None, None),
        ("rear-quarter", 12.0, None),  # a roof seen from a corner slopes
    ],
)
def test_a_roof_that_is_cut_off_is_missing(
    angle: Angle, askew: float | None, missing: str | None
) -> None:
    assert part_missing(cut_out(mirrors=2, roof_askew=askew), "exterior", angle) == missing


@dataclass
class OneMirror(FakeSegmenter):
    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        return [replace(m, part_missing=MIRROR) for m in super().segment(photos, subjects)]


def test_a_vehicle_that_lacks_a_mirror_is_not_ready(pipeline: Pipeline) -> None:
    pipeline.models["segmenter"] = OneMirror()
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    listing = pipeline.run().listing
    assert listing.status == "needs_review"
    assert f"exterior_001: {MIRROR} may be missing; look at the picture" in listing.reasons
    assert "part_missing" in listing.photos[0].quality.issues

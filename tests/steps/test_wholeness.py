"""A cut-out that lacks a part is named, and its vehicle is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from okla_assets.imaging.types import Angle, Box, Category, Rgb
from okla_assets.steps.wholeness import part_missing, part_surely_missing
from okla_assets.tables import Mask, MaskStatus, Treatment
from resources.models.base import Matte, Subject, View
from tests import pictures
from tests.fakes import FakeSegmenter, FakeViews, Pipeline

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
    mask = cut_out(mirrors=2, roof_askew=askew)
    assert part_missing(mask, "exterior", angle) == missing
    assert part_surely_missing(mask, "exterior", angle) == missing


@pytest.mark.parametrize(
    ("angle", "named", "missing"),
    [
        ("front", MIRROR, MIRROR),
        ("rear", MIRROR, None),  # the body may hide it
        ("side", "a wheel", "a wheel"),
        ("rear-quarter", "the foot of a wheel", "the foot of a wheel"),
        (None, "a wheel", "a wheel"),
        ("rear", None, None),
    ],
)
def test_what_the_photo_must_show(
    angle: Angle | None, named: str | None, missing: str | None
) -> None:
    assert part_surely_missing(cut_out(part_missing=named), "exterior", angle) == missing


@dataclass
class OneMirror(FakeSegmenter):
    def segment(self, photos: Sequence[Rgb], subjects: Sequence[Subject]) -> list[Matte]:
        return [replace(m, part_missing=MIRROR) for m in super().segment(photos, subjects)]


@dataclass
class SeenFrom(FakeViews):
    angle: Angle = "front"

    def classify(self, photos: Sequence[Rgb], boxes: Sequence[Box | None]) -> list[View]:
        return [replace(view, angle=self.angle) for view in super().classify(photos, boxes)]


@pytest.mark.parametrize(
    ("angle", "treatment", "reason"),
    [
        ("front", "enhanced", f"the cut-out lacks {MIRROR}"),
        ("rear", "studio", f"{MIRROR} may be missing; look at the picture"),
    ],
)
def test_a_vehicle_that_lacks_a_mirror_is_not_ready(
    pipeline: Pipeline, angle: Angle, treatment: Treatment, reason: str
) -> None:
    pipeline.models |= {"segmenter": OneMirror(), "views": SeenFrom(angle=angle)}
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    listing = pipeline.run().listing
    assert listing.status == "needs_review"
    assert listing.reasons == (f"exterior_001: {reason}",)
    (photo,) = listing.photos
    assert photo.treatment == treatment
    assert photo.treatment_reason == (None if treatment == "studio" else reason)
    assert "part_missing" in photo.quality.issues


@pytest.mark.slow
def test_a_studio_picture_of_a_small_photo_is_to_be_looked_at(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    monkeypatch.setenv("OKLA_REVIEW_BELOW", str(pictures.HEIGHT))
    assert pipeline.run().listing.status == "ready"
    monkeypatch.setenv("OKLA_REVIEW_BELOW", str(pictures.HEIGHT + 1))
    listing = pipeline.run().listing
    assert listing.status == "needs_review"
    assert listing.reasons == (
        "exterior_001: 360 x 270 pixels seldom give a clean cut-out; look at the picture",
    )

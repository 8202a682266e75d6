"""An angle is told of a car, and of another vehicle only where it is sure."""

import numpy as np
import pytest

from okla_assets.assets.classifications import SURE, BoxedPhoto, measure
from okla_assets.imaging.types import Angle
from okla_assets.tables import Mask
from resources.models.base import View
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.assets.test_license_plates import tables
from tests.fakes import FakeDetector, Pipeline
from tests.imaging.photo.test_faults import car_matte
from tests.imaging.photo.test_paper import price_list


def mask(other: bool) -> Mask:
    return Mask(
        number=1,
        status="cropped",
        vehicle_box=(80, 100, 180, 90),
        other_vehicle=other,
        vehicle_score=0.9,
        matte_key=None,
        agreement=None,
        digest="e" * 64,
    )


@pytest.mark.parametrize(
    ("other", "confidence", "told"),
    [(False, 0.4, True), (True, 0.9, False), (True, SURE, True)],
)
def test_the_angle_of_another_vehicle_must_be_sure(
    store: LocalMediaStore, other: bool, confidence: float, told: bool
) -> None:
    photo, _, _ = tables(store)
    view = View("exterior", 0.9, "rear-quarter", confidence, "left", 130.0)
    row, _ = measure(photo, mask(other), (BoxedPhoto(pictures.car(), (80, 100, 180, 90)), view))
    found = row.angle, row.angle_confidence, row.side, row.azimuth_deg
    assert found == (("rear-quarter", confidence, "left", 130.0) if told else (None,) * 4)


@pytest.mark.slow
@pytest.mark.parametrize("other", [False, True])
def test_a_listing_says_that_it_is_another_vehicle(pipeline: Pipeline, other: bool) -> None:
    pipeline.models["detector"] = FakeDetector(other_vehicle=other)
    pipeline.upload(
        {"1.jpg": pictures.jpeg(pictures.car()), "2.jpg": pictures.jpeg(pictures.cabin())}
    )
    exterior, interior = pipeline.run().listing.photos
    assert (exterior.angle is None) is other
    assert ("other_vehicle" in exterior.quality.issues) is other
    assert "other_vehicle" not in interior.quality.issues


def test_a_car_printed_on_a_price_list_is_no_exterior(store: LocalMediaStore) -> None:
    photo, _, _ = tables(store)
    view = View("exterior", 0.9, "side", 0.9, "left", 90.0)
    page = np.asarray(price_list())
    row, _ = measure(photo, mask(False), (BoxedPhoto(page, (80, 100, 180, 90)), view))
    assert (row.category, row.angle) == ("misc", None)


@pytest.mark.parametrize(("angle", "tilted"), [("side", True), ("front-quarter", False)])
def test_a_side_view_that_stands_askew_is_tilted(
    store: LocalMediaStore, angle: Angle, tilted: bool
) -> None:
    photo, _, _ = tables(store)
    view = View("exterior", 0.9, angle, 0.9, "left", 90.0)
    shown = BoxedPhoto(pictures.car(), (80, 100, 180, 90), car_matte(12))
    row, _ = measure(photo, mask(False), (shown, view))
    assert ("tilted" in row.quality.issues) is tilted

"""`license_plates`: rows in pixels of the upload, kept for unchanged photos."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.classifications import classifications
from okla_assets.contract import (
    Classification,
    LicensePlates,
    Mask,
    Photo,
    PhotoPlates,
    Quality,
)
from okla_assets.imaging import codec, plates
from okla_assets.license_plates import find_plates, license_plates
from okla_assets.masks import masks
from okla_assets.partitions import vehicles
from okla_assets.raw_photos import raw_photos
from resources.media_store import LocalMediaStore
from resources.models.base import Box, ModelInfo, PlateFound, Rgb
from resources.models.plates_onnx import as_quad
from resources.table_io import table_io_manager
from tests.fakes import VEHICLE, Quiet, fake_models
from tests.pictures import cabin, car, jpeg


@dataclass
class FakePlates:
    """Finds what it is told, and remembers which vehicles it was shown."""

    found: tuple[PlateFound, ...] = ()
    version: str = "1"
    shown: list[list[Box]] = field(default_factory=list)

    def detect(
        self, photos: Sequence[Rgb], vehicles: Sequence[Sequence[Box]]
    ) -> list[list[PlateFound]]:
        self.shown += [list(boxes) for boxes in vehicles]
        return [list(self.found) for _ in photos]

    def fingerprint(self) -> str:
        return f"fake-plates:{self.version}"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def at(box: Box, score: float = 0.9, agreement: float = 0.6) -> PlateFound:
    return PlateFound(as_quad(plates.box_quad(box)), box, score, agreement)


ON_CAR, BESIDE = at((120, 130, 40, 12)), at((4, 4, 40, 12))


def tables(
    store: LocalMediaStore, category: str = "exterior", box: Box | None = (160, 200, 360, 180)
) -> tuple[Photo, Mask, Classification]:
    """One photo of 720 x 540 whose working copy is half as large."""
    work_key = keys.work_file(VEHICLE, "photos", "d" * 64, "jpg")
    store.put(work_key, codec.encode_jpeg(car()))
    photo = Photo(
        number=3, source_key=keys.raw_photos(VEHICLE) + "a.jpg", source_sha256="0" * 64,
        width=720, height=540, format="JPEG", notes=(), digest="d" * 64, work_key=work_key,
        perceptual_hash="0", duplicate_of=None, exact_duplicate=False, seconds=0,
    )  # fmt: skip
    mask = Mask(
        number=3, status="cropped", vehicle_box=box, vehicle_score=None if box is None else 0.9,
        matte_key=None, agreement=None, digest="e" * 64, seconds=0,
    )  # fmt: skip
    view = Classification.model_validate(
        {
            **dict.fromkeys(("angle", "angle_confidence", "side", "azimuth_deg")),
            "number": 3,
            "category": category,
            "category_confidence": 0.99,
            "quality": Quality(score=80, issues=()),
            "seconds": 0,
        }
    )
    return photo, mask, view


def found(store: LocalMediaStore, fake: FakePlates, **tables_of: Any) -> PhotoPlates:
    row, outputs = find_plates(*tables(store, **tables_of), "f" * 64, store, fake)
    assert not outputs
    return row


def test_quads_are_in_pixels_of_the_upload(store: LocalMediaStore) -> None:
    fake = FakePlates((ON_CAR,))
    row = found(store, fake)
    (plate,) = row.plates
    assert plate.quad == ((240, 260), (320, 260), (320, 284), (240, 284))
    assert plate.vehicle == "main"
    assert fake.shown == [[(80, 100, 180, 90)]]  # the detector works on the working copy
    (quad,) = quads_on(row, 0.5)
    assert np.allclose(quad, ON_CAR.quad)


def test_plates_of_other_cars_are_found_too(store: LocalMediaStore) -> None:
    row = found(store, FakePlates((ON_CAR, BESIDE)))
    assert [plate.vehicle for plate in row.plates] == ["main", "none"]


@pytest.mark.parametrize(("agreement", "count"), [(0.05, 0), (0.6, 1)])
def test_an_interior_needs_both_networks(
    store: LocalMediaStore, agreement: float, count: int
) -> None:
    fake = FakePlates((at((120, 130, 40, 12), 0.9, agreement),))
    assert len(found(store, fake, category="interior").plates) == count


def test_a_photo_without_a_vehicle_is_looked_at_all_the_same(store: LocalMediaStore) -> None:
    row = found(store, FakePlates((ON_CAR,)), category="misc", box=None)
    assert [plate.vehicle for plate in row.plates] == ["none"]


def run(
    store: LocalMediaStore, instance: dg.DagsterInstance, fake: FakePlates
) -> tuple[LicensePlates, dict[str, Any]]:
    instance.add_dynamic_partitions(str(vehicles.name), [VEHICLE])
    result = dg.materialize(
        [raw_photos, masks, classifications, license_plates],
        partition_key=VEHICLE,
        instance=instance,
        resources=fake_models()
        | {
            "store": store,
            "progress": Quiet(),
            "plate_detector": fake,
            "io_manager": table_io_manager,
        },
    )
    (event,) = result.asset_materializations_for_node("license_plates")
    metadata = {name: value.value for name, value in event.metadata.items()}
    table = LicensePlates.model_validate_json(store.get(keys.table(VEHICLE, "license_plates")))
    return table, metadata


def test_a_second_run_computes_nothing(
    store: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    for name, pixels in (("1.jpg", car(1)), ("2.jpg", cabin(2))):
        store.put(keys.raw_photos(VEHICLE) + name, jpeg(pixels))
    fake = FakePlates((at((150, 140, 40, 12)),))
    table, metadata = run(store, instance, fake)
    assert [row.number for row in table.rows] == [1, 2]
    assert metadata["computed"] == 2
    assert metadata["plates"] == 2
    assert "preview" not in metadata  # it would show the plates
    again, metadata = run(store, instance, fake)
    assert metadata["computed"] == 0
    assert again == table
    _, metadata = run(store, instance, FakePlates((), version="2"))
    assert (metadata["computed"], metadata["plates"]) == (2, 0)

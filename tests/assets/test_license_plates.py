"""`license_plates`: rows in pixels of the upload, kept for unchanged photos."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np
import pytest

from okla_assets import keys
from okla_assets.assets.classifications import classifications
from okla_assets.assets.license_plates import find_plates, license_plates, mask_photo, read
from okla_assets.assets.masks import masks
from okla_assets.assets.raw_photos import raw_photos
from okla_assets.assets.walkaround_frames import walkaround_frames
from okla_assets.imaging.photo import codec
from okla_assets.imaging.plates import quads
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps.plate_masking import Masking, choose_masking, options_used
from okla_assets.steps.plate_search import Finders
from okla_assets.tables import Classification, LicensePlates, Mask, Photo, PhotoPlates, Quality
from okla_assets.vehicle_runs import vehicles
from resources.models.base import ModelInfo, PlateFound
from resources.models.plates_onnx import as_quad
from resources.storage.media_store import LocalMediaStore
from resources.storage.table_io import table_io_manager
from tests.fakes import VEHICLE, Quiet, fake_models
from tests.pictures import cabin, car, jpeg, plated_car

AS_TAKEN = car().shape


@dataclass
class Told:
    """Finds what it is told on photos as taken, and remembers which vehicles it was shown."""

    found: tuple[PlateFound, ...] = ()
    version: str = "1"
    shown: list[list[Box]] = field(default_factory=list)

    def detect(
        self,
        photos: Sequence[Rgb],
        vehicles: Sequence[Sequence[Box]],
        known: Sequence[Sequence[Quad]] = (),
    ) -> list[list[PlateFound]]:
        self.shown += [list(boxes) for boxes in vehicles]
        return [list(self.found) if photo.shape == AS_TAKEN else [] for photo in photos]

    def fingerprint(self) -> str:
        return f"told:{self.version}"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def at(box: Box, score: float = 0.9, agreement: float = 0.6) -> PlateFound:
    return PlateFound(as_quad(quads.box_quad(box)), box, score, agreement)


PHOTO = codec.encode_jpeg(plated_car())
FILL = Masking("fill")
ON_CAR, BESIDE = at((140, 156, 60, 16)), at((4, 4, 40, 12))


def tables(
    store: LocalMediaStore, category: str = "exterior", box: Box | None = (80, 100, 180, 90)
) -> tuple[Photo, Mask, Classification]:
    """One photo of 720 x 540 whose working copy is half as large."""
    work_key = keys.private_file(VEHICLE, "photos", "d" * 64, "jpg")
    store.put(work_key, PHOTO)
    photo = Photo(
        number=3, source_key=keys.raw_photos(VEHICLE) + "a.jpg", source_sha256="0" * 64,
        width=720, height=540, working_width=360, format="JPEG", notes=(),
        digest="d" * 64, work_key=work_key,
        perceptual_hash="0", duplicate_of=None, exact_duplicate=False,
    )  # fmt: skip
    mask = Mask(
        number=3, status="cropped", vehicle_box=box, other_vehicles=((0, 0, 60, 30),),
        vehicle_score=None if box is None else 0.9,
        matte_key=None, agreement=None, digest="e" * 64,
    )  # fmt: skip
    view = Classification.model_validate(
        {
            **dict.fromkeys(("angle", "angle_confidence", "side", "azimuth_deg")),
            "number": 3,
            "category": category,
            "category_confidence": 0.99,
            "quality": Quality(score=80, issues=()),
        }
    )
    return photo, mask, view


def found(
    store: LocalMediaStore, told: Told, masking: Masking = FILL, **tables_of: Any
) -> tuple[PhotoPlates, bytes]:
    photo, mask, view = tables(store, **tables_of)
    (known,) = find_plates(Finders(told, Told()), None, [read(photo, mask, view, store)])
    row, outputs = mask_photo(VEHICLE, photo, "f" * 64, masking, known)
    assert list(outputs) == [row.masked_key]
    return row, outputs[row.masked_key]


def test_quads_are_in_pixels_of_the_working_copy(store: LocalMediaStore) -> None:
    told = Told((ON_CAR,))
    (plate,) = found(store, told)[0].plates
    assert plate.quad == ((140, 156), (200, 156), (200, 172), (140, 172))
    assert plate.vehicle == "main"
    assert told.shown == [[(80, 100, 180, 90), (0, 0, 60, 30)]]


def test_the_copy_for_the_next_steps_shows_no_plate(store: LocalMediaStore) -> None:
    _, copy = found(store, Told((ON_CAR,)))
    before, after = codec.decode_trusted(PHOTO).astype(int), codec.decode_trusted(copy).astype(int)
    plate = (slice(157, 171), slice(141, 199))
    assert before[plate].max(axis=2).min() < 90  # ink
    shown = after[plate].max(axis=2)
    assert np.percentile(shown, 5) > 180  # the plate's ground, and two bolts
    assert shown.min() > 100
    assert np.abs(after - before)[:140].max() < 30


def test_without_a_plate_the_copy_is_the_photo(store: LocalMediaStore) -> None:
    _, copy = found(store, Told())
    assert copy == PHOTO
    _, copy = found(store, Told((ON_CAR,)), Masking("none"))
    assert copy == PHOTO


def test_plates_of_other_cars_are_found_too(store: LocalMediaStore) -> None:
    far = at((300, 240, 40, 12))
    row, _ = found(store, Told((ON_CAR, BESIDE, far)))
    assert [plate.vehicle for plate in row.plates] == ["main", "other", "none"]


@pytest.mark.parametrize(("agreement", "count"), [(0.05, 0), (0.6, 1)])
def test_an_interior_needs_both_networks(
    store: LocalMediaStore, agreement: float, count: int
) -> None:
    fake = Told((at((120, 130, 40, 12), 0.9, agreement),))
    assert len(found(store, fake, category="interior")[0].plates) == count


def test_what_is_too_little_like_a_plate_is_kept_as_a_suspect(store: LocalMediaStore) -> None:
    doubtful, nothing = at((100, 120, 40, 12), 0.32, 0.1), at((90, 140, 40, 12), 0.05, 0.0)
    row, _ = found(store, Told((ON_CAR, doubtful, nothing)))
    assert [plate.quad for plate in row.plates] == [ON_CAR.quad]
    assert [(s.quad, s.vehicle) for s in row.suspects] == [(doubtful.quad, "main")]


def test_a_photo_without_a_vehicle_is_looked_at_all_the_same(store: LocalMediaStore) -> None:
    told = Told((ON_CAR,))
    row, _ = found(store, told, category="misc", box=None)
    assert [plate.vehicle for plate in row.plates] == ["none"]
    assert len(told.shown) == 2  # as it is, and on its side: it may be a tilted close-up


def run(
    store: LocalMediaStore, instance: dg.DagsterInstance, fake: Told
) -> tuple[LicensePlates, dict[str, Any]]:
    instance.add_dynamic_partitions(str(vehicles.name), [VEHICLE])
    result = dg.materialize(
        [raw_photos, walkaround_frames, masks, classifications, license_plates],
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


@pytest.mark.slow
def test_a_second_run_computes_nothing(
    store: LocalMediaStore, instance: dg.DagsterInstance
) -> None:
    for name, pixels in (("1.jpg", car(1)), ("2.jpg", cabin(2))):
        store.put(keys.raw_photos(VEHICLE) + name, jpeg(pixels))
    fake = Told((at((150, 140, 40, 12)),))
    table, metadata = run(store, instance, fake)
    assert [row.number for row in table.rows] == [1, 2]
    assert metadata["computed"] == 2
    assert metadata["plates"] == 2
    again, metadata = run(store, instance, fake)
    assert metadata["computed"] == 0
    assert again == table
    _, metadata = run(store, instance, Told((), version="2"))
    assert (metadata["computed"], metadata["plates"]) == (2, 0)


# --- how plates are covered -----------------------------------------------------------------------


def test_masking_follows_the_options(store: LocalMediaStore) -> None:
    assert choose_masking(StudioOptions(), store) == (Masking("fill"), ())
    blur = StudioOptions(license_plate_mask_type="blur")
    assert choose_masking(blur, store) == (Masking("blur"), ())
    off = StudioOptions(mask_license_plate=False)
    assert choose_masking(off, store) == (Masking("none"), ())
    assert options_used(off, "none") is off


def test_a_logo_is_the_owners_picture(store: LocalMediaStore) -> None:
    options = StudioOptions(license_plate_mask_type="logo")
    logo = codec.encode_png(np.full((20, 60, 3), (200, 30, 30), np.uint8))
    store.put(keys.PLATE_LOGO, logo)
    masking, problems = choose_masking(options, store)
    assert (masking.style, problems) == ("logo", ())
    picture = masking.picture()
    assert picture is not None
    assert picture[0, 0].tolist() == [200, 30, 30, 255]


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_missing_logo_bares_no_plate(store: LocalMediaStore, content: bytes | None) -> None:
    if content is not None:
        store.put(keys.PLATE_LOGO, content)
    wanted = StudioOptions(license_plate_mask_type="logo")
    masking, (problem,) = choose_masking(wanted, store)
    assert masking == Masking("fill")
    used = options_used(wanted, masking.style)
    assert (choose_masking(used, store), used) == ((masking, ()), StudioOptions())
    assert keys.PLATE_LOGO in problem
    assert "filled instead" in problem

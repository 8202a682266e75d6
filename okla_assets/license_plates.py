"""Vision: where licence plates are, and each photo without them.

From here on nobody reads a picture as the seller took it: studio, spin, video and every preview are
made of the masked copies.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from okla_assets import keys, previews
from okla_assets.contract import (
    Box,
    Classification,
    Classifications,
    FoundPlate,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    PlateCarrier,
    PlateStyle,
    RawPhotos,
    StudioOptions,
)
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.raw_photos import WORKING_QUALITY
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import PlateDetector
from resources.progress import Progress

if TYPE_CHECKING:
    from okla_assets.imaging.plates import Rgba

VERSION = "2"


@dg.asset(
    partitions_def=vehicles,
    group_name="vision",
    code_version=VERSION,
    kinds={"python", "onnx"},
    owners=["team:media"],
)
def license_plates(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    store: dg.ResourceParam[MediaStore],
    plate_detector: dg.ResourceParam[PlateDetector],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[LicensePlates]:
    """The licence plates of each photo as quadrilaterals, and a copy of the photo without them.

    Plates of other cars are masked too, and so are cards and covers in a plate's place: whoever
    masks one too many loses nothing. Everything after this step sees only the masked copies.
    """
    vehicle = vehicle_of(context)
    masking, problems = choose_masking(raw_photos.options, store)
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest := digest_of(
                "plates",
                VERSION,
                photo.digest,
                mask.digest,
                (view.category, view.category_confidence),
                plate_detector.fingerprint(),
                masking.fingerprint,
            ),
            partial(mask_photo, vehicle, photo, mask, view, digest, masking, store, plate_detector),
        )
        for photo, mask, view in zip(
            raw_photos.photos, masks.rows, classifications.rows, strict=True
        )
    ]
    cache = StepCache(store, vehicle, "plates", PhotoPlates)
    done = run_jobs("Masking plates", jobs, cache, progress)
    table = LicensePlates(style=masking.style, problems=problems, rows=done.rows)
    plates = [plate for row in table.rows for plate in row.plates]
    return previews.result(
        context,
        table,
        store,
        counts={
            "plates": len(plates),
            "photos_with_plates": sum(bool(row.plates) for row in table.rows),
            "plates_of_other_cars": sum(plate.vehicle != "main" for plate in plates),
        },
        computed=done.computed,
        seconds=done.seconds,
        rows=[previews.plate_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)],
        pictures=[] if masking.style == "none" else [row.masked_key for row in table.rows],
        link=keys.work_folder(vehicle, "plates"),
        extra={"style": masking.style, "problems": "\n".join(problems) or "none"},
    )


@dataclass(frozen=True)
class Masking:
    """How plates are covered; `logo` holds the owner's PNG where the style is logo."""

    style: PlateStyle
    logo: bytes | None = None

    @property
    def fingerprint(self) -> tuple[str, str | None]:
        """Two equal fingerprints cover alike."""
        return self.style, None if self.logo is None else hashlib.sha256(self.logo).hexdigest()

    def picture(self) -> "Rgba | None":
        """The logo's pixels, RGBA uint8 (h, w, 4)."""
        from okla_assets.imaging import codec

        return None if self.logo is None else codec.decode_rgba(self.logo)


def choose_masking(options: StudioOptions, store: MediaStore) -> tuple[Masking, tuple[str, ...]]:
    """How this vehicle's plates are covered, and what of that could not be had.

    A logo that is missing or no picture must not bare a plate: it is named and `fill` is used.
    """
    from okla_assets.imaging import codec

    style: PlateStyle = options.license_plate_mask_type if options.mask_license_plate else "none"
    if style != "logo":
        return Masking(style), ()
    problem = f"license_plate_mask_type: logo needs a picture at {keys.PLATE_LOGO}"
    if store.stat(keys.PLATE_LOGO) is None:
        return Masking("fill"), (f"{problem}; plates are filled instead",)
    logo = store.get(keys.PLATE_LOGO)
    try:
        codec.decode_rgba(logo)
    except ValueError:
        return Masking("fill"), (f"{problem}, and that file is none; plates are filled instead",)
    return Masking("logo", logo), ()


def mask_photo(
    vehicle: keys.VehicleId,
    photo: Photo,
    mask: Mask,
    view: Classification,
    digest: str,
    masking: Masking,
    store: MediaStore,
    detector: PlateDetector,
) -> tuple[PhotoPlates, Outputs]:
    """One photo's row and its masked copy."""
    from okla_assets.imaging import codec, geometry, plates

    copy = store.get(photo.work_key)
    picture = codec.decode_own(copy)
    factor = picture.shape[1] / photo.width
    boxes = vehicle_boxes(mask, factor)
    alpha = None
    if mask.matte_key is not None:
        alpha = codec.decode_gray(store.get(mask.matte_key)).astype(np.float32) / np.float32(255)
    interior = view.category == "interior" and view.category_confidence >= plates.SURE_INTERIOR
    (candidates,) = detector.detect([picture], [boxes])
    believed = [
        c for c in candidates if plates.believed(c.box, c.score, c.agreement, boxes, interior)
    ]
    found = tuple(
        FoundPlate(
            quad=geometry.round_quad(geometry.move_quad(plate.quad, 1 / factor)),
            confidence=round(plate.score, 4),
            vehicle=_carrier(plates.owner(plate.box, boxes, alpha)),
        )
        for plate in believed
    )
    row = PhotoPlates(
        number=photo.number,
        plates=found,
        masked_key=keys.work_file(vehicle, "plates", digest, "jpg"),
        digest=digest,
        seconds=0,
    )
    if not found or masking.style == "none":
        return row, {row.masked_key: copy}  # handed on as it is, not encoded once more
    quads = [np.array(plate.quad, np.float32) for plate in believed]
    masked = plates.mask_plates(picture, quads, masking.style, masking.picture())
    return row, {row.masked_key: codec.encode_jpeg(masked, WORKING_QUALITY, subsampling444=True)}


def vehicle_boxes(mask: Mask, factor: float) -> list[Box]:
    """The photo's vehicles on a copy `factor` times the source's size, the main one first."""
    from okla_assets.imaging import geometry

    main = [] if mask.vehicle_box is None else [mask.vehicle_box]
    return [geometry.move_box(box, factor) for box in (*main, *mask.other_vehicles)]


def _carrier(index: int | None) -> PlateCarrier:
    if index is None:
        return "none"
    return "main" if index == 0 else "other"

"""Vision: where licence plates are, so that nothing a buyer sees shows one."""

from functools import partial

import dagster as dg
import numpy as np
import numpy.typing as npt

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
    Quad,
    RawPhotos,
)
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import PlateDetector
from resources.progress import Progress

VERSION = "1"


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
    """The licence plates of each photo as quadrilaterals, those of other cars included.

    Cards and covers in a plate's place count as plates: whoever masks one too many loses nothing.
    """
    vehicle = vehicle_of(context)
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
            ),
            partial(find_plates, photo, mask, view, digest, store, plate_detector),
        )
        for photo, mask, view in zip(
            raw_photos.photos, masks.rows, classifications.rows, strict=True
        )
    ]
    cache = StepCache(store, vehicle, "plates", PhotoPlates)
    done = run_jobs("Finding plates", jobs, cache, progress)
    table = LicensePlates(rows=done.rows)
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
        rows=[plate_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)],
        pictures=[],  # they would show what this step is there to hide
        link=keys.work_folder(vehicle, "plates"),
    )


def find_plates(
    photo: Photo,
    mask: Mask,
    view: Classification,
    digest: str,
    store: MediaStore,
    detector: PlateDetector,
) -> tuple[PhotoPlates, Outputs]:
    """One photo's row."""
    from okla_assets.imaging import codec, plates

    copy = store.get(photo.work_key)
    picture = codec.decode_own(copy)
    factor = picture.shape[1] / photo.width
    boxes = vehicle_boxes(mask, factor)
    alpha = None
    if mask.matte_key is not None:
        alpha = codec.decode_gray(store.get(mask.matte_key)).astype(np.float32) / np.float32(255)
    interior = view.category == "interior" and view.category_confidence >= plates.SURE_INTERIOR
    (candidates,) = detector.detect([picture], [boxes])
    found = []
    quads = []
    for plate in candidates:
        if not plates.believed(plate.box, plate.score, plate.agreement, boxes, interior):
            continue
        carrier = plates.owner(plate.box, boxes, alpha)
        place: PlateCarrier = "main" if carrier == 0 else "other"
        found.append(
            FoundPlate(
                quad=_scaled(plate.quad, 1 / factor),
                confidence=round(plate.score, 4),
                vehicle="none" if carrier is None else place,
            )
        )
        quads.append(np.array(plate.quad, np.float32))
    masked_key = keys.work_file(vehicle, "plates", digest, "jpg")
    row = PhotoPlates(
        number=photo.number, plates=tuple(found), masked_key=masked_key, digest=digest, seconds=0
    )
    # A photo without a plate is handed on as it is, not encoded once more.
    if quads:
        picture = plates.mask_plates(picture, quads, style, logo)
        return row, {masked_key: codec.encode_jpeg(picture, WORKING_QUALITY, subsampling444=True)}
    return row, {masked_key: copy}


def vehicle_boxes(mask: Mask, factor: float) -> list[Box]:
    """The photo's vehicles on a copy `factor` times the source's size, the main one first."""
    boxes = [] if mask.vehicle_box is None else [mask.vehicle_box]
    return [(x * factor, y * factor, w * factor, h * factor) for x, y, w, h in boxes]


def quads_on(row: PhotoPlates, factor: float) -> list[npt.NDArray[np.float32]]:
    """The plates' quads (4, 2) on a copy `factor` times the source's size, for `mask_plates`."""
    return [np.array(plate.quad, np.float32) * np.float32(factor) for plate in row.plates]


def plate_row(photo: Photo, row: PhotoPlates) -> dict[str, previews.Cell]:
    """A photo's plates, for Dagster's UI."""
    return {
        "photo": photo.number,
        "file": photo.name,
        "plates": len(row.plates),
        "on": ", ".join(f"{p.vehicle} {p.confidence:.2f}" for p in row.plates),
    }


def _scaled(quad: Quad, factor: float) -> Quad:
    a, b, c, d = ((round(x * factor, 1), round(y * factor, 1)) for x, y in quad)
    return a, b, c, d

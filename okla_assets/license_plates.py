"""Vision: where licence plates are, and each photo without them.

From here on nobody reads a picture as the seller took it: studio, spin, video and every preview are
made of the masked copies.
"""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import numpy as np

from okla_assets import keys, pools, previews
from okla_assets.contract import (
    Classification,
    Classifications,
    FoundPlate,
    Frame,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    RawPhotos,
    WalkaroundFrames,
)
from okla_assets.frame_plates import find_on_frames
from okla_assets.imaging import geometry
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Done, Job, Outputs, Turn, no_turn, run_jobs, run_turn
from okla_assets.plate_masking import (
    Masking,
    carrier,
    choose_masking,
    masked_copy,
    surely_interior,
    vehicle_boxes,
)
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import PlateDetector
from resources.progress import Progress

VERSION = "2"


@dg.asset(
    partitions_def=vehicles,
    group_name="vision",
    code_version=VERSION,
    kinds={"python", "onnx"},
    owners=["team:media"],
    pool=pools.GPU,
)
def license_plates(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    store: dg.ResourceParam[MediaStore],
    plate_detector: dg.ResourceParam[PlateDetector],
    quick_plate_detector: dg.ResourceParam[PlateDetector],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[LicensePlates]:
    """The licence plates of each photo and frame as quadrilaterals, and a copy without them.

    Plates of other cars are masked too, and so are cards and covers in a plate's place: whoever
    masks one too many loses nothing. Everything after this step sees only the masked copies. On
    frames, a plate that is missed on one is masked from its neighbours.
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
    turn = mask_frames(
        vehicle,
        walkaround_frames.frames,
        masks.frames,
        masking,
        store,
        plate_detector,
        quick_plate_detector,
        progress,
    )
    table = LicensePlates(style=masking.style, problems=problems, rows=done.rows, frames=turn.rows)
    plates = [plate for row in table.rows for plate in row.plates]
    return previews.result(
        context,
        table,
        store,
        counts={
            "plates": len(plates),
            "photos_with_plates": sum(bool(row.plates) for row in table.rows),
            "plates_of_other_cars": sum(plate.vehicle != "main" for plate in plates),
            "frames_with_plates": sum(bool(row.plates) for row in turn.rows),
        },
        computed=done.computed + turn.computed,
        seconds=done.seconds + turn.seconds,
        rows=[previews.plate_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)],
        pictures=[]
        if masking.style == "none"
        else [row.masked_key for row in (*table.rows, *table.frames)],
        link=keys.work_folder(vehicle, "plates"),
        extra={"style": masking.style, "problems": "\n".join(problems) or "none"},
    )


def mask_frames(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    masks: Sequence[Mask],
    masking: Masking,
    store: MediaStore,
    detector: PlateDetector,
    quick: PlateDetector,
    progress: Progress,
) -> Done[PhotoPlates]:
    """The frames' rows, their masked copies written."""
    if not frames:
        return no_turn(store, vehicle, "frame_plates")
    progress.step("Masking plates of the turn", len(frames))
    digest = digest_of(
        "frame-plates",
        VERSION,
        [(frame.digest, mask.digest) for frame, mask in zip(frames, masks, strict=True)],
        (detector.fingerprint(), quick.fingerprint()),
        masking.fingerprint,
    )
    find = partial(
        find_on_frames,
        *(vehicle, frames, masks, digest, masking, store, detector, quick, progress.advance),
    )
    return run_turn(Turn[PhotoPlates], digest, find, store, vehicle, "frame_plates")


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
    from okla_assets.imaging import codec, plates

    copy = store.get(photo.work_key)
    picture = codec.decode_own(copy)
    factor = picture.shape[1] / photo.width
    boxes = vehicle_boxes(mask, factor)
    alpha = None
    if mask.matte_key is not None:
        alpha = codec.decode_gray(store.get(mask.matte_key)).astype(np.float32) / np.float32(255)
    interior = surely_interior(view)
    (candidates,) = detector.detect([picture], [boxes])
    believed = [
        c for c in candidates if plates.believed(c.box, c.score, c.agreement, boxes, interior)
    ]
    found = tuple(
        FoundPlate(
            quad=geometry.round_quad(geometry.move_quad(plate.quad, 1 / factor)),
            confidence=round(plate.score, 4),
            vehicle=carrier(plates.owner(plate.box, boxes, alpha)),
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
    return row, {
        row.masked_key: masked_copy(copy, picture, [plate.quad for plate in believed], masking)
    }

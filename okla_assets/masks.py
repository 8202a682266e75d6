"""Vision: where the vehicle is, and its cut-out."""

from functools import partial

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets import keys, previews
from okla_assets.contract import Box, Mask, Masks, Photo, RawPhotos
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import Segmenter, VehicleDetector
from resources.progress import Progress

VERSION = "2"


@dg.asset(
    partitions_def=vehicles,
    group_name="vision",
    code_version=VERSION,
    kinds={"python", "onnx"},
    owners=["team:media"],
)
def masks(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    store: dg.ResourceParam[MediaStore],
    detector: dg.ResourceParam[VehicleDetector],
    segmenter: dg.ResourceParam[Segmenter],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Masks]:
    """The main vehicle of each photo: its box, and a soft matte where it is shown whole.

    `cut` is a matte to be trusted, `unsure` one on which the two networks disagree; `cropped`
    vehicles run out of the picture and are not cut.
    """
    vehicle = vehicle_of(context)
    fingerprint = (detector.fingerprint(), segmenter.fingerprint())
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest := digest_of("mask", VERSION, photo.digest, fingerprint),
            partial(cut_out, vehicle, photo, digest, store, detector, segmenter),
        )
        for photo in raw_photos.photos
    ]
    done = run_jobs("Cutting out", jobs, StepCache(store, vehicle, "masks", Mask), progress)
    table = Masks(rows=done.rows)
    return previews.result(
        context,
        table,
        store,
        counts={s: sum(r.status == s for r in table.rows) for s in previews.MASK_STATUSES},
        computed=done.computed,
        seconds=done.seconds,
        rows=[previews.mask_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)],
        pictures=[r.matte_key for r in table.rows if r.matte_key],
        link=keys.processed_folder(vehicle),
    )


def cut_out(
    vehicle: keys.VehicleId,
    photo: Photo,
    digest: str,
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: Segmenter,
) -> tuple[Mask, Outputs]:
    """One photo's row and its matte file."""
    from okla_assets.imaging import codec, matte

    picture = codec.decode_own(store.get(photo.work_key))
    height, width = picture.shape[:2]
    (found,) = detector.detect([picture])
    main = matte.main_vehicle([d.box for d in found], [d.score for d in found], width, height)
    others = [_in_source(d.box, photo, width) for i, d in enumerate(found) if i != main]
    if main is None:
        return _row(photo, digest, "no_vehicle", other_vehicles=others), {}
    box, score = found[main].box, found[main].score
    place: dict[str, object] = {
        "vehicle_box": _in_source(box, photo, width),
        "vehicle_score": round(score, 4),
        "other_vehicles": others,
    }
    if matte.fills_frame(box, width, height):
        return _row(photo, digest, "cropped", **place), {}
    (cut,) = segmenter.segment([picture], [box])
    place["agreement"] = None if cut.agreement is None else round(cut.agreement, 4)
    if matte.runs_out(cut.alpha):
        return _row(photo, digest, "cropped", **place), {}
    trusted = matte.trustworthy(cut.alpha, cut.agreement, box)
    key = keys.work_file(vehicle, "masks", digest, "png")
    row = _row(photo, digest, "cut" if trusted else "unsure", matte_key=key, **place)
    return row, {key: codec.encode_png(_as_grey(cut.alpha))}


def _row(photo: Photo, digest: str, status: str, **fields: object) -> Mask:
    empty = dict.fromkeys(("vehicle_box", "vehicle_score", "matte_key", "agreement"))
    return Mask.model_validate(
        {
            **empty,
            **fields,
            "number": photo.number,
            "status": status,
            "digest": digest,
            "seconds": 0,
        }
    )


def _in_source(box: Box, photo: Photo, working_width: int) -> Box:
    """A box on the working copy, in pixels of the upright source."""
    factor = photo.width / working_width
    x, y, w, h = (round(v * factor, 1) for v in box)
    return x, y, w, h


def _as_grey(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(alpha * 255).astype(np.uint8)

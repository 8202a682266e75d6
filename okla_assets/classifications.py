"""Vision: what each photo shows, from where, and how good it is."""

from functools import partial

import dagster as dg

from okla_assets import keys, pools, previews
from okla_assets.contract import (
    Classification,
    Classifications,
    Mask,
    Masks,
    Photo,
    Quality,
    RawPhotos,
)
from okla_assets.imaging import geometry
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import ViewClassifier
from resources.progress import Progress

VERSION = "1"


@dg.asset(
    partitions_def=vehicles,
    group_name="vision",
    code_version=VERSION,
    kinds={"python", "onnx"},
    owners=["team:media"],
    pool=pools.GPU,
)
def classifications(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    store: dg.ResourceParam[MediaStore],
    views: dg.ResourceParam[ViewClassifier],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Classifications]:
    """Category of each photo; for exteriors the angle, side and azimuth; and its quality.

    Angles are the vehicle's own: nose to the picture's left shows the left side; azimuth 0 is the
    front, 90 the left side, 180 the rear.
    """
    vehicle = vehicle_of(context)
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest_of("view", VERSION, photo.digest, mask.digest, views.fingerprint()),
            partial(classify, photo, mask, store, views),
        )
        for photo, mask in zip(raw_photos.photos, masks.rows, strict=True)
    ]
    cache = StepCache(store, vehicle, "views", Classification)
    done = run_jobs("Classifying", jobs, cache, progress)
    rows = tuple(
        _with_intake_issues(row, photo, mask)
        for row, photo, mask in zip(done.rows, raw_photos.photos, masks.rows, strict=True)
    )
    table = Classifications(rows=rows)
    return previews.result(
        context,
        table,
        store,
        counts={c: sum(r.category == c for r in rows) for c in previews.CATEGORIES},
        computed=done.computed,
        seconds=done.seconds,
        rows=[previews.view_row(p, r) for p, r in zip(raw_photos.photos, rows, strict=True)],
        pictures=(),  # they show plates
        link=keys.raw_photos(vehicle),
    )


def classify(
    photo: Photo, mask: Mask, store: MediaStore, views: ViewClassifier
) -> tuple[Classification, Outputs]:
    """One photo's row."""
    from okla_assets.imaging import codec, quality

    picture = codec.decode_own(store.get(photo.work_key))
    box = None
    if mask.vehicle_box is not None:
        box = geometry.move_box(mask.vehicle_box, picture.shape[1] / photo.width)
    (view,) = views.classify([picture], [box])
    subject = box if view.category == "exterior" else None
    measured = quality.quality(picture, photo.width, photo.height, subject)
    row = Classification(
        number=photo.number,
        category=view.category,
        category_confidence=round(view.category_confidence, 4),
        angle=view.angle,
        angle_confidence=None if view.angle_confidence is None else round(view.angle_confidence, 4),
        side=view.side,
        azimuth_deg=None if view.azimuth_deg is None else round(view.azimuth_deg, 1) % 360,
        quality=Quality(score=measured.score, issues=measured.issues),
        seconds=0,
    )
    return row, {}


def _with_intake_issues(row: Classification, photo: Photo, mask: Mask) -> Classification:
    """The issues that need more than the photo's own pixels, added to those it has."""
    added = [
        issue
        for issue, applies in (
            ("exact_duplicate", photo.exact_duplicate),
            ("near_duplicate", photo.duplicate_of is not None and not photo.exact_duplicate),
            ("damaged_data", bool({"damaged_data", "truncated_repaired"} & set(photo.notes))),
            ("cropped", row.category == "exterior" and mask.status == "cropped"),
        )
        if applies
    ]
    issues = (*row.quality.issues, *added)
    return row.model_copy(update={"quality": Quality(score=row.quality.score, issues=issues)})

"""Vision: what each photo shows, from where, and how good it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging.types import Box, Pixels, Rgb
from okla_assets.steps import metadata
from okla_assets.steps.batches import Outputs, PhotoWork, joined, run_batches
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.wholeness import part_missing
from okla_assets.tables import (
    Classification,
    Classifications,
    Mask,
    Masks,
    Photo,
    Quality,
    RawPhotos,
)
from okla_assets.vehicle_runs import GPU_POOL, vehicle_asset, vehicle_of
from resources.models.base import View, ViewClassifier
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "5"
SURE = 0.98
"""Confidence from which the angle of a bus, lorry or van is told: the heads know cars."""


@vehicle_asset("vision", VERSION, {"python", "onnx"}, pool=GPU_POOL)
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
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest_of("view", VERSION, photo.digest, mask.digest, views.fingerprint()),
            partial(read, photo, mask, store),
            partial(measure, photo, mask),
        )
        for photo, mask in joined(upright_photos(raw_photos.photos, masks.rows), masks.rows)
    ]
    done = run_batches(
        "Classifying",
        photos,
        partial(classify, views),
        (views,),
        StepCache(store, vehicle, "views", Classification),
        progress,
    )
    rows = tuple(
        _with_intake_issues(row, photo, mask)
        for row, photo, mask in joined(done.rows, raw_photos.photos, masks.rows)
    )
    table = Classifications(
        rows=rows, failed=done.failed, seconds=done.seconds, gpu_seconds=done.gpu_seconds
    )
    return metadata.result(
        context,
        table,
        store,
        counts={c: sum(r.category == c for r in rows) for c in metadata.CATEGORIES},
        computed=done.computed,
        spent=done.spent,
        rows=[metadata.view_row(p, r) for p, r in joined(raw_photos.photos, rows)],
        pictures=(),  # they show plates
        link=keys.raw_photos(vehicle),
    )


@dataclass(frozen=True)
class BoxedPhoto:
    """A working copy, the main vehicle's box on it, and its matte where it is whole."""

    picture: Rgb
    box: Box | None
    matte: Pixels | None = None


def read(photo: Photo, mask: Mask, store: MediaStore) -> BoxedPhoto:
    """One photo, ready for the model."""
    from okla_assets.imaging.photo import codec

    matte = None
    if mask.status == "cut" and mask.matte_key is not None:
        matte = codec.decode_gray(store.get(mask.matte_key))
    return BoxedPhoto(read_picture(store, photo.work_key), mask.vehicle_box, matte)


def classify(views: ViewClassifier, shown: Sequence[BoxedPhoto]) -> list[tuple[BoxedPhoto, View]]:
    """What each photo shows."""
    found = views.classify([s.picture for s in shown], [s.box for s in shown])
    return list(zip(shown, found, strict=True))


def measure(
    photo: Photo, mask: Mask, known: tuple[BoxedPhoto, View]
) -> tuple[Classification, Outputs]:
    """One photo's row: what it shows and how good it is."""
    from okla_assets.imaging.photo import paper, quality

    shown, view = known
    if photo.projection is not None:  # it has no outside: the networks know flat pictures
        view = View("interior", 1.0)
    elif view.category == "exterior" and paper.is_surely_paper(shown.picture):
        view = View("misc", view.category_confidence)  # a car printed on a price list
    elif is_unsure(mask, view):
        view = View(view.category, view.category_confidence)
    subject = shown.box if view.category == "exterior" else None
    tilt = _tilt(mask, shown, view)
    measured = quality.quality(shown.picture, photo.width, photo.height, subject, tilt)
    row = Classification(
        number=photo.number,
        category=view.category,
        category_confidence=round(view.category_confidence, 4),
        angle=view.angle,
        angle_confidence=None if view.angle_confidence is None else round(view.angle_confidence, 4),
        side=view.side,
        azimuth_deg=None if view.azimuth_deg is None else round(view.azimuth_deg, 1) % 360,
        quality=Quality(score=measured.score, issues=measured.issues),
        projection=photo.projection,
    )
    return row, {}


def _tilt(mask: Mask, shown: BoxedPhoto, view: View) -> float | None:
    """By how many degrees the vehicle stands askew on the photo, where that can be told."""
    from okla_assets.imaging.photo import faults

    if mask.tilt is not None:
        return float(mask.tilt.degrees)
    if shown.matte is None or view.category != "exterior" or view.angle not in faults.LEVEL_ANGLES:
        return None
    return faults.wheel_line_tilt(shown.matte)


def is_unsure(mask: Mask, view: View | Classification) -> bool:
    """Whether no angle can be told, because the vehicle is no car."""
    if view.category != "exterior" or not mask.other_vehicle:
        return False
    return view.angle_confidence is None or view.angle_confidence < SURE


def _with_intake_issues(row: Classification, photo: Photo, mask: Mask) -> Classification:
    """The issues that need more than the photo's own pixels, added to those it has."""
    added = [
        issue
        for issue, applies in (
            ("exact_duplicate", photo.exact_duplicate),
            ("near_duplicate", photo.duplicate_of is not None and not photo.exact_duplicate),
            ("damaged_data", bool({"damaged_data", "truncated_repaired"} & set(photo.notes))),
            ("colour_unknown", "colour_unknown" in photo.notes),
            ("cropped", row.category == "exterior" and mask.status == "cropped"),
            ("obstructed", row.category == "exterior" and mask.status == "obstructed"),
            ("part_missing", part_missing(mask, row.category, row.angle) is not None),
            ("other_vehicle", is_unsure(mask, row)),
        )
        if applies
    ]
    issues = (*row.quality.issues, *added)
    return row.model_copy(update={"quality": Quality(score=row.quality.score, issues=issues)})

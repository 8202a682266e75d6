"""Studio: the finished photos."""

from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from okla_assets import keys, previews
from okla_assets.contract import (
    Classification,
    Classifications,
    Composite,
    Composites,
    Mask,
    Masks,
    Photo,
    RawPhotos,
    StudioOptions,
    Treatment,
)
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Job, Outputs, run_jobs
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.progress import Progress

if TYPE_CHECKING:
    from resources.models.base import Rgb

VERSION = "2"
THUMBNAIL_SIDE = 400
BEFORE_SIDE = 1200
UNCUT = {
    "unsure": "no trustworthy cut-out: the two networks disagree",
    "cropped": "the vehicle is not shown whole",
    "no_vehicle": "no vehicle was found on the photo",
}
"""Why an exterior with this mask status is not on the studio scene."""


@dg.asset(
    partitions_def=vehicles,
    group_name="studio",
    code_version=VERSION,
    kinds={"python", "opencv"},
    owners=["team:media"],
)
def composites(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    store: dg.ResourceParam[MediaStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Composites]:
    """The finished photos: whole vehicles on the studio scene, everything else corrected only.

    A photo without a trustworthy matte keeps its own background and says why.
    """
    vehicle = vehicle_of(context)
    options = raw_photos.options
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest_of("composite", VERSION, photo.number, mask.digest, view.category, options),
            partial(finish, vehicle, photo, mask, view, options, store),
        )
        for photo, mask, view in zip(
            raw_photos.photos, masks.rows, classifications.rows, strict=True
        )
    ]
    cache = StepCache(store, vehicle, "composites", Composite)
    done = run_jobs("Finishing", jobs, cache, progress)
    table = Composites(rows=done.rows)
    return previews.result(
        context,
        table,
        store,
        counts={t: sum(r.treatment == t for r in table.rows) for t in previews.TREATMENTS},
        computed=done.computed,
        seconds=done.seconds,
        rows=[
            previews.composite_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)
        ],
        pictures=[r.thumbnail_key for r in table.rows],
        link=keys.processed_folder(vehicle),
    )


def choose_treatment(
    mask: Mask, view: Classification, options: StudioOptions
) -> tuple[Treatment, str | None]:
    """Studio, or corrected only and the reason why."""
    plain: Treatment = "enhanced" if options.auto_enhance else "original"
    if view.category != "exterior":
        return plain, f"{view.category}: keeps its own background"
    if mask.status == "cut":
        return "studio", None
    return plain, UNCUT[mask.status]


def finish(
    vehicle: keys.VehicleId,
    photo: Photo,
    mask: Mask,
    view: Classification,
    options: StudioOptions,
    store: MediaStore,
) -> tuple[Composite, Outputs]:
    """One photo's row and its files: the finished photo, its thumbnail, its matte, its before."""
    from okla_assets.imaging import codec, enhance, studio

    treatment, reason = choose_treatment(mask, view, options)
    picture = codec.decode_own(store.get(photo.work_key))
    grey = codec.decode_gray(store.get(mask.matte_key)) if mask.matte_key else None
    alpha = None if grey is None else studio.as_alpha(grey)
    before, source_box = picture, (0.0, 0.0, 1.0, 1.0)
    if options.auto_enhance:
        picture = enhance.enhance(picture, alpha if mask.status == "cut" else None)
    if treatment == "studio" and alpha is not None:
        placement = studio.place(studio.extent(alpha), options.max_width, _aspect(options))
        source_box = placement.box_of(picture)
        opacity = options.shadow_opacity if options.generate_shadow else None
        picture = studio.compose(picture, alpha, placement, opacity)
    else:
        picture = codec.fit_within(picture, options.max_width)
    row = Composite(
        number=photo.number,
        treatment=treatment,
        reason=reason,
        processed_key=keys.processed_photo(
            vehicle, view.category, photo.number, options.output_format
        ),
        thumbnail_key=keys.thumbnail(vehicle, view.category, photo.number),
        mask_key=None
        if grey is None or view.category != "exterior"
        else keys.processed_mask(vehicle, view.category, photo.number),
        before_key=keys.before_photo(vehicle, view.category, photo.number)
        if treatment == "studio"
        else None,
        source_box=source_box,
        seconds=0,
    )
    outputs = {
        row.processed_key: _encode(picture, options),
        row.thumbnail_key: codec.encode_jpeg(codec.fit_within(picture, THUMBNAIL_SIDE), 82),
    }
    if row.before_key:
        outputs[row.before_key] = codec.encode_jpeg(codec.fit_within(before, BEFORE_SIDE), 82)
    if row.mask_key and grey is not None:
        outputs[row.mask_key] = codec.encode_png(codec.resize(grey, photo.width, photo.height))
    return row, outputs


def _aspect(options: StudioOptions) -> float:
    width, height = options.aspect.split(":")
    return int(width) / int(height)


def _encode(picture: "Rgb", options: StudioOptions) -> bytes:
    from okla_assets.imaging import codec

    if options.output_format == "png":
        return codec.encode_png(picture)
    if options.output_format == "webp":
        return codec.encode_webp(picture, options.output_quality)
    return codec.encode_jpeg(picture, options.output_quality)

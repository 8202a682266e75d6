"""Delivery: listing.json, the machine's result, written last, and the pages made of it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import (
    Listing,
    ListingPhoto,
    ListingVideo,
    ModelUsed,
    PipelineInfo,
    Promo,
    Spin,
    SpinSize,
    Status,
)
from okla_assets.steps import channels, costs, metadata, selling
from okla_assets.steps.addresses import addressed
from okla_assets.steps.batches import joined
from okla_assets.steps.listed import listed
from okla_assets.steps.pipeline import Pipeline, listing_version
from okla_assets.steps.plate_masking import options_used
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.wholeness import part_missing
from okla_assets.tables import (
    Classifications,
    Composites,
    FailedPhoto,
    Hotspots,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PromoVideo,
    RawPhotos,
    RefusedFile,
    SpinFrames,
    Table,
    WalkaroundFrames,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from okla_assets.viewer import pages
from resources.alerts import Alerts
from resources.settings import settings
from resources.storage.media_store import MediaStore

VERSION = "10"
NOT_COMPARED = {"generated_at", "cost"}


@vehicle_asset("delivery", VERSION, {"python", "json"})
def listing(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    composites: Composites,
    spin_frames: SpinFrames,
    hotspots: Hotspots,
    promo_video: PromoVideo,
    store: dg.ResourceParam[MediaStore],
    pipeline: dg.ResourceParam[Pipeline],
    alerts: Alerts,
) -> dg.MaterializeResult[Listing]:
    """listing.json: everything a marketplace needs to show the vehicle; index.html for people.

    `ready` needs nobody; `needs_review` says in `reasons` what a person should look at; `failed`
    means that no photo could be used, of which the alerts tell when it happens. It is written
    after every file it names, and files that it no longer names are removed.
    """
    vehicle, began = vehicle_of(context), time.perf_counter()
    tables = Tables(
        raw_photos,
        walkaround_frames,
        masks,
        classifications,
        license_plates,
        composites,
        spin_frames,
        hotspots,
        promo_video,
    )
    fresh = addressed(build(tables, pipeline, costs.prices()), store)
    published, changed = publish(vehicle, fresh, store)
    if changed and published.status == "failed":
        reasons = "; ".join(published.reasons)
        alerts.run_failed(context.run, vehicle, "listing", reasons, context.log)
    return metadata.result(
        context,
        published,
        store,
        counts={
            "published": sum(photo.withheld is None for photo in published.photos),
            "kept_back": sum(photo.withheld is not None for photo in published.photos),
            "refused": len(published.refused),
        },
        computed=int(changed),
        units=1,
        spent=time.perf_counter() - began,
        rows=[metadata.listing_row(photo) for photo in published.photos],
        pictures=[photo.thumbnail_key for photo in published.photos if photo.thumbnail_key],
        link=keys.listing(vehicle),
        extra={
            "status": published.status,
            "reasons": "\n".join(published.reasons) or "none",
            "code": published.pipeline.code or "",
            **costs.as_metadata(published.cost),
            **metadata.listing_numbers(published),
        },
        data_version=listing_version(published, metadata.short_digest(published)),
    )


@dataclass(frozen=True)
class Tables:
    """All that is known of a vehicle: a table an asset, by the asset's name."""

    raw_photos: RawPhotos
    walkaround_frames: WalkaroundFrames
    masks: Masks
    classifications: Classifications
    license_plates: LicensePlates
    composites: Composites
    spin_frames: SpinFrames
    hotspots: Hotspots
    promo_video: PromoVideo

    @property
    def by_asset(self) -> dict[str, Table]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the vehicle's options could not be used, and what no file can be blamed for."""
        problems = [problem for t in self.by_asset.values() for problem in t.problems]
        # Of a turn that was made of photos: there is no video whose refusal would name it.
        if self.turn_problem and self.walkaround_frames.source_key is None:
            problems.append(self.turn_problem)
        return tuple(problems)

    @property
    def failed(self) -> tuple[FailedPhoto, ...]:
        """Photos that a step could not do."""
        return tuple(failure for t in self.by_asset.values() for failure in t.failed)

    @property
    def turn_problem(self) -> str | None:
        """Why a step could not do the frames of the walk-around."""
        return next((t.turn_problem for t in self.by_asset.values() if t.turn_problem), None)

    @property
    def gpu_seconds(self) -> float:
        """Those of `seconds` in which a model was at work on a GPU."""
        return sum(table.gpu_seconds for table in self.by_asset.values())

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of computing that went into each table."""
        return {asset: table.seconds for asset, table in self.by_asset.items()}


def build(tables: Tables, pipeline: Pipeline, prices: costs.Prices) -> Listing:
    """The listing of the vehicle's tables. ValueError for a photo that no table accounts for."""
    raw, spin, promo = tables.raw_photos, tables.spin_frames, tables.promo_video
    used = options_used(raw.options, tables.license_plates.style)
    photos = tuple(
        listed(*rows, used)
        for rows in joined(
            upright_photos(raw.photos, tables.masks.rows),
            tables.masks.rows,
            tables.classifications.rows,
            tables.license_plates.rows,
            tables.composites.rows,
        )
    )
    accounted = {p.number for p in photos} | {f.number for f in tables.failed}
    lost = {photo.number for photo in raw.photos} - accounted
    if lost:
        raise ValueError(f"photos {sorted(lost)} were lost: no step says that it failed on them")
    failed = (
        *(_failed(*both) for both in joined(raw.photos, tables.failed)),
        *_failed_videos(tables),
    )
    status, reasons = judge(
        raw, tables.problems, tables.masks.rows, photos, failed, settings().review_below
    )
    made = Listing(
        schema_version=1,
        vehicle_id=raw.vehicle_id,
        status=status,
        reasons=reasons,
        generated_at=datetime.now(UTC).replace(microsecond=0),
        pipeline=PipelineInfo(
            version=version("okla-media"),
            profile=pipeline.profile,
            code=pipeline.fingerprint(),
            models=tuple(
                ModelUsed(role=m.role, name=m.name, sha256=m.sha256, licence=m.licence)
                for m in pipeline.models()
            ),
        ),
        options=raw.options,
        cost=costs.cost_of(tables.seconds, tables.gpu_seconds, prices),
        photos=photos,
        videos=tuple(_videos(tables)),
        refused=(
            *raw.refused,
            *(file for file in tables.walkaround_frames.refused if file not in failed),
            *failed,
        ),
        ignored=raw.ignored,
        spin=_spin(keys.parse_vehicle_id(raw.vehicle_id), spin, tables.walkaround_frames),
        spin_reason=spin.reason,
        promo=_promo(promo),
        promo_reason=promo.reason,
        hotspots=tables.hotspots.spots,
    )
    return channels.judged(selling.ordered(made))


def judge(
    raw: RawPhotos,
    problems: Sequence[str],
    masks: Sequence[Mask],
    photos: Sequence[ListingPhoto],
    failed: Sequence[RefusedFile],
    review_below: int,
) -> tuple[Status, tuple[str, ...]]:
    """The listing's status and what a person should look at.

    `problems` are what of the vehicle's options could not be used, `failed` the photos and videos
    that were accepted and that a step could not do. A studio picture of a photo whose shorter side
    has less than `review_below` pixels is to be looked at.
    """
    if not photos:
        return "failed", (
            f"none of the {len(raw.refused) + len(failed)} uploaded files could be used"
            if raw.refused or failed
            else "no photo was uploaded",
        )
    reasons = list(problems)
    if not any(photo.category == "exterior" for photo in photos):
        reasons.append("no photo shows the vehicle from outside")
    for photo, mask in joined(photos, masks):
        name = f"{photo.category}_{photo.number:03d}"
        missing = part_missing(mask, photo.category, photo.angle)
        if missing and photo.treatment == "studio":
            reasons.append(f"{name}: {missing} may be missing; look at the picture")
        elif photo.category == "exterior" and (
            missing or mask.status in ("unsure", "obstructed", "no_vehicle")
        ):
            reasons.append(f"{name}: {photo.treatment_reason}")
        if photo.treatment == "studio" and min(photo.width, photo.height) < review_below:
            size = f"{photo.width} x {photo.height} pixels"
            reasons.append(f"{name}: {size} seldom give a clean cut-out; look at the picture")
        if photo.withheld:
            reasons.append(f"{name}: {photo.withheld}")
        if "damaged_data" in photo.quality.issues:
            reasons.append(f"{name}: the uploaded file is damaged; look at the picture")
        if "colour_unknown" in photo.quality.issues:
            reasons.append(f"{name}: the file names colours that cannot be read; look at them")
    reasons += [f"{file.source_key.rsplit('/', 1)[-1]}: {file.detail}" for file in failed]
    return ("needs_review" if reasons else "ready"), tuple(reasons)


def publish(vehicle: keys.VehicleId, fresh: Listing, store: MediaStore) -> tuple[Listing, bool]:
    """Writes the pages and listing.json, and removes finished files it does not name.

    Where nothing changed but the clock, the published bytes stay as they are. Returns the listing
    as published, and whether it was written.
    """
    key = keys.listing(vehicle)
    previous = _previous(key, store)
    changed = previous is None or previous.model_dump(exclude=NOT_COMPARED) != fresh.model_dump(
        exclude=NOT_COMPARED
    )
    published = fresh if changed or previous is None else previous
    made = pages.outputs(published, pages.addresses(vehicle, store))
    for page, (data, content_type) in made.items():
        if store.stat(page) is None or store.get(page) != data:
            store.put(page, data, content_type)
    if changed:
        store.put(key, fresh.model_dump_json(indent=2).encode(), "application/json")
    # Also where the listing stays: a run that was killed may have left files of its own.
    named = {*made, *published.files}
    ours = pages.names(vehicle)
    for info in list(store.list(keys.processed_folder(vehicle))):
        made_here = keys.is_photo_output(info.key) or keys.is_spin_frame(info.key)
        if (made_here or info.key in ours) and info.key not in named:
            store.delete(info.key)
    if published.promo_reason is not None:
        for old in keys.promo_files(vehicle):
            store.delete(old)
    return published, changed


def _promo(made: PromoVideo) -> Promo | None:
    if not (made.key and made.vertical_key and made.poster_key):
        return None
    return Promo(
        key=made.key,
        vertical_key=made.vertical_key,
        poster_key=made.poster_key,
        vertical_poster_key=made.vertical_poster_key,
        seconds=made.duration,
        sources=made.sources,
    )


def _previous(key: str, store: MediaStore) -> Listing | None:
    """The listing as published; None where there is none, or one of another version."""
    if store.stat(key) is None:
        return None
    try:
        return Listing.model_validate_json(store.get(key))
    except ValidationError:
        return None


def _spin(vehicle: keys.VehicleId, table: SpinFrames, video: WalkaroundFrames) -> Spin | None:
    if not table.frames:
        return None
    from_video = table.made_from == "video"
    return Spin(
        frames=tuple(frame.key for frame in table.frames),
        azimuths_deg=tuple(frame.azimuth_deg for frame in table.frames),
        width=table.width,
        height=table.height,
        viewer_key=keys.spin_page(vehicle),
        gaps=table.gaps,
        made_from=table.made_from,
        sources=tuple(frame.source for frame in table.frames),
        photo_frames=tuple(i for i, frame in enumerate(table.frames) if frame.from_photo),
        video_key=video.source_key if from_video else None,
        video_sha256=video.source_sha256 if from_video else None,
        sizes=tuple(
            SpinSize(
                width=size.width,
                height=size.height,
                type="image/webp" if size.key.endswith(".webp") else "image/jpeg",
                frames=tuple(frame.sizes[i].key for frame in table.frames),
            )
            for i, size in enumerate(table.frames[0].sizes)
        ),
    )


def _videos(tables: Tables) -> Iterator[ListingVideo]:
    video = tables.walkaround_frames
    if video.source_key is not None and not tables.turn_problem:
        yield ListingVideo(source_key=video.source_key, use="walkaround")
    for key in video.not_needed:
        yield ListingVideo(source_key=key, use="not_needed")


def _failed(photo: Photo, failure: FailedPhoto) -> RefusedFile:
    return RefusedFile(
        source_key=photo.source_key,
        reason="step_failed",
        detail=f"{failure.step} failed on this photo: {failure.detail}",
        number=photo.number,
    )


def _failed_videos(tables: Tables) -> Iterator[RefusedFile]:
    """The walk-around whose frames a step could not do, and videos that fared so at intake."""
    video = tables.walkaround_frames
    yield from (file for file in video.refused if file.reason == "step_failed")
    if tables.turn_problem and video.source_key:
        yield RefusedFile(
            source_key=video.source_key, reason="step_failed", detail=tables.turn_problem
        )

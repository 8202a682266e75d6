"""What a person would check before a listing goes online, checked on every run.

Checks read their tables themselves: an input that Dagster loads fails, in a run that was started
without a partition, before anybody could say what to do.
"""

import warnings

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.assets.composites import composites
from okla_assets.assets.license_plates import license_plates
from okla_assets.assets.listing import listing
from okla_assets.assets.raw_photos import raw_photos
from okla_assets.assets.spin_frames import spin_frames
from okla_assets.code_links import code_link
from okla_assets.contract import Listing
from okla_assets.steps import metadata
from okla_assets.tables import Composites, LicensePlates, RawPhotos, SpinFrames
from okla_assets.vehicle_runs import table_of, vehicle_of, vehicles
from resources.storage.media_store import MediaStore

# Checks on one partition at a time are "preview" in dagster 1.13; the release is pinned.
warnings.filterwarnings("ignore", message=".*partitions_def on an AssetCheckSpec.*")


@dg.asset_check(asset=raw_photos, partitions_def=vehicles, metadata=code_link(__file__))
def something_accepted(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """At least one upload could be used."""
    uploads = table_of(context, store, "raw_photos", RawPhotos)
    return dg.AssetCheckResult(
        passed=bool(uploads.photos),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(uploads.photos)} accepted, {len(uploads.refused)} refused",
        metadata={"refused": [f"{r.source_key}: {r.reason}" for r in uploads.refused]},
    )


@dg.asset_check(
    asset=composites,
    additional_deps=[license_plates],
    partitions_def=vehicles,
    blocking=True,
    metadata=code_link(__file__),
)
def no_plate_shown(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """Every finished photo was searched for plates, and none that shows one is in processed/.

    A photo that was kept back is a warning and the vehicle needs review. A photo that was not
    searched, or that was to be kept back and is there all the same, stops publication. Frames of
    the 360° view come later: `spin_frames` searches them, and leaves out those that can be read.
    """
    finished = table_of(context, store, "composites", Composites)
    masking = table_of(context, store, "license_plates", LicensePlates)
    if masking.style == "none":
        return dg.AssetCheckResult(passed=True, description="masking is switched off by option")
    held = [row for row in finished.rows if row.withheld is not None]
    numbers = {row.number for row in held}
    folder = keys.processed_folder(vehicle_of(context))
    shown = [i.key for i in store.list(folder) if keys.photo_shown(i.key) in numbers]
    unsearched = [str(row.number) for row in finished.rows if not row.plates_checked]
    open_leak = bool(shown or unsearched)
    return dg.AssetCheckResult(
        passed=not held and not open_leak,
        severity=dg.AssetCheckSeverity.ERROR if open_leak else dg.AssetCheckSeverity.WARN,
        description=f"{len(finished.rows) - len(held)} shown, {len(held)} kept back",
        metadata={
            "kept_back": [f"photo {row.number}: {row.withheld}" for row in held],
            "in_processed": shown,
            "not_searched": unsearched,
        },
    )


@dg.asset_check(
    asset=composites, partitions_def=vehicles, blocking=True, metadata=code_link(__file__)
)
def vehicle_as_photographed(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """Every published picture shows the vehicle as its photo does: nothing is painted in or away.

    A picture that was kept back for it is a warning; one that was not measured, or is published
    all the same, stops publication.
    """
    finished = table_of(context, store, "composites", Composites)
    broken = {row.number: row.truth.broken for row in finished.rows if row.truth is not None}
    shown = [row.number for row in finished.rows if row.processed_key is not None]
    wrong = [n for n in shown if n not in broken or broken[n] is not None]
    held = [n for n, reason in broken.items() if reason is not None and n not in shown]
    truths = [row.truth for row in finished.rows if row.truth is not None]
    return dg.AssetCheckResult(
        passed=not wrong and not held,
        severity=dg.AssetCheckSeverity.ERROR if wrong else dg.AssetCheckSeverity.WARN,
        description=f"{len(shown) - len(wrong)} of {len(shown)} as photographed",
        metadata={
            "worst_tile_delta_e": max((truth.tile for truth in truths), default=0.0),
            "worst_patch_delta_e": max((truth.patch for truth in truths), default=0.0),
            "broken": [f"photo {n}: {broken.get(n) or 'not measured'}" for n in [*wrong, *held]],
        },
    )


@dg.asset_check(asset=listing, partitions_def=vehicles, metadata=code_link(__file__))
def exteriors_cut_or_flagged(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """Every exterior stands in the studio or says why it does not."""
    listed = table_of(context, store, "listing", Listing)
    exteriors = [p for p in listed.photos if p.category == "exterior"]
    flagged = [p for p in exteriors if p.treatment != "studio"]
    silent = [p.number for p in flagged if not p.treatment_reason]
    return dg.AssetCheckResult(
        passed=not silent,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(exteriors) - len(flagged)} of {len(exteriors)} exteriors in the studio",
        metadata={
            "flagged": [f"photo {p.number}: {p.treatment_reason}" for p in flagged],
            "without_reason": [str(number) for number in silent],
        },
    )


@dg.asset_check(asset=spin_frames, partitions_def=vehicles, metadata=code_link(__file__))
def spin_or_reason(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """The vehicle turns all the way round, or it says why there is no turn."""
    spin = table_of(context, store, "spin_frames", SpinFrames)
    from okla_assets.imaging.turn.walkaround import MOST_GAP

    widest = max(spin.gaps, default=0.0)
    return dg.AssetCheckResult(
        passed=widest <= MOST_GAP if spin.frames else bool(spin.reason),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(spin.frames)} frames, widest gap {widest:.0f} degrees"
        if spin.frames
        else f"none: {spin.reason}",
    )


@dg.asset_check(asset=listing, partitions_def=vehicles, metadata=code_link(__file__))
def listing_valid(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """listing.json in the store fits its schema, and every file it names is there."""
    vehicle = vehicle_of(context)
    key = keys.listing(vehicle)
    try:
        stored = Listing.model_validate_json(store.get(key))
    except FileNotFoundError:
        return dg.AssetCheckResult(passed=False, description=f"there is no {key}")
    except ValidationError as error:
        return dg.AssetCheckResult(passed=False, description=f"{key} does not fit: {error}")
    named = stored.files
    there = {info.key for info in store.list(keys.processed_folder(vehicle))}
    lost = [k for k in named if k not in there]
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(named)} files named, {len(lost)} missing",
        metadata={"missing": lost},
    )


@dg.asset_check(asset=listing, partitions_def=vehicles, metadata=code_link(__file__))
def listing_status(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """How the listing stands: `ready` passes, `needs_review` warns and `failed` fails."""
    listed = table_of(context, store, "listing", Listing)
    reasons = list(listed.reasons)
    told = f": {keys.in_short(reasons)}" if reasons else ""
    return dg.AssetCheckResult(
        passed=listed.status == "ready",
        severity=dg.AssetCheckSeverity.ERROR
        if listed.status == "failed"
        else dg.AssetCheckSeverity.WARN,
        description=f"{listed.status}{told}",
        metadata={
            "status": listed.status,
            "reasons": "\n".join(reasons) or "none",
            "withheld": sum(photo.withheld is not None for photo in listed.photos),
            "refused": len(listed.refused),
            **metadata.listing_numbers(listed),
        },
    )


@dg.asset_check(asset=listing, partitions_def=vehicles, metadata=code_link(__file__))
def channels_take_it(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """Which channels would take the vehicle's pictures as they are; a warning, never a stop."""
    listed = table_of(context, store, "listing", Listing)
    short = {name: one for name, one in listed.channels.items() if one.unmet or not one.accepted}
    return dg.AssetCheckResult(
        passed=not short,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(listed.channels) - len(short)} of {len(listed.channels)} channels",
        metadata={
            name: [*one.unmet, *(f"photo {r.number}: {r.reason}" for r in one.refused)]
            for name, one in listed.channels.items()
        },
    )


ALL = (
    something_accepted,
    no_plate_shown,
    vehicle_as_photographed,
    exteriors_cut_or_flagged,
    spin_or_reason,
    listing_valid,
    listing_status,
    channels_take_it,
)

"""What a person would check before a listing goes online, checked on every run."""

import warnings

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import Listing, RawPhotos
from okla_assets.listing import listing
from okla_assets.partitions import vehicles
from okla_assets.raw_photos import raw_photos
from resources.media_store import MediaStore

# Checks on one partition at a time are "preview" in dagster 1.13; the release is pinned.
warnings.filterwarnings("ignore", message=".*partitions_def on an AssetCheckSpec.*")


@dg.asset_check(asset=raw_photos, partitions_def=vehicles)
def something_accepted(raw_photos: RawPhotos) -> dg.AssetCheckResult:
    """At least one upload could be used."""
    return dg.AssetCheckResult(
        passed=bool(raw_photos.photos),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(raw_photos.photos)} accepted, {len(raw_photos.refused)} refused",
        metadata={"refused": [f"{r.source_key}: {r.reason}" for r in raw_photos.refused]},
    )


@dg.asset_check(asset=listing, partitions_def=vehicles)
def exteriors_cut_or_flagged(listing: Listing) -> dg.AssetCheckResult:
    """Every exterior stands in the studio or says why it does not."""
    exteriors = [p for p in listing.photos if p.category == "exterior"]
    flagged = [p for p in exteriors if p.treatment != "studio"]
    silent = [p.number for p in flagged if not p.treatment_reason]
    return dg.AssetCheckResult(
        passed=not silent,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(exteriors) - len(flagged)} of {len(exteriors)} exteriors in the studio",
        metadata={
            "flagged": [f"{p.processed_key}: {p.treatment_reason}" for p in flagged],
            "without_reason": [str(number) for number in silent],
        },
    )


@dg.asset_check(asset=listing, partitions_def=vehicles)
def listing_valid(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[MediaStore]
) -> dg.AssetCheckResult:
    """listing.json in the store fits its schema, and every file it names is there."""
    key = keys.listing(keys.parse_vehicle_id(context.partition_key))
    try:
        stored = Listing.model_validate_json(store.get(key))
    except ValidationError as error:
        return dg.AssetCheckResult(passed=False, description=f"{key} does not fit: {error}")
    named = [key for photo in stored.photos for key in photo.files]
    lost = [k for k in named if store.stat(k) is None]
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(named)} files named, {len(lost)} missing",
        metadata={"missing": lost},
    )


ALL = (something_accepted, exteriors_cut_or_flagged, listing_valid)

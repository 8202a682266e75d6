"""Listings and runs as Dagster and the store would hold them, without a run: that takes seconds."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from okla_assets import keys
from okla_assets.contract import Cost, Listing, PipelineInfo
from okla_assets.options import StudioOptions
from okla_assets.vehicle_runs import LISTING
from okla_assets.viewer import pages
from resources.storage.media_store import MediaStore


def listing_of(
    vehicle: keys.VehicleId, status: str = "ready", code: str | None = None, **changed: Any
) -> Listing:
    """A listing that names no photo."""
    plain: dict[str, Any] = {
        "schema_version": 1,
        "vehicle_id": vehicle,
        "status": status,
        "reasons": () if status == "ready" else ("exterior_001: no vehicle was found",),
        "generated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "pipeline": PipelineInfo(version="0", profile="local", code=code, models=()),
        "options": StudioOptions(),
        "cost": Cost(seconds={}, usd=None),
        "photos": (),
        "refused": (),
        "spin": None,
        "spin_reason": "none",
        "promo": None,
        "promo_reason": "none",
        "hotspots": (),
    }
    return Listing.model_validate(plain | changed)


def publish(store: MediaStore, listing: Listing) -> None:
    """Puts the listing and its page where buyers see them."""
    for key, (data, content_type) in pages.outputs(listing).items():
        store.put(key, data, content_type)
    key = keys.listing(keys.parse_vehicle_id(listing.vehicle_id))
    store.put(key, listing.model_dump_json().encode())


def record_listing(instance: dg.DagsterInstance, vehicle: keys.VehicleId, version: str) -> None:
    """Has Dagster believe that the vehicle's listing was made in this version."""
    instance.report_runless_asset_event(
        dg.AssetMaterialization(LISTING, partition=vehicle, tags={"dagster/data_version": version})
    )


def mark_run(
    instance: dg.DagsterInstance, vehicle: keys.VehicleId, status: dg.DagsterRunStatus
) -> str:
    """A run of the vehicle in this state; its id."""
    run = instance.create_run_for_job(
        _job, tags={"dagster/partition": vehicle, "okla/source": "upload"}, status=status
    )
    return run.run_id


@dg.op
def _nothing() -> None:
    pass


@dg.job
def nothing() -> None:
    """A job of no vehicle."""
    _nothing()


@dg.job(name="vehicle_media")
def _job() -> None:
    _nothing()

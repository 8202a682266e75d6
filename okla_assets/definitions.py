"""Everything Dagster loads. The only module that knows all the others."""

from functools import cache

import dagster as dg

from okla_assets.assets import checks
from okla_assets.assets.classifications import classifications
from okla_assets.assets.composites import composites
from okla_assets.assets.hotspots import hotspots
from okla_assets.assets.license_plates import license_plates
from okla_assets.assets.listing import listing
from okla_assets.assets.masks import masks
from okla_assets.assets.promo_video import promo_video
from okla_assets.assets.raw_photos import raw_photos
from okla_assets.assets.spin_frames import spin_frames
from okla_assets.assets.walkaround_frames import walkaround_frames
from okla_assets.operations.archive import archive_vehicles
from okla_assets.operations.backfill import refresh_vehicles
from okla_assets.operations.fleet.fleet_report import fleet_report, report_job
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.steps.column_schema import output_table, schema_of
from okla_assets.steps.pipeline import Pipeline
from okla_assets.vehicle_runs import vehicle_media
from resources.alerts import Alerts
from resources.profiles import ROLES, resources_for
from resources.settings import settings
from sensors.jobs import jobs
from sensors.outcomes import outcomes
from sensors.s3_events import s3_events
from sensors.schedules import nightly_backfill, nightly_report
from sensors.uploads import uploads

ASSETS = (
    raw_photos,
    walkaround_frames,
    masks,
    classifications,
    license_plates,
    composites,
    spin_frames,
    hotspots,
    promo_video,
    listing,
)
"""The steps of a vehicle, in the order of the graph: the one list of them."""


def build_definitions(profile: str, **overrides: object) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors on the profile's resources.

    Some of these are replaced by key.
    """
    resources = {"alerts": Alerts()} | resources_for(profile) | overrides
    versions = {
        key.to_user_string(): version
        for asset in ASSETS
        for key, version in asset.code_versions_by_key.items()
    }
    pipeline = Pipeline(profile, {role: resources[role] for role in ROLES}, versions)  # type: ignore[misc]
    # Jobs that run vehicles in their own process need what they are a part of.
    runner = VehicleRunner(lambda: definitions, pipeline.fingerprint)
    definitions = dg.Definitions(
        assets=[*_described(), *dg.with_source_code_references([fleet_report])],
        asset_checks=checks.ALL,
        jobs=[vehicle_media, refresh_vehicles, archive_vehicles, report_job],
        schedules=[nightly_backfill(), nightly_report()],
        sensors=[uploads, s3_events, jobs, outcomes],
        resources=resources | {"pipeline": pipeline, "runner": runner},
        executor=dg.in_process_executor,
    )
    return definitions


@cache
def _described() -> list[dg.AssetsDefinition]:
    """The assets with the columns of their rows, and with links to their code, which Dagster
    reads to find their lines: once."""
    linked = dg.with_source_code_references(ASSETS)
    return [_with_columns(asset) for asset in linked if isinstance(asset, dg.AssetsDefinition)]


def _with_columns(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    columns = {"dagster/column_schema": schema_of(output_table(asset))}
    return asset.map_asset_specs(lambda spec: spec.merge_attributes(metadata=columns))


def runner_of(definitions: dg.Definitions) -> VehicleRunner:
    """What runs one vehicle in this process on these definitions."""
    runner = (definitions.resources or {})["runner"]
    assert isinstance(runner, VehicleRunner)
    return runner


@dg.definitions
def defs() -> dg.Definitions:
    """What the code server loads; OKLA_PROFILE chooses the models."""
    return build_definitions(settings().profile)

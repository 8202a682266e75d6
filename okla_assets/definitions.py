"""Everything Dagster is told. The only module that knows all the others."""

from typing import Any

import dagster as dg

from okla_assets.assets import checks
from okla_assets.assets.classifications import classifications
from okla_assets.assets.composites import composites
from okla_assets.assets.hotspots import hotspots
from okla_assets.assets.license_plates import license_plates
from okla_assets.assets.listing import VERSION as LISTING_VERSION
from okla_assets.assets.listing import listing
from okla_assets.assets.masks import masks
from okla_assets.assets.promo_video import promo_video
from okla_assets.assets.raw_photos import raw_photos
from okla_assets.assets.spin_frames import spin_frames
from okla_assets.assets.walkaround_frames import walkaround_frames
from okla_assets.operations.archive import archive_vehicles
from okla_assets.operations.backfill import refresh_vehicles
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.steps.recipe import ROLES, pipeline_fingerprint
from okla_assets.vehicle_runs import vehicle_media
from resources.alerts import Alerts
from resources.profiles import resources_for
from resources.settings import settings
from sensors.outcomes import outcomes
from sensors.s3_events import s3_events
from sensors.schedules import nightly_backfill
from sensors.uploads import uploads


def build_definitions(profile: str, **overrides: object) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors on the profile's resources.

    Some of these are replaced by key.
    """
    resources = resources_for(profile) | overrides

    def present_recipe() -> str:
        roles: list[Any] = [resources[role] for role in ROLES]
        return pipeline_fingerprint(roles, LISTING_VERSION)

    # Jobs that run vehicles in their own process need what they are a part of.
    runner = VehicleRunner(lambda: definitions, present_recipe)
    definitions = dg.Definitions(
        assets=[
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
        ],
        asset_checks=checks.ALL,
        jobs=[vehicle_media, refresh_vehicles, archive_vehicles],
        schedules=[nightly_backfill()],
        sensors=[uploads, s3_events, outcomes],
        resources={"alerts": Alerts()} | resources | {"runner": runner},
        executor=dg.in_process_executor,
    )
    return definitions


def runner_of(definitions: dg.Definitions) -> VehicleRunner:
    """What runs one vehicle in this process on these definitions."""
    runner = (definitions.resources or {})["runner"]
    assert isinstance(runner, VehicleRunner)
    return runner


@dg.definitions
def defs() -> dg.Definitions:
    """What the code server loads; OKLA_PROFILE chooses the models."""
    return build_definitions(settings().profile)

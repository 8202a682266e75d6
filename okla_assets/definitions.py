"""Everything Dagster is told. The only module that knows all the others."""

import os

import dagster as dg

from okla_assets import checks
from okla_assets.classifications import classifications
from okla_assets.composites import composites
from okla_assets.hotspots import hotspots
from okla_assets.jobs import vehicle_media
from okla_assets.license_plates import license_plates
from okla_assets.listing import listing
from okla_assets.masks import masks
from okla_assets.promo_video import promo_video
from okla_assets.raw_photos import raw_photos
from okla_assets.spin_frames import spin_frames
from okla_assets.walkaround_frames import walkaround_frames
from resources.profiles import DEFAULT_PROFILE, resources_for
from sensors.s3_events import s3_events
from sensors.uploads import uploads


def build_definitions(profile: str, **overrides: object) -> dg.Definitions:
    """Assets, checks, job and sensor on the profile's resources, some of them replaced by key."""
    return dg.Definitions(
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
        jobs=[vehicle_media],
        sensors=[uploads, s3_events],
        resources=resources_for(profile) | overrides,
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What the code server loads; OKLA_PROFILE chooses the models."""
    return build_definitions(os.environ.get("OKLA_PROFILE") or DEFAULT_PROFILE)

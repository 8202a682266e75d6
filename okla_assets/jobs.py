"""The one job: a vehicle's media from uploads to listing."""

import dagster as dg

vehicle_media = dg.define_asset_job(
    "vehicle_media",
    selection=dg.AssetSelection.all(),
    description="Everything for one vehicle, in one process so that models are loaded once.",
    # A run has about 200 events, which are in the UI; the terminal shows what is wrong.
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
)

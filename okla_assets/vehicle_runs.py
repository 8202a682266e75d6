"""A vehicle's run: its partition, the pool it shares, the one job, and the tags of its runs."""

import dagster as dg

from okla_assets import dagster_tags, keys

vehicles = dg.DynamicPartitionsDefinition(name="vehicles")
"""One partition is one vehicle; photos are rows of its tables, never partitions."""

GPU_POOL = "gpu"
"""The steps that run the large models; `okla up --gpu-slots` sets how many at a time."""

PRIORITIES = {"upload": 10, "rerun": 0, "backfill": -10}
"""By what asked for a run: a seller who waits goes before the nightly backfill."""
SOURCE_TAG = "okla/source"


def vehicle_of(context: dg.AssetExecutionContext) -> keys.VehicleId:
    """The vehicle a run is about."""
    return keys.parse_vehicle_id(context.partition_key)


def run_tags(source: str) -> dict[str, str]:
    """Tags of a run that `source`, one of PRIORITIES, asks for."""
    return {SOURCE_TAG: source, dagster_tags.PRIORITY: str(PRIORITIES[source])}


vehicle_media = dg.define_asset_job(
    "vehicle_media",
    selection=dg.AssetSelection.all(),
    description="Everything for one vehicle, in one process so that models are loaded once.",
    # A run has about 200 events, which are in the UI; the terminal shows what is wrong.
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
)

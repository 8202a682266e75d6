"""The one job: a vehicle's media from uploads to listing; and the tags of its runs."""

import dagster as dg

PRIORITIES = {"upload": 10, "rerun": 0, "backfill": -10}
"""By what asked for a run: a seller who waits goes before the nightly refresh."""
SOURCE_TAG = "okla/source"


def run_tags(source: str) -> dict[str, str]:
    """Tags of a run that `source`, one of PRIORITIES, asks for."""
    return {SOURCE_TAG: source, "dagster/priority": str(PRIORITIES[source])}


vehicle_media = dg.define_asset_job(
    "vehicle_media",
    selection=dg.AssetSelection.all(),
    description="Everything for one vehicle, in one process so that models are loaded once.",
    # A run has about 200 events, which are in the UI; the terminal shows what is wrong.
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
)

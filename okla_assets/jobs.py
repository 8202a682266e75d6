"""The one job: a vehicle's media from uploads to listing; and what its runs are tagged with."""

import dagster as dg

vehicle_media = dg.define_asset_job(
    "vehicle_media",
    selection=dg.AssetSelection.all(),
    description="Everything for one vehicle, in one process so that models are loaded once.",
)

SOURCE_TAG = "okla/source"
"""Tag that says why there is a run: one of `PRIORITIES`."""

PRIORITIES = {"upload": 10, "rerun": 0, "backfill": -10}
"""A seller who waits comes before a person who repeats, and both before a whole stock."""


def run_tags(source: str) -> dict[str, str]:
    """What a run of that source is tagged with; the queue takes the highest priority first."""
    return {SOURCE_TAG: source, "dagster/priority": str(PRIORITIES[source])}

"""A run that failed is seen: in the vehicle's listing, and by whoever the alerts reach."""

import dagster as dg

from okla_assets import dagster_tags, keys
from okla_assets.code_links import code_link
from okla_assets.operations.archive import archive_vehicles
from okla_assets.operations.backfill import refresh_vehicles
from okla_assets.operations.failures import mark_failed, problem_of
from okla_assets.operations.fleet.fleet_report import report_job
from okla_assets.operations.run_index import overtaken, vehicle_of_run
from okla_assets.vehicle_runs import makes_listing, vehicle_media, vehicles
from resources.alerts import Alerts
from resources.storage.media_store import MediaStore

ASSET_JOB = "__ASSET_JOB"
"""Dagster's name for assets that a person or a backfill picked in its UI."""
OURS = frozenset(
    {vehicle_media.name, refresh_vehicles.name, archive_vehicles.name, report_job.name, ASSET_JOB}
)


@dg.run_failure_sensor(
    # Runs of `okla process` and of a nightly batch carry no code location; job names choose.
    monitor_all_code_locations=True,
    minimum_interval_seconds=15,
    description="A run that fails for good marks the vehicle's listing and sends an alert.",
    metadata=code_link(__file__),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def outcomes(
    context: dg.RunFailureSensorContext, store: dg.ResourceParam[MediaStore], alerts: Alerts
) -> None:
    """Marks a failed vehicle's listing and sends an alert, for each run that fails for good.

    A run that Dagster will retry, that somebody cancelled, or that a newer one of the same vehicle
    has overtaken is no failure. One of single photos overtakes no run of the whole vehicle.
    """
    run = context.dagster_run
    vehicle = vehicle_of_run(run) if run.job_name in OURS else None
    problem = problem_of(context.instance, run.run_id)
    passing = problem.interrupted or run.tags.get(dagster_tags.WILL_RETRY) == "true"
    if run.job_name not in OURS or passing:
        return
    if vehicle is not None:
        if overtaken(context.instance, run, vehicle):
            return
        archived = not context.instance.has_dynamic_partition(str(vehicles.name), vehicle)
        # A vehicle of which single photos were asked for may never have a listing.
        has_listing = makes_listing(run) or store.stat(keys.listing(vehicle)) is not None
        if has_listing and not archived:
            mark_failed(vehicle, run.run_id, problem, store)
    alerts.run_failed(run, vehicle, problem.step, problem.error, context.log)

"""What runs at night: the backfill, and the report over all vehicles."""

from collections.abc import Callable, Iterator

import dagster as dg

from okla_assets.code_links import code_link
from okla_assets.operations.backfill import (
    BATCH,
    due,
    refresh_vehicles,
    run_config_for,
)
from okla_assets.operations.fleet.fleet_report import missing_packages, report_job
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.vehicle_runs import run_tags
from resources.errors import BrokenSetup
from resources.settings import settings
from resources.storage.media_store import MediaStore


def nightly_backfill() -> dg.ScheduleDefinition:
    """The schedule at the settings' cron and time zone; BrokenSetup where Dagster refuses them."""
    return _schedule(
        refresh_vehicles.name,
        "nightly_backfill",
        "Makes again what failed, lost files, or is of older code or weights.",
        "BACKFILL_CRON",
        settings().backfill_cron,
        _request,
    )


def nightly_report() -> dg.ScheduleDefinition:
    """The report over all vehicles, likewise; some hours later, when the backfill has ended."""
    return _schedule(
        report_job.name,
        "nightly_report",
        "Brings the tables, the figures and the page over all vehicles up to date.",
        "REPORT_CRON",
        settings().report_cron,
        _report_request,
    )


def _schedule(
    job: str,
    name: str,
    description: str,
    variable: str,
    cron: str,
    requests: Callable[..., Iterator[dg.RunRequest | dg.SkipReason]],
) -> dg.ScheduleDefinition:
    timezone = settings().backfill_timezone
    try:
        return dg.schedule(
            job_name=job,
            name=name,
            description=description,
            metadata=code_link(__file__),
            cron_schedule=cron,
            execution_timezone=timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )(requests)
    except dg.DagsterInvalidDefinitionError as error:
        raise BrokenSetup(
            f"OKLA_{variable}={cron!r} or OKLA_BACKFILL_TIMEZONE={timezone!r} cannot be used; "
            f"give five fields as '0 2 * * *' and a name as 'America/Santo_Domingo': {error}"
        ) from None


def _report_request(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run of the report, where what it needs is installed."""
    if problem := missing_packages():
        yield dg.SkipReason(problem)
        return
    night = context.scheduled_execution_time
    yield dg.RunRequest(run_key=f"report:{night:%Y-%m-%dT%H:%M}", tags=run_tags("report"))


def _request(
    context: dg.ScheduleEvaluationContext,
    runner: dg.ResourceParam[VehicleRunner],
    store: dg.ResourceParam[MediaStore],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Makes again the vehicles that failed, lost files or were made by older code or weights.

    The oldest first, in runs of BATCH vehicles: between two of them uploads go first.
    """
    night = context.scheduled_execution_time
    limit = settings().backfill_limit
    found = due(context.instance, store, runner.fingerprint(), limit, night.date())
    if not found:
        yield dg.SkipReason("every vehicle is whole and made by the present code and weights")
    for start in range(0, len(found), BATCH):
        batch = [one.vehicle for one in found[start : start + BATCH]]
        yield dg.RunRequest(
            run_key=f"{night:%Y-%m-%dT%H:%M}:{start}",
            run_config=run_config_for(batch),
            tags=run_tags("backfill"),
        )

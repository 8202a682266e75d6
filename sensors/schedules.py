"""What happens by the clock: the nightly backfill."""

import os
from collections.abc import Iterator

import dagster as dg

from okla_assets.code_links import code_link
from okla_assets.operations.backfill import (
    BATCH,
    NIGHTLY_LIMIT,
    due,
    refresh_vehicles,
    run_config_for,
)
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.vehicle_runs import run_tags
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

CRON = "0 2 * * *"


def nightly_backfill() -> dg.ScheduleDefinition:
    """The schedule, by OKLA_BACKFILL_CRON and OKLA_BACKFILL_TIMEZONE (UTC where not set)."""
    cron = os.environ.get("OKLA_BACKFILL_CRON") or CRON
    timezone = os.environ.get("OKLA_BACKFILL_TIMEZONE") or "UTC"
    try:
        return dg.schedule(
            job=refresh_vehicles,
            name="nightly_backfill",
            metadata=code_link(__file__),
            cron_schedule=cron,
            execution_timezone=timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )(_request)
    except dg.DagsterInvalidDefinitionError as error:
        raise BadInput(
            f"OKLA_BACKFILL_CRON={cron!r} or OKLA_BACKFILL_TIMEZONE={timezone!r} cannot be used; "
            f"give five fields such as {CRON!r} and a name such as 'America/Santo_Domingo': {error}"
        ) from None


def nightly_limit() -> int:
    """Vehicles a night at most, by OKLA_BACKFILL_LIMIT."""
    given = os.environ.get("OKLA_BACKFILL_LIMIT") or str(NIGHTLY_LIMIT)
    if not given.isdecimal():
        raise BadInput(f"OKLA_BACKFILL_LIMIT={given!r} is no number of vehicles")
    return int(given)


def _request(
    context: dg.ScheduleEvaluationContext,
    runner: dg.ResourceParam[VehicleRunner],
    store: dg.ResourceParam[MediaStore],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Makes again the vehicles that failed, lost files or were made by older code or weights.

    The oldest first, in runs of BATCH vehicles: between two of them uploads go first.
    """
    night = context.scheduled_execution_time
    found = due(context.instance, store, runner.fingerprint(), nightly_limit(), night.date())
    if not found:
        yield dg.SkipReason("every vehicle is whole and made by the present code and weights")
    for start in range(0, len(found), BATCH):
        batch = [one.vehicle for one in found[start : start + BATCH]]
        yield dg.RunRequest(
            run_key=f"{night:%Y-%m-%dT%H:%M}:{start}",
            run_config=run_config_for(batch),
            tags=run_tags("backfill"),
        )

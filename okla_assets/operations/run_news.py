"""What became of vehicles since somebody last asked: a line for each run that began or ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg

from okla_assets.operations.failures import problem_of
from okla_assets.operations.run_index import listing_versions, vehicle_of_run
from okla_assets.steps.pipeline import parse_listing_version
from okla_assets.vehicle_runs import SOURCE_TAG

AT_FIRST = 200
"""So many changes are asked for, and more where there were as many."""
OVERLAP = timedelta(seconds=5)
"""Runs are asked for again that changed so long before: clocks of several machines differ."""
_EVENTS = {
    dg.DagsterRunStatus.STARTED: "started",
    dg.DagsterRunStatus.SUCCESS: "done",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass(frozen=True)
class News:
    """A run that began or ended; `status` is that of the listing it made, `seconds` how long it
    took, `detail` who asked for it or why it failed."""

    vehicle: str
    event: Literal["started", "done", "failed", "cancelled"]
    run_id: str
    status: str = ""
    seconds: float | None = None
    detail: str = ""


class RunNews:
    """Remembers what it has told; the first call tells of what happens from now on."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC)
        self._told: dict[str, dg.DagsterRunStatus] = {}

    def poll(self, instance: dg.DagsterInstance) -> Iterator[News]:
        """What is new in the instance."""
        asked = datetime.now(UTC)
        records = _changed_after(instance, self._since - OVERLAP)
        self._since = asked
        for record in records:
            run = record.dagster_run
            vehicle = vehicle_of_run(run)
            if vehicle is None or self._told.get(run.run_id) is run.status:
                continue
            self._told[run.run_id] = run.status
            yield _news(instance, record, vehicle)
        fresh = {record.dagster_run.run_id for record in records}
        self._told = {run_id: told for run_id, told in self._told.items() if run_id in fresh}


def _changed_after(instance: dg.DagsterInstance, since: datetime) -> Sequence[dg.RunRecord]:
    """The runs of these kinds that changed since, oldest change first, however many there are."""
    limit = AT_FIRST
    while True:
        records = instance.get_run_records(
            dg.RunsFilter(statuses=list(_EVENTS), updated_after=since),
            limit=limit,
            order_by="update_timestamp",
            ascending=True,
        )
        if len(records) < limit:
            return records
        limit *= 4  # not from the last one on: many may have changed at one moment


def _news(instance: dg.DagsterInstance, record: dg.RunRecord, vehicle: str) -> News:
    run = record.dagster_run
    event = _EVENTS[run.status]
    status = detail = ""
    if run.status is dg.DagsterRunStatus.STARTED:
        detail = run.tags.get(SOURCE_TAG, "")
    elif run.status is dg.DagsterRunStatus.SUCCESS:
        version = parse_listing_version(listing_versions(instance, [vehicle]).get(vehicle))
        status = "" if version is None else version.status
    elif run.status is dg.DagsterRunStatus.FAILURE:
        problem = problem_of(instance, run.run_id)
        detail = f"{problem.step}: {problem.error}"
    took = None
    if record.start_time is not None and record.end_time is not None:
        took = record.end_time - record.start_time
    return News(vehicle, event, run.run_id, status, took, detail)  # type: ignore[arg-type]

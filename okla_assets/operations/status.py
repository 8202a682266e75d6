"""What waits, runs and failed, and how the listings stand: for a person at a terminal.

Runs are asked for by status and counted, never all read; listings are counted by the index that
`run_records` describes, and only some that need review are opened for their reasons.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.operations.failures import problem_of
from okla_assets.operations.run_index import (
    UNDER_WAY,
    WAITING,
    attempts,
    last_run,
    listing_versions,
    materialized,
    pages,
    vehicle_of_run,
)
from okla_assets.steps.pipeline import parse_listing_version
from okla_assets.vehicle_runs import SOURCE_TAG
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore

MOST_RUNS = 20
MOST_FAILURES = 200
MOST_OPENED = 200
MOST_NEW = 2000
READERS = 16


@dataclass(frozen=True)
class RunLine:
    """One run: what it is about, who asked for it, and where it stands since when."""

    vehicle: str
    run_id: str
    source: str
    step: str
    since: datetime
    says: str = ""


@dataclass(frozen=True)
class Status:
    """All of it; lists hold the first MOST_RUNS, counts are of all.

    `new_uploads` are folders under raw/ that are no partition yet. `reasons` are counted over
    `reasons_of` listings that need review.
    """

    waiting: int
    waiting_runs: tuple[RunLine, ...]
    new_uploads: tuple[str, ...]
    running: tuple[RunLine, ...]
    failed: tuple[RunLine, ...]
    listings: Mapping[str, int]
    reasons: Mapping[str, int]
    reasons_of: int


@dataclass(frozen=True)
class VehicleStatus:
    """One vehicle: its last run, and its listing."""

    vehicle: str
    state: str
    last_run: RunLine | None
    listing: str | None
    reasons: tuple[str, ...] = ()
    generated_at: datetime | None = None
    known: bool = field(default=True)


def overview(instance: dg.DagsterInstance, store: MediaStore) -> Status:
    """How the whole stands."""
    failed = _failed(instance)
    counts: Counter[str] = Counter()
    review: list[str] = []
    known: set[str] = set()
    for page in pages(instance):
        known.update(page)
        versions = listing_versions(instance, page)
        for vehicle in page:
            version = parse_listing_version(versions.get(vehicle))
            status = "failed" if vehicle in failed else version.status if version else "not made"
            counts[status] += 1
            if status == "needs_review" and len(review) < MOST_OPENED:
                review.append(vehicle)
    waiting = dg.RunsFilter(statuses=list(WAITING))
    return Status(
        waiting=instance.get_runs_count(waiting),
        waiting_runs=tuple(
            _line(record) for record in instance.get_run_records(waiting, limit=MOST_RUNS)
        ),
        new_uploads=_new_uploads(store, known),
        running=tuple(
            _running(instance, record)
            for record in instance.get_run_records(
                dg.RunsFilter(statuses=list(UNDER_WAY)), limit=MOST_RUNS
            )
        ),
        failed=tuple(_failure(instance, record) for record in list(failed.values())[:MOST_RUNS]),
        listings=dict(counts),
        reasons=_reasons(review, store),
        reasons_of=len(review),
    )


def of_vehicle(
    vehicle: keys.VehicleId, instance: dg.DagsterInstance, store: MediaStore
) -> VehicleStatus:
    """How one vehicle stands."""
    record = last_run(instance, vehicle)
    line, state = None, "never run"
    if record is not None:
        status = record.dagster_run.status
        state = status.value.lower()
        line = _line(record)
        if status in UNDER_WAY:
            line = _running(instance, record)
        elif status is dg.DagsterRunStatus.FAILURE:
            line = _failure(instance, record)
    listing = _listing(vehicle, store)
    if listing is None:
        try:
            uploads = any(True for _ in store.list(keys.raw_folder(vehicle)))
        except Unreadable:
            uploads = True
        return VehicleStatus(vehicle, state, line, None, known=uploads or record is not None)
    return VehicleStatus(
        vehicle, state, line, listing.status, listing.reasons, listing.generated_at
    )


def _failed(instance: dg.DagsterInstance) -> dict[str, dg.RunRecord]:
    """The newest failed run of each vehicle that no later run has made good; newest first."""
    failures: dict[str, dg.RunRecord] = {}
    records = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=MOST_FAILURES
    )
    for record in records:
        failures.setdefault(_about(record.dagster_run), record)
    made, tried = materialized(instance, failures), attempts(instance, failures)
    return {
        about: record
        for about, record in failures.items()
        if about in tried and tried[about] > made.get(about, -1)
    }


def _new_uploads(store: MediaStore, known: set[str]) -> tuple[str, ...]:
    """Folders under raw/ that are no partition, and are not archived."""
    unknown: list[keys.VehicleId] = []
    for name in store.folders(keys.RAW):
        if name not in known and len(unknown) < MOST_NEW:
            try:
                unknown.append(keys.new_vehicle_id(name))
            except keys.BadVehicleId:  # the sensor names it once
                continue
    with ThreadPoolExecutor(READERS) as readers:
        archived = readers.map(lambda v: _is_marked(keys.archived_marker(v), store), unknown)
        return tuple(v for v, marked in zip(unknown, archived, strict=True) if not marked)


def _is_marked(marker: str, store: MediaStore) -> bool:
    try:
        return store.stat(marker) is not None
    except Unreadable:  # the folder waits all the same; the sensor says why
        return False


def _reasons(review: Sequence[str], store: MediaStore) -> dict[str, int]:
    """How often each reason stands in these listings, the photo's name left out."""
    with ThreadPoolExecutor(READERS) as readers:
        listings = readers.map(lambda v: _listing(keys.parse_vehicle_id(v), store), review)
    counts = Counter(
        reason
        for listing in listings
        if listing is not None
        for reason in {re.sub(r"^(exterior|interior|misc)_\d+: ", "", r) for r in listing.reasons}
    )
    return dict(counts.most_common())


def _listing(vehicle: keys.VehicleId, store: MediaStore) -> Listing | None:
    try:
        return Listing.model_validate_json(store.get(keys.listing(vehicle)))
    except (FileNotFoundError, ValidationError, Unreadable):
        return None


def _about(run: dg.DagsterRun) -> str:
    return vehicle_of_run(run) or run.job_name


def _line(record: dg.RunRecord, step: str = "", says: str = "") -> RunLine:
    run = record.dagster_run
    moment = record.create_timestamp
    return RunLine(_about(run), run.run_id, run.tags.get(SOURCE_TAG, ""), step, moment, says)


def _running(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunLine:
    """The run with the step it is at, and since when."""
    line = _line(record)
    found = instance.get_records_for_run(
        line.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1, ascending=False
    )
    for started in found.records:
        entry = started.event_log_entry
        since = datetime.fromtimestamp(entry.timestamp, UTC)
        return RunLine(
            line.vehicle, line.run_id, line.source, entry.step_key or "", since, line.says
        )
    return line


def _failure(instance: dg.DagsterInstance, record: dg.RunRecord) -> RunLine:
    problem = problem_of(instance, record.dagster_run.run_id)
    return _line(record, problem.step, problem.error)

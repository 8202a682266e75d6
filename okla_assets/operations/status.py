"""Which vehicles need a person, and how all the others stand: for a person and for a program.

Runs are asked for by status, never all read. Of vehicles the index that `run_index` describes says
how their listings stand; only listings that need a person are opened for their reasons.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.operations.archive import is_archived
from okla_assets.operations.failures import problem_of
from okla_assets.operations.run_index import (
    PAGE,
    UNDER_WAY,
    WAITING,
    attempts,
    last_run,
    listing_versions,
    materialized,
    of_vehicles,
    partition_names,
    vehicle_named,
    vehicle_of_run,
)
from okla_assets.steps.pipeline import parse_listing_version
from okla_assets.steps.uploads import may_hold_media
from okla_assets.vehicle_runs import SOURCE_TAG, vehicles
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore

State = Literal[
    "failed",
    "needs_review",
    "left_alone",
    "running",
    "waiting",
    "not_made",
    "ready",
    "archived",
]
"""How a vehicle stands: `ready`, `needs_review` and `failed` as in listing.json, and `failed` also
where its last run failed. `waiting` has a run in the queue, or uploads that no run was asked for
yet; `left_alone` is a folder or a partition that never becomes a vehicle; `not_made` is one
without a listing and without a run that failed."""

STATES: tuple[State, ...] = get_args(State)
NEED_A_PERSON: frozenset[State] = frozenset({"failed", "needs_review", "left_alone"})

MOST_FAILURES = 200
"""Failed runs that are looked into for their error, the newest first; all are told."""
MOST_OPENED = 200
MOST_NEW = 2000
"""Folders under raw/ that are no partition and are listed, to tell new ones from archived."""
READERS = 16


@dataclass(frozen=True)
class VehicleLine:
    """One vehicle: its state, why, and the run behind that (empty where there is none).

    `since` is when that run was asked for, or its step began.
    """

    vehicle: str
    state: State
    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    run_id: str = ""
    source: str = ""
    step: str = ""


@dataclass(frozen=True)
class Status:
    """How the whole stands.

    `vehicles` are in the order of STATES, then by name. `jobs` are runs about no single vehicle,
    such as the nightly batch. `reasons` are counted over the `reasons_of` listings that were opened
    of those that need review.
    """

    counts: Mapping[State, int]
    vehicles: tuple[VehicleLine, ...]
    jobs: tuple[VehicleLine, ...]
    reasons: Mapping[str, int]
    reasons_of: int
    not_looked_at: int
    """Folders under raw/ beyond MOST_NEW that are no partition: new, or archived."""

    @property
    def needs_a_person(self) -> bool:
        return any(self.counts.get(state) for state in NEED_A_PERSON)


@dataclass(frozen=True)
class VehicleStatus:
    """One vehicle: its state, its listing, and how its last run ended, where it had one."""

    line: VehicleLine
    last_run: str
    listing: str | None = None
    generated_at: datetime | None = None
    gallery: str = ""


def overview(instance: dg.DagsterInstance, store: MediaStore) -> Status:
    """How every vehicle stands."""
    unfinished, jobs = _unfinished(instance)
    known: set[str] = set()
    lines: list[VehicleLine] = []
    failures: list[dg.RunRecord] = []
    for page in partition_names(instance):
        known.update(page)
        versions = listing_versions(instance, page)
        failed = _failed(instance, page)
        for name in page:
            version = parse_listing_version(versions.get(name))
            if vehicle_named(name) is None:
                lines.append(VehicleLine(name, "left_alone", (_no_vehicle(name),)))
            elif name in unfinished:
                lines.append(unfinished[name])
            elif name in failed:
                failures.append(failed[name])
            elif version is not None:
                lines.append(VehicleLine(name, version.status))
            else:
                lines.append(VehicleLine(name, "not_made"))
    lines += [line for name, line in unfinished.items() if name not in known]
    lines += _failures(instance, failures)
    known |= {line.vehicle for line in lines}
    folders, not_looked_at = _unknown_folders(store, known)
    lines += folders
    lines, reasons, opened = _with_reasons(lines, store)
    lines.sort(key=lambda line: (STATES.index(line.state), line.vehicle))
    return Status(
        counts=dict(Counter(line.state for line in lines)),
        vehicles=tuple(lines),
        jobs=tuple(jobs),
        reasons=reasons,
        reasons_of=opened,
        not_looked_at=not_looked_at,
    )


def of_vehicle(
    vehicle: keys.VehicleId, instance: dg.DagsterInstance, store: MediaStore
) -> VehicleStatus | None:
    """How one vehicle stands; None where nobody has heard of it."""
    record = last_run(instance, vehicle)
    ended = "none" if record is None else _words(record.dagster_run.status)
    listing = _listing(vehicle, store)
    gallery = store.url(keys.gallery(vehicle)) if listing is not None else ""
    line: VehicleLine | None = None
    # One that was archived is no partition any more, whatever its last run came to.
    is_partition = instance.has_dynamic_partition(str(vehicles.name), vehicle)
    if record is not None:
        status = record.dagster_run.status
        if status in (*WAITING, *UNDER_WAY):
            line = _unfinished_line(instance, record)
        elif status is dg.DagsterRunStatus.FAILURE and is_partition:
            line = _failure(instance, record)
    if line is None and not is_partition:
        line = _folder(vehicle, store)
    if line is None and listing is not None:
        line = VehicleLine(vehicle, listing.status, listing.reasons)
    if line is None:
        line = _folder(vehicle, store)
    if line is None and record is not None:
        line = VehicleLine(vehicle, "not_made")
    if line is None:
        return None
    if listing is None:
        return VehicleStatus(line, ended)
    return VehicleStatus(line, ended, listing.status, listing.generated_at, gallery)


def _no_vehicle(name: str) -> str:
    return f"a partition that no vehicle can have; `okla archive {name!r}` removes it"


def _words(status: dg.DagsterRunStatus) -> str:
    """A run's status in the words of vehicles' states."""
    if status in WAITING:
        return "waiting"
    if status in UNDER_WAY:
        return "running"
    ended = {dg.DagsterRunStatus.SUCCESS: "done", dg.DagsterRunStatus.FAILURE: "failed"}
    return ended.get(status, "cancelled")


def _unfinished(
    instance: dg.DagsterInstance,
) -> tuple[dict[str, VehicleLine], list[VehicleLine]]:
    """Runs that wait or are under way: by vehicle, and those that are about none."""
    by_vehicle: dict[str, VehicleLine] = {}
    jobs: list[VehicleLine] = []
    filters = dg.RunsFilter(statuses=[*WAITING, *UNDER_WAY])
    cursor = None
    while records := instance.get_run_records(filters, limit=PAGE, cursor=cursor):
        for record in records:
            line = _unfinished_line(instance, record)
            if vehicle_of_run(record.dagster_run) is None:
                jobs.append(line)
            elif line.state == "running" or line.vehicle not in by_vehicle:  # who runs counts more
                by_vehicle[line.vehicle] = line
        cursor = records[-1].dagster_run.run_id
    return by_vehicle, jobs


def _unfinished_line(instance: dg.DagsterInstance, record: dg.RunRecord) -> VehicleLine:
    """The run with the step it is at, and since when."""
    if record.dagster_run.status in WAITING:
        return _line(record, "waiting")
    line = _line(record, "running")
    found = instance.get_records_for_run(
        line.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1, ascending=False
    )
    for started in found.records:
        entry = started.event_log_entry
        since = datetime.fromtimestamp(entry.timestamp, UTC)
        return replace(line, step=entry.step_key or "", since=since)
    return line


def _failed(instance: dg.DagsterInstance, page: Sequence[str]) -> dict[str, dg.RunRecord]:
    """The newest failed run of each of these vehicles that no later run has made good."""
    made, tried = materialized(instance, page), attempts(instance, page)
    not_made_good = [name for name in page if tried.get(name, -1) > made.get(name, -1)]
    failures: dict[str, dg.RunRecord] = {}
    if not_made_good:
        filters = of_vehicles(not_made_good, statuses=[dg.DagsterRunStatus.FAILURE])
        for record in instance.get_run_records(filters):
            failures.setdefault(_about(record.dagster_run), record)
    return failures


def _failures(
    instance: dg.DagsterInstance, records: Sequence[dg.RunRecord]
) -> Iterator[VehicleLine]:
    """Each failed run, MOST_FAILURES of them with their error; of the others listings tell."""
    newest = sorted(records, key=lambda record: record.create_timestamp, reverse=True)
    for position, record in enumerate(newest):
        yield _failure(instance, record) if position < MOST_FAILURES else _line(record, "failed")


def _failure(instance: dg.DagsterInstance, record: dg.RunRecord) -> VehicleLine:
    problem = problem_of(instance, record.dagster_run.run_id)
    return _line(record, "failed", problem.step, (problem.error,))


def _unknown_folders(store: MediaStore, known: set[str]) -> tuple[list[VehicleLine], int]:
    """Folders under raw/ that are no partition: new, archived, or never taken up; and how many more
    of them were not looked at."""
    lines: list[VehicleLine] = []
    unknown: list[keys.VehicleId] = []
    for name in store.folders(keys.RAW):
        if name in known:
            continue
        try:
            unknown.append(keys.new_vehicle_id(name))
        except keys.BadVehicleId as bad:
            lines.append(VehicleLine(name, "left_alone", (str(bad),)))
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda vehicle: _folder(vehicle, store), unknown[:MOST_NEW])
        lines += [line for line in found if line is not None]
    return lines, len(unknown[MOST_NEW:])


def _folder(vehicle: keys.VehicleId, store: MediaStore) -> VehicleLine | None:
    """A vehicle of which there are uploads and nothing else; None where there are none."""
    try:
        objects = list(store.list(keys.raw_folder(vehicle)))
        if not objects:
            return None
        if is_archived(vehicle, objects):
            return VehicleLine(vehicle, "archived")
        records = keys.records(vehicle)
        uploads = [o for o in objects if o.key not in records and keys.lies_where_uploads_do(o.key)]
        if not any(may_hold_media(info, store) for info in uploads):
            return VehicleLine(
                vehicle,
                "left_alone",
                (f"no photo or video in it; they go to {keys.raw_photos(vehicle)}",),
            )
    except Unreadable as error:
        return VehicleLine(vehicle, "left_alone", (str(error),))
    return VehicleLine(vehicle, "waiting", ("new uploads; `okla up` takes them up",))


def _with_reasons(
    lines: Sequence[VehicleLine], store: MediaStore
) -> tuple[list[VehicleLine], dict[str, int], int]:
    """The lines with the reasons of their listings; how often each stands there (the photo's name
    left out), and in how many listings that need review."""
    asking = [line for line in lines if line.state in ("needs_review", "failed")]
    to_open = {line.vehicle for line in [one for one in asking if not one.reasons][:MOST_OPENED]}
    with ThreadPoolExecutor(READERS) as readers:
        listings = readers.map(lambda v: _listing(keys.parse_vehicle_id(v), store), to_open)
        reasons = {
            v: () if found is None else found.reasons
            for v, found in zip(to_open, listings, strict=True)
        }
    told = [
        replace(line, reasons=reasons[line.vehicle])
        if not line.reasons and line.vehicle in reasons
        else line
        for line in lines
    ]
    review = [line for line in told if line.state == "needs_review" and line.vehicle in to_open]
    counts = Counter(reason for line in review for reason in _plain(line.reasons))
    return told, dict(counts.most_common()), len(review)


def _plain(reasons: Iterable[str]) -> set[str]:
    return {without_photo(reason) for reason in reasons}


def without_photo(reason: str) -> str:
    """A reason of a listing without the name of the photo that it is about."""
    return re.sub(r"^(exterior|interior|misc)_\d+: ", "", reason)


def _listing(vehicle: keys.VehicleId, store: MediaStore) -> Listing | None:
    try:
        return Listing.model_validate_json(store.get(keys.listing(vehicle)))
    except (FileNotFoundError, ValidationError, Unreadable):
        return None


def _about(run: dg.DagsterRun) -> str:
    return vehicle_of_run(run) or run.job_name


def _line(
    record: dg.RunRecord, state: State, step: str = "", reasons: tuple[str, ...] = ()
) -> VehicleLine:
    run = record.dagster_run
    return VehicleLine(
        vehicle=_about(run),
        state=state,
        reasons=reasons,
        since=record.create_timestamp,
        run_id=run.run_id,
        source=run.tags.get(SOURCE_TAG, ""),
        step=step,
    )

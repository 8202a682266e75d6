"""The nightly backfill: which vehicles are due to be made again, and making them.

A vehicle is due when its last run failed, when it has no listing or one that names lost files or
uploads that a step failed on, or when older code or weights made it. Most of this is read from
Dagster's index of the asset `listing` (its data version holds status and pipeline fingerprint), a
page of vehicles at a time. Of the media store only folders are listed; listings are opened for one
night's share of the vehicles.
"""

import heapq
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, get_args

import dagster as dg
from pydantic import ValidationError

from okla_assets import dagster_tags, keys
from okla_assets.code_links import code_link
from okla_assets.contract import Listing
from okla_assets.operations.archive import is_archived, remove_work
from okla_assets.operations.run_index import (
    attempts,
    busy,
    last_ends,
    listing_versions,
    made_at,
    materialized,
    pages,
    vehicle_named,
)
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.options import is_for_jobs
from okla_assets.steps.pipeline import parse_listing_version
from okla_assets.steps.uploads import may_hold_media
from resources.errors import BrokenSetup, Unreadable
from resources.storage.media_store import MediaStore

BATCH = 20
"""Vehicles a run: enough to make use of warm models, few enough that an upload never waits long."""
LONGEST_BATCH = 3600.0
"""Seconds after which a batch begins no further vehicle: uploads wait for it, the backstop of
dagster.yaml would break it off after two hours, and RabbitMQ hand it to a second worker."""
INSPECTED = 2000
"""Vehicles whose files are inspected per night; where there are more, they take turns by night."""
READERS = 16

NEVER_ATTEMPTED = -1


@dataclass(frozen=True)
class Due:
    """A vehicle to be made again, why, and when its listing was made, where it has one."""

    vehicle: keys.VehicleId
    reason: str
    made: datetime | None


@dataclass(frozen=True, order=True)
class _Candidate:
    """`attempt` orders by the last run, also a failed one: who always fails waits its turn."""

    attempt: int
    vehicle: keys.VehicleId
    reason: str
    materialized: int | None


def due(
    instance: dg.DagsterInstance,
    store: MediaStore,
    fingerprint: str,
    limit: int,
    night: date,
    inspected: int = INSPECTED,
) -> list[Due]:
    """At most `limit` vehicles that are due; those whose last run is longest ago come first.

    Leaves out vehicles with a run waiting or in progress, without uploads, or archived, and those
    of which jobs asked for single photos only.
    """
    uploaded = frozenset(store.folders(keys.RAW))
    finished = frozenset(store.folders(keys.PROCESSED))
    nights = max(1, -(-len(uploaded) // inspected))
    to_inspect: list[_Candidate] = []

    def candidates() -> Iterator[_Candidate]:
        for candidate in _all(instance, fingerprint, uploaded, finished):
            if candidate.attempt == NEVER_ATTEMPTED and _is_left_out(candidate.vehicle, store):
                continue
            if candidate.reason:
                yield candidate
            elif zlib.crc32(candidate.vehicle.encode()) % nights == night.toordinal() % nights:
                to_inspect.append(candidate)

    found = heapq.nsmallest(limit, candidates())
    with ThreadPoolExecutor(READERS) as readers:
        reasons = readers.map(lambda c: missing_outputs(c.vehicle, store), to_inspect)
        found += [
            _Candidate(c.attempt, c.vehicle, reason, c.materialized)
            for c, reason in zip(to_inspect, reasons, strict=True)
            if reason
        ]
    chosen = sorted(found)[:limit]
    return _dated(chosen, instance)


def named(
    instance: dg.DagsterInstance, wanted: Sequence[keys.VehicleId], reason: str = "asked for"
) -> list[Due]:
    """These vehicles, due or not, except those with a run waiting or in progress."""
    occupied = busy(instance)
    ids = materialized(instance, wanted)
    return _dated(
        [_Candidate(0, v, reason, ids.get(v)) for v in wanted if v not in occupied], instance
    )


def every(instance: dg.DagsterInstance, store: MediaStore, limit: int | None) -> list[Due]:
    """All vehicles that have uploads, those that were never made and the oldest listing first.

    Also those that are no partition yet, but for archived ones and those of jobs.
    """
    uploaded, occupied = frozenset(store.folders(keys.RAW)), busy(instance)

    def candidates() -> Iterator[_Candidate]:
        partitions: set[str] = set()
        for page in pages(instance):
            partitions.update(page)
            ids, tried = materialized(instance, page), attempts(instance, page)
            for vehicle in page:
                if vehicle in uploaded and vehicle not in occupied:
                    yield _candidate(vehicle, "asked for", ids, tried)
        for name in sorted(uploaded - partitions - occupied):
            new = vehicle_named(name)
            if new is not None and _waits_for_a_run(new, store):
                yield _candidate(new, "asked for", {}, {})

    chosen = sorted(candidates()) if limit is None else heapq.nsmallest(limit, candidates())
    return _dated(chosen, instance)


def _all(
    instance: dg.DagsterInstance,
    fingerprint: str,
    uploaded: frozenset[str],
    finished: frozenset[str],
) -> Iterator[_Candidate]:
    """Every vehicle that could be run, with the reason for it where Dagster's records give one."""
    occupied = busy(instance)
    for page in pages(instance):
        page = [v for v in page if v in uploaded and v not in occupied]
        ids, tried = materialized(instance, page), attempts(instance, page)
        versions = listing_versions(instance, page)
        ended = last_ends(instance, [v for v in page if tried.get(v, 0) > ids.get(v, 0)])
        for vehicle in page:
            version = parse_listing_version(versions.get(vehicle))
            if ended.get(vehicle) is dg.DagsterRunStatus.FAILURE:
                reason = "its last run failed"
            elif vehicle not in ids:
                reason = "it was never made"
            elif vehicle not in finished:
                reason = "its files are gone"
            elif version is None or version.fingerprint != fingerprint:
                reason = "older code or weights made it"
            elif version.status == "failed":
                reason = "its listing is failed"
            else:
                reason = ""
            yield _candidate(vehicle, reason, ids, tried)


def _waits_for_a_run(vehicle: keys.VehicleId, store: MediaStore) -> bool:
    """Whether a folder of uploads that is no partition is to become one."""
    try:
        retired = is_archived(vehicle, store.list(keys.raw_folder(vehicle)))
        return not retired and not _is_left_out(vehicle, store)
    except Unreadable:  # its run says so
        return True


def _is_left_out(vehicle: keys.VehicleId, store: MediaStore) -> bool:
    """Whether only single photos of it were asked for, and never a listing."""
    return keys.is_transient(vehicle) or is_for_jobs(vehicle, store)


def _candidate(
    vehicle: keys.VehicleId, reason: str, ids: Mapping[str, int], tried: Mapping[str, int]
) -> _Candidate:
    last = max(tried.get(vehicle, NEVER_ATTEMPTED), ids.get(vehicle, NEVER_ATTEMPTED))
    return _Candidate(last, vehicle, reason, ids.get(vehicle))


def missing_outputs(vehicle: keys.VehicleId, store: MediaStore) -> str:
    """What is missing of the vehicle's finished files; empty where they are all there."""
    try:
        there = {info.key for info in store.list(keys.processed_folder(vehicle))}
    except Unreadable as error:
        return str(error)
    key = keys.listing(vehicle)
    if key not in there:
        return "it has no listing.json"
    try:
        listing = Listing.model_validate_json(store.get(key))
    except ValidationError:
        return "its listing.json is of another version"
    except FileNotFoundError:  # archived while we look
        return ""
    except Unreadable as error:
        return str(error)
    if failed := [file for file in listing.refused if file.reason == "step_failed"]:
        return f"a step failed on {len(failed)} of its uploads"
    if lost := [file for file in listing.refused if file.reason == "unreadable"]:
        return f"{len(lost)} of its uploads could not be read"
    gone = [name for name in (*listing.files, keys.gallery(vehicle)) if name not in there]
    return f"{len(gone)} of its files are gone, first {gone[0]}" if gone else ""


def _dated(chosen: Iterable[_Candidate], instance: dg.DagsterInstance) -> list[Due]:
    chosen = list(chosen)
    times = made_at(instance, [c.materialized for c in chosen if c.materialized is not None])
    return [
        Due(c.vehicle, c.reason, None if c.materialized is None else times.get(c.materialized))
        for c in chosen
    ]


# --- making them ----------------------------------------------------------------------------------

Outcome = Literal["made", "failed", "skipped"]


@dataclass(frozen=True)
class Refreshed:
    """One vehicle of a batch; `detail` is its listing's status, or what went wrong."""

    vehicle: str
    outcome: Outcome
    detail: str
    seconds: float


class Interrupted(Exception):
    """The batch was asked to stop."""


def refresh(
    wanted: Iterable[str],
    runner: VehicleRunner,
    store: MediaStore,
    instance: dg.DagsterInstance,
    *,
    fresh: bool = False,
) -> Iterator[Refreshed]:
    """Makes one vehicle after the other, each in a run of its own; one that fails stops nothing.

    `fresh` empties their step caches first. Raises BrokenSetup where every other vehicle would
    fail as well, and Interrupted.
    """
    for name in wanted:
        began = datetime.now(UTC)
        outcome, detail = _refresh(name, runner, store, instance, fresh)
        yield Refreshed(name, outcome, detail, (datetime.now(UTC) - began).total_seconds())


def _refresh(
    name: str,
    runner: VehicleRunner,
    store: MediaStore,
    instance: dg.DagsterInstance,
    fresh: bool,
) -> tuple[Outcome, str]:
    try:
        vehicle = keys.parse_vehicle_id(name)
    except keys.BadVehicleId as bad:
        return "failed", str(bad)
    try:
        objects = list(store.list(keys.raw_folder(vehicle)))
        records = keys.records(vehicle)
        uploads = (o for o in objects if o.key not in records)
        nothing = not any(may_hold_media(o, store) for o in uploads)
    except Unreadable as error:
        return "failed", str(error)
    if nothing:
        # A run would find nothing and remove the finished files.
        return "skipped", "it has no uploads"
    if is_archived(vehicle, objects):
        return "skipped", "it is archived"
    if vehicle in busy(instance, [vehicle]):
        return "skipped", "a run of it is waiting or in progress"
    if fresh:
        remove_work(vehicle, store)
    ran = runner.run(vehicle, store, instance, "backfill")
    if ran.interrupted:
        raise Interrupted(f"interrupted at {vehicle}")
    if ran.broken_setup:
        raise BrokenSetup(ran.problem)
    if ran.listing is None:
        return "failed", next(iter(ran.problem.splitlines()), "no reason was recorded")
    if ran.listing.status == "failed":
        return "failed", "; ".join(ran.listing.reasons)
    return "made", ran.listing.status


class RefreshConfig(dg.Config):
    vehicles: list[str]


@dg.op
def refresh_each(
    context: dg.OpExecutionContext,
    config: RefreshConfig,
    runner: dg.ResourceParam[VehicleRunner],
    store: dg.ResourceParam[MediaStore],
) -> None:
    """Makes the configured vehicles again, one after the other, each in a run of its own.

    Succeeds when every vehicle had its run and at least one was made. A vehicle that fails is red
    in its own run, is named in this run's metadata and log, and is reported by the sensor
    `outcomes`: if the batch were red as well, it would be red every night because of one hopeless
    vehicle, and nobody would look any more. Red when nothing was made or the setup is broken.

    After an hour it begins no further vehicle; the next night has those that are left.
    """
    done: list[Refreshed] = []
    began = time.monotonic()
    try:
        for position, one in enumerate(
            refresh(config.vehicles, runner, store, context.instance), 1
        ):
            done.append(one)
            log = context.log.error if one.outcome == "failed" else context.log.info
            log(f"{position}/{len(config.vehicles)} {one.vehicle}: {one.outcome}: {one.detail}")
            if time.monotonic() - began > LONGEST_BATCH:
                break
    except Interrupted as interrupted:
        raise dg.DagsterExecutionInterruptedError(str(interrupted)) from None
    finally:
        context.add_output_metadata(_metadata(done, config.vehicles[len(done) :]))
    if _failed(done) and not any(one.outcome == "made" for one in done):
        raise dg.Failure(
            f"none of {len(done)} vehicles could be made: {_failed(done)[0].detail}",
            metadata=_metadata(done, config.vehicles[len(done) :]),
            allow_retries=False,
        )


def _failed(done: Iterable[Refreshed]) -> list[Refreshed]:
    return [one for one in done if one.outcome == "failed"]


def _metadata(done: Sequence[Refreshed], left: Sequence[str]) -> Mapping[str, dg.MetadataValue]:
    counts = {
        outcome: dg.MetadataValue.int(sum(one.outcome == outcome for one in done))
        for outcome in get_args(Outcome)
    }
    rows = [
        dg.TableRecord(
            {
                "vehicle": one.vehicle,
                "outcome": one.outcome,
                "detail": one.detail[:200],
                "seconds": round(one.seconds, 1),
            }
        )
        for one in done
    ]
    failed = ", ".join(one.vehicle for one in _failed(done))
    return counts | {
        "failed_vehicles": dg.MetadataValue.text(failed or "none"),
        "left_for_the_next_night": dg.MetadataValue.int(len(left)),
        "vehicles": dg.MetadataValue.table(rows) if rows else dg.MetadataValue.null(),
    }


@dg.job(
    metadata=code_link(__file__),
    # A retry would make all its vehicles again; each has its own run to be retried.
    tags={dagster_tags.MAX_RETRIES: "0"},
)
def refresh_vehicles() -> None:
    """A batch of vehicles made again in one process, so that models are loaded once."""
    refresh_each()


def run_config_for(wanted: Sequence[str]) -> dict[str, object]:
    """Run config of `refresh_vehicles`."""
    return {"ops": {refresh_each.name: {"config": {"vehicles": list(wanted)}}}}

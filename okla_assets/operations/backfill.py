"""The nightly backfill: which vehicles are due to be made again, and making them.

A vehicle is due when its last run failed, when it has no listing or one that names lost files or
uploads that a step failed on, or when older code or weights made it. Who is due is asked of
Dagster's index of the asset `listing` (its data version tells status and fingerprint), a page of
vehicles at a time; media are listed only by folder, and opened only of the night's share of
vehicles, whose listings are read.
"""

import heapq
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import dagster as dg
from pydantic import ValidationError

from okla_assets import keys
from okla_assets.code_links import code_link
from okla_assets.contract import Listing
from okla_assets.operations.archive import is_archived
from okla_assets.operations.run_index import (
    attempts,
    busy,
    last_ends,
    listing_versions,
    made_at,
    materialized,
    pages,
)
from okla_assets.operations.vehicle_runner import VehicleRunner
from okla_assets.steps.pipeline import parse_listing_version
from okla_assets.vehicle_runs import Source
from resources.errors import BrokenSetup
from resources.storage.media_store import MediaStore

NIGHTLY_LIMIT = 200
BATCH = 20
"""Vehicles a run: enough for warm models to count, few enough that an upload never waits long."""
LOOKED_AT = 2000
"""Vehicles whose files are looked at a night; of more than these, each has its turn by night."""
READERS = 16

NEVER_ATTEMPTED = -1


@dataclass(frozen=True)
class Due:
    """A vehicle to be made again, why, and since when its listing is as it is, where it has one."""

    vehicle: keys.VehicleId
    reason: str
    made: datetime | None


@dataclass(frozen=True, order=True)
class _Candidate:
    """`attempt` orders by the last run, failed ones too: one that always fails waits its turn."""

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
    looked_at: int = LOOKED_AT,
) -> list[Due]:
    """At most `limit` vehicles that are due, those first whose last run is longest ago.

    A vehicle that runs or waits, has no uploads or is archived is never among them.
    """
    uploaded = frozenset(store.folders(keys.RAW))
    finished = frozenset(store.folders(keys.PROCESSED))
    nights = max(1, -(-len(uploaded) // looked_at))
    unsuspected: list[_Candidate] = []

    def candidates() -> Iterator[_Candidate]:
        for candidate in _all(instance, fingerprint, uploaded, finished):
            if candidate.reason:
                yield candidate
            elif zlib.crc32(candidate.vehicle.encode()) % nights == night.toordinal() % nights:
                unsuspected.append(candidate)

    found = heapq.nsmallest(limit, candidates())
    with ThreadPoolExecutor(READERS) as readers:
        lacking = readers.map(lambda c: missing_outputs(c.vehicle, store), unsuspected)
        found += [
            _Candidate(c.attempt, c.vehicle, reason, c.materialized)
            for c, reason in zip(unsuspected, lacking, strict=True)
            if reason
        ]
    chosen = sorted(found)[:limit]
    return _dated(chosen, instance)


def named(
    instance: dg.DagsterInstance, wanted: Sequence[keys.VehicleId], reason: str = "asked for"
) -> list[Due]:
    """These vehicles, due or not, but for those that run or wait."""
    occupied = busy(instance)
    ids = materialized(instance, wanted)
    return _dated(
        [_Candidate(0, v, reason, ids.get(v)) for v in wanted if v not in occupied], instance
    )


def every(instance: dg.DagsterInstance, store: MediaStore, limit: int | None) -> list[Due]:
    """All vehicles that have uploads, the oldest listing first."""
    uploaded, occupied = frozenset(store.folders(keys.RAW)), busy(instance)

    def candidates() -> Iterator[_Candidate]:
        for page in pages(instance):
            ids, tried = materialized(instance, page), attempts(instance, page)
            for vehicle in page:
                if vehicle in uploaded and vehicle not in occupied:
                    yield _candidate(vehicle, "asked for", ids, tried)

    chosen = sorted(candidates()) if limit is None else heapq.nsmallest(limit, candidates())
    return _dated(chosen, instance)


def _all(
    instance: dg.DagsterInstance,
    fingerprint: str,
    uploaded: frozenset[str],
    finished: frozenset[str],
) -> Iterator[_Candidate]:
    """Every vehicle that could be run, with the reason to do it as far as Dagster knows one."""
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


def _candidate(
    vehicle: keys.VehicleId, reason: str, ids: Mapping[str, int], tried: Mapping[str, int]
) -> _Candidate:
    last = max(tried.get(vehicle, NEVER_ATTEMPTED), ids.get(vehicle, NEVER_ATTEMPTED))
    return _Candidate(last, vehicle, reason, ids.get(vehicle))


def missing_outputs(vehicle: keys.VehicleId, store: MediaStore) -> str:
    """What is missing of the vehicle's finished files; empty where they are all there."""
    there = {info.key for info in store.list(keys.processed_folder(vehicle))}
    key = keys.listing(vehicle)
    if key not in there:
        return "it has no listing.json"
    try:
        listing = Listing.model_validate_json(store.get(key))
    except ValidationError:
        return "its listing.json is of another version"
    except FileNotFoundError:  # archived while we look
        return ""
    if failed := [file for file in listing.refused if file.reason == "step_failed"]:
        return f"a step failed on {len(failed)} of its uploads"
    lost = [name for name in (*listing.files, keys.gallery(vehicle)) if name not in there]
    return f"{len(lost)} of its files are gone, first {lost[0]}" if lost else ""


def _dated(chosen: Iterable[_Candidate], instance: dg.DagsterInstance) -> list[Due]:
    chosen = list(chosen)
    times = made_at(instance, [c.materialized for c in chosen if c.materialized is not None])
    return [
        Due(c.vehicle, c.reason, None if c.materialized is None else times.get(c.materialized))
        for c in chosen
    ]


# --- making them ----------------------------------------------------------------------------------

Fate = Literal["made", "failed", "skipped"]


@dataclass(frozen=True)
class Refreshed:
    """What became of one vehicle of a batch; `said` is its listing's status, or what went wrong."""

    vehicle: str
    fate: Fate
    said: str
    seconds: float


class Interrupted(Exception):
    """Somebody wants the batch to stop."""


def refresh(
    wanted: Iterable[str],
    runner: VehicleRunner,
    store: MediaStore,
    instance: dg.DagsterInstance,
    source: Source = "backfill",
) -> Iterator[Refreshed]:
    """Makes one vehicle after the other, each in a run of its own; one that fails stops nothing.

    Raises BrokenSetup where no other vehicle could work either, and Interrupted.
    """
    for name in wanted:
        began = datetime.now(UTC)
        fate, said = _refresh(name, runner, store, instance, source)
        yield Refreshed(name, fate, said, (datetime.now(UTC) - began).total_seconds())


def _refresh(
    name: str,
    runner: VehicleRunner,
    store: MediaStore,
    instance: dg.DagsterInstance,
    source: Source,
) -> tuple[Fate, str]:
    try:
        vehicle = keys.parse_vehicle_id(name)
    except keys.BadVehicleId as bad:
        return "failed", str(bad)
    objects = list(store.list(keys.raw_folder(vehicle)))
    if not any(keys.is_media(o.key) for o in objects):
        # A run would find nothing and take the finished files away.
        return "skipped", "nothing of it is uploaded"
    if is_archived(vehicle, objects):
        return "skipped", "it is archived"
    if vehicle in busy(instance, [vehicle]):
        return "skipped", "a run of it is waiting or in progress"
    ran = runner.run(vehicle, store, instance, source)
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
    """The vehicles of one batch."""

    vehicles: list[str]


@dg.op
def refresh_each(
    context: dg.OpExecutionContext,
    config: RefreshConfig,
    runner: dg.ResourceParam[VehicleRunner],
    store: dg.ResourceParam[MediaStore],
) -> None:
    """Makes the configured vehicles again, one after the other, each in a run of its own.

    It succeeds when each vehicle had its run and one at least came through. A bad vehicle is red
    in its own run, is named in this one's metadata and log, and is reported by the sensor
    `outcomes`: were the batch red as well, every night with one hopeless vehicle would be, and
    nobody would look any more. It is red when nothing came through or the setup is broken.
    """
    done: list[Refreshed] = []
    try:
        for position, one in enumerate(
            refresh(config.vehicles, runner, store, context.instance), 1
        ):
            done.append(one)
            say = context.log.error if one.fate == "failed" else context.log.info
            say(f"{position}/{len(config.vehicles)} {one.vehicle}: {one.fate}: {one.said}")
    except Interrupted as interrupted:
        raise dg.DagsterExecutionInterruptedError(str(interrupted)) from None
    finally:
        context.add_output_metadata(_metadata(done))
    if done and not any(one.fate == "made" for one in done) and _bad(done):
        raise dg.Failure(
            f"none of {len(done)} vehicles came through: {_bad(done)[0].said}",
            metadata=_metadata(done),
            allow_retries=False,
        )


def _bad(done: Iterable[Refreshed]) -> list[Refreshed]:
    return [one for one in done if one.fate == "failed"]


def _metadata(done: Sequence[Refreshed]) -> Mapping[str, dg.MetadataValue]:
    counts = {
        fate: dg.MetadataValue.int(sum(one.fate == fate for one in done))
        for fate in ("made", "failed", "skipped")
    }
    rows = [
        dg.TableRecord(
            {
                "vehicle": one.vehicle,
                "fate": one.fate,
                "said": one.said[:200],
                "seconds": round(one.seconds, 1),
            }
        )
        for one in done
    ]
    bad = ", ".join(one.vehicle for one in _bad(done))
    return counts | {
        "failed_vehicles": dg.MetadataValue.text(bad or "none"),
        "vehicles": dg.MetadataValue.table(rows) if rows else dg.MetadataValue.null(),
    }


@dg.job(
    metadata=code_link(__file__),
    # A retry would make all its vehicles again; each has its own run to be retried.
    tags={"dagster/max_retries": "0"},
)
def refresh_vehicles() -> None:
    """A batch of vehicles made again in one process, so that models are loaded once."""
    refresh_each()


def run_config_for(wanted: Sequence[str]) -> dict[str, object]:
    """The config of a run of `refresh_vehicles`."""
    return {"ops": {refresh_each.name: {"config": {"vehicles": list(wanted)}}}}

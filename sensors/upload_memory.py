"""What the upload sensors remember: which vehicles wait to be looked at, and what was run.

It is stored by Dagster, as a cursor of 100,000 vehicles would be written whole on every tick.
Vehicles that wait are a named set there (of dynamic partitions, which no asset has): any sensor may
add to it at any time and nothing is lost. What was run is one row a vehicle, and only saves work:
where a row is missing, Dagster's runs have the same facts.

Objects in the media store would be slower. A tick of 100 vehicles (mark, read, write, unmark) takes
180 ms here in SQLite; with one object a vehicle 320 ms in a folder and 5.2 s in a bucket (moto, 16
threads, 400 requests); with one object of 100,000 vehicles, rewritten, 2.7 s and 4.6 s.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from logging import Logger

import dagster as dg
from pydantic import BaseModel, ConfigDict

from okla_assets import keys
from okla_assets.digests import digest_of

WAITING = "okla_uploads_waiting"
MOST_WAITING = 1000
"""Vehicles that may wait at once. Beyond, messages stay in the queue and the scan stands still."""

_ROW = "okla/uploads/vehicle/"
_LOGGED = "okla/uploads/told/"
_CHUNK = 500  # keys in one query: SQLite before 3.32 takes 999


class Known(BaseModel):
    """What is remembered of a vehicle."""

    model_config = ConfigDict(frozen=True)

    done: str = ""
    """Run key of the files that its last run was for, or that hold nothing to run for."""
    seen: str = ""
    """Run key of files from the future: a clock is wrong, so they age from `since`."""
    since: float = 0.0
    """When those were seen first, by this machine's clock (seconds since 1970)."""


MOST_SENTENCES = 20
"""A tick, about files that nobody will look at."""


class UploadMemory:
    """The memory in one Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._rows = instance.daemon_cursor_storage

    def waiting(self) -> dict[keys.VehicleId, tuple[str, ...]]:
        """Vehicles to be looked at, in order of arrival, each with its marks."""
        marks: dict[keys.VehicleId, tuple[str, ...]] = {}
        for mark in self._instance.get_dynamic_partitions(WAITING):
            vehicle = keys.parse_vehicle_id(mark.partition("/")[0])
            marks[vehicle] = (*marks.get(vehicle, ()), mark)
        return marks

    def mark(self, vehicles: Iterable[keys.VehicleId]) -> None:
        """Adds the vehicles to those that wait; on return that is durable."""
        # A mark of its own for each call: one that comes while the vehicle is being looked at
        # outlives the `unmark` of those that came before.
        token = uuid.uuid4().hex[:12]
        for chunk in _chunks(sorted({f"{vehicle}/{token}" for vehicle in vehicles})):
            self._instance.add_dynamic_partitions(WAITING, chunk)

    def unmark(self, marks: Iterable[str]) -> None:
        """Removes marks that `waiting` returned."""
        for mark in marks:
            self._instance.delete_dynamic_partition(WAITING, mark)

    def known(self, vehicles: Iterable[keys.VehicleId]) -> dict[keys.VehicleId, Known]:
        """What is remembered of the vehicles; an empty `Known` where nothing is."""
        wanted = list(vehicles)
        rows = self._get(f"{_ROW}{vehicle}" for vehicle in wanted)
        return {
            vehicle: Known.model_validate_json(row)
            if (row := rows.get(_ROW + vehicle))
            else Known()
            for vehicle in wanted
        }

    def remember(self, changed: Mapping[keys.VehicleId, Known]) -> None:
        """Replaces what is remembered of the vehicles."""
        self._set(
            {f"{_ROW}{v}": k.model_dump_json(exclude_defaults=True) for v, k in changed.items()}
        )

    def not_yet_logged(self, sentences: Iterable[str]) -> list[str]:
        """Those of the sentences that `mark_logged` was never called with."""
        by_key = {f"{_LOGGED}{digest_of(s)[:32]}": s for s in sentences}
        logged = self._get(by_key)
        return [sentence for key, sentence in by_key.items() if key not in logged]

    def mark_logged(self, sentences: Iterable[str]) -> None:
        self._set({f"{_LOGGED}{digest_of(s)[:32]}": "1" for s in sentences})

    def _get(self, names: Iterable[str]) -> dict[str, str]:
        rows: dict[str, str] = {}
        for chunk in _chunks(names):
            rows |= self._rows.get_cursor_values(set(chunk))
        return rows

    def _set(self, rows: Mapping[str, str]) -> None:
        # dagster 1.13.27 on SQLite inserts all or updates all: new rows beside old are dropped.
        old = self._get(rows)
        for names in ([n for n in rows if n in old], [n for n in rows if n not in old]):
            for chunk in _chunks(names):
                self._rows.set_cursor_values({name: rows[name] for name in chunk})


def say_once(log: Logger, memory: UploadMemory, sentences: Iterable[str]) -> None:
    """Logs those of the sentences that were never logged; what is too many comes next time."""
    new = memory.not_yet_logged(sentences)[:MOST_SENTENCES]
    for sentence in new:
        log.warning(sentence)
    memory.mark_logged(new)


def _chunks(items: Iterable[str]) -> Iterator[Sequence[str]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk

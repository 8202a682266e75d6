"""Uploads process themselves: a vehicle whose folder has come to rest becomes a run.

A vehicle is ready when its `_READY` marker is there or nothing in its folder has changed for
OKLA_QUIET_SECONDS. The run key is made of the keys and ETags of everything uploaded, so an
unchanged vehicle is never run twice and a changed one always is; no clock decides what is new, so
no key is lost that came late, out of order or in the same second as another.

A tick does bounded work however many vehicles there are. It goes on listing raw/ where the last
one stopped, round and round, and looks at some of the vehicles that wait: for their quiet period,
for their turn, or because an event named them (`sensors/s3_events.py`). A vehicle stops waiting
when Dagster has a run for exactly its files, not when one was asked for: a daemon killed in
between asks again, under the same run key.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import takewhile

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from okla_assets import dagster_tags, keys
from okla_assets.code_links import code_link
from okla_assets.vehicle_runs import RUN_KEY_TAG, vehicle_media, vehicles
from resources.errors import Unreadable
from resources.settings import settings
from resources.storage.media_store import MediaStore
from resources.storage.odd_entries import OddEntry
from sensors.raw_folders import (
    RawFolder,
    holds_media,
    raw_folder,
    stretches,
    without_own_music,
)
from sensors.upload_memory import MOST_WAITING, Known, UploadMemory, say_once

RECONCILE_SECONDS = 600.0
"""Between two rounds of listing raw/ where events say what changed: an event may get lost."""

# What one tick does at most; the rest waits for the next one.
MOST_REQUESTS = 50
MOST_OBJECTS = 10_000  # listed in turn; the folder in which they are reached is still finished
MOST_LOOKS = 100  # folders of vehicles that wait
MOST_QUESTIONS = 200  # vehicles about whose runs Dagster is asked

_RUNS_LOOKED_AT = 50  # the newest of a vehicle


class Position(BaseModel):
    """The cursor. One of another version is begun anew, which repeats no run."""

    model_config = ConfigDict(frozen=True)

    version: int = 2
    after: str = ""
    """Key behind which raw/ is listed on; empty between two rounds."""
    began: float = 0.0
    """When the present round began, or the last one."""
    looked: str = ""
    """The last to be looked at of the vehicles that wait."""


class Standing(Enum):
    """What Dagster's runs say about a vehicle's present files."""

    DONE = auto()
    BUSY = auto()  # elsewhere, where it may still fail
    DUE = auto()


@dataclass(frozen=True)
class Scan:
    """What was listed of raw/: each folder with the key behind which to go on."""

    folders: Sequence[tuple[RawFolder, str]]
    sentences: Sequence[str]
    after: str


@dataclass
class Tick:
    """Decides about folders, and collects what follows from it."""

    instance: dg.DagsterInstance
    store: MediaStore
    now: datetime
    quiet: float
    known: Mapping[keys.VehicleId, Known]
    requests: dict[keys.VehicleId, dg.RunRequest] = field(default_factory=dict)
    remembered: dict[keys.VehicleId, Known] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    questions: int = 0

    def settles(self, folder: RawFolder) -> bool:
        """Whether nothing is left to do for the folder; requests its run where it is due.

        One whose files cannot be read is named and does not stop the others.
        """
        try:
            return self._settles(folder)
        except Unreadable as error:
            self.sentences.append(f"{folder.vehicle} is left alone: {error}")
            return True

    def _settles(self, folder: RawFolder) -> bool:
        known = self.known[folder.vehicle]
        if folder.archived or folder.for_jobs or folder.run_key == known.done:
            return True
        at_rest = self._is_at_rest(folder, known)
        if not folder.has_media and not folder.nameless:
            if at_rest and folder.strays:
                self.sentences.append(_left_alone(folder.strays))
            return True
        if not at_rest or self.questions == MOST_QUESTIONS or len(self.requests) == MOST_REQUESTS:
            return False
        self.questions += 1
        if not holds_media(folder, self.store):
            names = [*folder.strays, *(info.key for info in folder.nameless)]
            self.sentences.append(_left_alone(list(dict.fromkeys(names))))
            self.remembered[folder.vehicle] = Known(done=folder.run_key)
            return True
        standing, run_key = _standing(self.instance, folder)
        if standing is Standing.DONE:
            self.remembered[folder.vehicle] = Known(done=folder.run_key)
        elif standing is Standing.DUE:
            self.requests[folder.vehicle] = dg.RunRequest(
                run_key=run_key,
                partition_key=folder.vehicle,
                tags=dict(folder.run.tags),
            )
            if strays := without_own_music(folder, self.store):
                self.sentences.append(_left_alone(strays))
        return standing is Standing.DONE

    def _is_at_rest(self, folder: RawFolder, known: Known) -> bool:
        age = (self.now - folder.newest).total_seconds()
        if folder.ready or age >= self.quiet:
            return True
        if age >= 0:
            return False
        # The bucket's clock is ahead of ours, perhaps by hours.
        if known.seen != folder.run_key:
            self.remembered[folder.vehicle] = known.model_copy(
                update={"seen": folder.run_key, "since": self.now.timestamp()}
            )
            return False
        return self.now.timestamp() - known.since >= self.quiet


@dg.sensor(
    job=vehicle_media,
    minimum_interval_seconds=5,
    description="New photos under raw/ become a run, once their folder has been quiet for a while.",
    metadata=code_link(__file__),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def uploads(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[MediaStore]
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for each vehicle folder under raw/ that is complete and new or changed."""
    now = datetime.now(UTC)
    chosen = settings()
    rest = chosen.reconcile_seconds
    if rest is None:
        rest = RECONCILE_SECONDS if chosen.sqs_queue_url else 0.0
    position = _position(context.cursor)
    memory = UploadMemory(context.instance)
    waiting = memory.waiting()

    between_rounds = not position.after and 0 <= now.timestamp() - position.began < rest
    if not between_rounds and not position.after:
        position = position.model_copy(update={"began": now.timestamp()})
    scan = Scan((), (), "") if between_rounds else _scan(store, position.after)
    # A round of one tick comes again with the next one: nothing in it has to be marked.
    whole = not rest and not position.after and not scan.after

    listed = {folder.vehicle for folder, _ in scan.folders}
    turns = _in_turn(waiting, position.looked)
    looks, unusable = _looks(store, [v for v in turns if v not in listed])
    tick = Tick(context.instance, store, now, chosen.quiet_seconds, memory.known([*looks, *listed]))
    tick.sentences += [*scan.sentences, *unusable]

    settled = [v for v, folder in looks.items() if folder is None or tick.settles(folder)]
    marked: list[keys.VehicleId] = []
    after = position.after
    for folder, end in scan.folders:
        if tick.settles(folder):
            settled.append(folder.vehicle)
        # The daemon keeps a request and the cursor together: what is requested need not be marked.
        elif not whole and folder.vehicle not in tick.requests and folder.vehicle not in waiting:
            if len(waiting) + len(marked) >= MOST_WAITING:
                break  # this folder is where the next tick goes on
            marked.append(folder.vehicle)
        after = end
    else:
        after = scan.after

    memory.mark(marked)
    memory.remember(tick.remembered)
    memory.unmark(mark for vehicle in settled for mark in waiting.get(vehicle, ()))
    say_once(context.log, memory, tick.sentences)

    looked = turns[-1] if turns else ""
    cursor = position.model_copy(update={"after": after, "looked": looked}).model_dump_json()
    if not tick.requests:
        context.update_cursor(cursor)
        return dg.SkipReason(_why_nothing(between_rounds, rest, len(waiting) + len(marked)))
    return dg.SensorResult(
        run_requests=list(tick.requests.values()),
        dynamic_partitions_requests=[vehicles.build_add_request(sorted(tick.requests))],
        cursor=cursor,
    )


def _scan(store: MediaStore, after: str) -> Scan:
    """A stretch of raw/ behind a key; `after` of the result is empty where raw/ ended."""
    folders: list[tuple[RawFolder, str]] = []
    sentences: list[str] = []
    odd: list[OddEntry] = []
    count = 0
    for stretch in stretches(store, after, odd.append):
        count += len(stretch.objects)
        if stretch.is_folder:
            try:
                vehicle = keys.new_vehicle_id(stretch.name)
                if folder := raw_folder(vehicle, stretch.objects):
                    folders.append((folder, stretch.end))
            except keys.BadVehicleId as bad:
                sentences.append(f"a folder under {keys.RAW} is left alone: {bad}")
        elif stretch.name:
            sentences.append(_left_alone([o.key for o in stretch.objects]))
        if count >= MOST_OBJECTS:
            return Scan(folders, [*sentences, *_told_of(odd)], stretch.end)
    return Scan(folders, [*sentences, *_told_of(odd)], "")


def _looks(
    store: MediaStore, wanted: Sequence[keys.VehicleId]
) -> tuple[dict[keys.VehicleId, RawFolder | None], list[str]]:
    """The vehicles' folders, None where there is none to be looked at; and what is odd there."""
    folders: dict[keys.VehicleId, RawFolder | None] = {}
    sentences: list[str] = []
    odd: list[OddEntry] = []
    for vehicle in wanted:
        try:
            listed = store.list(keys.raw_folder(vehicle), odd=odd.append)
            folders[vehicle] = raw_folder(vehicle, listed)
        except Unreadable as error:
            folders[vehicle] = None
            sentences.append(f"{vehicle} is left alone: {error}")
    return folders, [*sentences, *_told_of(odd)]


def _told_of(odd: Iterable[OddEntry]) -> Iterator[str]:
    """A sentence for what is odd in a folder in one way."""
    alike: dict[tuple[str, str], list[OddEntry]] = {}
    for entry in odd:
        if entry.reason != "hidden":
            folder = entry.key.rstrip("/").rpartition("/")[0]
            alike.setdefault((folder, entry.detail.replace(entry.key, "")), []).append(entry)
    for entries in alike.values():
        others = [entry.key for entry in entries[1:]]
        yield entries[0].detail + (f"; likewise {keys.in_short(others)}" if others else "")


def _in_turn(waiting: Iterable[keys.VehicleId], looked: str) -> list[keys.VehicleId]:
    order = sorted(waiting)
    first = bisect_right(order, looked)
    return (order[first:] + order[:first])[:MOST_LOOKS]


def _standing(instance: dg.DagsterInstance, folder: RawFolder) -> tuple[Standing, str]:
    """How Dagster's runs stand to the folder's files, and the run key of the run that is due.

    Dagster remembers run keys for ever. Files that have come back after others (a photo added and
    deleted again) need another run all the same, so the key also names the run that it follows.
    """
    runs = instance.get_runs(
        dg.RunsFilter(tags={dagster_tags.PARTITION: folder.vehicle}), limit=_RUNS_LOOKED_AT
    )
    if any(RUN_KEY_TAG not in run.tags and not run.is_finished for run in runs):
        return Standing.BUSY, ""  # started by hand: it says itself which files it is for
    made = (run for run in runs if RUN_KEY_TAG in run.tags)
    last = list(takewhile(lambda run: run.tags[RUN_KEY_TAG] == folder.run_key, made))
    # A run of ours that failed is for a person to look at; the same files would fail again.
    if any(
        run.status is dg.DagsterRunStatus.SUCCESS or dagster_tags.SENSOR in run.tags for run in last
    ):
        return Standing.DONE, ""
    if any(not run.is_finished for run in last):
        return Standing.BUSY, ""
    return Standing.DUE, folder.run_key + (f":{runs[0].run_id[:8]}" if runs else "")


def _left_alone(names: Sequence[str]) -> str:
    listed = keys.in_short(names)
    return f"left alone, as photos go to {keys.RAW}VEHICLE_ID/photos/, videos to video/: {listed}"


def _why_nothing(between_rounds: bool, rest: float, waiting: int) -> str:
    reason = "no vehicle folder is new or changed and at rest"
    if waiting:
        reason += f"; {waiting} may still be arriving"
    if between_rounds:
        reason += f"; events name what changes, and all is listed again every {rest:.0f} seconds"
    return reason


def _position(cursor: str | None) -> Position:
    try:
        position = Position.model_validate_json(cursor or "{}")
    except ValidationError:
        return Position()
    return position if position.version == Position().version else Position()

"""When a vehicle's folder becomes a run. The sensor is called directly, as its daemon would."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.partitions import vehicles
from resources.media_store import LocalMediaStore, MediaStore, ObjectInfo
from sensors.uploads import (
    MOST_REQUESTS,
    QUIET_SECONDS,
    RUN_KEY_TAG,
    Upload,
    run_key_of,
    uploads,
    uploads_at_rest,
)
from tests import pictures
from tests.fakes import VEHICLE, Pipeline

PHOTO = f"{keys.raw_photos(VEHICLE)}a.jpg"


@dataclass
class Waiting:
    """A store whose objects arrived `seconds` earlier than they did."""

    store: LocalMediaStore
    seconds: float = 0.0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for info in self.store.list(prefix):
            yield replace(info, modified=info.modified - timedelta(seconds=self.seconds))

    def folders(self, prefix: str) -> Iterator[str]:
        return self.store.folders(prefix)


@dataclass
class Daemon:
    """Ticks the sensor, keeps its cursor, and remembers run keys, as Dagster does."""

    store: LocalMediaStore
    instance: dg.DagsterInstance
    cursor: str | None = None
    waited: float = QUIET_SECONDS + 1

    def __post_init__(self) -> None:
        self.run_keys: set[str] = set()

    def tick(self) -> list[str]:
        """The vehicles for which a new run is requested."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"store": Waiting(self.store, self.waited)},
        )
        result = uploads(context)
        if isinstance(result, dg.SkipReason):
            self.cursor = context.cursor
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for addition in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                addition.partitions_def_name, list(addition.partition_keys)
            )
        fresh = [r for r in result.run_requests or () if r.run_key not in self.run_keys]
        self.run_keys |= {r.run_key for r in fresh if r.run_key}
        assert all(r.tags[RUN_KEY_TAG] == r.run_key for r in fresh)
        known = self.instance.get_dynamic_partitions(str(vehicles.name))
        assert {r.partition_key for r in fresh} <= set(known)
        return [r.partition_key for r in fresh if r.partition_key]


@pytest.fixture
def daemon(store: LocalMediaStore, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(store, instance)


def test_a_folder_at_rest_becomes_one_run(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    assert [daemon.tick() for _ in range(20)] == [[]] * 20


def test_a_lost_cursor_repeats_nothing(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    daemon.cursor = None
    assert daemon.tick() == []


def test_it_waits_until_nothing_has_arrived_for_a_while(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.waited = QUIET_SECONDS - 2
    assert daemon.tick() == []
    daemon.waited = QUIET_SECONDS + 1
    assert daemon.tick() == [VEHICLE]


def test_one_late_photo_keeps_the_whole_vehicle_waiting(store: LocalMediaStore) -> None:
    now = datetime.now(UTC)
    store.put(PHOTO, b"1")

    class Mixed(Waiting):
        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            for info, age in zip(self.store.list(prefix), (3600, 3), strict=True):
                yield replace(info, modified=now - timedelta(seconds=age))

    store.put(f"{keys.raw_photos(VEHICLE)}b.jpg", b"1")
    assert list(uploads_at_rest(as_store(Mixed(store)), now)) == []
    later = now + timedelta(seconds=QUIET_SECONDS)
    assert [u.vehicle for u in found(as_store(Mixed(store)), later)] == [VEHICLE]


def as_store(waiting: Waiting) -> MediaStore:
    return waiting  # type: ignore[return-value]


def found(store: MediaStore, now: datetime) -> list[Upload]:
    return [u for u in uploads_at_rest(store, now) if isinstance(u, Upload)]


def test_the_ready_marker_ends_the_waiting(daemon: Daemon) -> None:
    daemon.waited = 0
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == []
    daemon.store.put(keys.ready_marker(VEHICLE), b"")
    assert daemon.tick() == [VEHICLE]
    # Its coming and going is no change of the vehicle.
    daemon.store.delete(keys.ready_marker(VEHICLE))
    daemon.waited = QUIET_SECONDS + 1
    assert daemon.tick() == []


@pytest.mark.parametrize("lonely", [keys.ready_marker(VEHICLE), keys.options(VEHICLE)])
def test_without_a_photo_or_video_nothing_runs(daemon: Daemon, lonely: str) -> None:
    daemon.store.put(lonely, b"{}")
    daemon.store.put(f"{keys.raw_photos(VEHICLE)}notes.txt", b"1")
    assert daemon.tick() == []
    daemon.store.put(f"{keys.raw_videos(VEHICLE)}walk.mp4", b"1")
    assert daemon.tick() == [VEHICLE]


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.put(PHOTO, b"2"),  # the same size
        lambda store: store.put(f"{keys.raw_photos(VEHICLE)}b.jpg", b"1"),
        lambda store: store.delete(f"{keys.raw_photos(VEHICLE)}z.jpg"),
        lambda store: store.put(keys.options(VEHICLE), b'{"max_width": 800}'),
        lambda store: store.put(f"{keys.raw_videos(VEHICLE)}walk.mp4", b"1"),
    ],
    ids=["another photo", "one more", "one less", "options", "a video"],
)
def test_a_change_runs_the_vehicle_again_once(daemon: Daemon, change: object) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.store.put(f"{keys.raw_photos(VEHICLE)}z.jpg", b"1")
    daemon.store.put("raw/another/photos/a.jpg", b"1")
    assert daemon.tick() == [VEHICLE, "another"]
    assert callable(change)
    change(daemon.store)
    assert [daemon.tick() for _ in range(3)] == [[VEHICLE], [], []]


def test_an_upload_that_goes_on_is_run_when_it_has_ended(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    daemon.waited = 0
    for n in range(3):
        daemon.store.put(f"{keys.raw_photos(VEHICLE)}{n}.jpg", b"1")
        assert daemon.tick() == []
    daemon.waited = QUIET_SECONDS + 1
    assert daemon.tick() == [VEHICLE]
    # Nothing is left to do, though the folder was seen busy in between.
    assert daemon.tick() == []


def test_a_folder_that_is_no_vehicle_id_is_told_once_and_left_alone(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.store.put("raw/año 2020/photos/a.jpg", b"1")
    daemon.store.put(PHOTO, b"1")
    requested = list(itertools.chain.from_iterable(daemon.tick() for _ in range(5)))
    assert requested == [VEHICLE]
    told = caplog.text + "".join(capsys.readouterr())
    assert told.count("'año 2020'") == 1


def test_many_vehicles_come_over_several_ticks(daemon: Daemon) -> None:
    count = 2 * MOST_REQUESTS + 7
    for n in range(count):
        daemon.store.put(f"raw/car-{n:03d}/photos/a.jpg", b"1")
    ticks = [daemon.tick() for _ in range(5)]
    assert [len(requested) for requested in ticks] == [MOST_REQUESTS, MOST_REQUESTS, 7, 0, 0]
    assert len(set(itertools.chain.from_iterable(ticks))) == count


def test_what_okla_process_has_done_is_not_repeated(daemon: Daemon) -> None:
    store = daemon.store
    pipeline = Pipeline(store, daemon.instance)
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.cabin())})
    run_key = run_key_of(VEHICLE, store.list(keys.raw_folder(VEHICLE)))
    pipeline.run(tags={RUN_KEY_TAG: run_key})
    assert daemon.tick() == []
    pipeline.upload({"b.jpg": pictures.jpeg(pictures.cabin(2))})
    assert daemon.tick() == [VEHICLE]


def test_a_run_that_failed_elsewhere_is_made_here(daemon: Daemon) -> None:
    store = daemon.store
    pipeline = Pipeline(store, daemon.instance)
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.cabin())})
    run_key = run_key_of(VEHICLE, store.list(keys.raw_folder(VEHICLE)))
    pipeline.models["views"] = object()
    with pytest.raises(AttributeError, match="fingerprint"):
        pipeline.run(tags={RUN_KEY_TAG: run_key})
    assert daemon.tick() == [VEHICLE]


def test_the_run_key_is_the_same_on_every_machine() -> None:
    when = datetime(2024, 1, 1, tzinfo=UTC)
    objects = [
        ObjectInfo(PHOTO, 1, "etag-1", when),
        ObjectInfo(keys.options(VEHICLE), 2, "etag-2", when),
        ObjectInfo(keys.ready_marker(VEHICLE), 0, "etag-3", when),
    ]
    run_key = run_key_of(VEHICLE, objects)
    later = [replace(o, modified=when + timedelta(days=1), size=9) for o in reversed(objects)]
    assert run_key_of(VEHICLE, later) == run_key
    assert run_key_of(VEHICLE, objects[:2]) == run_key
    assert run_key.startswith(f"{VEHICLE}:")
    assert run_key_of(keys.parse_vehicle_id("other"), objects) != run_key


def test_the_cursor_stays_readable_to_the_next_version(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.tick()
    run_key = run_key_of(VEHICLE, daemon.store.list(keys.raw_folder(VEHICLE)))
    assert json.loads(daemon.cursor or "") == {VEHICLE: run_key}

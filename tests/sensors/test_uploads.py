"""When a vehicle's folder becomes a run. The sensor is called directly, as its daemon would."""

import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.vehicle_runs import PRIORITIES, RUN_KEY_TAG, run_key_of, run_tags
from resources.errors import BrokenSetup
from resources.storage.media_store import LocalMediaStore, ObjectInfo
from sensors import uploads as sensor
from sensors.raw_folders import RawFolder
from sensors.upload_memory import UploadMemory
from sensors.uploads import MOST_REQUESTS
from tests import pictures
from tests.denied import deny
from tests.fakes import VEHICLE, Pipeline
from tests.sensors.daemon import QUIET_SECONDS, Daemon

PHOTO = f"{keys.raw_photos(VEHICLE)}a.jpg"


@pytest.fixture
def daemon(store: LocalMediaStore, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(store, instance)


def test_a_folder_at_rest_becomes_one_run(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    assert [daemon.tick() for _ in range(20)] == [[]] * 20


def test_a_vehicle_of_jobs_is_run_when_its_upload_is_said_to_be_complete(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.store.put(keys.jobs_marker(VEHICLE), b"")
    assert daemon.tick() == []
    daemon.store.put(keys.ready_marker(VEHICLE), b"")
    assert daemon.tick() == [VEHICLE]


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


def test_one_late_photo_keeps_the_whole_vehicle_waiting(daemon: Daemon) -> None:
    late = f"{keys.raw_photos(VEHICLE)}b.jpg"
    daemon.store.put(PHOTO, b"1")
    daemon.store.put(late, b"1")
    daemon.aged = {late: 3}
    daemon.waited = 3600
    assert daemon.tick() == []
    daemon.aged = {late: QUIET_SECONDS + 3}
    assert daemon.tick() == [VEHICLE]


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


def test_an_archived_vehicle_is_not_run_until_something_new_arrives(daemon: Daemon) -> None:
    other = f"{keys.raw_photos(VEHICLE)}b.jpg"
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    # Changed, and sold before anybody looked at the change.
    daemon.store.put(other, b"1")
    daemon.store.put(keys.archived_marker(VEHICLE), b"")
    daemon.aged = {PHOTO: 3600, other: 3600, keys.archived_marker(VEHICLE): 1800}
    assert [daemon.tick() for _ in range(3)] == [[], [], []]
    daemon.aged[other] = 900
    assert daemon.tick() == [VEHICLE]


def test_a_tick_asks_about_few_vehicles_however_many_there_are(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor, "MOST_QUESTIONS", 5)
    fill(daemon, 12)
    asked: list[str] = []
    standing = sensor._standing

    def noted(instance: dg.DagsterInstance, folder: RawFolder) -> tuple[sensor.Standing, str]:
        asked.append(folder.vehicle)
        return standing(instance, folder)

    monkeypatch.setattr(sensor, "_standing", noted)
    requested = []
    for _ in range(12):
        asked.clear()
        requested += daemon.tick()
        assert len(asked) <= 5
    assert len(requested) == len(set(requested)) == 12


def test_what_okla_process_has_done_is_not_repeated(daemon: Daemon, store: LocalMediaStore) -> None:
    pipeline = Pipeline(store, daemon.instance)
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.cabin())})
    run_key = run_key_of(VEHICLE, store.list(keys.raw_folder(VEHICLE)))
    pipeline.run(tags={RUN_KEY_TAG: run_key})
    assert daemon.tick() == []
    pipeline.upload({"b.jpg": pictures.jpeg(pictures.cabin(2))})
    assert daemon.tick() == [VEHICLE]


def test_a_run_started_by_hand_is_not_repeated(daemon: Daemon, store: LocalMediaStore) -> None:
    pipeline = Pipeline(store, daemon.instance)
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.cabin())})
    pipeline.run()  # as in Dagster's UI: without any tag of ours
    assert daemon.tick() == []
    pipeline.upload({"b.jpg": pictures.jpeg(pictures.cabin(2))})
    assert daemon.tick() == [VEHICLE]


def test_a_run_in_progress_that_was_started_by_hand_is_waited_for(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.instance.create_run_for_job(
        build_definitions("local").resolve_job_def("vehicle_media"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": VEHICLE},
    )
    assert daemon.tick() == []


def test_a_run_that_failed_elsewhere_is_made_here(daemon: Daemon, store: LocalMediaStore) -> None:
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


def test_a_cursor_of_the_first_version_repeats_nothing(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    run_key = run_key_of(VEHICLE, daemon.store.list(keys.raw_folder(VEHICLE)))
    daemon.cursor = json.dumps({VEHICLE: run_key, "after": "after:1234", "!bad": ""})
    daemon.forget()
    assert daemon.tick() == []
    daemon.store.put(PHOTO, b"2")
    assert daemon.tick() == [VEHICLE]


# --- each change is seen once, whatever came before -----------------------------------------------


def test_files_that_come_back_are_run_again(daemon: Daemon) -> None:
    """A photo added and deleted again: the listing has to lose it, though the rest is as before."""
    extra = f"{keys.raw_photos(VEHICLE)}b.jpg"
    daemon.store.put(PHOTO, b"1")
    assert daemon.tick() == [VEHICLE]
    for _ in range(2):
        daemon.store.put(extra, b"1")
        assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]
        daemon.store.delete(extra)
        assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]
    run_keys = [run.tags["dagster/run_key"] for run in daemon.instance.get_runs()]
    assert len(run_keys) == len(set(run_keys)) == 5


def test_a_vehicle_that_lost_all_its_media_is_not_run(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.store.put(keys.options(VEHICLE), b"{}")
    assert daemon.tick() == [VEHICLE]
    daemon.store.delete(PHOTO)
    assert [daemon.tick(), daemon.tick()] == [[], []]


def test_a_run_of_ours_that_failed_waits_for_a_change(daemon: Daemon) -> None:
    daemon.ends = dg.DagsterRunStatus.FAILURE
    daemon.store.put(PHOTO, b"1")
    assert [daemon.tick() for _ in range(3)] == [[VEHICLE], [], []]
    daemon.store.put(PHOTO, b"2")
    assert daemon.tick() == [VEHICLE]


def test_a_run_in_progress_elsewhere_is_waited_for(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    run_key = run_key_of(VEHICLE, daemon.store.list(keys.raw_folder(VEHICLE)))
    run = dg.DagsterRun(
        job_name="vehicle_media",
        run_id="5d3b8b0e-6d0b-4f0e-9b0a-000000000001",
        status=dg.DagsterRunStatus.STARTED,
        tags={RUN_KEY_TAG: run_key, "dagster/partition": VEHICLE},
    )
    daemon.instance.run_storage.add_run(run)
    assert [daemon.tick(), daemon.tick()] == [[], []]
    daemon.instance.report_run_failed(run)
    assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]


def test_a_request_that_never_became_a_run_is_made_again(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    before = daemon.cursor
    assert daemon.evaluate() is not None
    assert daemon.cursor == before
    # The daemon was killed before it wrote anything, then stopped by a person who let only the
    # cursor pass.
    result = daemon.evaluate()
    assert result is not None
    daemon.cursor = result.cursor
    assert daemon.tick() == [VEHICLE]
    assert daemon.tick() == []


def test_a_bucket_whose_clock_is_ahead_costs_the_quiet_period_and_no_more(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.waited = -3600
    assert [daemon.tick(), daemon.tick()] == [[], []]
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "0.01")
    time.sleep(0.02)
    assert daemon.tick() == [VEHICLE]


def test_the_quiet_period_is_the_environments(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.waited = 60
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "90")
    assert daemon.tick() == []
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "a while")
    with pytest.raises(BrokenSetup, match=r"OKLA_QUIET_SECONDS.*'a while'"):
        daemon.tick()
    monkeypatch.setenv("OKLA_QUIET_SECONDS", "30")
    assert daemon.tick() == [VEHICLE]


def test_uploads_come_before_other_runs(daemon: Daemon) -> None:
    daemon.store.put(PHOTO, b"1")
    daemon.tick()
    (run,) = daemon.instance.get_runs()
    assert run.tags["okla/source"] == "upload"
    priorities = {source: int(run_tags(source)["dagster/priority"]) for source in PRIORITIES}
    assert int(run.tags["dagster/priority"]) == priorities["upload"]
    assert priorities["upload"] > priorities["process"] > priorities["backfill"]


# --- files that nobody will look at ---------------------------------------------------------------


def test_stray_files_are_told_once(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("raw/lost.jpg", "raw/other/foo.txt", f"raw/{VEHICLE}/bar.txt", "brand/logo.png"):
        daemon.store.put(key, b"1")
    daemon.store.put(keys.own_music(VEHICLE, "song.mp3"), b"1")
    daemon.store.put(keys.options(VEHICLE), b'{"promo_music": "song.mp3"}')
    daemon.store.put(PHOTO, b"1")
    assert [daemon.tick() for _ in range(3)] == [[VEHICLE], [], []]
    daemon.store.put(PHOTO, b"2")
    assert [daemon.tick() for _ in range(3)] == [[VEHICLE], [], []]
    told = caplog.text + "".join(capsys.readouterr())
    for stray in ("raw/lost.jpg", "raw/other/foo.txt", f"raw/{VEHICLE}/bar.txt"):
        assert told.count(stray) == 1, stray
    assert "song.mp3" not in told
    assert "logo.png" not in told


# --- whatever lies under raw/ ---------------------------------------------------------------------


def test_what_a_file_holds_is_seen_where_its_name_says_nothing(daemon: Daemon) -> None:
    daemon.store.put(f"{keys.raw_photos(VEHICLE)}notes.txt", b"1")
    daemon.waited = 0
    assert daemon.tick() == []
    daemon.waited = QUIET_SECONDS + 1
    assert [daemon.tick(), daemon.tick()] == [[], []]
    daemon.store.put(f"{keys.raw_photos(VEHICLE)}IMG_4", pictures.jpeg(pictures.car()))
    assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]


@pytest.mark.parametrize("name", ["IMG_1.jpg", "DCIM/100APPLE/IMG_1.jpg", "video/IMG_1.jpg"])
def test_a_photo_beside_the_folders_is_taken(daemon: Daemon, name: str) -> None:
    daemon.store.put(keys.raw_folder(VEHICLE) + name, b"1")
    assert daemon.tick() == [VEHICLE]


def test_a_folder_of_several_cars_is_told_and_left_alone(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("raw/stock/123/photos/1.jpg", "raw/stock/124/photos/1.jpg", "raw/DCIM/1.jpg"):
        daemon.store.put(key, b"1")
    assert [daemon.tick() for _ in range(3)] == [[]] * 3
    told = caplog.text + "".join(capsys.readouterr())
    assert told.count("raw/stock/123/photos/1.jpg, raw/stock/124/photos/1.jpg") == 1
    assert told.count("'DCIM' is what folders of pictures are called") == 1


def test_one_bad_entry_never_stops_the_others(
    daemon: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = daemon.store
    assert isinstance(store, LocalMediaStore)
    for vehicle in ("before", VEHICLE, "zz-after", "shut", "unread"):
        store.put(f"raw/{vehicle}/photos/a.jpg", b"1")
    store.put("raw/unread/options.json", b"{}")
    raw = store.folder / "raw"
    for place in (raw, raw / VEHICLE, raw / VEHICLE / "photos"):
        (place / "loop").symlink_to("loop")
    for number in range(100):
        (raw / VEHICLE / "photos" / f"nowhere{number}").symlink_to("nothing")
    deny(monkeypatch, raw / "shut" / "photos")
    requested = {vehicle for _ in range(5) for vehicle in daemon.tick()}
    assert requested == {"before", VEHICLE, "zz-after", "unread"}
    told = caplog.text + "".join(capsys.readouterr())
    assert told.count("raw/loop is a link that leads to itself") == 1
    assert told.count("raw/shut/photos/ may not be read") == 1
    assert told.count("nowhere0 ") == 1
    assert "likewise" in told
    assert "and 94 more" in told


# --- large buckets --------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large bucket in little."""
    for name, value in {"MOST_OBJECTS": 10, "MOST_LOOKS": 4, "MOST_REQUESTS": 3}.items():
        monkeypatch.setattr(sensor, name, value)
    monkeypatch.setattr(sensor, "MOST_WAITING", 5)


def fill(daemon: Daemon, count: int) -> set[str]:
    names = {f"car-{n:03d}" for n in range(count)}
    for name in names:
        for photo in ("a.jpg", "b.jpg"):
            daemon.store.put(f"raw/{name}/photos/{photo}", b"1")
    return names


@pytest.mark.usefixtures("small_steps")
def test_a_large_bucket_is_listed_in_stretches(daemon: Daemon) -> None:
    names = fill(daemon, 40)
    requested = []
    for _ in range(60):
        requested += daemon.tick()
        assert daemon.listed <= 10 + 2 + 4 * 2
        assert len(daemon.cursor or "") < 200
    assert sorted(requested) == sorted(names)
    # And again, for what has changed: by its file, by one file more and by one file less.
    daemon.store.put("raw/car-007/photos/b.jpg", b"2")
    daemon.store.put("raw/car-000/photos/c.jpg", b"2")
    daemon.store.delete("raw/car-039/photos/b.jpg")
    daemon.store.put("raw/late/photos/b.jpg", b"2")
    requested = list(itertools.chain.from_iterable(daemon.tick() for _ in range(25)))
    assert sorted(requested) == ["car-000", "car-007", "car-039", "late"]
    assert UploadMemory(daemon.instance).waiting() == {}


@pytest.mark.usefixtures("small_steps")
def test_vehicles_that_never_come_to_rest_do_not_stop_the_others(daemon: Daemon) -> None:
    names = fill(daemon, 12)
    for name in ("car-000", "car-001", "car-004"):
        daemon.aged[f"raw/{name}/photos/a.jpg"] = 0
    requested = list(itertools.chain.from_iterable(daemon.tick() for _ in range(30)))
    assert sorted(requested) == sorted(names - {"car-000", "car-001", "car-004"})
    daemon.aged = {}
    requested = list(itertools.chain.from_iterable(daemon.tick() for _ in range(5)))
    assert sorted(requested) == ["car-000", "car-001", "car-004"]


@pytest.mark.usefixtures("small_steps")
def test_a_vehicle_that_waits_is_looked_at_on_every_tick(daemon: Daemon) -> None:
    fill(daemon, 40)
    for _ in range(60):
        daemon.tick()
    daemon.aged["raw/a-new-one/photos/a.jpg"] = 0
    daemon.store.put("raw/a-new-one/photos/a.jpg", b"1")
    for _ in range(10):  # a round
        assert daemon.tick() == []
    daemon.aged = {}
    assert daemon.tick() == ["a-new-one"]


@pytest.mark.usefixtures("small_steps")
def test_those_that_wait_take_turns(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKLA_RECONCILE_SECONDS", "3600")  # nothing is listed for a while
    names = fill(daemon, 5)
    daemon.aged = {f"raw/{name}/photos/a.jpg": 0 for name in names}
    assert [daemon.tick() for _ in range(3)] == [[], [], []]
    assert set(UploadMemory(daemon.instance).waiting()) == names
    # Four are looked at a tick, and the first four never come to rest.
    del daemon.aged["raw/car-004/photos/a.jpg"]
    assert sorted(daemon.tick() + daemon.tick()) == ["car-004"]


@pytest.mark.usefixtures("small_steps")
def test_a_lost_memory_repeats_nothing(daemon: Daemon) -> None:
    fill(daemon, 20)
    for _ in range(30):
        daemon.tick()
    daemon.forget()
    daemon.cursor = None
    assert [daemon.tick() for _ in range(20)] == [[]] * 20

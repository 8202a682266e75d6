"""The sensor that turns jobs into runs."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.asked_runs import AskedRun, ask, asked_for, forget
from okla_assets.definitions import build_definitions
from okla_assets.vehicle_runs import JOB_TAG, RUN_KEY_TAG, SOURCE_TAG
from resources.storage.media_store import LocalMediaStore
from sensors.jobs import jobs
from sensors.upload_memory import UploadMemory
from tests.denied import deny

Tick = Callable[..., tuple[list[dg.RunRequest], str]]


@pytest.fixture(scope="module")
def of_the_daemon(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dg.DagsterInstance, dg.RepositoryDefinition]]:
    """What the daemon's tick has: records on disk, and all definitions."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance, build_definitions("local").get_repository_def()


@pytest.fixture
def tick(
    store: LocalMediaStore, of_the_daemon: tuple[dg.DagsterInstance, dg.RepositoryDefinition]
) -> Tick:
    """One tick's requests, and the cursor that it leaves."""
    instance, repository = of_the_daemon

    def evaluate(cursor: str = "") -> tuple[list[dg.RunRequest], str]:
        with dg.build_sensor_context(
            instance=instance,
            instance_ref=instance.get_ref(),
            cursor=cursor,
            resources={"store": store},
            repository_def=repository,
        ) as context:
            ticked = jobs.evaluate_tick(context)  # which checks what the sensor returns
        return list(ticked.run_requests or ()), ticked.cursor or ""

    return evaluate


def test_a_job_is_a_run_of_what_it_asks_for(store: LocalMediaStore, tick: Tick) -> None:
    store.put("raw/CAR-1/photos/a.jpg", b"x")
    ask(store, AskedRun(name="j1.1", vehicle="CAR-1", assets=("raw_photos", "masks")))
    ask(store, AskedRun(name="j2.1", vehicle="CAR-1"))
    part, whole = tick()[0]
    assert (part.run_key, part.partition_key) == ("j1.1", "CAR-1")
    assert part.asset_selection == [dg.AssetKey("raw_photos"), dg.AssetKey("masks")]
    assert part.tags[JOB_TAG] == "j1.1" and part.tags[SOURCE_TAG] == "job"
    # Only a run of all makes the vehicle that its uploads ask for.
    assert RUN_KEY_TAG not in part.tags and RUN_KEY_TAG in whole.tags
    assert whole.asset_selection is None


def test_what_is_forgotten_is_requested_no_more(store: LocalMediaStore, tick: Tick) -> None:
    ask(store, AskedRun(name="j1.1", vehicle="CAR-1"))
    forget(store, "j1.1")
    assert list(asked_for(store)) == []
    assert tick() == ([], "")


def test_many_jobs_have_their_turns(
    store: LocalMediaStore, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"j{n}.1" for n in range(5)]
    for name in names:
        ask(store, AskedRun(name=name, vehicle=f"CAR-{name[1]}"))
    found: list[str | None] = []
    cursor = ""
    monkeypatch.setattr("sensors.jobs.MOST_REQUESTS", 2)
    for _ in range(3):
        requests, cursor = tick(cursor)
        found += [request.run_key for request in requests]
    assert found == names
    assert cursor == ""


def test_what_cannot_be_read_is_named_once_and_stops_no_other(
    store: LocalMediaStore,
    tick: Tick,
    of_the_daemon: tuple[dg.DagsterInstance, dg.RepositoryDefinition],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a vehicle's folder nor what was asked for."""
    for number in (1, 2, 3):
        store.put(f"raw/CAR-{number}/photos/a.jpg", b"x")
        ask(store, AskedRun(name=f"j{number}.1", vehicle=f"CAR-{number}"))
    deny(
        monkeypatch,
        store.folder / "raw/CAR-1",
        store.folder / str(keys.asked_run("j2.1")),
    )
    store.put(str(keys.asked_run("j4.1")), b"")  # the power went
    for _ in range(2):
        assert [request.run_key for request in tick()[0]] == ["j3.1"]
    told: list[list[str]] = []
    monkeypatch.setattr(UploadMemory, "mark_logged", lambda self, said: told.append(list(said)))
    tick()
    assert told == [[]]
    monkeypatch.setattr(UploadMemory, "not_yet_logged", lambda self, said: list(said))
    tick()
    vehicles = [sentence.split(" is left alone: ")[0] for sentence in told[1]]
    assert vehicles == [keys.asked_run("j2.1"), keys.asked_run("j4.1"), "CAR-1"]

"""`okla up` as it runs in production, over PostgreSQL, with everything killed that can be.

One `okla up` on fake models goes through all of it; each test brings a vehicle of its own, and its
media must be byte for byte those of a run that nobody disturbed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from okla_assets import keys, pools
from okla_assets.instance import POSTGRES_URL, PROCESS_TAG, open_instance
from resources.media_store import LocalMediaStore
from sensors.uploads import RUN_KEY_TAG
from tests import pictures
from tests.conftest import REPOSITORY
from tests.fakes import Pipeline, contents
from tests.postgres import Postgres, running_postgres

pytestmark = pytest.mark.slow

PHOTOS = {f"{n}.jpg": pictures.jpeg(pictures.car(n)) for n in range(3)}
CALM = keys.parse_vehicle_id("vin-calm")


@dataclass
class Up:
    """A running `okla up`, its media folder, and the gate that holds a run up in the middle."""

    media: Path
    port: int
    environment: dict[str, str]
    gate: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "okla_assets", "up", "--out", str(self.media)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], cwd=REPOSITORY, env=self.environment
        )
        wait_for(lambda: listens(self.port), 60)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def upload(self, vehicle: keys.VehicleId) -> None:
        store = LocalMediaStore(root=str(self.media))
        store.put(keys.options(vehicle), b'{"promo": false}')
        for name, data in PHOTOS.items():
            store.put(keys.raw_photos(vehicle) + name, data)
        store.put(keys.ready_marker(vehicle), b"")

    def upload_and_stop_at_the_gate(self, vehicle: keys.VehicleId) -> None:
        """Returns when the vehicle's run waits in the middle of its masks."""
        reached = self.gate.with_suffix(".reached")
        reached.unlink(missing_ok=True)
        self.gate.touch()
        self.upload(vehicle)
        wait_for(reached.exists, 40)

    def wait_until_listed(self, vehicle: keys.VehicleId) -> None:
        wait_for((self.media / keys.listing(vehicle)).exists, 60)
        wait_for(lambda: self.runs(vehicle)[0].status is dg.DagsterRunStatus.SUCCESS, 20)

    def runs(self, vehicle: keys.VehicleId) -> list[dg.DagsterRun]:
        """The vehicle's, the latest first."""
        with open_instance(self.media) as instance:
            tags = {"dagster/partition": vehicle}
            return list(instance.get_runs(dg.RunsFilter(tags=tags)))

    def servers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        okla = psutil.Process(self.process.pid)
        return [okla, *okla.children(recursive=True)]


def wait_for(ready: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.2)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    environment = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"} | {
        POSTGRES_URL: postgres.url,
        "OKLA_DEFINITIONS": "tests.up_definitions",
        "OKLA_TEST_GATE": str(folder / "gate"),
        "OKLA_GPU_SLOTS": "1",
    }
    okla = Up(folder / "media", free_port(), environment, folder / "gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.setenv(POSTGRES_URL, postgres.url)
        okla.start()
        try:
            yield okla
        finally:
            okla.stop()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a run that nobody disturbs makes."""
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("calm")))
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = Pipeline(store, instance)
        pipeline.upload(PHOTOS, CALM)
        store.put(keys.options(CALM), b'{"promo": false}')
        pipeline.run(CALM)
    return published(store, CALM)


def published(store: LocalMediaStore, vehicle: keys.VehicleId) -> dict[str, object]:
    """All finished files without the vehicle's name; of the listing what the clock leaves alone."""
    files: dict[str, object] = {}
    for key, (data, _) in contents(store, keys.processed_folder(vehicle)).items():
        data = data.replace(vehicle.encode(), b"VEHICLE")
        name = key.replace(vehicle, "VEHICLE")
        if key == keys.listing(vehicle):
            listing = json.loads(data)
            del listing["generated_at"], listing["cost"]
            files[name] = listing
        else:
            files[name] = data
    return files


def assert_as_calm(up: Up, vehicle: keys.VehicleId, calm: dict[str, object]) -> None:
    up.wait_until_listed(vehicle)
    assert published(LocalMediaStore(root=str(up.media)), vehicle) == calm
    with open_instance(up.media) as instance:
        held = instance.event_log_storage.get_concurrency_info(pools.GPU)
        assert held.slot_count == 1
        wait_for(lambda: not _slots_held(instance), 20)


def _slots_held(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info(pools.GPU).active_slot_count


def test_an_upload_is_made_ready_by_itself(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-uploaded")
    up.upload(vehicle)
    assert_as_calm(up, vehicle, calm)
    (run,) = up.runs(vehicle)
    assert run.tags[RUN_KEY_TAG].startswith("vin-uploaded:")


def test_a_vehicle_whose_run_is_killed_goes_on(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-killed-run")
    up.upload_and_stop_at_the_gate(vehicle)
    (run,) = up.runs(vehicle)
    os.kill(int(run.tags[PROCESS_TAG].split(":")[1]), signal.SIGKILL)
    up.gate.unlink()
    assert_as_calm(up, vehicle, calm)
    again, first = up.runs(vehicle)
    assert first.status is dg.DagsterRunStatus.FAILURE
    assert again.parent_run_id == first.run_id


@pytest.mark.parametrize("name", ["daemon", "grpc"])
def test_a_killed_server_is_started_again_and_the_run_goes_on(
    up: Up, calm: dict[str, object], name: str
) -> None:
    vehicle = keys.parse_vehicle_id(f"vin-killed-{name}")
    up.upload_and_stop_at_the_gate(vehicle)
    (server,) = [p for p in up.servers() if any(name in part for part in p.cmdline())]
    server.kill()
    wait_for(lambda: len([p for p in up.servers() if p != server]) == 3, 30)
    up.gate.unlink()
    assert_as_calm(up, vehicle, calm)
    assert len(up.runs(vehicle)) == 1


def test_a_database_that_goes_away_and_comes_back(
    up: Up, calm: dict[str, object], postgres: Postgres
) -> None:
    vehicle = keys.parse_vehicle_id("vin-killed-postgres")
    up.upload_and_stop_at_the_gate(vehicle)
    postgres.crash()
    up.gate.unlink()
    time.sleep(3)  # the run finds out
    postgres.start()
    assert_as_calm(up, vehicle, calm)


def test_stopping_leaves_no_process_and_starting_goes_on(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-stopped")
    up.upload_and_stop_at_the_gate(vehicle)
    family = up.family()
    assert len(family) >= 5  # okla, the three servers, the run
    assert up.stop() == 0
    _, left = psutil.wait_procs(family, timeout=5)  # the system may take a moment to bury them
    assert left == []
    up.gate.unlink()
    up.start()
    assert_as_calm(up, vehicle, calm)

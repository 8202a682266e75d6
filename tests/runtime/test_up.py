"""`okla up` as it runs in production, over PostgreSQL, with everything killed that can be.

One `okla up` on fake models goes through all of it; each test brings a vehicle of its own, and its
media must be byte for byte those of a run that nobody disturbed.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from okla_assets import keys
from okla_assets.runtime.instance import POSTGRES_URL, PROCESS_TAG, open_instance
from okla_assets.vehicle_runs import GPU_POOL, RUN_KEY_TAG
from resources.storage.media_store import LocalMediaStore
from tests.fakes import Pipeline
from tests.instances import forgetful_instance
from tests.postgres import Postgres, running_postgres
from tests.rabbitmq import free_ports
from tests.running import PHOTOS, Up, published, wait_for

pytestmark = pytest.mark.slow

CALM = keys.parse_vehicle_id("vin-calm")


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
    okla = Up(folder / "media", free_ports(1)[0], environment)
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
    with forgetful_instance() as instance:
        pipeline = Pipeline(store, instance)
        pipeline.upload(PHOTOS, CALM)
        store.put(keys.options(CALM), b'{"promo": false}')
        pipeline.run(CALM)
    return published(store, CALM)


def gate(up: Up) -> Path:
    """While the file is there, a run waits in the middle of its masks."""
    return Path(up.environment["OKLA_TEST_GATE"])


def stop_at_the_gate(up: Up, vehicle: keys.VehicleId) -> None:
    """Uploads the vehicle, and returns when its run waits."""
    reached = gate(up).with_suffix(".reached")
    reached.unlink(missing_ok=True)
    gate(up).touch()
    up.upload(vehicle)
    wait_for(reached.exists, 120)


def assert_as_calm(up: Up, vehicle: keys.VehicleId, calm: dict[str, object]) -> None:
    up.wait_until_listed(vehicle)
    assert published(LocalMediaStore(root=str(up.media)), vehicle) == calm
    with open_instance(up.media) as instance:
        held = instance.event_log_storage.get_concurrency_info(GPU_POOL)
        assert held.slot_count == 1
        wait_for(lambda: not _slots_held(instance), 60)


def _slots_held(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info(GPU_POOL).active_slot_count


def test_an_upload_is_made_ready_by_itself(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-uploaded")
    up.upload(vehicle)
    assert_as_calm(up, vehicle, calm)
    (run,) = up.runs(vehicle)
    assert run.tags[RUN_KEY_TAG].startswith("vin-uploaded:")


def test_a_vehicle_whose_run_is_killed_goes_on(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-killed-run")
    stop_at_the_gate(up, vehicle)
    (run,) = up.runs(vehicle)
    os.kill(int(run.tags[PROCESS_TAG].split(":")[1]), signal.SIGKILL)
    gate(up).unlink()
    assert_as_calm(up, vehicle, calm)
    again, first = up.runs(vehicle)
    assert first.status is dg.DagsterRunStatus.FAILURE
    assert again.parent_run_id == first.run_id


@pytest.mark.parametrize("name", ["daemon", "grpc"])
def test_a_killed_server_is_started_again_and_the_vehicle_made(
    up: Up, calm: dict[str, object], name: str
) -> None:
    vehicle = keys.parse_vehicle_id(f"vin-killed-{name}")
    stop_at_the_gate(up, vehicle)
    (server,) = [p for p in up.servers() if any(name in part for part in p.cmdline())]
    server.kill()
    wait_for(lambda: len([p for p in up.servers() if p != server]) == 3, 90)
    gate(up).unlink()
    assert_as_calm(up, vehicle, calm)
    # A run is a process of the code server.
    assert len(up.runs(vehicle)) == (1 if name == "daemon" else 2)


def test_a_database_that_goes_away_and_comes_back(
    up: Up, calm: dict[str, object], postgres: Postgres
) -> None:
    vehicle = keys.parse_vehicle_id("vin-killed-postgres")
    stop_at_the_gate(up, vehicle)
    postgres.crash()
    gate(up).unlink()
    time.sleep(3)  # the run finds out
    postgres.start()
    assert_as_calm(up, vehicle, calm)


def test_stopping_leaves_no_process_and_starting_goes_on(up: Up, calm: dict[str, object]) -> None:
    vehicle = keys.parse_vehicle_id("vin-stopped")
    stop_at_the_gate(up, vehicle)
    family = up.family()
    assert len(family) >= 5  # okla, the three servers, the run
    assert up.stop() == 0
    _, left = psutil.wait_procs(family, timeout=30)  # the system may take a moment to bury them
    assert left == []
    gate(up).unlink()
    up.start()
    assert_as_calm(up, vehicle, calm)


def test_killed_itself_it_leaves_no_process_either(up: Up) -> None:
    family = up.family()
    assert up.process is not None
    up.process.kill()
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []

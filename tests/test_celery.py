"""Two workers behind RabbitMQ and PostgreSQL, all of them real, while things are killed.

`OKLA_TEST_VEHICLES=40` makes it as long as in the acceptance; by itself it is shorter.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.instance import BROKER_URL, POSTGRES_URL
from tests import pictures
from tests.celery_definitions import HELD
from tests.conftest import REPOSITORY
from tests.postgres import running_postgres
from tests.rabbitmq import Rabbit, free_ports, running_rabbitmq
from tests.running import Up, wait_for

pytestmark = pytest.mark.slow

VEHICLES = int(os.environ.get("OKLA_TEST_VEHICLES", "12"))
PHOTO = pictures.jpeg(pictures.car())


@dataclass(frozen=True)
class House:
    """`okla up`, two workers, and the folder by which their segmenters are watched."""

    up: Up
    workers: tuple[subprocess.Popen[bytes], ...]
    rabbit: Rabbit
    folder: Path

    def loads(self) -> list[str]:
        return (self.folder / "loads").read_text().split()

    def wait_until_held(self, name: str) -> int:
        """In which process the vehicle waits."""
        wait_for(lambda: (self.folder / name).exists() and bool(self._held(name)), 90)
        return int(self._held(name))

    def _held(self, name: str) -> str:
        return (self.folder / name).read_text()

    def let_go(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()

    def listed(self, vehicle: keys.VehicleId) -> bool:
        return (self.up.media / keys.listing(vehicle)).exists()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "loads").touch()
    with (
        running_rabbitmq() as rabbit,
        running_postgres() as postgres,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.setenv(POSTGRES_URL, postgres.url)
        environment = os.environ | {
            BROKER_URL: rabbit.url,
            "OKLA_DEFINITIONS": "tests.celery_definitions",
            "OKLA_TEST_FOLDER": str(folder),
        }
        # One more than there are workers, so that neither waits for the queue.
        up = Up(folder / "media", free_ports(1)[0], environment, ("--runs", "3"))
        up.start()
        command = [sys.executable, "-m", "okla_assets", "worker", "--out", str(up.media)]
        workers = tuple(
            subprocess.Popen([*command, "--name", name], cwd=REPOSITORY, env=environment)
            for name in ("w0", "w1")
        )
        try:
            yield House(up, workers, rabbit, folder)
        finally:
            for worker in workers:
                worker.terminate()
            up.stop()
            for worker in workers:
                worker.wait(60)


def test_a_worker_loads_its_models_once(house: House) -> None:
    vehicles = [keys.parse_vehicle_id(f"vin-calm-{n}") for n in range(6)]
    for vehicle in vehicles:
        house.up.upload(vehicle, {"1.jpg": PHOTO})
    wait_for(lambda: all(house.listed(vehicle) for vehicle in vehicles), 120)
    loads = house.loads()
    assert len(loads) == len(set(loads)) == len(house.workers)


def test_whatever_is_killed_every_vehicle_is_made_once(house: House) -> None:
    held = {name: keys.parse_vehicle_id(f"vin-{name}") for name in HELD}
    others = [keys.parse_vehicle_id(f"vin-{n}") for n in range(VEHICLES - len(held))]
    for name, vehicle in held.items():
        house.up.upload(vehicle, {"1.jpg": pictures.jpeg(pictures.car(paint=HELD[name]))})
    for vehicle in others:
        house.up.upload(vehicle, {"1.jpg": PHOTO})

    os.kill(house.wait_until_held("killed"), signal.SIGKILL)
    house.let_go("killed")
    house.wait_until_held("cut")
    house.rabbit.cut_connections()
    house.let_go("cut")
    house.wait_until_held("terminated")
    (run,) = house.up.runs(held["terminated"])
    terminate(house.up.port, run.run_id)
    house.let_go("terminated")

    complete = [*others, held["killed"], held["cut"]]
    wait_for(lambda: all(house.listed(vehicle) for vehicle in complete), 20 * VEHICLES)
    for vehicle in complete:
        wait_for(lambda v=vehicle: statuses(house.up, v).count("SUCCESS") == 1, 30)  # type: ignore[misc]
    # The terminated one is the only one without a listing, and nobody took it up again.
    assert statuses(house.up, held["terminated"]) == ["CANCELED"]
    assert not house.listed(held["terminated"])
    for name in ("killed", "cut"):
        assert statuses(house.up, held[name])[0] == "SUCCESS"
        assert "FAILURE" in statuses(house.up, held[name])
    assert [worker.poll() for worker in house.workers] == [None, None]


def statuses(up: Up, vehicle: keys.VehicleId) -> list[str]:
    """How the vehicle's runs stand, the latest first."""
    return [run.status.value for run in up.runs(vehicle)]


def terminate(port: int, run_id: str) -> None:
    """As the button in Dagster's UI does."""
    query = """mutation($run: String!) {
      terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) { __typename }
    }"""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": {"run": run_id}}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["data"]["terminateRun"]["__typename"] == "TerminateRunSuccess"

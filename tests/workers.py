"""`okla up` with workers behind RabbitMQ and PostgreSQL, all of them real."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from okla_assets import keys
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL
from tests.conftest import REPOSITORY
from tests.postgres import running_postgres
from tests.rabbitmq import Rabbit, free_ports, running_rabbitmq
from tests.running import Up, wait_for


@dataclass(frozen=True)
class House:
    """`okla up`, its workers, and the folder by which their segmenters are watched."""

    up: Up
    workers: tuple[subprocess.Popen[bytes], ...]
    rabbit: Rabbit
    folder: Path

    def loads(self) -> list[str]:
        """The processes that loaded weights, as often as they did."""
        return (self.folder / "loads").read_text().split()

    def wait_until_held(self, name: str) -> int:
        """In which process the vehicle waits."""
        wait_for(lambda: self._held(name) is not None, 600)
        held = self._held(name)
        assert held is not None
        return held

    def _held(self, name: str) -> int | None:
        place = self.folder / name
        said = place.read_text() if place.exists() else ""
        return int(said) if said else None

    def let_go(self, name: str) -> None:
        """The vehicle that waits goes on."""
        (self.folder / f"{name}.go").touch()

    def listed(self, vehicle: keys.VehicleId) -> bool:
        """Whether the vehicle is published."""
        return (self.up.media / keys.listing(vehicle)).exists()


@contextmanager
def running_house(folder: Path, workers: int, gpu_seconds: float = 0.0) -> Iterator[House]:
    """All of it, gone at the end; each photo takes so long on the GPU there is not."""
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
            "OKLA_TEST_GPU_SECONDS": str(gpu_seconds),
        }
        # One more than there are workers, so that none waits for the queue.
        up = Up(folder / "media", free_ports(1)[0], environment, ("--runs", str(workers + 1)))
        up.start()
        command = [sys.executable, "-m", "okla_assets", "worker", "--out", str(up.media)]
        started = tuple(
            subprocess.Popen(
                [*command, "--name", f"w{n}"],
                cwd=REPOSITORY,
                env=environment,
                start_new_session=True,
            )
            for n in range(workers)
        )
        try:
            yield House(up, started, rabbit, folder)
        finally:
            for worker in started:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
            up.stop()

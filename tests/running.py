"""A real `okla up` in a process of its own, as tests of the whole house start it."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psutil

from okla_assets import keys
from okla_assets.runtime.instance import open_instance
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.conftest import REPOSITORY
from tests.fakes import contents

PHOTOS = {f"{n}.jpg": pictures.jpeg(pictures.car(n)) for n in range(3)}


@dataclass
class Up:
    """An `okla up` and its media folder."""

    media: Path
    port: int
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "okla_assets", "up", "--out", str(self.media)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *self.arguments],
            cwd=REPOSITORY,
            env=self.environment,
        )
        wait_for(lambda: listens(self.port), 180)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(90)

    def upload(self, vehicle: keys.VehicleId, photos: Mapping[str, bytes] = PHOTOS) -> None:
        store = LocalMediaStore(root=str(self.media))
        store.put(keys.options(vehicle), b'{"promo": false}')
        for name, data in photos.items():
            store.put(keys.raw_photos(vehicle) + name, data)
        store.put(keys.ready_marker(vehicle), b"")

    def wait_until_listed(self, vehicle: keys.VehicleId) -> None:
        wait_for((self.media / keys.listing(vehicle)).exists, 240)
        wait_for(lambda: self.runs(vehicle)[0].status is dg.DagsterRunStatus.SUCCESS, 60)

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
    """Returns when it is so; looks often at first, then five times a second: a look may be dear."""
    until, pause = time.monotonic() + seconds, 0.02
    while not ready():
        assert time.monotonic() < until, "it did not come"
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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

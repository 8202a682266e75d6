"""How long the report over all vehicles takes, and how much memory, with many vehicles.

`python -m tests.benchmarks.fleet [--vehicles 100000] [--changed 200] [--distinct 400]` makes a
media folder with a listing for each vehicle, hard links to `--distinct` ones of the size of real
ones, then runs the asset as the schedule does: the first night, the next one with `--changed`
listings written anew, and one in which nothing changed. Each night is a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.operations.fleet import fleet_report
from okla_assets.runtime.instance import open_instance
from resources.progress import Unwatched
from resources.storage.media_store import LocalMediaStore
from tests.operations.fleet import made


def place_of(media: Path, number: int) -> Path:
    """The listing of the vehicle of this number."""
    return media / keys.listing(keys.parse_vehicle_id(made.vehicle_name(number)))


def make(media: Path, vehicles: int, distinct: int) -> None:
    """A listing for each vehicle; some of them are files, all others are links to those."""
    total = 0
    for number in range(vehicles):
        place = place_of(media, number)
        place.parent.mkdir(parents=True)
        if number < distinct:
            total += place.write_bytes(
                made.listing(number, full=True).model_dump_json(indent=2).encode()
            )
        else:
            os.link(place_of(media, number % distinct), place)
    print(f"{vehicles} vehicles, a listing of {total / distinct / 1000:.0f} kB in the mean")


def night(media: Path) -> None:
    """One run of the asset in this process."""
    store = LocalMediaStore(root=str(media))
    definitions = build_definitions("local", store=store, progress=Unwatched())
    began, began_cpu = time.perf_counter(), time.process_time()
    with open_instance(media) as instance:
        fleet_report.run_report(definitions, instance)
        event = instance.get_latest_materialization_event(fleet_report.fleet_report.key)
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert event is not None
    assert event.asset_materialization is not None
    facts = event.asset_materialization.metadata
    sizes = {
        path.name: path.stat().st_size >> 20
        for path in (media / keys.fleet_folder(processed_is_public=False)).iterdir()
    }
    print(
        f"read {facts['listings_read'].value} of {facts['dagster/row_count'].value} listings, "
        f"{facts['photos'].value} photos: {wall:.1f} s ({cpu:.1f} CPU s), peak {peak:.0f} MB; "
        f"files in MB {sizes}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=200)
    parser.add_argument("--distinct", type=int, default=400)
    parser.add_argument("--media", type=Path, help="where the media are, or are to be")
    parser.add_argument("--only", choices=("make", "night", "change"), help="one part alone")
    asked = parser.parse_args()
    if asked.only == "night":
        night(asked.media)
        return
    with tempfile.TemporaryDirectory() as folder:
        media = asked.media or Path(folder)
        if asked.only in (None, "make"):
            make(media, asked.vehicles, asked.distinct)
        if asked.only is None:
            again(media)
        if asked.only in (None, "change"):
            change(media, asked.vehicles, asked.changed)
        if asked.only is None:
            again(media)
            again(media)


def again(media: Path) -> None:
    """A night, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.fleet", "--only", "night", "--media"]
    subprocess.run([*command, str(media)], check=True)


def change(media: Path, vehicles: int, changed: int) -> None:
    """Writes some listings anew, spread over all."""
    store = LocalMediaStore(root=str(media))
    for number in range(0, vehicles, max(1, vehicles // changed)):
        text = made.listing(number, night=1, full=True).model_dump_json(indent=2)
        store.put(keys.listing(keys.parse_vehicle_id(made.vehicle_name(number))), text.encode())


if __name__ == "__main__":
    main()

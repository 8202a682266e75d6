"""Memory of one warm process that makes one vehicle after the other.

    python -m tests.benchmarks.memory [FOLDER] [--photos 500] [--a-vehicle 25] [--fakes]

Phone photos of 12 MP, made of the folder's (or of painted ones) by scaling and a different corner
each, so that no two have the same bytes; what a vehicle leaves in the media folder is removed after
it. Runs are recorded on disk, as always. Prints resident memory after each vehicle and its peak so
far, and by how much both grew after the first 50 photos. `--fakes` runs the pipeline on the tests'
fake models, for what is not the networks'.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import dagster as dg
import numpy as np
import psutil

from okla_assets import keys
from okla_assets.definitions import build_definitions
from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Rgb
from okla_assets.runtime.processes import MALLOC
from okla_assets.vehicle_runs import vehicle_media, vehicles
from resources.decoding.photo_decoder import PhotoDecoder
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.fakes import Quiet, fake_models

SIZE = (4032, 3024)
WARM = 50
SOURCES = 8


def sources(folder: Path | None) -> Iterator[Rgb]:
    """The pictures that all photos are made of, again and again."""
    if folder is None:
        painted = (pictures.car(1), pictures.cabin(2), pictures.plated_car(3), pictures.car(4))
        return itertools.cycle(painted)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    decoder = PhotoDecoder()
    return itertools.cycle(
        [decoder.decode(path.read_bytes(), 2016).rgb for path in files[:SOURCES]]
    )


def photo(source: Rgb, number: int) -> bytes:
    """A JPEG of 12 MP like no other."""
    large = np.asarray(cv2.resize(source, SIZE, interpolation=cv2.INTER_LINEAR), np.uint8)
    large[:16, :16] = np.random.default_rng(number).integers(0, 255, 3)
    return codec.encode_jpeg(large, 90)


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path)
    arguments.add_argument("--photos", type=int, default=500)
    arguments.add_argument("--a-vehicle", type=int, default=25)
    arguments.add_argument("--fakes", action="store_true")
    given = arguments.parse_args()
    if any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(sys.executable, sys.orig_argv, os.environ | MALLOC)  # as okla runs
    process, shown = psutil.Process(), sources(given.folder)
    models = fake_models() if given.fakes else {}
    if given.fakes:
        models["decoder"] = PhotoDecoder()
    after: list[tuple[int, int, int]] = []
    done = 0
    with (
        tempfile.TemporaryDirectory() as place,
        dg.DagsterInstance.local_temp(tempfile.mkdtemp(dir=place)) as instance,
    ):
        store = LocalMediaStore(root=f"{place}/media")
        resources = models | {"store": store, "progress": Quiet()}
        job = build_definitions("local", **resources).resolve_job_def(vehicle_media.name)
        while done < given.photos:
            began = time.perf_counter()
            count = min(given.a_vehicle, given.photos - done)
            vehicle = keys.parse_vehicle_id(f"v{len(after)}")
            for number in range(done, done + count):
                data = photo(next(shown), number)
                store.put(f"{keys.raw_photos(vehicle)}{number}.jpg", data)
            store.put(keys.options(vehicle), b'{"promo": false}')
            instance.add_dynamic_partitions(str(vehicles.name), [vehicle])
            job.execute_in_process(
                partition_key=vehicle,
                instance=instance,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            shutil.rmtree(store.folder)
            done += count
            peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
            after.append((done, round(process.memory_info().rss / 1e6), peak))
            seconds = (time.perf_counter() - began) / count
            print(
                f"{done:4} photos: {after[-1][1]} MB, at most {peak} MB, {seconds:.2f} s a photo",
                flush=True,
            )
    told: dict[str, object] = {"photos_mb_peak": after}
    if warm := [kept for kept in after if kept[0] >= WARM]:
        grown = [last - first for first, last in zip(warm[0], warm[-1], strict=True)]
        told["grown_mb_when_warm"] = grown[1:]
    print(json.dumps(told))


if __name__ == "__main__":
    main()

"""What Dagster costs a vehicle: everything of a run but the bodies of our assets and checks.

`python -m tests.benchmarks.overhead [--postgres] [--up] [--rounds N] [--profile FILE]` runs one
vehicle of three photos on fake models again and again in this process, as `okla process` does, with
Dagster's records in SQLite or in a PostgreSQL server of its own. In it are the definitions, the
instance, the run, its events and the tables between steps; not in it is the import of the modules.
With --up it is `okla up` that runs them, and what is told is how long a run waited in the queue and
from there to its start in a process of its own.
"""

import argparse
import cProfile
import inspect
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction

from okla_assets import definitions, keys
from okla_assets.assets import checks
from okla_assets.cli.process import run_vehicle
from okla_assets.runtime.instance import POSTGRES_URL, open_instance
from resources.profiles import resources_for
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.fakes import VEHICLE, Quiet, fake_models
from tests.postgres import running_postgres
from tests.rabbitmq import free_ports
from tests.running import Up


@dataclass
class Watch:
    """CPU and wall seconds."""

    cpu: float = 0.0
    wall: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall


def timed(body: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """The body with a watch on it, the same to whoever asks for its signature."""

    def watched(*args: Any, **inputs: Any) -> Any:
        with watch.running():
            return body(*args, **inputs)

    watched.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
    return watched


def put_watch_on_bodies(watch: Watch) -> None:
    """From now on every asset and check of ours runs under the watch."""
    every = [
        value for value in vars(definitions).values() if isinstance(value, dg.AssetsDefinition)
    ]
    assert len(every) >= 10
    for asset in (*every, *checks.ALL):
        compute = asset.op._compute_fn
        assert isinstance(compute, DecoratedOpFunction)
        body = timed(compute.decorated_fn, watch)
        asset.op._compute_fn = DecoratedOpFunction(decorated_fn=body)


def queue_and_launch(media: Path, rounds: int) -> None:
    """Vehicles one after the other through `okla up`; prints what each waited for."""
    environment = os.environ | {
        "OKLA_DEFINITIONS": "tests.up_definitions",
        "OKLA_TEST_GATE": str(media / "open"),
    }
    up = Up(media, free_ports(1)[0], environment)
    up.start()
    try:
        for n in range(rounds):
            vehicle = keys.parse_vehicle_id(f"vin-{n}")
            up.upload(vehicle)
            up.wait_until_listed(vehicle)
            with open_instance(media) as instance:
                stats = instance.get_run_stats(up.runs(vehicle)[0].run_id)
                times = (stats.enqueued_time, stats.launch_time, stats.start_time)
            queued, launched, started = (t or math.nan for t in times)
            print(f"queue {launched - queued:.1f} s, launch {started - launched:.1f} s")
    finally:
        up.stop()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--up", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", type=Path, help="write cProfile's numbers of the rounds there")
    chosen = parser.parse_args()
    bodies = Watch()
    put_watch_on_bodies(bodies)
    models = fake_models()
    with ExitStack() as stack:
        media = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ.pop("DAGSTER_HOME", None)
        if chosen.postgres:
            os.environ[POSTGRES_URL] = stack.enter_context(running_postgres()).url
        if chosen.up:
            queue_and_launch(Path(media), chosen.rounds)
            return
        stack.enter_context(
            mock.patch.object(definitions, "resources_for", lambda n: resources_for(n) | models)
        )
        store = LocalMediaStore(root=media)
        for n in range(3):
            store.put(keys.raw_photos(VEHICLE) + f"{n}.jpg", pictures.jpeg(pictures.car(n)))
        store.put(keys.options(VEHICLE), b'{"promo": false}')
        run_vehicle(VEHICLE, store, "local", Quiet())  # makes the tables and warms everything
        profile = cProfile.Profile()
        cpu, wall = [], []
        for _ in range(chosen.rounds):
            bodies.cpu = bodies.wall = 0.0
            whole = Watch()
            if chosen.profile:
                profile.enable()
            with whole.running():
                listing, problem = run_vehicle(VEHICLE, store, "local", Quiet())
            profile.disable()
            assert listing is not None, problem
            cpu.append(whole.cpu - bodies.cpu)
            wall.append(whole.wall - bodies.wall)
        if chosen.profile:
            profile.dump_stats(chosen.profile)
    for what, seconds in (("CPU", cpu), ("wall", wall)):
        told = " ".join(f"{s:.2f}" for s in seconds)
        print(f"{what}: median {statistics.median(seconds):.2f} s of {told}")


if __name__ == "__main__":
    main()

"""`okla bench`: how fast this machine makes one folder's listing, and what that costs.

Each round is a run of its own in a store of its own, so that nothing is reused but the warm models.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.table import Table

from okla_assets import keys
from okla_assets.cli.process import check_folder
from okla_assets.cli.terminal import (
    Json,
    Profile,
    counted,
    fetch_weights,
    print_json,
    print_table,
    say,
    step_bars,
)
from resources.errors import BadInput, BrokenSetup

if TYPE_CHECKING:
    from okla_assets.contract import Listing
    from resources.progress import Progress
    from resources.storage.media_store import LocalMediaStore

VEHICLE = keys.parse_vehicle_id("bench")
SMI = ("nvidia-smi", "--id=0", "--query-gpu=name,utilization.gpu", "--format=csv,noheader,nounits")


def bench(
    folder: Annotated[Path, typer.Argument(help="A folder with the photos of one car.")],
    profile: Profile = "local",
    rounds: Annotated[int, typer.Option(min=1, help="How many times the car is processed.")] = 3,
    as_json: Json = False,
    price_hour: Annotated[
        float | None, typer.Option(min=0.0, help="What an hour of this machine costs, in dollars.")
    ] = None,
    vendor_price: Annotated[
        str, typer.Option(help="A vendor's price per image in dollars: one, or from-to.")
    ] = "0.05-0.20",
) -> None:
    """Measure this machine on a folder of photos: seconds by step, photos a second, and money."""
    from resources.profiles import weights_of

    check_folder(folder)
    wanted = weights_of(profile)
    vendor = parse_prices(vendor_price)
    fetch_weights(wanted)
    with step_bars() as progress:
        measured = measure(folder, profile, rounds, progress)
    if as_json:
        print_json(measured.as_dict(price_hour, vendor))
        return
    table = Table("step", "seconds a vehicle", "ms a photo")
    for step, seconds in measured.steps.items():
        table.add_row(step, f"{seconds:.2f}", f"{1000 * seconds / measured.photos:.0f}")
    print_table(table)
    for line in summary(measured, price_hour, vendor):
        say(line)


@dataclass(frozen=True)
class Gpu:
    """The first GPU as nvidia-smi reports it: its name, and the share of the time it was busy."""

    name: str
    busy: float


@dataclass(frozen=True)
class Measured:
    """Seconds per vehicle, by round and by step (medians over the rounds), and figures from them.

    `first` is a round before these, in which the models were loaded; no other figure includes it.
    `cpu_seconds` are those of all cores, with the processes that decode and encode. `networks` are
    the ONNX files by the runtime and precision that they ran in, on `threads` threads each.
    """

    profile: str
    photos: int
    first: float
    rounds: tuple[float, ...]
    steps: Mapping[str, float]
    devices: Mapping[str, float]
    peak_mb: int
    gpu: Gpu | None
    cpu_seconds: float
    threads: int
    networks: Mapping[str, Sequence[str]]

    @property
    def seconds(self) -> float:
        """Seconds of the median round, which is one vehicle."""
        return median(self.rounds)

    @property
    def warm_up(self) -> float:
        """Extra seconds of the first round: models loaded, code and kernels compiled."""
        return max(0.0, self.first - self.seconds)

    @property
    def photos_a_second(self) -> float:
        """Throughput on whole vehicles, listing and promo included."""
        return self.photos / self.seconds

    def usd_a_photo(self, price_hour: float) -> float:
        """Cost of a photo on a machine of this price per hour that is never idle."""
        return self.seconds / 3600 * price_hour / self.photos

    def as_dict(self, price_hour: float | None, vendor: Sequence[float]) -> dict[str, Any]:
        """All figures, for --json."""
        figures = asdict(self) | {
            "warm_up": round(self.warm_up, 2),
            "seconds_a_vehicle": self.seconds,
            "photos_a_second": self.photos_a_second,
        }
        if price_hour is None:
            return figures
        cost = self.usd_a_photo(price_hour)
        return figures | {
            "price_hour": price_hour,
            "usd_a_photo": cost,
            "vendor_usd_a_photo": list(vendor),
            "times_cheaper": [price / cost for price in vendor] if cost else None,
        }


def parse_prices(text: str) -> tuple[float, ...]:
    """One price, or the two ends of a range such as 0.05-0.20; BadInput for anything else."""
    try:
        prices = tuple(sorted(float(part) for part in text.split("-")))
    except ValueError:
        prices = ()
    if len(prices) not in (1, 2) or prices[0] <= 0:
        raise BadInput(
            f"{text!r} is not a price; give dollars per image, such as 0.10 or 0.05-0.20"
        )
    return prices


def measure(folder: Path, profile: str, rounds: int, progress: "Progress") -> Measured:
    """Processes the folder `rounds` times. Raises BadInput where it holds no usable photo."""
    from okla_assets.operations.folder_import import import_folder
    from okla_assets.options import merge_options, save_options
    from resources.models import onnx
    from resources.storage.media_store import LocalMediaStore

    with tempfile.TemporaryDirectory(prefix="okla-bench-") as root:

        def run_round(number: int) -> "tuple[float, float, Listing]":
            store = LocalMediaStore(root=f"{root}/{number}")
            import_folder(folder, VEHICLE, store)
            save_options(VEHICLE, store, merge_options(folder, VEHICLE, store, {}))
            try:
                return _timed_run(store, profile, progress)
            finally:
                shutil.rmtree(store.folder)

        first, *_ = run_round(0)
        with _GpuWatch() as gpu:
            done = [run_round(number) for number in range(1, rounds + 1)]
    listings = [listing for *_, listing in done]
    photos = len(listings[0].photos) + sum(f.number is not None for f in listings[0].refused)
    if not photos:
        raise BadInput(f"{folder} holds no photo that can be used, so there is nothing to measure")
    return Measured(
        profile=profile,
        photos=photos,
        first=round(first, 2),
        rounds=tuple(round(seconds, 2) for seconds, *_ in done),
        steps=_medians([listing.cost.seconds for listing in listings]),
        devices=_medians([listing.cost.device_seconds for listing in listings]),
        peak_mb=_peak_mb(),
        gpu=gpu.seen,
        cpu_seconds=round(median(cpu for _, cpu, _ in done), 2),
        threads=onnx.thread_count(),
        networks={_precisely(engine): weights for engine, weights in onnx.loaded().items()},
    )


def summary(measured: Measured, price_hour: float | None, vendor: Sequence[float]) -> list[str]:
    """The figures in sentences."""
    rounds = ", ".join(f"{seconds:.1f}" for seconds in measured.rounds)
    lines = [
        f"profile {measured.profile}: {counted(measured.photos, 'photo')} "
        f"in {measured.seconds:.1f} s, {measured.photos_a_second:.2f} photos/s "
        f"(rounds: {rounds} s)",
        f"warm-up, not part of any round: {measured.warm_up:.1f} s (loading the models)",
        f"CPU seconds of all cores: {measured.cpu_seconds:.1f} a vehicle; "
        f"{measured.threads} threads a network",
        *(f"{runtime}: {', '.join(names)}" for runtime, names in measured.networks.items()),
        f"peak memory of this process: {measured.peak_mb} MB",
    ]
    if measured.gpu is not None:
        lines.append(f"{measured.gpu.name}: busy {measured.gpu.busy:.0%} of the time")
    if price_hour is not None:
        cost = measured.usd_a_photo(price_hour)
        line = f"at ${price_hour:g} an hour: ${cost:.5f} a photo"
        if cost:
            times = " to ".join(f"{price / cost:.0f}" for price in vendor)
            prices = " to ".join(f"${price:g}" for price in vendor)
            line += f"; a vendor's {prices} is {times} times as much"
        lines.append(line)
    return lines


def _timed_run(
    store: "LocalMediaStore", profile: str, progress: "Progress"
) -> "tuple[float, float, Listing]":
    """One vehicle in this process: wall seconds, CPU seconds and listing."""
    import dagster as dg

    from okla_assets.definitions import build_definitions, runner_of

    runner = runner_of(build_definitions(profile, store=store, progress=progress))
    with dg.DagsterInstance.ephemeral() as instance:
        began, cpu = time.perf_counter(), _cpu_seconds()
        ran = runner.run(VEHICLE, store, instance, "process")
        seconds, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
    if ran.interrupted:
        raise KeyboardInterrupt
    if ran.listing is None:
        raise BrokenSetup("; ".join(ran.problem.splitlines()))
    return seconds, cpu, ran.listing


def _cpu_seconds() -> float:
    """CPU seconds so far of this process and those that it started, ended or not."""
    import psutil

    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now: its parent has them
            times = process.cpu_times()
            total += times.user + times.system
            # Of those that ended, which Windows does not count.
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def _precisely(engine: str) -> str:
    return f"{engine}-float32" if engine == "onnxruntime" else engine


def _medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(median(r[name] for r in rounds), 2) for name in rounds[0]}


def _peak_mb() -> int:
    """Peak resident memory of this process without its workers; 0 where the system has no count."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


class _GpuWatch:
    """Samples nvidia-smi twice a second while the context lasts; `seen` is None without a GPU."""

    def __init__(self) -> None:
        self._name, self._busy = "", list[float]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if shutil.which(SMI[0]) is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def seen(self) -> Gpu | None:
        return Gpu(self._name, round(mean(self._busy) / 100, 3)) if self._busy else None

    def _watch(self) -> None:
        while not self._over.is_set():
            sample = subprocess.run(SMI, capture_output=True, text=True, check=False)
            name, _, busy = sample.stdout.strip().rpartition(", ")
            if sample.returncode or not busy.isdigit():  # a driver without a GPU, or "[N/A]"
                return
            self._name = name
            self._busy.append(float(busy))
            self._over.wait(0.5)

"""`okla bench`: how fast this machine makes one folder's listing, and what that costs.

Each round is a run of its own in a store of its own, so that nothing is reused but the warm models.
"""

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
from typing import Any, Self

from okla_assets import keys
from okla_assets.cli.process import import_folder
from okla_assets.contract import Listing
from okla_assets.options import merge_options, save_options
from resources.errors import BadInput, BrokenSetup
from resources.progress import Progress
from resources.storage.media_store import LocalMediaStore

VEHICLE = keys.parse_vehicle_id("bench")
SMI = ("nvidia-smi", "--id=0", "--query-gpu=name,utilization.gpu", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Gpu:
    """What nvidia-smi says of the first GPU: its name, and the share of the rounds it was busy."""

    name: str
    busy: float


@dataclass(frozen=True)
class Bench:
    """Seconds a vehicle, by round and by step (medians over the rounds), and what follows.

    `first` is a round before these, in which the models were loaded; nothing else counts it.
    """

    profile: str
    photos: int
    first: float
    rounds: tuple[float, ...]
    steps: Mapping[str, float]
    devices: Mapping[str, float]
    peak_mb: int
    gpu: Gpu | None

    @property
    def seconds(self) -> float:
        """Of one vehicle: the median round."""
        return median(self.rounds)

    @property
    def warm_up(self) -> float:
        """What the first round took longer: models loaded, code and kernels made ready."""
        return max(0.0, self.first - self.seconds)

    @property
    def photos_a_second(self) -> float:
        """Of whole vehicles, listing and promo included."""
        return self.photos / self.seconds

    def usd_a_photo(self, price_hour: float) -> float:
        """What a photo costs on a machine of this price that always has work."""
        return self.seconds / 3600 * price_hour / self.photos

    def as_dict(self, price_hour: float | None, vendor: Sequence[float]) -> dict[str, Any]:
        """Everything as JSON has it."""
        found = asdict(self) | {
            "warm_up": round(self.warm_up, 2),
            "seconds_a_vehicle": self.seconds,
            "photos_a_second": self.photos_a_second,
        }
        if price_hour is None:
            return found
        cost = self.usd_a_photo(price_hour)
        return found | {
            "price_hour": price_hour,
            "usd_a_photo": cost,
            "vendor_usd_a_photo": list(vendor),
            "times_cheaper": [price / cost for price in vendor] if cost else None,
        }


def prices_of(text: str) -> tuple[float, ...]:
    """One price, or the two ends of a range as 0.05-0.20; BadInput for anything else."""
    try:
        prices = tuple(sorted(float(part) for part in text.split("-")))
    except ValueError:
        prices = ()
    if len(prices) not in (1, 2) or prices[0] <= 0:
        raise BadInput(f"{text!r} is no price; give dollars an image, as 0.10 or 0.05-0.20")
    return prices


def bench(folder: Path, profile: str, rounds: int, progress: Progress) -> Bench:
    """Runs the folder so many times. Raises BadInput where it holds no photo."""
    with tempfile.TemporaryDirectory(prefix="okla-bench-") as place:

        def run_anew(number: int) -> tuple[float, Listing]:
            store = LocalMediaStore(root=f"{place}/{number}")
            import_folder(folder, VEHICLE, store)
            save_options(VEHICLE, store, merge_options(folder, VEHICLE, store, {}))
            try:
                return _run(store, profile, progress)
            finally:
                shutil.rmtree(store.folder)

        first, _ = run_anew(0)
        with _GpuWatch() as gpu:
            done = [run_anew(number) for number in range(1, rounds + 1)]
    listings = [listing for _, listing in done]
    photos = len(listings[0].photos) + sum(f.number is not None for f in listings[0].refused)
    if not photos:
        raise BadInput(f"{folder} holds no photo that can be used; there is nothing to measure")
    return Bench(
        profile=profile,
        photos=photos,
        first=round(first, 2),
        rounds=tuple(round(seconds, 2) for seconds, _ in done),
        steps=_medians([listing.cost.seconds for listing in listings]),
        devices=_medians([listing.cost.device_seconds for listing in listings]),
        peak_mb=_peak_mb(),
        gpu=gpu.seen,
    )


def summary(found: Bench, price_hour: float | None, vendor: Sequence[float]) -> list[str]:
    """The figures in sentences, for a person at a terminal."""
    rounds = ", ".join(f"{seconds:.1f}" for seconds in found.rounds)
    lines = [
        f"profile {found.profile}: {found.photos} photos in {found.seconds:.1f} s, "
        f"{found.photos_a_second:.2f} photos/s (rounds: {rounds} s)",
        f"warm-up, which no round counts: {found.warm_up:.1f} s (loading the models)",
        f"memory of this process at most: {found.peak_mb} MB",
    ]
    if found.gpu is not None:
        lines.append(f"{found.gpu.name}: busy {found.gpu.busy:.0%} of the time")
    if price_hour is not None:
        cost = found.usd_a_photo(price_hour)
        line = f"at ${price_hour:g} an hour: ${cost:.5f} a photo"
        if cost:
            times = " to ".join(f"{price / cost:.0f}" for price in vendor)
            prices = " to ".join(f"${price:g}" for price in vendor)
            line += f"; a vendor's {prices} is {times} times as much"
        lines.append(line)
    return lines


def _run(store: LocalMediaStore, profile: str, progress: Progress) -> tuple[float, Listing]:
    """One vehicle, in this process; the wall seconds that took, and its listing."""
    import dagster as dg

    from okla_assets.definitions import build_definitions, runner_of

    runner = runner_of(build_definitions(profile, store=store, progress=progress))
    with dg.DagsterInstance.ephemeral() as instance:
        began = time.perf_counter()
        ran = runner.run(VEHICLE, store, instance, "process")
        seconds = time.perf_counter() - began
    if ran.interrupted:
        raise KeyboardInterrupt
    if ran.listing is None:
        raise BrokenSetup("; ".join(ran.problem.splitlines()))
    return seconds, ran.listing


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(median(f[name] for f in found), 2) for name in found[0]}


def _peak_mb() -> int:
    """Most memory that this process ever held, workers left out; 0 where nobody counts it."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


class _GpuWatch:
    """Asks nvidia-smi twice a second while the context lasts; `seen` is None without one."""

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
        """What was seen by now."""
        return Gpu(self._name, round(mean(self._busy) / 100, 3)) if self._busy else None

    def _watch(self) -> None:
        while not self._over.is_set():
            told = subprocess.run(SMI, capture_output=True, text=True, check=False)
            name, _, busy = told.stdout.strip().rpartition(", ")
            if told.returncode or not busy.isdigit():  # a driver without a GPU, or "[N/A]"
                return
            self._name = name
            self._busy.append(float(busy))
            self._over.wait(0.5)

"""What a vehicle's media cost: seconds by device, and money by the machine's price an hour.

Every second that a step took is counted once: as the GPU's where a model was at work there, else
as the CPU's. They are kept in the rows, so that what is reused keeps what it cost to make.
"""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from okla_assets.contract import Cost
from resources.settings import settings


class Meter:
    """Seconds for which models on a GPU were at work; used by one thread."""

    def __init__(self) -> None:
        self.gpu = 0.0

    @contextmanager
    def at_work(self, *models: object) -> Iterator[None]:
        """Counts the time inside, where one of the models is on a GPU."""
        began = time.perf_counter()
        try:
            yield
        finally:
            if any(on_gpu(model) for model in models):
                self.gpu += time.perf_counter() - began


class Laps:
    """Seconds of work that several threads share: each is counted once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = time.perf_counter()

    def lap(self) -> float:
        """Seconds since it was last asked, by whichever thread."""
        with self._lock:
            before, self._told = self._told, time.perf_counter()
            return self._told - before


def on_gpu(model: object) -> bool:
    """Whether a model says by its `device` that it is on a GPU; one that says nothing is not.

    `auto` is a GPU where torch, which such a model has loaded by the time it was used, sees one.
    """
    device = str(getattr(model, "device", "cpu"))
    torch = sys.modules.get("torch")
    if device == "auto":
        return torch is not None and bool(torch.cuda.is_available())
    return device.startswith("cuda")


@dataclass(frozen=True)
class Prices:
    """Price of a machine's hour by what works on it; None where it is not known.

    On a machine with a GPU both are that machine's price: it is paid for while its CPU works, too.
    """

    cpu_hour: float | None = None
    gpu_hour: float | None = None

    def usd(self, seconds: Mapping[str, float]) -> float | None:
        """Money for seconds by device; None where a device that was used has no price."""
        prices = {"cpu": self.cpu_hour, "gpu": self.gpu_hour}
        total = 0.0
        for device, spent in seconds.items():
            price = prices[device]
            if price is None:
                if spent:
                    return None
                continue
            total += spent / 3600 * price
        return None if set(prices.values()) == {None} else round(total, 6)


def prices() -> Prices:
    """The prices that the settings give."""
    chosen = settings()
    return Prices(chosen.price_cpu_hour, chosen.price_gpu_hour)


def cost_of(by_step: Mapping[str, float], gpu_seconds: float, price: Prices) -> Cost:
    """The ledger of one vehicle: seconds by step, those on a GPU being a part of them."""
    gpu = round(gpu_seconds, 2)
    seconds = {step: round(spent, 2) for step, spent in by_step.items()}
    devices = {"cpu": round(max(0.0, sum(by_step.values()) - gpu), 2), "gpu": gpu}
    return Cost(seconds=seconds, device_seconds=devices, usd=price.usd(devices))


def as_metadata(cost: Cost) -> dict[str, float]:
    """The ledger as metadata that Dagster's UI plots from vehicle to vehicle.

    It is of all computing that went into the vehicle, whenever that was, and is named so.
    """
    figures = {f"{device}_seconds_in_all": spent for device, spent in cost.device_seconds.items()}
    return figures if cost.usd is None else figures | {"cents_in_all": round(cost.usd * 100, 4)}

"""How many vehicles one and two workers make in the same time.

`python -m tests.benchmarks.scale_out [--vehicles N] [--seconds S]` starts the whole house twice
(RabbitMQ, PostgreSQL, `okla up`, workers). The models are fakes that sleep S seconds a photo, as a
GPU would work beside the CPU. Measured from the first upload to the last listing.
"""

import argparse
import tempfile
import time
from pathlib import Path

from okla_assets import keys
from tests import pictures
from tests.running import wait_for
from tests.workers import running_house


def seconds_for(vehicles: int, workers: int, gpu_seconds: float) -> float:
    """How long so many vehicles of one photo take."""
    photo = {"1.jpg": pictures.jpeg(pictures.car())}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_house(Path(folder), workers, gpu_seconds) as house,
    ):
        # Warm first: both workers have their models.
        warm = [keys.parse_vehicle_id(f"vin-warm-{n}") for n in range(2 * workers)]
        measured = [keys.parse_vehicle_id(f"vin-{n}") for n in range(vehicles)]
        for group in (warm, measured):
            began = time.perf_counter()
            for vehicle in group:
                house.up.upload(vehicle, photo)
            wait_for(lambda group=group: all(map(house.listed, group)), 1200)  # type: ignore[misc]
        assert len(house.loads()) == workers
        return time.perf_counter() - began


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vehicles", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    chosen = parser.parse_args()
    one, two = (seconds_for(chosen.vehicles, n, chosen.seconds) for n in (1, 2))
    print(f"{chosen.vehicles} vehicles: one worker {one:.1f} s, two {two:.1f} s: {one / two:.2f}")


if __name__ == "__main__":
    main()

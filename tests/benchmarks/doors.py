"""How quickly a real `okla serve` accepts and tells, and what memory it takes.

`python -m tests.benchmarks.doors [accept] [status] [memory]`: accepting at `--rate` requests a
second for `--seconds` while a lane makes jobs on fake models; the status of one of `--ended` jobs,
the lists of a caller and of a vehicle that have them all, metrics and readiness; and the resident
memory of the process over `--jobs` jobs, which a lane ends at once.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.load import (
    Ask,
    Served,
    Times,
    asked,
    finished,
    in_another_process,
    new_key,
    serving,
)
from tests.doors.web import Web, gives, web


@contextmanager
def door(folder: Path, sender: Web, **environment: str) -> Iterator[Served]:
    """A door that may fetch from the sender of photos."""
    with serving(
        folder / "media",
        folder / "serve.log",
        OKLA_FETCH_HOSTS=sender.host,
        OKLA_FETCH_PRIVATE="1",
        **environment,
    ) as served:
        yield served


def classify(sender: Web, key: str, number: int) -> Ask:
    """A job about a photo at a URL."""
    body = {"vehicleId": f"LOAD-{number}", "imageUrl": f"{sender.url}/{number % 5}.jpg"}
    return Ask("POST", "/api/ai-process/classify-image", body, key)


def tell(what: str, times: Times) -> None:
    """One line of figures."""
    wrong = [status for status in times.statuses if status >= 300]
    print(
        f"{what}: n={len(times.seconds)}  p50 {times.at(0.5) * 1e3:.1f} ms  "
        f"p99 {times.at(0.99) * 1e3:.1f} ms  most {max(times.seconds) * 1e3:.1f} ms"
        + (f"  REFUSED {len(wrong)}: {wrong[0]}" if wrong else ""),
        flush=True,
    )


def accept(folder: Path, sender: Web, rate: float, seconds: float) -> None:
    """Accepting while jobs run."""
    key = new_key(LocalMediaStore(root=str(folder / "media")))
    with door(folder, sender) as served:
        warm_up(served, sender, key)
        asks = [classify(sender, key, number) for number in range(int(rate * seconds))]
        before = served.processor_seconds
        times = in_another_process(served.address, asks, rate)
        led, answered = (
            (after - used) / len(asks) * 1e3
            for after, used in zip(served.processor_seconds, before, strict=True)
        )
        tell(f"accept at {rate:g}/s while jobs run", times)
        print(
            f"  {count_of_ended(folder)} jobs had ended meanwhile; of a core each job took "
            f"{answered:.1f} ms to accept and {led:.1f} ms to lead"
        )
        ids = [json.loads(body)["jobId"] for body in times.bodies[:500]]
        told = [Ask("GET", f"/api/ai-process/status/{one}", key=key) for one in ids]
        tell("status with a long inbox", in_another_process(served.address, told, rate))
        several(served, key, {"metrics": "/metrics", "ready": "/health/ready"})


def status(folder: Path, sender: Web, rate: float, seconds: float, count: int) -> None:
    """Asking for jobs that have ended, many."""
    store = LocalMediaStore(root=str(folder / "media"))
    began = time.perf_counter()
    ids = finished(store, count)
    print(f"{count} ended jobs written in {time.perf_counter() - began:.0f} s", flush=True)
    key = new_key(store)
    with door(folder, sender) as served:
        warm_up(served, sender, key)
        chosen = [ids[(n * 7919) % count] for n in range(int(rate * seconds))]
        told = [Ask("GET", f"/api/ai-process/status/{one}", key=key) for one in chosen]
        tell(f"status, {count} ended", in_another_process(served.address, told, rate))
        asks = [classify(sender, key, number) for number in range(int(rate * seconds / 2))]
        tell(f"accept, {count} ended", in_another_process(served.address, asks, rate))
        several(
            served,
            key,
            {
                "metrics": "/metrics",
                "ready": "/health/ready",
                "jobs of a caller": "/api/vehicle360processing/user/me/jobs",
                "jobs of a vehicle": "/api/ai-process/batch-status?vehicleId=CAR",
                "a vehicle": "/api/vehicles/CAR",
                "account": "/v1.0/account",
            },
        )


def several(served: Served, key: str, paths: dict[str, str]) -> None:
    """Each path some times, one after the other."""
    for what, path in paths.items():
        took, answer = [], 0
        for _ in range(10):
            began = time.perf_counter()
            answer, _ = asked(served.address, Ask("GET", path, key=key))
            took.append(time.perf_counter() - began)
        took.sort()
        print(f"  {what}: {answer}, p50 {took[5] * 1e3:.1f} ms, most {took[-1] * 1e3:.1f} ms")


def memory(folder: Path, sender: Web, count: int) -> None:
    """Resident memory while jobs end."""
    key = new_key(LocalMediaStore(root=str(folder / "media")))
    with door(folder, sender, OKLA_TEST_LANE_ANSWERS="1") as served:
        warm_up(served, sender, key)
        print(f"memory with 0 jobs ended: {megabytes(served)}")
        step = 1000
        for first in range(0, count, step):
            began = time.perf_counter()
            asks = [classify(sender, key, n) for n in range(first, first + step)]
            times = in_another_process(served.address, asks, 100)
            assert max(times.statuses) < 300, times.statuses
            while count_of_ended(folder) < first + step:
                time.sleep(0.2)
            took = time.perf_counter() - began
            print(
                f"memory with {first + step} jobs ended: {megabytes(served)} "
                f"({step / took:.0f} jobs/s)",
                flush=True,
            )


def megabytes(served: Served) -> str:
    """Of the two processes."""
    leads, answers = served.memory
    return f"{leads / 2**20:.1f} MB that leads, {answers / 2**20:.1f} MB that answers"


def warm_up(served: Served, sender: Web, key: str) -> None:
    """Has one job made, so that models are loaded and connections are open."""
    body = {"vehicleId": "WARM", "imageUrl": f"{sender.url}/0.jpg"}
    _, told = asked(served.address, Ask("POST", "/api/ai-process/classify-image", body, key))
    path = f"/api/ai-process/status/{json.loads(told)['jobId']}"
    while json.loads(served.get(path, key)[1])["status"] not in ("completed", "failed"):
        time.sleep(0.2)


def count_of_ended(folder: Path) -> int:
    """Jobs of the benchmark that have ended; the first only warmed up."""
    return sum(1 for _ in (folder / "media" / "jobs" / "ended").iterdir()) - 1


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["accept", "status", "memory"])
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--ended", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=10_000)
    chosen = parser.parse_args(given)
    with web() as sender:
        for number in range(5):
            sender.answers[f"/{number}.jpg"] = gives(pictures.jpeg(pictures.car(number)))
        for part in chosen.parts:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "media").mkdir()
                if part == "accept":
                    accept(folder, sender, chosen.rate, chosen.seconds)
                elif part == "status":
                    status(folder, sender, chosen.rate, chosen.seconds / 3, chosen.ended)
                else:
                    memory(folder, sender, chosen.jobs)


if __name__ == "__main__":
    main()

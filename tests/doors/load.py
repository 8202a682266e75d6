"""A real `okla serve` under load: the process, its records of before, and a client of its own."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import psutil

from okla_assets import keys
from okla_assets.doors import http_process
from okla_assets.doors.callers import records as caller_records
from okla_assets.doors.jobs.record import Job, Jobs, names_in_lists, new_id, new_job
from okla_assets.doors.jobs.requests import JobRequest, Operation, Source
from okla_assets.doors.jobs.results import JobResult
from resources.storage.media_store import LocalMediaStore
from tests.conftest import REPOSITORY
from tests.rabbitmq import free_ports

CALLER = "load"
STARTING_SECONDS = 120
CLIENTS = 64


@dataclass(frozen=True)
class Served:
    """A door in a process of its own."""

    address: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def get(self, path: str, key: str = "") -> tuple[int, bytes]:
        """Status and body of one request."""
        return asked(self.address, Ask("GET", path, key=key))

    @property
    def processor_seconds(self) -> tuple[float, float]:
        """That the process which leads jobs has used, and the one that answers."""
        leads, answers = (one.cpu_times() for one in self._processes())
        return float(leads.user + leads.system), float(answers.user + answers.system)

    @property
    def memory(self) -> tuple[int, int]:
        """Of the process which leads jobs and the one that answers, resident, in bytes."""
        leads, answers = (int(one.memory_info().rss) for one in self._processes())
        return leads, answers

    def _processes(self) -> tuple[psutil.Process, psutil.Process]:
        leads = psutil.Process(self.process.pid)
        (answers,) = (one for one in leads.children() if http_process.MODULE in one.cmdline())
        return leads, answers


@dataclass(frozen=True)
class Ask:
    """One request; `body` is sent as JSON."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    key: str = ""


@dataclass(frozen=True)
class Times:
    """Seconds from when each request was due until it was answered, and what was answered."""

    seconds: tuple[float, ...]
    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...]

    def at(self, share: float) -> float:
        """The time that this share of them took at most."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@contextmanager
def serving(media: Path, log: Path, **environment: str) -> Iterator[Served]:
    """`okla serve` on fake models while the context lasts."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.fake_okla", "serve", "--out", str(media)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--lanes", "1"],
            cwd=REPOSITORY,
            env=os.environ | environment,
            stdout=out,
            stderr=out,
        )
    served = Served(address, process, log)
    try:
        until = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                if served.get("/health/ready")[0] == 200:
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def new_key(store: LocalMediaStore) -> str:
    """A key without limits."""
    return caller_records.create(store, CALLER, ("jobs", "vehicles"), requests_a_minute=None)


def finished(store: LocalMediaStore, count: int, vehicle: str = "CAR") -> list[str]:
    """Ids of so many jobs that have ended, all of one caller and one vehicle.

    Written as `Jobs.accept` and `Jobs.end` leave them, without what those remove again.
    """
    jobs, ids = Jobs(store), []
    jobs.own(keys.VehicleId(vehicle), CALLER)
    store.put(keys.raw_photos(keys.VehicleId(vehicle)) + "1.jpg", b"\xff\xd8")
    with mock.patch.object(os, "fsync", lambda _: None):  # nobody waits for these
        for number in range(count):
            source = Source(url=f"https://example.org/{number}.jpg")
            request = JobRequest(
                operation=Operation.classify, vehicle=vehicle, sources=(source,), caller=CALLER
            )
            job = new_job(request, new_id(CALLER, None))
            for name in names_in_lists(job):
                store.put(name, b"")
            jobs.keep_ended(ended(job))
            ids.append(job.id)
    return ids


def ended(job: Job) -> Job:
    """The job, completed."""
    result = JobResult()
    update = {"state": "completed", "ended_at": datetime.now(UTC), "result": result}
    return job.model_copy(update={"progress": 100} | update)


def in_another_process(address: str, asks: Sequence[Ask], rate: float) -> Times:
    """`open_loop` in a process of its own, so that it takes nothing of ours."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(open_loop, address, asks, rate).result()


def open_loop(address: str, asks: Sequence[Ask], rate: float) -> Times:
    """Sends so many requests a second, however long the answers take."""

    def timed(ask: Ask, due: float) -> tuple[float, int, bytes]:
        status, body = asked(address, ask)
        return time.perf_counter() - due, status, body

    with ThreadPoolExecutor(CLIENTS) as clients:
        begin, running = time.perf_counter() + 0.5, []
        for number, ask in enumerate(asks):
            due = begin + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            running.append(clients.submit(timed, ask, due))
        seconds, statuses, bodies = zip(*(one.result() for one in running), strict=True)
    return Times(seconds, statuses, bodies)


_connections = threading.local()


def asked(address: str, ask: Ask) -> tuple[int, bytes]:
    """Status and body, on the thread's own connection."""
    host = urlsplit(address).netloc
    headers = {"X-Api-Key": ask.key} if ask.key else {}
    body = None
    if ask.body is not None:
        body = json.dumps(ask.body).encode()
        headers["Content-Type"] = "application/json"
    for last in (False, True):
        connection = getattr(_connections, host, None)
        if connection is None:
            connection = http.client.HTTPConnection(host, timeout=120)
            setattr(_connections, host, connection)
        try:
            connection.request(ask.method, ask.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, ConnectionError):
            connection.close()
            delattr(_connections, host)
            if last:  # the first may have been closed while it was idle
                raise
    raise AssertionError("the second returns or raises")

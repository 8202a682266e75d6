"""The process that answers HTTP, seen from the one that leads jobs.

Each has a Python of its own, so that accepting a job does not wait for those that are fetched and
made. They share the store; beside it, the one tells the other what it would find out later:
accepted jobs, by lines of its stdout, and how many jobs have not ended, by lines of its stdin.
"""

import json
import logging
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from okla_assets import keys
from okla_assets.doors.connections import STOPPING_SECONDS
from okla_assets.runtime.processes import READY, speaking_process
from okla_assets.tables import Row
from resources.errors import BrokenSetup

MODULE = "okla_assets.cli.http_process"
COUNT_SECONDS = 1.0

log = logging.getLogger("okla.doors")


class Served(Row):
    """The first line of the process's stdin: the socket that it answers on, by its number there,
    and whether each request is logged."""

    socket: int
    verbose: bool


@dataclass
class HttpProcess:
    """`accepted` is called with each job that the process has accepted, `counts` says how many
    jobs have not ended, by state."""

    environment: Mapping[str, str]
    listening: socket.socket
    verbose: bool
    accepted: Callable[[keys.JobId], object]
    counts: Callable[[], Mapping[str, int]]
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def start(self) -> None:
        """Returns when requests are answered. Raises BrokenSetup where the process ends instead."""
        number = self.listening.fileno()
        process = speaking_process(MODULE, self.environment, (number,))
        assert process.stdout is not None
        _write(process, Served(socket=number, verbose=self.verbose).model_dump_json())
        self.process = process  # from here on `tell` writes to it, never before the first line
        if process.stdout.readline() != READY:
            raise BrokenSetup("the HTTP door does not start; what it says is above")

    def watch(self, stop: threading.Event) -> None:
        """Hears of accepted jobs, and starts the process anew when it has ended: whoever calls
        meanwhile waits."""
        while not stop.is_set():
            assert self.process is not None and self.process.stdout is not None
            for line in self.process.stdout:
                self.accepted(keys.JobId(line.decode().strip()))
            if self._closed:
                return
            log.error("the HTTP door has ended (%d); it is started again", self._end())
            self.start()

    def tell(self, stop: threading.Event) -> None:
        """Keeps the process informed."""
        while not stop.wait(COUNT_SECONDS):
            assert self.process is not None
            _write(self.process, json.dumps(self.counts()))

    def close(self) -> None:
        """Ends the process when it has answered what it has begun, or after some seconds."""
        self._closed = True
        self._end()

    def _end(self) -> int:
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(STOPPING_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _write(process: "subprocess.Popen[bytes]", line: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended, which `watch` or `start` will see
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()


def tell_accepted(told: int, job: keys.JobId) -> None:
    """Called in the process itself, with the descriptor of its stdout. Passes the id on, unless
    nobody has read what was told before: the job is found within a second all the same."""
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(told, f"{job}\n".encode())  # whole or not at all: it is short

"""A child process in which untrusted bytes are decoded, and the pipes to it.

Decoders of pictures and videos are large native libraries: one can hang, crash or ask for all the
memory. So they run in a worker process, which is killed when its time is up. It is a plain
subprocess, not multiprocessing: that would import the caller's `__main__` again in each worker,
and with a console script that is the whole of dagster.

Workers never see Ctrl-C, and end by themselves when this process does.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from okla_assets.imaging.photo.refusals import REFUSAL_REASONS, Refused
from okla_assets.imaging.types import Rgb
from resources.decoding.decode_worker import read_header
from resources.errors import BrokenSetup

log = logging.getLogger(__name__)


class WorkerProcess:
    """A started `python -m module arguments` that has reported that it is ready.

    `requests` and `answers` are its pipes. Raises BrokenSetup, calling it `what`, where it is not
    ready within `start_seconds`.
    """

    def __init__(
        self, what: str, module: str, arguments: Sequence[str], start_seconds: float
    ) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        self.last_words = ""
        environment = os.environ | {
            # The worker finds the code where this process does, installed or not.
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,  # Ctrl-C goes to the process group: the worker has its own
        )
        assert self.process.stdin and self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout
        with Deadline(self.process, start_seconds):
            ready = read_header(self.answers)
        if ready is None:
            self.stop()
            raise BrokenSetup(f"{what} does not start:\n{self.last_words}")

    def stop(self) -> None:
        """Kills the process and waits for its end; `last_words` is then the end of its stderr."""
        if self._stderr.closed:
            return
        self.process.kill()
        self.process.wait()
        self._stderr.seek(0)
        self.last_words = self._stderr.read()[-2000:].decode(errors="replace").strip()
        self._stderr.close()
        for stream in (self.requests, self.answers):
            try:
                stream.close()
            except BrokenPipeError:
                log.debug("unsent bytes of a killed decoder dropped")


class Deadline:
    """Kills a process when the time is up; `passed` is then True."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.passed = False
        self._process = process
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def _pass(self) -> None:
        self.passed = True
        self._process.kill()

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()


def refusal_in(answer: Mapping[str, Any]) -> Refused:
    """The refusal that a header holds. Raises ValueError for a reason that no decoder has."""
    reason, detail = answer["refused"]
    if reason not in REFUSAL_REASONS:
        raise ValueError(f"an impossible answer: {reason!r}")
    return Refused(reason, str(detail))


def read_picture(stream: IO[bytes], shape: Sequence[int], longest: int) -> Rgb | None:
    """The picture whose header told its shape; None where the process ended in the middle of it.

    Raises ValueError for a shape that no decoder has, as of a side of more than `longest` pixels.
    """
    height, width, channels = shape
    if channels != 3 or not 0 < min(height, width) <= max(height, width) <= longest:
        raise ValueError(f"an impossible answer: {shape}")
    rgb = np.empty((height, width, 3), np.uint8)
    return rgb if read_into(stream, rgb.data.cast("B")) == rgb.nbytes else None


def read_into(stream: IO[bytes], view: memoryview) -> int:
    """Fills `view` from the stream; how much came before its end."""
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            break
        filled += count
    return filled

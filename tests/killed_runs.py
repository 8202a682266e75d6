"""Runs a vehicle again and again, killed a little later each time; `test_kill` starts it.

`python -m tests.killed_runs BEFORE OUT EVERY` copies the media folder BEFORE to OUT/calm and runs
it through; then, for every EVERY-th moment at which that run changed something on disk, copies
BEFORE to OUT/n, runs it with a SIGKILL at that moment, copies what it left to OUT/n.killed, and
runs it again to its end. All but the first are forks of this process, which is warm by then.
"""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cv2

from resources.storage.media_store import LocalMediaStore
from tests.fakes import Pipeline
from tests.instances import forgetful_instance


def run(folder: Path, kill_at: int = 0) -> int:
    """Runs the vehicle of the media folder; how many moments there were to be killed at."""
    moments, one_at_a_time = 0, threading.Lock()

    def moment() -> bool:
        nonlocal moments
        with one_at_a_time:
            moments += 1
            return moments == kill_at

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    write_bytes = Path.write_bytes

    def dying_write(path: Path, data: bytes) -> int:
        if moment():
            write_bytes(path, data[: len(data) // 2])
            die()
        return write_bytes(path, data)

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Path, *args: Any, **options: Any) -> Any:
            if moment():
                die()
            result = change(path, *args, **options)
            if moment():
                die()
            return result

        return changed

    changes: dict[str, Any] = {
        "write_bytes": dying_write,
        "replace": dying(Path.replace),
        "unlink": dying(Path.unlink),
    }
    with mock.patch.multiple(Path, **changes), forgetful_instance() as instance:
        Pipeline(LocalMediaStore(root=str(folder)), instance).run()
    return moments


def forked(folder: Path, kill_at: int = 0) -> int:
    """`run` in a child; its exit status, minus the signal where it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(folder, kill_at)
            status = 0
        finally:
            os._exit(status)
    _, wait_status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(wait_status)


def main() -> None:
    """See the module."""
    before, out, every = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    cv2.setNumThreads(1)  # a pool of threads would not survive the fork
    shutil.copytree(before, out / "calm")
    moments = run(out / "calm")
    for kill_at in range(1, moments + 1, every):
        folder = out / str(kill_at)
        shutil.copytree(before, folder)
        assert forked(folder, kill_at) == -signal.SIGKILL
        shutil.copytree(folder, out / f"{kill_at}.killed")
        assert forked(folder) == 0


if __name__ == "__main__":
    main()

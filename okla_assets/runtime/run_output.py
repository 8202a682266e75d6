"""What runs print, native crashes included: kept on this machine, and shown in Dagster's UI.

Steps report by events and print nothing when all is well. What they do print is a library's
warning, or the last words of a process that the system or a fault in native code has ended: those
must not be lost. A run's output is deleted where it is empty, cut where it is long, and kept for
some weeks.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from okla_assets.runtime.dagster_private import (
    CapturedLogContext,
    ComputeIOType,
    ConfigurableClassData,
    LocalComputeLogManager,
)
from okla_assets.runtime.processes import KEEPS_OUTPUT

LONGEST = 2**20
"""Bytes of one file that are kept, the last ones."""
KEPT_SECONDS = 30 * 86400
MOST_FILES = 2000
_SUFFIXES = {ComputeIOType.STDOUT: "out", ComputeIOType.STDERR: "err"}


class KeptOutput(LocalComputeLogManager):
    """The standard output and error of each run, as files below `base_dir`."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Sends both streams of this process to the run's files while the context lasts.

        File descriptors are redirected, so that native code and children write there as well.
        """
        if not os.environ.get(KEEPS_OUTPUT):
            yield CapturedLogContext(log_key)
            return
        paths = [
            Path(self.get_captured_local_path(log_key, _SUFFIXES[kind])) for kind in ComputeIOType
        ]
        tidy(Path(self._base_dir))
        with ExitStack() as redirected:
            for stream, path in zip((sys.stdout, sys.stderr), paths, strict=True):
                redirected.enter_context(_redirected(stream, path))
            yield CapturedLogContext(log_key)
        for path in paths:
            shorten(path)
        if any(path.exists() for path in paths):
            Path(self.get_captured_local_path(log_key, "complete")).touch()


@contextmanager
def _redirected(stream: IO[str], path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream.flush()
    number = stream.fileno()
    before = os.dup(number)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
        yield
    finally:
        stream.flush()
        os.dup2(before, number)
        os.close(before)


def shorten(path: Path) -> None:
    """Deletes an empty file; of one longer than LONGEST keeps the end."""
    size = path.stat().st_size if path.exists() else 0
    if not size:
        path.unlink(missing_ok=True)
    elif size > LONGEST:
        with path.open("rb") as file:
            file.seek(size - LONGEST)
            end = file.read()
        path.write_bytes(b"... (the beginning was left out)\n" + end)


def tidy(folder: Path) -> None:
    """Deletes files of KEPT_SECONDS ago, and all but the newest MOST_FILES; cuts what a killed
    process left."""
    now = time.time()
    for position, (modified, path) in enumerate(sorted(_dated(folder), reverse=True)):
        if position >= MOST_FILES or now - modified > KEPT_SECONDS:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                path.parent.rmdir()
                path.parent.parent.rmdir()
        elif now - modified > 3600:
            with suppress(FileNotFoundError):
                shorten(path)


def _dated(folder: Path) -> Iterator[tuple[float, Path]]:
    """The files below, with when they were changed, but for those that go meanwhile: each run that
    begins or ends beside this one deletes some."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            with suppress(FileNotFoundError):
                yield path.stat().st_mtime, path

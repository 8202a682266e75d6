"""What Dagster's servers print: all of it to files, and to a person each warning once.

A database that goes away makes the servers print thousands of lines; the first of them says all.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

LARGEST, OLDER = 5 * 2**20, 2
"""Bytes of a log file, and how many older ones are kept beside it."""
MOST_TOLD = 1000
LAST_LINES = 15

_PROBLEM = re.compile(r".* - (WARNING|ERROR|CRITICAL) - (.*)")
_OF_A_RUN = re.compile(r"(STEP|RUN)_FAILURE")
_VARIES = re.compile(r"\b[0-9a-f-]{8,}\b|\d+")


class _Log(RotatingFileHandler):
    """A log file; where the disk is full its lines are missing, and nothing else is."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Nothing: logging's own prints a traceback with each line."""


class ServerOutput:
    """Reads what servers print; `tell` gets a server's name and a sentence that a person wants.

    With `everything` each line is told.
    """

    def __init__(
        self, folder: Path, tell: Callable[[str, str], None], *, everything: bool = False
    ) -> None:
        self.folder = folder
        self._tell = tell
        self._everything = everything
        self._told: set[str] = set()
        self._last: dict[str, deque[str]] = {}
        self._logs: dict[str, _Log] = {}

    def follow(self, name: str, stream: IO[bytes]) -> threading.Thread:
        """Reads a server's output in a thread until it ends."""
        self._last[name] = deque(maxlen=LAST_LINES)
        if name not in self._logs:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{name.replace(' ', '-')}.log"
            self._logs[name] = _Log(
                path, maxBytes=LARGEST, backupCount=OLDER, encoding="utf-8", delay=True
            )
        reader = threading.Thread(target=self._read, args=(name, stream), daemon=True)
        reader.start()
        return reader

    def last_lines(self, name: str) -> str:
        """The end of what the server printed since it was started."""
        return "\n".join(self._last.get(name, ()))

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="backslashreplace").rstrip()
                self._last[name].append(line)
                self._logs[name].emit(logging.makeLogRecord({"msg": line}))
                if self._everything:
                    self._tell(name, line)
                elif problem := self._new_problem(line):
                    self._tell(name, problem)
        with suppress(OSError):
            self._logs[name].close()  # opened again where the server is started again

    def _new_problem(self, line: str) -> str | None:
        found = _PROBLEM.fullmatch(line)
        if found is None or _OF_A_RUN.search(line):  # a run that failed is told with its vehicle
            return None
        gist = _VARIES.sub("", found[2])
        if gist in self._told or len(self._told) >= MOST_TOLD:
            return None
        self._told.add(gist)
        return f"{found[1].lower()}: {found[2].removeprefix('__repository__ - ')}"

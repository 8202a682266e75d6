"""What tests of the doors share: an application that answers on a real port of this machine."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from okla_assets.doors.callers.caller import Anybody
from okla_assets.doors.connections import server_config
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.links import Links
from resources.storage.media_store import LocalMediaStore
from tests.doors.web import Web, web


@contextmanager
def answering(app: FastAPI) -> Iterator[str]:
    """The application behind uvicorn while the context lasts; its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def door_on(store: LocalMediaStore) -> Door:
    """A door on these media that nobody but this machine can reach."""
    return Door(store, Jobs(store), Anybody(), Links(store, b"a secret of this test"))


@pytest.fixture
def door(store: LocalMediaStore) -> Door:
    """A door on an empty media folder."""
    return door_on(store)


@pytest.fixture
def server() -> Iterator[Web]:
    """A web server of a stranger."""
    with web() as one:
        yield one


Serve = Callable[[FastAPI], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts an application and returns its address; it stops with the test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(answering(app))

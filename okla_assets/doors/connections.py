"""The connections of the HTTP door, none of which is held by whoever sends or reads too slowly.

uvicorn limits how long an idle connection waits for its next request, but not how long a request's
headers take to arrive, nor an answer to be read. Bodies have their limits in `server.py`.
"""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 500
"""From there on those end that wait; it is below what a process may usually open (1024)."""
SPARE_CONNECTIONS = 100
"""Where none waits there may be so many more; the rest is answered 503."""
HEADER_BYTES = 64 * 1024
STOPPING_SECONDS = 10


class Connection(H11Protocol):
    """One of h11, which bounds the size of headers: httptools, which uvicorn takes where it is
    installed, does not.

    A connection on which no request is being answered ends `patience` seconds after it was made, or
    after its last answer, whatever part of a request has come; so does one whose other side reads
    nothing of an answer for so long. Where there are too many, the one that has waited longest for
    a request ends.
    """

    patience = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._reading: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stops waiting when a request's headers are complete."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Waits for the next request, unless that has come already."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        super().connection_lost(exc)
        for timer in (self._waiting, self._reading):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """The other side has not read what was sent."""
        super().pause_writing()
        self._reading = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """It has."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        elif not answering and self._waiting is None:
            self._waiting = self.loop.call_later(self.patience, self.transport.abort)

    def _make_room(self) -> None:
        waiting = [
            (one._waiting, one)
            for one in self.connections
            if isinstance(one, Connection) and one._waiting is not None
        ]
        if waiting:
            timer, longest = min(waiting, key=lambda pair: pair[0].when())
            timer.cancel()
            longest._waiting = None  # so that the next one ends another
            longest.transport.abort()


def server_config(app: Any) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        access_log=False,
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS + SPARE_CONNECTIONS,
        timeout_graceful_shutdown=STOPPING_SECONDS,
        server_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )

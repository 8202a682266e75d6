"""Web servers of strangers, on real ports of this machine, and name servers that lie."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

import pytest

PUBLIC = "93.184.215.14"
"""An address of the internet that no test ever reaches."""


@dataclass
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the server's `answers` say of the path; others are 404."""

    protocol_version = "HTTP/1.1"
    server: "Web"

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.received.append(Received(self.command, self.path, self.headers, body))
        self.server.answers.get(self.path, status(404))(self)

    def reply(self, code: int, body: bytes = b"", **headers: str) -> None:
        """An ordinary answer; `_` in names of headers is `-`."""
        self.send_response(code)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


class Web(ThreadingHTTPServer):
    """A server; what it received is in `received`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.received: list[Received] = []
        self.scheme = "http"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        """Its address and port, as OKLA_FETCH_HOSTS names them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its address by its number."""
        return f"{self.scheme}://{self.host}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients that hang up are what some tests are about


def gives(body: bytes, **headers: str) -> Answer:
    """200 with a body."""
    return lambda handler: handler.reply(200, body, **headers)


def status(code: int, **headers: str) -> Answer:
    """A status and nothing else."""
    return lambda handler: handler.reply(code, b"", **headers)


def leads_to(url: str, code: int = 302) -> Answer:
    """A redirect."""
    return status(code, Location=url)


@contextmanager
def web(context: SSLContext | None = None) -> Iterator[Web]:
    """A server while the context lasts; with TLS where a context is given."""
    server = Web()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass
class Names:
    """What the name server says: of each name a list of answers, the last for ever."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        """As socket.getaddrinfo."""
        self.asked.append(host)
        known = self.answers.get(host)
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = known.pop(0) if len(known) > 1 else known[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses
        ]


@contextmanager
def lying_names(answers: Mapping[str, list[list[str]]]) -> Iterator[Names]:
    """These answers instead of the name server's."""
    names = Names({name: list(given) for name, given in answers.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", names)
        yield names

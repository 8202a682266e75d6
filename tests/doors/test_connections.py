"""Those who send or read too slowly, or too much, hold up nobody: real sockets, short patience."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from okla_assets.doors import connections, server
from okla_assets.doors.connections import Connection
from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from tests.doors.conftest import Serve

pytestmark = pytest.mark.slow

HEAD = b"POST /api/ai-process/classify-image HTTP/1.1\r\nHost: localhost\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n"


@pytest.fixture
def url(door: Door, store: object, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A door that loses patience after half a second."""
    monkeypatch.setattr(Connection, "patience", 0.5)
    monkeypatch.setattr(server, "QUIET_SECONDS", 0.4)
    monkeypatch.setattr(server, "BODY_SECONDS", 1.0)
    yield serve(make_app(door))
    assert not list(door.jobs.unfinished())


def connected(url: str, *sent: bytes) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    for piece in sent:
        client.sendall(piece)
    return client


def rest(client: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    found = b""
    try:
        while piece := client.recv(1 << 16):
            found += piece
    except ConnectionResetError:
        pass
    return found


def dribbled(client: socket.socket, piece: bytes, seconds: float = 5) -> float:
    """Sends a piece every tenth of a second until the other side has enough; after how long."""
    began = time.monotonic()
    client.settimeout(0.1)
    while time.monotonic() - began < seconds:
        try:
            client.sendall(piece)
            if client.recv(1 << 16) == b"":
                return time.monotonic() - began
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return time.monotonic() - began
    pytest.fail("the connection is held for ever")


@pytest.mark.parametrize(
    "begun", [b"", b"G", HEAD, HEAD + b"X-A: ", b"GET / HTTP/1.1\r\nHost: x\r\n"]
)
def test_headers_that_never_end_are_not_waited_for(url: str, begun: bytes) -> None:
    with connected(url, begun) as client:
        assert requests.get(f"{url}/health", timeout=5).ok
        began = time.monotonic()
        assert rest(client) == b""
        assert time.monotonic() - began < 3


def test_headers_that_come_letter_by_letter_are_not_waited_for(url: str) -> None:
    with connected(url, HEAD + b"X-A: ") as client:
        assert dribbled(client, b"a") < 3


def test_a_second_request_that_never_ends_is_not_waited_for(url: str) -> None:
    with connected(url, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        assert b"Healthy" in client.recv(1 << 16)
        assert dribbled(client, b"G") < 3


@pytest.mark.parametrize(
    "request_head",
    [
        JSON + b"Content-Length: 1000\r\n\r\n{",
        JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        HEAD + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n\r\n--x",
        JSON.replace(b"ai-process/classify-image", b"aiprocessing/process")
        + b"Content-Length: 1000\r\n\r\n{",
        JSON.replace(b"/api/ai-process/classify-image", b"/v1.0/removebg")
        + b"Content-Length: 1000\r\n\r\n{",
        JSON.replace(b"/api/ai-process/classify-image", b"/v1/segment")
        + b"Content-Length: 1000\r\n\r\n{",
        HEAD.replace(b"/api/ai-process/classify-image", b"/api/remove")
        + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n\r\n--x",
        HEAD.replace(b"/api/ai-process/classify-image", b"/api/vehicles/CAR-1/photos")
        + b"Content-Type: image/jpeg\r\nContent-Length: 999\r\n\r\n\xff\xd8",
        HEAD.replace(b"/api/ai-process/classify-image", b"/api/video360/upload?vehicleId=CAR-1")
        + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999\r\n\r\n--x",
        JSON.replace(
            b"/api/ai-process/classify-image", b"/api/vehicle360processing/process-from-url"
        )
        + b"Content-Length: 1000\r\n\r\n{",
    ],
)
def test_a_body_that_stops_is_told_and_let_go(url: str, request_head: bytes) -> None:
    with connected(url, request_head) as client:
        assert requests.get(f"{url}/health", timeout=5).ok
        answer = rest(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too slowly" in answer


def test_a_body_that_comes_byte_by_byte_has_its_time_and_no_more(url: str) -> None:
    with connected(url, JSON + b"Content-Length: 100000\r\n\r\n{") as client:
        assert dribbled(client, b" ") < 5


def test_a_body_that_comes_evenly_may_take_long(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LEAST_BYTES_A_SECOND", 10)

    def slow() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.2)
            yield b" " * 100

    answer = requests.post(
        f"{url}/api/ai-process/classify-image",
        data=slow(),
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    assert answer.status_code == 400 and "JSON" in answer.json()["detail"]


def test_a_body_that_nobody_reads_ends_with_its_answer(url: str) -> None:
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    with connected(url, head) as client:
        assert b"404" in client.recv(1 << 16)
        assert dribbled(client, b"x") < 3


@pytest.mark.parametrize("name", [b"X-Long: " + b"a" * 200_000, b"X-One: 1\r\n" * 20_000])
def test_headers_without_end_are_refused(url: str, name: bytes) -> None:
    with connected(url) as client:
        try:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + name)
        except ConnectionResetError:
            return
        answer = rest(client)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


def test_whoever_does_not_read_his_answer_is_let_go(url: str, door: Door) -> None:
    door.store.put("processed/CAR-1/a.bin", bytes(40 << 20))
    link = door.links.path("processed/CAR-1/a.bin")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    host, port = url.removeprefix("http://").split(":")
    client.connect((host, int(port)))
    with client:
        client.sendall(f"GET {link} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(1.5)
        assert len(rest(client)) < 40 << 20
    door.store.delete("processed/CAR-1/a.bin")


def test_of_too_many_connections_those_that_wait_longest_end(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    url = serve(make_app(door))
    with ExitStack() as stack:
        waiting = [stack.enter_context(connected(url, b"GET / HT")) for _ in range(60)]
        for _ in range(5):
            assert requests.get(f"{url}/health", timeout=5).json() == {"status": "Healthy"}
        time.sleep(0.2)
        ended, _, _ = select.select(waiting, [], [], 0)
        assert 40 <= len(ended) <= 45
        assert waiting[0] in ended and waiting[-1] not in ended


def test_a_request_that_is_no_http_is_refused(url: str) -> None:
    for text in (
        b"\0\1\2\3\r\n\r\n",
        b"GET /health HTTP/one\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        JSON + b"Content-Length: -2\r\n\r\n{}",
        JSON + b"Content-Length: 2,3\r\n\r\n{}",
        JSON + b"Content-Length: 0x2\r\n\r\n{}",
        JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n{}\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500),
    ):
        with connected(url, text) as client:
            client.shutdown(socket.SHUT_WR)
            answer = rest(client)
        status = answer.split(b" ")[1:2]
        assert answer == b"" or status[0].startswith(b"4") or status[0] == b"501", (text, answer)


def test_a_second_request_hidden_in_a_body_is_none(url: str, door: Door) -> None:
    """Of two lengths the one that intermediaries may believe must not let a request through."""
    hidden = b"GET /api/backgrounds HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = JSON + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (
        5 + len(hidden)
    )
    with connected(url, both + hidden) as client:
        answer = rest(client)
    assert json.dumps("backgrounds").encode() not in answer or answer.startswith(b"HTTP/1.1 400")

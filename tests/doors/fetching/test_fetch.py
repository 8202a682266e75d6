"""Fetching from servers of this machine: what they may do to us, and what they may not."""

import hashlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from okla_assets.doors.fetching.addresses import AddressRules, CannotFetch, HostRule
from okla_assets.doors.fetching.fetch import Fetcher
from tests.doors.web import PUBLIC, Web, gives, leads_to, lying_names, status, web

HERE = [["127.0.0.1"]]


def fetcher_for(*servers: Web, names: tuple[str, ...] = ("127.0.0.1",), **more: float) -> Fetcher:
    hosts = tuple(HostRule(name, port=server.port) for server in servers for name in names)
    return Fetcher(
        AddressRules(hosts, every=True, private=True),
        **{"photo_seconds": 5.0, **more},  # type: ignore[arg-type]
    )


def refused_by(fetcher: Fetcher, url: str) -> CannotFetch:
    with pytest.raises(CannotFetch) as refused, fetcher.file(url):
        pass
    assert "127.0.0.1:" not in str(refused.value)
    return refused.value


@contextmanager
def raw(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that says what it likes; each connection has a thread."""

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                speak(connection)
            except OSError:  # the client hung up
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def raw_fetcher(port: int, **more: float) -> Fetcher:
    rules = AddressRules((HostRule("127.0.0.1", port=port),), private=True)
    return Fetcher(rules, **{"photo_seconds": 5.0, **more})  # type: ignore[arg-type]


def test_a_file_is_fetched_and_gone_after_its_context(server: Web) -> None:
    body = b"\xff\xd8" + bytes(range(256)) * 4000
    server.answers["/a%20b.jpg?x=%C3%A4"] = gives(body)
    with fetcher_for(server).file(f"{server.url}/a b.jpg?x=ä#part") as fetched:
        assert fetched.path.read_bytes() == body
        assert (fetched.size, fetched.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert not fetched.path.exists()
    (asked,) = server.received
    assert asked.headers["Host"] == f"127.0.0.1:{server.port}"
    assert asked.headers["Accept-Encoding"] == "identity"
    assert "authorization" not in asked.headers and "cookie" not in asked.headers


def test_a_name_is_asked_once_and_the_connection_goes_to_that_answer(server: Web) -> None:
    server.answers["/a.jpg"] = gives(b"photo")
    answers = {"photos.test": [["127.0.0.1"], ["169.254.169.254"]]}
    with lying_names(answers) as names:
        fetcher = fetcher_for(server, names=("photos.test",))
        with fetcher.file(f"http://photos.test:{server.port}/a.jpg") as fetched:
            assert fetched.size == 5
    assert names.asked == ["photos.test"]
    assert server.received[0].headers["Host"] == f"photos.test:{server.port}"


def test_a_name_that_is_public_only_when_it_is_checked_reaches_nothing_here() -> None:
    reached = []
    with raw(lambda connection: reached.append(connection)) as port:
        rules = AddressRules((HostRule("rebind.test", port=port),), every=True, private=False)
        answers = {"rebind.test": [[PUBLIC], ["127.0.0.1"]]}
        with lying_names(answers) as names:
            error = refused_by(Fetcher(rules, photo_seconds=0.3), f"https://rebind.test:{port}/")
    assert error.code == "download_failed" and reached == []
    assert names.asked == ["rebind.test"]


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/",
        "http://localhost:22/",
        "//10.0.0.1/x",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://metadata.test/",
        "https://2130706433/",
        "https://user:secret@example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "https://[bad/",
        "http://public.test/",
        "\\\\127.0.0.1\\x",
        "https:\\\\127.0.0.1/",
    ],
)
def test_a_redirect_is_checked_as_the_first_url_was(server: Web, location: str) -> None:
    server.answers["/a.jpg"] = leads_to(location)
    with lying_names({"metadata.test": [["169.254.169.254"]], "public.test": [[PUBLIC]]}):
        error = refused_by(fetcher_for(server), f"{server.url}/a.jpg")
    assert error.code in ("invalid_url", "url_not_allowed", "download_failed")
    assert "secret" not in str(error)
    assert [one.path for one in server.received if one.path.startswith("/a.jpg")] == ["/a.jpg"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Web, code: int) -> None:
    server.answers["/1"] = leads_to("/2?x", code)
    server.answers["/2?x"] = leads_to(f"{server.url}/f\xc3\xa4/3", code)
    server.answers["/f%C3%A4/3"] = gives(b"photo")
    with fetcher_for(server).file(f"{server.url}/1") as fetched:
        assert fetched.size == 5


def test_a_redirect_to_another_host_of_ours_is_checked_by_name(server: Web) -> None:
    server.answers["/a"] = leads_to(f"http://other.test:{server.port}/b")
    server.answers["/b"] = gives(b"photo")
    with lying_names({"other.test": HERE, "one.test": HERE}):
        url = f"http://one.test:{server.port}/a"
        assert refused_by(fetcher_for(server, names=("one.test",)), url).code == "url_not_allowed"
        with fetcher_for(server, names=("one.test", "other.test")).file(url) as fetched:
            assert fetched.size == 5


def test_a_redirect_without_end_is_given_up(server: Web) -> None:
    server.answers["/a"] = leads_to("/a")
    error = refused_by(fetcher_for(server), f"{server.url}/a")
    assert error.code == "download_failed" and len(server.received) == 6


@pytest.mark.parametrize("told", [True, False], ids=["told", "found"])
def test_a_file_that_is_too_large_is_given_up(server: Web, told: bool) -> None:
    sent = []

    def much(handler: object) -> None:
        from tests.doors.web import Handler

        assert isinstance(handler, Handler)
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(bytes(1 << 20))
            sent.append(1)

    server.answers["/big"] = much
    fetcher = fetcher_for(server, photo_bytes=3 << 20)
    assert refused_by(fetcher, f"{server.url}/big").code == "file_too_large"
    assert len(sent) < 100


def test_a_chunked_file_is_fetched_and_a_broken_one_is_not(server: Web) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def speak(end: bytes) -> Callable[[socket.socket], None]:
        def one(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(head + b"5\r\nphoto\r\n" + end)

        return one

    with raw(speak(b"0\r\n\r\n")) as port, raw_fetcher(port).file(f"http://127.0.0.1:{port}/") as f:
        assert f.path.read_bytes() == b"photo"
    for end in (b"", b"ffffffffffffffff\r\nx", b"zz\r\n", b"5\r\nab"):
        with raw(speak(end)) as port:
            fetcher = raw_fetcher(port, photo_seconds=0.4)
            error = refused_by(fetcher, f"http://127.0.0.1:{port}/")
            assert error.code == "download_failed"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"-ERR unknown command\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda said: said[:32].decode(),
)
def test_what_is_no_file_is_refused(said: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with raw(speak) as port:
        error = refused_by(raw_fetcher(port, photo_seconds=0.4), f"http://127.0.0.1:{port}/")
    assert error.code in ("download_failed", "empty_file")


def drip(head: bytes, drops: bytes) -> Callable[[socket.socket], None]:
    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(drops)
            time.sleep(0.05)

    return speak


@pytest.mark.parametrize(
    ("scheme", "speak"),
    [
        ("http", drip(b"HTTP/1.1 200 OK\r\n", b"X")),
        ("http", drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("http", drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x")),
        ("http", drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x")),
        ("http", drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")),
        ("http", lambda connection: time.sleep(10)),
        ("https", drip(b"\x16\x03\x03\x3f\xff", b"\x02")),
        ("https", lambda connection: time.sleep(10)),
    ],
    ids=["headers", "continue", "body", "endless body", "chunks", "nothing", "handshake", "no tls"],
)
def test_a_server_that_sends_slowly_has_its_time_and_no_more(
    scheme: str, speak: Callable[[socket.socket], None]
) -> None:
    with raw(speak) as port:
        began = time.monotonic()
        fetcher = raw_fetcher(port, photo_seconds=0.5)
        error = refused_by(fetcher, f"{scheme}://127.0.0.1:{port}/")
        assert time.monotonic() - began < 1.5
    assert error.code == "download_failed" and "too long" in str(error)


def test_a_failure_that_passes_is_tried_again(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okla_assets.doors.fetching.fetch.PAUSES", (0.01, 0.01))
    answers = [status(503), gives(b"x", Content_Length="5", Connection="close"), gives(b"photo")]
    server.answers["/a"] = lambda handler: answers.pop(0)(handler)
    with fetcher_for(server).file(f"{server.url}/a") as fetched:
        assert fetched.path.read_bytes() == b"photo"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refusal_is_not_tried_again(server: Web, code: int) -> None:
    server.answers["/a"] = status(code)
    error = refused_by(fetcher_for(server), f"{server.url}/a#part")
    assert error.code == "download_failed" and str(code) in str(error)
    assert len(server.received) == 1


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fetcher = raw_fetcher(port, photo_seconds=0.3)
    assert refused_by(fetcher, f"http://127.0.0.1:{port}/").code == "download_failed"


def test_no_proxy_of_the_environment_is_used(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answers["/a"] = gives(b"photo")
    with fetcher_for(server).file(f"{server.url}/a") as fetched:
        assert fetched.size == 5


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of these names, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
        for one in names
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pem)
    return serving, ssl.create_default_context(cafile=str(pem))


def test_a_certificate_has_to_be_of_the_name_that_was_asked_for(tmp_path: Path) -> None:
    serving, trust = certificate(tmp_path, "photos.test", "127.0.0.1")
    told: list[str | None] = []
    serving.sni_callback = lambda sock, name, context: told.append(name)
    with web(serving) as server, lying_names({"photos.test": HERE, "other.test": HERE}):
        server.answers["/a"] = gives(b"photo")
        hosts = tuple(
            HostRule(name, port=server.port) for name in ("photos.test", "other.test", "127.0.0.1")
        )
        rules = AddressRules(hosts, private=True)
        for host in ("photos.test", "127.0.0.1"):
            with Fetcher(rules, trust=trust).file(f"https://{host}:{server.port}/a") as fetched:
                assert fetched.size == 5
        assert told == ["photos.test", None]
        for fetcher, host in (
            (Fetcher(rules, trust=trust), "other.test"),
            (Fetcher(rules), "photos.test"),
        ):
            error = refused_by(fetcher, f"https://{host}:{server.port}/a")
            assert error.code == "download_failed" and "certificate" in str(error)
        assert len(server.received) == 2


def test_a_body_is_posted_and_the_status_is_told(server: Web) -> None:
    server.answers["/hook"] = status(503, Retry_After="7")
    answer = fetcher_for(server).post(f"{server.url}/hook", b"{}", {"X-One": "1"})
    assert answer == (503, "7")
    assert server.received[0].body == b"{}" and server.received[0].headers["X-One"] == "1"


def test_a_redirect_of_a_post_is_not_followed(server: Web) -> None:
    server.answers["/hook"] = leads_to("/other", 307)
    assert fetcher_for(server).post(f"{server.url}/hook", b"{}", {})[0] == 307
    assert [one.path for one in server.received] == ["/hook"]


def test_no_thread_and_no_file_is_left(server: Web) -> None:
    server.answers["/a"] = gives(b"photo")
    fetcher = fetcher_for(server)
    with fetcher.file(f"{server.url}/a"):
        pass
    time.sleep(0.1)
    before = threading.active_count()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with fetcher.file(f"{server.url}/a"):
            pass
        refused_by(fetcher, f"{server.url}/none")
    time.sleep(0.2)
    assert threading.active_count() <= before
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors

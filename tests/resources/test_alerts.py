"""The alert against a real server, as bad as servers are."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from resources.alerts import Alerts

LOG = logging.getLogger("okla-test")


@dataclass
class Webhook:
    """Answers with the next of `answers`, 204 when they are over; keeps what was posted."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    posted: list[dict[str, object]] = field(default_factory=list)


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    monkeypatch.setenv("no_proxy", "*")
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            hook.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.answers.pop(0) if hook.answers else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_port}/hook/secret"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


def send(url: str, timeout: float = 3.0) -> bool:
    alerts = Alerts(url=url, wait_seconds=0.01, timeout_seconds=timeout)
    return alerts.send("vehicle X failed", {"vehicle_id": "X", "source": None}, LOG)


def test_it_is_posted_as_json(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(webhook.url)
    assert webhook.posted == [{"text": "vehicle X failed", "vehicle_id": "X", "source": None}]
    monkeypatch.setenv("OKLA_ALERT_WEBHOOK_URL", webhook.url)
    assert send("")
    assert len(webhook.posted) == 2


def test_a_files_name_calls_nobody(webhook: Webhook) -> None:
    name = "<!here> & <@U1>.jpg"
    assert Alerts(url=webhook.url).send(f"{name} failed", {"error": name}, LOG)
    assert webhook.posted == [{"text": "&lt;!here&gt; &amp; &lt;@U1&gt;.jpg failed", "error": name}]


@pytest.mark.parametrize(
    ("answers", "taken", "tries"),
    [
        ([503, 429], True, 3),
        ([500] * 9, False, 3),
        ([400], False, 1),
        ([307], False, 1),  # a POST is not sent on to where nobody asked it to go
    ],
)
def test_only_what_may_pass_is_tried_again(
    webhook: Webhook, answers: list[int], taken: bool, tries: int
) -> None:
    webhook.answers = answers
    assert send(webhook.url) is taken
    assert len(webhook.posted) == tries


def test_a_dead_or_silent_server_costs_little(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    caplog.set_level(logging.DEBUG)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hook/secret"
        assert not send(address)  # refuses
        silent.listen()
        began = time.monotonic()
        assert not send(address, timeout=0.1)
        assert time.monotonic() - began < 6  # three tries of its usual 3 s would be 9
    assert "did not accept the alert" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://[", "ftp://x/y", "http://a b/"])
def test_a_useless_address_breaks_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not send(url)
    assert "vehicle X failed" in caplog.text


def test_without_an_address_it_is_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OKLA_ALERT_WEBHOOK_URL", raising=False)
    assert not send("")
    assert caplog.text.count("vehicle X failed") == 1

"""Real S3 over HTTP on 127.0.0.1, for tests of what lies in a bucket.

The server is moto. It takes any credentials until a test asks it to check them.
"""

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import pytest

BUCKET = "okla-media"
CODES = {
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    501: "NotImplemented",
    503: "SlowDown",
}
"""S3's words for what a `Front` answers instead of the server behind it."""


@dataclass(frozen=True)
class S3Server:
    """A server and a bucket of its own."""

    endpoint: str
    bucket: str = BUCKET


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """One server for the whole session; a test has a prefix of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = S3Server(f"http://{host}:{port}")
        client_of(made, "s3").create_bucket(Bucket=made.bucket)
        yield made
    finally:
        server.stop()


@pytest.fixture
def s3_place(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket, as a person would give it, with the environment set for it."""
    with_credentials(monkeypatch, moto_server, "test", "test")
    return f"s3://{moto_server.bucket}/{uuid.uuid4().hex}/media"


@pytest.fixture
def strict_place(
    moto_server: S3Server, s3_place: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The same, but the server checks signatures and policies; the environment has a good key.

    The key's user may do everything below this place, and nothing elsewhere.
    """
    below = s3_place.replace("s3://", "arn:aws:s3:::")
    objects = {"Effect": "Allow", "Action": "s3:*", "Resource": f"{below}/*"}
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": below.partition("/")[0]}
    policy = {"Version": "2012-10-17", "Statement": [objects, listing]}
    with only_allowed(moto_server, policy, monkeypatch):
        yield s3_place


@contextmanager
def only_allowed(
    server: S3Server, policy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The server checks everything, and the environment has a key to what this policy allows."""
    from moto.core.authorization import enable_iam_authentication

    iam = client_of(server, "iam")
    user = f"seller-{uuid.uuid4().hex}"
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="media", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    with_credentials(monkeypatch, server, key["AccessKeyId"], key["SecretAccessKey"])
    forget_clients()
    with enable_iam_authentication():
        yield
    forget_clients()


@pytest.fixture
def front(
    moto_server: S3Server, s3_place: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Front"]:
    """A server in front of that of `s3_place`, which the environment then names instead."""
    with Front(moto_server.endpoint) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
        yield server


class Front:
    """Passes requests on, after it has given each of `answers` to one of them.

    An answer is a status (with S3's error of that kind), or "cut": the true answer, but the
    connection breaks in the middle of its body. `seen` has the method and path of each request,
    `sent` the bytes of all answers.
    """

    def __init__(self, behind: str) -> None:
        self.answers: list[int | str] = []
        self.seen: list[str] = []
        self.sent = 0
        front, target = self, urlsplit(behind).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                front.seen.append(f"{self.command} {self.path}")
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = front.answers.pop(0) if front.answers else "pass"
                if isinstance(answer, int):
                    code = CODES.get(answer, "InternalError")
                    self.answer(answer, {}, f"<Error><Code>{code}</Code></Error>".encode())
                    return
                behind = HTTPConnection(target)
                behind.request(self.command, self.path, body, dict(self.headers))
                got = behind.getresponse()
                data = got.read()
                behind.close()
                headers = {k: v for k, v in got.getheaders() if k not in ("Date", "Server")}
                if answer == "cut":
                    headers["Content-Length"] = str(len(data))
                    data, self.close_connection = data[: len(data) // 2], True
                self.answer(got.status, headers, data)

            def answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name not in ("Connection", "Transfer-Encoding"):
                        self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    front.sent += len(data)
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def requests(self, method: str) -> list[str]:
        """The paths asked for by this method."""
        return [line.split(" ")[1] for line in self.seen if line.startswith(f"{method} ")]

    def __enter__(self) -> "Front":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def client_of(server: S3Server, service: str) -> Any:
    """Past the project: as the owner of the account would."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def with_credentials(
    monkeypatch: pytest.MonkeyPatch, server: S3Server, key: str, secret: str
) -> None:
    """The environment of somebody who uses this server; nothing else of AWS's is in it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "OKLA_S3_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def forget_clients() -> None:
    """The next request reads the credentials anew; making a client takes a quarter of a second."""
    from resources.storage import s3_client

    s3_client.forget_clients()


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

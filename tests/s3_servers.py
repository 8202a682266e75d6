"""Real S3 servers on 127.0.0.1, for tests of what lies in a bucket.

moto takes any credentials; s3rver (npm) checks signatures.
"""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources import s3_client

S3RVER = "s3rver@3.7.1"
S3RVER_KEY = "S3RVER"
"""Its only access key, and also the secret of it."""
BUCKET = "okla-media"


@dataclass(frozen=True)
class S3Server:
    """A server and a bucket of its own."""

    endpoint: str
    bucket: str = BUCKET


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """One server for the whole session; a test has a prefix of its own."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = S3Server(f"http://{host}:{port}")
        boto3.client(
            "s3",
            endpoint_url=made.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).create_bucket(Bucket=made.bucket)
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3rver() -> Path:
    """The program of a server that checks signatures, installed where it is missing."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, for a server that checks credentials")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "okla-media-tests" / S3RVER.replace("@", "-")
    program = folder / "node_modules" / ".bin" / "s3rver"
    if not program.exists():
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
        command += ["--ignore-scripts", "--fetch-retries=1", S3RVER]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"npm cannot install {S3RVER}: {made.stderr.strip()[-300:]}")
    return program


@pytest.fixture(scope="session")
def strict_server(s3rver: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that refuses every signature but that of S3RVER_KEY."""
    port = free_port()
    folder = tmp_path_factory.mktemp("s3rver")
    command = [str(s3rver), "--directory", str(folder), "--address", "127.0.0.1"]
    command += ["--port", str(port), "--configure-bucket", BUCKET, "--silent"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            wait_for(port)
            yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            child.kill()


@pytest.fixture
def s3_place(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty place in a bucket, as a person would give it, with the environment set for it."""
    with_credentials(monkeypatch, moto_server, "test", "test")
    yield f"s3://{moto_server.bucket}/{uuid.uuid4().hex}/media"
    s3_client.forget_clients()


@pytest.fixture
def strict_place(strict_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same at the server that checks credentials, with the right ones."""
    with_credentials(monkeypatch, strict_server, S3RVER_KEY, S3RVER_KEY)
    yield f"s3://{strict_server.bucket}/{uuid.uuid4().hex}"
    s3_client.forget_clients()


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
    s3_client.forget_clients()


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 30) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)

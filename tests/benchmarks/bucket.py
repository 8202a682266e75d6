"""What it costs a vehicle that its media lie in a bucket: seconds, and requests by kind.

    python -m tests.benchmarks.bucket --photos 24 --milliseconds 25

The models are fakes and the photos small, so that what is measured is the waiting. The store is a
real S3 server on this machine, and each request takes so much longer, as from a bucket elsewhere.
The vehicle is made in a local folder, then in the bucket, then there again with nothing changed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import EndpointConnectionError

from okla_assets import keys
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.s3_store import S3MediaStore
from resources.storage.stores import store_for
from tests import pictures
from tests.fakes import VEHICLE, Pipeline
from tests.s3_servers import (
    BUCKET,
    S3Server,
    client_of,
    forget_clients,
    free_port,
    with_credentials,
)


class Network:
    """Delays each request of a client, and keeps its name and key."""

    def __init__(self, client: Any) -> None:
        self.seconds = 0.0
        self.seen: list[tuple[str, str]] = []
        client.meta.events.register("before-parameter-build.s3", self._notes)
        client.meta.events.register("before-send.s3", self._waits)

    def _notes(self, params: Any, model: Any, **_: object) -> None:
        self.seen.append((model.name, params.get("Key") or params.get("Prefix") or ""))

    def _waits(self, **_: object) -> None:
        time.sleep(self.seconds)


@contextmanager
def bucket() -> Iterator[S3MediaStore]:
    """An empty bucket on a server in a process of its own."""
    behind = S3Server(f"http://127.0.0.1:{(port := free_port())}")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with pytest.MonkeyPatch.context() as environment:
            with_credentials(environment, behind, "test", "test")
            client = client_of(behind, "s3")
            while True:
                try:
                    client.create_bucket(Bucket=BUCKET)
                    break
                except EndpointConnectionError:  # it starts
                    time.sleep(0.2)
            forget_clients()
            store = store_for(f"s3://{BUCKET}/media")
            assert isinstance(store, S3MediaStore)
            yield store
    finally:
        server.terminate()
        server.wait()


def upload(pipeline: Pipeline[MediaStore], count: int) -> None:
    """Three exteriors to a cabin."""
    pipeline.store.put(keys.options(VEHICLE), b'{"promo": false}')
    pipeline.upload(
        {
            f"{n:03d}.jpg": pictures.jpeg(pictures.cabin(n) if n % 4 == 3 else pictures.car(n))
            for n in range(count)
        }
    )


def seconds_of(pipeline: Pipeline[MediaStore]) -> float:
    """A run of the vehicle."""
    began = time.perf_counter()
    outcome = pipeline.run()
    assert outcome.listing.status == "ready", outcome.listing.reasons
    return time.perf_counter() - began


def kinds(seen: list[tuple[str, str]]) -> Counter[str]:
    """Requests by operation and folder."""
    folders = (key.removeprefix("media/").replace(f"{VEHICLE}/", "") for _, key in seen)
    places = (folder.rpartition("/")[0] for folder in folders)
    return Counter(f"{name} {place}" for (name, _), place in zip(seen, places, strict=True))


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--milliseconds", type=float, default=25)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        dg.DagsterInstance.ephemeral() as instance,
        bucket() as store,
    ):
        local: Pipeline[MediaStore] = Pipeline(LocalMediaStore(root=folder), instance)
        remote: Pipeline[MediaStore] = Pipeline(store, instance)
        upload(local, given.photos)
        upload(remote, given.photos)
        seconds_of(local)  # imports, decoder processes
        print(f"in a folder, nothing changed: {seconds_of(local):.1f} s")
        for info in list(local.store.list("")):
            if not info.key.startswith("raw/"):
                local.store.delete(info.key)
        print(f"in a folder: {seconds_of(local):.1f} s")
        network = Network(store._client())
        for what in ("in the bucket", "in the bucket, nothing changed"):
            network.seconds = given.milliseconds / 1000
            network.seen.clear()
            took = seconds_of(remote)
            print(f"{what}: {took:.1f} s, {len(network.seen)} requests")
            for kind, count in kinds(network.seen).most_common():
                print(f"  {count:5d}  {kind}")


if __name__ == "__main__":
    main()

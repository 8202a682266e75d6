"""The card's daily life, whole: `okla up` on a bucket and PostgreSQL, and a client that uploads.

    python -m tests.benchmarks.daily_life FOLDER [--stay SECONDS]

FOLDER holds a folder of photos a vehicle. They are uploaded by boto3 alone, one after the other,
vehicle by vehicle, into a bucket of moto's S3 server; nothing else is touched. When every vehicle
has its listing, one more photo of the last one follows. Printed: what each vehicle became and when,
how many runs each had, and how many photos the last run computed. `--stay` leaves the servers on
for a look at Dagster's UI.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from okla_assets import keys
from okla_assets.runtime.instance import POSTGRES_URL, open_instance
from tests.conftest import REPOSITORY
from tests.postgres import running_postgres
from tests.s3_servers import BUCKET, S3Server, client_of, free_port

LONGEST_SECONDS = 3600


def photos_of(folder: Path) -> dict[keys.VehicleId, list[Path]]:
    """The photos of each folder's vehicle."""
    found = {}
    for vehicle in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = [
            p for p in sorted(vehicle.rglob("*")) if keys.suffix_of(p.name) in keys.PHOTO_SUFFIXES
        ]
        if files:
            found[keys.vehicle_id_from_folder(vehicle.name)] = files
    return found


@contextmanager
def bucket() -> Iterator[S3Server]:
    """A bucket on a server of its own."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = S3Server(f"http://{host}:{port}")
        client_of(made, "s3").create_bucket(Bucket=made.bucket)
        yield made
    finally:
        server.stop()


@contextmanager
def okla_up(environment: Mapping[str, str], folder: Path, port: int) -> Iterator[None]:
    """`okla up` on the bucket, stopped as a person would."""
    command = [sys.executable, "-m", "okla_assets", "up", "--out", f"s3://{BUCKET}"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def listing_of(s3: Any, vehicle: keys.VehicleId) -> dict[str, Any] | None:
    """The vehicle's listing.json, where there is one."""
    try:
        body = s3.get_object(Bucket=BUCKET, Key=keys.listing(vehicle))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    found: dict[str, Any] = json.loads(body)
    return found


def runs_of(instance: dg.DagsterInstance, vehicle: keys.VehicleId) -> list[dg.RunRecord]:
    """The vehicle's runs, the latest first."""
    return list(
        instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": vehicle}), limit=10)
    )


def computed(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """How many photos each step of a run computed."""
    found = {}
    for event in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        materialization = event.asset_materialization
        if materialization and "computed" in materialization.metadata:
            name = materialization.asset_key.path[-1]
            found[name] = materialization.metadata["computed"].value
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stay", type=float, default=0.0)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    uploads = photos_of(given.folder.resolve())
    last = list(uploads)[-1]
    late = uploads[last].pop()
    with (
        bucket() as server,
        running_postgres() as postgres,
        tempfile.TemporaryDirectory() as folder,
    ):
        changed = {
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            POSTGRES_URL: postgres.url,
        }
        os.environ.pop("DAGSTER_HOME", None)
        os.environ.update(changed)
        os.chdir(folder)
        port = free_port()
        with okla_up(os.environ, Path(folder), port):
            s3 = client_of(server, "s3")
            began = time.monotonic()
            for vehicle, files in uploads.items():
                for path in files:
                    s3.upload_file(str(path), BUCKET, keys.raw_photos(vehicle) + path.name)
            count = sum(map(len, uploads.values()))
            print(f"{count} photos of {len(uploads)} vehicles uploaded, UI on port {port}")
            waiting = dict(uploads)
            while waiting:
                if time.monotonic() - began > LONGEST_SECONDS:
                    raise SystemExit(f"no listing of {', '.join(waiting)}")
                for vehicle in list(waiting):
                    if found := listing_of(s3, vehicle):
                        shown = sum(p["treatment"] == "studio" for p in found["photos"])
                        print(
                            f"{time.monotonic() - began:6.0f} s {vehicle}: {found['status']}, "
                            f"{len(found['photos'])} of {len(uploads[vehicle])} photos, "
                            f"{shown} in the studio {found['reasons']}",
                            flush=True,
                        )
                        del waiting[vehicle]
                time.sleep(1)
            with open_instance(f"s3://{BUCKET}") as instance:
                wait_for_rest(instance)
                print("runs:", {v: len(runs_of(instance, v)) for v in uploads})
                began = time.monotonic()
                s3.upload_file(str(late), BUCKET, keys.raw_photos(last) + late.name)
                while len(runs_of(instance, last)) < 2:
                    time.sleep(0.5)
                asked = time.monotonic() - began
                wait_for_rest(instance)
                spent = time.monotonic() - began
                print(
                    f"one more photo: run asked for after {asked:.0f} s, done after {spent:.0f} s"
                )
                time.sleep(30)  # a second run would have been asked for by now
                made = runs_of(instance, last)
                print(f"runs of {last}: {len(made)}; computed:", end=" ")
                print(computed(instance, made[0].dagster_run.run_id))
                for record in made[::-1]:
                    begin, end = record.start_time or 0, record.end_time or 0
                    launch = begin - record.create_timestamp.timestamp()
                    print(f"queue and launch {launch:.1f} s, run {end - begin:.1f} s")
            time.sleep(given.stay)


def wait_for_rest(instance: dg.DagsterInstance) -> None:
    """Until no run waits or is in progress."""
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    while instance.get_runs(unfinished, limit=1):
        time.sleep(0.5)


if __name__ == "__main__":
    main()

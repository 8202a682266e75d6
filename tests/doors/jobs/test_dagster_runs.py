"""`okla up --api`: quick jobs by a lane, whole vehicles by Dagster's own queue."""

import os
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import psutil
import pytest
import requests

from okla_assets import dagster_tags, keys
from okla_assets.vehicle_runs import JOB_TAG, RUN_KEY_TAG
from tests import pictures
from tests.rabbitmq import free_ports
from tests.running import Up, listens, wait_for

pytestmark = pytest.mark.slow

PHOTOS = [pictures.jpeg(pictures.car(n)) for n in range(6)]


@pytest.fixture(scope="module")
def api() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, api: int) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    environment = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"} | {
        "OKLA_DEFINITIONS": "tests.up_definitions",
        "OKLA_TEST_GATE": str(folder / "gate"),
    }
    okla = Up(folder / "media", free_ports(1)[0], environment, ("--api", "--api-port", str(api)))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        okla.start()
        wait_for(lambda: listens(api), 60)
        try:
            yield okla
        finally:
            okla.stop()


def ask(api: int, operation: str, photos: list[bytes] = PHOTOS[:2], **fields: Any) -> str:
    answer = requests.post(
        f"http://127.0.0.1:{api}/api/ai-process/{operation}",
        files=[("file", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(photos)],
        data=fields,
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["statusCheckUrl"])


def status(api: int, address: str) -> dict[str, Any]:
    told: dict[str, Any] = requests.get(f"http://127.0.0.1:{api}{address}", timeout=30).json()
    return told


def ended(api: int, address: str) -> dict[str, Any]:
    until = time.monotonic() + 240
    while (told := status(api, address))["status"] not in ("completed", "failed", "cancelled"):
        assert time.monotonic() < until, told
        time.sleep(0.2)
    return told


def test_a_quick_job_is_a_lanes(up: Up, api: int) -> None:
    quick = ended(api, ask(api, "classify-image", vehicleId="QUICK-1"))
    assert quick["status"] == "completed", quick
    (run,) = up.runs(keys.parse_vehicle_id("QUICK-1"))
    assert dagster_tags.SENSOR not in run.tags and RUN_KEY_TAG not in run.tags


def test_a_vehicle_that_is_said_to_be_complete_is_made(up: Up, api: int) -> None:
    upload = requests.post(
        f"http://127.0.0.1:{api}/api/vehicles/WHOLE-1/photos",
        files=[("file", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(PHOTOS[:2])],
        timeout=60,
    )
    assert upload.ok, upload.text
    vehicle = keys.parse_vehicle_id("WHOLE-1")
    requests.put(
        f"http://127.0.0.1:{api}/api/vehicles/WHOLE-1/options", json={"promo": False}, timeout=30
    ).raise_for_status()
    requests.post(f"http://127.0.0.1:{api}/api/vehicles/WHOLE-1/ready", timeout=30)
    up.wait_until_listed(vehicle)  # by the sensor of uploads


def test_a_360_job_is_a_run_of_dagsters_own(up: Up, api: int) -> None:
    told = ended(api, ask(api, "generate-360", PHOTOS, vehicleId="TURN-1", type="x"))
    assert told["status"] == "failed"  # six photos from one side make no view, and that is told
    assert told["errorMessage"]
    (run,) = up.runs(keys.parse_vehicle_id("TURN-1"))
    assert run.tags[dagster_tags.SENSOR] == "jobs"
    assert run.tags[JOB_TAG].startswith(told["jobId"])
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_a_door_that_is_killed_is_started_again(up: Up, api: int) -> None:
    (door,) = (one for one in up.servers() if "serve" in one.cmdline())
    address = ask(api, "classify-image", vehicleId="QUICK-2")
    family = [door, *door.children(recursive=True)]
    door.kill()
    # Its child that listens ends a moment after it, and would be taken for the next one's.
    psutil.wait_procs(family, 30)
    wait_for(lambda: listens(api), 90)
    assert ended(api, address)["status"] == "completed"

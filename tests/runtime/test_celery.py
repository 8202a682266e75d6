"""Two workers behind RabbitMQ and PostgreSQL, all of them real, while things are killed.

`OKLA_TEST_VEHICLES=40` makes it as long as in the acceptance; by itself it is shorter.
"""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import pytest
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.make_app import make_app
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from okla_assets import keys
from okla_assets.runtime.celery_app import QUEUE
from okla_assets.runtime.dagster_private import ExecuteRunArgs, pack_value
from okla_assets.runtime.instance import open_instance
from tests import pictures
from tests.celery_definitions import HELD
from tests.running import Up, wait_for
from tests.workers import House, running_house

pytestmark = pytest.mark.slow

VEHICLES = int(os.environ.get("OKLA_TEST_VEHICLES", "12"))
PHOTO = pictures.jpeg(pictures.car())
SETTLED = 15
"""Seconds in which a run that counts as lost is marked so."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), workers=2) as house:
        yield house


def test_a_worker_loads_its_models_once(house: House) -> None:
    vehicles = [keys.parse_vehicle_id(f"vin-calm-{n}") for n in range(6)]
    for vehicle in vehicles:
        house.up.upload(vehicle, {"1.jpg": PHOTO})
    for vehicle in vehicles:
        house.up.wait_until_listed(vehicle)
    loads = house.loads()
    assert len(loads) == len(set(loads)) == len(house.workers)


def test_a_run_that_is_cut_before_it_began_is_made_once(house: House) -> None:
    """Its task ends while the same task goes on in another worker, which a message sent twice does
    as well."""
    vehicle = keys.parse_vehicle_id("held-early")
    (house.folder / "loading.hold").touch()
    for child in house.loads():
        os.kill(int(child), signal.SIGKILL)  # the next ones load the definitions anew
    house.up.upload(vehicle, {"1.jpg": pictures.jpeg(pictures.car(paint=HELD["early"]))})
    house.wait_until_held("loading")
    house.rabbit.cut_connections()
    house.wait_until_held("early")
    send_again(house, vehicle)
    time.sleep(SETTLED)
    assert statuses(house.up, vehicle) == ["STARTED"]
    house.let_go("early")
    house.up.wait_until_listed(vehicle)
    assert statuses(house.up, vehicle) == ["SUCCESS"]


def test_whatever_is_killed_every_vehicle_is_made_once(house: House) -> None:
    names = ("killed", "cut", "terminated")
    held = {name: keys.parse_vehicle_id(f"held-{name}") for name in names}
    others = [keys.parse_vehicle_id(f"vin-{n}") for n in range(VEHICLES - len(held))]

    def upload_held(name: str) -> None:
        photo = pictures.jpeg(pictures.car(paint=HELD[name]))
        house.up.upload(held[name], {"1.jpg": photo})

    upload_held("killed")
    upload_held("cut")
    for vehicle in others:
        house.up.upload(vehicle, {"1.jpg": PHOTO})
    os.kill(house.wait_until_held("killed"), signal.SIGKILL)
    house.let_go("killed")
    house.wait_until_held("cut")
    house.rabbit.cut_connections()
    house.let_go("cut")
    # Not before: the cut ends what the other worker does too.
    upload_held("terminated")
    house.wait_until_held("terminated")
    (run,) = house.up.runs(held["terminated"])
    terminate(house.up.port, run.run_id)

    complete = [*others, held["killed"], held["cut"]]
    wait_for(lambda: all(house.listed(vehicle) for vehicle in complete), 60 * VEHICLES)
    wait_for(lambda: all(statuses(house.up, vehicle)[0] == "SUCCESS" for vehicle in complete), 90)
    twice = {v: s for v in complete if (s := statuses(house.up, v)).count("SUCCESS") != 1}
    assert not twice
    # The terminated one is the only one without a listing, and nobody took it up again.
    assert statuses(house.up, held["terminated"]) == ["CANCELED"]
    assert not house.listed(held["terminated"])
    for name in ("killed", "cut"):
        assert statuses(house.up, held[name])[0] == "SUCCESS"
        assert "FAILURE" in statuses(house.up, held[name])
    assert [worker.poll() for worker in house.workers] == [None, None]


def statuses(up: Up, vehicle: keys.VehicleId) -> list[str]:
    """How the vehicle's runs stand, the latest first."""
    return [run.status.value for run in up.runs(vehicle)]


def send_again(house: House, vehicle: keys.VehicleId) -> None:
    """The message of the vehicle's run, as a sender does whose connection was cut meanwhile."""
    (run,) = house.up.runs(vehicle)
    app = make_app({"broker": house.rabbit.url, "task_default_queue": QUEUE})  # type: ignore[no-untyped-call]
    with open_instance(house.up.media) as instance:
        assert run.job_code_origin is not None
        args = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref(), True)
    app.send_task(
        TASK_EXECUTE_JOB_NAME,
        kwargs={"execute_job_args_packed": pack_value(args)},
        task_id=run.tags[DAGSTER_CELERY_TASK_ID_TAG],
    )


def terminate(port: int, run_id: str) -> None:
    """As the button in Dagster's UI does."""
    query = """mutation($run: String!) {
      terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) { __typename }
    }"""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": {"run": run_id}}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["data"]["terminateRun"]["__typename"] == "TerminateRunSuccess"

"""Jobs by HTTP and by queue, while everything that leads them is killed again and again.

OKLA_TEST_JOBS says how many, 9 unless it is set; the models are fakes, all else is real.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pika
import psutil
import pytest
import requests
from pika.exceptions import AMQPError

from okla_assets.doors import http_process
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.queue.broker import parameters_of
from okla_assets.doors.telling.signatures import verify
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.conftest import REPOSITORY
from tests.doors.web import Handler, Web, gives, web
from tests.postgres import Postgres, running_postgres
from tests.rabbitmq import Rabbit, free_ports, running_rabbitmq

COUNT = int(os.environ.get("OKLA_TEST_JOBS", "9"))
QUEUE = "ai-processing-segmentation"
SECRET = "a secret of this test"
MODULES = {"lane": "tests.fake_lane", "http": http_process.MODULE}
SHORTEST, LONGEST = (3.0, 9.0) if COUNT < 50 else (15.0, 45.0)
"""Seconds between two kills: many jobs need some time in which they are made."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 + 20 * COUNT)]


@dataclass
class Program:
    """A command that is started again whenever it has ended, as a supervisor would."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def keep_running(self) -> None:
        if self.process is None or self.process.poll() is not None:
            with self.log.open("ab") as out:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "tests.fake_okla", *self.arguments],
                    cwd=REPOSITORY,
                    env=self.environment,
                    stdout=out,
                    stderr=out,
                )

    def kill_children(self, module: str) -> None:
        with suppress(psutil.NoSuchProcess):
            if self.process is not None:
                for child in psutil.Process(self.process.pid).children():
                    if module in child.cmdline():
                        child.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class House:
    """All that runs, and what the callers know."""

    media: Path
    url: str
    rabbit: Rabbit
    postgres: Postgres
    caller: Web
    programs: list[Program]
    told: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def hears(self, handler: Handler) -> None:
        """A callback: its signature is right and it names a job; every seventh is not taken."""
        received = self.caller.received[-1]
        if len(self.caller.received) % 7 == 0:
            handler.reply(503)
            return
        try:
            verify([SECRET], dict(received.headers.items()), received.body)
            body = json.loads(received.body)
            assert body["success"] is True
            assert received.headers["X-OKLA-Delivery"] == body["job_id"]
            self.told[body["job_id"]] += 1
        except Exception as error:  # noqa: BLE001  told at the end
            self.bad.append(repr(error))
        handler.reply(200)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        rabbit = stack.enter_context(running_rabbitmq())
        postgres = stack.enter_context(running_postgres())
        caller = stack.enter_context(web())
        media, (port,) = tmp_path / "media", free_ports(1)
        media.mkdir()
        url = f"http://127.0.0.1:{port}"
        environment = os.environ | {
            "OKLA_POSTGRES_URL": postgres.url,
            "OKLA_AMQP_URL": rabbit.url.replace("pyamqp", "amqp"),
            "OKLA_API_URL": url,
            "OKLA_FETCH_HOSTS": caller.host,
            "OKLA_FETCH_PRIVATE": "1",
            "OKLA_CALLBACK_SECRETS": SECRET,
        }
        serve = ["serve", "--out", str(media), "--port", str(port), "--lanes", "1"]
        programs = [
            Program(arguments, environment, tmp_path / f"{arguments[0]}.log")
            for arguments in (serve, ["consume", "--out", str(media)])
        ]
        house = House(media, url, rabbit, postgres, caller, programs)
        caller.answers["/heard"] = house.hears
        for number in range(5):
            caller.answers[f"/{number}.jpg"] = gives(pictures.jpeg(pictures.car(number)))
        try:
            yield house
        finally:
            for program in programs:
                program.kill()


def ask_by_http(house: House, number: int) -> str:
    """Asks until it is accepted, as a client that tries again does; the job's id."""
    operation = "classify-image" if number % 2 else "background-replace"
    body = {
        "vehicleId": f"HTTP-{number}",
        "imageUrl": f"{house.caller.url}/{number % 5}.jpg",
        "callbackUrl": f"{house.caller.url}/heard",
    }
    while True:
        with suppress(requests.RequestException):
            answer = requests.post(
                f"{house.url}/api/ai-process/{operation}",
                json=body,
                headers={"Idempotency-Key": f"n{number}"},
                timeout=20,
            )
            if answer.ok:
                return str(answer.json()["jobId"])
            assert answer.status_code >= 500, answer.text
        time.sleep(0.5)


def ask_by_queue(house: House, number: int) -> str:
    """Sends until the broker has it; the job's id is the sender's own."""
    job = str(uuid.uuid5(uuid.NAMESPACE_URL, f"queue-{number}"))
    message = {
        "job_id": job,
        "vehicle_id": f"QUEUE-{number}",
        "user_id": "",
        "image_url": f"{house.caller.url}/{number % 5}.jpg",
        "processing_type": "BackgroundReplacement",
        "options": {},
        "callbackUrl": f"{house.caller.url}/heard",
    }
    while True:
        with suppress(AMQPError, OSError):
            with pika.BlockingConnection(parameters_of(Settings(broker_url=house.rabbit.url))) as c:
                channel = c.channel()
                channel.confirm_delivery()
                channel.queue_declare(QUEUE, durable=True)
                channel.basic_publish(
                    "",
                    QUEUE,
                    json.dumps(message).encode(),
                    pika.BasicProperties(delivery_mode=2),
                    mandatory=True,
                )
            return job
        time.sleep(0.5)


def killing(house: House, stop: threading.Event) -> None:
    """Kills one thing after the other, and has supervisors start it again."""
    chance = random.Random(16)
    while not stop.is_set():
        for program in house.programs:
            program.keep_running()
        if stop.wait(chance.uniform(SHORTEST, LONGEST)):
            return
        victim = chance.choice(["serve", "http", "lane", "consume", "rabbitmq", "postgres"])
        house.kills[victim] += 1
        if victim in MODULES:
            house.programs[0].kill_children(MODULES[victim])
        elif victim == "rabbitmq":
            house.rabbit.crash()
            time.sleep(1)
            house.rabbit.start()
        elif victim == "postgres":
            house.postgres.crash()
            time.sleep(1)
            house.postgres.start()
        else:
            house.programs[victim == "consume"].kill()


def test_every_job_ends_once_and_every_caller_is_told(house: House) -> None:
    stop = threading.Event()
    killer = threading.Thread(target=killing, args=(house, stop))
    killer.start()
    try:
        asked = [(ask_by_queue if n % 3 == 2 else ask_by_http)(house, n) for n in range(COUNT)]
        assert len(set(asked)) == COUNT
        until = time.monotonic() + 120 + 20 * COUNT
        while len(house.told) < COUNT * 0.7 and time.monotonic() < until:
            assert killer.is_alive()
            time.sleep(0.5)
    finally:
        stop.set()
        killer.join()
    jobs = Jobs(LocalMediaStore(root=str(house.media)))
    until = time.monotonic() + 120 + 5 * COUNT
    outbox = house.media / "outbox"
    while time.monotonic() < until:
        for program in house.programs:
            program.keep_running()
        if house.told.keys() >= set(asked) and not [*outbox.rglob("*.json"), *jobs.unfinished()]:
            break
        time.sleep(0.5)
    logs = "\n".join(program.log.read_text()[-3000:] for program in house.programs)
    assert house.bad == []
    assert set(asked) - house.told.keys() == set(), logs
    assert list(jobs.unfinished()) == []
    ended = [jobs.get(job) for job in asked]
    assert Counter(job.state for job in ended) == {"completed": COUNT}, logs
    assert all(job.delivery == "delivered" for job in ended)
    records = list((house.media / "jobs" / "ended").iterdir())
    assert len(records) == COUNT  # each once, and nothing that nobody asked for
    assert not list(outbox.rglob("*.json"))
    print(
        f"{COUNT} jobs, kills: {dict(house.kills)}, told twice: "
        f"{sum(count > 1 for count in house.told.values())}"
    )
    assert house.kills

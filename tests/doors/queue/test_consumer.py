"""`okla consume` on a real RabbitMQ: what is taken, buried, answered, and what outlives what."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika
import pytest
import yaml
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPConnectionError, UnroutableError

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.results import JobResult, Problem
from okla_assets.doors.queue.answers import COMPLETED, Places
from okla_assets.doors.queue.broker import Broker, parameters_of
from okla_assets.doors.queue.consumer import Consumer
from okla_assets.doors.queue.messages import DEAD_QUEUE, OWN_QUEUE, PUBLISHED, QUEUES
from okla_assets.doors.telling import outbox
from resources.errors import BrokenSetup
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.conftest import REPOSITORY
from tests.doors.conftest import door_on
from tests.doors.queue.test_messages import BAD, enveloped, spin, worker
from tests.rabbitmq import Rabbit, running_rabbitmq
from tests.running import wait_for

pytestmark = pytest.mark.slow

SEGMENTATION = "ai-processing-segmentation"


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    with running_rabbitmq() as rabbit:
        yield rabbit


@pytest.fixture
def parameters(rabbit: Rabbit) -> pika.URLParameters:
    return parameters_of(Settings(broker_url=rabbit.url))


@pytest.fixture
def channel(parameters: pika.URLParameters) -> Iterator[BlockingChannel]:
    """A backend's channel, on a broker where nothing is left of other tests."""
    connection = BlockingConnection(parameters)
    channel = connection.channel()
    Broker(connection).declare()
    for queue in (*QUEUES, DEAD_QUEUE):
        channel.queue_purge(queue)
    channel.confirm_delivery()
    yield channel
    with suppress(AMQPConnectionError):  # a test may have cut it
        connection.close()


@pytest.fixture
def consumer(store: LocalMediaStore, parameters: pika.URLParameters) -> Consumer:
    return Consumer(door_on(store), parameters, Caller("okla"), Places(str, str))


@contextmanager
def consuming(consumer: Consumer) -> Iterator[None]:
    thread = threading.Thread(target=consumer.run)
    thread.start()
    try:
        yield
    finally:
        consumer.stopping.set()
        thread.join(20)
        assert not thread.is_alive()


def send(
    channel: BlockingChannel,
    body: object,
    queue: str = SEGMENTATION,
    exchange: str = "",
    **properties: Any,
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel.basic_publish(
        exchange, queue, data, pika.BasicProperties(**properties), mandatory=not exchange
    )


def taken(channel: BlockingChannel, queue: str) -> list[tuple[pika.BasicProperties, bytes]]:
    """What lies in a queue, and lies there no longer."""
    found: list[tuple[pika.BasicProperties, bytes]] = []
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return found
        found.append((properties, body))


def left(channel: BlockingChannel, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def new() -> str:
    return str(uuid.uuid4())


def end(jobs: Jobs, job: Job, state: str = "completed") -> None:
    """What the dispatcher does at a job's end."""
    problem = None if state == "completed" else Problem(code="x", detail="the car drove off")
    ended = job.model_copy(
        update={
            "state": state,
            "ended_at": datetime.now(UTC),
            "result": JobResult(),
            "problem": problem,
            "delivery": "pending",
        }
    )
    outbox.post(jobs.store, ended)
    jobs.end(ended)


def listening(channel: BlockingChannel, exchange: str, *, declare: bool = True) -> str:
    """A queue of a backend's that hears what is published there."""
    if declare:
        channel.exchange_declare(exchange, "fanout", durable=True)
    queue = str(channel.queue_declare("", exclusive=True).method.queue)
    channel.queue_bind(queue, exchange)
    return queue


def heard(channel: BlockingChannel, queue: str, count: int = 1) -> list[Any]:
    """The messages in a queue, when there are so many of them."""
    wait_for(lambda: left(channel, queue) >= count, 20)
    return [json.loads(body) for _, body in taken(channel, queue)]


def test_what_is_sent_and_what_is_published_becomes_jobs(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    sent = {queue: new() for queue in QUEUES if queue not in (OWN_QUEUE, "ai.360")}
    for queue, job in sent.items():
        send(channel, enveloped(worker(job_id=job)), queue)
    image, turn, bare, by_exchange = new(), new(), new(), new()
    body = {"jobId": image, "imageUrl": "https://h/1.jpg", "type": "FullPipeline"}
    send(channel, enveloped(body, "ImageProcessingMessage"), "", PUBLISHED[0])
    body = spin(jobId=turn)
    send(channel, enveloped(body, "Spin360ProcessingMessage"), "", PUBLISHED[1])
    send(channel, spin(jobId=bare), "ai.360")
    # MassTransit sends to a queue by an exchange of its name.
    send(channel, enveloped(worker(job_id=by_exchange)), "", SEGMENTATION)
    every = {*sent.values(), image, turn, bare, by_exchange}
    with consuming(consumer):
        wait_for(lambda: {job.id for job in consumer.jobs.unfinished()} == every, 20)
        wait_for(lambda: all(left(channel, queue) == 0 for queue in QUEUES), 20)
    operations = {job.id: job.request.operation.value for job in consumer.jobs.unfinished()}
    assert operations[image] == "full-pipeline"
    assert operations[turn] == operations[bare] == "generate-360"
    assert left(channel, DEAD_QUEUE) == 0
    assert consumer.jobs.owner_of(keys.VehicleId(worker()["vehicle_id"])) == "okla"


def test_a_message_that_comes_twice_is_one_job(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    job = new()
    for message_id in (new(), new(), new()):
        send(channel, enveloped(worker(job_id=job), messageId=message_id))
    with consuming(consumer):
        wait_for(lambda: left(channel, SEGMENTATION) == 0 and _known(consumer, job), 20)
    assert [one.id for one in consumer.jobs.unfinished()] == [job]
    assert left(channel, DEAD_QUEUE) == 0


def _known(consumer: Consumer, job: str) -> bool:
    return consumer.jobs.find(keys.JobId(job)) is not None


def test_an_id_of_another_request_or_of_another_caller_is_refused(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    mine, other = new(), new()
    with consuming(replace(consumer, caller=Caller("another"), stopping=threading.Event())):
        send(channel, worker(job_id=other))
        wait_for(lambda: _known(consumer, other), 20)
    with consuming(consumer):
        send(channel, worker(job_id=mine))
        wait_for(lambda: _known(consumer, mine), 20)
        send(channel, worker(job_id=mine, image_url="https://h/another.jpg"))
        send(channel, worker(job_id=other))
        wait_for(lambda: left(channel, DEAD_QUEUE) == 2, 20)
    for properties, _ in taken(channel, DEAD_QUEUE):
        assert "another request" in properties.headers["x-okla-reason"]
    found = consumer.jobs.get(other)
    assert (found.request.caller, found.state) == ("another", "accepted")


def test_a_vehicle_of_another_caller_is_refused_as_over_http(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    """Nor does one that came by folder become the caller's, unless he sees all."""
    theirs, by_folder, ours = (keys.VehicleId(f"CAR-{number}") for number in range(3))
    consumer.jobs.own(theirs, "another")
    consumer.store.put(keys.raw_photos(by_folder) + "a.jpg", b"x")
    consumer.jobs.own(ours, "okla")
    sent = [worker(job_id=new(), vehicle_id=one) for one in (theirs, by_folder, ours, "CAR-3")]
    plain = replace(
        consumer, caller=Caller("okla", frozenset({"jobs"})), stopping=threading.Event()
    )
    with consuming(plain):
        for message in sent:
            send(channel, message)
        wait_for(lambda: all(_known(consumer, message["job_id"]) for message in sent[2:]), 20)
        wait_for(lambda: left(channel, DEAD_QUEUE) == 2, 20)
    reasons = [p.headers["x-okla-reason"] for p, _ in taken(channel, DEAD_QUEUE)]
    assert reasons == [f"vehicle {one} belongs to another caller" for one in (theirs, by_folder)]
    assert [consumer.jobs.owner_of(one) for one in (theirs, by_folder)] == ["another", None]
    with consuming(consumer):  # who sees all may
        for message in sent[:2]:
            send(channel, message)
        wait_for(lambda: all(_known(consumer, message["job_id"]) for message in sent), 20)
    assert consumer.jobs.owner_of(theirs) == "another"


def test_poison_is_buried_with_the_reason_and_the_rest_goes_on(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    good = new()
    odd = {"at": datetime.now(UTC), "deep": {"a": [1, None]}, "x" * 200: "y" * 99_999}
    headers = {"MT-Activity-Id": "1", **odd}
    with consuming(consumer):
        for _, body, _ in BAD:
            send(channel, body, headers=headers, content_type="application/json")
        send(channel, worker(job_id=good))
        wait_for(lambda: _known(consumer, good), 30)
        wait_for(lambda: left(channel, DEAD_QUEUE) == len(BAD), 30)
    assert [job.id for job in consumer.jobs.unfinished()] == [good]
    buried = taken(channel, DEAD_QUEUE)
    for (name, body, named), (properties, kept) in zip(BAD, buried, strict=True):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert kept == data, name
        assert named in properties.headers["x-okla-reason"], name
        assert properties.headers["x-okla-queue"] == SEGMENTATION
        assert properties.headers["MT-Activity-Id"] == "1"
        assert properties.delivery_mode == 2


def test_a_sender_of_poison_gets_a_fault(channel: BlockingChannel, consumer: Consumer) -> None:
    channel.exchange_declare("api_faults", "fanout", auto_delete=True)
    faults = listening(channel, "api_faults", declare=False)
    with consuming(consumer):
        send(channel, enveloped(worker(processing_type="Sorcery")))
        (fault,) = heard(channel, faults)
    assert "no such type" in fault["message"]["exceptions"][0]["message"]
    assert fault["requestId"] == str(uuid.UUID(int=9))


def test_a_job_that_has_ended_is_answered(channel: BlockingChannel, consumer: Consumer) -> None:
    channel.exchange_declare("api_bus_abc", "fanout", auto_delete=True)
    client = listening(channel, "api_bus_abc", declare=False)
    published = listening(channel, COMPLETED["image"])
    reply = str(channel.queue_declare("", exclusive=True).method.queue)
    one, bare, failed = new(), new(), new()
    with consuming(consumer):
        send(channel, enveloped(worker(job_id=one)))
        send(channel, worker(job_id=bare), reply_to=reply, correlation_id="17")
        body = enveloped(worker(job_id=failed), faultAddress=None)
        send(channel, body)
        wait_for(lambda: len(list(consumer.jobs.unfinished())) == 3, 20)
        for job in list(consumer.jobs.unfinished()):
            end(consumer.jobs, job, "failed" if job.id == failed else "completed")
        told = {m["message"]["jobId"]: m["message"] for m in heard(channel, published, 3)}
        answered = {m["message"].get("jobId"): m for m in heard(channel, client, 2)}
        wait_for(lambda: left(channel, reply) == 1, 20)
    assert {job: message["success"] for job, message in told.items()} == {
        one: True,
        bare: True,
        failed: False,
    }
    assert answered[one]["messageType"] == ["urn:message:" + COMPLETED["image"]]
    assert answered[None]["messageType"][-1] == "urn:message:MassTransit:Fault"
    ((properties, body_bytes),) = taken(channel, reply)
    assert (properties.correlation_id, json.loads(body_bytes)["jobId"]) == ("17", bare)
    assert "callback" not in told[one]
    wait_for(lambda: not list(outbox.listed(consumer.store, "amqp")), 20)
    for job_id in (one, bare, failed):
        job = consumer.jobs.get(job_id)
        assert job.delivery == "delivered"
        assert [delivery.problem for delivery in job.deliveries] == [None]


def test_nobody_is_told_of_a_job_that_has_not_ended(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    published, job = listening(channel, COMPLETED["image"]), new()
    key = keys.outbox("amqp", keys.JobId(job))
    with consuming(consumer):
        send(channel, worker(job_id=job))
        wait_for(lambda: _known(consumer, job), 20)
        consumer.store.put(key, b"")
        # The other one is told, and so the first was looked at.
        other = new()
        send(channel, worker(job_id=other))
        wait_for(lambda: _known(consumer, other), 20)
        end(consumer.jobs, consumer.jobs.get(other))
        assert [m["message"]["jobId"] for m in heard(channel, published)] == [other]
        assert consumer.store.stat(key) is not None
        end(consumer.jobs, consumer.jobs.get(job))
        assert [m["message"]["jobId"] for m in heard(channel, published)] == [job]


def test_an_answer_for_nobody_is_let_go(channel: BlockingChannel, consumer: Consumer) -> None:
    gone = new()
    places = ["no-such-exchange", "no-such-queue", "amq.topic"]
    addresses = [f"rabbitmq://h/{places[0]}", f"queue:{places[1]}", f"exchange:{places[2]}"]
    jobs = [new() for _ in addresses]
    published = listening(channel, COMPLETED["image"])
    with consuming(consumer):
        for job, address in zip(jobs, addresses, strict=True):
            send(channel, enveloped(worker(job_id=job), responseAddress=address))
        send(channel, worker(job_id=gone), reply_to="amq.rabbitmq.reply-to.gone")
        wait_for(lambda: len(list(consumer.jobs.unfinished())) == 4, 20)
        for one in list(consumer.jobs.unfinished()):
            end(consumer.jobs, one)
        heard(channel, published, 4)
        wait_for(lambda: not list(outbox.listed(consumer.store, "amqp")), 20)
    told = [consumer.jobs.get(job).deliveries[0].problem for job in jobs]
    assert told == [f"nobody waits at {place}" for place in places]


def test_whoever_asks_again_after_the_end_is_answered_again(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    published, job = listening(channel, COMPLETED["image"]), new()
    with consuming(consumer):
        for _ in range(2):
            send(channel, worker(job_id=job))
            wait_for(lambda: _known(consumer, job), 20)
            if not consumer.jobs.get(job).has_ended:
                end(consumer.jobs, consumer.jobs.get(job))
            (told,) = heard(channel, published)
            assert told["message"]["jobId"] == job
    assert left(channel, DEAD_QUEUE) == 0


def test_a_connection_that_is_cut_is_made_again(
    channel: BlockingChannel, consumer: Consumer, rabbit: Rabbit, parameters: pika.URLParameters
) -> None:
    before, after = [new() for _ in range(20)], [new() for _ in range(20)]
    with consuming(consumer):
        for job in before:
            send(channel, worker(job_id=job))
        rabbit.cut_connections()
        with BlockingConnection(parameters) as connection:
            again = connection.channel()
            for job in after:
                send(again, worker(job_id=job))
            every = {*before, *after}
            wait_for(lambda: {one.id for one in consumer.jobs.unfinished()} == every, 30)
            wait_for(lambda: left(again, SEGMENTATION) == 0, 20)
            assert left(again, DEAD_QUEUE) == 0


def test_a_queue_that_is_deleted_is_made_again(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    job = new()
    with consuming(consumer):
        send(channel, worker(job_id=new()))
        wait_for(lambda: len(list(consumer.jobs.unfinished())) == 1, 20)
        channel.queue_delete(SEGMENTATION)

        def arrived() -> bool:
            try:
                send(channel, worker(job_id=job))
            except UnroutableError:
                return False
            return True

        wait_for(arrived, 20)
        wait_for(lambda: _known(consumer, job), 20)


def test_a_queue_that_somebody_made_otherwise_serves_as_well(
    channel: BlockingChannel, consumer: Consumer
) -> None:
    channel.queue_delete(SEGMENTATION)
    channel.exchange_delete(SEGMENTATION)
    channel.queue_declare(SEGMENTATION, durable=True, arguments={"x-max-priority": 5})
    channel.exchange_declare(SEGMENTATION, "direct")
    job = new()
    try:
        with consuming(consumer):
            send(channel, worker(job_id=job))
            wait_for(lambda: _known(consumer, job), 20)
    finally:
        channel.queue_delete(SEGMENTATION)
        channel.exchange_delete(SEGMENTATION)


def test_a_store_that_fails_loses_no_message(
    channel: BlockingChannel, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, works, accept = [], threading.Event(), Jobs.accept

    def failing(self: Jobs, *given: Any) -> tuple[Job, bool]:
        tries.append(given)
        if not works.is_set():
            raise ConnectionError("the bucket does not answer")
        return accept(self, *given)

    monkeypatch.setattr(Jobs, "accept", failing)
    job = new()
    with consuming(consumer):
        send(channel, worker(job_id=job))
        wait_for(lambda: len(tries) >= 2, 20)
        works.set()
        wait_for(lambda: _known(consumer, job), 20)
    assert left(channel, SEGMENTATION) == left(channel, DEAD_QUEUE) == 0
    works.clear()
    again = replace(consumer, stopping=threading.Event())
    send(channel, worker(job_id=new()))
    with consuming(again):
        tries.clear()
        wait_for(lambda: len(tries) >= 1, 20)
    # It was stopped while the store failed: the message is where it was.
    wait_for(lambda: left(channel, SEGMENTATION) == 1, 20)


def test_a_fault_of_ours_buries_the_message(
    channel: BlockingChannel, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("okla_assets.doors.queue.consumer.asked", broken)
    with consuming(consumer):
        send(channel, worker())
        wait_for(lambda: left(channel, DEAD_QUEUE) == 1, 20)
    ((properties, _),) = taken(channel, DEAD_QUEUE)
    assert "fault of ours" in properties.headers["x-okla-reason"]
    assert "secret" not in properties.headers["x-okla-reason"]


@pytest.mark.parametrize(
    ("user", "vhost"),
    [("guest:wrong", "%2F"), ("guest:guest", "nowhere")],
    ids=["password", "vhost"],
)
def test_a_user_who_is_refused_is_told_at_once(
    rabbit: Rabbit, consumer: Consumer, user: str, vhost: str
) -> None:
    port = rabbit.environment["RABBITMQ_NODE_PORT"]
    refused = parameters_of(Settings(amqp_url=f"amqp://{user}@127.0.0.1:{port}/{vhost}"))
    with pytest.raises(BrokenSetup, match="OKLA_AMQP_URL") as told:
        replace(consumer, parameters=refused).run()
    assert "wrong" not in str(told.value)


def test_the_backend_of_the_compose_file_reaches_no_worker(
    rabbit: Rabbit, consumer: Consumer, tmp_path: Path
) -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose" / "compose.yaml").read_text())
    content = compose["configs"]["rabbitmq_definitions"]["content"]
    (tmp_path / "okla.json").write_text(re.sub(r"\$\{\w+:\?\}", "password", content))
    rabbit.import_definitions(tmp_path / "okla.json")
    port = rabbit.environment["RABBITMQ_NODE_PORT"]

    def of(user: str, vhost: str) -> pika.URLParameters:
        url = f"amqp://{user}:password@127.0.0.1:{port}/{vhost}"
        return parameters_of(Settings(amqp_url=url))

    for user, vhost in (("backend", "%2F"), ("okla", "%2F"), ("okla", "workers")):
        with BlockingConnection(of(user, vhost)) as connection:
            Broker(connection).declare()
    with pytest.raises(BrokenSetup, match="workers"):
        replace(consumer, parameters=of("backend", "workers")).run()


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def started(rabbit: Rabbit, store: LocalMediaStore) -> Iterator[Start]:
    """Starts `okla consume` in a process of its own."""
    processes = []

    def start() -> subprocess.Popen[str]:
        store.folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "okla_assets", "consume", "--out", str(store.folder)],
            cwd=REPOSITORY,
            env=os.environ | {"OKLA_AMQP_URL": rabbit.url.replace("pyamqp", "amqp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_command_killed_in_the_middle_loses_nothing(
    channel: BlockingChannel, store: LocalMediaStore, started: Start
) -> None:
    jobs, every = Jobs(store), {new() for _ in range(300)}
    for job in every:
        send(channel, worker(job_id=job))
    process = started()
    wait_for(lambda: len(list(jobs.unfinished())) >= 20, 60)
    process.kill()
    process.wait()
    assert len(list(jobs.unfinished())) < len(every)
    process = started()
    wait_for(lambda: left(channel, SEGMENTATION) == 0, 60)
    wait_for(lambda: {job.id for job in jobs.unfinished()} == every, 60)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said.rstrip().endswith("stopped")
    assert "guest:guest" not in said
    assert left(channel, SEGMENTATION) == left(channel, DEAD_QUEUE) == 0

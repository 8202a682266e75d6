"""What a bucket says reaches the runs: real events of moto's S3 in a queue of moto's SQS."""

import itertools
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from okla_assets import keys
from resources.errors import BrokenSetup
from resources.storage import event_queue
from resources.storage.event_queue import QUEUE_ENV, Message, SqsEventQueue
from resources.storage.media_store import LocalMediaStore
from resources.storage.s3_store import S3MediaStore
from sensors import s3_events as module
from sensors.s3_events import changed_keys, s3_events
from sensors.upload_memory import UploadMemory
from tests.fakes import VEHICLE
from tests.sensors.daemon import Daemon
from tests.sensors.sqs import BUCKET, REGION, Cloud, cloud

PHOTO = f"{keys.raw_photos(VEHICLE)}a.jpg"


@pytest.fixture(scope="module")
def server() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


@pytest.fixture
def bucket(server: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3MediaStore]:
    """The bucket, below a prefix, with OKLA_SQS_QUEUE_URL naming its queue."""
    server.tell_a_new_queue()
    monkeypatch.setattr(event_queue, "_WAIT_SECONDS", 0)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": server.endpoint,
        QUEUE_ENV: server.queue_url,
    }.items():
        monkeypatch.setenv(name, value)
    store = S3MediaStore(bucket=BUCKET, prefix="okla", endpoint_url=server.endpoint)
    yield store
    for info in list(store.list("")):
        store.delete(info.key)


@pytest.fixture
def daemon(bucket: S3MediaStore, instance: dg.DagsterInstance) -> Daemon:
    """Its first round is over: from here on, events have to name what changes."""
    made = Daemon(bucket, instance)
    assert made.tick() == []
    return made


def take_events(daemon: Daemon, queue: object | None = None) -> str:
    """One tick of the sensor; what it says."""
    context = dg.build_sensor_context(
        instance=daemon.instance,
        resources={"store": daemon.store, "event_queue": queue or SqsEventQueue()},
    )
    said = s3_events(context)
    assert isinstance(said, dg.SkipReason)
    return said.skip_message or ""


def test_an_upload_is_run_without_listing_the_bucket(
    daemon: Daemon, bucket: S3MediaStore, server: Cloud
) -> None:
    for n in range(20):
        bucket.put(f"raw/other/photos/{n}.jpg", b"1")
    assert server.left == 20
    for _ in range(2):
        SqsEventQueue().delete(SqsEventQueue().receive())
    bucket.put(PHOTO, b"1")
    assert daemon.tick() == []
    assert daemon.listed == 0
    assert take_events(daemon) == "1 events named 1 vehicles"
    assert daemon.tick() == [VEHICLE]
    assert daemon.listed == 1
    assert [daemon.tick(), daemon.tick()] == [[], []]
    assert daemon.listed == 0
    assert server.left == 0


def test_a_deleted_photo_runs_its_vehicle_again(daemon: Daemon, bucket: S3MediaStore) -> None:
    bucket.put(PHOTO, b"1")
    bucket.put(f"{keys.raw_photos(VEHICLE)}b ñ+.jpg", b"1")
    take_events(daemon)
    assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]
    bucket.delete(f"{keys.raw_photos(VEHICLE)}b ñ+.jpg")
    take_events(daemon)
    assert [daemon.tick(), daemon.tick()] == [[VEHICLE], []]
    bucket.delete(PHOTO)
    take_events(daemon)
    assert [daemon.tick(), daemon.tick()] == [[], []]
    assert UploadMemory(daemon.instance).waiting() == {}


def test_what_no_event_named_is_found_by_the_listing(
    daemon: Daemon, bucket: S3MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put(PHOTO, b"1")
    assert [daemon.tick(), daemon.tick()] == [[], []]
    monkeypatch.setenv("OKLA_RECONCILE_SECONDS", "0")
    assert daemon.tick() == [VEHICLE]


def test_a_vehicle_waits_for_its_quiet_period_in_the_memory(
    daemon: Daemon, bucket: S3MediaStore, server: Cloud
) -> None:
    daemon.waited = 0
    bucket.put(PHOTO, b"1")
    take_events(daemon)
    assert server.left == 0
    assert [daemon.tick(), daemon.tick()] == [[], []]
    daemon.waited = 20
    assert daemon.tick() == [VEHICLE]


@dataclass
class DyingQueue:
    """The queue, in a process that dies before it can delete."""

    queue: SqsEventQueue
    received: list[Message] = field(default_factory=list)

    def receive(self) -> Sequence[Message]:
        found = self.queue.receive()
        self.received += found
        return found

    def delete(self, messages: Sequence[Message]) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("durable", [False, True], ids=["before the mark", "after the mark"])
def test_a_tick_that_dies_between_receive_and_delete_loses_nothing(
    daemon: Daemon,
    bucket: S3MediaStore,
    server: Cloud,
    durable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(self: UploadMemory, vehicles: object) -> None:
        raise KeyboardInterrupt

    bucket.put(PHOTO, b"1")
    queue = DyingQueue(SqsEventQueue())
    with monkeypatch.context() as patch:
        if not durable:
            patch.setattr(UploadMemory, "mark", die)
        with pytest.raises(KeyboardInterrupt):
            take_events(daemon, queue)
    assert server.left == 1
    assert daemon.tick() == ([VEHICLE] if durable else [])
    # Nobody deleted the message: it is hidden for a while and then comes again.
    assert take_events(daemon) == "0 events named 0 vehicles"
    for message in queue.received:
        server.sqs.change_message_visibility(
            QueueUrl=server.queue_url, ReceiptHandle=message.receipt, VisibilityTimeout=0
        )
    assert take_events(daemon) == "1 events named 1 vehicles"
    assert [daemon.tick(), daemon.tick()] == ([[], []] if durable else [[VEHICLE], []])
    assert server.left == 0


def test_an_event_during_a_look_is_not_lost(daemon: Daemon, bucket: S3MediaStore) -> None:
    """The photo arrives after the folder was listed, its event before the look has ended."""
    bucket.put(PHOTO, b"1")
    take_events(daemon)
    assert daemon.tick() == [VEHICLE]
    unmark = UploadMemory.unmark

    def late(memory: UploadMemory, marks: Iterator[str]) -> None:
        bucket.put(f"{keys.raw_photos(VEHICLE)}late.jpg", b"1")
        take_events(daemon)
        unmark(memory, marks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UploadMemory, "unmark", late)
        assert daemon.tick() == []  # the run for the first photo is confirmed
    assert daemon.tick() == [VEHICLE]


@pytest.mark.slow
def test_a_large_upload_stays_in_the_queue_until_there_is_room(
    daemon: Daemon, bucket: S3MediaStore, server: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    monkeypatch.setattr(module, "MOST_RECEIVES", 1)
    names = [f"car-{n:02d}" for n in range(30)]
    for name in names:
        bucket.put(f"raw/{name}/photos/a.jpg", b"1")
    requested: list[str] = []
    said = take_events(daemon)
    assert said.startswith("10 events")
    said = take_events(daemon)
    assert "the queue keeps the rest" in said
    assert server.left == 20
    for _ in range(8):
        requested += daemon.tick()
        take_events(daemon)
    assert sorted(requested) == names
    assert server.left == 0


def test_junk_is_told_and_never_stays(
    daemon: Daemon,
    bucket: S3MediaStore,
    server: Cloud,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for body in ("no JSON", "{}", '{"Records": [{"eventSource": "aws:sns"}]}', "[1]", '"text"'):
        server.send(body)
    server.send('{"Service": "Amazon S3", "Event": "s3:TestEvent"}')
    bucket.put("raw/año/photos/a.jpg", b"1")
    bucket.put("raw/lost.jpg", b"1")
    bucket.put(f"processed/{VEHICLE}/listing.json", b"{}")
    bucket.put(PHOTO, b"1")
    assert take_events(daemon) == "10 events named 1 vehicles"
    told = caplog.text + "".join(capsys.readouterr())
    assert told.count("is no event of a bucket") == 5
    assert "TestEvent" not in told
    assert server.left == 0
    assert daemon.tick() == [VEHICLE]


def test_events_of_another_part_of_the_bucket_are_not_ours(daemon: Daemon, server: Cloud) -> None:
    for key in ("other/raw/car/photos/a.jpg", "raw/car/photos/a.jpg", "okla/other/raw/car/a.jpg"):
        server.s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    assert take_events(daemon) == "3 events named 0 vehicles"


def test_without_a_queue_it_says_so(
    store: LocalMediaStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(QUEUE_ENV, raising=False)
    assert "OKLA_SQS_QUEUE_URL is not set" in take_events(Daemon(store, instance))


def test_a_queue_that_does_not_exist_is_named(
    daemon: Daemon, server: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(QUEUE_ENV, f"{server.endpoint}/123456789012/nowhere")
    with pytest.raises(BrokenSetup, match=r"OKLA_SQS_QUEUE_URL.*does not exist"):
        take_events(daemon)


def test_credentials_that_came_late_are_found_without_a_restart(
    daemon: Daemon, server: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_queue._client.cache_clear()
    with monkeypatch.context() as before:
        before.delenv("AWS_ACCESS_KEY_ID")
        before.delenv("AWS_SECRET_ACCESS_KEY")
        before.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        before.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(BrokenSetup, match="no AWS credentials"):
            take_events(daemon)
    server.send("junk")
    assert take_events(daemon) == "1 events named 0 vehicles"


def notification(*names: str) -> dict[str, Any]:
    return {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": n}}} for n in names]}


def test_the_shapes_in_which_an_event_may_come() -> None:
    plain = notification("raw/v/photos/a+b%2B%C3%B1.jpg", "raw/w/_READY")
    expected = ["raw/v/photos/a b+ñ.jpg", "raw/w/_READY"]
    assert changed_keys(json.dumps(plain)) == expected
    by_sns = {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(plain)}
    assert changed_keys(json.dumps(by_sns)) == expected
    bridge = {
        "source": "aws.s3",
        "detail-type": "Object Deleted",
        "detail": {"bucket": {"name": "b"}, "object": {"key": "raw/v/photos/a b+ñ%20.jpg"}},
    }
    assert changed_keys(json.dumps(bridge)) == ["raw/v/photos/a b+ñ%20.jpg"]
    with pytest.raises(ValidationError):
        changed_keys(json.dumps(bridge | {"source": "aws.ec2"}))


@dataclass
class ShuffledQueue:
    """Gives every message up to three times, in any order, and some after long."""

    chance: random.Random
    bodies: list[str] = field(default_factory=list)

    def send(self, body: str) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.bodies.insert(self.chance.randint(0, len(self.bodies)), body)

    def receive(self) -> Sequence[Message]:
        if not self.bodies or self.chance.random() < 0.3:
            return []
        return [Message("id", self.bodies.pop(), "receipt")]

    def delete(self, messages: Sequence[Message]) -> None: ...


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
def test_order_and_repetition_of_events_do_not_matter(
    seed: int,
    store: LocalMediaStore,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(QUEUE_ENV, "https://sqs.eu-central-1.amazonaws.com/1/uploads")
    chance = random.Random(seed)
    daemon, queue = Daemon(store, instance), ShuffledQueue(chance)
    assert daemon.tick() == []
    for _ in range(60):
        key = f"raw/car-{chance.randint(0, 4)}/photos/{chance.randint(0, 3)}.jpg"
        if chance.random() < 0.3:
            store.delete(key)
        else:
            store.put(key, chance.randbytes(4))
        queue.send(json.dumps(notification(key)))
        if chance.random() < 0.5:
            take_events(daemon, queue)
        if chance.random() < 0.5:
            daemon.waited = chance.choice([0, 20])
            daemon.tick()
    daemon.waited = 20
    while queue.bodies:
        take_events(daemon, queue)
    list(itertools.takewhile(bool, iter(daemon.tick, None)))
    assert daemon.tick() == []
    daemon.check_all_in_final_state()
    assert UploadMemory(instance).waiting() == {}

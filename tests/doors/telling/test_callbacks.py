"""Callbacks to receivers of this machine: delivered, tried again, given up, sent once more."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.requests import Address, Reply, checked
from okla_assets.doors.jobs.results import DrawnFile, JobResult, PhotoResult, Problem
from okla_assets.doors.links import Links
from okla_assets.doors.okla.jobs import image_job
from okla_assets.doors.queue.answers import Places, answers
from okla_assets.doors.telling import callbacks, outbox
from okla_assets.doors.telling.callbacks import CallbackSender, body_of, outcome_of, pause_after
from okla_assets.doors.telling.signatures import verify
from resources.errors import BadInput
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.web import Handler, Web, status, web
from tests.running import wait_for

PHOTO = {"url": "https://photos.example.com/a.jpg"}


@pytest.fixture
def server(server: Web) -> Web:
    """One that takes callbacks."""
    server.answers["/hook"] = status(200)
    return server


def sender_for(store: LocalMediaStore, *hosts: str, **more: Any) -> CallbackSender:
    chosen = Settings(
        fetch_hosts=",".join(("*", *hosts)),
        fetch_private=True,
        callback_secrets=" the new one , the old one",
        callback_hours=more.pop("hours", 24.0),
    )
    links = Links(store, b"secret")
    base = "https://media.example.org"
    return CallbackSender(store, Jobs(store), links, base, Fetcher.of(chosen), chosen, **more)


@contextmanager
def running(sender: CallbackSender) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def ended(store: LocalMediaStore, url: str | None, **changes: Any) -> Job:
    """A job that has ended, as the dispatcher does it."""
    jobs = Jobs(store)
    request = checked(
        operation="background-replace",
        vehicle="CAR-1",
        sources=[PHOTO],
        callback=url,
        metadata={"año": 2026},
        idempotency=str(changes.pop("number", 1)),
    )
    job, _ = jobs.accept(request)
    picture = DrawnFile(key="processed/CAR-1/a.jpg", type="image/jpeg", width=4, height=3)
    matte = DrawnFile(key="processed/CAR-1/m.png", type="image/png", width=4, height=3)
    result = JobResult(photos=(PhotoResult(source=0, picture=picture, matte=matte),))
    now = datetime.now(UTC)
    began = now - timedelta(milliseconds=1500)
    changes = {
        "state": "completed",
        "created_at": began,
        "ended_at": now,
        "result": result,
    } | changes
    changes["delivery"] = "none" if url is None else "pending"
    job = job.model_copy(update=changes)
    outbox.post(store, job)
    jobs.end(job)
    return job


def test_the_end_of_a_job_is_told_signed_and_once(store: LocalMediaStore, server: Web) -> None:
    told: list[Job] = []
    sender = sender_for(store, server.host, recorded=told.append)
    job = ended(store, f"{server.url}/hook")
    assert job.delivery == "pending"
    sender.send(job.job_id)
    sender.send(job.job_id)
    (received,) = server.received
    verify(["the old one"], dict(received.headers), received.body)
    assert received.headers["X-OKLA-Delivery"] == job.id
    assert received.headers["Content-Type"] == "application/json"
    body = json.loads(received.body)
    links = [body.pop("processed_url"), body.pop("mask_url")]
    assert body == {
        "job_id": job.id,
        "success": True,
        "processing_time_ms": 1500,
        "error_message": None,
        "metadata": {"año": 2026},
    }
    for link, key in zip(links, ("a.jpg", "m.png"), strict=True):
        assert link.startswith(f"https://media.example.org/files/processed/CAR-1/{key}?expires=")
    known = Jobs(store).get(job.id)
    assert known.delivery == "delivered" and told == [known]
    assert [one.status for one in known.deliveries] == [200]
    assert list(outbox.entries(store, "http")) == []


def test_attempts_stand_among_the_events_of_the_vehicle(
    store: LocalMediaStore, server: Web, instance: dg.DagsterInstance
) -> None:
    server.answers["/hook"] = status(500)
    sender = sender_for(store, server.host, recorded=callbacks.shown_in_dagster(instance))
    job = ended(store, f"{server.url}/hook")
    sender.send(job.job_id)
    (record,) = instance.fetch_observations(dg.AssetKey("listing"), limit=5).records
    seen = record.asset_observation
    assert seen is not None and seen.partition == "CAR-1"
    told = {name: value.value for name, value in seen.metadata.items()}
    assert told["job"] == job.id
    assert (told["delivery"], told["answer"], told["attempts"]) == ("pending", "500", 1)


def test_nothing_is_told_before_the_job_has_ended(store: LocalMediaStore, server: Web) -> None:
    sender = sender_for(store, server.host)
    request = checked(operation="classify-image", sources=[PHOTO], callback=f"{server.url}/hook")
    job, _ = sender.jobs.accept(request)
    with pytest.raises(ValueError, match="accepted"):
        outbox.post(store, job)
    ready = job.model_copy(update={"state": "failed", "ended_at": datetime.now(UTC)})
    outbox.post(store, ready)
    posted = store.get(keys.outbox("http", job.job_id))
    sender.send(job.job_id)
    assert server.received == []
    outbox.post(store, ready)
    assert store.get(keys.outbox("http", job.job_id)) == posted
    sender.jobs.end(ready)
    sender.send(job.job_id)
    assert json.loads(server.received[0].body)["success"] is False


def test_who_is_told_depends_on_the_request(store: LocalMediaStore) -> None:
    job = ended(store, None)
    assert job.delivery == "none" and not list(store.list(keys.OUTBOX))
    reply = Reply(response=Address(exchange="answers"))
    request = checked(operation="classify-image", sources=[PHOTO], reply=reply)
    job, _ = Jobs(store).accept(request)
    done = job.model_copy(update={"state": "completed", "ended_at": datetime.now(UTC)})
    outbox.post(store, done)
    assert [one.job for one in outbox.entries(store, "amqp")] == [job.id]
    assert not list(outbox.entries(store, "http"))


def test_what_fails_is_tried_again_later_and_later(store: LocalMediaStore, server: Web) -> None:
    server.answers["/hook"] = status(503)
    sender = sender_for(store, server.host)
    job = ended(store, f"{server.url}/hook")
    for attempt in range(1, 4):
        sender.send(job.job_id)
        (entry,) = outbox.entries(store, "http")
        pause = (entry.due - datetime.now(UTC)).total_seconds()
        assert 2**attempt / 2 - 1 < pause <= 2**attempt
        assert (entry.attempts, entry.said) == (attempt, "answered 503")
        sender.send(job.job_id)  # it is not due
        assert len(server.received) == attempt
        outbox.put(store, "http", entry.model_copy(update={"due": datetime.now(UTC)}))
    known = Jobs(store).get(job.id)
    assert known.delivery == "pending" and len(known.deliveries) == 3
    server.answers["/hook"] = status(204)
    sender.send(job.job_id)
    known = Jobs(store).get(job.id)
    assert known.delivery == "delivered"
    assert [one.status for one in known.deliveries] == [503, 503, 503, 204]


def test_a_receiver_says_when(store: LocalMediaStore, server: Web) -> None:
    server.answers["/hook"] = status(429, Retry_After="120")
    job = ended(store, f"{server.url}/hook")
    sender_for(store, server.host).send(job.job_id)
    (entry,) = outbox.entries(store, "http")
    assert entry.due > datetime.now(UTC) + timedelta(seconds=110)


def test_a_callback_is_given_up_after_its_hours_and_sent_again_by_hand(
    store: LocalMediaStore, server: Web
) -> None:
    server.answers["/hook"] = status(500)
    sender = sender_for(store, server.host, hours=1.0)
    job = ended(store, f"{server.url}/hook")
    sender.send(job.job_id)
    (entry,) = outbox.entries(store, "http")
    assert entry.due <= entry.since + timedelta(hours=1)
    old = entry.since - timedelta(hours=1)
    outbox.put(store, "http", entry.model_copy(update={"since": old, "due": old}))
    sender.send(job.job_id)
    assert Jobs(store).get(job.id).delivery == "dead"
    assert not list(outbox.entries(store, "http"))
    (dead,) = outbox.entries(store, "dead")
    assert (dead.attempts, dead.said, dead.host) == (2, "answered 500", "127.0.0.1")
    server.answers["/hook"] = status(200)
    outbox.send_again(sender.jobs, job.id)
    assert not list(outbox.entries(store, "dead"))
    sender.send(job.job_id)
    known = Jobs(store).get(job.id)
    assert known.delivery == "delivered" and len(known.deliveries) == 3
    outbox.send_again(sender.jobs, job.id)  # delivered ones too
    sender.send(job.job_id)
    assert {one.headers["X-OKLA-Delivery"] for one in server.received} == {job.id}
    assert len(server.received) == 4


def test_a_retry_by_hand_in_the_middle_of_an_attempt_loses_nothing_of_its_record(
    store: LocalMediaStore, server: Web
) -> None:
    server.answers["/hook"] = status(500)
    sender = sender_for(store, server.host)
    job = ended(store, f"{server.url}/hook")

    class Meanwhile(Jobs):
        """The jobs of `okla callbacks retry`: an attempt ends between its reading and writing."""

        def get(self, job_id: str, caller: str | None = None) -> Job:
            found = super().get(job_id, caller)
            sender.send(job.job_id)
            return found

    outbox.send_again(Meanwhile(store), job.id)
    assert [one.status for one in Jobs(store).get(job.id).deliveries] == [500]
    server.answers["/hook"] = status(200)
    sender.send(job.job_id)
    known = Jobs(store).get(job.id)
    assert [one.status for one in known.deliveries] == [500, 200]
    assert known.delivery == "delivered"


def test_a_receiver_that_wants_no_more_gets_no_more(store: LocalMediaStore, server: Web) -> None:
    server.answers["/hook"] = status(410)
    job = ended(store, f"{server.url}/hook")
    sender_for(store, server.host).send(job.job_id)
    assert Jobs(store).get(job.id).delivery == "dead"


@pytest.mark.parametrize(
    ("url", "delivery"),
    [
        ("https://127.0.0.1/hook", "dead"),
        ("http://169.254.169.254/latest/meta-data/", "dead"),
        ("https://[::ffff:10.0.0.1]/", "dead"),
        ("http://example.com/", "dead"),
        ("https://user:hunter2@example.com/", "dead"),
        ("gopher://127.0.0.1:6379/_x", "dead"),
        ("https://localhost/hook", "pending"),
        ("no url at all", "dead"),
    ],
)
def test_no_callback_goes_where_no_photo_is_fetched(
    store: LocalMediaStore, server: Web, url: str, delivery: str
) -> None:
    job = ended(store, url)
    sender_for(store, server.host).send(job.job_id)
    known = Jobs(store).get(job.id)
    assert known.delivery == delivery
    (attempt,) = known.deliveries
    assert attempt.status is None and attempt.problem and "hunter2" not in attempt.problem
    assert server.received == []


def test_a_redirect_is_not_followed(store: LocalMediaStore, server: Web) -> None:
    server.answers["/hook"] = status(307, Location="/other")
    job = ended(store, f"{server.url}/hook")
    sender_for(store, server.host).send(job.job_id)
    assert [one.path for one in server.received] == ["/hook"]
    assert Jobs(store).get(job.id).delivery == "pending"


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        (200, "delivered", "delivered"),
        (204, "delivered", "delivered"),
        (301, "again", "dead"),
        (400, "again", "dead"),
        (401, "again", "dead"),
        (404, "again", "dead"),
        (410, "dead", "dead"),
        (408, "again", "again"),
        (425, "again", "again"),
        (429, "again", "again"),
        (500, "again", "again"),
        (503, "again", "again"),
        (None, "again", "again"),
    ],
)
def test_what_an_answer_means(code: int | None, first: str, last: str) -> None:
    assert outcome_of(code, True, 1) == first
    assert outcome_of(code, True, callbacks.MOST_REFUSALS) == last


def test_without_an_answer_that_may_come_it_is_over() -> None:
    assert outcome_of(None, False, 1) == "dead"


def test_pauses_grow_to_an_hour_and_differ() -> None:
    assert all(1 <= pause_after(1) <= 2 for _ in range(50))
    assert all(1800 <= pause_after(n) <= 3600 for n in (12, 30, 5000))
    assert len({pause_after(5) for _ in range(20)}) > 15
    assert pause_after(1, "10") == 10
    assert pause_after(1, "9" * 400) == 3600
    assert pause_after(1, "Wed, 21 Oct 2026 07:28:00 GMT") <= 2


def test_the_body_tells_why(store: LocalMediaStore) -> None:
    links = Links(store, b"secret")
    why = Problem(code="broken", detail="all models are broken")
    failed = ended(store, None, state="failed", result=None, problem=why)
    body = body_of(failed, links, "https://x")
    assert (body["success"], body["error_message"]) == (False, "all models are broken")
    assert body["processed_url"] is None and body["mask_url"] is None
    cancelled = ended(store, None, state="cancelled", result=None, number=2)
    assert body_of(cancelled, links, "")["error_message"] == "the job was cancelled"


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_the_queue_and_the_status_tell_the_same(store: LocalMediaStore, state: str) -> None:
    """Also of a job whose other photo was refused: it has succeeded, and its status says more."""
    changes: dict[str, Any] = {"state": state}
    if state == "completed":
        good = PhotoResult(source=0, category="exterior")
        refused = PhotoResult(source=1, refusal="not_an_image", detail="it is no photo")
        changes["result"] = JobResult(photos=(good, refused))
    elif state == "failed":
        changes |= {"result": None, "problem": Problem(code="broken", detail="no model")}
    job = ended(store, None, **changes)
    told = body_of(job, Links(store, b"secret"), "")
    places = Places(lambda key: key, lambda vehicle: vehicle)
    published = json.loads(next(answers(job, places)).body)["message"]
    status = image_job(job, lambda key: key)
    assert told["success"] is published["success"] is (status.status == "completed")
    assert told["error_message"] == published.get("errorMessage") == status.error_message
    assert told["success"] is (told["error_message"] is None)


def test_the_thread_sends_what_is_there_and_what_comes(store: LocalMediaStore, server: Web) -> None:
    first = ended(store, f"{server.url}/hook", number=1)
    sender = sender_for(store, server.host)
    with running(sender):
        wait_for(lambda: Jobs(store).get(first.id).delivery == "delivered", 10)
        second = ended(store, f"{server.url}/hook", number=2)
        wait_for(lambda: Jobs(store).get(second.id).delivery == "delivered", 10)
    assert len(server.received) == 2


def test_one_that_hangs_holds_up_no_other(store: LocalMediaStore, server: Web) -> None:
    release = threading.Event()

    def hang(handler: Handler) -> None:
        release.wait(5)
        handler.reply(200)

    with web() as slow:
        slow.answers["/hook"] = hang
        for number in range(12):
            # The same host for us is the same name, so the slow one has another.
            ended(store, f"http://localhost:{slow.port}/hook", number=number)
        quick = ended(store, f"{server.url}/hook", number=99)
        with running(sender_for(store, server.host, f"localhost:{slow.port}")):
            wait_for(lambda: Jobs(store).get(quick.id).delivery == "delivered", 5)
            wait_for(lambda: len(slow.received) >= callbacks.MOST_A_HOST, 10)
            time.sleep(0.2)
            assert len(slow.received) == callbacks.MOST_A_HOST
            release.set()
            wait_for(lambda: not list(outbox.entries(store, "http")), 10)
        assert len({one.headers["X-OKLA-Delivery"] for one in slow.received}) == 12


def test_a_store_that_does_not_answer_is_asked_again(
    store: LocalMediaStore, server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "POLL_SECONDS", 0.05)
    job = ended(store, f"{server.url}/hook")
    listed, failures = outbox.listed, iter([ConnectionError("no answer")] * 2)

    def flaky(*args: Any) -> Any:
        for failure in failures:
            raise failure
        return listed(*args)

    monkeypatch.setattr(outbox, "listed", flaky)
    sender = sender_for(store, server.host)
    with running(sender):
        wait_for(lambda: Jobs(store).get(job.id).delivery == "delivered", 10)


def test_entries_of_jobs_that_are_gone_leave(store: LocalMediaStore, server: Web) -> None:
    job = ended(store, f"{server.url}/hook")
    store.delete(keys.ended_job(job.job_id))
    sender_for(store, server.host).send(job.job_id)
    assert server.received == [] and not list(outbox.entries(store, "http"))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\0", b'{"job": 5}'])
def test_an_entry_that_is_damaged_is_sent_all_the_same(
    store: LocalMediaStore, server: Web, data: bytes
) -> None:
    job = ended(store, f"{server.url}/hook")
    store.put(keys.outbox("http", job.job_id), data)
    sender_for(store, server.host).send(job.job_id)
    assert Jobs(store).get(job.id).delivery == "delivered" and len(server.received) == 1


@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_what_cannot_be_sent_again_is_told(store: LocalMediaStore, state: str) -> None:
    jobs = Jobs(store)
    job, _ = jobs.accept(checked(operation="classify-image", sources=[PHOTO], callback="https://x"))
    named = job.id if state == "accepted" else "no-id"
    with pytest.raises(BadInput, match=state if state == "accepted" else "no job"):
        outbox.send_again(jobs, named)
    with pytest.raises(BadInput, match="no callback"):
        outbox.send_again(jobs, ended(store, None).id)


KILLED = """
import sys, threading
from okla_assets.doors.telling.callbacks import CallbackSender
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.links import Links
from resources.settings import settings
from resources.storage.media_store import LocalMediaStore

store, chosen = LocalMediaStore(root=sys.argv[1]), settings()
links, fetcher = Links(store, b"s"), Fetcher.of(chosen)
CallbackSender(store, Jobs(store), links, "https://x", fetcher, chosen).run(threading.Event())
"""


@pytest.mark.slow
def test_callbacks_survive_a_kill_in_the_middle_of_them(
    store: LocalMediaStore, server: Web
) -> None:
    arrived = threading.Event()

    def hang(handler: Handler) -> None:
        arrived.set()
        time.sleep(0.5)
        handler.reply(200)

    server.answers["/hook"] = hang
    jobs = [ended(store, f"{server.url}/hook", number=number) for number in range(12)]
    for _ in range(2):
        arrived.clear()
        command = [sys.executable, "-c", KILLED, store.root]
        hosts = {"OKLA_FETCH_HOSTS": server.host, "OKLA_FETCH_PRIVATE": "1"}
        with subprocess.Popen(command, env={**os.environ, **hosts}) as process:
            assert arrived.wait(30)
            process.kill()
    sender = sender_for(store, server.host)
    with running(sender):
        wait_for(lambda: not list(outbox.entries(store, "http")), 20)
    assert {Jobs(store).get(job.id).delivery for job in jobs} == {"delivered"}
    told = [one.headers["X-OKLA-Delivery"] for one in server.received]
    assert set(told) == {job.id for job in jobs}

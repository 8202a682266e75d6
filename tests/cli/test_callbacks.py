"""What a person at a terminal sees of `okla callbacks`."""

import json
from datetime import UTC, datetime

import pytest

from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.requests import checked
from okla_assets.doors.telling import outbox
from resources.storage.media_store import LocalMediaStore
from tests.cli.conftest import Command


@pytest.fixture
def okla(command: Command, monkeypatch: pytest.MonkeyPatch, store: LocalMediaStore) -> Command:
    store.put("processed/_any", b"")
    monkeypatch.setenv("OKLA_MEDIA_DIR", store.root)
    return command


def dead(store: LocalMediaStore) -> Job:
    jobs = Jobs(store)
    source = {"url": "https://photos.example.com/a.jpg"}
    callback = "https://backend.example.com/hook?token=secret"
    request = checked(operation="classify-image", sources=[source], callback=callback)
    job, _ = jobs.accept(request)
    ended = job.model_copy(update={"state": "completed", "ended_at": datetime.now(UTC)})
    outbox.post(store, ended)
    jobs.end(ended.model_copy(update={"delivery": "dead"}))
    (entry,) = outbox.entries(store, "http")
    outbox.put(store, "dead", entry.model_copy(update={"attempts": 9, "said": "answered 500"}))
    outbox.remove(store, "http", job.job_id)
    return job


def test_dead_callbacks_are_listed_and_sent_again(okla: Command, store: LocalMediaStore) -> None:
    assert okla("callbacks", "list").out == "every callback was taken\n"
    job = dead(store)
    (told,) = json.loads(okla("callbacks", "list", "--json").out)
    assert (told["job"], told["state"], told["attempts"]) == (job.id, "dead", 9)
    table = okla("callbacks", "list").out
    assert job.id in table and "backend.example.com" in table and "answered 500" in table
    assert "secret" not in table
    assert okla("callbacks", "retry", "--dead").out == f"{job.id} is sent again\n"
    (told,) = json.loads(okla("callbacks", "list", "--json").out)
    assert told["state"] == "waiting" and told.get("attempts", 0) == 0
    assert okla("callbacks", "retry", "--dead").out == "no callback was given up\n"
    assert okla("callbacks", "retry", job.id).code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "name the jobs"),
        (("no-job",), "there is no job no-job"),
        (("11111111-2222-3333-4444-555555555555",), "there is no job 11111111"),
    ],
)
def test_what_cannot_be_sent_again_is_a_sentence(
    okla: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    result = okla("callbacks", "retry", *arguments)
    assert result.code == 2 and sentence in result.err

"""Records of jobs, where several processes accept at the same moment, and their lists."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from unittest import mock

import pytest

from okla_assets import keys
from okla_assets.doors.jobs import record as jobs_module
from okla_assets.doors.jobs.record import Jobs, OtherRequest, new_id
from okla_assets.doors.jobs.requests import JobRequest, Operation, Source
from resources.storage.media_store import LocalMediaStore
from tests.doors.load import ended

ID = keys.JobId("11111111-2222-4333-8444-555555555555")


class Interrupted(LocalMediaStore):
    """A store where something happens between a process's look and its write."""

    def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
        _meanwhile.pop()()
        return super().put_new(key, data, content_type)


_meanwhile: list[Callable[[], object]] = []


def request(number: int = 1, **fields: Any) -> JobRequest:
    source = Source(url=f"https://example.org/{number}.jpg")
    return JobRequest(operation=Operation.classify, sources=(source,), caller="shop", **fields)


@pytest.fixture
def late(store: LocalMediaStore) -> Callable[[Callable[[], object]], Jobs]:
    """Jobs of a process that others overtake once it has looked whether there is such a job."""

    def make(meanwhile: Callable[[], object]) -> Jobs:
        _meanwhile[:] = [meanwhile]
        return Jobs(Interrupted(root=store.root))

    return make


def test_of_many_processes_that_accept_a_job_one_does(store: LocalMediaStore) -> None:
    together = threading.Barrier(6)

    class Slow(LocalMediaStore):
        def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
            together.wait(10)  # all have looked, and found none
            return super().put_new(key, data, content_type)

    jobs = Jobs(Slow(root=store.root))
    with ThreadPoolExecutor(6) as processes:
        accepted = list(processes.map(lambda _: jobs.accept(request(), ID), range(6)))
    assert sorted(new for _, new in accepted) == [False] * 5 + [True]
    assert all(job == jobs.get(ID) for job, _ in accepted)
    assert [one.id for one in jobs.of_caller("shop")] == [ID]


def test_a_job_that_runs_is_not_thrown_back(
    store: LocalMediaStore, late: Callable[[Callable[[], object]], Jobs]
) -> None:
    first = Jobs(store)

    def accepted_and_begun() -> None:
        job, _ = first.accept(request(), ID)
        first.keep(job.model_copy(update={"state": "running"}))

    job, new = late(accepted_and_begun).accept(request(), ID)
    assert (job.state, new) == ("running", False)
    assert first.get(ID).state == "running"


def test_a_job_that_ended_meanwhile_is_not_begun_again(
    store: LocalMediaStore, late: Callable[[Callable[[], object]], Jobs]
) -> None:
    first = Jobs(store)
    job, new = late(lambda: first.end(ended(first.accept(request(), ID)[0]))).accept(request(), ID)
    assert (job.state, new) == ("completed", False)
    assert list(first.unfinished()) == []
    assert [one.id for one in first.of_caller("shop")] == [ID]


@pytest.mark.parametrize("random", [True, False])
def test_a_job_may_end_before_its_caller_is_answered(store: LocalMediaStore, random: bool) -> None:
    class Quick(LocalMediaStore):
        def put_new(self, key: str, data: bytes, content_type: str | None = None) -> bool:
            written = super().put_new(key, data, content_type)
            (job,) = Jobs(store).unfinished()
            Jobs(store).end(ended(job))
            return written

    job, new = Jobs(Quick(root=store.root)).accept(request(), ID, random=random)
    assert (job.id, new) == (ID, True)
    assert Jobs(store).get(ID).state == "completed"
    assert [one.id for one in Jobs(store).of_caller("shop")] == [ID]


def test_another_request_of_the_same_id_at_the_same_moment_is_refused(
    store: LocalMediaStore, late: Callable[[Callable[[], object]], Jobs]
) -> None:
    first = Jobs(store)
    with pytest.raises(OtherRequest):
        late(lambda: first.accept(request(2), ID)).accept(request(1), ID)
    assert first.get(ID).request == request(2)
    assert [one.id for one in first.of_caller("shop")] == [ID]


def test_lists_have_the_newest_first_and_are_read_no_further_than_asked(
    store: LocalMediaStore,
) -> None:
    jobs, first, accepted = Jobs(store), datetime(2026, 9, 28, tzinfo=UTC), []
    for number in range(8):  # from September to October
        now = first + timedelta(days=number, microseconds=number)
        with mock.patch.object(jobs_module, "datetime", mock.Mock(now=lambda _, at=now: at)):
            accepted.append(jobs.accept(request(number, vehicle="CAR-1"))[0])
    newest = [job.id for job in reversed(accepted)]
    assert [one.id for one in jobs.of_caller("shop")] == newest
    assert [one.id for one in jobs.of_vehicle(keys.VehicleId("CAR-1"))] == newest
    assert [one.id for one in jobs.of_caller("shop", "2026-09")] == newest[-3:]
    assert [one.at for one in jobs.of_caller("shop")] == [
        job.created_at for job in reversed(accepted)
    ]
    assert list(jobs.callers()) == ["shop"]
    assert list(jobs.of_caller("nobody")) == []
    looked = mock.Mock(wraps=store.list)
    with mock.patch.object(LocalMediaStore, "list", lambda _, prefix: looked(prefix)):
        assert [one.id for one in islice(jobs.of_caller("shop"), 3)] == newest[:3]
    assert [call.args[0] for call in looked.call_args_list] == ["jobs/callers/shop/2026-10/"]


def test_lists_say_as_how_many_pictures_a_job_counts(store: LocalMediaStore) -> None:
    jobs = Jobs(store)
    three = tuple(Source(url=f"https://example.org/{n}.jpg") for n in range(3))
    jobs.accept(JobRequest(operation=Operation.classify, sources=three, caller="shop"))
    jobs.accept(JobRequest(operation=Operation.spin, vehicle="CAR-1", caller="shop"))
    store.put("jobs/callers/shop/2026-11/something-else", b"")
    assert sorted(one.pictures for one in jobs.of_caller("shop")) == [1, 3]


def test_a_request_that_is_sent_again_is_the_job_of_before(store: LocalMediaStore) -> None:
    jobs, named = Jobs(store), request(idempotency="order 7")
    job, new = jobs.accept(named)
    assert (job.id, new) == (new_id("shop", "order 7"), True)
    assert jobs.accept(named) == (job, False)
    assert len(list(store.list(keys.JOBS))) == 3  # of caller, of vehicle, of those without one

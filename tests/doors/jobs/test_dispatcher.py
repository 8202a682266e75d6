"""The life of jobs, with workers that do what a test tells them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from dagster_postgres.utils import DagsterPostgresException

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs import dispatcher
from okla_assets.doors.jobs.dispatcher import MOST_ATTEMPTS, Dispatcher
from okla_assets.doors.jobs.intake import take
from okla_assets.doors.jobs.record import Job, Jobs, OtherRequest, State, UnknownJob
from okla_assets.doors.jobs.requests import JobRequest, Operation, Source
from okla_assets.doors.jobs.results import JobResult, Problem
from okla_assets.doors.jobs.work import Ended, Unit, WorkerLost, WorkerUnavailable
from okla_assets.options import read_options
from resources.errors import BrokenSetup, Unreadable
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from resources.storage.stores import store_for
from tests.s3_servers import Front


@dataclass
class Bench:
    """Workers that make nothing; the test ends what they have begun."""

    most: int = 1
    begun: list[tuple[Unit, "Future[Ended]"]] = field(default_factory=list)
    open: int = 0
    stopped: list[str] = field(default_factory=list)

    def takes(self, quick: bool) -> bool:
        return self.open < self.most

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        future: Future[Ended] = Future()
        future.add_done_callback(lambda _: done())
        self.open += 1
        self.begun.append((unit, future))
        return future

    def ended(self, unit: Unit) -> None:
        self.open -= 1

    def stop(self, unit: Unit) -> None:
        self.stopped.append(unit.jobs[0].id)
        future = next(future for begun, future in self.begun if begun is unit)
        future.set_exception(WorkerLost("killed"))

    def next(self, count: int) -> tuple[Unit, "Future[Ended]"]:
        """The unit that is begun as number `count`, from 1."""
        until(lambda: len(self.begun) >= count)
        return self.begun[count - 1]


def until(true: Callable[[], object], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not happen"
        time.sleep(0.01)


def taken(job: Job) -> Job:
    """Takes over what is at a URL, without going there."""
    return job.model_copy(update={"uploads": tuple("raw/x.jpg" for _ in job.request.sources)})


Start = Callable[..., Dispatcher]


@pytest.fixture
def start(door: Door) -> Iterator[Start]:
    """Runs a dispatcher until the test ends."""
    stop, threads = threading.Event(), []

    def run(bench: Bench, **changes: Any) -> Dispatcher:
        told: list[Job] = []
        given = {"take": taken, "told": told.append} | changes
        leader = Dispatcher(door.jobs, bench, **given)
        thread = threading.Thread(target=leader.run, args=(stop,))
        thread.start()
        threads.append((thread, leader))
        return leader

    yield run
    stop.set()
    for thread, leader in threads:
        leader.wake()
        thread.join(10)


def ask(jobs: Jobs, operation: Operation = Operation.classify, **fields: Any) -> Job:
    sources = (Source(url=f"https://example.org/{time.monotonic_ns()}.jpg"),)
    request = JobRequest(**{"operation": operation, "sources": sources} | fields)
    return jobs.accept(request)[0]


def all_done(unit: Unit) -> Ended:
    return Ended(run_id="r1", results={j.id: JobResult() for j in unit.jobs})


def test_a_job_goes_from_accepted_to_completed(door: Door, start: Start) -> None:
    told: list[Job] = []
    bench = Bench()
    dispatcher = start(bench, told=told.append)
    job = ask(door.jobs, callback="https://example.org/done")
    dispatcher.wake(job.job_id)
    unit, future = bench.next(1)
    assert door.jobs.get(job.id).state == "running" == unit.jobs[0].state
    assert door.jobs.get(job.id).progress == 50
    future.set_result(all_done(unit))
    until(lambda: door.jobs.get(job.id).has_ended)
    ended = door.jobs.get(job.id)
    assert (ended.state, ended.progress, ended.run_id) == ("completed", 100, "r1")
    assert ended.delivery == "pending"
    assert [one.id for one in told] == [job.id]
    until(lambda: not list(door.jobs.unfinished()))  # its record there goes after the end


def test_what_is_no_record_holds_up_no_other(
    door: Door, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    door.store.put("inbox/00000000-0000-4000-8000-000000000000.json", b'{"id": "x"}')
    door.store.put("inbox/nothing.json", b"\xff\x00")
    bench = Bench()
    start(bench)
    job = ask(door.jobs)
    unit, future = bench.next(1)
    future.set_result(all_done(unit))
    until(lambda: door.jobs.ended(job.job_id))
    assert "cannot be read" in caplog.text


def test_nothing_is_kept_of_jobs_that_have_ended(door: Door, start: Start) -> None:
    bench = Bench(most=50)
    dispatcher = start(bench)
    for number in range(20):
        dispatcher.wake(ask(door.jobs, vehicle=f"CAR-{number}").job_id)
    until(lambda: len(bench.begun) == 20)
    assert sum(dispatcher.counts().values()) == 20
    for unit, future in bench.begun:
        future.set_result(all_done(unit))
    until(lambda: not dispatcher.counts())
    kept = [value for value in vars(dispatcher).values() if isinstance(value, dict | list | set)]
    assert len(kept) >= 6
    until(lambda: not any(kept))


def test_a_job_of_another_process_is_found(door: Door, start: Start) -> None:
    bench = Bench()
    start(bench)
    job = ask(door.jobs)  # nobody wakes the dispatcher
    assert bench.next(1)[0].jobs[0].id == job.id


def test_a_look_for_work_is_one_request_to_a_bucket(front: Front, s3_place: str) -> None:
    jobs = Jobs(store_for(s3_place))
    job = ask(jobs)
    jobs.ask_to_end(job)
    idle = Dispatcher(jobs, Bench(), lambda job: job, lambda job: None)
    idle._look()
    assert list(idle._known) == [job.id] and idle._cancelled == {job.id}
    front.seen.clear()
    empty = Dispatcher(
        Jobs(store_for(f"{s3_place}/empty")), Bench(), lambda job: job, lambda job: None
    )
    empty._look()
    assert len(front.seen) == 1


def test_what_is_quick_goes_before_what_is_long(door: Door, start: Start) -> None:
    first, bench = ask(door.jobs), Bench()
    start(bench)
    bench.next(1)
    slow, quick = ask(door.jobs, Operation.full, vehicle="CAR-1"), ask(door.jobs, vehicle="CAR-2")
    queued = {"queued", "running"}
    until(lambda: {door.jobs.get(job.id).state for job in (slow, quick)} <= queued)
    for count, job in enumerate((first, quick, slow), 1):
        unit, future = bench.next(count)
        assert unit.jobs[0].id == job.id
        future.set_result(all_done(unit))


def test_jobs_of_one_vehicle_are_answered_by_one_run(door: Door, start: Start) -> None:
    bench = Bench()
    start(bench)
    ask(door.jobs)
    first = bench.next(1)[1]
    jobs = [ask(door.jobs, vehicle="CAR-1") for _ in range(3)]
    other = ask(door.jobs, vehicle="CAR-1", options={"background_id": "dark_studio"})
    until(lambda: {door.jobs.get(job.id).state for job in (*jobs, other)} == {"queued"})
    bench.most = 5
    first.set_result(Ended(again=True))
    until(lambda: len(bench.begun) >= 3)  # the first one again, and one of the vehicle
    units = [unit for unit, _ in bench.begun[1:] if unit.vehicle == "CAR-1"]
    assert [[job.id for job in unit.jobs] for unit in units] == [[job.id for job in jobs]]
    time.sleep(0.1)
    assert len(bench.begun) == 3  # never two runs of one vehicle at a time
    next(future for unit, future in bench.begun if unit is units[0]).set_result(all_done(units[0]))
    assert [job.id for job in bench.next(4)[0].jobs] == [other.id]


def test_jobs_whose_run_a_person_cancelled_are_cancelled(door: Door, start: Start) -> None:
    bench = Bench()
    start(bench)
    job = ask(door.jobs, vehicle="CAR-1")
    bench.next(1)[1].set_result(Ended(run_id="1", cancelled=True))
    until(lambda: door.jobs.get(job.id).has_ended)
    ended = door.jobs.get(job.id)
    assert (ended.state, ended.problem, len(bench.begun)) == ("cancelled", None, 1)


def dark(door: Door, vehicle: str = "CAR-1") -> bool:
    options, _ = read_options(keys.VehicleId(vehicle), door.store)
    return options.background_id == "dark_studio"


def in_turn(door: Door, bench: Bench, start: Start) -> tuple[Job, Job]:
    """Has two jobs of a vehicle, of other scenes, wait until the bench has a place."""
    photo = keys.raw_photos(keys.VehicleId("CAR-1")) + "a.jpg"
    door.store.put(photo, b"\xff\xd8\xff\xe0")
    start(bench, take=lambda job: take(job, door.store, Fetcher.of(Settings())))

    def ask_for(scene: str) -> Job:
        options = {"background_id": scene}
        return ask(door.jobs, vehicle="CAR-1", sources=(Source(key=photo),), options=options)

    first, second = ask_for("dark_studio"), ask_for("white_studio")
    until(lambda: {door.jobs.get(job.id).state for job in (first, second)} == {"queued"})
    return first, second


def test_each_job_is_made_by_its_own_options(door: Door, start: Start) -> None:
    bench = Bench(most=0)
    first, second = in_turn(door, bench, start)
    bench.most = 1
    assert bench.next(1)[0].jobs[0].id == first.id
    assert dark(door)
    bench.next(1)[1].set_exception(WorkerLost("killed"))
    unit, future = bench.next(2)
    assert unit.jobs[0].id == first.id and dark(door)
    future.set_result(all_done(unit))
    assert bench.next(3)[0].jobs[0].id == second.id
    assert not dark(door)


def test_options_that_cannot_be_used_any_more_fail_the_job_alone(door: Door, start: Start) -> None:
    bench = Bench(most=0)
    jobs = in_turn(door, bench, start)
    other = ask(door.jobs, vehicle="CAR-2", sources=())
    door.store.put(keys.raw_photos(other.vehicle_id) + "a.jpg", b"x")
    door.store.put(keys.options(keys.VehicleId("CAR-1")), b"{")
    bench.most = 1
    assert bench.next(1)[0].jobs[0].id == other.id
    until(lambda: all(door.jobs.get(job.id).has_ended for job in jobs))
    problems = [door.jobs.get(job.id).problem for job in jobs]
    assert [problem and problem.code for problem in problems] == ["bad_input"] * 2


def test_a_vehicle_that_others_work_on_waits(door: Door, start: Start) -> None:
    occupied = {"CAR-1"}
    bench = Bench(most=5)
    start(bench, occupied=lambda wanted: frozenset(wanted & occupied))
    ask(door.jobs, vehicle="CAR-1")
    free = ask(door.jobs, vehicle="CAR-2")
    assert bench.next(1)[0].jobs[0].id == free.id
    time.sleep(1.2)
    assert len(bench.begun) == 1
    occupied.clear()
    assert bench.next(2)[0].vehicle == "CAR-1"


def test_a_lost_worker_is_tried_again_and_then_given_up(door: Door, start: Start) -> None:
    job = ask(door.jobs)
    bench = Bench()
    start(bench)
    for count in range(1, MOST_ATTEMPTS + 1):
        bench.next(count)[1].set_exception(WorkerLost("killed"))
    until(lambda: door.jobs.get(job.id).has_ended)
    ended = door.jobs.get(job.id)
    assert ended.state == "failed"
    assert ended.problem is not None and ended.problem.code == "worker_lost"


def test_a_broken_setup_is_waited_for_and_no_jobs_fault(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okla_assets.doors.jobs.dispatcher.PAUSE_SECONDS", 0.01)
    job = ask(door.jobs)
    bench = Bench()
    start(bench)
    for count in range(1, MOST_ATTEMPTS + 2):
        future = bench.next(count)[1]
        if count % 2:
            future.set_exception(WorkerUnavailable("no database"))
        else:
            future.set_result(Ended(unavailable="no database"))
    unit, future = bench.next(MOST_ATTEMPTS + 2)
    assert unit.jobs[0].attempts == 1
    future.set_result(all_done(unit))
    until(lambda: door.jobs.get(job.id).state == "completed")


def test_a_store_that_is_away_when_sources_are_there_is_waited_for(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, failures = Jobs.keep, [ConnectionError("the store is away")]

    def kept(self: Jobs, job: Job) -> None:
        if failures:
            raise failures.pop()
        keep(self, job)

    monkeypatch.setattr(Jobs, "keep", kept)
    ask(door.jobs)
    bench = Bench()
    start(bench)
    assert bench.next(1)[0].jobs[0].uploads == ("raw/x.jpg",)
    assert failures == []


@pytest.mark.parametrize("error", [BrokenSetup("no space left"), ConnectionError("no bucket")])
def test_a_store_that_is_away_while_sources_are_taken_is_waited_for(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A full disk until somebody has made space, a bucket for some pauses."""
    monkeypatch.setattr(dispatcher, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(dispatcher, "PAUSE_SECONDS", 0.3)
    failures = 5 if isinstance(error, BrokenSetup) else MOST_ATTEMPTS - 1
    at: list[float] = []

    def take_late(job: Job) -> Job:
        at.append(time.monotonic())
        if len(at) <= failures:
            raise error
        return taken(job)

    ask(door.jobs)
    bench = Bench()
    start(bench, take=take_late)
    bench.next(1)
    assert len(at) == failures + 1
    assert min(later - sooner for sooner, later in pairwise(at)) >= 0.3


def test_a_file_of_a_source_that_may_not_be_read_fails_its_job(door: Door, start: Start) -> None:
    def denied(job: Job) -> Job:
        raise Unreadable("raw/CAR-1/a.jpg may not be read")

    job = ask(door.jobs)
    start(Bench(), take=denied)
    until(lambda: door.jobs.get(job.id).state == "failed")


def no_database() -> Exception:
    """What dagster-postgres raises when it has tried for some seconds."""
    return DagsterPostgresException("too many retries for DB connection")


def test_records_that_are_away_are_waited_for(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LOOK_SECONDS", 0.01)
    failures = [no_database(), no_database()]

    def occupied(_: set[str]) -> frozenset[str]:
        if failures:
            raise failures.pop()
        return frozenset()

    ask(door.jobs)
    bench = Bench()
    start(bench, occupied=occupied)
    bench.next(1)
    assert failures == []


def test_a_unit_that_could_not_be_asked_for_was_no_attempt(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LOOK_SECONDS", 0.01)
    failures = [ConnectionError("the store is away") for _ in range(MOST_ATTEMPTS)]

    class Away(Bench):
        def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
            if failures:
                raise failures.pop()
            return super().start(unit, done)

    ask(door.jobs)
    bench = Away()
    start(bench)
    assert bench.next(1)[0].jobs[0].attempts == 1


def test_sources_that_cannot_be_had_fail_the_job(door: Door, start: Start) -> None:
    def refused(job: Job) -> Job:
        problem = Problem(code="unreachable", detail="example.org does not answer")
        return job.model_copy(update={"uploads": (None,), "refusals": {0: problem}})

    job = ask(door.jobs)
    start(Bench(), take=refused)
    until(lambda: door.jobs.get(job.id).has_ended)
    problem = door.jobs.get(job.id).problem
    assert problem is not None and problem.code == "unreachable"


@pytest.mark.parametrize("state", ["accepted", "queued", "running"])
def test_after_a_kill_every_job_goes_on(door: Door, start: Start, state: State) -> None:
    job = ask(door.jobs)
    uploads = () if state == "accepted" else ("raw/x.jpg",)
    door.jobs.keep(job.model_copy(update={"state": state, "uploads": uploads, "attempts": 1}))
    bench = Bench()
    start(bench)
    unit, future = bench.next(1)
    future.set_result(all_done(unit))
    until(lambda: door.jobs.get(job.id).state == "completed")


def test_a_kill_between_the_two_writes_of_an_end_ends_nothing_twice(
    door: Door, start: Start
) -> None:
    job = ask(door.jobs)
    failed = job.model_copy(update={"state": "failed"})
    door.jobs.end(failed)
    door.jobs.keep(job)  # as if its removal had not happened
    bench = Bench()
    start(bench)
    until(lambda: not list(door.jobs.unfinished()))
    assert bench.begun == []
    assert door.jobs.get(job.id).state == "failed"


def test_a_job_that_waits_is_cancelled_at_once(door: Door, start: Start) -> None:
    bench = Bench()
    start(bench)
    ask(door.jobs)
    bench.next(1)
    waiting = ask(door.jobs)
    door.jobs.ask_to_end(waiting)
    until(lambda: door.jobs.get(waiting.id).state == "cancelled")
    door.jobs.ask_to_end(waiting)  # the record is of before
    until(lambda: not door.jobs.look()[1])
    assert len(bench.begun) == 1


def test_a_long_job_is_stopped_and_a_quick_one_thrown_away(door: Door, start: Start) -> None:
    bench = Bench(most=2)
    start(bench)
    quick, long = ask(door.jobs), ask(door.jobs, Operation.full, vehicle="CAR-1")
    bench.next(2)
    for job in (quick, long):
        door.jobs.ask_to_end(door.jobs.get(job.id))
    until(lambda: door.jobs.get(long.id).state == "cancelled")
    assert bench.stopped == [long.id]
    unit, future = next(one for one in bench.begun if one[0].jobs[0].id == quick.id)
    future.set_result(all_done(unit))
    until(lambda: door.jobs.get(quick.id).state == "cancelled")


def test_a_quick_job_that_hangs_is_stopped_too(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "QUICK_SECONDS", 0.0)
    bench = Bench()
    start(bench)
    job = ask(door.jobs)
    bench.next(1)
    door.jobs.ask_to_end(door.jobs.get(job.id))
    until(lambda: door.jobs.get(job.id).state == "cancelled")
    assert bench.stopped == [job.id]


def test_a_run_is_stopped_when_none_of_its_jobs_is_wanted(
    door: Door, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LOOK_SECONDS", 0.1)
    bench = Bench(most=0)
    start(bench)
    jobs = [ask(door.jobs, Operation.full, vehicle="CAR-1") for _ in range(2)]
    until(lambda: {door.jobs.get(job.id).state for job in jobs} == {"queued"})
    bench.most = 1
    assert len(bench.next(1)[0].jobs) == 2
    door.jobs.ask_to_end(door.jobs.get(jobs[0].id))
    time.sleep(0.5)
    assert bench.stopped == []
    door.jobs.ask_to_end(door.jobs.get(jobs[1].id))
    until(lambda: {door.jobs.get(job.id).state for job in jobs} == {"cancelled"})
    assert len(bench.stopped) == 1


def test_the_same_request_twice_is_one_job_and_another_is_refused(store: LocalMediaStore) -> None:
    jobs = Jobs(store)
    asked = {"operation": Operation.classify, "idempotency": "k1", "caller": "a"}
    first, new = jobs.accept(JobRequest(**asked))  # type: ignore[arg-type]
    again, newer = jobs.accept(JobRequest(**asked))  # type: ignore[arg-type]
    assert (new, newer) == (True, False)
    assert first.id == again.id
    with pytest.raises(OtherRequest):
        jobs.accept(JobRequest(**asked | {"operation": Operation.segment}))  # type: ignore[arg-type]
    other, new = jobs.accept(JobRequest(**asked | {"caller": "b"}))  # type: ignore[arg-type]
    assert new and other.id != first.id
    assert [one.id for one in jobs.of_caller("a")] == [first.id]
    with pytest.raises(UnknownJob):
        jobs.get(first.id, "b")
    for wrong in ("", "../x", first.id + "/..", "%00", "x" * 5000):
        with pytest.raises(UnknownJob):
            jobs.get(wrong)

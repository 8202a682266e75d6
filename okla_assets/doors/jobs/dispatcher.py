"""The one process that leads jobs through their life, and the only one that changes their records.

It finds what was accepted, has the sources taken over, hands jobs to workers, and writes how they
ended. It keeps nothing that the inbox does not have: after a kill the next one begins with what is
there, and a job that was being made is made again, mostly from the step caches.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

from okla_assets import keys
from okla_assets.doors.jobs.intake import give_options
from okla_assets.doors.jobs.record import PROGRESS, Job, Jobs
from okla_assets.doors.jobs.results import Problem
from okla_assets.doors.jobs.work import Ended, Unit, WorkerLost, WorkerUnavailable, fits
from okla_assets.runtime.instance import waited_out
from resources.errors import BadInput, BrokenSetup, Unreadable

log = logging.getLogger("okla.doors")

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 5.0
"""Before another try where nothing can be made."""
MOST_ATTEMPTS = 3
QUICK_SECONDS = 30.0
"""After which a quick unit that nobody wants any more is broken off. Before, it is let finish: a
lane that is killed loads its models again."""
MOST_TOGETHER = 40
"""Jobs of one vehicle that one run answers."""
FETCHERS = 8
TRIED_TOGETHER = 50
"""Units of which the records of runs are asked at a time whether others work on their vehicles."""


class Workers(Protocol):
    """Who makes units: lanes of this process, or Dagster's own runs."""

    def takes(self, quick: bool) -> bool:
        """Whether one more unit could be started now, of those that are quick or of others."""
        ...

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        """Starts it; `done` is called from any thread when it has ended."""
        ...

    def ended(self, unit: Unit) -> None:
        """The unit has ended, and was seen to."""
        ...

    def stop(self, unit: Unit) -> None:
        """Breaks the unit off."""
        ...


@dataclass(frozen=True)
class _Begun:
    """A unit that is being made. `at` is when that began, by the monotonic clock."""

    unit: Unit
    future: "Future[Ended]"
    at: float

    @property
    def jobs(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(job.id for job in self.unit.jobs)

    @property
    def may_be_stopped(self) -> bool:
        """Whether it is worth breaking off."""
        overdue = time.monotonic() - self.at >= QUICK_SECONDS
        return not self.future.done() and (overdue or not self.unit.operation.is_quick)


@dataclass
class Dispatcher:
    """`take` takes a job's sources over (`intake.py`), `told` notes whom to tell of its end,
    `occupied` says of which vehicles others have a run under way.

    One thread calls `run`; `wake` may be called by any.
    """

    jobs: Jobs
    workers: Workers
    take: Callable[[Job], Job]
    told: Callable[[Job], object]
    occupied: Callable[[set[str]], frozenset[str]] = lambda wanted: frozenset()
    _known: dict[str, Job] = field(default_factory=dict, init=False)
    _untaken: dict[str, float] = field(default_factory=dict, init=False)
    """Jobs whose sources are still to be taken over, and when, by the monotonic clock."""
    _taking: dict[str, "Future[Job]"] = field(default_factory=dict, init=False)
    _making: dict[str, _Begun] = field(default_factory=dict, init=False)
    """By vehicle."""
    _cancelled: set[str] = field(default_factory=set, init=False)
    _event: threading.Event = field(default_factory=threading.Event, init=False)
    _new: list[keys.JobId] = field(default_factory=list, init=False)
    _paused_until: float = field(default=0.0, init=False)

    def wake(self, accepted: keys.JobId | None = None) -> None:
        """Something may be done: a job was accepted, or one has ended."""
        if accepted is not None:
            self._new.append(accepted)
        self._event.set()

    def run(self, stop: threading.Event) -> None:
        """Leads jobs until it is stopped."""
        looked = 0.0
        with ThreadPoolExecutor(FETCHERS, "intake") as fetchers:
            while not stop.is_set():
                self._event.clear()
                try:
                    while self._new:
                        self._hear(self._new.pop())
                    if time.monotonic() - looked >= LOOK_SECONDS:
                        self._look()
                        looked = time.monotonic()
                    self._end_cancelled()
                    self._collect()
                    self._take(fetchers)
                    self._start()
                except waited_out() as error:
                    log.error("jobs wait: %s", " ".join(str(error).split())[:500])
                    stop.wait(LOOK_SECONDS)
                self._event.wait(LOOK_SECONDS)
            fetchers.shutdown(wait=False, cancel_futures=True)

    def counts(self) -> Mapping[str, int]:
        """How many jobs have not ended, by state, as far as it knows; for any thread."""
        return Counter(job.state for job in [*self._known.values()])

    def _hear(self, accepted: keys.JobId) -> None:
        """Looks at a job that was accepted, unless it was found before, or has ended since."""
        if accepted in self._known:
            return
        job = self.jobs.find(accepted)
        if job is not None and not job.has_ended:
            self._learn(job)

    def _learn(self, job: Job) -> None:
        """Takes note of a job; of one that is known, what is known is newer."""
        if job.id not in self._known:
            self._known[job.id] = job
            if job.state == "accepted":
                self._untaken[job.id] = 0.0

    def _look(self) -> None:
        """Finds what other processes have accepted, or want to end."""
        jobs, to_be_cancelled = self.jobs.look(self._known.keys())
        for job in jobs:
            ended = self.jobs.ended(job.job_id)
            if ended is not None:  # killed between the two writes of an end
                self.jobs.end(ended)
            else:
                self._learn(job)
        for job_id in to_be_cancelled:
            known = self.jobs.find(keys.JobId(job_id))
            if known is None or known.has_ended:
                self.jobs.store.delete(keys.inbox_cancel(keys.JobId(job_id)))
            else:
                self._cancelled.add(job_id)

    def _end_cancelled(self) -> None:
        if not self._cancelled:
            return
        in_work = {*self._taking}
        for begun in self._making.values():
            in_work |= begun.jobs
            if begun.jobs <= self._cancelled and begun.may_be_stopped:
                self.workers.stop(begun.unit)
        for job_id in (self._cancelled & self._known.keys()) - in_work:
            self._end(self._known[job_id], "cancelled", None)
        self._cancelled &= self._known.keys()

    def _collect(self) -> None:
        """Sees to what has ended: sources taken over, and runs."""
        for job_id, taking in [*self._taking.items()]:
            if taking.done():
                del self._taking[job_id]
                try:
                    self._taken(self._known[job_id], taking)
                except BaseException:  # the store does not answer: another time
                    self._untaken[job_id] = time.monotonic() + LOOK_SECONDS
                    raise
        for vehicle, begun in [*self._making.items()]:
            if begun.future.done():
                del self._making[vehicle]
                self.workers.ended(begun.unit)
                self._made(begun.unit, begun.future)

    def _take(self, fetchers: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        for job_id in [job_id for job_id, at in self._untaken.items() if at <= now]:
            del self._untaken[job_id]
            job = self._known.get(job_id)
            if job is not None:  # else it was cancelled
                future = fetchers.submit(self.take, job)
                future.add_done_callback(lambda _: self.wake())
                self._taking[job.id] = future

    def _taken(self, job: Job, taking: "Future[Job]") -> None:
        try:
            taken = taking.result()
        except BadInput as error:
            self._end(job, "failed", Problem(code="bad_input", detail=str(error)))
            return
        except Exception as error:
            waits = isinstance(error, BrokenSetup) and not isinstance(error, Unreadable)
            again = isinstance(error, OSError) and job.attempts + 1 < MOST_ATTEMPTS
            if not waits and not again:
                log.error("job %s: its sources", job.id, exc_info=error)
                self._end(job, "failed", Problem(code="internal_error", detail=str(error)))
                return
            log.error("jobs wait: %s", error)
            if again:
                self._keep(job, attempts=job.attempts + 1)
            self._untaken[job.id] = time.monotonic() + PAUSE_SECONDS
            return
        usable = any(upload is not None for upload in taken.uploads)
        if not usable and (taken.refusals or not self._has_uploads(taken)):
            first = next(
                iter(taken.refusals.values()),
                Problem(code="no_source", detail="the job names no photo and no video"),
            )
            self._end(taken, "failed", first)
            return
        self._keep(taken, state="queued", attempts=0)

    def _has_uploads(self, job: Job) -> bool:
        """Whether the vehicle has uploads of before, which a job without sources is about."""
        folder = keys.raw_folder(job.vehicle_id)
        records = keys.records(job.vehicle_id)
        return any(info.key not in records for info in self.jobs.store.list(folder))

    def _start(self) -> None:
        """Hands over what can be made now: what is quick before what is long, then by age."""
        if time.monotonic() < self._paused_until:
            return
        waiting = self._waiting()
        while some := [*islice(waiting, TRIED_TOGETHER)]:
            occupied = self.occupied({unit.vehicle for unit in some})
            for unit in some:
                if unit.vehicle not in occupied and self.workers.takes(unit.operation.is_quick):
                    self._begin(unit)

    def _waiting(self) -> Iterator[Unit]:
        """What can be made now, as long as workers take more."""
        if not any(map(self.workers.takes, (True, False))):
            return  # with thousands that wait, what follows takes a while
        waiting = [
            job
            for job in self._known.values()
            if job.state in ("queued", "running") and job.vehicle not in self._making
        ]
        waiting.sort(key=lambda job: (not job.request.operation.is_quick, job.created_at))
        together: dict[str, list[Job]] = {}
        for job in waiting:
            group = together.setdefault(job.vehicle, [job])
            if job is not group[0] and len(group) < MOST_TOGETHER and fits(group, job):
                group.append(job)
        for group in together.values():
            if self.workers.takes(group[0].request.operation.is_quick):
                yield Unit(jobs=tuple(group))

    def _begin(self, unit: Unit) -> None:
        try:
            give_options(unit.jobs[0], self.jobs.store)  # which are those of all
        except (BadInput, Unreadable) as error:
            for job in unit.jobs:
                self._end(job, "failed", Problem(code="bad_input", detail=str(error)))
            return
        now = datetime.now(UTC)
        begun = [
            self._keep(
                job,
                state="running",
                started_at=job.started_at or now,
                attempts=job.attempts + 1,
            )
            for job in unit.jobs
        ]
        started = Unit(jobs=tuple(begun))
        try:
            future = self.workers.start(started, self.wake)
        except Exception:  # it has not begun, and this was no attempt
            for job in begun:
                self._known[job.id] = job.model_copy(update={"attempts": job.attempts - 1})
            raise
        self._making[unit.vehicle] = _Begun(started, future, time.monotonic())

    def _made(self, unit: Unit, future: "Future[Ended]") -> None:
        try:
            ended = future.result()
        except WorkerUnavailable as error:
            ended = Ended(unavailable=str(error))
        except WorkerLost as error:
            if unit.jobs[0].id not in self._cancelled:
                log.warning("job %s: %s", unit.jobs[0].id, error)
            ended = Ended(again=True)
        except Exception as error:
            log.error("job %s", unit.jobs[0].id, exc_info=error)
            ended = Ended(again=True)
        if ended.unavailable:
            log.error("jobs wait: %s", ended.unavailable)
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        for job in unit.jobs:
            if job.id in self._cancelled or ended.cancelled:
                self._end(job, "cancelled", None)
            elif job.id in ended.results:
                done = job.model_copy(
                    update={"result": ended.results[job.id], "run_id": ended.run_id}
                )
                self._end(done, "completed", None)
            elif job.id in ended.problems:
                failed = job.model_copy(update={"run_id": ended.run_id})
                self._end(failed, "failed", ended.problems[job.id])
            elif ended.unavailable:
                self._keep(job, state="queued", attempts=job.attempts - 1)
            elif job.attempts >= MOST_ATTEMPTS:
                detail = f"its process ended {job.attempts} times in the middle of the work"
                self._end(job, "failed", Problem(code="worker_lost", detail=detail))
            else:
                self._keep(job, state="queued")

    def _keep(self, job: Job, **changes: object) -> Job:
        changed = job.model_copy(update=changes)
        changed = changed.model_copy(update={"progress": PROGRESS[changed.state]})
        self.jobs.keep(changed)
        self._known[job.id] = changed
        return changed

    def _end(self, job: Job, state: str, problem: Problem | None) -> None:
        ended = job.model_copy(
            update={
                "state": state,
                "problem": problem,
                "ended_at": datetime.now(UTC),
                "progress": 100,
                "delivery": "pending" if job.request.callback else "none",
            }
        )
        self.told(ended)  # before it has ended, so that no end is told to nobody
        self.jobs.end(ended)
        self._known.pop(job.id, None)
        self._cancelled.discard(job.id)

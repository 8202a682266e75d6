"""Jobs as runs of Dagster: its queue starts them, wherever its launcher makes runs.

A unit becomes an object that the sensor `jobs` turns into a run request, as uploads are turned
into runs; the runs are then watched by their tag.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

import dagster as dg

from okla_assets import dagster_tags
from okla_assets.asked_runs import AskedRun, ask, forget
from okla_assets.doors.jobs.results import Problem
from okla_assets.doors.jobs.work import ASSETS, Ended, Unit, Worker
from okla_assets.operations.failures import problem_of
from okla_assets.runtime.instance import waited_out
from okla_assets.vehicle_runs import JOB_TAG

log = logging.getLogger("okla.doors")

LOOK_SECONDS = 1.0


@dataclass
class DagsterRuns:
    """`worker` reads what runs have made; `most` units are asked for at a time, of which Dagster
    starts as many as its own limits allow."""

    worker: Worker
    most: int = 200
    _open: dict[str, tuple[Unit, "Future[Ended]"]] = field(default_factory=dict, init=False)
    _stopped: set[str] = field(default_factory=set, init=False)
    """Of those, what Dagster has been told to cancel."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def takes(self, quick: bool) -> bool:
        """Whether Dagster may be asked for one more."""
        return len(self._open) < self.most

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        """Asks for the unit's run; `watch` ends the future."""
        future: Future[Ended] = Future()
        future.add_done_callback(lambda _: done())
        ask(self.worker.store, self._asked(unit))
        with self._lock:
            self._open[_name(unit)] = unit, future
        return future

    def ended(self, unit: Unit) -> None:
        """Forgets what was asked for."""
        forget(self.worker.store, _name(unit))
        with self._lock:
            self._open.pop(_name(unit), None)
            self._stopped.discard(_name(unit))

    def stop(self, unit: Unit) -> None:
        """Has Dagster cancel the run; one that has not begun is never asked for again.

        To be called until it has ended: who does not answer is asked once more.
        """
        name = _name(unit)
        if name in self._stopped:
            return
        forget(self.worker.store, name)
        run = self._newest(unit)
        if run is None:
            with self._lock:
                _, future = self._open[name]
            with suppress(InvalidStateError):  # `watch` was quicker
                future.set_result(Ended(again=True))
        elif not run.is_finished:
            try:
                self.worker.instance.run_coordinator.cancel_run(run.run_id)
            except Exception as error:  # noqa: BLE001  a code server, or a broker, that is away
                log.error("run of job %s cannot be cancelled: %s", unit.jobs[0].id, error)
            else:
                self._stopped.add(name)

    def watch(self, stop: threading.Event) -> None:
        """Looks after the runs that were asked for, until it is stopped."""
        while not stop.wait(LOOK_SECONDS):
            with self._lock:
                open_now = [*self._open.values()]
            for unit, future in open_now:
                if not future.done():
                    with suppress(InvalidStateError):  # `stop` was quicker
                        self._look(unit, future)

    def _look(self, unit: Unit, future: "Future[Ended]") -> None:
        try:
            ended = self._ended(unit)
        except waited_out() as error:
            log.error("run of job %s: %s", unit.jobs[0].id, error)
        except Exception as error:  # noqa: BLE001  told to whoever waits for the unit
            future.set_exception(error)
        else:
            if ended is not None:
                future.set_result(ended)

    def _ended(self, unit: Unit) -> Ended | None:
        run = self._newest(unit)
        if run is None or not run.is_finished:
            return None
        if run.status is dg.DagsterRunStatus.SUCCESS:
            return self.worker.told(unit, run.run_id)
        if run.status is dg.DagsterRunStatus.CANCELED:
            # By a person in its UI: of `stop` the dispatcher knows, and else it would have failed.
            return Ended(run_id=run.run_id, cancelled=True)
        if run.tags.get(dagster_tags.WILL_RETRY) == "true":
            return None
        problem = problem_of(self.worker.instance, run.run_id)
        if problem.interrupted:  # its worker was stopped
            return Ended(run_id=run.run_id, again=True)
        failed = Problem(code="processing_failed", detail=f"{problem.step}: {problem.error}")
        return Ended(run_id=run.run_id, problems={job.id: failed for job in unit.jobs})

    def _asked(self, unit: Unit) -> AskedRun:
        return AskedRun(
            name=_name(unit),
            vehicle=unit.vehicle,
            assets=ASSETS[unit.operation],
            options=unit.jobs[0].request.options,
        )

    def _newest(self, unit: Unit) -> dg.DagsterRun | None:
        tags = {JOB_TAG: _name(unit)}
        return next(iter(self.worker.instance.get_runs(dg.RunsFilter(tags=tags), limit=1)), None)


def _name(unit: Unit) -> str:
    """Of the unit's run: its first job and the attempt, so that each attempt is a run."""
    return f"{unit.jobs[0].id}.{unit.jobs[0].attempts}"

"""`okla serve`: the dispatcher, its lanes, who tells callers, and the process that answers HTTP."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from okla_assets import keys
from okla_assets.asked_runs import forget_all
from okla_assets.doors.callers.stored import callers_for, check_host
from okla_assets.doors.connections import STOPPING_SECONDS
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.http_process import HttpProcess
from okla_assets.doors.jobs import intake
from okla_assets.doors.jobs.dagster_runs import DagsterRuns
from okla_assets.doors.jobs.dispatcher import Dispatcher
from okla_assets.doors.jobs.lanes import Lane, Lanes
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.jobs.work import Ended, Unit, Worker
from okla_assets.doors.links import Links, secret_of
from okla_assets.doors.telling import outbox
from okla_assets.doors.telling.callbacks import CallbackSender, shown_in_dagster
from okla_assets.operations.archive import archive
from okla_assets.operations.run_index import busy
from okla_assets.runtime.instance import dagster_home, open_instance, waited_out
from okla_assets.runtime.leading import alone_in_bucket
from okla_assets.runtime.processes import dagster_environment
from resources.errors import BadInput, BrokenSetup, UnknownVehicle, Unreadable
from resources.settings import Settings, settings
from resources.storage.media_store import MediaStore

log = logging.getLogger("okla.doors")

SWEEP_SECONDS = 3600.0
NO_JOBS_AGE = timedelta(days=1)
"""After which a file that came with a request is no job's that is about to be written."""


@dataclass(frozen=True)
class Plan:
    """How `okla serve` runs. `lanes` 0: all is left to Dagster's runs, which an `okla up` on the
    same media makes; `long_by_dagster` leaves it what is long."""

    out: str
    profile: str
    host: str
    port: int
    lanes: int
    long_by_dagster: bool
    verbose: bool
    worker: Callable[[dg.DagsterInstance], Worker]
    """Reads what Dagster's runs have made, with models that it loads where it needs them."""
    say: Callable[[str], None]


@dataclass
class Split:
    """Quick units go to lanes, long ones to Dagster's runs."""

    quick: Lanes | DagsterRuns
    long: Lanes | DagsterRuns

    def _of(self, quick: bool) -> Lanes | DagsterRuns:
        return self.quick if quick else self.long

    def takes(self, quick: bool) -> bool:
        return self._of(quick).takes(quick)

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        return self._of(unit.operation.is_quick).start(unit, done)

    def ended(self, unit: Unit) -> None:
        self._of(unit.operation.is_quick).ended(unit)

    def stop(self, unit: Unit) -> None:
        self._of(unit.operation.is_quick).stop(unit)


def run(plan: Plan, store: MediaStore) -> None:
    """Serves until INT or TERM.

    Raises BrokenSetup where keys are missing for a host that others reach, or where a part of it
    cannot go on; BadInput where the port is taken or another `okla serve` leads the same jobs.
    """
    chosen = settings()
    check_host(plan.host, callers_for(store, chosen))
    home = dagster_home(plan.out)
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, _end))
        _alone(home, stack)
        stack.enter_context(alone_in_bucket(store, "serve", home))
        listening = stack.enter_context(_listening(plan.host, plan.port))
        instance = stack.enter_context(open_instance(plan.out))
        jobs = Jobs(store)
        forget_all(store)  # what the one before has asked for and nobody waits for any more
        environment = dagster_environment(plan.out, plan.profile)
        workers, tasks = _workers(plan, environment, instance, stack)
        fetcher = Fetcher.of(chosen)
        dispatcher = Dispatcher(
            jobs,
            workers,
            lambda job: intake.take(job, store, fetcher),
            lambda job: outbox.post(store, job),
            lambda wanted: busy(instance, sorted(wanted)),
        )
        host, port = listening.getsockname()[:2]
        base = chosen.api_url or f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
        links = Links(store, secret_of(chosen.api_secret, home))
        sender = CallbackSender(
            store, jobs, links, base, fetcher, chosen, shown_in_dagster(instance)
        )
        http = HttpProcess(environment, listening, plan.verbose, dispatcher.wake, dispatcher.counts)
        http.start()
        tasks += [dispatcher.run, sender.run, lambda stop: sweep(jobs, instance, chosen, stop)]
        failed = stack.enter_context(_beside([*tasks, http.watch, http.tell]))
        stack.callback(http.close)  # first, while jobs are made for which callers wait
        plan.say(f"HTTP door: {base}  (its API: {base}/docs)")
        failed.wait()
        raise BrokenSetup("the service cannot go on; the log above says why")


def _end(*_: object) -> None:
    """Ends this process in good order, its lanes with it."""
    raise SystemExit(0)


def _workers(
    plan: Plan, environment: Mapping[str, str], instance: dg.DagsterInstance, stack: ExitStack
) -> tuple[Split, "list[Task]"]:
    """Who makes the jobs, and what has to run beside."""
    runs = None
    if plan.lanes == 0 or plan.long_by_dagster:
        runs = DagsterRuns(plan.worker(instance))
    if plan.lanes == 0 and runs is not None:
        return Split(runs, runs), [runs.watch]
    lanes = Lanes([Lane(environment) for _ in range(plan.lanes)])
    stack.callback(lanes.close)
    lanes.warm_up()
    if runs is not None:
        return Split(lanes, runs), [runs.watch]
    return Split(lanes, lanes), []


Task = Callable[[threading.Event], object]


@contextmanager
def _beside(tasks: Sequence[Task]) -> Iterator[threading.Event]:
    """Runs each task in a thread while the context lasts. The event is set when one fails: a door
    that takes jobs which nobody makes is worse than one that is started again."""
    stop, failed = threading.Event(), threading.Event()

    def guarded(task: Task) -> None:
        try:
            task(stop)
        except BaseException:
            log.critical("the service cannot go on", exc_info=True)
            failed.set()

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        stop.set()
        for thread in threads:
            thread.join(STOPPING_SECONDS)


def _alone(home: Path, stack: ExitStack) -> None:
    """Only one process of this machine leads the jobs of a media folder."""
    lock = FileLock(home / "serve.lock", timeout=0)
    try:
        stack.enter_context(lock)
    except Timeout:
        raise BadInput(f"another `okla serve` works on {home}; stop that first") from None


def _listening(host: str, port: int) -> socket.socket:
    """A socket on the port. Raises BadInput where it is taken."""
    try:
        return socket.create_server((host, port), backlog=512)
    except PermissionError:
        raise BadInput(
            f"this user may not listen on port {port}; choose one from 1024 on by --port"
        ) from None
    except OSError as error:
        raise BadInput(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another by --port"
        ) from None


def sweep(
    jobs: Jobs, instance: dg.DagsterInstance, chosen: Settings, stop: threading.Event
) -> None:
    """Now and every hour, has jobs leave that named no vehicle and have become old, and files of
    requests that have become no job."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            remove_files_of_no_job(jobs.store, NO_JOBS_AGE)
            removed = remove_old(jobs, instance, timedelta(days=chosen.job_days), stop)
        except waited_out() as error:
            log.error("old jobs stay for now: %s", " ".join(str(error).split())[:500])
        else:
            if removed:
                log.info("%d old jobs have left with their files", removed)
        stop.wait(max(0.0, SWEEP_SECONDS - (time.monotonic() - began)))


def remove_files_of_no_job(store: MediaStore, age: timedelta) -> None:
    """Deletes files that came so long ago with requests of which no job waits: the process that
    was to write it has ended before, or the store has failed. Those of a job that waits stay."""
    last = datetime.now(UTC) - age
    for info in list(store.list(keys.INBOX_FILES)):
        job = keys.JobId(info.key.removeprefix(keys.INBOX_FILES).partition("/")[0])
        if info.modified < last and store.stat(keys.inbox_job(job)) is None:
            store.delete(info.key)


def remove_old(
    jobs: Jobs, instance: dg.DagsterInstance, age: timedelta, stop: threading.Event
) -> int:
    """Archives the vehicles of jobs that have ended so long ago, with all their files; returns how
    many. The jobs themselves can still be asked for. One that cannot leave now stays for the next
    sweep."""
    last = (datetime.now(UTC) - age).strftime("%Y%m%dT%H%M%S%f")
    removed = 0
    for info in jobs.store.list(keys.transient_jobs()):
        when, _, name = info.key.rpartition("/")[2].partition("_")
        if when > last or stop.is_set():
            break
        job = keys.JobId(name)
        if jobs.store.stat(keys.inbox_job(job)) is not None:  # it has not ended
            continue
        try:
            archive(keys.transient_vehicle(job), jobs.store, instance, processed=True, raw=True)
        except UnknownVehicle:  # nothing is left of it
            pass
        except (BadInput, Unreadable) as error:  # a run of it waits or is under way, say
            log.warning("an old job stays for now: %s", error)
            continue
        for file in list(jobs.store.list(keys.job_files(job))):
            jobs.store.delete(file.key)
        jobs.store.delete(info.key)
        removed += 1
    return removed

"""Lanes: worker processes that keep their models loaded and make one unit of jobs at a time."""

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from okla_assets.doors.jobs.work import Ended, Unit, WorkerLost, WorkerUnavailable
from okla_assets.runtime.processes import READY, speaking_process

log = logging.getLogger("okla.doors")

PAUSE_SECONDS = 5.0
"""Before another try to start a lane."""
START_SECONDS = 900.0
"""For a lane to load its models, as long as Dagster gives a process to start a run."""
UNIT_SECONDS = 7200.0
"""For one unit, since a lane that hangs keeps all other jobs waiting. No vehicle takes two hours;
where one does, the next attempt goes on from the step caches."""
MODULE = "okla_assets.cli.lane"


@dataclass
class Lane:
    """One process. It is started when it is first needed, and anew when it has ended.

    `environment` is the process's, `module` what it runs; empty: MODULE.
    """

    environment: Mapping[str, str]
    module: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def start(self) -> None:
        """Starts the process unless it runs, and waits until its models are loaded."""
        with self.lock:
            if self.process is not None and self.process.poll() is None:
                return
            self.kill()
            self.process = speaking_process(self.module or MODULE, self.environment)
            assert self.process.stdout is not None
            with _killed_after(START_SECONDS, self.process):
                answer = self.process.stdout.readline()
            if answer != READY:
                self.kill()
                raise WorkerUnavailable("a lane does not start; what it says is above")

    def make(self, unit: Unit) -> Ended:
        """What came of the unit. Raises `WorkerLost`, also where it takes longer than
        UNIT_SECONDS; `WorkerUnavailable` where the process does not start."""
        self.start()
        process = self.process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            with _killed_after(UNIT_SECONDS, process):
                process.stdin.write(unit.model_dump_json(exclude_defaults=True).encode() + b"\n")
                process.stdin.flush()
                answer = process.stdout.readline()
        except (BrokenPipeError, ValueError):  # killed, and its pipes closed
            answer = b""
        if not answer.endswith(b"\n"):
            self.kill()  # it may only be about to end, and would count as running
            raise WorkerLost("a lane ended in the middle of its work")
        return Ended.model_validate_json(answer)

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        process = self.process  # another thread may start the next one meanwhile
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # what it had not read
                        pipe.close()


@contextmanager
def _killed_after(seconds: float, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kills a process that takes longer: whoever reads what it says reads its end."""

    def late() -> None:
        log.error("a lane has not answered for %d minutes; it is killed", seconds // 60)
        process.kill()

    timer = threading.Timer(seconds, late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass
class Lanes:
    """Some lanes, each with a thread that waits for it."""

    lanes: Sequence[Lane]
    _idle: list[Lane] = field(init=False)
    _busy: dict[str, Lane] = field(default_factory=dict, init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _closed: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self._idle = list(self.lanes)
        self._pool = ThreadPoolExecutor(len(self.lanes), "lane")

    def warm_up(self) -> None:
        """Has all lanes load their models, without waiting for it."""
        for lane in self.lanes:
            self._pool.submit(self._warmed, lane)

    def _warmed(self, lane: Lane) -> None:
        while not self._closed.is_set():
            try:
                lane.start()
            except WorkerUnavailable as error:
                if not self._closed.is_set():
                    log.error("%s", error)
                self._closed.wait(PAUSE_SECONDS)
            else:
                return

    def _made(self, lane: Lane, unit: Unit) -> Ended:
        try:
            ended = lane.make(unit)
        except WorkerLost:
            self._start_anew(lane)
            raise
        if ended.unavailable:  # and its run may still count as under way, with nobody to close it
            lane.kill()
            self._start_anew(lane)
        return ended

    def _start_anew(self, lane: Lane) -> None:
        """A new process closes the run of the one that has gone, for which the vehicle waits."""
        if not self._closed.is_set():
            self._pool.submit(self._warmed, lane)

    def takes(self, quick: bool) -> bool:
        """Whether a lane is free: of several, one is kept for what is quick."""
        kept = 0 if quick or len(self.lanes) == 1 else 1
        return len(self._idle) > kept

    def start(self, unit: Unit, done: Callable[[], object]) -> "Future[Ended]":
        """Has an idle lane make the unit; `done` is called at its end. Only where `takes` said so,
        and by the same thread."""
        lane = self._idle.pop()
        self._busy[unit.jobs[0].id] = lane
        future = self._pool.submit(self._made, lane, unit)
        future.add_done_callback(lambda _: done())
        return future

    def ended(self, unit: Unit) -> None:
        """Takes the unit's lane back; called by the thread that started it."""
        self._idle.append(self._busy.pop(unit.jobs[0].id))

    def stop(self, unit: Unit) -> None:
        """Breaks the unit off: its lane is killed, and loads its models anew for the next."""
        lane = self._busy.get(unit.jobs[0].id)
        if lane is not None:
            lane.kill()

    def close(self) -> None:
        """Kills all lanes; what they were making goes on at the next start."""
        self._closed.set()
        for lane in self.lanes:
            lane.kill()
        self._pool.shutdown(cancel_futures=True)

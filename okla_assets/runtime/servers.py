"""`okla up`: Dagster's three servers on this machine, watched over and stopped as one.

The servers are those of a production installation (`dagster dev` would start the same code twice
over): a code server, a webserver and a daemon. One that dies is started again. A run in progress
belongs to the code server and ends with it, which loses nothing: it goes on in a new one, when
`okla up` was stopped at its next start.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from okla_assets import keys
from okla_assets.cli.process import dagster_environment, definitions_module
from okla_assets.runtime.instance import (
    BROKER_URL,
    check_broker,
    close_dead_runs,
    dagster_home,
    open_instance,
    write_config,
)
from okla_assets.vehicle_runs import GPU_POOL
from resources.errors import BadInput, BrokenSetup
from resources.storage.stores import bucket_of, store_for

HOST = "127.0.0.1"
"""Dagster's UI has no login."""

DAEMON = "daemon"
PR_SET_PDEATHSIG = 1
WATCH_SECONDS = 0.5
SOCKET = "code.sock"
STARTING_SECONDS = 120.0
STOPPING_SECONDS = 15.0
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

Say = Callable[[str], None]


@dataclass
class Server:
    """One of Dagster's processes, with all that it starts in a process group of its own.

    The group keeps a Ctrl-C in the terminal away from it: we stop it, in our order.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    pause: float = SHORTEST_PAUSE
    started: float = field(default=0.0, init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Starts it; what is left of an earlier start ends first."""
        self.kill()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_dies_with_us(),
        )

    def ended(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.poll() if self.process else 0

    def ask_to_end(self) -> None:
        """Sends a TERM."""
        if self.process is not None:
            self.process.terminate()

    def end(self) -> None:
        """Waits for what was asked to end, and ends whatever of its group is still there."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOPPING_SECONDS)
            self.kill()

    def kill(self) -> None:
        """Ends it and all that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _dies_with_us() -> Callable[[], object] | None:
    """What a server does before it starts, so that it gets a TERM when we are killed; on Linux."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run(out: str, profile: str, port: int, runs: int, gpu_slots: int | None, say: Say) -> None:
    """Everything `okla up` does, until a signal says stop.

    Raises BadInput where another one does it, BrokenSetup where the servers cannot start.
    """
    check_port(port)
    if bucket_of(out):
        list(store_for(out).folders(keys.RAW))  # a bucket that cannot be used is told at once
    else:
        Path(out, keys.RAW).mkdir(parents=True, exist_ok=True)
    with _alone(dagster_home(out)):
        if closed := prepare(out, runs, gpu_slots):
            say(f"{closed} runs of killed processes reported as failed")
        say(f"Put photos at {out.rstrip('/')}/{keys.RAW}VEHICLE_ID/photos/; they are processed.")
        serve(out, profile, port, say)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two daemons would start each run twice."""
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "up.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BadInput(f"another `okla up` works on {home}; stop that first") from None
    with lock:
        yield


def check_port(port: int) -> None:
    """Raises BadInput where another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise BadInput(
                f"port {port} of {HOST} is taken, perhaps by another `okla up`; "
                "stop that or choose another by --port"
            ) from None


def prepare(out: str, runs: int, gpu_slots: int | None) -> int:
    """Writes the configuration, makes the tables, and closes runs that nobody works on.

    All before the first server starts: two of them that make the tables at once would break one.
    `gpu_slots` is how many steps may hold a GPU at a time; None leaves the database's limit, which
    is none at first. Returns how many runs were closed.
    """
    check_broker()
    if not os.environ.get("DAGSTER_HOME"):
        write_config(dagster_home(out), runs)
    with open_instance(out) as instance:
        if gpu_slots is not None:
            instance.event_log_storage.set_concurrency_slots(GPU_POOL, gpu_slots)
        return close_dead_runs(instance, only_processes=_workers_have_runs())


def serve(out: str, profile: str, port: int, say: Say) -> None:
    """Runs the servers until a signal says stop. Raises BrokenSetup where they cannot start."""
    stop = threading.Event()
    with _stopped_by(stop), tempfile.TemporaryDirectory(prefix="okla-") as folder:
        code, others = _servers(out, profile, port, Path(folder))
        try:
            code.start()
            answers = partial(_answers, Path(folder) / SOCKET)
            _wait(answers, code, stop)
            for server in others:
                server.start()
            _wait(lambda: _listens(port), others[0], stop)
            if not stop.is_set():
                say(f"Dagster's UI: http://{HOST}:{port}  (no login: this machine only)")
            _watch((code, *others), answers, out, stop, say)
        finally:
            # The daemon first: it must not take the killed run for one to start again now.
            for server in others:
                server.ask_to_end()
            for server in others:
                server.end()
            code.kill()


def _servers(out: str, profile: str, port: int, folder: Path) -> tuple[Server, list[Server]]:
    """The code server, and the webserver and the daemon that ask it."""
    environment = dagster_environment(out, profile)
    workspace = folder / "workspace.yaml"
    # A socket in a folder of ours: nobody else on this machine can run code through it.
    workspace.write_text(
        f"load_from: [{{grpc_server: {{socket: {folder / SOCKET}, location_name: okla}}}}]\n"
    )
    python = [sys.executable, "-m"]
    code = [*python, "dagster", "api", "grpc", "-m", definitions_module(), "--log-level", "warning"]
    code += ["--socket", str(folder / SOCKET), "--location-name", "okla"]
    webserver = [*python, "dagster_webserver", "-w", str(workspace), "-h", HOST, "-p", str(port)]
    webserver += ["--dagster-log-level", "warning"]
    daemon = [*python, "dagster._daemon", "run", "-w", str(workspace), "--log-level", "warning"]
    return Server("code server", code, environment), [
        Server("webserver", webserver, environment),
        Server(DAEMON, daemon, environment),
    ]


def _watch(
    servers: tuple[Server, ...],
    code_answers: Callable[[], bool],
    out: str,
    stop: threading.Event,
    say: Say,
) -> None:
    """Starts a server again that ended, after a pause that grows while it keeps ending.

    The daemon waits for the code server: what it cannot retry at once it never retries.
    """
    while not stop.wait(WATCH_SECONDS):
        for server in servers:
            status = server.ended()
            lasted = time.monotonic() - server.started
            if status is None:
                if lasted > LONGEST_PAUSE:
                    server.pause = SHORTEST_PAUSE
                continue
            if lasted < server.pause or (server.name == DAEMON and not code_answers()):
                continue
            say(f"Dagster's {server.name} ended ({status}); starting it again")
            server.pause = min(server.pause * 2, LONGEST_PAUSE)
            if server.name == DAEMON:
                _close_dead_runs(out, say)
            server.start()


def _workers_have_runs() -> bool:
    """Whether runs go on without us, so that none is dead because we were."""
    return bool(os.environ.get(BROKER_URL))


def _close_dead_runs(out: str, say: Say) -> None:
    try:
        with open_instance(out) as instance:
            close_dead_runs(instance, only_processes=_workers_have_runs())
    except BrokenSetup as error:
        say(str(error))  # the database is away; run monitoring will see to it when it is back


def _wait(ready: Callable[[], bool], server: Server, stop: threading.Event) -> None:
    """Until it is ready or a signal came."""
    until = time.monotonic() + STARTING_SECONDS
    while not ready() and not stop.wait(WATCH_SECONDS / 5):
        if (status := server.ended()) is not None or time.monotonic() > until:
            raise BrokenSetup(
                f"Dagster's {server.name} did not start "
                + ("in time" if status is None else f"(it ended with {status})")
                + "; its own words are above"
            )


def _answers(path: Path) -> bool:
    return _connects(socket.socket(socket.AF_UNIX), str(path))


def _listens(port: int) -> bool:
    return _connects(socket.socket(), (HOST, port))


def _connects(probe: socket.socket, address: str | tuple[str, int]) -> bool:
    with probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return True


@contextmanager
def _stopped_by(stop: threading.Event) -> Iterator[None]:
    """INT and TERM set the event, also where a script's `&` has INT ignored."""
    before = [signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)

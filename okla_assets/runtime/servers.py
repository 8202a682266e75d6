"""`okla up`: Dagster's three servers on this machine, started, watched and stopped together.

The servers are those of a production installation (`dagster dev` would start the same code twice):
a code server, a webserver and a daemon. One that dies is started again. A run in progress is a
child of the code server and ends with it, which loses nothing: it is retried, or where `okla up`
was stopped, resumed at its next start.
"""

import json
import os
import re
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
from okla_assets.runtime.file_server import serving
from okla_assets.runtime.instance import (
    check_broker,
    close_dead_runs,
    dagster_home,
    open_instance,
    write_config,
)
from okla_assets.runtime.leading import alone_in_bucket
from okla_assets.runtime.overruled import overruled
from okla_assets.runtime.processes import (
    OUR_FOLDER,
    dagster_environment,
    definitions_module,
    ends_with_parent,
)
from okla_assets.runtime.server_output import ServerOutput
from okla_assets.vehicle_runs import GPU_POOL
from resources.errors import BadInput, BrokenSetup
from resources.settings import settings
from resources.storage.stores import bucket_of, check_writable, store_for

HOST = "127.0.0.1"
"""Dagster's UI has no login."""

DAEMON = "daemon"
DOOR = "HTTP door"
SERVER_LOGS = "server_logs"
"""Folder in Dagster's home; its own `logs` Dagster empties."""
WATCH_SECONDS = 0.5
LOOK_SECONDS = 3.0
SOCKET = "code.sock"
STARTING_SECONDS = 120.0
STOPPING_SECONDS = 15.0
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

Say = Callable[[str], None]


def whose(name: str) -> str:
    """A server in a sentence: all but the HTTP door are Dagster's."""
    return f"the {name}" if name == DOOR else f"Dagster's {name}"


@dataclass
class Server:
    """One of Dagster's processes, with all that it starts in a process group of its own.

    The group keeps a Ctrl-C in the terminal away from it: we stop it, in our order.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    output: ServerOutput
    pause: float = SHORTEST_PAUSE
    started: float = field(default=0.0, init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    reader: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Starts it, after killing what is left of an earlier start."""
        self.kill()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ends_with_parent(),
        )
        assert self.process.stdout is not None
        self.reader = self.output.follow(self.name, self.process.stdout)

    def ended(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.poll() if self.process else 0

    def ask_to_end(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def end(self) -> None:
        """Waits up to STOPPING_SECONDS, then kills what is left of its group."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOPPING_SECONDS)
            self.kill()

    def kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass(frozen=True)
class Plan:
    """How `okla up` runs: on which media and ports, and what it tells a person.

    `say` gets sentences about the whole, `tell` a server's name and what it says; `everything` has
    each line of the servers told. `look` is called every LOOK_SECONDS, to tell of vehicles.
    `api_port` is the HTTP door's; None: there is none.
    """

    out: str
    profile: str
    port: int
    files_port: int | None
    api_port: int | None
    runs: int
    gpu_slots: int | None
    say: Say
    tell: Callable[[str, str], None]
    look: Callable[[], None]
    everything: bool = False


def run(plan: Plan) -> None:
    """Everything `okla up` does, until INT or TERM.

    Raises BadInput where another `okla up` runs, BrokenSetup where the servers cannot start.
    """
    check_port(plan.port)
    if plan.api_port is not None:
        check_port(plan.api_port)
    store = store_for(plan.out)
    if bucket_of(plan.out):
        list(store.folders(keys.RAW))  # raises now where the bucket cannot be used
    else:
        check_writable(store)
        Path(plan.out, keys.RAW).mkdir(exist_ok=True)
    home = dagster_home(plan.out)
    with _alone(home), alone_in_bucket(store, "up", home):
        if closed := prepare(plan.out, plan.runs, plan.gpu_slots, plan.say):
            plan.say(f"{closed} runs of killed processes reported as failed")
        with serving(store, plan.files_port, plan.port + 1) as files_url:
            place = f"{plan.out.rstrip('/')}/{keys.RAW}VEHICLE_ID/photos/"
            plan.say(f"put photos at {place}; they are processed")
            plan.say(f"finished files: {files_url}/{keys.PROCESSED}")
            serve(plan, files_url)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two daemons would start each run twice. On one machine; of others `alone_in_bucket` sees."""
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "up.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BadInput(f"another `okla up` works on {home}; stop that first") from None
    with lock:
        yield


def check_port(port: int) -> None:
    """Raises BadInput where another program listens on the port, or this user may not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise BadInput(
                f"this user may not listen on port {port}; choose one from 1024 on by --port"
            ) from None
        except OSError:
            raise BadInput(
                f"port {port} of {HOST} is taken, perhaps by another `okla up`; "
                "stop that or choose another by --port"
            ) from None


def prepare(out: str, runs: int, gpu_slots: int | None, say: Say) -> int:
    """Writes the configuration, makes the tables, and closes runs whose process is gone.

    All before the first server starts: two that make the tables at once would break one.
    `gpu_slots` is how many steps may hold a GPU at a time; None leaves the database's limit, which
    is none at first. Not `concurrency.pools.default_limit` of dagster.yaml: a limit in the database
    wins over it, a DAGSTER_HOME of the user's own would not have it, and a worker on another
    machine, whose file does not have it, would delete it. `say` is told what a DAGSTER_HOME of the
    user's own overrules. Returns how many runs were closed.
    """
    check_broker()
    if not os.environ.get("DAGSTER_HOME"):
        write_config(dagster_home(out), runs)
    with open_instance(out) as instance:
        for sentence in overruled(instance, runs):
            say(sentence)
        if gpu_slots is not None:
            instance.event_log_storage.set_concurrency_slots(GPU_POOL, gpu_slots)
        return close_dead_runs(instance, only_processes=_workers_have_runs())


def serve(plan: Plan, files_url: str) -> None:
    """Runs the servers until INT or TERM. Raises BrokenSetup where they cannot start."""
    stop = threading.Event()
    output = ServerOutput(
        dagster_home(plan.out) / SERVER_LOGS, plan.tell, everything=plan.everything
    )
    with (
        _stopped_by(stop),
        tempfile.TemporaryDirectory(prefix="okla-", dir=_socket_place()) as folder,
    ):
        code, others = _servers(plan, Path(folder), files_url, output)
        try:
            code.start()
            answers = partial(_answers, Path(folder) / SOCKET)
            _wait(answers, code, stop)
            for server in others:
                server.start()
            _wait(lambda: _listens(plan.port), others[0], stop)
            if not stop.is_set():
                plan.say(f"Dagster's UI: http://{HOST}:{plan.port}  (no login: this machine only)")
            if (port := plan.api_port) is not None:
                _wait(lambda: _listens(port), others[-1], stop)
                plan.say(f"HTTP door: http://{HOST}:{port}  (its API: http://{HOST}:{port}/docs)")
            _watch((code, *others), answers, plan, stop)
        finally:
            # The daemon first: it must not retry the run that is killed now.
            for server in others:
                server.ask_to_end()
            for server in others:
                server.end()
            code.kill()


def _socket_place() -> str | None:
    """Where the code server's socket may lie; None for the usual folder of temporary files.

    gRPC reads its path as a URI, in which % and others have a meaning, and the system takes at
    most some 100 bytes of it.
    """
    usual = tempfile.gettempdir()
    return None if re.fullmatch(r"[A-Za-z0-9_/.+-]{1,60}", usual) else "/tmp"


def _servers(
    plan: Plan, folder: Path, files_url: str, output: ServerOutput
) -> tuple[Server, list[Server]]:
    """The code server, and the webserver and the daemon that ask it."""
    environment = dagster_environment(plan.out, plan.profile)
    # An address of the operator's own, of a proxy say, goes before ours.
    environment["OKLA_FILES_URL"] = settings().files_url or files_url
    workspace = folder / "workspace.yaml"
    # A socket in a private folder: nobody else on this machine can run code through it.
    code_server = {"socket": str(folder / SOCKET), "location_name": "okla"}
    # JSON is YAML.
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": code_server}]}))
    python = [sys.executable, "-P", "-m"]
    code = [*python, "dagster", "api", "grpc", "-m", definitions_module(), "--log-level", "warning"]
    code += ["--socket", str(folder / SOCKET), "--location-name", "okla"]
    # Dagster puts this before all else that is imported, and takes out what came first till then.
    code += ["--working-directory", OUR_FOLDER]
    webserver = [*python, "dagster_webserver", "-w", str(workspace), "-h", HOST]
    webserver += ["-p", str(plan.port), "--dagster-log-level", "warning"]
    daemon = [*python, "dagster._daemon", "run", "-w", str(workspace), "--log-level", "warning"]
    servers = [
        Server("webserver", webserver, environment, output),
        Server(DAEMON, daemon, environment, output),
    ]
    if plan.api_port is not None:
        serve = [*python, "okla_assets", "serve", "--out", plan.out, "--profile", plan.profile]
        serve += ["--port", str(plan.api_port), "--long-by-dagster", "--verbose"]
        servers.append(Server(DOOR, serve, environment, output))
    return Server("code server", code, environment, output), servers


def _watch(
    servers: tuple[Server, ...],
    code_answers: Callable[[], bool],
    plan: Plan,
    stop: threading.Event,
) -> None:
    """Restarts a server that ended, after a pause that doubles while it keeps ending.

    The daemon waits for the code server: a run that it cannot retry at once is never retried.
    """
    looked = time.monotonic()
    while not stop.wait(WATCH_SECONDS):
        if time.monotonic() - looked > LOOK_SECONDS:
            plan.look()
            looked = time.monotonic()
        for server in servers:
            status = server.ended()
            lasted = time.monotonic() - server.started
            if status is None:
                if lasted > LONGEST_PAUSE:
                    server.pause = SHORTEST_PAUSE
                continue
            if lasted < server.pause or (server.name == DAEMON and not code_answers()):
                continue
            plan.say(f"{whose(server.name)} ended ({status}); starting it again")
            server.pause = min(server.pause * 2, LONGEST_PAUSE)
            if server.name == DAEMON:
                _close_dead_runs(plan.out, plan.say)
            server.start()
    plan.look()


def _workers_have_runs() -> bool:
    """Whether runs are made by workers, and so do not end with `okla up`."""
    return bool(settings().broker_url)


def _close_dead_runs(out: str, say: Say) -> None:
    try:
        with open_instance(out) as instance:
            close_dead_runs(instance, only_processes=_workers_have_runs())
    except BrokenSetup as error:
        say(str(error))  # the database is down; run monitoring closes them when it is back


def _wait(ready: Callable[[], bool], server: Server, stop: threading.Event) -> None:
    """Returns when the server is ready or a signal came."""
    until = time.monotonic() + STARTING_SECONDS
    while not ready() and not stop.wait(WATCH_SECONDS / 5):
        if (status := server.ended()) is not None or time.monotonic() > until:
            if status is not None and server.reader is not None:
                server.reader.join(STOPPING_SECONDS)  # what it said last
            raise BrokenSetup(
                f"{whose(server.name)} did not start "
                + ("in time" if status is None else f"(it ended with {status})")
                + f"; the end of its output:\n{server.output.last_lines(server.name)}\n"
                + f"all of it is in {server.output.folder}"
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

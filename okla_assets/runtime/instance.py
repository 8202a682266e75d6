"""Dagster's home beside the media: where runs are recorded, and how to open it.

Records are files that change all the time: those of a bucket stay on this machine.
"""

import json
import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import BrokenSetup
from resources.storage.stores import bucket_of

if TYPE_CHECKING:
    import dagster as dg

HOME_FOLDER = ".dagster"
MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2"}
"""How glibc keeps memory, where it is what does. Large allocations lie in 2 MB pages, if the kernel
leaves that to us: SAM 2 is 10 % faster. Two arenas instead of eight a core: threads that pass
pictures on would each keep what was freed in theirs, 210 of 3,370 MB for 8 photos of 12 MP.

Read by glibc when a process starts (2.35 and newer), so it can only be handed down.
"""

PROCESS_TAG = "okla/process"
"""Tag of the process that makes a run."""

POSTGRES_URL = "OKLA_POSTGRES_URL"
"""Environment variable of the database that keeps Dagster's records instead of SQLite."""

POSTGRES_STORAGE = f"""\
storage:
  custom:
    module: okla_assets.runtime.records_postgres
    class: PooledPostgres
    config:
      postgres_url:
        env: {POSTGRES_URL}
"""

BROKER_URL = "OKLA_BROKER_URL"
"""Environment variable of the RabbitMQ that hands runs to workers (`okla worker`)."""

CELERY_OVERRIDES = {
    # Runs that wait for a worker count as starting.
    "start_timeout_seconds: 120": "start_timeout_seconds: 900",
    "dequeue_interval_seconds: 2": "dequeue_interval_seconds: 1",
    "module: okla_assets.runtime.run_launcher": "module: okla_assets.runtime.celery_launcher",
    "class: WatchedRunLauncher": f"""class: WarmWorkerLauncher
  config:
    broker:
      env: {BROKER_URL}
    postgres_url:
      env: {POSTGRES_URL}""",
}
"""What of dagster.yaml is different where workers make the runs."""

SQLITE_EVENT_LOG = """\
event_log_storage:
  module: okla_assets.runtime.records_sqlite
  class: PooledSqliteEventLog
  config:
"""


def dagster_home(place: str | Path) -> Path:
    """DAGSTER_HOME if set, else `.dagster` in the media folder, with our dagster.yaml in it.

    For a bucket it is a folder of the bucket's in the working directory's `okla-media/.dagster`.
    With a Postgres URL it is a folder of its own, so that neither of the two configurations ever
    takes the other's place under a running process.
    """
    if given := os.environ.get("DAGSTER_HOME"):
        return Path(given)
    bucket = bucket_of(str(place))
    if bucket is None:
        home = Path(place, HOME_FOLDER).resolve()
    else:
        # One folder a place, for homes must not lie in each other; no bucket has a comma.
        name = ",".join(filter(None, (bucket.name, *bucket.prefix.split("/"))))
        home = Path("okla-media", HOME_FOLDER, name).resolve()
    if os.environ.get(POSTGRES_URL):
        home /= "postgres"
    config = home / "dagster.yaml"
    if not config.exists() or str(home) not in config.read_text(encoding="utf-8"):
        write_config(home)  # the first time, or in a folder that was moved
    return home


def write_config(home: Path, runs: int = 1) -> None:
    """Puts our dagster.yaml there, for so many runs at a time."""
    text = packaged_config().read_text(encoding="utf-8")
    changes = {"max_concurrent_runs: 1": f"max_concurrent_runs: {runs}"}
    if os.environ.get(BROKER_URL):
        changes |= CELERY_OVERRIDES
    for ours, instead in changes.items():
        text = text.replace(f"{ours}\n", f"{instead}\n")
    text += f"\n# Written by okla for {home}\n"
    if os.environ.get(POSTGRES_URL):
        text += POSTGRES_STORAGE
    else:
        # Where Dagster's own SQLite event log would be, whose files these are too.
        text += SQLITE_EVENT_LOG + f"    base_dir: {json.dumps(str(home / 'history' / 'runs'))}\n"
    home.mkdir(parents=True, exist_ok=True)
    half = home / f"dagster.yaml.{os.getpid()}"
    half.write_text(text, encoding="utf-8")
    half.replace(home / "dagster.yaml")


def packaged_config() -> Path:
    """Our dagster.yaml: inside the package when installed, at the top of a checkout."""
    here = Path(__file__).parent.parent
    installed = here / "dagster.yaml"
    return installed if installed.exists() else here.parent / "dagster.yaml"


def this_process() -> str:
    """Names this process for `PROCESS_TAG`."""
    return name_of_process(os.getpid())


def name_of_process(pid: int) -> str:
    """Host, pid and start, since pids come again; a process that is gone started at 0."""
    import psutil

    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0
    return f"{socket.gethostname()}:{pid}:{started:.0f}"


def lives(name: str) -> bool:
    """Whether a process named by `name_of_process` still runs, or runs where we cannot look."""
    import psutil

    host, pid, started = name.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(pid))
        # One that ended and that its parent has not asked about yet runs no more.
        gone = process.status() == psutil.STATUS_ZOMBIE
        return not gone and abs(process.create_time() - float(started)) < 2
    except psutil.NoSuchProcess:
        return False


def close_dead_runs(instance: "dg.DagsterInstance", *, only_processes: bool) -> int:
    """Reports runs failed whose process is gone, and frees their pool slots; returns how many.

    A killed process cannot say so. `only_processes` looks at runs that name their process; without
    it, at every unfinished run, which is right only while no daemon runs on the instance.
    """
    import dagster as dg

    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    closed = 0
    for run in instance.get_runs(unfinished):
        owner = run.tags.get(PROCESS_TAG)
        if (owner is None and only_processes) or (owner is not None and lives(owner)):
            continue
        instance.report_run_failed(run, "the process of this run is gone; run it again to go on")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        closed += 1
    return closed


def open_instance(place: str | Path) -> "dg.DagsterInstance":
    """The instance that `okla up` shows for the media at this place.

    Makes its tables where they are missing.

    Raises BrokenSetup where the database cannot be reached.
    """
    import dagster as dg

    home = dagster_home(place)
    if url := os.environ.get(POSTGRES_URL):
        _check_postgres(url)
    return dg.DagsterInstance.from_config(str(home))


def check_broker() -> None:
    """Raises BrokenSetup where workers are wanted and cannot be had."""
    if not os.environ.get(BROKER_URL):
        return
    if not os.environ.get(POSTGRES_URL):
        raise BrokenSetup(f"{BROKER_URL} needs {POSTGRES_URL}: workers share that database")
    if find_spec("dagster_celery") is None:
        raise BrokenSetup(f"{BROKER_URL} needs Celery: pip install 'okla-media[scale]'")


def _check_postgres(url: str) -> None:
    """Raises BrokenSetup, which never shows a password."""
    import sqlalchemy
    from sqlalchemy import exc

    try:
        database = sqlalchemy.make_url(url)
        if database.get_backend_name() != "postgresql":
            raise exc.ArgumentError
        engine = sqlalchemy.create_engine(database, connect_args={"connect_timeout": 5})
    except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
        raise BrokenSetup(
            f"{POSTGRES_URL} is no URL of a PostgreSQL database; it looks like "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        ) from None
    try:
        engine.connect().close()
    except exc.OperationalError as error:
        told = " ".join(str(error.orig).split())
        raise BrokenSetup(
            f"the database of {POSTGRES_URL} ({database.render_as_string()}) cannot be used: {told}"
        ) from None
    finally:
        engine.dispose()

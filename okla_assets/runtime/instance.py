"""Dagster's home beside the media: where runs are recorded, and how to open it.

Records are files that change all the time: those of a bucket stay on this machine.
"""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import ENOSPC
from glob import escape
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from okla_assets.dagster_tags import HIDDEN
from resources.errors import BrokenSetup, system_reason
from resources.storage.stores import bucket_of

if TYPE_CHECKING:
    import dagster as dg
    import sqlalchemy

HOME_FOLDER = ".dagster"

PROCESS_TAG = f"{HIDDEN}okla_process"
"""Hidden tag of the process that makes a run."""

POSTGRES_URL = "OKLA_POSTGRES_URL"
BROKER_URL = "OKLA_BROKER_URL"

LONGEST_REASON = 300
"""Dagster lists all that a configuration may hold."""

Config = Mapping[str, Any]

POSTGRES_STORAGE: Config = {
    "storage": {
        "custom": {
            "module": "okla_assets.runtime.records_postgres",
            "class": "PooledPostgres",
            "config": {"postgres_url": {"env": POSTGRES_URL}},
        }
    }
}

CELERY_OVERRIDES: Config = {
    "run_launcher": {
        "module": "okla_assets.runtime.celery_launcher",
        "class": "WarmWorkerLauncher",
        "config": {"broker": {"env": BROKER_URL}, "postgres_url": {"env": POSTGRES_URL}},
    },
    "run_coordinator": {"config": {"dequeue_interval_seconds": 1}},
    # Runs that wait for a worker count as starting.
    "run_monitoring": {"start_timeout_seconds": 900},
}
"""What differs from dagster.yaml where workers make the runs."""


def dagster_home(media: str | Path) -> Path:
    """DAGSTER_HOME if set, else `.dagster` in the media folder, with our dagster.yaml in it.

    For a bucket it is a folder of the bucket's in `records_folder`, or where an earlier release
    has left one in `okla-media/.dagster` of the working directory, that.
    With a Postgres URL it is a folder of its own, so that neither of the two configurations ever
    replaces the other under a running process.
    """
    from resources.settings import settings

    if given := os.environ.get("DAGSTER_HOME"):
        return _without_wildcards(Path(given).expanduser().absolute())
    bucket = bucket_of(str(media))
    if bucket is None:
        home = Path(media, HOME_FOLDER).resolve()
    else:
        # One folder a prefix, for homes must not lie in each other.
        parts = filter(None, (bucket.name, *bucket.prefix.split("/")))
        name = ",".join(part.replace("%", "%25").replace(",", "%2C") for part in parts)
        earlier = Path("okla-media", HOME_FOLDER, name).resolve()
        home = earlier if earlier.is_dir() else records_folder() / name
    if settings().postgres_url:
        home /= "postgres"
    with _written(home):
        home = _without_wildcards(home)
        config = home / "dagster.yaml"
        if not config.exists() or _header(home) not in config.read_text(encoding="utf-8"):
            write_config(home)  # the first time, or in a folder that was moved
    return home


def records_folder() -> Path:
    """Where the records of buckets lie, whatever the working directory is."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "okla" / "dagster"


@contextmanager
def _written(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BrokenSetup(
            f"Dagster's records cannot be kept in {home}: {system_reason(error)}"
        ) from error


def _without_wildcards(home: Path) -> Path:
    """Dagster 1.13.27 looks for dagster.yaml by glob: where a path holds `[`, `*` or `?` it finds
    none and silently uses its defaults, telemetry among them; SQLite's URLs end at a `?`. A link
    in the user's cache stands for such a home."""
    if escape(str(home)) == str(home):
        return home
    from resources.weights.store import cache_folder

    link = cache_folder() / "homes" / sha256(os.fsencode(home)).hexdigest()[:16]
    if escape(str(link)) != str(link):
        raise BrokenSetup(
            f"Dagster cannot work in {home} for its [, * or ?, and no link to it can be made in "
            f"{cache_folder()}, which has one too; set XDG_CACHE_HOME to a folder without"
        )
    for folder in (home, link.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # made earlier
        link.symlink_to(home, target_is_directory=True)
    return link


def _header(home: Path) -> str:
    return f"# Written by okla for {json.dumps(str(home))}\n"


def write_config(home: Path, runs: int = 1) -> None:
    """Writes the instance's configuration: our dagster.yaml with `runs` vehicles at a time, over
    which go the settings of PostgreSQL and of the workers where the environment names them."""
    import yaml

    from resources.settings import merge, settings

    chosen = settings()
    config = yaml.safe_load(packaged_config().read_text(encoding="utf-8"))
    config = merge(config, {"concurrency": {"runs": {"max_concurrent_runs": runs}}})
    if chosen.broker_url:  # workers print to their own supervisors
        config = merge(config, CELERY_OVERRIDES)
    else:
        kept = {
            "module": "okla_assets.runtime.run_output",
            "class": "KeptOutput",
            "config": {"base_dir": str(home / "output")},
        }
        config = merge(config, {"compute_logs": kept})
    if chosen.postgres_url:
        config = merge(config, POSTGRES_STORAGE)
    else:
        # Where Dagster's own SQLite event log would be, whose files these are too.
        event_log = {
            "module": "okla_assets.runtime.records_sqlite",
            "class": "PooledSqliteEventLog",
            "config": {"base_dir": str(home / "history" / "runs")},
        }
        config = merge(config, {"event_log_storage": event_log})
    home.mkdir(parents=True, exist_ok=True)
    half = home / f"dagster.yaml.{os.getpid()}"
    half.write_text(_header(home) + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    half.replace(home / "dagster.yaml")


def packaged_config() -> Path:
    """Our dagster.yaml: inside the package when installed, at the top of a checkout."""
    here = Path(__file__).parent.parent
    installed = here / "dagster.yaml"
    return installed if installed.exists() else here.parent / "dagster.yaml"


def this_process() -> str:
    """The name of this process, for `PROCESS_TAG`."""
    return name_of_process(os.getpid())


def name_of_process(pid: int) -> str:
    """Host, pid and start, since pids are reused; the start of a process that is gone is 0."""
    import psutil

    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0
    return f"{socket.gethostname()}:{pid}:{started:.0f}"


def owner_of(run: "dg.DagsterRun") -> str | None:
    """The name of the process that makes the run, where it has one of its own."""
    return run.tags.get(PROCESS_TAG) or None


def on_this_host(name: str) -> bool:
    """Whether a process named by `name_of_process` is, or was, of a host that is called as this."""
    return name.rsplit(":", 2)[0] == socket.gethostname()


def lives(name: str) -> bool:
    """Whether a process named by `name_of_process` still runs; on another host it is taken to."""
    import psutil

    if not on_this_host(name):
        return True
    _, pid, started = name.rsplit(":", 2)
    try:
        process = psutil.Process(int(pid))
        # One that ended and was not yet waited for runs no more.
        gone = process.status() == psutil.STATUS_ZOMBIE
        return not gone and abs(process.create_time() - float(started)) < 2
    except psutil.NoSuchProcess:
        return False


def close_dead_runs(instance: "dg.DagsterInstance", *, only_processes: bool) -> int:
    """Reports runs failed whose process is gone, and frees their pool slots; returns how many.

    A killed process cannot report that itself. `only_processes` looks at runs that name their
    process; without it, at every run that has begun, which is right only while no daemon runs.
    """
    import dagster as dg

    not_begun = dg.DagsterRunStatus.NOT_STARTED
    unfinished = dg.RunsFilter(
        statuses=[
            not_begun,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    closed = 0
    for run in instance.get_runs(unfinished):
        owner = owner_of(run)
        may_be_anybodys = owner is None and (only_processes or run.status is not_begun)
        if may_be_anybodys or (owner is not None and lives(owner)):
            continue
        instance.report_run_failed(run, "the process of this run is gone; run it again to go on")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        closed += 1
    return closed


@contextmanager
def open_instance(media: str | Path) -> "Iterator[dg.DagsterInstance]":
    """The instance that `okla up` shows for this media folder or bucket.

    Makes tables that are missing. Raises BrokenSetup where the database cannot be reached, and
    where it fails in the context: its disk is full or read-only, its file damaged, its server gone.
    """
    from sqlalchemy import exc

    from resources.settings import settings

    home = dagster_home(media)
    if url := settings().postgres_url:
        _check_postgres(url)
    try:
        with _configured(home) as instance:
            yield instance
    except database_errors() as error:
        if isinstance(error, exc.DatabaseError) and type(error) not in (
            exc.DatabaseError,
            exc.OperationalError,
        ):
            raise  # a mistake in a statement, not the database's state
        told = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
        reason = " ".join(str(told).split())
        if shutil.disk_usage(home).free < 2**20:  # SQLite says "disk I/O error"
            reason = system_reason(OSError(ENOSPC, os.strerror(ENOSPC)))
        raise BrokenSetup(f"Dagster's records in {home} cannot be used: {reason}") from error


def database_errors() -> tuple[type[Exception], ...]:
    """What is raised where the database of Dagster's records fails: its disk is full, its file
    damaged, its server gone. For `except`, which asks only when there is an error."""
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import DBAPIError, TimeoutError as NoConnection

    # The last where PostgreSQL is still away after some tries.
    return DBAPIError, NoConnection, DagsterPostgresException


def waited_out() -> tuple[type[Exception], ...]:
    """What a service waits for: the media store or Dagster's records do not answer, or a person has
    to mend the setup. For `except`."""
    return OSError, BrokenSetup, *database_errors()


def _configured(home: Path) -> "dg.DagsterInstance":
    """The instance of a DAGSTER_HOME, whose dagster.yaml may be the user's own."""
    import dagster as dg
    import yaml
    from dagster_shared.check import CheckError

    if not home.is_dir():
        raise BrokenSetup(f"DAGSTER_HOME names {home}, which is no folder")
    try:
        return dg.DagsterInstance.from_config(str(home))
    except (dg.DagsterError, CheckError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise BrokenSetup(f"{home / 'dagster.yaml'} cannot be used: {reason}") from error


def check_broker() -> None:
    """Raises BrokenSetup where workers are wanted and cannot be had."""
    from resources.settings import settings

    chosen = settings()
    if not chosen.broker_url:
        return
    if not chosen.postgres_url:
        raise BrokenSetup(f"{BROKER_URL} needs {POSTGRES_URL}: workers share that database")
    if find_spec("dagster_celery") is None:
        raise BrokenSetup(f"{BROKER_URL} needs Celery: pip install 'okla-media[scale]'")


def database_url(url: str) -> "sqlalchemy.URL":
    """The URL of a database such that SQLAlchemy and PostgreSQL's own client read it alike.

    Dagster hands it to both. Only the second decodes the database's name, and only the first takes
    a % that is not encoded. Raises sqlalchemy's ArgumentError.
    """
    import sqlalchemy

    parsed = sqlalchemy.make_url(url)
    if "%" in (parsed.database or ""):
        named = {"dbname": unquote(str(parsed.database))}
        parsed = parsed.set(database=None).update_query_dict(named)
    return parsed


def _check_postgres(url: str) -> None:
    """Raises BrokenSetup, which never shows a password."""
    import sqlalchemy
    from sqlalchemy import exc

    try:
        database = database_url(url)
        if database.get_backend_name() != "postgresql" or "@" in (database.host or ""):
            raise exc.ArgumentError
        engine = sqlalchemy.create_engine(database, connect_args={"connect_timeout": 5})
    except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
        raise BrokenSetup(
            f"{POSTGRES_URL} is no URL of a PostgreSQL database; it looks like "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE, with %40 for an @ in the password"
        ) from None
    try:
        engine.connect().close()
    except exc.OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise BrokenSetup(
            f"the database of {POSTGRES_URL} ({database.render_as_string()}) cannot be used: "
            f"{reason}"
        ) from None
    finally:
        engine.dispose()

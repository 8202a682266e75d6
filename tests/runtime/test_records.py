"""Dagster's records, kept: nothing is lost or stale that another process should see."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
import sqlalchemy

from okla_assets.runtime import records
from okla_assets.runtime.instance import POSTGRES_URL, open_instance
from okla_assets.runtime.records_sqlite import MOST_ENGINES, PooledSqliteEventLog
from tests.conftest import REPOSITORY
from tests.postgres import running_postgres
from tests.runs_made import nothing

VEHICLES = "vehicles"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: making Dagster's tables takes seconds."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture
def instance(media: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(media) as opened:
        yield opened


def ran(instance: dg.DagsterInstance) -> str:
    return nothing.execute_in_process(instance=instance).run_id


def messages(instance: dg.DagsterInstance, run_id: str) -> list[str | None]:
    return [entry.message for entry in instance.all_logs(run_id)]


def dagsters_own(media: Path) -> dg.DagsterInstance:
    """The same home as Dagster would open it without us."""
    home = media / ".dagster"
    own = {
        "module": "dagster._core.storage.event_log",
        "class": "SqliteEventLogStorage",
        "config": {"base_dir": str(home / "history" / "runs")},
    }
    opened = dg.DagsterInstance.local_temp(str(home), overrides={"event_log_storage": own})
    assert not isinstance(opened.event_log_storage, PooledSqliteEventLog)
    return opened


def test_ours_is_used(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.event_log_storage, PooledSqliteEventLog)


def test_dagsters_own_log_reads_the_same(instance: dg.DagsterInstance, media: Path) -> None:
    run_id = ran(instance)
    theirs = dagsters_own(media)
    said = messages(instance, run_id)
    assert len(said) >= 5
    assert messages(theirs, run_id) == said


def test_what_dagsters_own_log_wrote_is_read(instance: dg.DagsterInstance, media: Path) -> None:
    theirs = dagsters_own(media)
    run_id = ran(theirs)
    assert messages(instance, run_id) == messages(theirs, run_id)


def test_more_runs_than_engines_are_kept(instance: dg.DagsterInstance) -> None:
    runs = [ran(instance) for _ in range(MOST_ENGINES + 2)]
    assert all(len(messages(instance, run_id)) >= 5 for run_id in runs)


def test_another_process_sees_a_run_at_once(instance: dg.DagsterInstance, media: Path) -> None:
    run_id = ran(instance)
    code = f"""
from pathlib import Path
from okla_assets.runtime.instance import POSTGRES_URL, open_instance

with open_instance(Path({str(media)!r})) as instance:
    print(len(instance.all_logs({run_id!r})))
"""
    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert int(seen.stdout) == len(messages(instance, run_id))


def test_a_partition_that_goes_is_gone(instance: dg.DagsterInstance) -> None:
    assert not instance.has_dynamic_partition(VEHICLES, "v1")
    instance.add_dynamic_partitions(VEHICLES, ["v1"])
    assert instance.has_dynamic_partition(VEHICLES, "v1")
    instance.delete_dynamic_partition(VEHICLES, "v1")
    assert not instance.has_dynamic_partition(VEHICLES, "v1")


def test_a_partition_that_goes_elsewhere_is_gone_soon(
    instance: dg.DagsterInstance, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add_dynamic_partitions(VEHICLES, ["v2"])
    assert instance.has_dynamic_partition(VEHICLES, "v2")
    with open_instance(media) as elsewhere:
        elsewhere.delete_dynamic_partition(VEHICLES, "v2")
    monkeypatch.setattr(records, "PARTITION_TTL", 0.0)
    assert not instance.has_dynamic_partition(VEHICLES, "v2")


def test_a_closed_instance_holds_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with running_postgres() as server:
        monkeypatch.setenv(POSTGRES_URL, server.url)
        with open_instance(tmp_path) as instance:
            assert instance.get_runs_count() == 0
            assert connections(server.url) > 0
        # The instance is still there, as one is until the garbage collector comes by.
        assert connections(server.url) == 0
        assert instance is not None


def connections(url: str) -> int:
    """Of others to the database."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    count = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
    )
    with engine.connect() as connection:
        return int(connection.scalar(sqlalchemy.text(count)) or 0)


def test_a_database_and_its_user_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    name, password = "o'k #?%a [x]", "p@ss%25:/&?"
    with running_postgres() as server:
        engine = sqlalchemy.create_engine(server.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in (
                f"CREATE ROLE \"{name}\" LOGIN SUPERUSER PASSWORD '{password}'",
                f'CREATE DATABASE "{name}"',
            ):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        engine.dispose()
        user, secret, database = (quote(text, safe="") for text in (name, password, name))
        place = server.url.partition("?")[2]
        monkeypatch.setenv(POSTGRES_URL, f"postgresql://{user}:{secret}@/{database}?{place}")
        with open_instance(tmp_path) as instance:
            assert instance.get_run_by_id(ran(instance)) is not None

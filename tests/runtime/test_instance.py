"""A killed process cannot say that its run is over; somebody else has to."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException
from dagster_shared.yaml_utils import load_yaml_from_path
from hypothesis import given, settings
from sqlalchemy.exc import OperationalError

from okla_assets.runtime.instance import (
    BROKER_URL,
    POSTGRES_URL,
    PROCESS_TAG,
    check_broker,
    close_dead_runs,
    dagster_home,
    open_instance,
    records_folder,
    this_process,
    write_config,
)
from okla_assets.runtime.records_sqlite import PooledSqliteEventLog
from okla_assets.runtime.run_launcher import WatchedRunLauncher
from resources.errors import BrokenSetup
from tests.conftest import REPOSITORY
from tests.names import FOLDER_NAMES
from tests.runs_made import nothing

A_DEAD_PROCESS = """
from okla_assets.runtime.instance import this_process
print(this_process(), end="", flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "media"


def a_run(
    instance: dg.DagsterInstance,
    owner: str | None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> str:
    run = instance.create_run_for_job(
        nothing, tags={} if owner is None else {PROCESS_TAG: owner}, status=status
    )
    return run.run_id


def test_only_runs_of_dead_processes_are_closed(home: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", A_DEAD_PROCESS], capture_output=True, text=True, check=True
    ).stdout
    elsewhere = "another-host:1:0"
    with open_instance(home) as instance:
        runs = {o: a_run(instance, o) for o in (dead, this_process(), elsewhere, None)}

        def status(owner: str | None) -> dg.DagsterRunStatus:
            run = instance.get_run_by_id(runs[owner])
            assert run is not None
            return run.status

        assert close_dead_runs(instance, only_processes=True) == 1
        assert status(dead) is dg.DagsterRunStatus.FAILURE
        assert status(None) is dg.DagsterRunStatus.STARTED
        # When `okla up` starts, no daemon is left that could own a run without a process tag.
        assert close_dead_runs(instance, only_processes=False) == 1
        assert status(None) is dg.DagsterRunStatus.FAILURE
        assert status(this_process()) is dg.DagsterRunStatus.STARTED
        assert status(elsewhere) is dg.DagsterRunStatus.STARTED


def test_a_run_whose_process_was_killed_before_it_began_is_closed(home: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", A_DEAD_PROCESS], capture_output=True, text=True, check=True
    ).stdout
    not_begun = dg.DagsterRunStatus.NOT_STARTED
    with open_instance(home) as instance:
        runs = [a_run(instance, owner, not_begun) for owner in (dead, this_process(), None)]
        assert close_dead_runs(instance, only_processes=True) == 1
        assert close_dead_runs(instance, only_processes=False) == 0  # the queue's are to begin yet
        found = [instance.get_run_by_id(run) for run in runs]
        assert [run.status for run in found if run is not None] == [
            dg.DagsterRunStatus.FAILURE,
            not_begun,
            not_begun,
        ]


def test_the_instance_is_ours_and_says_nothing_home(home: Path) -> None:
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled
        assert Path(instance.root_directory) == (home / ".dagster").resolve()


def test_a_dagster_home_of_the_users_own_is_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    with open_instance(home) as instance:
        assert Path(instance.root_directory) == own
    assert not home.exists()


def test_a_bucket_has_its_records_in_one_place_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    places = ["s3://okla", "s3://okla/a/b", "s3://okla/a", "s3://okla/a,b", "s3://okla/a%2Cb"]
    homes = {place: dagster_home(place) for place in places}
    assert len(set(homes.values())) == len(places)
    for home in homes.values():
        assert home.parent == records_folder()
        assert (home / "dagster.yaml").is_file()
    assert dagster_home("s3://okla/a/") == homes["s3://okla/a"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert dagster_home("s3://okla/a/b") == homes["s3://okla/a/b"]


def test_records_of_a_bucket_that_an_earlier_release_left_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    earlier = tmp_path / "okla-media" / ".dagster" / "okla,cars"
    earlier.mkdir(parents=True)
    assert dagster_home("s3://okla/cars") == earlier


def configured(home: Path) -> dict[str, Any]:
    read = load_yaml_from_path(str(home / "dagster.yaml"))
    assert isinstance(read, dict)
    return read


def test_a_media_folder_that_was_moved_keeps_its_records(home: Path, tmp_path: Path) -> None:
    with open_instance(home) as instance:
        run_id = a_run(instance, None)
    moved = home.rename(tmp_path / "moved")
    with open_instance(moved) as instance:
        assert instance.get_run_by_id(run_id) is not None
    records = configured(moved / ".dagster")["event_log_storage"]["config"]["base_dir"]
    assert records.startswith(str(moved.resolve()))


@pytest.mark.parametrize("name", ["a [x] *?", "'a' \"b\" %d: # é", "{env: HOME}", "a\nb"])
def test_a_path_may_hold_any_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    media = tmp_path / name / "media"
    with open_instance(media) as instance:
        assert isinstance(instance.event_log_storage, PooledSqliteEventLog)
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert not instance.telemetry_enabled
        assert Path(instance.root_directory).resolve() == (media / ".dagster").resolve()
        run_id = a_run(instance, None)
    with open_instance(media) as instance:
        assert instance.get_run_by_id(run_id) is not None
    assert list((media / ".dagster" / "history").iterdir())
    shutil.rmtree(media)
    with open_instance(media) as instance:
        assert instance.get_run_by_id(run_id) is None


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(name=FOLDER_NAMES)
def test_records_lie_in_the_folder_of_any_name(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    base = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(base / "cache"))
        with open_instance(base / name) as instance:
            assert isinstance(instance.run_launcher, WatchedRunLauncher)
            assert not instance.telemetry_enabled
            a_run(instance, None)
    assert {path.name for path in base.iterdir()} <= {name, "cache"}
    assert (base / name / ".dagster" / "history" / "runs.db").is_file()


def test_a_dagster_home_of_the_users_own_may_hold_any_character(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own [x]?"
    own.mkdir()
    (own / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled
        assert Path(instance.root_directory).resolve() == own


def test_where_no_link_can_stand_for_the_folder_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "[y]"))
    with pytest.raises(BrokenSetup, match="set XDG_CACHE_HOME"):
        dagster_home(tmp_path / "[x]")


@pytest.mark.parametrize(
    "config", ["a: [", "- 1", "nosuch: 1", "storage: {sqlite: {base_dir: 7}}", "\0"]
)
def test_a_configuration_that_cannot_be_used_is_told_in_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    (tmp_path / "dagster.yaml").write_text(config)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    told = pytest.raises(BrokenSetup, match=r"dagster\.yaml cannot be used: ")
    with told as raised, open_instance(home):
        pass
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_dagster_home_that_is_not_there_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "none"))
    with pytest.raises(BrokenSetup, match="none, which is no folder"), open_instance(home):
        pass


def test_records_that_are_damaged_are_told(home: Path) -> None:
    with open_instance(home):
        pass
    for records in home.rglob("*.db"):
        records.write_bytes(b"no database" * 1000)
    told = pytest.raises(BrokenSetup, match="cannot be used: file is not a database")
    with told, open_instance(home) as instance:
        instance.get_runs()


def test_a_database_that_stays_away_in_the_middle_is_told(home: Path) -> None:
    """After some tries Dagster raises an error of its own, which says nothing of the reason."""
    gone = OperationalError("select 1", None, ConnectionError("the server\nis gone"))
    with (
        pytest.raises(BrokenSetup, match=r"records in .* cannot be used: the server is gone$"),
        open_instance(home),
    ):
        try:
            raise gone
        except OperationalError as error:
            raise DagsterPostgresException("too many retries for DB connection") from error


def test_a_configuration_is_written_once(home: Path) -> None:
    config = dagster_home(home) / "dagster.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert dagster_home(home) == config.parent
    assert "# mine" in config.read_text(encoding="utf-8")


def test_so_many_runs_at_a_time(home: Path) -> None:
    write_config(home, runs=3)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 3


def test_the_configuration_for_postgres_never_holds_the_url(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POSTGRES_URL, "postgresql://okla:secret@localhost/okla")
    folder = dagster_home(home)
    assert folder == (home / ".dagster" / "postgres").resolve()
    assert configured(folder)["storage"]["custom"]["config"]["postgres_url"] == {
        "env": POSTGRES_URL
    }
    assert "secret" not in (folder / "dagster.yaml").read_text(encoding="utf-8")
    monkeypatch.delenv(POSTGRES_URL)
    assert "storage" not in configured(dagster_home(home))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://okla:secret@127.0.0.1:1/okla", r"okla:\*\*\*@127.0.0.1:1/okla.*refused"),
        ("mysql://okla:secret@127.0.0.1/okla", "is no URL of a PostgreSQL database"),
        ("okla:secret@127.0.0.1", "is no URL of a PostgreSQL database"),
        ("postgresql://okla:secret@127.0.0.1:port/okla", "is no URL of a PostgreSQL database"),
        ("postgresql://okla:an@secret@127.0.0.1/okla", "with %40 for an @ in the password"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setenv(POSTGRES_URL, url)
    with pytest.raises(BrokenSetup, match=told) as raised, open_instance(home):
        pass
    assert "secret" not in str(raised.value)
    assert POSTGRES_URL in str(raised.value)


def test_the_configuration_for_workers_is_the_one_in_deploy(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POSTGRES_URL, "postgresql://okla:secret@localhost/okla")
    monkeypatch.setenv(BROKER_URL, "pyamqp://okla:secret@localhost//")
    write_config(home, runs=5)
    assert configured(home) == configured(REPOSITORY / "deploy" / "gpu-machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(POSTGRES_URL)
        with pytest.raises(BrokenSetup, match=POSTGRES_URL):
            check_broker()

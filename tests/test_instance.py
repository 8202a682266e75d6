"""A killed process cannot say that its run is over; somebody else has to."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from okla_assets.instance import (
    PROCESS_TAG,
    close_dead_runs,
    dagster_home,
    open_instance,
    this_process,
)

A_DEAD_PROCESS = (
    "from okla_assets.instance import this_process; print(this_process(), end='', flush=True)"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "media"


def started_run(instance: dg.DagsterInstance, owner: str | None) -> str:
    run = instance.create_run_for_job(
        _job,
        tags={} if owner is None else {PROCESS_TAG: owner},
        status=dg.DagsterRunStatus.STARTED,
    )
    return run.run_id


@dg.op
def _nothing() -> None:
    pass


@dg.job(name="nothing")
def _job() -> None:
    _nothing()


def test_only_runs_of_dead_processes_are_closed(home: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", A_DEAD_PROCESS], capture_output=True, text=True, check=True
    ).stdout
    elsewhere = "another-host:1:0"
    with open_instance(home) as instance:
        runs = {o: started_run(instance, o) for o in (dead, this_process(), elsewhere, None)}

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


def test_a_bucket_has_its_records_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    homes = {place: dagster_home(place) for place in ("s3://okla", "s3://okla/a/b", "s3://okla/a")}
    assert len(set(homes.values())) == 3
    for home in homes.values():
        assert home.parent == tmp_path / "okla-media" / ".dagster"
        assert (home / "dagster.yaml").is_file()
    assert dagster_home("s3://okla/a/") == homes["s3://okla/a"]

"""What `okla up` knows of runs where workers make them; nothing here needs a broker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from okla_assets.runtime import worker
from okla_assets.runtime.celery_app import SETTINGS
from okla_assets.runtime.celery_launcher import WarmWorkerLauncher
from okla_assets.runtime.instance import (
    BROKER_URL,
    POSTGRES_URL,
    PROCESS_TAG,
    close_dead_runs,
    name_of_process,
    open_instance,
    this_process,
)
from tests.runs_made import nothing


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(tmp_path / "media") as opened:
        yield opened


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> WarmWorkerLauncher:
    made = WarmWorkerLauncher(
        default_queue="gpu", broker="memory://", backend="rpc://", config_source=SETTINGS
    )
    made.register_instance(instance)
    return made


@pytest.fixture(scope="module")
def dead() -> str:
    """The name of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = name_of_process(child.pid)
        child.kill()
    return name


def a_run(instance: dg.DagsterInstance, owner: str | None) -> dg.DagsterRun:
    tags = {} if owner is None else {PROCESS_TAG: owner}
    return instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)


def test_a_run_that_a_process_makes_by_itself_ends_with_it(
    instance: dg.DagsterInstance, launcher: WarmWorkerLauncher, dead: str
) -> None:
    """One of `okla process`, of a lane, or of a nightly batch has no task of a worker's."""
    owners = {
        dead: WorkerStatus.FAILED,
        this_process(): WorkerStatus.RUNNING,
        "another-host:1:0": WorkerStatus.RUNNING,
        None: WorkerStatus.RUNNING,
    }
    for owner, status in owners.items():
        run = a_run(instance, owner)
        assert launcher.check_run_worker_health(run).status is status, owner


def test_a_retry_does_not_belong_to_the_process_that_died(
    instance: dg.DagsterInstance,
    launcher: WarmWorkerLauncher,
    dead: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the next process that closes dead runs would close it while a worker makes it."""
    monkeypatch.setattr(CeleryRunLauncher, "launch_run", lambda self, context: None)
    run = a_run(instance, dead)  # the tag is that of the run before
    instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: "of the run before"})
    launcher.launch_run(LaunchRunContext(run, workspace=None))
    begun = instance.get_run_by_id(run.run_id)
    assert begun is not None
    assert launcher.check_run_worker_health(begun).status is WorkerStatus.RUNNING
    assert close_dead_runs(instance, only_processes=True) == 0


def test_a_worker_closes_what_an_earlier_one_has_left(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    dead: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The vehicle of a batch that was killed with its worker would wait for two hours."""
    left = a_run(instance, dead)
    monkeypatch.setenv(BROKER_URL, "memory://")
    monkeypatch.setenv(POSTGRES_URL, "postgresql://me@127.0.0.1:1/d")
    monkeypatch.setattr(worker, "check_broker", lambda: None)
    monkeypatch.setenv("DAGSTER_HOME", str(Path(instance.root_directory)))
    monkeypatch.setattr("okla_assets.runtime.instance._check_postgres", lambda url: None)
    worker.check_setup(str(tmp_path / "media"))
    found = instance.get_run_by_id(left.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE

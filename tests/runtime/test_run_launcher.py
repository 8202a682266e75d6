"""A run whose process is gone is known to be gone."""

import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from okla_assets.runtime.instance import PROCESS_TAG, name_of_process, open_instance, this_process
from okla_assets.runtime.run_launcher import WatchedRunLauncher
from tests.runs_made import nothing


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        with open_instance(tmp_path_factory.mktemp("media")) as opened:
            yield opened


def health(instance: dg.DagsterInstance, tags: dict[str, str]) -> WorkerStatus:
    run = instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.run_launcher.check_run_worker_health(run).status


def test_our_configuration_has_it(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled


def test_a_run_lives_with_its_process(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = name_of_process(child.pid)
        assert health(instance, {PROCESS_TAG: name}) is WorkerStatus.RUNNING
        child.kill()
        child.wait()
        assert health(instance, {PROCESS_TAG: name}) is WorkerStatus.FAILED
    assert health(instance, {PROCESS_TAG: name_of_process(child.pid)}) is WorkerStatus.FAILED


def test_a_pid_that_came_again_is_another_process(instance: dg.DagsterInstance) -> None:
    host, pid, started = this_process().rsplit(":", 2)
    earlier = f"{host}:{pid}:{int(started) - 1000}"
    assert health(instance, {PROCESS_TAG: earlier}) is WorkerStatus.FAILED


def test_what_cannot_be_looked_at_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert health(instance, {PROCESS_TAG: f"another-host:{os.getpid()}:0"}) is WorkerStatus.RUNNING
    assert health(instance, {}) is WorkerStatus.RUNNING

"""Dagster's run launcher for Celery, made safe for workers that may be killed at any moment.

dagster-celery's own retries a run that a person terminated, and counts a run whose task was
delivered twice as running for ever.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from celery.result import AsyncResult
from dagster import Field, StringSource
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from okla_assets.runtime.celery_app import QUEUE, SETTINGS, result_backend
from okla_assets.runtime.dagster_private import (
    CheckRunHealthResult,
    ConfigurableClassData,
    LaunchRunContext,
    UserConfigSchema,
    WorkerStatus,
)
from okla_assets.runtime.instance import PROCESS_TAG, lives, owner_of

# dagster-celery 0.29.27 makes the same task anew for each run, of which celery 5.7 warns.
warnings.filterwarnings("ignore", message="Task name 'execute_job'")

WAITING = frozenset({"PENDING", "RECEIVED"})


class WarmWorkerLauncher(CeleryRunLauncher):
    """Hands runs to `okla worker` processes, which keep their models loaded."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """The broker, and the database of Dagster's records, in which Celery's results go too."""
        return {
            "broker": StringSource,
            "postgres_url": StringSource,
            "default_queue": Field(StringSource, is_required=False, default_value=QUEUE),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(
            default_queue=config_value["default_queue"],
            broker=config_value["broker"],
            backend=result_backend(config_value["postgres_url"]),
            config_source=SETTINGS,
            inst_data=inst_data,
        )

    def launch_run(self, context: LaunchRunContext) -> None:
        """Queues the run; a retry must not inherit the task or the process of the run that died."""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, {DAGSTER_CELERY_TASK_ID_TAG: "", PROCESS_TAG: ""})
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Ends the run as canceled, which is not retried; its worker stays."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        task = self._task(run)
        waiting = task is None or task.state in WAITING
        if task is not None:
            task.revoke(terminate=True, signal="SIGTERM")
        if waiting:
            self._instance.report_run_canceled(run)
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED when the task has ended, one way or the other, and the run has not.

        A run without a task is one that a process makes by itself: FAILED when that is gone.
        """
        task = self._task(run)
        owner = owner_of(run)
        if task is None and owner is not None and not lives(owner):
            return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")
        if task is None or task.state in {"STARTED", *WAITING}:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"the worker of this run is gone (its task: {task.state})"
        )

    def _task(self, run: dg.DagsterRun) -> AsyncResult | None:
        """The run's task; None before it has one."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        return self.celery.AsyncResult(task_id) if task_id else None

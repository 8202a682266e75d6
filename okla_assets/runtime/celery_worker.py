"""The application of `okla worker`: `celery -A okla_assets.runtime.celery_worker`.

Celery needs it at import, so this is the one module that reads the environment there.
"""

import multiprocessing
import os
import signal
import time
from typing import Any

import dagster as dg
from celery import Task
from celery.exceptions import Ignore
from celery.signals import worker_process_init
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_resume_job_task

from okla_assets.runtime.celery_app import QUEUE, SETTINGS, result_backend
from okla_assets.runtime.dagster_private import (
    ExecuteRunArgs,
    core_execute_run,
    recon_job_from_origin,
    unpack_value,
)
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL, close_dead_runs

LAST_WORDS_SECONDS = 20
"""How long a run may still say that it failed after its worker lost the broker."""

app = make_app(  # type: ignore[no-untyped-call]
    {
        "broker": os.environ[BROKER_URL],
        "backend": result_backend(os.environ[POSTGRES_URL]),
        "config_source": SETTINGS,
        "task_default_queue": QUEUE,
    }
)
resume_job = create_resume_job_task(app)


@app.task(bind=True, name=TASK_EXECUTE_JOB_NAME, track_started=True)  # type: ignore[untyped-decorator]
def execute_job(task: Task, execute_job_args_packed: Any) -> None:
    """dagster-celery's, made safe for a message that comes twice and a run that is cut off.

    `WarmWorkerLauncher` counts a run as lost when its task ended and it did not. dagster-celery's
    ends well where another worker has the run, or is to get it since this one was cut off before
    it began. And a cut may come in the middle of an import, which every later run would find
    half done: the process ends with it, and the worker starts another.
    """
    run_id = unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs).run_id
    with dg.DagsterInstance.get() as instance:
        # Those of a batch that was killed with its worker here: nobody else can tell.
        close_dead_runs(instance, only_processes=True)
        if _status(instance, run_id) is dg.DagsterRunStatus.STARTED:
            if not task.request.delivery_info.get("redelivered"):
                raise Ignore
            _wait_until_ended(instance, run_id)
        run = instance.get_run_by_id(run_id)
        if run is None or run.job_code_origin is None:
            return  # deleted meanwhile
        instance.report_engine_event(f"Run taken by {task.request.hostname} ({os.getpid()})", run)
        job = recon_job_from_origin(run.job_code_origin)
        events = core_execute_run(job, run, instance, inject_env_vars=True)
        try:
            cut_off = [event for event in events if _tells_of_an_interrupt(event)]
        except dg.DagsterExecutionInterruptedError as interrupt:  # before the first step
            raise SystemExit from interrupt
    if cut_off:
        raise SystemExit


def _tells_of_an_interrupt(event: dg.DagsterEvent) -> bool:
    error = getattr(event.event_specific_data, "error", None)
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus | None:
    run = instance.get_run_by_id(run_id)
    return run.status if run is not None else None


def _wait_until_ended(instance: dg.DagsterInstance, run_id: str) -> None:
    """Returns after LAST_WORDS_SECONDS at the latest."""
    until = time.monotonic() + LAST_WORDS_SECONDS
    while _status(instance, run_id) is dg.DagsterRunStatus.STARTED and time.monotonic() < until:
        time.sleep(0.5)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def let_steps_start_processes(**_: object) -> None:
    """Celery's child counts as a daemon, which `multiprocessing` forbids children of its own."""
    process = multiprocessing.current_process()
    process._config["daemon"] = False  # type: ignore[attr-defined]
    process.authkey = os.urandom(32)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def let_a_term_end_a_run(**_: object) -> None:
    """Between steps too: Dagster does there on TERM what is done on INT, which Celery ignores.

    A run that outlived its task would be made twice.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)

"""The application of `okla worker`: `celery -A okla_assets.runtime.celery_worker`.

Celery needs it at import, so this is the one module that reads the environment there.
"""

import multiprocessing
import os
import signal

from celery.signals import worker_process_init
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from okla_assets.runtime.celery_app import QUEUE, SETTINGS, result_backend
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL

app = make_app(  # type: ignore[no-untyped-call]
    {
        "broker": os.environ[BROKER_URL],
        "backend": result_backend(os.environ[POSTGRES_URL]),
        "config_source": SETTINGS,
        "task_default_queue": QUEUE,
    }
)
execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)


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

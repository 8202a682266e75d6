"""Celery between `okla up` and its workers: the application that both sides share.

Each worker is a process with one GPU that takes one vehicle at a time and keeps its models loaded.
"""

from typing import Any

from okla_assets.runtime.instance import database_url

QUEUE = "gpu"
"""Where a run waits for a worker, unless its tag dagster-celery/queue names another."""

SETTINGS: dict[str, Any] = {
    # A worker that dies has not acknowledged its run; and it takes no second one in advance.
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    # A run that lost its broker would be handed to another worker while it goes on here.
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "broker_connection_retry_on_startup": True,
    # Otherwise what a step prints does not reach Dagster's UI.
    "worker_redirect_stdouts": False,
    "worker_hijack_root_logger": False,
}


def result_backend(postgres_url: str) -> str:
    """Where Celery notes how a task ended: the database of Dagster's records."""
    url = database_url(postgres_url).set(drivername="db+postgresql+psycopg2")
    return url.render_as_string(hide_password=False)

"""`okla worker`: a process with one GPU that makes one vehicle after the other and keeps its models
loaded."""

import os
import sys
from typing import NoReturn

from okla_assets.runtime.instance import BROKER_URL, check_broker, close_dead_runs, open_instance
from okla_assets.runtime.processes import dagster_environment
from resources.errors import BrokenSetup
from resources.settings import settings


def check_setup(out: str) -> None:
    """Raises BrokenSetup where a worker could not work; makes Dagster's tables if missing.

    Closes the runs of batches that were killed with an earlier worker on this machine.
    """
    if not settings().broker_url:
        raise BrokenSetup(f"a worker needs {BROKER_URL}, the same as `okla up` has")
    check_broker()
    with open_instance(out) as instance:
        close_dead_runs(instance, only_processes=True)


def command(queue: str, name: str) -> list[str]:
    """Celery's worker: one child, which can be killed and terminated without losing the parent.

    The pool must be prefork (a solo one cannot be terminated and sends no heartbeats), and the
    parent must not touch CUDA, so it loads nothing but the application.
    """
    worker = [
        sys.executable,
        "-P",
        "-m",
        "celery",
        "-A",
        "okla_assets.runtime.celery_worker",
        "worker",
    ]
    worker += ["-P", "prefork", "-c", "1", "-Q", queue, "-n", f"{name}@%h"]
    return [*worker, "--without-gossip", "--without-mingle", "--loglevel", "warning"]


def become_worker(out: str, profile: str, queue: str, gpu: int | None, name: str) -> NoReturn:
    """Replaces this process by the worker, so that a supervisor's signals reach it."""
    environment = dagster_environment(out, profile)
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
    arguments = command(queue, name)
    os.execve(arguments[0], arguments, environment)

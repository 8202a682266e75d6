"""Runs that Dagster makes for jobs are waited for, also while its database is away."""

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import OperationalError

from okla_assets.doors.door import Door
from okla_assets.doors.jobs import dagster_runs
from okla_assets.doors.jobs.dagster_runs import DagsterRuns
from okla_assets.doors.jobs.requests import JobRequest, Operation
from okla_assets.doors.jobs.work import Unit, Worker
from resources.storage.media_store import LocalMediaStore
from tests.running import wait_for


@dataclass
class Away:
    """Dagster's records, of which the server is away the first times."""

    errors: list[Exception]
    asked: int = field(default=0)

    def get_runs(self, *_: Any, **__: Any) -> list[dg.DagsterRun]:
        self.asked += 1
        if self.errors:
            raise self.errors.pop()
        return []


@dataclass
class OfRecords:
    """As much of a worker as whoever watches runs needs."""

    store: LocalMediaStore
    instance: Away


def test_a_database_that_is_away_for_a_moment_ends_no_job(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch, door: Door
) -> None:
    monkeypatch.setattr(dagster_runs, "LOOK_SECONDS", 0.01)
    gone = OperationalError("select 1", None, ConnectionError("no server"))
    instance = Away([gone, DagsterPostgresException("too many retries")])
    asked = JobRequest(operation=Operation.full, vehicle="CAR-1")
    job, _ = door.jobs.accept(asked)
    unit = Unit(jobs=(job,))
    runs = DagsterRuns(cast(Worker, OfRecords(store, instance)))
    future = runs.start(unit, lambda: None)
    stop = threading.Event()
    watching = threading.Thread(target=runs.watch, args=(stop,))
    watching.start()
    try:
        wait_for(lambda: instance.asked > 4, 20)
        assert not future.done()
    finally:
        stop.set()
        watching.join()

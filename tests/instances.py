"""Dagster's instance in memory, no dearer than ours on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import dagster as dg
import sqlalchemy
from dagster._core.storage import event_log
from dagster._core.storage.event_log import in_memory as events_in_memory
from dagster._core.storage.runs import in_memory as runs_in_memory

from okla_assets.runtime.records import RemembersPartitions


class Remembering(RemembersPartitions, events_in_memory.InMemoryEventLogStorage):
    """As Dagster's, but remembers partitions, for which a run asks 260 times."""


@contextmanager
def forgetful_instance() -> Iterator[dg.DagsterInstance]:
    """`DagsterInstance.ephemeral()`, whose connections are used again: Dagster opens one for each
    of some 400 queries a run."""
    with (
        mock.patch.object(events_in_memory, "create_engine", _pooled),
        mock.patch.object(runs_in_memory, "create_engine", _pooled),
        mock.patch.object(event_log, "InMemoryEventLogStorage", Remembering),
    ):
        ephemeral = dg.DagsterInstance.ephemeral()
    with ephemeral as instance:
        yield instance


def _pooled(url: str, **_dagsters: Any) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        url, poolclass=sqlalchemy.QueuePool, connect_args={"check_same_thread": False}
    )

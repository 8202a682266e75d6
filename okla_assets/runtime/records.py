"""Dagster's event log at a fraction of its cost; what SQLite and PostgreSQL have in common.

A vehicle's run makes some 650 queries. Dagster opens a connection for each of them, and asks 260
times whether the run's partition exists. Here connections are pooled, and a partition that was
found is taken to exist for some seconds more.
"""

import time
from typing import Any

from okla_assets.runtime.dagster_private import SqlEventLogStorage

PARTITION_TTL = 10.0
"""Seconds after which this process notices that another one has deleted a partition."""


class RemembersPartitions(SqlEventLogStorage):
    """An event log that remembers which tables and partitions it has seen."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._tables: set[str] = set()
        self._partitions: dict[tuple[str, str], float] = {}
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table; tables are never dropped."""
        if table_name not in self._tables and super().has_table(table_name):  # type: ignore[safe-super]
            self._tables.add(table_name)
        return table_name in self._tables

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether there is such a partition, or was one PARTITION_TTL ago."""
        partition = (partitions_def_name, partition_key)
        now = time.monotonic()
        if now - self._partitions.get(partition, -PARTITION_TTL) < PARTITION_TTL:
            return True
        found = super().has_dynamic_partition(partitions_def_name, partition_key)
        if found:
            self._partitions = {k: t for k, t in self._partitions.items() if now - t < 60}
            self._partitions[partition] = now
        return found

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        self._partitions.pop((partitions_def_name, partition_key), None)
        super().delete_dynamic_partition(partitions_def_name, partition_key)

"""Dagster's event log in SQLite, with engines that are used again.

Dagster makes an engine for every query, so every statement is compiled again and every connection
opened, checkpointed and closed. Each run has a database of its own, beside one for all: the files
are the same as Dagster's.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text

from okla_assets.runtime.dagster_private import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    SqliteEventLogStorage,
)
from okla_assets.runtime.records import RemembersPartitions

MOST_ENGINES = 8
"""A daemon sees the databases of many runs, a run its own and the one for all."""


class PooledSqliteEventLog(RemembersPartitions, SqliteEventLogStorage):
    """As Dagster's, but uses engines again and remembers partitions."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteEventLog":
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        """The shard's engine, made on first use in place of the least recently used."""
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            event.listen(engine, "connect", _write_ahead)
            if len(self._engines) >= MOST_ENGINES:
                self._engines.pop(next(iter(self._engines))).dispose()
        self._engines[shard] = engine
        return engine

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """A new run's database is a copy of an empty one: making its tables takes longer."""
        path = Path(str(engine.url.database))
        if for_index_shard or (path.exists() and not _is_set_up(engine)):
            super()._initdb(engine, for_index_shard)
        if path.exists():
            return
        empty = path.with_name(f"empty-{dg.__version__}.sqlite")
        half = path.with_name(f"{uuid.uuid4()}.half")
        if not empty.exists():
            super()._initdb(create_engine(f"sqlite:///{half}", poolclass=NullPool))
            half.replace(empty)
        shutil.copyfile(empty, half)
        with suppress(FileExistsError):  # another process was quicker
            os.link(half, path)
        half.unlink()

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


def _is_set_up(engine: Engine) -> bool:
    """Whether the database has its tables, of whatever release."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(text("SELECT count(*) FROM alembic_version")))


def _write_ahead(connection: object, _record: object) -> None:
    """With a write-ahead log NORMAL is as safe against a killed process as FULL.

    A power cut may lose the last events, never the file.
    """
    connection.execute("PRAGMA synchronous=NORMAL")  # type: ignore[attr-defined]

"""Dagster's records in PostgreSQL, over pooled connections."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)

from okla_assets.runtime.dagster_private import ConfigurableClassData
from okla_assets.runtime.instance import database_url
from okla_assets.runtime.records import RemembersPartitions

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

POOL_SIZE = 2
"""Connections that a process holds open; threads that need more at once get more for that time."""


class PooledPostgresEventLog(RemembersPartitions, PostgresEventLogStorage):
    """The event log as one of PooledPostgres's three storages."""

    def dispose(self) -> None:
        """Closes the connections that all three storages share.

        Dagster opens an instance for each tick of a sensor: closing must not wait for the garbage
        collector, or the database runs out of connections.
        """
        super().dispose()
        self._engine.dispose()


class PooledPostgres(DagsterPostgresStorage):
    """As Dagster's, but all three storages share one engine with a pool of connections."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = PooledPostgresEventLog(
            postgres_url, should_autocreate_tables=False, token_provider=token_provider
        )
        engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=POOL_SIZE,
            max_overflow=-1,
            pool_pre_ping=True,  # connects again after the database was restarted
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgres":
        return cls(
            postgres_url=database_url(pg_url_from_config(config_value)).render_as_string(
                hide_password=False
            ),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )

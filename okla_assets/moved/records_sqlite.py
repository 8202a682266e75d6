from okla_assets.runtime.records_sqlite import PooledSqliteEventLog as KeptSqliteEventLog  # noqa: F401

from okla_assets.runtime.records_postgres import PooledPostgres as KeptPostgres  # noqa: F401

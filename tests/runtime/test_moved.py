"""A dagster.yaml that names our classes where earlier releases had them."""

import json
from pathlib import Path

import dagster as dg
import pytest

from okla_assets.runtime.celery_launcher import WarmWorkerLauncher
from okla_assets.runtime.dagster_private import ConfigurableClassData
from okla_assets.runtime.records_postgres import PooledPostgres
from okla_assets.runtime.records_sqlite import PooledSqliteEventLog
from okla_assets.runtime.run_launcher import WatchedRunLauncher

AN_OLD_CONFIGURATION = """
run_launcher:
  module: okla_assets.run_launcher
  class: WatchedRunLauncher
event_log_storage:
  module: okla_assets.records_sqlite
  class: KeptSqliteEventLog
  config:
    base_dir: {folder}
"""


@pytest.mark.parametrize(
    ("module", "name", "config", "now"),
    [
        ("records_postgres", "KeptPostgres", None, PooledPostgres),
        ("records_sqlite", "KeptSqliteEventLog", None, PooledSqliteEventLog),
        ("run_launcher", "WatchedRunLauncher", {}, WatchedRunLauncher),
        (
            "celery_launcher",
            "WarmWorkerLauncher",
            {"broker": "memory://", "postgres_url": "postgresql://me@127.0.0.1:1/d"},
            WarmWorkerLauncher,
        ),
    ],
)
def test_each_class_is_found_by_its_old_name(
    module: str, name: str, config: dict[str, str] | None, now: type
) -> None:
    data = ConfigurableClassData(f"okla_assets.{module}", name, json.dumps(config or {}))
    if config is None:  # making it would connect
        from importlib import import_module

        assert getattr(import_module(data.module_name), data.class_name) is now
    else:
        assert type(data.rehydrate(as_type=now)) is now


def test_an_old_configuration_still_works(tmp_path: Path) -> None:
    text = AN_OLD_CONFIGURATION.format(folder=tmp_path / "history")
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.event_log_storage) is PooledSqliteEventLog
        assert type(instance.run_launcher) is WatchedRunLauncher

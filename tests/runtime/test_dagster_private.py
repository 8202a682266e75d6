"""What we rely on of Dagster that is not public: a release that changes it fails here, by name."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_celery.launcher import CeleryRunLauncher
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage

from okla_assets import dagster_tags
from okla_assets.runtime.dagster_private import (
    CheckRunHealthResult,
    ConfigurableClassData,
    LocalComputeLogManager,
    SqlEventLogStorage,
    SqliteEventLogStorage,
    core_execute_run,
    recon_job_from_origin,
)
from tests.conftest import REPOSITORY

SIGNATURES: dict[Callable[..., Any], list[str]] = {
    # okla_assets/runtime/records.py
    SqlEventLogStorage.has_table: ["table_name"],
    SqlEventLogStorage.has_dynamic_partition: ["partitions_def_name", "partition_key"],
    SqlEventLogStorage.delete_dynamic_partition: ["partitions_def_name", "partition_key"],
    # records_sqlite.py
    SqliteEventLogStorage.__init__: ["base_dir", "inst_data"],
    SqliteEventLogStorage._connect: ["shard"],
    SqliteEventLogStorage._initdb: ["engine", "for_index_shard"],
    SqliteEventLogStorage.conn_string_for_shard: ["shard_name"],
    SqliteEventLogStorage.dispose: [],
    # records_postgres.py
    DagsterPostgresStorage.__init__: [
        "postgres_url",
        "should_autocreate_tables",
        "inst_data",
        "token_provider",
    ],
    PostgresEventLogStorage.__init__: [
        "postgres_url",
        "should_autocreate_tables",
        "inst_data",
        "token_provider",
    ],
    PostgresEventLogStorage.dispose: [],
    # run_launcher.py
    dg.DefaultRunLauncher.launch_run: ["context"],
    dg.DefaultRunLauncher.check_run_worker_health: ["run"],
    dg.DefaultRunLauncher._get_grpc_client_for_termination: ["run_id"],
    CheckRunHealthResult: ["status", "msg", "transient", "run_worker_id"],
    # run_output.py
    LocalComputeLogManager.__init__: ["base_dir", "polling_timeout", "inst_data"],
    LocalComputeLogManager.capture_logs: ["log_key"],
    LocalComputeLogManager.get_captured_local_path: ["log_key", "extension", "partial"],
    # celery_worker.py
    core_execute_run: [
        "recon_job",
        "dagster_run",
        "instance",
        "inject_env_vars",
        "resume_from_failure",
    ],
    recon_job_from_origin: ["origin"],
    # celery_launcher.py
    CeleryRunLauncher.__init__: [
        "default_queue",
        "broker",
        "backend",
        "include",
        "config_source",
        "inst_data",
    ],
    CeleryRunLauncher.launch_run: ["context"],
    CeleryRunLauncher.terminate: ["run_id"],
    CeleryRunLauncher.check_run_worker_health: ["run"],
    # what dagster.yaml names
    ConfigurableClassData: ["module_name", "class_name", "config_yaml"],
    SqliteEventLogStorage.from_config_value: ["inst_data", "config_value"],
    # instance.py, servers.py
    SqlEventLogStorage.free_concurrency_slots_for_run: ["run_id"],
    SqlEventLogStorage.set_concurrency_slots: ["concurrency_key", "num"],
    # okla_assets/operations/run_index.py
    SqlEventLogStorage.get_latest_tags_by_partition: [
        "asset_key",
        "event_type",
        "tag_keys",
        "asset_partitions",
        "before_cursor",
        "after_cursor",
    ],
    dg.DagsterInstance.get_latest_storage_id_by_partition: [
        "asset_key",
        "event_type",
        "partitions",
        "after_cursor",
    ],
}


@pytest.mark.parametrize("used", SIGNATURES, ids=lambda used: used.__qualname__)
def test_signatures(used: Callable[..., Any]) -> None:
    found = [name for name in inspect.signature(used).parameters if name not in ("self", "cls")]
    assert found == SIGNATURES[used]


def test_attributes_of_an_instance() -> None:
    with dg.DagsterInstance.local_temp() as instance:
        log = instance.event_log_storage
        assert isinstance(log, SqliteEventLogStorage)
        assert log._initialized_dbs is not None
        assert log._db_lock is not None
        assert dg.DefaultRunLauncher._instance is not None
        rows = instance.daemon_cursor_storage  # sensors/upload_memory.py
        assert list(inspect.signature(rows.get_cursor_values).parameters) == ["keys"]
        assert list(inspect.signature(rows.set_cursor_values).parameters) == ["pairs"]


def test_the_storages_of_postgres() -> None:
    source = inspect.getsource(DagsterPostgresStorage.__init__)
    for name in ("_run_storage", "_event_log_storage", "_schedule_storage"):
        assert f"self.{name}" in source
    assert "self._engine" in inspect.getsource(PostgresEventLogStorage.__init__)


def test_tags() -> None:
    from dagster._core.definitions import data_version
    from dagster._core.storage import tags

    assert dagster_tags.PARTITION == tags.PARTITION_NAME_TAG
    assert dagster_tags.SENSOR == tags.SENSOR_NAME_TAG
    assert dagster_tags.WILL_RETRY == tags.WILL_RETRY_TAG
    assert dagster_tags.PRIORITY == tags.PRIORITY_TAG
    assert dagster_tags.MAX_RETRIES == tags.MAX_RETRIES_TAG
    assert dagster_tags.CODE_VERSION == data_version.CODE_VERSION_TAG
    assert dagster_tags.DATA_VERSION == data_version.DATA_VERSION_TAG


def test_one_module_imports_what_is_private() -> None:
    importing = re.compile(r"(from|import) +dagster[a-z_]*\._")
    found = [
        path.relative_to(REPOSITORY)
        for folder in ("okla_assets", "resources", "sensors")
        for path in (REPOSITORY / folder).rglob("*.py")
        if importing.search(path.read_text(encoding="utf-8"))
    ]
    assert found == [Path("okla_assets/runtime/dagster_private.py")]

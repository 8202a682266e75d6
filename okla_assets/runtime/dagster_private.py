"""All that we use of `dagster._*`. A release may change it without notice: the version is pinned,
and `tests/runtime/test_dagster_private.py` checks the signatures and attributes relied on."""

# Every class that dagster.yaml names has these two in its interface.
from dagster._config import UserConfigSchema as UserConfigSchema

# Pinging the code server of a run, without which Dagster would not retry the run.
from dagster._core.errors import DagsterUserCodeUnreachableError as DagsterUserCodeUnreachableError

# What a run launcher is given and answers; `DefaultRunLauncher` itself is public.
from dagster._core.launcher import (
    CheckRunHealthResult as CheckRunHealthResult,
    LaunchRunContext as LaunchRunContext,
    WorkerStatus as WorkerStatus,
)

# What a run prints; Dagster's own starts two processes a run to copy it to the terminal.
from dagster._core.storage.compute_log_manager import (
    CapturedLogContext as CapturedLogContext,
    ComputeIOType as ComputeIOType,
)

# Event logs with pooled connections: 0.96 CPU seconds a vehicle, where Dagster's take 3.4.
from dagster._core.storage.event_log import (
    SqlEventLogStorage as SqlEventLogStorage,
    SqliteEventLogStorage as SqliteEventLogStorage,
)
from dagster._core.storage.local_compute_log_manager import (
    LocalComputeLogManager as LocalComputeLogManager,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS as SQLITE_BUSY_TIMEOUT_SECONDS

# What dagster-celery's task does with its message; celery_worker.py says why ours is another.
from dagster._grpc.impl import core_execute_run as core_execute_run
from dagster._grpc.types import ExecuteRunArgs as ExecuteRunArgs
from dagster._serdes import (
    ConfigurableClassData as ConfigurableClassData,
    pack_value as pack_value,
    unpack_value as unpack_value,
)
from dagster._utils.hosted_user_process import recon_job_from_origin as recon_job_from_origin

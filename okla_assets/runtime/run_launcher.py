"""Dagster's own run launcher, which also watches the process of each run.

Dagster's notices a killed run only while the code server that started it lives and reaches the
database. Here a run carries the name of its process, and run monitoring asks whether it lives.
"""

import time
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg

from okla_assets.runtime.dagster_private import (
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    LaunchRunContext,
    WorkerStatus,
)
from okla_assets.runtime.instance import (
    PROCESS_TAG,
    lives,
    name_of_process,
    owner_of,
    this_process,
)


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Starts runs as processes of the code server, and knows when one of them is gone."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts the run, whose process counts as this one until its own has reported itself."""
        run_id = context.dagster_run.run_id
        # A retry inherits the tags of the run that died, this one among them.
        self._instance.add_run_tags(run_id, {PROCESS_TAG: this_process()})
        super().launch_run(context)
        if owner := self._started_process(run_id):
            self._instance.add_run_tags(run_id, {PROCESS_TAG: owner})

    def _started_process(self, run_id: str) -> str | None:
        """The run's process, from the event by which it reports itself just after it started."""
        for _ in range(50):
            for entry in self._instance.event_log_storage.get_logs_for_run(
                run_id, of_type=dg.DagsterEventType.ENGINE_EVENT
            ):
                event = entry.dagster_event
                pid = event.engine_event_data.metadata.get("pid") if event else None
                if pid is not None:
                    return name_of_process(int(str(pid.value)))
            time.sleep(0.1)
        return None

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED when the run's process is gone; a run without a process tag counts as running."""
        owner = owner_of(run)
        if owner is None or lives(owner):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if not self._code_server_answers(run):
            # Dagster retries a failed run at once or never, and needs the code server for it.
            return CheckRunHealthResult(WorkerStatus.RUNNING, "waiting for the code server")
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")

    def _code_server_answers(self, run: dg.DagsterRun) -> bool:
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return True
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            return False
        return True

"""What a dagster.yaml that we have not written decides otherwise than it was asked for."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from okla_assets.dagster_tags import PARTITION
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL, packaged_config
from resources.settings import settings


def overruled(instance: dg.DagsterInstance, runs: int) -> Iterator[str]:
    """What `okla up` and the environment ask for, and the instance's own configuration decides
    otherwise: that of a DAGSTER_HOME of the user's own, which may be another project's."""
    from dagster_postgres import PostgresEventLogStorage

    chosen = settings()
    place = Path(instance.root_directory) / "dagster.yaml"
    queue = instance.get_concurrency_config().run_queue_config
    most = None if queue is None else queue.max_concurrent_runs
    if most != runs:
        how_many = "no limit" if most is None or most < 0 else most
        yield (
            f"{place} decides how many vehicles are made at a time ({how_many}), "
            f"not --runs or OKLA_RUNS ({runs})"
        )
    limits = [] if queue is None else queue.tag_concurrency_limits
    if not any(limit["key"] == PARTITION and limit["limit"] == 1 for limit in limits):
        yield (
            f"{place} does not keep two runs of one vehicle apart, which write the same files; "
            f"copy tag_concurrency_limits from {packaged_config()}"
        )
    if chosen.postgres_url and not isinstance(instance.event_log_storage, PostgresEventLogStorage):
        yield f"{place} keeps the records elsewhere than in the database of {POSTGRES_URL}"
    if chosen.broker_url:
        from okla_assets.runtime.celery_launcher import WarmWorkerLauncher

        if not isinstance(instance.run_launcher, WarmWorkerLauncher):
            yield f"{place} names another run launcher: no worker of {BROKER_URL} gets a run"

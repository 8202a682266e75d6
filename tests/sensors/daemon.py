"""Dagster's sensor daemon, without its processes.

It does with a tick's result what `dagster/_daemon/sensor.py` (1.13.27) does, in that order:
partitions are added, a request whose run key this sensor has a run for is skipped, others become
runs, and then the cursor is kept.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby, pairwise

import dagster as dg
from dagster._core.storage.runs.schema import KeyValueStoreTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from okla_assets import keys
from okla_assets.vehicle_runs import RUN_KEY_TAG, run_key_of, vehicle_media, vehicles
from resources.settings import Settings
from resources.storage.media_store import MediaStore, ObjectInfo
from resources.storage.odd_entries import OddEntries
from sensors.upload_memory import UploadMemory
from sensors.uploads import uploads

QUIET_SECONDS: float = Settings.model_fields["quiet_seconds"].default


@dataclass
class Waiting:
    """A store whose objects arrived earlier than they did."""

    store: MediaStore
    seconds: Callable[[str], float]
    listed: int = 0

    def list(
        self, prefix: str, after: str = "", odd: OddEntries | None = None
    ) -> Iterator[ObjectInfo]:
        for info in self.store.list(prefix, after, odd):
            self.listed += 1
            yield replace(info, modified=info.modified - timedelta(seconds=self.seconds(info.key)))

    def stat(self, key: str) -> ObjectInfo | None:
        return self.store.stat(key)

    def get(self, key: str) -> bytes:
        return self.store.get(key)

    def head(self, key: str, count: int) -> bytes:
        return self.store.head(key, count)


@dataclass
class Daemon:
    """Ticks the sensor, keeps its cursor, and makes runs that end at once."""

    store: MediaStore
    instance: dg.DagsterInstance
    cursor: str | None = None
    waited: float = QUIET_SECONDS + 1
    """How long ago all files arrived, but those in `aged`."""
    aged: dict[str, float] = field(default_factory=dict)
    ends: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS
    listed: int = 0
    """Objects that the last tick read."""

    def tick(self) -> list[str]:
        """The vehicles for which a new run was made."""
        result = self.evaluate()
        return [] if result is None else self.submit(result)

    def evaluate(self) -> dg.SensorResult | None:
        """The sensor alone; what it asks for is lost unless it is submitted."""
        store = Waiting(self.store, lambda key: self.aged.get(key, self.waited))
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"store": store}
        )
        result = uploads(context)
        self.listed = store.listed
        if isinstance(result, dg.SkipReason):
            self.cursor = context.cursor
            return None
        assert isinstance(result, dg.SensorResult)
        return result

    def submit(self, result: dg.SensorResult) -> list[str]:
        """Makes the runs that are asked for and keeps the cursor."""
        for addition in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                addition.partitions_def_name, list(addition.partition_keys)
            )
        made = [r.partition_key for r in result.run_requests or () if self._run(r)]
        self.cursor = result.cursor
        return [vehicle for vehicle in made if vehicle]

    def _run(self, request: dg.RunRequest) -> bool:
        assert request.run_key is not None
        assert request.partition_key is not None
        assert self.instance.has_dynamic_partition(str(vehicles.name), request.partition_key)
        assert request.run_key.startswith(request.tags[RUN_KEY_TAG])
        if self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request.run_key})):
            return False
        tags = {
            **request.tags,
            "dagster/run_key": request.run_key,
            "dagster/partition": request.partition_key,
            "dagster/sensor_name": "uploads",
        }
        self.instance.run_storage.add_run(
            dg.DagsterRun(
                job_name=vehicle_media.name,
                run_id=str(uuid.uuid4()),
                status=self.ends,
                tags=tags,
            )
        )
        return True

    def runs_by_vehicle(self) -> dict[str, list[str]]:
        """Run keys of the files that each vehicle was run for, in order; none is asked twice."""
        runs = self.instance.get_runs()
        run_keys = [run.tags["dagster/run_key"] for run in runs]
        assert len(run_keys) == len(set(run_keys))
        made: dict[str, list[str]] = {}
        for run in reversed(runs):
            made.setdefault(run.tags["dagster/partition"], []).append(run.tags[RUN_KEY_TAG])
        return made

    def check_all_in_final_state(self) -> None:
        """Each vehicle that has media was last run for exactly what it holds, and never in vain."""
        made = self.runs_by_vehicle()
        for name, objects in groupby(self.store.list(keys.RAW), lambda o: o.key.split("/")[1]):
            vehicle = keys.parse_vehicle_id(name)
            assert made[vehicle][-1] == run_key_of(vehicle, objects), vehicle
        for name, run_keys in made.items():
            assert all(a != b for a, b in pairwise(run_keys)), name

    def forget(self) -> None:
        """Empties the sensor's memory; Dagster's runs stay."""
        memory = UploadMemory(self.instance)
        memory.unmark(mark for marks in memory.waiting().values() for mark in marks)
        storage = self.instance.run_storage
        assert isinstance(storage, SqlRunStorage)
        with storage.connect() as connection:
            connection.execute(KeyValueStoreTable.delete())

"""Uploads process themselves: a vehicle whose folder has come to rest becomes a run.

A vehicle is ready when its `_READY` marker is there or nothing in its folder has changed for
QUIET_SECONDS. The run key is made of the keys and ETags of everything uploaded, so an unchanged
vehicle is never run twice and a changed one always is.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from okla_assets import keys
from okla_assets.jobs import vehicle_media
from okla_assets.partitions import vehicles
from okla_assets.step_cache import digest_of
from resources.media_store import MediaStore, ObjectInfo

QUIET_SECONDS = 10.0
MOST_REQUESTS = 50  # a tick; the rest waits for the next one
RUN_KEY_TAG = "okla/run_key"
"""Tag of the run key on every run of a vehicle, also on those that `okla process` makes."""

FAILED_STATES = frozenset({dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED})


@dataclass(frozen=True)
class Upload:
    """A vehicle at rest: its id and the digest of all it holds."""

    vehicle: keys.VehicleId
    run_key: str


def run_key_of(vehicle: keys.VehicleId, objects: Iterable[ObjectInfo]) -> str:
    """Changes when any uploaded key or ETag does; the `_READY` marker does not count."""
    pairs = sorted((o.key, o.etag) for o in objects if o.key != keys.ready_marker(vehicle))
    return f"{vehicle}:{digest_of(pairs)[:24]}"


def uploads_at_rest(
    store: MediaStore, now: datetime, quiet_seconds: float = QUIET_SECONDS
) -> Iterator[Upload | keys.BadVehicleId]:
    """Vehicles under raw/ that are complete, and folders whose name is no vehicle id."""
    for name in store.folders(keys.RAW):
        try:
            vehicle = keys.parse_vehicle_id(name)
        except keys.BadVehicleId as bad:
            yield bad
            continue
        objects = list(store.list(keys.raw_folder(vehicle)))
        if not any(keys.is_media(o.key) for o in objects):
            continue
        ready = any(o.key == keys.ready_marker(vehicle) for o in objects)
        age = (now - max(o.modified for o in objects)).total_seconds()
        if ready or age >= quiet_seconds:
            yield Upload(vehicle, run_key_of(vehicle, objects))


@dg.sensor(
    job=vehicle_media,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def uploads(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[MediaStore]
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for each vehicle folder under raw/ that is complete and new or changed."""
    fired: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    seen: dict[str, str] = {}
    wanted: list[Upload] = []
    for upload in uploads_at_rest(store, datetime.now(UTC)):
        if isinstance(upload, keys.BadVehicleId):
            name = f"!{upload}"
            seen[name] = ""
            if name not in fired:  # said once, not on every tick
                context.log.warning(f"a folder under {keys.RAW} is left alone: {upload}")
        elif fired.get(upload.vehicle) == upload.run_key:
            seen[upload.vehicle] = upload.run_key
        elif len(wanted) < MOST_REQUESTS:
            state = _state(context.instance, upload.run_key)
            if state is None:
                wanted.append(upload)
            if state is None or state is dg.DagsterRunStatus.SUCCESS:
                seen[upload.vehicle] = upload.run_key
            # A run in progress elsewhere is looked at again on the next tick: it may still fail.
    cursor = json.dumps(seen, sort_keys=True)
    if not wanted:
        context.update_cursor(cursor)
        return dg.SkipReason("no vehicle folder is new or changed and at rest")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=upload.run_key,
                partition_key=upload.vehicle,
                tags={RUN_KEY_TAG: upload.run_key},
            )
            for upload in wanted
        ],
        dynamic_partitions_requests=[
            vehicles.build_add_request(sorted({upload.vehicle for upload in wanted}))
        ],
        cursor=cursor,
    )


def _state(instance: dg.DagsterInstance, run_key: str) -> dg.DagsterRunStatus | None:
    """How the last run for exactly these files stands; None where there is none or it failed."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1)
    return None if not runs or runs[0].status in FAILED_STATES else runs[0].status

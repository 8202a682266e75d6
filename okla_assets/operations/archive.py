"""Retiring a sold or deleted vehicle: its partition and working files go, its uploads stay.

The marker `raw/{vehicle}/_ARCHIVED` keeps it retired: it lies among the uploads, so that whoever
lists them sees it, until an upload newer than the marker brings the vehicle back.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from okla_assets import dagster_tags, keys
from okla_assets.code_links import code_link
from okla_assets.operations.run_index import busy, check_known
from okla_assets.vehicle_runs import vehicles
from resources.ahead import mapped
from resources.errors import BadInput, Unreadable
from resources.storage.media_store import MediaStore, ObjectInfo


def is_archived(vehicle: keys.VehicleId, objects: Iterable[ObjectInfo]) -> bool:
    """Whether the vehicle of these objects under raw/ stays retired: the marker is the newest.

    S3 counts in seconds; of the same second, an upload counts as newer.
    """
    marker = keys.archived_marker(vehicle)
    found = {info.key: info.modified for info in objects}
    archived = found.pop(marker, None)
    return archived is not None and all(archived > arrived for arrived in found.values())


def retire(
    name: str,
    store: MediaStore,
    instance: dg.DagsterInstance,
    *,
    processed: bool = False,
    raw: bool = False,
) -> int:
    """`archive` of what a person names: also of a partition whose name no vehicle can have.

    Raises `BadVehicleId` where there is no such partition either, and as `archive` does.
    """
    vehicle = _named(name, instance)
    if vehicle is None:
        instance.delete_dynamic_partition(str(vehicles.name), name)
        return 0
    return archive(vehicle, store, instance, processed=processed, raw=raw)


def would_remove(
    name: str,
    store: MediaStore,
    instance: dg.DagsterInstance,
    *,
    processed: bool = False,
    raw: bool = False,
) -> list[str]:
    """Keys of the files that `retire` would remove; it raises the same, but for runs under way."""
    vehicle = _named(name, instance)
    if vehicle is None:
        return []
    check_known(vehicle, store, instance)
    folders = [
        *([keys.processed_folder(vehicle), *_drawn_for_jobs(vehicle, store)] if processed else []),
        *keys.vehicle_work(vehicle),
        *([keys.raw_folder(vehicle)] if raw else []),
    ]
    return [info.key for folder in folders for info in store.list(folder)]


def _named(name: str, instance: dg.DagsterInstance) -> keys.VehicleId | None:
    """The vehicle of this name; None where it is that of a partition that no vehicle can have.

    Raises `BadVehicleId` where it is neither.
    """
    try:
        return keys.parse_vehicle_id(name)
    except keys.BadVehicleId:
        if not instance.has_dynamic_partition(str(vehicles.name), name):
            raise
        return None


def archive(
    vehicle: keys.VehicleId,
    store: MediaStore,
    instance: dg.DagsterInstance,
    *,
    processed: bool = False,
    raw: bool = False,
) -> int:
    """Retires the vehicle and returns how many files were removed; may be repeated.

    `processed` also removes what buyers see and what was drawn for its jobs alone, on which plates
    may be seen; `raw` what the seller uploaded. Raises BadInput where
    a run of the vehicle waits or is in progress, `UnknownVehicle` where there is no such vehicle.
    """
    marker = keys.archived_marker(vehicle)
    check_known(vehicle, store, instance)
    uploads = [info.key for info in store.list(keys.raw_folder(vehicle))]
    # The marker first: from here on no sensor starts a run; one that had just started is seen.
    if uploads:
        store.put(marker, b"")
    if busy(instance, [vehicle]):
        if marker not in uploads:
            store.delete(marker)
        raise BadInput(
            f"a run of {vehicle} waits or is in progress; cancel it, or archive when it has ended"
        )
    instance.delete_dynamic_partition(str(vehicles.name), vehicle)
    removed = 0
    if processed:
        # The listing first, so that no reader is sent to a file that is gone.
        if store.stat(keys.listing(vehicle)) is not None:
            removed += _remove([keys.listing(vehicle)], store)
        for folder in (keys.processed_folder(vehicle), *_drawn_for_jobs(vehicle, store)):
            removed += _remove_folder(folder, store)
    removed += remove_work(vehicle, store)
    if raw:
        removed += _remove([key for key in uploads if key != marker], store)
        store.delete(marker)
    return removed


def remove_work(vehicle: keys.VehicleId, store: MediaStore) -> int:
    """Empties the vehicle's step caches and returns how many files that were; uploads stay.

    Its next run computes everything anew. No run of it may be in progress.
    """
    return sum(_remove_folder(folder, store) for folder in keys.vehicle_work(vehicle))


def _drawn_for_jobs(vehicle: keys.VehicleId, store: MediaStore) -> list[str]:
    """Prefixes of what was drawn for jobs of the vehicle."""
    listed = (keys.listed_job(info.key) for info in store.list(keys.jobs_of_vehicle(vehicle)))
    return [keys.job_files(job.id) for job in listed if job is not None]


def _remove_folder(prefix: str, store: MediaStore) -> int:
    return _remove([info.key for info in store.list(prefix)], store)


def _remove(there: Sequence[str], store: MediaStore) -> int:
    """Deletes what was just listed, some at a time: in a bucket, each is a request and a wait."""
    mapped(there, store.delete, "delete")
    return len(there)


class ArchiveConfig(dg.Config):
    vehicles: list[str]
    processed: bool = False
    raw: bool = False


@dg.op
def archive_each(
    context: dg.OpExecutionContext, config: ArchiveConfig, store: dg.ResourceParam[MediaStore]
) -> None:
    """Retires the configured vehicles; fails at the end, naming those that could not be."""
    refused: list[str] = []
    for name in config.vehicles:
        try:
            removed = retire(
                name,
                store,
                context.instance,
                processed=config.processed,
                raw=config.raw,
            )
        except (BadInput, Unreadable, keys.BadVehicleId) as bad:
            refused.append(str(bad))
            context.log.error(str(bad))
        else:
            context.log.info(f"{name}: archived, {removed} file{'s' * (removed != 1)} removed")
    if refused:
        raise dg.Failure("; ".join(refused), allow_retries=False)


@dg.job(tags={dagster_tags.MAX_RETRIES: "0"}, metadata=code_link(__file__))
def archive_vehicles() -> None:
    """Sold or deleted vehicles leave Dagster and their working files go; uploads stay."""
    archive_each()

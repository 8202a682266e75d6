"""What Dagster has recorded of vehicles and their runs, for 100 000 vehicles and more.

Each function is one query, or one a page. The index of an asset's partitions is not public: the
release of Dagster is pinned, and `tests/runtime/test_dagster_private.py` checks the signatures.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg

from okla_assets import dagster_tags, keys
from okla_assets.runtime.instance import on_this_host, owner_of
from okla_assets.vehicle_runs import LISTING, makes_listing, vehicles
from resources.errors import UnknownVehicle
from resources.settings import settings
from resources.storage.media_store import MediaStore

PAGE = 1000

WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
UNDER_WAY = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
LONGEST_RUN = timedelta(hours=2)
"""As max_runtime_seconds of dagster.yaml."""
NO_GOOD_END = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def partition_names(instance: dg.DagsterInstance) -> Iterator[list[str]]:
    """The names of all partitions, a page at a time; a person may have added any name."""
    cursor, more = None, True
    while more:
        page = instance.get_paginated_dynamic_partitions(
            str(vehicles.name), limit=PAGE, ascending=True, cursor=cursor
        )
        yield list(page.results)
        cursor, more = page.cursor, page.has_more


def pages(instance: dg.DagsterInstance) -> Iterator[list[keys.VehicleId]]:
    """All vehicles that are partitions, a page at a time."""
    for names in partition_names(instance):
        yield [vehicle for name in names if (vehicle := vehicle_named(name)) is not None]


def vehicle_of_run(run: dg.DagsterRun) -> keys.VehicleId | None:
    """The vehicle that a run is about; None for a batch's own run."""
    return vehicle_named(run.tags.get(dagster_tags.PARTITION, ""))


def vehicle_named(name: str) -> keys.VehicleId | None:
    """The vehicle of this name; None for a partition that a person added and none can have."""
    try:
        return keys.parse_vehicle_id(name)
    except keys.BadVehicleId:
        return None


def check_known(vehicle: keys.VehicleId, store: MediaStore, instance: dg.DagsterInstance) -> None:
    """Raises `UnknownVehicle` where it has neither a partition nor uploads nor finished files."""
    if instance.has_dynamic_partition(str(vehicles.name), vehicle):
        return
    for folder in (keys.raw_folder(vehicle), keys.processed_folder(vehicle)):
        if next(iter(store.list(folder)), None) is not None:
            return
    raise UnknownVehicle(vehicle)


def of_vehicles(wanted: Sequence[str], **filters: object) -> dg.RunsFilter:
    """The filter for runs of these vehicles."""
    return dg.RunsFilter(tags={dagster_tags.PARTITION: list(wanted)}, **filters)  # type: ignore[arg-type]


def busy(
    instance: dg.DagsterInstance, wanted: Sequence[str] | None = None
) -> frozenset[keys.VehicleId]:
    """Vehicles, of those wanted, of which a run waits or is in progress."""
    statuses = [*WAITING, *UNDER_WAY]
    filters = (
        dg.RunsFilter(statuses=statuses)
        if wanted is None
        else of_vehicles(wanted, statuses=statuses)
    )
    found: set[keys.VehicleId] = set()
    cursor = None
    while runs := instance.get_runs(filters, limit=PAGE, cursor=cursor):
        found.update(v for run in runs if (v := vehicle_of_run(run)) is not None)
        cursor = runs[-1].run_id
    return frozenset(found)


def under_way(instance: dg.DagsterInstance, vehicle: keys.VehicleId) -> bool:
    """Whether a run of the vehicle is in progress; call `close_dead_runs` before.

    Whether the process of a run on another host is gone nobody can tell. In a database, which hosts
    share, such a run is lost after LONGEST_RUN; in a folder at once: this machine had another name
    when it began, or it was a container's that was killed.
    """
    since = datetime.now(UTC) - LONGEST_RUN
    filters = of_vehicles([vehicle], statuses=list(UNDER_WAY), updated_after=since)
    shared = bool(settings().postgres_url)
    owners = [owner_of(run) for run in instance.get_runs(filters)]
    return any(shared or owner is None or on_this_host(owner) for owner in owners)


def materialized(instance: dg.DagsterInstance, page: Collection[str]) -> Mapping[str, int]:
    """Storage id of the last materialization of each vehicle's listing; larger is later."""
    return _latest(instance, dg.DagsterEventType.ASSET_MATERIALIZATION, page)


def attempts(instance: dg.DagsterInstance, page: Collection[str]) -> Mapping[str, int]:
    """Storage id of the start of each vehicle's last run, on the same scale."""
    return _latest(instance, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, page)


def _latest(
    instance: dg.DagsterInstance, event: dg.DagsterEventType, page: Collection[str]
) -> Mapping[str, int]:
    if not page:  # which Dagster would take for "all"
        return {}
    return instance.get_latest_storage_id_by_partition(LISTING, event, set(page))


def listing_versions(instance: dg.DagsterInstance, page: Sequence[str]) -> Mapping[str, str]:
    """Data version of each vehicle's listing."""
    found = instance.event_log_storage.get_latest_tags_by_partition(
        LISTING,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        [dagster_tags.DATA_VERSION],
        asset_partitions=list(page),
    )
    return {vehicle: next(iter(tags.values())) for vehicle, tags in found.items()}


def last_ends(
    instance: dg.DagsterInstance, wanted: Sequence[str]
) -> Mapping[keys.VehicleId, dg.DagsterRunStatus]:
    """How the last of each vehicle's runs ended that did not succeed."""
    ends: dict[keys.VehicleId, dg.DagsterRunStatus] = {}
    if wanted:
        for run in instance.get_runs(of_vehicles(wanted, statuses=list(NO_GOOD_END))):
            vehicle = vehicle_of_run(run)
            if vehicle is not None:
                ends.setdefault(vehicle, run.status)
    return ends


def made_at(instance: dg.DagsterInstance, storage_ids: Sequence[int]) -> Mapping[int, datetime]:
    """When these materializations of listings were recorded."""
    times: dict[int, datetime] = {}
    for start in range(0, len(storage_ids), PAGE):
        some = storage_ids[start : start + PAGE]
        found = instance.fetch_materializations(
            dg.AssetRecordsFilter(LISTING, storage_ids=some), limit=len(some)
        )
        times |= {r.storage_id: datetime.fromtimestamp(r.timestamp, UTC) for r in found.records}
    return times


def overtaken(instance: dg.DagsterInstance, run: dg.DagsterRun, vehicle: keys.VehicleId) -> bool:
    """Whether a newer run of the vehicle is to make what this one was; one of single photos does
    not make the whole vehicle."""
    newest = instance.get_runs(of_vehicles([vehicle]), limit=PAGE)
    newer = takewhile(lambda one: one.run_id != run.run_id, newest)
    return any(makes_listing(one) or not makes_listing(run) for one in newer)


def last_run(instance: dg.DagsterInstance, vehicle: keys.VehicleId) -> dg.RunRecord | None:
    """The vehicle's newest run."""
    return next(iter(instance.get_run_records(of_vehicles([vehicle]), limit=1)), None)

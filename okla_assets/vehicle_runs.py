"""What a vehicle's run is, and the one way to ask for it.

A run is about one partition and about the files that were uploaded for it at one moment: its tag
RUN_KEY_TAG names both, so that no door asks twice for what another has asked for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from okla_assets import dagster_tags, keys
from okla_assets.code_links import code_link
from okla_assets.digests import digest_of
from resources.errors import BadInput
from resources.storage.media_store import MediaStore, ObjectInfo
from resources.storage.table_io import TableT, read_table, vehicle_of_partition

vehicles = dg.DynamicPartitionsDefinition(name="vehicles")
"""One partition is one vehicle; photos are rows of its tables, never partitions."""

GPU_POOL = "gpu"
"""The steps that run the large models; `okla up --gpu-slots` sets how many at a time."""

Source = Literal["job", "upload", "process", "backfill", "report"]
PRIORITIES: Mapping[Source, int] = {
    "job": 20,
    "upload": 10,
    "process": 0,
    "backfill": -10,
    "report": -10,
}
"""By what asks for a run: a seller who waits goes before the nightly backfill."""

SOURCE_TAG = "okla/source"
RUN_KEY_TAG = f"{dagster_tags.HIDDEN}okla_run_key"
"""Hidden tag of the uploads that a run is for; `note_uploads` adds it to those of Dagster's UI."""

JOB_TAG = "okla/job"
"""The job of the doors that a run is for."""

FLEET_GROUP = "fleet"
"""Assets over all vehicles: no part of a vehicle's run."""

FINISHED_PHOTOS = (
    "raw_photos",
    "walkaround_frames",
    "masks",
    "classifications",
    "license_plates",
    "composites",
)
"""The assets that finished photos need, in the order of the graph."""

LISTING = dg.AssetKey("listing")
"""The last asset of the graph: a run that made it has made the vehicle."""


def vehicle_asset(
    group: str, version: str, kinds: set[str], pool: str | None = None
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorator of a step: an asset with a partition a vehicle. `version` is its code's.

    The tag `okla/device` tells where its models work, if there is a GPU.
    """
    return dg.asset(
        partitions_def=vehicles,
        group_name=group,
        code_version=version,
        kinds=kinds,
        owners=["team:media"],
        tags={"okla/device": "gpu" if pool == GPU_POOL else "cpu"},
        pool=pool,
    )


vehicle_media = dg.define_asset_job(
    "vehicle_media",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(FLEET_GROUP),
    description="Everything for one vehicle, in one process so that models are loaded once.",
    metadata=code_link(__file__),
    # A run has about 200 events, which are in the UI; the terminal shows what is wrong.
    config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
)


@dataclass(frozen=True)
class VehicleRun:
    """A run to be asked for: its partition, the key of the uploads it is for, and its tags."""

    vehicle: keys.VehicleId
    run_key: str
    tags: Mapping[str, str]


def request(vehicle: keys.VehicleId, uploads: Iterable[ObjectInfo], source: Source) -> VehicleRun:
    """The run of `vehicle_media` for these uploads (all objects under raw/{vehicle}/)."""
    run_key = run_key_of(vehicle, uploads)
    return VehicleRun(vehicle, run_key, {RUN_KEY_TAG: run_key} | run_tags(source))


def run_key_of(vehicle: keys.VehicleId, uploads: Iterable[ObjectInfo]) -> str:
    """Changes when any uploaded key or ETag does; what we write beside them does not count."""
    markers = keys.records(vehicle) - {keys.options(vehicle)}
    pairs = sorted((o.key, o.etag) for o in uploads if o.key not in markers)
    return f"{vehicle}:{digest_of(pairs)[:24]}"


def run_tags(source: Source) -> dict[str, str]:
    """Tags of any run that `source` asks for."""
    return {SOURCE_TAG: source, dagster_tags.PRIORITY: str(PRIORITIES[source])}


def tags_for(
    vehicle: keys.VehicleId, store: MediaStore, source: Source, assets: Sequence[str] | None
) -> Mapping[str, str]:
    """Tags of a run of these assets, None for all: only that makes the vehicle that its uploads
    ask for."""
    if assets is not None:
        return run_tags(source)
    return request(vehicle, store.list(keys.raw_folder(vehicle)), source).tags


def selection_of(assets: Sequence[str] | None) -> list[dg.AssetKey] | None:
    """Such assets as Dagster selects them."""
    return None if assets is None else [dg.AssetKey(asset) for asset in assets]


def vehicle_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> keys.VehicleId:
    """The vehicle a run is about. Raises BadInput where it names none."""
    return vehicle_of_partition(context.partition_key if context.has_partition_key else None)


def table_of(
    context: dg.AssetCheckExecutionContext, store: MediaStore, asset: str, kind: type[TableT]
) -> TableT:
    """The asset's table of the vehicle that a check is about. Raises BadInput where it names none,
    FileNotFoundError where the asset has to be made first."""
    return read_table(store, keys.table(vehicle_of(context), asset), kind)


def makes_listing(run: dg.DagsterRun) -> bool:
    """Whether the run makes the whole vehicle; not where single assets or checks were chosen."""
    if run.asset_selection:
        return LISTING in run.asset_selection
    return not run.asset_check_selection


def note_uploads(
    context: dg.AssetExecutionContext, vehicle: keys.VehicleId, store: MediaStore
) -> None:
    """Tags a run that was started by hand, and that makes the whole vehicle, with its uploads.

    Without it the upload sensor would make the same vehicle again. Raises BadInput where the
    partition was typed by hand: nothing was uploaded for it, and it never had a listing.
    """
    if RUN_KEY_TAG in context.run.tags or not context.has_partition_key:
        return
    if makes_listing(context.run):
        uploads = list(store.list(keys.raw_folder(vehicle)))
        # One whose uploads were all withdrawn is told so in its listing.
        if not uploads and store.stat(keys.listing(vehicle)) is None:
            raise BadInput(
                f"there is no vehicle {vehicle}: nothing lies in {keys.raw_folder(vehicle)}; put "
                f"its photos into {keys.raw_photos(vehicle)}, or remove the partition by "
                f"`okla archive {vehicle}`"
            )
        run_key = run_key_of(vehicle, uploads)
        context.instance.add_run_tags(context.run.run_id, {RUN_KEY_TAG: run_key})

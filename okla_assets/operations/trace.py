"""Lineage: from a finished file back to its uploads, code, weights, options and run.

Sources, models and options are read from listing.json. Runs and times come from Dagster: in
listing.json they would change with every run that computes nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import ValidationError

from okla_assets import dagster_tags, keys
from okla_assets.contract import Listing, ListingPhoto, PipelineInfo, Spin
from okla_assets.operations.run_index import check_known
from okla_assets.options import StudioOptions
from okla_assets.tables import RawPhotos
from okla_assets.vehicle_runs import LISTING, SOURCE_TAG
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

CLOCK = timedelta(seconds=1)
"""How far the store's clock may be ahead of Dagster's; runs of a vehicle are further apart."""


@dataclass(frozen=True)
class UploadUsed:
    """One upload that the file was made from; `now` compares it with what the store has today.

    `etag` is the store's at the time of the run; None where its record is gone.
    """

    key: str
    sha256: str | None
    etag: str | None
    now: str


@dataclass(frozen=True)
class Made:
    """One materialization of an asset."""

    run_id: str
    at: datetime
    asset: str
    code_version: str | None
    data_version: str | None
    source: str | None


@dataclass(frozen=True)
class Trace:
    """Everything about one finished file.

    `made` is the run that wrote it, `confirmed` the last one that found it still valid; None where
    Dagster has no record. `steps` are the code versions of all assets in the run that wrote it.
    """

    key: str
    what: str
    vehicle: str
    written: datetime | None
    sources: tuple[UploadUsed, ...]
    made: Made | None
    confirmed: Made | None
    steps: dict[str, str]
    pipeline: PipelineInfo
    options: StudioOptions


def trace(file: str, store: MediaStore, instance: dg.DagsterInstance) -> Trace:
    """The lineage of a finished file, named by key, path or URL, or by its vehicle's id.

    Raises BadInput where there is no such file.
    """
    vehicle, key = _parse(file)
    check_known(vehicle, store, instance)
    info = store.stat(key)
    if info is None:
        raise BadInput(f"{key} is not in the media store; see `okla status --vehicle {vehicle}`")
    try:
        listing = Listing.model_validate_json(store.get(keys.listing(vehicle)))
    except FileNotFoundError:
        raise BadInput(f"{vehicle} has no listing.json, which would say what {key} is") from None
    except ValidationError:
        raise BadInput(
            f"{keys.listing(vehicle)} is of another version; `okla backfill {vehicle}` renews it"
        ) from None
    what, asset, sources = _describe(key, listing)
    made, confirmed = _runs(instance, asset, vehicle, info.modified)
    return Trace(
        key=key,
        what=what,
        vehicle=vehicle,
        written=info.modified,
        sources=_compare(vehicle, sources, store),
        made=made,
        confirmed=confirmed,
        steps={} if made is None else _steps(instance, made.run_id),
        pipeline=listing.pipeline,
        options=listing.options,
    )


def _parse(file: str) -> tuple[keys.VehicleId, str]:
    try:
        found = keys.processed_key_in(file)
        if found is not None:
            return found
        vehicle = keys.parse_vehicle_id(file)
    except keys.BadVehicleId:
        raise BadInput(
            f"{file!r} names no finished file: give a key such as processed/VEHICLE/promo.mp4, "
            "its path or URL, or a vehicle's id"
        ) from None
    return vehicle, keys.listing(vehicle)


Uploads = tuple[tuple[str, str | None], ...]
"""Keys of uploads and their SHA-256."""


def _describe(key: str, listing: Listing) -> tuple[str, dg.AssetKey, Uploads]:
    """What the file shows, which asset writes it, and which uploads it is made from."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    of_all = _photos(listing.photos) + _video(listing)
    for photo in listing.photos:
        if key in photo.files:
            name = f"{photo.category}_{photo.number:03d}"
            kinds: dict[str | None, str] = {
                photo.processed_key: f"finished photo {name} ({photo.treatment})",
                photo.thumbnail_key: f"thumbnail of {name}",
                photo.mask_key: f"mask of {name}",
                photo.before_key: f"{name} before, plates masked",
                **{
                    size.key: f"finished photo {name}, {size.width} pixels wide for web pages"
                    for size in photo.sizes
                },
            }
            return kinds[key], dg.AssetKey("composites"), _photos([photo])
    spin, promo = listing.spin, listing.promo
    if spin is not None and (position := _frame(spin, key)) is not None:
        number = spin.sources[position] if spin.sources else None
        what = f"frame {position + 1} of {len(spin.frames)} of the 360 degree view"
        from_photo = spin.made_from == "photos" or position in spin.photo_frames
        if number is not None:
            what += f", from {'photo' if from_photo else 'moment'} {number}"
        if from_photo:
            shown = [p for p in listing.photos if p.number == number]
            return what, dg.AssetKey("spin_frames"), _photos(shown)
        return what, dg.AssetKey("spin_frames"), _video(listing) or of_all
    if promo is not None and key in (promo.key, promo.vertical_key, *promo.posters):
        return "promo video", dg.AssetKey("promo_video"), _of_promo(promo.sources, listing)
    if key == keys.listing(vehicle):
        return "listing", LISTING, of_all
    if key in {keys.gallery(vehicle), keys.spin_page(vehicle)}:
        return "page", LISTING, of_all
    if key in {keys.spin_data(vehicle), keys.spin_script(vehicle)}:
        return "part of the 360 degree view", LISTING, of_all
    if key == keys.panorama_script(vehicle):
        return "part of the 360 degree interior", LISTING, of_all
    raise BadInput(
        f"{key} is not named by the listing of {vehicle}: it is left over from an earlier run"
    )


def _frame(spin: Spin, key: str) -> int | None:
    """The position, from 0, of the frame that a file shows in whatever size; None for no frame."""
    for frames in (spin.frames, *(size.frames for size in spin.sizes)):
        if key in frames:
            return frames.index(key)
    return None


def _photos(photos: Sequence[ListingPhoto]) -> Uploads:
    return tuple((photo.source_key, photo.source_sha256) for photo in photos)


def _video(listing: Listing) -> Uploads:
    if listing.spin is None or listing.spin.video_key is None:
        return ()
    return ((listing.spin.video_key, listing.spin.video_sha256),)


def _of_promo(shown: Sequence[str], listing: Listing) -> Uploads:
    """The uploads behind the finished pictures that the promo shows, and its music."""
    if not shown:  # made before its sources were written down
        return _photos(listing.photos) + _video(listing)
    found = dict(_photos([p for p in listing.photos if p.processed_key in shown]))
    if listing.spin is not None and set(listing.spin.frames) & set(shown):
        spin = listing.spin
        every = range(len(spin.sources)) if spin.made_from == "photos" else spin.photo_frames
        numbers = {spin.sources[position] for position in every}
        found |= dict(_photos([p for p in listing.photos if p.number in numbers]))
        found |= dict(_video(listing))
    finished = keys.processed_folder(keys.parse_vehicle_id(listing.vehicle_id))
    found |= {key: None for key in shown if not key.startswith(finished)}
    return tuple(found.items())


def _compare(
    vehicle: keys.VehicleId, uploads: Uploads, store: MediaStore
) -> tuple[UploadUsed, ...]:
    etags = _etags(vehicle, store)
    return tuple(
        UploadUsed(key, sha256, etag := etags.get(key), _now(key, sha256, etag, store))
        for key, sha256 in uploads
    )


def _now(key: str, sha256: str | None, etag: str | None, store: MediaStore) -> str:
    info = store.stat(key)
    if info is None:
        return "gone"
    if etag and info.etag == etag:
        return "unchanged"
    if sha256 is None:
        return "there"
    with store.as_file(key) as path, path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    return "unchanged" if same else "changed since"


def _etags(vehicle: keys.VehicleId, store: MediaStore) -> dict[str, str]:
    """ETags as of the last run; empty where its table is gone or of another version."""
    try:
        table = RawPhotos.model_validate_json(store.get(keys.table(vehicle, "raw_photos")))
    except (FileNotFoundError, ValidationError):
        return {}
    return {photo.source_key: photo.source_etag for photo in table.photos if photo.source_etag}


def _runs(
    instance: dg.DagsterInstance, asset: dg.AssetKey, vehicle: keys.VehicleId, written: datetime
) -> tuple[Made | None, Made | None]:
    """The run that wrote a file of this time (the first that ended after it), and the last run."""
    after = (written - CLOCK).timestamp()
    since = dg.AssetRecordsFilter(asset, asset_partitions=[vehicle], after_timestamp=after)
    first = instance.fetch_materializations(since, limit=1, ascending=True).records
    every = dg.AssetRecordsFilter(asset, asset_partitions=[vehicle])
    last = instance.fetch_materializations(every, limit=1).records
    return (
        _made(instance, first[0]) if first else None,
        _made(instance, last[0]) if last else None,
    )


def _made(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> Made | None:
    materialization = record.asset_materialization
    if materialization is None or materialization.asset_key is None:
        return None
    tags = materialization.tags or {}
    run = instance.get_run_by_id(record.run_id)
    return Made(
        run_id=record.run_id,
        at=datetime.fromtimestamp(record.timestamp, UTC),
        asset=materialization.asset_key.to_user_string(),
        code_version=tags.get(dagster_tags.CODE_VERSION),
        data_version=tags.get(dagster_tags.DATA_VERSION),
        source=None if run is None else run.tags.get(SOURCE_TAG),
    )


def _steps(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    versions = {}
    for record in found.records:
        materialization = record.asset_materialization
        if materialization is not None and materialization.asset_key is not None:
            version = (materialization.tags or {}).get(dagster_tags.CODE_VERSION)
            versions[materialization.asset_key.to_user_string()] = version or ""
    return versions

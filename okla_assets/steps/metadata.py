"""What a person sees of a step in Dagster's UI: counts, times, a table, a contact sheet, a link.

The event log keeps metadata for ever, so a materialization carries one contact sheet of at most
8 KB and at most 60 table rows.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, TypeVar, get_args

import dagster as dg
from pydantic import BaseModel

from okla_assets import keys
from okla_assets.contract import Listing, ListingPhoto
from okla_assets.digests import digest_of
from okla_assets.imaging.types import Category
from okla_assets.steps.column_schema import row_count
from okla_assets.steps.pictures import read_picture
from okla_assets.tables import (
    Classification,
    CloseUp,
    Composite,
    Frame,
    Mask,
    MaskStatus,
    Photo,
    PhotoPlates,
    RefusedFile,
    Table,
    Treatment,
)
from okla_assets.vehicle_runs import vehicle_of
from resources.ahead import mapped
from resources.storage.media_store import MediaStore

TableT = TypeVar("TableT", bound=Table | Listing)
Cell = str | int | float | None

MASK_STATUSES: tuple[MaskStatus, ...] = get_args(MaskStatus)
CATEGORIES: tuple[Category, ...] = get_args(Category)
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)

MOST_ROWS = 60
BY_THE_CLOCK = {"seconds", "gpu_seconds", "generated_at", "cost"}
"""Fields of a table that differ from run to run though it shows the same."""
MOST_PICTURES = 36
SHEET_BYTES = 8 * 1024 * 3 // 4  # base64 makes four characters of three bytes


def result(
    context: dg.AssetExecutionContext,
    table: TableT,
    store: MediaStore,
    *,
    counts: Mapping[str, int],
    computed: int,
    spent: float,
    rows: Sequence[Mapping[str, Cell]],
    pictures: Sequence[str],
    link: str,
    extra: Mapping[str, str | float] | None = None,
    data_version: str | None = None,
    units: int | None = None,
) -> dg.MaterializeResult[TableT]:
    """The asset's table with its metadata; `data_version` is the table's digest where not given.

    `computed` of its `units` (rows, where not given) took `spent` seconds in this run; the rest was
    reused. `link` is the key of the folder or file that the step is about.
    """
    vehicle = vehicle_of(context)
    name = context.asset_key.path[-1]
    row_total = row_count(table)
    reused = max(0, (row_total if units is None else units) - computed)
    total = table.seconds if isinstance(table, Table) else sum(table.cost.seconds.values())
    # In the order in which a person reads: what it says, what it looks like, where it is.
    metadata: dict[str, dg.MetadataValue[Any]] = {n: _value(v) for n, v in (extra or {}).items()}
    if pictures:
        shown = table.model_dump(mode="json", exclude=BY_THE_CLOCK)
        metadata["preview"] = _preview(store, vehicle, name, digest_of(shown)[:16], pictures)
    metadata |= {
        **_links(store, vehicle, link),
        "work": dg.MetadataValue.text(f"reused {reused}, computed {computed}"),
        **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
        "computed": dg.MetadataValue.int(computed),
        "reused": dg.MetadataValue.int(reused),
        "seconds_this_run": dg.MetadataValue.float(round(spent, 2)),
        "seconds_in_all": dg.MetadataValue.float(round(total, 2)),
        "dagster/uri": dg.MetadataValue.text(store.uri(keys.table(vehicle, name))),
        "dagster/partition_row_count": dg.MetadataValue.int(row_total),
    }
    if row_total and total:
        metadata["seconds_a_row"] = dg.MetadataValue.float(round(total / row_total, 2))
    if rows:
        metadata["photos"] = _table(rows)
    return dg.MaterializeResult(
        value=table,
        metadata=metadata,
        data_version=dg.DataVersion(data_version or short_digest(table)),
    )


def _value(fact: str | float) -> dg.MetadataValue[Any]:
    if isinstance(fact, str):
        return dg.MetadataValue.text(fact)
    return dg.MetadataValue.int(fact) if isinstance(fact, int) else dg.MetadataValue.float(fact)


def listing_numbers(listing: Listing) -> dict[str, int | float]:
    """Numbers of a listing that Dagster plots from vehicle to vehicle."""
    shown = [photo for photo in listing.photos if photo.withheld is None]
    numbers: dict[str, int | float] = {
        "photos_in_all": len(listing.photos),
        "in_studio": sum(photo.treatment == "studio" for photo in shown),
        "spin_frames": 0 if listing.spin is None else len(listing.spin.frames),
        "to_review": len(listing.reasons),
    }
    if listing.photos:
        numbers["quality_median"] = float(median(p.quality.score for p in listing.photos))
    return numbers


def _links(store: MediaStore, vehicle: keys.VehicleId, link: str) -> dict[str, Any]:
    """What a person may want to open: the gallery, the listing, the folder and the step's own.

    What shows plates has no link, only its place.
    """
    found = {
        name: dg.MetadataValue.url(address)
        for name, key in (
            ("gallery", keys.gallery(vehicle)),
            ("listing", keys.listing(vehicle)),
            ("folder", keys.processed_folder(vehicle)),
        )
        if (address := store.link(key))
    }
    address = store.link(link)
    if address in [value.value for value in found.values()]:
        return found
    own = dg.MetadataValue.url(address) if address else dg.MetadataValue.path(store.uri(link))
    return {**found, "files": own}


def short_digest(table: BaseModel) -> str:
    """What tells one version of a table from another."""
    return digest_of(table)[:16]


def _table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue[Any]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({c: "" if row.get(c) is None else row[c] for c in columns})
            for row in rows[:MOST_ROWS]
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(c) for c in columns]),
    )


def _preview(
    store: MediaStore, vehicle: keys.VehicleId, asset: str, digest: str, pictures: Sequence[str]
) -> dg.MetadataValue[Any]:
    """The contact sheet of the table of this digest: made once, and kept until another is."""
    from okla_assets.imaging.photo.contact_sheet import contact_sheet

    folder = keys.work_folder(vehicle, f"previews/{asset}")
    key = f"{folder}{digest}.jpg"
    if store.stat(key) is not None:
        sheet = store.get(key)
    else:
        step = -(-len(pictures) // MOST_PICTURES)
        shown = mapped(pictures[::step], lambda key: read_picture(store, key), "preview")
        sheet = contact_sheet(shown, SHEET_BYTES)
        for info in list(store.list(folder)):
            store.delete(info.key)
        store.put(key, sheet)
    return dg.MetadataValue.md(
        f"![contact sheet](data:image/jpeg;base64,{base64.b64encode(sheet).decode()})"
    )


def _named(photo: Photo) -> dict[str, Cell]:
    return {"photo": photo.number, "file": photo.name}


def photo_row(photo: Photo) -> dict[str, Cell]:
    return {
        **_named(photo),
        "size": f"{photo.width} x {photo.height}",
        "notes": ", ".join(photo.notes)
        + (f" repeats photo {photo.duplicate_of}" if photo.duplicate_of else ""),
        "sha256": photo.source_sha256,
        "etag": photo.source_etag,
    }


def refused_row(refused: RefusedFile) -> dict[str, Cell]:
    return {
        "photo": "",
        "file": refused.source_key.rsplit("/", 1)[-1],
        "size": "refused",
        "notes": f"{refused.reason}: {refused.detail}",
    }


def frame_row(frame: Frame) -> dict[str, Cell]:
    """A moment of the video, by its number; `file` is none of its own."""
    return {
        "photo": frame.number,
        "file": f"at {frame.time:.2f} s",
        "size": f"{frame.width} x {frame.height}",
        "notes": f"azimuth {frame.azimuth_deg:.0f}",
    }


def mask_row(photo: Photo, mask: Mask) -> dict[str, Cell]:
    return {
        **_named(photo),
        "status": mask.status,
        "turned": mask.turned or None,
        "agreement": mask.agreement,
        "vehicle box": None
        if mask.vehicle_box is None
        else " ".join(f"{v:.0f}" for v in mask.vehicle_box),
    }


def view_row(photo: Photo, view: Classification) -> dict[str, Cell]:
    return {
        **_named(photo),
        "category": f"{view.category} {view.category_confidence:.2f}",
        "angle": None if view.angle is None else f"{view.angle} {view.angle_confidence or 0:.2f}",
        "side": view.side,
        "quality": view.quality.score,
        "issues": ", ".join(view.quality.issues),
    }


def plate_row(photo: Photo, row: PhotoPlates) -> dict[str, Cell]:
    return {
        **_named(photo),
        "plates": len(row.plates),
        "on": ", ".join(f"{p.vehicle} {p.confidence:.2f}" for p in row.plates),
        "faces": len(row.faces),
    }


def composite_row(photo: Photo, composite: Composite) -> dict[str, Cell]:
    return {
        **_named(photo),
        "treatment": composite.treatment,
        "reason": composite.reason,
        "truth": None
        if composite.truth is None
        else " ".join(f"{value:g}" for value in asdict(composite.truth).values()),
        "finished": composite.withheld or _file(composite.processed_key),
    }


def close_up_row(photo: Photo, row: CloseUp) -> dict[str, Cell]:
    """A close-up's places, or why it has none."""
    return {
        **_named(photo),
        "on photos": " ".join(str(s.on_photo) for s in row.spots if s.on_photo is not None),
        "on frames": " ".join(str(s.on_frame) for s in row.spots if s.on_frame is not None),
        "by hand": "yes" if any(spot.by_hand for spot in row.spots) else "",
        "matches": max((spot.matches for spot in row.spots), default=None),
        "reason": row.reason,
    }


def listing_row(photo: ListingPhoto) -> dict[str, Cell]:
    return {
        "photo": photo.number,
        "category": photo.category,
        "angle": photo.angle,
        "side": photo.side,
        "treatment": photo.treatment,
        "quality": photo.quality.score,
        "finished": photo.withheld or _file(photo.processed_key),
        "made of": photo.source_key,
        "sha256": photo.source_sha256,
    }


def _file(key: str | None) -> str:
    return (key or "").rsplit("/", 1)[-1]

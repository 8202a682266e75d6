"""The fleet's two tables, kept up to date: only listings that changed since last time are read.

What is known of a listing is its ETag, which stands in the vehicles' table: the tables are their
own memory. Each names the listings that it was made of, so that two that do not belong
together, as a killed run or two at a time may leave them, are made anew.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import ValidationError

from okla_assets import keys
from okla_assets.operations.fleet.rows import (
    FleetPhoto,
    FleetRow,
    VehicleRow,
    dealer_of,
    is_of_dealer,
    photo_rows,
    read_listing,
    vehicle_row,
)
from okla_assets.operations.run_index import vehicle_named
from resources.errors import Unreadable
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Of the rows: those of another version are all read anew."""
READERS = 16
CHUNK = 1000
"""Listings whose rows are held as Python objects at a time."""
LOOKED_UP = 100
"""Listings whose ETags a thread looks up at a time."""
VEHICLES, PHOTOS = "vehicles", "photos"


@dataclass(frozen=True)
class FleetTables:
    """One row a vehicle and one a photo, by vehicle and number (pyarrow Tables).

    `read` listings were opened for them, `removed` vehicles have no listing any more.
    """

    vehicles: pa.Table
    photos: pa.Table
    read: int
    removed: int

    @property
    def digest(self) -> str:
        """What tells one state of all listings from another."""
        found = hashlib.sha256(VERSION.encode())
        for name in ("vehicle", "etag"):
            found.update("\n".join(self.vehicles[name].to_pylist()).encode())
        return found.hexdigest()[:16]

    def of(self, since: date | None = None, dealer: str | None = None) -> FleetTables:
        """Those of listings made on that day (UTC) or later, and of that dealer's vehicles."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ids, made = (self.vehicles[name].to_pylist() for name in ("vehicle", "generated_at"))
        chosen = pa.array(
            [
                (since is None or (at is not None and at.date() >= since))
                and (dealer is None or is_of_dealer(vehicle, dealer))
                for vehicle, at in zip(ids, made, strict=True)
            ],
            pa.bool_(),
        )
        vehicles = self.vehicles.filter(chosen)
        of_photos = self.photos["vehicle"].cast(pa.string())
        wanted = vehicles["vehicle"].cast(pa.string()).combine_chunks()
        photos = self.photos.filter(pc.is_in(of_photos, value_set=wanted))
        return replace(self, vehicles=vehicles, photos=photos)


def fleet_key(store: MediaStore, name: str) -> str:
    """Where a file of the report lies."""
    return keys.fleet_folder(processed_is_public=store.public_base() is not None) + name


def updated(store: MediaStore) -> FleetTables:
    """The tables as the listings are now; stores them where they changed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    before = stored(store)
    etags = listing_etags(store)
    known = dict(
        zip(
            before.vehicles["vehicle"].to_pylist(), before.vehicles["etag"].to_pylist(), strict=True
        )
    )
    changed = [vehicle for vehicle, etag in etags.items() if known.get(vehicle) != etag]
    removed = known.keys() - etags.keys()
    if not (changed or removed):
        return before
    fresh = list(_read(changed, etags, store))
    kept = pa.array(sorted(known.keys() - set(changed) - removed), pa.string())

    def merged(old: pa.Table, new: Sequence[pa.Table]) -> pa.Table:
        stays = old.filter(pc.is_in(old["vehicle"].cast(pa.string()), value_set=kept))
        return _canonical(pa.concat_tables([stays, *new]))

    tables = FleetTables(
        merged(before.vehicles, [vehicles for vehicles, _ in fresh]),
        merged(before.photos, [photos for _, photos in fresh]),
        len(changed),
        len(removed),
    )
    told = {"okla": VERSION, "listings": tables.digest}
    for name, table in ((PHOTOS, tables.photos), (VEHICLES, tables.vehicles)):
        _store(name, table.replace_schema_metadata(told), store)
    return tables


def stored(store: MediaStore) -> FleetTables:
    """The tables as they are stored; empty ones where there are none, where they are of another
    version, or do not belong together."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    none = FleetTables(
        arrow_schema(VehicleRow).empty_table(), arrow_schema(FleetPhoto).empty_table(), 0, 0
    )
    found: dict[str, pa.Table] = {}
    for name, row in ((VEHICLES, VehicleRow), (PHOTOS, FleetPhoto)):
        try:
            with store.as_file(fleet_key(store, f"{name}.parquet")) as path:
                found[name] = pq.read_table(path)
        except (FileNotFoundError, pa.ArrowInvalid):
            return none
        if found[name].schema != arrow_schema(row):
            return none
    tables = FleetTables(found[VEHICLES], found[PHOTOS], 0, 0)
    told = {b"okla": VERSION.encode(), b"listings": tables.digest.encode()}
    return tables if all(told.items() <= _told(table).items() for table in found.values()) else none


def listing_etags(store: MediaStore) -> dict[str, str]:
    """The ETag of each vehicle's listing.json, by vehicle in order; one look a vehicle."""
    names = [v for name in store.folders(keys.PROCESSED) if (v := vehicle_named(name)) is not None]

    def found(some: Sequence[keys.VehicleId]) -> list[tuple[str, str]]:
        infos = ((vehicle, store.stat(keys.listing(vehicle))) for vehicle in some)
        return [(vehicle, info.etag) for vehicle, info in infos if info is not None]

    # Many at a time: handing one to a thread takes longer than looking it up in a folder.
    parts = [names[start : start + LOOKED_UP] for start in range(0, len(names), LOOKED_UP)]
    with ThreadPoolExecutor(READERS) as readers:
        return dict(pair for pairs in readers.map(found, parts) for pair in pairs)


def arrow_schema(row: type[FleetRow]) -> pa.Schema:
    """The columns of a row in Arrow's types: texts as dictionaries, as most of them repeat."""
    import pyarrow as pa

    plain = {
        bool: pa.bool_(),
        int: pa.int32(),
        float: pa.float64(),
        str: pa.dictionary(pa.int32(), pa.string()),
        datetime: pa.timestamp("ms", tz="UTC"),
    }

    def kind(annotation: Any) -> Any:
        if get_origin(annotation) is Literal:
            return plain[str]
        inside = [part for part in get_args(annotation) if part is not type(None)]
        return kind(inside[0]) if inside else plain[annotation]

    columns = [(name, kind(field.annotation)) for name, field in row.model_fields.items()]
    return pa.schema(columns)


def _told(table: pa.Table) -> dict[bytes, bytes]:
    return dict(table.schema.metadata or {})


def _read(
    vehicles: Sequence[str], etags: dict[str, str], store: MediaStore
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Rows of these vehicles and of their photos, CHUNK vehicles at a time."""
    import pyarrow as pa

    def rows(vehicle: str) -> tuple[VehicleRow, list[FleetPhoto]] | None:
        try:
            listing = read_listing(store.get(keys.listing(keys.parse_vehicle_id(vehicle))))
        except FileNotFoundError:  # archived while we look
            return None
        except ValidationError:
            return _unreadable(vehicle, etags[vehicle]), []
        except Unreadable:  # may be readable by the next night
            return _unreadable(vehicle, ""), []
        row = vehicle_row(vehicle, etags[vehicle], listing)
        return row, list(photo_rows(vehicle, listing))

    with ThreadPoolExecutor(READERS) as readers:
        for start in range(0, len(vehicles), CHUNK):
            found = [r for r in readers.map(rows, vehicles[start : start + CHUNK]) if r is not None]
            yield (
                pa.Table.from_pylist([row.__dict__ for row, _ in found], arrow_schema(VehicleRow)),
                pa.Table.from_pylist(
                    [photo.__dict__ for _, photos in found for photo in photos],
                    arrow_schema(FleetPhoto),
                ),
            )


def _unreadable(vehicle: str, etag: str) -> VehicleRow:
    return VehicleRow(vehicle=vehicle, etag=etag, dealer=dealer_of(vehicle), status="unreadable")


def _canonical(table: pa.Table) -> pa.Table:
    """The rows in order, and each text once in the order of its first row: so that the same
    listings make the same bytes, in whichever nights they were read.

    A column at a time, as texts that are no dictionary take a lot of memory.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    def plain(name: str) -> Any:
        is_text = pa.types.is_dictionary(table.schema.field(name).type)
        return table[name].cast(pa.string()) if is_text else table[name]

    names = [name for name in ("vehicle", "number") if name in table.column_names]
    order = pc.sort_indices(
        pa.table({name: plain(name) for name in names}),
        sort_keys=[(name, "ascending") for name in names],
    )

    def sorted_column(field: pa.Field) -> Any:
        column = plain(field.name).take(order).combine_chunks()
        return column.dictionary_encode() if pa.types.is_dictionary(field.type) else column

    columns = [sorted_column(field) for field in table.schema]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _store(name: str, table: pa.Table, store: MediaStore) -> None:
    """The table as NAME.parquet and NAME.csv."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="okla-") as folder:
        parquet, csv = Path(folder, f"{name}.parquet"), Path(folder, f"{name}.csv")
        pq.write_table(table, parquet)
        with csv.open("wb") as file:
            write_csv(table, file)
        store.put_file(fleet_key(store, csv.name), csv, "text/csv; charset=utf-8")
        store.put_file(fleet_key(store, parquet.name), parquet, "application/vnd.apache.parquet")


def write_csv(table: pa.Table, file: Any) -> None:
    """The table as CSV with a line of names, into an open binary file."""
    import pyarrow as pa
    import pyarrow.csv as csv

    plain = pa.schema(
        [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    )
    with csv.CSVWriter(file, plain) as writer:
        for batch in table.to_batches(max_chunksize=100_000):
            writer.write_batch(batch.cast(plain))

"""The command that tells of all vehicles in figures."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import typer
from rich.table import Table

from okla_assets.cli.terminal import (
    INTERRUPTED,
    Out,
    Profile,
    cell,
    interrupted,
    print_json,
    print_table,
    say,
    warn,
)
from resources.errors import BadInput
from resources.storage.stores import existing_store

MOST_ROWS = 20
SHARES = frozenset({"share", "ready_share", "straight_through"})


def report(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only listings made on that day (UTC) or later."),
    ] = None,
    dealer: Annotated[
        str | None, typer.Option(help="Only vehicles whose id is DEALER-... or DEALER_...")
    ] = None,
    format: Annotated[
        Literal["table", "csv", "parquet", "json"],
        typer.Option(help="Figures as tables or json; rows as csv or parquet, for a file."),
    ] = "table",
    photos: Annotated[
        bool, typer.Option("--photos", help="With csv or parquet: a row a photo, not a vehicle.")
    ] = False,
    profile: Profile = "local",
    out: Out = "okla-media",
) -> None:
    """Tell of all vehicles: status, reasons, photos, retakes, seconds, money, what is stale.

    Brings the report in the media folder up to date first, as the nightly schedule does.
    """
    from okla_assets.definitions import build_definitions
    from okla_assets.operations.fleet import fleet_report as fleet
    from okla_assets.operations.fleet.tables import fleet_key, stored, write_csv
    from okla_assets.runtime.instance import open_instance
    from resources.progress import Unwatched

    rows = format in ("csv", "parquet")
    if photos and not rows:
        raise BadInput("--photos is for --format csv or parquet; figures are of all rows")
    if format == "parquet" and sys.stdout.isatty():
        raise BadInput("parquet is no text; send it to a file: --format parquet > fleet.parquet")
    store = existing_store(out)
    definitions = build_definitions(profile, store=store, progress=Unwatched())
    with open_instance(out) as instance:
        try:
            fleet.run_report(definitions, instance)
        except KeyboardInterrupt:
            warn(interrupted(fresh=False))
            raise typer.Exit(INTERRUPTED) from None
    tables = stored(store).of(None if since is None else since.date(), dealer)
    if not tables.vehicles.num_rows:
        warn("there is no such vehicle with a listing", "yellow")
    if rows:
        table = tables.photos if photos else tables.vehicles
        if format == "csv":
            write_csv(table, sys.stdout.buffer)
        else:
            import pyarrow.parquet as pq

            pq.write_table(table, sys.stdout.buffer)
        return
    figures = {
        name: fleet.records(found) for name, found in fleet.figures_of(tables, definitions).items()
    }
    if format == "json":
        print_json(figures)
        return
    for name, found in figures.items():
        if found:
            _print(name, found)
    say(f"page of all vehicles: {store.url(fleet_key(store, fleet.PAGE))}")


def _print(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    table = Table(*(str(column).replace("_", " ") for column in rows[0]), title=name)
    for row in rows[:MOST_ROWS]:
        table.add_row(*(cell(_figure(column, value)) for column, value in row.items()))
    print_table(table)
    if len(rows) > MOST_ROWS:
        say(f"and {len(rows) - MOST_ROWS} more: --format json", "dim")


def _figure(column: str, value: object) -> str:
    """A number as people read it."""
    if value is None:
        return ""
    if column in SHARES:
        return f"{100 * float(str(value)):.1f} %"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)

"""`okla keys`: who may use the doors."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from okla_assets.cli.terminal import Json, Out, cell, print_json, print_table, say, warn
from resources.storage.stores import existing_store, store_for

app = typer.Typer(no_args_is_help=True, help="The keys of those who may use the doors.")

Name = Annotated[str, typer.Argument(help="The caller: small letters, digits and '-'.")]
MOST_DAYS = 36_500
"""A key that is good for longer is one without an end."""


Days = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=MOST_DAYS,
        help="Days that the key is good; default: for ever.",
    ),
]


@app.command("create")
def create_key(
    name: Name,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What he may: jobs, vehicles, or admin, who sees all jobs and vehicles; may be "
            "repeated. Default: jobs and vehicles."
        ),
    ] = None,
    days: Days = None,
    requests_a_minute: Annotated[
        int, typer.Option(min=0, help="Requests a minute; 0: no limit.")
    ] = 500,
    pictures_a_month: Annotated[
        int, typer.Option(min=0, help="Pictures a month; 0: no limit.")
    ] = 0,
    out: Out = "okla-media",
) -> None:
    """Make a caller and print his key, which is stored hashed and is not shown again."""
    from okla_assets.doors.callers import records as caller_records

    key = caller_records.create(
        store_for(out),
        name,
        scope or ["jobs", "vehicles"],
        days=days,
        requests_a_minute=requests_a_minute or None,
        pictures_a_month=pictures_a_month or None,
    )
    _hand_out(key)


@app.command("renew")
def renew_key(
    name: Name,
    days: Days = None,
    overlap_hours: Annotated[
        float,
        typer.Option(
            min=0,
            max=24 * MOST_DAYS,
            help="Hours that the key before stays good.",
        ),
    ] = 24.0,
    out: Out = "okla-media",
) -> None:
    """Print a new key of a caller, whose jobs, vehicles and limits stay his."""
    from okla_assets.doors.callers import records as caller_records

    key = caller_records.renew(existing_store(out), name, overlap_hours=overlap_hours, days=days)
    _hand_out(key)


@app.command("list")
def list_keys(as_json: Json = False, out: Out = "okla-media") -> None:
    """Show all callers with keys: what they may and until when."""
    from okla_assets.doors.callers import records as caller_records

    now = datetime.now(UTC)
    rows = [
        {
            "name": record.name,
            "key": record.state(now),
            "scopes": ", ".join(record.scopes),
            "made": f"{record.created_at:%Y-%m-%d}",
            "expires": "" if record.expires_at is None else f"{record.expires_at:%Y-%m-%d %H:%M}",
            "requests a minute": _limit(record.requests_a_minute),
            "pictures a month": _limit(record.pictures_a_month),
        }
        for record in caller_records.every(existing_store(out))
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        say("there are no keys; `okla keys create NAME` makes one")
    else:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*map(cell, row.values()))
        print_table(table)


@app.command("revoke")
def revoke_key(name: Name, out: Out = "okla-media") -> None:
    """End a caller's keys; his jobs and vehicles stay."""
    from okla_assets.doors.callers import records as caller_records

    caller_records.revoke(existing_store(out), name)
    say(f"{name}: revoked; a running `okla serve` notices within 5 seconds")


def _hand_out(key: str) -> None:
    """The key alone on standard output, so that KEY=$(okla keys create NAME) works."""
    say(key)
    warn("keep this key: it cannot be shown again", "dim")
    warn("an `okla serve` that was started before there was any key has to be restarted", "dim")


def _limit(limit: int | None) -> str:
    return "" if limit is None else str(limit)

"""The commands of whoever runs the service: backfill, archive, status, trace.

As in `cli.py`, nothing heavy is imported before a command needs it.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from okla_assets import keys
from resources.storage.stores import store_for

if TYPE_CHECKING:
    import dagster as dg

    from okla_assets.operations.backfill import Due
    from okla_assets.operations.status import RunLine, Status, VehicleStatus
    from okla_assets.operations.trace import Made, Trace

out_console = Console()
err_console = Console(stderr=True)

SOME_FAILED, INTERRUPTED = 1, 130
STYLES = {"ready": "green", "made": "green", "needs_review": "yellow", "failed": "red"}

Out = Annotated[
    str,
    typer.Option("--out", envvar="OKLA_MEDIA_DIR", help="The media folder, or s3://BUCKET/PREFIX."),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", envvar="OKLA_PROFILE", help="Which set of models runs.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For a program.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to `okla`."""
    for command in (backfill, status, trace, archive):
        app.command()(command)


@contextmanager
def instance_of(place: str) -> "Iterator[dg.DagsterInstance]":
    """Dagster's records of a place."""
    from okla_assets.runtime.instance import open_instance

    with open_instance(place) as instance:
        yield instance


def backfill(
    vehicles: Annotated[
        list[str] | None, typer.Argument(help="These, due or not; default: those that are due.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be made.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many; default 200, or all with --all.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every vehicle that has uploads, due or not.")
    ] = False,
    out: Out = "okla-media",
    profile: ProfileOption = "local",
) -> None:
    """Make vehicles again that failed, lost files, or were made by older code or weights.

    What is still right is reused. The schedule `nightly_backfill` does the same every night.
    """
    from okla_assets.definitions import build_definitions, runner_of
    from okla_assets.operations import backfill
    from okla_assets.runtime.instance import close_dead_runs
    from resources.errors import BadInput
    from resources.profiles import weights_of
    from resources.progress import Unwatched
    from resources.weights import ensure, rich_progress
    from sensors.schedules import nightly_limit

    if vehicles and everything:
        raise BadInput("give vehicles or --all, not both")
    wanted = [keys.parse_vehicle_id(name) for name in vehicles or ()]
    weights = weights_of(profile)
    store = store_for(out)
    runner = runner_of(build_definitions(profile, store=store, progress=Unwatched()))
    with instance_of(out) as instance:
        if not dry_run:
            close_dead_runs(instance, only_processes=True)
        if wanted:
            found = backfill.named(instance, wanted)[:limit]
        elif everything:
            found = backfill.every(instance, store, limit)
        else:
            most = nightly_limit() if limit is None else limit
            tonight = datetime.now(UTC).date()
            found = backfill.due(instance, store, runner.fingerprint(), most, tonight)
        for vehicle in dict.fromkeys(wanted).keys() - {one.vehicle for one in found}:
            err_console.print(f"{vehicle}: left alone, a run of it waits or is in progress")
        if dry_run or not found:
            _print_due(found)
            return
        with rich_progress() as fetching:
            ensure(weights, fetching)
        bad = 0
        try:
            batch = backfill.refresh([one.vehicle for one in found], runner, store, instance)
            for position, one in enumerate(batch, 1):
                bad += one.fate == "failed"
                out_console.print(
                    f"{position}/{len(found)} {one.vehicle}: {one.fate}: {one.said} "
                    f"({one.seconds:.0f} s)",
                    style=STYLES.get(one.fate),
                    soft_wrap=True,
                    highlight=False,
                )
        except (KeyboardInterrupt, backfill.Interrupted):
            err_console.print("interrupted; the same command goes on where it stopped")
            raise typer.Exit(INTERRUPTED) from None
    if bad:
        raise typer.Exit(SOME_FAILED)


def archive(
    vehicles: Annotated[list[str], typer.Argument(help="Sold or deleted vehicles.")],
    processed: Annotated[
        bool, typer.Option("--processed", help="Also what buyers see: the listing and its files.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also what the seller uploaded; nothing brings it back.")
    ] = False,
    out: Out = "okla-media",
) -> None:
    """Retire vehicles: they leave Dagster's list and their working files go.

    Uploads stay, and the vehicle stays retired until a newer upload arrives.
    """
    from okla_assets.operations.archive import archive as retire
    from resources.errors import BadInput

    store, refused = store_for(out), 0
    with instance_of(out) as instance:
        for vehicle in [keys.parse_vehicle_id(name) for name in vehicles]:
            try:
                removed = retire(vehicle, store, instance, processed=processed, raw=raw)
            except BadInput as bad:
                refused += 1
                err_console.print(f"error: {bad}", style="red", soft_wrap=True, highlight=False)
            else:
                out_console.print(f"{vehicle}: archived, {removed} files removed", highlight=False)
    if refused:
        raise typer.Exit(SOME_FAILED)


def status(
    vehicle: Annotated[str | None, typer.Option(help="One vehicle alone.")] = None,
    as_json: JsonOption = False,
    out: Out = "okla-media",
) -> None:
    """Show what waits, what runs, what failed and why, and how the listings stand."""
    from okla_assets.operations import status as work
    from resources.errors import BadInput

    store = store_for(out)
    with instance_of(out) as instance:
        if vehicle is None:
            whole = work.overview(instance, store)
            _print_json(asdict(whole)) if as_json else _print_overview(whole)
            return
        one = work.of_vehicle(keys.parse_vehicle_id(vehicle), instance, store)
        if not one.known:
            raise BadInput(f"there is no vehicle {vehicle}")
        _print_json(asdict(one)) if as_json else _print_vehicle(one)


def trace(
    file: Annotated[
        str, typer.Argument(help="A finished file: its key, path or URL; or a vehicle's id.")
    ],
    as_json: JsonOption = False,
    out: Out = "okla-media",
) -> None:
    """Show of which uploads a finished file was made, by which code and weights, when and where."""
    from okla_assets.operations import trace

    with instance_of(out) as instance:
        found = trace.trace(file, store_for(out), instance)
    if as_json:
        _print_json(
            asdict(found)
            | {
                "pipeline": found.pipeline.model_dump(mode="json"),
                "options": found.options.model_dump(mode="json"),
            }
        )
    else:
        _print_trace(found)


def _print_json(facts: object) -> None:
    import json

    sys.stdout.write(json.dumps(facts, indent=2, default=str) + "\n")


def _say(line: str, style: str | None = None) -> None:
    out_console.print(line, style=style, soft_wrap=True, highlight=False, markup=False)


def _print_due(found: "Sequence[Due]") -> None:
    if not found:
        _say("nothing is due")
        return
    table = Table("vehicle", "why", "listing made")
    for one in found:
        table.add_row(one.vehicle, one.reason, _ago(one.made))
    out_console.print(table)
    _say(f"{len(found)} vehicles are due")


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} seconds ago"


def _print_overview(whole: "Status") -> None:
    _say(f"waiting: {whole.waiting} runs, {len(whole.new_uploads)} new folders under raw/")
    _print_runs(whole.waiting_runs)
    _say(f"running: {len(whole.running)}")
    _print_runs(whole.running)
    _say(f"failed: {len(whole.failed)}", "red" if whole.failed else None)
    _print_runs(whole.failed)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(whole.listings.items()))
    _say(f"vehicles: {counts or 'none'}")
    if whole.reasons:
        _say(f"to review, of {whole.reasons_of} looked at:", "yellow")
        for reason, count in whole.reasons.items():
            _say(f"  {count} x {reason}")


def _print_runs(lines: "Sequence[RunLine]") -> None:
    for line in lines:
        at = f" at {line.step}" if line.step else ""
        source = f", {line.source}" if line.source else ""
        says = f": {line.says}" if line.says else ""
        _say(f"  {line.vehicle}{at}, {_ago(line.since)}{source} (run {line.run_id[:8]}){says}")


def _print_vehicle(one: "VehicleStatus") -> None:
    _say(f"{one.vehicle}: last run {one.state}")
    if one.last_run is not None:
        _print_runs([one.last_run])
    if one.listing is None:
        _say("no listing")
        return
    _say(f"listing: {one.listing}, made {_ago(one.generated_at)}", STYLES.get(one.listing))
    for reason in one.reasons:
        _say(f"  {reason}")


def _print_trace(found: "Trace") -> None:
    _say(f"{found.key}: {found.what}")
    for source in found.sources:
        facts = [f"sha256 {source.sha256}" if source.sha256 else "", source.now]
        facts.insert(1, f"etag {source.etag}" if source.etag else "")
        _say(f"  made of {source.key}: {', '.join(filter(None, facts))}")
    _say(f"written {found.written:%Y-%m-%d %H:%M:%S} UTC" if found.written else "not dated")
    _print_made("by run", found.made)
    if found.confirmed != found.made:
        _print_made("last found right by run", found.confirmed)
    for step, version in found.steps.items():
        _say(f"  step {step}, version {version}")
    pipeline = found.pipeline
    _say(f"okla-media {pipeline.version}, profile {pipeline.profile}, pipeline {pipeline.code}")
    for model in pipeline.models:
        _say(f"  {model.role}: {model.name}, sha256 {model.sha256}, {model.licence}")
    options = found.options.model_dump(mode="json", exclude_defaults=True)
    _say(f"options: {options or 'all at their defaults'}")


def _print_made(how: str, made: "Made | None") -> None:
    if made is None:
        _say(f"{how}: Dagster has no record of it")
        return
    source = f", asked for by {made.source}" if made.source else ""
    _say(f"{how} {made.run_id} at {made.at:%Y-%m-%d %H:%M:%S} UTC, asset {made.asset}{source}")

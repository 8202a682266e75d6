"""The commands of whoever runs the service: worker, backfill, status, trace, archive."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from okla_assets import keys
from okla_assets.cli.terminal import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    NEEDS_A_PERSON,
    STYLES,
    Fresh,
    Json,
    Out,
    Profile,
    Yes,
    cell,
    confirmed,
    counted,
    fetch_weights,
    interrupted,
    print_error,
    print_json,
    print_table,
    say,
    warn,
)
from okla_assets.cli.up import ensure_weights
from resources.errors import BadInput, UnknownVehicle, Unreadable
from resources.storage.stores import existing_store

MOST_REASONS = 10
"""Frequent reasons that `okla status` names."""

if TYPE_CHECKING:
    from okla_assets.operations.backfill import Due
    from okla_assets.operations.status import Status, VehicleLine, VehicleStatus
    from okla_assets.operations.trace import Made, Trace


def worker(
    out: Out = "okla-media",
    profile: Profile = "local",
    queue: Annotated[str, typer.Option(help="Whose runs it takes.")] = "gpu",
    gpu: Annotated[int | None, typer.Option(min=0, help="The GPU it has; default: all.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name on this machine.")] = None,
) -> None:
    """Make vehicles for an `okla up` with the same OKLA_BROKER_URL, one by one, models loaded."""
    from okla_assets.runtime import worker as process
    from resources.profiles import check_profile

    check_profile(profile)
    process.check_setup(out)
    ensure_weights(profile)
    process.become_worker(out, profile, queue, gpu, name or f"{queue}{gpu or 0}")


def backfill(
    vehicles: Annotated[
        list[str] | None,
        typer.Argument(help="These, due or not; default: those that are due."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be made.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many; default 200, or all with --all.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every vehicle that has uploads, due or not.")
    ] = False,
    fresh: Fresh = False,
    as_json: Json = False,
    out: Out = "okla-media",
    profile: Profile = "local",
) -> None:
    """Make vehicles again that failed, lost files, or were made by older code or weights.

    What is still valid is reused. The schedule `nightly_backfill` does the same every night.
    """
    from okla_assets.definitions import build_definitions, runner_of
    from okla_assets.operations import backfill
    from okla_assets.operations.run_index import check_known
    from okla_assets.runtime.instance import close_dead_runs, open_instance
    from resources.profiles import weights_of
    from resources.progress import Unwatched
    from resources.settings import settings

    if vehicles and everything:
        raise BadInput("give vehicles or --all, not both")
    wanted = [keys.parse_vehicle_id(name) for name in vehicles or ()]
    weights = weights_of(profile)
    store = existing_store(out)
    runner = runner_of(build_definitions(profile, store=store, progress=Unwatched()))
    with open_instance(out) as instance:
        for vehicle in wanted:
            check_known(vehicle, store, instance)
        if not dry_run:
            close_dead_runs(instance, only_processes=True)
        left = []
        if wanted:
            found = backfill.named(instance, wanted)
            found, left = found[:limit], found[limit or len(found) :]
        elif everything:
            found = backfill.every(instance, store, limit)
        else:
            most = settings().backfill_limit if limit is None else limit
            tonight = datetime.now(UTC).date()
            found = backfill.due(instance, store, runner.fingerprint(), most, tonight)
        for due in left:
            warn(f"{due.vehicle}: left out, as --limit is {limit}")
        for vehicle in dict.fromkeys(wanted).keys() - {one.vehicle for one in [*found, *left]}:
            warn(f"{vehicle}: left alone, a run of it waits or is in progress")
        if dry_run or not found:
            print_json([asdict(one) for one in found]) if as_json else _print_due(found)
            return
        fetch_weights(weights)
        failed, done = 0, []
        try:
            batch = backfill.refresh(
                [one.vehicle for one in found], runner, store, instance, fresh=fresh
            )
            for position, one in enumerate(batch, 1):
                failed += one.outcome == "failed"
                done.append(asdict(one))
                (warn if as_json else say)(
                    f"{position}/{len(found)} {one.vehicle}: {one.outcome}: {one.detail} "
                    f"({one.seconds:.0f} s)",
                    STYLES.get(one.outcome),
                )
        except (KeyboardInterrupt, backfill.Interrupted):
            warn(interrupted(fresh))
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(done)
    if failed:
        raise typer.Exit(FAILED)


def archive(
    vehicles: Annotated[list[str], typer.Argument(help="Sold or deleted vehicles.")],
    processed: Annotated[
        bool, typer.Option("--processed", help="Also what buyers see: the listing and its files.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also what the seller uploaded; nothing brings it back.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the files that would go.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
    out: Out = "okla-media",
) -> None:
    """Retire vehicles: they leave Dagster's list and their working files go.

    Uploads stay, and the vehicle stays retired until a newer upload arrives. --raw asks before it
    deletes uploads. The name of a partition that is no vehicle's id is removed as well.
    """
    from okla_assets.operations import archive as retiring
    from okla_assets.runtime.instance import open_instance

    store, code = existing_store(out), 0
    done: list[dict[str, object]] = []
    if raw and not dry_run:
        confirmed(f"Delete the uploads of {keys.in_short(vehicles)} for ever?", yes)
    with open_instance(out) as instance:
        for name in vehicles:
            try:
                if dry_run:
                    files = retiring.would_remove(
                        name, store, instance, processed=processed, raw=raw
                    )
                    done.append({"vehicle": name, "files": files})
                else:
                    count = retiring.retire(name, store, instance, processed=processed, raw=raw)
                    done.append({"vehicle": name, "removed": count})
            except (BadInput, keys.BadVehicleId, Unreadable) as bad:
                unknown = isinstance(bad, (UnknownVehicle, keys.BadVehicleId))
                code = max(code, BAD_INPUT if unknown else FAILED)
                print_error(bad)
            else:
                if not as_json:
                    _print_archived(done[-1])
    if as_json:
        print_json(done)
    if code:
        raise typer.Exit(code)


def status(
    vehicle: Annotated[str | None, typer.Option(help="One vehicle alone.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only vehicles in this state, such as failed; may be repeated."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Vehicles of a state that are listed; 0 for all.")
    ] = 20,
    as_json: Json = False,
    out: Out = "okla-media",
) -> None:
    """Show which vehicles need a person and why, what runs and waits, and how all others stand.

    Ends with 3 where a vehicle is failed, needs review or is left alone, else with 0. --json holds
    all vehicles whatever the limit is.
    """
    from okla_assets.operations import status as work
    from okla_assets.runtime.instance import open_instance

    if vehicle is not None and state:
        raise BadInput("give --vehicle or --state, not both")
    if wrong := sorted(set(state or ()) - set(work.STATES)):
        raise BadInput(f"there is no state {wrong[0]!r}; the states are {', '.join(work.STATES)}")
    store = existing_store(out)
    with open_instance(out) as instance:
        if vehicle is None:
            whole = work.overview(instance, store)
            shown = [line for line in whole.vehicles if not state or line.state in state]
            if as_json:
                print_json(asdict(whole) | {"vehicles": [asdict(line) for line in shown]})
            else:
                _print_overview(whole, shown, limit, bool(state))
            needed = whole.needs_a_person
        else:
            one = work.of_vehicle(keys.parse_vehicle_id(vehicle), instance, store)
            if one is None:
                raise UnknownVehicle(vehicle)
            print_json(asdict(one)) if as_json else _print_vehicle(one)
            needed = one.line.state in work.NEED_A_PERSON
    if needed:
        raise typer.Exit(NEEDS_A_PERSON)


def trace(
    file: Annotated[
        str, typer.Argument(help="A finished file: its key, path or URL; or a vehicle's id.")
    ],
    as_json: Json = False,
    out: Out = "okla-media",
) -> None:
    """Show of which uploads a finished file was made, by which code and weights, when and where."""
    from okla_assets.operations import trace
    from okla_assets.runtime.instance import open_instance

    store = existing_store(out)
    with open_instance(out) as instance:
        found = trace.trace(file, store, instance)
    if as_json:
        print_json(
            asdict(found)
            | {
                "pipeline": found.pipeline.model_dump(mode="json"),
                "options": found.options.model_dump(mode="json"),
            }
        )
    else:
        _print_trace(found)


def _print_archived(one: "Mapping[str, object]") -> None:
    files = one.get("files")
    if isinstance(files, list):
        say(f"{one['vehicle']}: would be archived, {counted(len(files), 'file')} removed")
        for key in files:
            say(f"  {key}")
    elif isinstance(removed := one["removed"], int):
        say(f"{one['vehicle']}: archived, {counted(removed, 'file')} removed")


def _print_due(found: "Sequence[Due]") -> None:
    if not found:
        say("nothing is due")
        return
    table = Table("vehicle", "why", "listing made")
    for one in found:
        table.add_row(one.vehicle, cell(one.reason), _ago(one.made))
    print_table(table)
    say(f"{counted(len(found), 'vehicle')} {'is' if len(found) == 1 else 'are'} due")


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} seconds ago"


def _print_overview(
    whole: "Status", shown: "Sequence[VehicleLine]", limit: int, chosen: bool
) -> None:
    """The counts, then the vehicles of each state; ready and archived ones only where asked for."""
    counts = ", ".join(f"{count} {name}" for name, count in whole.counts.items())
    say(f"vehicles: {counts or 'none'}")
    if whole.not_looked_at:
        more = counted(whole.not_looked_at, "more folder")
        warn(f"{more} under {keys.RAW}, new or archived, not looked at: okla status --vehicle NAME")
    for line in whole.jobs:
        say(f"{line.state}: {_vehicle_line(line)}")
    for state, lines in groupby(shown, lambda line: line.state):
        if state in ("ready", "archived") and not chosen:
            continue
        listed = list(lines)
        say(f"{state}: {len(listed)}", STYLES.get(state))
        for line in listed[: limit or None]:
            say(f"  {_vehicle_line(line)}")
        if rest := len(listed[limit:]) if limit else 0:
            say(f"  and {rest} more: okla status --state {state} --limit 0", "dim")
    if whole.reasons_of > 1 and not chosen:
        say(f"most frequent, of {whole.reasons_of} listings that need review:", "yellow")
        for reason, count in list(whole.reasons.items())[:MOST_REASONS]:
            say(f"  {count} x {reason}")


def _vehicle_line(line: "VehicleLine") -> str:
    at = f" at {line.step}" if line.step else ""
    facts = [_ago(line.since)] if line.since else []
    facts += [f"asked for by {line.source}"] if line.source else []
    facts += [f"run {line.run_id[:8]}"] if line.run_id else []
    told = f": {keys.in_short(line.reasons)}" if line.reasons else ""
    about = f" ({', '.join(facts)})" if facts else ""
    return f"{line.vehicle}{at}{about}{told}"


def _print_vehicle(one: "VehicleStatus") -> None:
    line = one.line
    say(f"{line.vehicle}: {line.state}", STYLES.get(line.state))
    for reason in line.reasons:
        say(f"  {reason}")
    if line.run_id:
        say(f"last run: {one.last_run}, {_vehicle_line(replace(line, reasons=()))}")
    else:
        say(f"last run: {one.last_run}")
    if one.listing is None:
        say("no listing")
        return
    say(f"listing: {one.listing}, made {_ago(one.generated_at)}", STYLES.get(one.listing))
    say(f"gallery: {one.gallery}")


def _print_trace(found: "Trace") -> None:
    say(f"{found.key}: {found.what}")
    for source in found.sources:
        digests = [("sha256", source.sha256), ("etag", source.etag)]
        facts = [f"{name} {digest}" for name, digest in digests if digest]
        say(f"  made of {source.key}: {', '.join([*facts, source.now])}")
    say(f"written {found.written:%Y-%m-%d %H:%M:%S} UTC" if found.written else "not dated")
    _print_made("by run", found.made)
    if found.confirmed != found.made:
        _print_made("last confirmed by run", found.confirmed)
    for step, version in found.steps.items():
        say(f"  step {step}, version {version}")
    pipeline = found.pipeline
    say(f"okla-media {pipeline.version}, profile {pipeline.profile}, pipeline {pipeline.code}")
    for model in pipeline.models:
        say(f"  {model.role}: {model.name}, sha256 {model.sha256}, {model.licence}")
    options = found.options.model_dump(mode="json", exclude_defaults=True)
    say(f"options: {options or 'all at their defaults'}")


def _print_made(how: str, made: "Made | None") -> None:
    if made is None:
        say(f"{how}: Dagster has no record of it")
        return
    source = f", asked for by {made.source}" if made.source else ""
    say(f"{how} {made.run_id} at {made.at:%Y-%m-%d %H:%M:%S} UTC, asset {made.asset}{source}")

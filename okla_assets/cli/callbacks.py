"""`okla callbacks`: the callbacks that nobody has taken yet, and sending them again."""

from typing import Annotated

import typer
from rich.table import Table

from okla_assets.cli.terminal import Json, Out, cell, print_json, print_table, say, stop
from resources.storage.stores import existing_store

app = typer.Typer(no_args_is_help=True, help="The callbacks that nobody has taken yet.")


@app.command("list")
def list_callbacks(out: Out = "okla-media", as_json: Json = False) -> None:
    """Show callbacks that wait for their next attempt, and dead ones, which were given up."""
    from okla_assets.doors.telling import outbox

    store = existing_store(out)
    found = [
        *(("waiting", entry) for entry in outbox.entries(store, "http")),
        *(("dead", entry) for entry in outbox.entries(store, "dead")),
    ]
    if as_json:
        print_json([{"state": state} | entry.model_dump(mode="json") for state, entry in found])
        return
    if not found:
        say("every callback was taken")
        return
    table = Table("job", "state", "host", "attempts", "last answer", "since", "next attempt")
    for state, entry in found:
        due = "" if state == "dead" else f"{entry.due:%Y-%m-%d %H:%M:%S}"
        facts = (state, entry.host, entry.attempts, entry.said, f"{entry.since:%Y-%m-%d %H:%M}")
        table.add_row(*map(cell, (entry.job, *facts, due)))
    print_table(table)


@app.command()
def retry(
    jobs: Annotated[
        list[str] | None, typer.Argument(help="Jobs whose callbacks are sent again.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    out: Out = "okla-media",
) -> None:
    """Have callbacks sent again by `okla serve`, whatever came of them before."""
    from okla_assets.doors.jobs.record import Jobs
    from okla_assets.doors.telling import outbox

    if not jobs and not dead:
        stop("name the jobs whose callbacks are to be sent again, or give --dead for all dead ones")
    every = Jobs(existing_store(out))
    named = list(jobs or ())
    if dead:
        named += [entry.job for entry in outbox.entries(every.store, "dead")]
    for job in dict.fromkeys(named):
        outbox.send_again(every, job)
        say(f"{job} is sent again")
    if not named:
        say("no callback was given up")

"""What the commands share: the consoles, exit codes, common options, sentences, bars and JSON.

Nothing heavy is imported before a command needs it, here and in all of `cli`.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from resources.progress import Progress

out_console = Console(emoji=False)
err_console = Console(stderr=True, emoji=False)

FAILED, BAD_INPUT, NEEDS_A_PERSON, INTERRUPTED = 1, 2, 3, 130
"""Exit codes; NEEDS_A_PERSON is of `okla status`."""
WIDEST_TABLE = 1000
"""Characters of a line where the output goes to a file or a program."""

STYLES = {
    "ready": "green",
    "made": "green",
    "needs_review": "yellow",
    "left_alone": "yellow",
    "failed": "red",
}

Out = Annotated[
    str,
    typer.Option(
        "--out",
        envvar="OKLA_MEDIA_DIR",
        help="The media folder (raw/, processed/, work/ and Dagster's records), or s3://BUCKET/PREFIX.",
    ),
]
Profile = Annotated[
    str, typer.Option("--profile", envvar="OKLA_PROFILE", help="Which set of models runs.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="JSON for a program, instead of tables.")]

Fresh = Annotated[bool, typer.Option("--fresh", help="Compute everything anew, reuse nothing.")]


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: object) -> str:
    """Text of which a terminal shows all: a file's name may hold line breaks, escape sequences,
    marks that turn the writing around, and bytes that are no text."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], str(text))


def cell(text: object) -> Text:
    """The same in a table, where rich would take [x] for markup."""
    return Text(shown(text))


def counted(number: int, thing: str) -> str:
    """How many of a thing there are: "1 file", "1,200 files"."""
    return f"{number:,} {thing}" + "s" * (number != 1)


def say(line: object, style: str | None = None) -> None:
    """Prints a line as it is: neither wrapped nor coloured by its words."""
    out_console.print(shown(line), style=style, soft_wrap=True, highlight=False, markup=False)


def log_doors(verbose: bool) -> None:
    """Has the log of the HTTP door written to stderr, with a line for each request if `verbose`."""
    logging.basicConfig(
        format="%(asctime)s - %(levelname)s - %(message)s",
        level=logging.WARNING,
    )
    logging.getLogger("okla").setLevel(logging.INFO if verbose else logging.WARNING)


def print_table(table: Table) -> None:
    """Prints a table of which no word is cut off, for another command may need it.

    Its first column names things and stays on one line; others are folded on a narrow terminal,
    and written out where no person looks.
    """
    for position, column in enumerate(table.columns):
        column.overflow = "fold"
        column.no_wrap = position == 0
    if out_console.is_terminal:
        out_console.print(table)
    else:
        Console(file=sys.stdout, width=WIDEST_TABLE, emoji=False).print(table)


def warn(line: object, style: str | None = None) -> None:
    """The same on standard error."""
    err_console.print(shown(line), style=style, soft_wrap=True, highlight=False, markup=False)


def print_error(error: object) -> None:
    """An error's sentence; what a program said may be several lines."""
    for line in f"error: {error}".split("\n"):
        warn(line, "red")


def confirmed(question: str, yes: bool) -> None:
    """Ends the command where a person does not agree, or nobody is there to be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        stop(f"{question} Nobody can be asked here: give --yes")
    if not typer.confirm(question):
        stop("nothing was done", FAILED)


def stop(message: str, code: int = BAD_INPUT) -> NoReturn:
    print_error(message)
    raise typer.Exit(code)


def interrupted(fresh: bool) -> str:
    command = "the command without --fresh" if fresh else "the same command"
    return f"interrupted; {command} goes on where it stopped"


def print_json(facts: object) -> None:
    sys.stdout.write(json.dumps(facts, indent=2, default=str) + "\n")


def fetch_weights(names: Sequence[str]) -> None:
    """Downloads those of these weights that are not here, with a bar."""
    from resources.weights import ensure, rich_progress

    with rich_progress() as bars:
        ensure(names, bars)


@contextmanager
def step_bars() -> "Iterator[Progress]":
    """A bar a step, with the time left (taken, when it has ended) and the photo it is at."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<16}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[what]}", style="dim", markup=False),
    )
    with Progress(*columns, console=err_console) as bars:

        class Bars:
            task: TaskID

            def step(self, title: str, total: int) -> None:
                if total:  # else there is nothing to wait for
                    self.task = bars.add_task(title, total=total, what="")

            def advance(self, what: str) -> None:
                bars.update(self.task, advance=1, what=shown(what))

        yield Bars()


@contextmanager
def share_bars() -> Iterator[Callable[[str, float], None]]:
    """A bar a step, filled by shares of 1."""
    from rich.progress import Progress

    with Progress(console=err_console) as bars:
        tasks = {}

        def report(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=1.0)
            bars.update(tasks[step], completed=share)

        yield report

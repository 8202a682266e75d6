"""The `okla` command: where its commands come together, and which error ends with which exit code.

Nothing heavy is imported before a command needs it: `okla --help` answers at once.
"""

import errno
import io
import os
import sys
from typing import Annotated

import typer

from okla_assets import keys
from okla_assets.cli import (
    bench,
    callbacks,
    consume,
    export,
    keys as caller_keys,
    models,
    operate,
    process,
    report,
    scenes,
    send,
    serve,
    up,
)
from okla_assets.cli.terminal import BAD_INPUT, FAILED, print_error, print_json
from resources.errors import BadInput, BrokenSetup, system_sentence


def schema(
    openapi: Annotated[
        bool, typer.Option("--openapi", help="The API of `okla serve` instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of listing.json."""
    if openapi:
        from okla_assets.doors.server import openapi_document

        print_json(openapi_document())
    else:
        from okla_assets.contract import listing_schema

        print_json(listing_schema())


def print_version(wanted: bool) -> None:
    """Ends the command with the version, where that is wanted."""
    if wanted:
        from importlib.metadata import version

        print(f"okla-media {version('okla-media')}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Phone photos of a car become a finished studio listing.",
)


@app.callback()
def every_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and end.", is_eager=True, callback=print_version
        ),
    ] = False,
) -> None:
    """Phone photos of a car become a finished studio listing."""
    from resources.settings import settings

    settings()  # all that cannot be used are named before anything is done


for command in (
    process.process,
    process.demo,
    bench.bench,
    up.up,
    serve.serve,
    operate.worker,
    consume.consume,
    send.send,
    models.train_views,
    models.calibrate_clip,
    scenes.scenes,
    schema,
    operate.backfill,
    operate.status,
    operate.trace,
    report.report,
    export.export,
    operate.archive,
):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(callbacks.app, name="callbacks")
app.add_typer(caller_keys.app, name="keys")


def main() -> None:
    """Runs the command line: an error of a person or of the system is a sentence, no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may hold what the terminal's encoding has not.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except (BadInput, keys.BadVehicleId) as error:
        print_error(error)
        sys.exit(BAD_INPUT)
    except BrokenSetup as error:
        print_error(error)
        sys.exit(FAILED)
    except OSError as error:
        if error.errno != errno.EPIPE:  # `okla status | head` is no error
            print_error(system_sentence(error))
        _forget_output()
        sys.exit(FAILED)


def _forget_output() -> None:
    """What could not be written is not tried once more when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

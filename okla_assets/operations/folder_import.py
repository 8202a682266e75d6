"""A folder of one car's photos becomes uploads in the media store, and no other car's join them."""

import filecmp
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from okla_assets import keys
from okla_assets.folder_names import is_of_the_same_car
from okla_assets.imaging.photo.signatures import HEAD_BYTES, MediaKind, media_kind
from okla_assets.steps.uploads import (
    SourceFolder,
    Sources,
    ignored_files,
    kind_of,
    read_sources,
    unreadable,
    uploads_of,
)
from okla_assets.tables import IgnoredFiles, IgnoredRule, RefusedFile
from resources.errors import BadInput, Unreadable
from resources.storage.folders import DEEPEST, entries_of, identity, is_folder
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.odd_entries import may_not, odd_of

ONE_CAR = "give it an id of its own by --vehicle-id, or --add where all are of one car"


@dataclass(frozen=True)
class Imported:
    """What an import did: keys of the folder's uploads, and what of the folder is none."""

    uploaded: tuple[str, ...]
    ignored: tuple[IgnoredFiles, ...] = ()
    refused: tuple[RefusedFile, ...] = ()
    earlier: tuple[str, ...] = ()
    """Keys of files of an earlier import that are no longer in the folder; they stay."""


def import_folder(
    folder: Path,
    vehicle: keys.VehicleId,
    store: MediaStore,
    *,
    add: bool = False,
    origin: str | None = None,
    first_only: bool = False,
) -> Imported:
    """Copies photos and videos of a folder, and of those in it, to raw/; what is there is skipped.

    `first_only` copies the first photo alone, to be looked at before the others.

    Raises BadInput where the folder holds neither, and, unless `add`, where it may be of another
    car than the files that the vehicle has, or of several cars. Nothing is copied then. `origin` is
    what the folder is remembered by, its path where not given.
    """
    if isinstance(store, LocalMediaStore):
        own_folder = (store.folder / keys.raw_folder(vehicle)).resolve()
        if folder.resolve().is_relative_to(own_folder):
            found = uploads_of(vehicle, store)
            return Imported(tuple(info.key for info in (*found.photos, *found.videos)))
    survey = _surveyed(folder, store)
    if not survey.media:
        raise BadInput(_nothing_in(folder, survey))
    if not add and (cars := cars_in([tuple(name.split("/")) for name in survey.media])):
        raise BadInput(
            f"{folder} holds folders that may be of several cars: {keys.in_short(cars)}; process "
            "each by itself, or give --add where all are of one car"
        )
    origin = origin or keys.nfc(_usable(str(folder.resolve())))
    sources = read_sources(vehicle, store)
    records = keys.records(vehicle)
    existing = [
        info.key
        for info in store.list(keys.raw_folder(vehicle))
        if info.key not in records and not keys.ignored_by_name(info.key)
    ]
    source, others = _place(folder, origin, vehicle, store, survey, sources, existing, add)
    uploaded = _keys(folder, vehicle, survey, source.place, existing)
    if first_only:
        photos = [key for key in uploaded if key.startswith(keys.raw_photos(vehicle))]
        uploaded = {key: uploaded[key] for key in photos[:1]}
    for key, path in uploaded.items():
        if not _same(path, store, key):
            store.put_file(key, path)
    refused = tuple(
        file.model_copy(update={"source_key": keys.raw_photos(vehicle) + source.place + name})
        for name, file in survey.refused.items()
    )
    ignored = ignored_files(survey.ignored)
    source = source.model_copy(update={"ignored": ignored, "refused": refused})
    in_order = sorted((*others, source), key=lambda one: one.path)
    _remember(vehicle, store, Sources(folders=tuple(in_order)))
    earlier = (key for key in existing if key not in uploaded and _is_of(key, source, others))
    return Imported(tuple(uploaded), ignored, refused, tuple(sorted(earlier)))


# --- what the folder holds ------------------------------------------------------------------------


@dataclass
class _Survey:
    """Files by their path in the folder, made fit for a key."""

    media: dict[str, tuple[Path, MediaKind]] = field(default_factory=dict)
    twins: list[tuple[str, Path]] = field(default_factory=list)
    ignored: dict[IgnoredRule, list[str]] = field(default_factory=dict)
    refused: dict[str, RefusedFile] = field(default_factory=dict)


def _surveyed(folder: Path, store: MediaStore) -> _Survey:
    """All that lies in the folder; what cannot be read is named, and the rest goes on."""
    survey = _Survey()
    skipped = store.folder.resolve() if isinstance(store, LocalMediaStore) else None
    try:
        at = folder.resolve()
        above = tuple(identity(place) for place in (at, *at.parents))
        _look_into(folder, "", survey, skipped, above)
    except OSError as error:
        raise BadInput(f"{folder} {may_not(error)}") from None
    return survey


def _look_into(
    folder: Path,
    base: str,
    survey: _Survey,
    skipped: Path | None,
    above: tuple[tuple[int, int], ...],
) -> None:
    for entry in sorted(entries_of(folder), key=lambda e: keys.natural_order(e.name)):
        name, path = base + _usable(entry.name), folder / entry.name
        rule = keys.ignored_by_name(f"{name}/" if is_folder(entry) else name)
        if rule is not None:
            survey.ignored.setdefault(rule, []).append(name)
            continue
        try:
            if not is_folder(entry):
                _look_at(path, name, survey)
            elif (itself := identity(path)) in above:
                detail = f"{name} is a link to a folder that it lies in"
                survey.refused[name] = RefusedFile(
                    source_key=name, reason="not_a_file", detail=detail
                )
            elif name.count("/") >= DEEPEST:
                detail = f"{name} lies more than {DEEPEST} folders deep; move it up"
                survey.refused[name] = RefusedFile(
                    source_key=name, reason="unreadable", detail=detail
                )
            elif path.resolve() != skipped and not _is_media_folder(path):
                _look_into(path, f"{name}/", survey, skipped, (*above, itself))
        except OSError as error:
            odd = odd_of(name, error)
            survey.refused[name] = (
                RefusedFile(source_key=name, reason="not_a_file", detail=odd.detail)
                if odd.reason == "not_a_file"
                else unreadable(name, error)
            )


def _look_at(path: Path, name: str, survey: _Survey) -> None:
    """Raises OSError where the file cannot be read."""
    if not path.exists() or not path.is_file():
        what = "a link that leads nowhere or to itself" if path.is_symlink() else "no ordinary file"
        survey.refused[name] = RefusedFile(
            source_key=name, reason="not_a_file", detail=f"{name} is {what}"
        )
        return
    with path.open("rb") as file:
        kind = kind_of(media_kind(file.read(HEAD_BYTES)) or "", name)
    if kind != "not_media":
        if name in survey.media:  # two names of which a key can hold only what is alike
            survey.twins.append((name, path))
        survey.media.setdefault(name, (path, kind))
    elif name != "options.json":
        survey.ignored.setdefault("not_media", []).append(name)


def _is_media_folder(folder: Path) -> bool:
    """Whether a folder is one that okla writes to, which holds copies of what it was given."""
    return (folder / ".dagster").is_dir() or (
        (folder / "raw").is_dir() and (folder / "processed").is_dir()
    )


def _usable(name: str) -> str:
    """Keys have no backslash, and JSON no names that are not UTF-8 (from old zip archives)."""
    return re.sub(r"[\\\ud800-\udfff]", "_", name)


def _nothing_in(folder: Path, survey: _Survey) -> str:
    said = f"{folder} holds no photo"
    if survey.refused:
        names = list(survey.refused)
        return (
            f"{said} that can be read: {survey.refused[names[0]].detail} ({keys.in_short(names)})"
        )
    if others := [name for names in survey.ignored.values() for name in names]:
        said += f", but {keys.in_short(others)}"
    known = "JPEG, PNG, WebP, HEIC, AVIF or TIFF"
    return f"{said}; photos are files in {known}, in the folder or in folders in it"


def cars_in(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Names of folders that may each be a car's; none where all files may be of one car.

    `paths` are those of media files in a folder, by parts. Two folders or more with names of their
    own, and no picture beside them, are taken for cars; so are any two that hold a folder such as
    photos/ in turn.
    """
    below: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in paths:
        if rest:
            below.setdefault(first, []).append(tuple(rest))
    named = [name for name in below if not is_of_the_same_car(name)]
    beside = any(len(path) == 1 for path in paths) or len(named) < len(below)
    nested = [n for n in named if any(len(p) > 1 and is_of_the_same_car(p[0]) for p in below[n])]
    if len(nested) > 1 or (len(named) > 1 and not beside):
        return named
    return next((cars for paths in below.values() if (cars := cars_in(paths))), [])


# --- where it goes --------------------------------------------------------------------------------


def _place(
    folder: Path,
    origin: str,
    vehicle: keys.VehicleId,
    store: MediaStore,
    survey: _Survey,
    sources: Sources,
    existing: Sequence[str],
    add: bool,
) -> tuple[SourceFolder, tuple[SourceFolder, ...]]:
    """The folder's record, with where below photos/ its files go, and the records of others.

    Raises BadInput where its files may be of another car than those that the vehicle has.
    """
    known = next((one for one in sources.folders if one.path == origin), None)
    others = tuple(one for one in sources.folders if one.path != origin)
    if not existing:
        return SourceFolder(path=origin), ()
    if known is not None:
        mine = {key for key in existing if _is_of(key, known, others)}
        uploads = _keys(folder, vehicle, survey, known.place, existing)
        if add or not mine or any(_same(uploads[key], store, key) for key in mine & uploads.keys()):
            return known, others
        raise BadInput(
            f"none of the files that {folder} had when {vehicle} was made is in it now: it may be "
            f"another car; {ONE_CAR}"
        )
    uploads = _keys(folder, vehicle, survey, "", existing)
    if all(key in uploads and _same(uploads[key], store, key) for key in existing):
        return SourceFolder(path=origin), ()  # the folder was moved, or its files copied by hand
    if not add:
        paths = [one.path for one in others if one.path]
        has = f"the files of {keys.in_short(paths)}" if paths else "files that are not in it"
        raise BadInput(f"{folder} may be of another car: {vehicle} has {has}; {ONE_CAR}")
    digest = hashlib.sha256(origin.encode()).hexdigest()[:8]
    place = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', folder.resolve().name).strip('-')}-{digest}/"
    return SourceFolder(path=origin, place=place), others or (SourceFolder(path=""),)


def _is_of(key: str, source: SourceFolder, others: Iterable[SourceFolder]) -> bool:
    """Whether an upload came from a folder, as far as its key tells."""
    name = keys.upload_name(key)
    return name.startswith(source.place) and not any(
        one.place and name.startswith(one.place) for one in others
    )


def _keys(
    folder: Path,
    vehicle: keys.VehicleId,
    survey: _Survey,
    place: str,
    existing: Sequence[str],
) -> Mapping[str, Path]:
    """The folder's files by key. Raises BadInput for two that would have one.

    A file that came from a Mac before, or went there since, keeps the key that it has.
    """
    uploaded: dict[str, Path] = {}
    stored = {keys.nfc(key): key for key in existing} | {key: key for key in existing}
    found = [(name, path) for name, (path, _) in survey.media.items()]
    for name, path in (*found, *survey.twins):
        kind = survey.media[name][1]
        where = keys.raw_photos(vehicle) if kind == "photo" else keys.raw_videos(vehicle)
        # What lies in photos/ or video/ is stored as if it lay in the folder itself.
        below = re.sub(r"\A(photos|video)/", "", name)
        key = where + place + below
        key = stored.get(key) or stored.get(keys.nfc(key), key)
        first = uploaded.setdefault(key, path)
        if first is not path and not filecmp.cmp(first, path, shallow=False):
            raise BadInput(f"{folder} holds two different files called {below}; rename one of them")
    return uploaded


def _remember(vehicle: keys.VehicleId, store: MediaStore, sources: Sources) -> None:
    if sources != read_sources(vehicle, store):
        text = sources.model_dump_json(indent=2).encode()
        store.put(keys.source_record(vehicle), text, "application/json")


def _same(path: Path, store: MediaStore, key: str) -> bool:
    """Whether the store has these bytes, as far as that can be told without a download."""
    info = store.stat(key)
    if info is None or info.size != path.stat().st_size:
        return False
    if isinstance(store, LocalMediaStore):
        try:
            with store.as_file(key) as there:
                return filecmp.cmp(there, path, shallow=False)
        except Unreadable:  # it is written anew
            return False
    algorithm, _, digest = info.digest.partition(":")
    if not digest:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest

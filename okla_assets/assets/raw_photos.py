"""Intake: every uploaded photo decoded once, or refused by name."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import BaseModel, ValidationError

from okla_assets import keys
from okla_assets.asked_runs import give_asked_options
from okla_assets.digests import digest_of
from okla_assets.options import hotspot_problems, options_of_run
from okla_assets.steps import metadata
from okla_assets.steps.costs import Laps
from okla_assets.steps.pictures import WORKING_QUALITY, WORKING_SIDE, encode_working
from okla_assets.steps.step_cache import Entry, StepCache
from okla_assets.steps.upload_facts import UploadFacts
from okla_assets.steps.uploads import unreadable, uploads_of
from okla_assets.tables import Photo, RawPhotos, RefusedFile, Row
from okla_assets.vehicle_runs import note_uploads, vehicle_asset, vehicle_of
from resources.ahead import mapped, work_ahead
from resources.decoding.photo_decoder import PhotoDecoder
from resources.errors import Unreadable
from resources.progress import Progress
from resources.storage.media_store import MediaStore, ObjectInfo

if TYPE_CHECKING:
    from okla_assets.imaging.photo.decode import DecodedPhoto
    from okla_assets.imaging.photo.refusals import Refused

VERSION = "4"
UPLOADS_AT_ONCE = 4
"""Read from the store, or made smaller; an upload may have 60 MB."""
PASSING_REASONS = frozenset({"decode_timeout", "decoder_crashed"})
"""Refusals that may not happen again on a quieter machine: never remembered."""


class _Intake(Row):
    """What one file's bytes hold: the facts of an accepted photo, or a refusal."""

    width: int = 0
    height: int = 0
    working_width: int = 0
    format: str = ""
    notes: tuple[str, ...] = ()
    work_key: str = ""
    perceptual_hash: str = ""
    focal: float | None = None
    refused: RefusedFile | None = None


@vehicle_asset("intake", VERSION, {"python", "pillow"})
def raw_photos(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[MediaStore],
    decoder: PhotoDecoder,
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[RawPhotos]:
    """The vehicle's uploads: photos upright, in sRGB and at working size; the rest refused by name.

    A refused file never holds up the others: it is listed with a reason code and a sentence for
    the person who uploaded it. Numbers are kept from run to run.
    """
    vehicle = vehicle_of(context)
    give_asked_options(context.run.tags, vehicle, store)
    note_uploads(context, vehicle, store)
    began = time.perf_counter()
    table, computed = take_in(vehicle, store, decoder, progress)
    return metadata.result(
        context,
        table,
        store,
        counts={
            "accepted": len(table.photos),
            "refused": len(table.refused),
            "ignored": sum(group.count for group in table.ignored),
        },
        computed=computed,
        spent=time.perf_counter() - began,
        rows=[metadata.photo_row(p) for p in table.photos]
        + [metadata.refused_row(r) for r in table.refused],
        pictures=(),  # they show plates
        link=keys.raw_photos(vehicle),
    )


def take_in(
    vehicle: keys.VehicleId, store: MediaStore, decoder: PhotoDecoder, progress: Progress
) -> tuple[RawPhotos, int]:
    """The vehicle's table of uploads, and how many files had to be decoded."""
    options, problems = options_of_run(vehicle, store)
    found = uploads_of(vehicle, store)
    progress.step("Reading photos", len(found.photos))
    seen = UploadFacts(store, vehicle, "photos")

    def digest_of_upload(info: ObjectInfo) -> str | RefusedFile:
        try:
            return seen.of(info, partial(_sha256, store, info.key))
        except Unreadable as error:
            return unreadable(info.key, error)

    sha256s = mapped(found.photos, digest_of_upload, "digest", UPLOADS_AT_ONCE)
    pairs = list(zip(found.photos, sha256s, strict=True))
    digests = {info.key: sha256 for info, sha256 in pairs if isinstance(sha256, str)}
    uploads = [info for info in found.photos if info.key in digests]
    refused = (*found.refused, *(file for _, file in pairs if isinstance(file, RefusedFile)))
    seen.keep()
    if not uploads and (lost := [file for file in refused if file.reason == "unreadable"]):
        # Else the listing would lose all its photos, and with them its files.
        raise Unreadable(f"{lost[0].source_key}: {lost[0].detail}")
    entries, computed = _decode(vehicle, uploads, digests, store, decoder, progress)
    intakes = {key: entry.row for key, entry in entries.items()}
    accepted = [info.key for info in uploads if intakes[info.key].refused is None]
    etags = {info.key: info.etag for info in uploads}
    photos = tuple(
        photo.model_copy(update={"source_etag": etags[photo.source_key]})
        for photo in _photos(vehicle, accepted, digests, intakes, store)
    )
    table = RawPhotos(
        vehicle_id=vehicle,
        options=options,
        problems=(*problems, *hotspot_problems(options, {photo.name for photo in photos})),
        photos=photos,
        refused=(
            *(
                file.model_copy(update={"source_key": info.key})
                for info in uploads
                if (file := intakes[info.key].refused) is not None
            ),
            *refused,
        ),
        ignored=found.ignored,
        seconds=sum({digests[key]: entry.seconds for key, entry in entries.items()}.values()),
    )
    return table, computed


def _sha256(store: MediaStore, key: str) -> str:
    return hashlib.sha256(store.get(key)).hexdigest()


def _decode(
    vehicle: keys.VehicleId,
    uploads: Sequence[ObjectInfo],
    digests: Mapping[str, str],
    store: MediaStore,
    decoder: PhotoDecoder,
    progress: Progress,
) -> tuple[dict[str, Entry[_Intake]], int]:
    """What each upload holds, by key; and how many distinct files had to be decoded."""
    cache = StepCache(store, vehicle, "photos", _Intake)
    by_digest: dict[str, Entry[_Intake]] = {}
    missing: dict[str, str] = {}
    for info in uploads:
        digest = _photo_digest(digests[info.key])
        if digest in by_digest or digest in missing:
            continue
        known = cache.get(digest)
        if known is None:
            missing[digest] = info.key
        else:
            by_digest[digest] = known
            progress.advance(info.key.rsplit("/", 1)[-1])
    for digest, intake in _decoded(vehicle, missing, store, decoder, cache):
        by_digest[digest] = intake
        progress.advance(missing[digest].rsplit("/", 1)[-1])
    cache.prune()
    return {i.key: by_digest[_photo_digest(digests[i.key])] for i in uploads}, len(missing)


def _decoded(
    vehicle: keys.VehicleId,
    missing: Mapping[str, str],
    store: MediaStore,
    decoder: PhotoDecoder,
    cache: StepCache[_Intake],
) -> Iterator[tuple[str, Entry[_Intake]]]:
    """Digest and facts of each file, kept with its working copy; decoded and encoded ahead."""
    from okla_assets.imaging.photo import quality
    from okla_assets.imaging.photo.refusals import Refused

    laps = Laps()

    def keep(decoded: "tuple[str, DecodedPhoto | Refused]") -> Entry[_Intake]:
        digest, photo = decoded
        outputs: dict[str, bytes] = {}
        if isinstance(photo, Refused):
            refused = RefusedFile(
                source_key=missing[digest], reason=photo.reason, detail=photo.detail
            )
            intake = _Intake(refused=refused)
        else:
            key = keys.private_file(vehicle, "photos", digest, "jpg")
            intake = _Intake(
                width=photo.width,
                height=photo.height,
                working_width=photo.rgb.shape[1],
                format=photo.format,
                notes=photo.notes,
                work_key=key,
                perceptual_hash=quality.perceptual_hash(photo.rgb),
                focal=None if photo.focal is None else round(photo.focal, 4),
            )
            outputs[key] = encode_working(photo.rgb)
        seconds = laps.lap()
        if intake.refused is not None and intake.refused.reason in PASSING_REASONS:
            return Entry(intake, seconds, 0.0)
        return cache.put(digest, intake, outputs, seconds)

    items = ((digest, lambda key=key: store.get(key)) for digest, key in missing.items())
    decoded = decoder.decode_all(items, WORKING_SIDE)
    kept = work_ahead(decoded, keep, UPLOADS_AT_ONCE, UPLOADS_AT_ONCE, "keep")
    with closing(decoded), closing(kept):
        for (digest, _), future in kept:
            yield digest, future.result()


def _photo_digest(sha256: str) -> str:
    return digest_of("photo", VERSION, sha256, WORKING_SIDE, WORKING_QUALITY)


def _photos(
    vehicle: keys.VehicleId,
    accepted: Sequence[str],
    digests: Mapping[str, str],
    intakes: Mapping[str, _Intake],
    store: MediaStore,
) -> Iterator[Photo]:
    from okla_assets.imaging.photo.quality import find_near_duplicates

    numbers = _numbers(vehicle, accepted, store)
    ordered = sorted(accepted, key=lambda key: numbers[key])
    repeats = find_near_duplicates([intakes[key].perceptual_hash for key in ordered])
    first_with: dict[str, str] = {}
    for key, repeat in zip(ordered, repeats, strict=True):
        intake = intakes[key]
        original = first_with.setdefault(digests[key], key)
        if original == key:
            original = "" if repeat is None else ordered[repeat]
        yield Photo(
            number=numbers[key],
            source_key=key,
            source_sha256=digests[key],
            width=intake.width,
            height=intake.height,
            working_width=intake.working_width,
            format=intake.format,
            notes=intake.notes,
            digest=_photo_digest(digests[key]),
            work_key=intake.work_key,
            perceptual_hash=intake.perceptual_hash,
            focal=intake.focal,
            duplicate_of=numbers.get(original),
            exact_duplicate=bool(original) and digests[original] == digests[key],
        )


def _numbers(vehicle: keys.VehicleId, accepted: Sequence[str], store: MediaStore) -> dict[str, int]:
    """Number by key: as published before, new photos after the highest, in the order of names."""
    published = _published_numbers(vehicle, store)
    following = max(published.values(), default=0) + 1
    numbers = {}
    for key in accepted:
        if key in published:
            numbers[key] = published[key]
        else:
            numbers[key], following = following, following + 1
    return numbers


class _Numbered(BaseModel):
    source_key: str
    number: int


class _Refused(BaseModel):
    """A file without a number was refused at once; one that has it was accepted, and failed."""

    source_key: str
    number: int | None = None


class _Published(BaseModel):
    """What numbering needs of listing.json, whichever version of the code has written it."""

    photos: tuple[_Numbered, ...]
    refused: tuple[_Refused, ...] = ()


def _published_numbers(vehicle: keys.VehicleId, store: MediaStore) -> dict[str, int]:
    key = keys.listing(vehicle)
    if store.stat(key) is None:
        return {}
    try:
        published = _Published.model_validate_json(store.get(key))
    except ValidationError:  # no listing at all: it is about to be replaced
        return {}
    failed = {f.source_key: f.number for f in published.refused if f.number is not None}
    return failed | {photo.source_key: photo.number for photo in published.photos}

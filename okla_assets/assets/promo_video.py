"""Delivery: the promo video, wide and upright, and its poster."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from okla_assets import keys
from okla_assets.assets.composites import VERSION as STOOD_BY
from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.steps import metadata
from okla_assets.steps.batches import Pictures, blame, joined, with_failures, without_failing
from okla_assets.steps.looks import look_of_searched
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.plate_masking import choose_masking, options_used
from okla_assets.steps.promo_pictures import FilmSet, film_set, for_format, gather
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.standpoints import standpoints
from okla_assets.steps.step_cache import Entry, StepCache
from okla_assets.tables import (
    Classifications,
    Composites,
    LicensePlates,
    Masks,
    PromoVideo,
    RawPhotos,
    SpinFrame,
    SpinFrames,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.decoding.promo_encoder import Music, PromoEncoder
from resources.errors import BadInput
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.promo.beds import Bed
    from okla_assets.imaging.promo.cards import Words
    from okla_assets.imaging.promo.text import Fonts
    from okla_assets.imaging.promo.timeline import Look, Picture, Timeline
    from okla_assets.imaging.types import Rgb

VERSION = "11"
TITLE = "Promo video"
LEAST_SPIN_FRAMES = 12
"""Fewer pictures of a turn are a slide show."""
POSTER_MOMENT = 0.6
BED_VERSION = 1
"""Of `imaging.promo.beds`: raised where one sounds different."""


@vehicle_asset("delivery", VERSION, {"python", "ffmpeg"})
def promo_video(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    composites: Composites,
    spin_frames: SpinFrames,
    store: dg.ResourceParam[MediaStore],
    promo_encoder: PromoEncoder,
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[PromoVideo]:
    """A clip of 15 to 30 seconds for the listing, 16:9 and 9:16, and their posters.

    Title, price, specs, contact, template and music come from the vehicle's options. It shows what
    finished pictures show: studio pictures are composed anew for each format, so that the scene
    fills the frame. A vehicle that is not shown from outside has none, and `reason` says so.
    """
    vehicle = vehicle_of(context)
    began = time.perf_counter()
    options = raw_photos.options
    tables = (raw_photos, masks, classifications, license_plates, composites, spin_frames)
    films = film_set_of(vehicle, *tables, promo_encoder.sizes(), store, progress)
    progress.step(TITLE, 1)

    def attempt(left_out: Pictures) -> Made:
        pictures = gather(raw_photos, masks, classifications, composites, store, left_out)
        if reason := why_none(options, pictures):
            return Made(none(reason), pictures)
        spin = spin_frames.frames if all(kind != "frame" for kind, _ in left_out) else ()
        gaps = spin_frames.gaps
        plan = prepare(vehicle, options, pictures, films, spin, gaps, store, promo_encoder)
        cache = StepCache(store, vehicle, "promo", PromoVideo)
        known = cache.get(plan.digest)
        entry = known or make(plan, vehicle, store, promo_encoder, cache)
        cache.prune()
        table = entry.row.model_copy(update={"sources": plan.sources, "seconds": entry.seconds})
        return Made(table, pictures, computed=int(known is None))

    made, failures = without_failing(TITLE, attempt)
    table = with_failures(made.table, TITLE, failures)
    progress.advance("promo")
    return metadata.result(
        context,
        table,
        store,
        counts={"pictures": len(made.pictures)},
        computed=made.computed,
        spent=time.perf_counter() - began,
        units=int(table.key is not None),
        rows=[{"picture": key.rsplit("/", 1)[-1]} for key in table.sources],
        pictures=[table.poster_key] if table.poster_key else [],
        link=keys.processed_folder(vehicle),
        extra={"result": "\n".join([table.reason or f"{table.duration:.1f} s", *table.problems])},
    )


@dataclass(frozen=True)
class Made:
    """The table, the pictures that could be shown, and whether the clips were made just now."""

    table: PromoVideo
    pictures: "tuple[Picture, ...]"
    computed: int = 0


@dataclass(frozen=True)
class PromoPlan:
    """Everything the clips are made from, the wide one first; `digest` names it."""

    timelines: "tuple[Timeline, ...]"
    spin: tuple[tuple[str, float], ...]
    words: "Words"
    fonts: "Fonts"
    look: "Look"
    music_key: str | None
    bed: "Bed | None"
    films: FilmSet
    problems: tuple[str, ...]
    sources: tuple[str, ...]
    digest: str


def film_set_of(
    vehicle: keys.VehicleId,
    raw: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    plates: LicensePlates,
    composites: Composites,
    spin: SpinFrames,
    sizes: Sequence[tuple[int, int]],
    store: MediaStore,
    progress: Progress,
) -> FilmSet:
    """What of the vehicle can be composed for films of these sizes."""
    options = options_used(raw.options, plates.style)
    look = look_of_searched(options, composites.room, choose_masking(options, store)[0], store)
    if not options.promo:
        return FilmSet({}, (), (), None, options, look, store)
    rows = list(
        joined(
            upright_photos(raw.photos, masks.rows),
            masks.rows,
            classifications.rows,
            plates.rows,
            composites.rows,
        )
    )
    standing = standpoints(vehicle, [row[:4] for row in rows], store, progress, STOOD_BY)
    tables = spin, masks, plates, composites
    return film_set(rows, standing, tables, sizes, options, look, store)


def why_none(options: StudioOptions, pictures: "tuple[Picture, ...]") -> str | None:
    """Why there is no promo video, or None where there is one."""
    if not options.promo:
        return "switched off by the option promo"
    if not any(picture.kind == "exterior" for picture in pictures):
        return "no finished photo shows the vehicle from outside"
    return None


def none(reason: str) -> PromoVideo:
    """The row of a vehicle without a promo video."""
    return PromoVideo(key=None, vertical_key=None, poster_key=None, duration=0, reason=reason)


def prepare(
    vehicle: keys.VehicleId,
    options: StudioOptions,
    pictures: "tuple[Picture, ...]",
    films: FilmSet,
    spin: Sequence[SpinFrame],
    gaps: Sequence[float],
    store: MediaStore,
    encoder: PromoEncoder,
) -> PromoPlan:
    """What will be made, without making it."""
    from okla_assets.imaging.promo.cards import Words, drawable
    from okla_assets.imaging.promo.timeline import load_template, plan
    from resources import fonts as found

    given = Words(
        options.promo_title, options.promo_price, options.promo_specs, options.promo_contact
    )
    fonts = found.fonts_for([given.title, given.price, *given.specs, given.contact])
    words, problems = drawable(given, fonts)
    template = load_template(options.promo_template)
    turn: tuple[tuple[str, float], ...] = ()
    if len(spin) >= LEAST_SPIN_FRAMES:
        turn = tuple((f.key, gap) for f, gap in zip(spin, gaps, strict=True))
    music_key, missing = find_music(vehicle, options.promo_music, store)
    timelines = tuple(
        plan(
            template,
            tuple(for_format(picture, films, size) for picture in pictures),
            encoder.fps,
            size,
            has_spin=bool(turn) and (bool(films.turn) or size[0] > size[1]),
            left_out=words.cards_left_out,
        )
        for size in encoder.sizes()
    )
    shots = [shot for timeline in timelines for shot in timeline.shots]
    used = {shot.picture.key for shot in shots if shot.picture} | {key for key, _ in turn}
    sources = used | ({music_key} if music_key else set())
    digest = digest_of(
        "promo",
        VERSION,
        encoder.fingerprint(),
        [asdict(shot) for shot in shots],
        template.look,
        turn,
        films.fingerprint,
        (options.promo_bed, BED_VERSION),
        asdict(words),
        found.fingerprint(fonts, words.texts),
        {key: _sha256(store, key) for key in sources},
        music_key,
        (problems, missing),
    )
    named = (*problems, *([missing] if missing else []))
    return PromoPlan(
        timelines,
        turn,
        words,
        fonts,
        template.look,
        music_key,
        options.promo_bed,
        films,
        named,
        tuple(sorted(sources)),
        digest,
    )


def make(
    plan: PromoPlan,
    vehicle: keys.VehicleId,
    store: MediaStore,
    encoder: PromoEncoder,
    cache: StepCache[PromoVideo],
) -> Entry[PromoVideo]:
    """Draws and encodes both clips and the poster, and puts them into the store.

    Raises PictureFailed.
    """
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.promo import cards, frames

    began = time.perf_counter()
    music: dict[float, Music | None] = {}  # by the seconds of the clip that it is for
    problems = list(plan.problems)
    with tempfile.TemporaryDirectory(prefix="okla-promo-") as folder:
        outputs: dict[str, Path] = {}
        clip_keys = keys.promo(vehicle), keys.promo_vertical(vehicle)
        for timeline, size, key in zip(plan.timelines, encoder.sizes(), clip_keys, strict=True):
            load = _loader(plan, size, store)
            composed = bool(plan.films.turn)
            stage = cards.stage(
                timeline,
                plan.words,
                plan.fonts,
                plan.look,
                size,
                load,
                plan.spin,
                composed=composed,
            )
            if timeline.seconds not in music:
                music[timeline.seconds] = _music(plan, timeline.seconds, store, encoder, problems)
            upright = size[0] < size[1]
            poster_key = (keys.promo_vertical_poster if upright else keys.promo_poster)(vehicle)
            poster = frames.poster(timeline, stage, POSTER_MOMENT)
            outputs[poster_key] = Path(folder, poster_key.rpartition("/")[2])
            outputs[poster_key].write_bytes(codec.encode_jpeg(poster, 90))
            outputs[key] = Path(folder, f"{size[0]}x{size[1]}.mp4")
            drawn = frames.frames(timeline, stage)
            encoder.encode(drawn, timeline.frames, size, outputs[key], music[timeline.seconds])
        row = PromoVideo(
            key=keys.promo(vehicle),
            vertical_key=keys.promo_vertical(vehicle),
            poster_key=keys.promo_poster(vehicle),
            vertical_poster_key=keys.promo_vertical_poster(vehicle),
            duration=round(plan.timelines[0].seconds, 3),
            reason=None,
            problems=tuple(dict.fromkeys(problems)),
        )
        return cache.put(plan.digest, row, outputs, time.perf_counter() - began)


def find_music(
    vehicle: keys.VehicleId, name: str | None, store: MediaStore
) -> tuple[str | None, str | None]:
    """The key of the music, the vehicle's own before the brand's; or what is wrong."""
    if name is None:
        return None, None
    places = (keys.own_music(vehicle, name), keys.brand_music(name))
    for key in places:
        same = (i.key for i in store.list(f"{key.rpartition('/')[0]}/") if keys.nfc(i.key) == key)
        if (found := next(same, None)) is not None:
            return found, None
    return None, f"promo_music: neither {' nor '.join(places)} exists; the video is silent"


def _music(
    plan: PromoPlan,
    seconds: float,
    store: MediaStore,
    encoder: PromoEncoder,
    problems: list[str],
) -> Music | None:
    """The music as it will be heard; None where there is none, or it is named in `problems`."""
    from okla_assets.imaging.promo import audio, beds

    key = plan.music_key
    if key is None:
        if plan.bed is None:
            return None
        samples = audio.arrange(beds.bed(plan.bed, seconds), seconds)
        return Music(samples, audio.LOUDNESS - encoder.loudness(samples))
    try:
        with store.as_file(key) as path:
            samples = audio.arrange(encoder.read_music(path), seconds)
        level = encoder.loudness(samples)
        if level < audio.LEAST_LOUDNESS:
            raise BadInput("it is silent")
    except (BadInput, audio.TooShort) as error:
        name = key.rsplit("/", 1)[-1]
        problems.append(f"promo_music: {name} cannot be used: {error}; the video is silent")
        return None
    return Music(samples, audio.LOUDNESS - level)


def _sha256(store: MediaStore, key: str) -> str:
    """Of the bytes and not the ETag: a picture made again with the same bytes is the same."""
    info = store.stat(key)
    if info is not None and info.digest.startswith("sha256:"):
        return info.digest.removeprefix("sha256:")
    with store.as_file(key) as path, path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _loader(plan: PromoPlan, frame: tuple[int, int], store: MediaStore) -> "Callable[[str], Rgb]":
    """Pictures for one format, composed where they can be; the function raises PictureFailed."""
    positions = {key: position for position, (key, _) in enumerate(plan.spin)}

    def load(key: str) -> "Rgb":
        if (composed := plan.films.composed(key, frame)) is not None:
            return composed
        position = positions.get(key)
        photo = None if position is not None else keys.photo_shown(key)
        with blame("photo" if position is None else "frame", position or photo or 0):
            return read_picture(store, key)

    return load

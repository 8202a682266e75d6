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
from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.steps import metadata
from okla_assets.steps.batches import Pictures, blame, joined, with_failures, without_failing
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.step_cache import Entry, StepCache
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    Mask,
    Masks,
    Photo,
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
    from okla_assets.imaging.promo.cards import Words
    from okla_assets.imaging.promo.text import Fonts
    from okla_assets.imaging.promo.timeline import Look, Picture, Timeline
    from okla_assets.imaging.types import Rgb

VERSION = "3"
TITLE = "Promo video"
LEAST_QUALITY = 25
"""Photos below this are in the gallery, but no advertisement."""
LEAST_SPIN_FRAMES = 12
"""Fewer pictures of a turn are a slide show."""
POSTER_MOMENT = 0.6


@vehicle_asset("delivery", VERSION, {"python", "ffmpeg"})
def promo_video(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    composites: Composites,
    spin_frames: SpinFrames,
    store: dg.ResourceParam[MediaStore],
    promo_encoder: PromoEncoder,
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[PromoVideo]:
    """A clip of 15 to 30 seconds for the listing, 16:9 and 9:16, and its poster.

    Title, price, specs, contact and music come from the vehicle's options. It is made of finished
    pictures only; a vehicle that is not shown from outside has none, and `reason` says so.
    """
    vehicle = vehicle_of(context)
    began = time.perf_counter()
    progress.step(TITLE, 1)
    options = raw_photos.options

    def attempt(left_out: Pictures) -> Made:
        pictures = gather(raw_photos, masks, classifications, composites, store, left_out)
        if reason := why_none(options, pictures):
            return Made(none(reason), pictures)
        spin = spin_frames.frames if all(kind != "frame" for kind, _ in left_out) else ()
        plan = prepare(vehicle, options, pictures, spin, spin_frames.gaps, store, promo_encoder)
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
        rows=[],
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
    problems: tuple[str, ...]
    sources: tuple[str, ...]
    digest: str


def gather(
    raw: RawPhotos,
    masks: Masks,
    classifications: Classifications,
    composites: Composites,
    store: MediaStore,
    left_out: Pictures = frozenset(),
) -> "tuple[Picture, ...]":
    """The finished pictures that may be shown: no repeats, nothing kept back, no papers.

    Raises PictureFailed.
    """
    from okla_assets.imaging.photo import paper

    found = []
    for photo, mask, view, finished in joined(
        upright_photos(raw.photos, masks.rows), masks.rows, classifications.rows, composites.rows
    ):
        key, thumbnail = finished.processed_key, finished.thumbnail_key
        repeated = photo.duplicate_of is not None
        if key is None or thumbnail is None or repeated or view.quality.score < LEAST_QUALITY:
            continue
        if ("photo", photo.number) in left_out:
            continue
        if view.category == "exterior" and mask.status == "no_vehicle":
            continue
        if view.projection is not None:  # a panorama is no picture to be shown flat
            continue
        with blame("photo", photo.number):
            if view.category == "misc" and paper.is_paper(read_picture(store, key)):
                continue
        found.append(_picture(key, photo, mask, view, finished, raw.options))
    return tuple(found)


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
    template = load_template()
    turn: tuple[tuple[str, float], ...] = ()
    if len(spin) >= LEAST_SPIN_FRAMES:
        turn = tuple((f.key, gap) for f, gap in zip(spin, gaps, strict=True))
    music_key, missing = find_music(vehicle, options.promo_music, store)
    timelines = tuple(
        plan(
            template,
            pictures,
            encoder.fps,
            size,
            has_spin=bool(turn),
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
    load = _loader(plan, store)
    music: Music | None = None
    problems = list(plan.problems)
    with tempfile.TemporaryDirectory(prefix="okla-promo-") as folder:
        outputs: dict[str, Path] = {}
        clip_keys = keys.promo(vehicle), keys.promo_vertical(vehicle)
        for timeline, size, key in zip(plan.timelines, encoder.sizes(), clip_keys, strict=True):
            stage = cards.stage(timeline, plan.words, plan.fonts, plan.look, size, load, plan.spin)
            if not outputs:
                music = _music(plan.music_key, timeline.seconds, store, encoder, problems)
                poster = frames.poster(timeline, stage, POSTER_MOMENT)
                outputs[keys.promo_poster(vehicle)] = Path(folder, "poster.jpg")
                outputs[keys.promo_poster(vehicle)].write_bytes(codec.encode_jpeg(poster, 90))
            outputs[key] = Path(folder, f"{size[0]}x{size[1]}.mp4")
            encoder.encode(frames.frames(timeline, stage), size, outputs[key], music)
        row = PromoVideo(
            key=keys.promo(vehicle),
            vertical_key=keys.promo_vertical(vehicle),
            poster_key=keys.promo_poster(vehicle),
            duration=round(plan.timelines[0].seconds, 3),
            reason=None,
            problems=tuple(problems),
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
    key: str | None,
    seconds: float,
    store: MediaStore,
    encoder: PromoEncoder,
    problems: list[str],
) -> Music | None:
    """The music as it will be heard; None where there is none, or it is named in `problems`."""
    from okla_assets.imaging.promo import audio

    if key is None:
        return None
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


def _picture(
    key: str,
    photo: Photo,
    mask: Mask,
    view: Classification,
    finished: Composite,
    options: StudioOptions,
) -> "Picture":
    from okla_assets.imaging.promo.moves import studio_place
    from okla_assets.imaging.promo.timeline import Picture

    plain = finished.treatment == "studio"
    aspect = photo.width / photo.height
    car = None
    if mask.vehicle_box is not None and view.category == "exterior":
        width, height = photo.working_width, photo.height / photo.scale
        x, y, w, h = mask.vehicle_box
        if plain:
            wide, high = map(int, options.aspect.split(":"))
            aspect = wide / high
            car = studio_place(w, h, aspect, view.angle, options.margin)
        elif mask.status != "cropped":
            car = (x / width, y / height, w / width, h / height)
    kinds = {"exterior": "exterior", "interior": "interior", "misc": "detail"}
    return Picture(
        key=key,
        kind=kinds[view.category],  # type: ignore[arg-type]
        angle=view.angle,
        quality=view.quality.score,
        car=car,
        plain=plain,
        upright=aspect < 1,
    )


def _loader(plan: PromoPlan, store: MediaStore) -> "Callable[[str], Rgb]":
    """Decodes each picture once for both clips; the function raises PictureFailed."""
    decoded: dict[str, Rgb] = {}
    positions = {key: position for position, (key, _) in enumerate(plan.spin)}

    def load(key: str) -> "Rgb":
        if key not in decoded:
            frame = positions.get(key)
            photo = None if frame is not None else keys.photo_shown(key)
            with blame("photo" if frame is None else "frame", frame or photo or 0):
                decoded[key] = read_picture(store, key)
        return decoded[key]

    return load

"""Delivery: the 360 set, out of the walk-around video or of exterior photos."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.options import StudioOptions
from okla_assets.steps import metadata
from okla_assets.steps.batches import (
    Outputs,
    Pictures,
    blame,
    joined,
    with_failures,
    without_failing,
)
from okla_assets.steps.looks import look_of
from okla_assets.steps.pictures import read_matte, read_picture
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import (
    Classifications,
    Composites,
    LicensePlates,
    Masks,
    RawPhotos,
    SpinFrame,
    SpinFrames,
    WalkaroundFrames,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.ahead import mapped
from resources.models.onnx import usable_cores
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.camera import View
    from okla_assets.imaging.studio.studio import Look
    from okla_assets.imaging.turn import spin

VERSION = "4"
TITLE = "Turning"
MOST_MEASURED = 12
"""Pictures that the turn's one exposure is measured on."""


@dataclass(frozen=True)
class SpinPicture:
    """One picture that the turn is made of: its number, its copy without plates and its matte."""

    number: int
    azimuth: float
    picture_key: str
    matte_key: str
    digests: tuple[str, str]


@dataclass(frozen=True)
class SpinPictures:
    """Pictures in the order of the turn; empty with the reason why."""

    made_from: Literal["video", "photos"] | None
    rows: tuple[SpinPicture, ...]
    reason: str | None


@vehicle_asset("delivery", VERSION, {"python", "opencv"})
def spin_frames(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    license_plates: LicensePlates,
    composites: Composites,
    store: dg.ResourceParam[MediaStore],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[SpinFrames]:
    """The turn of the vehicle in the studio: equal pictures in one light, from front-quarter on.

    It is made of the walk-around video, or of exterior photos where they go all round the vehicle;
    otherwise there is none, and the reason.
    """
    vehicle = vehicle_of(context)
    began = time.perf_counter()
    cache = StepCache(store, vehicle, "spin", SpinFrames)

    def attempt(left_out: Pictures) -> tuple[SpinFrames, int]:
        tables = walkaround_frames, masks, classifications, license_plates, composites
        pictures = choose_pictures(*tables, left_out)
        return make_spin(vehicle, pictures, raw_photos.options, store, cache, progress)

    (table, computed), failures = without_failing(TITLE, attempt)
    cache.prune()
    table = with_failures(table, TITLE, failures)
    return metadata.result(
        context,
        table,
        store,
        counts={"frames": len(table.frames)},
        computed=computed,
        spent=time.perf_counter() - began,
        rows=[
            {"frame": frame.key.rsplit("/", 1)[-1], "azimuth": frame.azimuth_deg, "to next": gap}
            for frame, gap in zip(table.frames, table.gaps, strict=True)
        ],
        pictures=[frame.key for frame in table.frames],
        link=keys.spin_folder(vehicle),
        extra={
            "made from": table.made_from or "nothing",
            "reason": table.reason or "",
            "widest gap": f"{max(table.gaps, default=0):.0f} degrees",
        },
    )


def choose_pictures(
    frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    plates: LicensePlates,
    composites: Composites,
    left_out: Pictures = frozenset(),
) -> SpinPictures:
    """The video's frames where they make a turn, else the studio photos where they do."""
    video = _frames_around(frames, masks, plates, left_out)
    if video.rows:
        return video
    photos = _photos_around(masks, classifications, plates, composites, left_out)
    if photos.rows:
        return photos
    return SpinPictures(None, (), f"{video.reason}; {photos.reason}")


def _frames_around(
    frames: WalkaroundFrames, masks: Masks, plates: LicensePlates, left_out: Pictures
) -> SpinPictures:
    from okla_assets.imaging.turn import spin

    if frames.direction is None:
        return SpinPictures(None, (), frames.reason)
    if problem := masks.turn_problem or plates.turn_problem:
        return SpinPictures(None, (), problem)
    rows = [
        SpinPicture(
            frame.number,
            frame.azimuth_deg,
            plate.masked_key,
            mask.matte_key,
            (mask.digest, plate.digest),
        )
        for frame, mask, plate in zip(frames.frames, masks.frames, plates.frames, strict=True)
        if mask.status == "cut" and mask.matte_key and ("frame", frame.number) not in left_out
    ]
    if rows:
        order = spin.turn_order([row.azimuth for row in rows], frames.direction)
        ordered = tuple(rows[i] for i in order)
        if len(ordered) >= spin.FEWEST and spin.closes([row.azimuth for row in ordered]):
            return SpinPictures("video", ordered, None)
    return SpinPictures(None, (), spin.why_not("frames of the video", len(rows)))


def _photos_around(
    masks: Masks,
    classifications: Classifications,
    plates: LicensePlates,
    composites: Composites,
    left_out: Pictures,
) -> SpinPictures:
    from okla_assets.imaging.turn import spin

    rows: list[SpinPicture] = []
    scores: list[float] = []
    for mask, view, plate, finished in joined(
        masks.rows, classifications.rows, plates.rows, composites.rows
    ):
        if finished.treatment != "studio" or finished.withheld or mask.matte_key is None:
            continue
        if finished.covered_late:  # the masked copy, which the spin is made of, still shows it
            continue
        if view.azimuth_deg is None or ("photo", mask.number) in left_out:
            continue
        digests = mask.digest, plate.digest
        rows.append(
            SpinPicture(mask.number, view.azimuth_deg, plate.masked_key, mask.matte_key, digests)
        )
        scores.append(view.quality.score + (view.angle_confidence or 0.0))
    order = spin.round_the_vehicle([row.azimuth for row in rows], scores)
    if order:
        return SpinPictures("photos", tuple(rows[i] for i in order), None)
    return SpinPictures(None, (), spin.why_not("photos", len(rows)))


def make_spin(
    vehicle: keys.VehicleId,
    pictures: SpinPictures,
    options: StudioOptions,
    store: MediaStore,
    cache: StepCache[SpinFrames],
    progress: Progress,
) -> tuple[SpinFrames, int]:
    """The table, its files written; and how many pictures had to be made.

    Raises PictureFailed.
    """
    progress.step(TITLE, len(pictures.rows))
    if not pictures.rows:
        return NO_SPIN.model_copy(update={"reason": pictures.reason}), 0
    look = look_of(options, store)
    digest = digest_of(
        "spin",
        VERSION,
        [(row.number, row.azimuth, *row.digests) for row in pictures.rows],
        pictures.made_from,
        options.of_pictures,
        look.scene.digest,
    )
    entry, computed = cache.get(digest), 0
    if entry is None:
        began = time.perf_counter()
        fresh, outputs = turn_in_studio(vehicle, pictures, options, look, store, progress)
        entry = cache.put(digest, fresh, outputs, time.perf_counter() - began)
        computed = len(fresh.frames)
    return entry.row.model_copy(update={"seconds": entry.seconds}), computed


NO_SPIN = SpinFrames(made_from=None, frames=(), width=0, height=0, gaps=(), reason=None)


def turn_in_studio(
    vehicle: keys.VehicleId,
    pictures: SpinPictures,
    options: StudioOptions,
    look: "Look",
    store: MediaStore,
    progress: Progress,
) -> tuple[SpinFrames, Outputs]:
    """The table and its pictures as JPEG, by key. Raises PictureFailed."""
    from okla_assets.imaging.photo import codec, enhance, set_colour
    from okla_assets.imaging.studio.camera import set_height, view_of
    from okla_assets.imaging.turn import spin, walkaround

    rows = pictures.rows
    azimuths = [row.azimuth for row in rows]
    kind: Literal["photo", "frame"] = "frame" if pictures.made_from == "video" else "photo"

    def measured(row: SpinPicture) -> "tuple[spin.Stand, View | None]":
        with blame(kind, row.number):
            matte = read_matte(store, row.matte_key)
            return spin.stand_of(matte), view_of(matte, row.azimuth)

    found = mapped(rows, measured, "stand")
    canvas = spin.steady(
        [stand for stand, _ in found],
        azimuths,
        options.max_width,
        options.aspect_ratio,
        smooth=pictures.made_from == "video",
    )
    views = [view for _, view in found]
    camera_height = set_height([view for view in views if view is not None])
    # One scene behind the whole turn: a wall that moved with each frame's fit would flicker.
    look = replace(look, rows=spin.rows_of(views, canvas, options.aspect_ratio))

    def pixels(row: SpinPicture) -> tuple[Rgb, Alpha]:
        with blame(kind, row.number):
            return read_picture(store, row.picture_key), read_matte(store, row.matte_key)

    correction = None
    if options.auto_enhance:
        some = rows[:: -(-len(rows) // MOST_MEASURED)]
        correction = set_colour.solve_turn([set_colour.measure(*pixels(row)) for row in some])

    def finished(position: int) -> bytes:
        picture, matte = pixels(rows[position])
        with blame(kind, rows[position].number):
            if correction is not None:
                picture = enhance.corrected(picture, correction)
            view = view_of(matte, rows[position].azimuth, camera_height)
            picture = spin.finish(picture, matte, canvas, position, view, look)
            progress.advance(f"frame {position + 1}")
            return codec.encode_jpeg(picture, options.output_quality)

    named = [keys.spin_frame(vehicle, position) for position in range(1, len(rows) + 1)]
    with ThreadPoolExecutor(min(4, usable_cores())) as workers:
        outputs = dict(zip(named, workers.map(finished, range(len(rows))), strict=True))
    made = SpinFrames(
        made_from=pictures.made_from,
        frames=tuple(
            SpinFrame(key=key, azimuth_deg=row.azimuth, source=row.number)
            for key, row in zip(named, rows, strict=True)
        ),
        width=canvas.width,
        height=canvas.height,
        gaps=walkaround.gaps_of(azimuths),
        reason=None,
    )
    return made, outputs

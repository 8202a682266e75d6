"""Delivery: the 360 set, out of the walk-around video or of exterior photos."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets import keys
from okla_assets.assets.composites import aspect_of
from okla_assets.contract import (
    Classifications,
    Composites,
    LicensePlates,
    Masks,
    RawPhotos,
    SpinFrame,
    SpinFrames,
    StudioOptions,
    WalkaroundFrames,
)
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.steps import metadata
from okla_assets.steps.per_photo import Outputs, joined
from okla_assets.steps.step_cache import StepCache, digest_of
from okla_assets.vehicle_runs import vehicle_of, vehicles
from resources.ahead import mapped
from resources.models.onnx import usable_cores
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "1"
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


@dg.asset(
    partitions_def=vehicles,
    group_name="delivery",
    code_version=VERSION,
    kinds={"python", "opencv"},
    owners=["team:media"],
)
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
    sources = choose_pictures(walkaround_frames, masks, classifications, license_plates, composites)
    table, computed = make_spin(vehicle, sources, raw_photos.options, store, progress)
    return metadata.result(
        context,
        table,
        store,
        counts={"frames": len(table.frames)},
        computed=computed,
        seconds=table.seconds if computed else 0.0,
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
) -> SpinPictures:
    """The video's frames where they make a turn, else the studio photos where they do."""
    video = _frames_around(frames, masks, plates)
    if video.rows:
        return video
    photos = _photos_around(masks, classifications, plates, composites)
    if photos.rows:
        return photos
    return SpinPictures(None, (), f"{video.reason}; {photos.reason}")


def _frames_around(frames: WalkaroundFrames, masks: Masks, plates: LicensePlates) -> SpinPictures:
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
        if mask.status == "cut" and mask.matte_key
    ]
    if rows:
        order = spin.turn_order([row.azimuth for row in rows], frames.direction)
        ordered = tuple(rows[i] for i in order)
        if len(ordered) >= spin.FEWEST and spin.closes([row.azimuth for row in ordered]):
            return SpinPictures("video", ordered, None)
    return SpinPictures(None, (), spin.why_not("frames of the video", len(rows)))


def _photos_around(
    masks: Masks, classifications: Classifications, plates: LicensePlates, composites: Composites
) -> SpinPictures:
    from okla_assets.imaging.turn import spin

    rows: list[SpinPicture] = []
    scores: list[float] = []
    for mask, view, plate, finished in joined(
        masks.rows, classifications.rows, plates.rows, composites.rows
    ):
        if finished.treatment != "studio" or finished.withheld or mask.matte_key is None:
            continue
        if view.azimuth_deg is None:
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
    sources: SpinPictures,
    options: StudioOptions,
    store: MediaStore,
    progress: Progress,
) -> tuple[SpinFrames, int]:
    """The table, its files written; and how many pictures had to be made."""
    cache = StepCache(store, vehicle, "spin", SpinFrames)
    progress.step("Turning", len(sources.rows))
    table, computed = NO_SPIN.model_copy(update={"reason": sources.reason}), 0
    if sources.rows:
        digest = digest_of(
            "spin",
            VERSION,
            [(row.number, row.azimuth, *row.digests) for row in sources.rows],
            sources.made_from,
            options.of_pictures,
        )
        known = cache.get(digest)
        if known is None:
            began = time.perf_counter()
            fresh, outputs = turn_in_studio(vehicle, sources, options, store, progress)
            seconds = round(time.perf_counter() - began, 3)
            known = cache.put(digest, fresh.model_copy(update={"seconds": seconds}), outputs)
            computed = len(known.frames)
        table = known
    cache.prune()
    return table, computed


NO_SPIN = SpinFrames(
    made_from=None, frames=(), width=0, height=0, gaps=(), reason=None, seconds=0.0
)


def turn_in_studio(
    vehicle: keys.VehicleId,
    sources: SpinPictures,
    options: StudioOptions,
    store: MediaStore,
    progress: Progress,
) -> tuple[SpinFrames, Outputs]:
    """The table and its pictures as JPEG, by key."""
    from okla_assets.imaging.photo import codec, enhance
    from okla_assets.imaging.turn import spin, walkaround

    rows = sources.rows
    azimuths = [row.azimuth for row in rows]
    stands = mapped(rows, lambda row: spin.stand_of(_matte(row, store)), "stand")
    scene = SCENES[options.background_id]
    canvas = spin.steady(
        stands,
        azimuths,
        options.max_width,
        aspect_of(options),
        scene,
        smooth=sources.made_from == "video",
    )
    table = None
    if options.auto_enhance:
        measured = rows[:: -(-len(rows) // MOST_MEASURED)]
        table = enhance.correction(
            [_picture(row, store) for row in measured], [_matte(row, store) for row in measured]
        )
    opacity = options.shadow_opacity if options.generate_shadow else None

    def finished(position: int) -> bytes:
        picture = _picture(rows[position], store)
        if table is not None:
            picture = enhance.corrected(picture, table)
        matte = _matte(rows[position], store)
        picture = spin.finish(picture, matte, canvas, position, scene, opacity)
        progress.advance(f"frame {position + 1}")
        return codec.encode_jpeg(picture, options.output_quality)

    named = [keys.spin_frame(vehicle, position) for position in range(1, len(rows) + 1)]
    with ThreadPoolExecutor(min(4, usable_cores())) as workers:
        outputs = dict(zip(named, workers.map(finished, range(len(rows))), strict=True))
    made = SpinFrames(
        made_from=sources.made_from,
        frames=tuple(
            SpinFrame(key=key, azimuth_deg=row.azimuth, source=row.number)
            for key, row in zip(named, rows, strict=True)
        ),
        width=canvas.width,
        height=canvas.height,
        gaps=walkaround.gaps_of(azimuths),
        reason=None,
        seconds=0.0,
    )
    return made, outputs


def _picture(row: SpinPicture, store: MediaStore) -> npt.NDArray[np.uint8]:
    from okla_assets.imaging.photo import codec

    return codec.decode_trusted(store.get(row.picture_key))


def _matte(row: SpinPicture, store: MediaStore) -> npt.NDArray[np.float32]:
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.studio import studio

    return studio.as_alpha(codec.decode_gray(store.get(row.matte_key)))

"""Intake: the walk-around video as few sharp frames of one turn around the vehicle."""

import hashlib
import logging
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import cache as once, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import dagster as dg

from okla_assets import keys
from okla_assets.assets.raw_photos import PASSING_REASONS
from okla_assets.digests import digest_of
from okla_assets.imaging.photo.refusals import RefusalReason, Refused
from okla_assets.imaging.turn.container import is_cut_off, is_live_photo, live_photo
from okla_assets.imaging.types import Rgb
from okla_assets.steps import metadata
from okla_assets.steps.batches import Outputs, photo_errors, short_message
from okla_assets.steps.pictures import FRAME_SIDE, encode_working
from okla_assets.steps.step_cache import Entry, StepCache
from okla_assets.steps.upload_facts import UploadFacts
from okla_assets.steps.uploads import unreadable, uploads_of
from okla_assets.tables import Frame, RawPhotos, RefusedFile, Row, WalkaroundFrames
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.decoding.video_reader import OpenVideo, VideoReader
from resources.errors import Unreadable
from resources.models.asking import asked
from resources.models.base import VehicleDetector, ViewClassifier, vehicles_of
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.turn.walkaround import Observation

log = logging.getLogger(__name__)

VERSION = "5"
MOST_LOOKS = 32
"""Moments at which the models look at a video to tell whether it goes round the vehicle."""
NOT_REMEMBERED = PASSING_REASONS | {"step_failed"}
UNSEEN: frozenset[RefusalReason] = frozenset({"no_vehicle", "not_a_turn"})
"""Refusals for what a video does not show, which the lost part of it may have shown."""
NO_VIDEO = "no walk-around video was uploaded"


class _Reading(Row):
    """What one video's bytes hold: frames of a turn, or a refusal."""

    direction: Literal[1, -1] | None = None
    frames: tuple[Frame, ...] = ()
    refused: RefusedFile | None = None


NO_TURN = Entry(_Reading(), 0.0, 0.0)


@vehicle_asset("intake", VERSION, {"python", "ffmpeg", "onnx"})
def walkaround_frames(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    store: dg.ResourceParam[MediaStore],
    video_reader: VideoReader,
    detector: dg.ResourceParam[VehicleDetector],
    views: dg.ResourceParam[ViewClassifier],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[WalkaroundFrames]:
    """Equidistant moments of the uploaded video's turn around the vehicle, each the sharpest near.

    A video that cannot be read, shows no car or does not go around it is refused with the reason;
    the vehicle goes on without. Of several videos the first that shows a turn counts.
    """
    vehicle = vehicle_of(context)
    count = raw_photos.options.spin_frames
    began = time.perf_counter()
    stems = {stem_of(photo.source_key) for photo in raw_photos.photos}
    table, computed = take_frames(
        vehicle, count, stems, store, video_reader, detector, views, progress
    )
    return metadata.result(
        context,
        table,
        store,
        counts={"frames": len(table.frames), "refused": len(table.refused)},
        computed=computed,
        spent=time.perf_counter() - began,
        units=len(table.refused) + bool(table.frames),
        rows=[metadata.frame_row(frame) for frame in table.frames]
        + [metadata.refused_row(r) for r in table.refused],
        pictures=[],  # they show plates
        link=keys.raw_videos(vehicle),
        extra={
            "video": table.source_key or "none",
            "reason": table.reason or "",
            "direction": {1: "azimuths grow", -1: "azimuths fall", None: ""}[table.direction],
        },
    )


def take_frames(
    vehicle: keys.VehicleId,
    count: int,
    stems: Collection[str],
    store: MediaStore,
    reader: VideoReader,
    detector: VehicleDetector,
    views: ViewClassifier,
    progress: Progress,
) -> tuple[WalkaroundFrames, int]:
    """The vehicle's table of frames, and how many videos had to be read.

    `stems` are the names of its photos without their endings (`stem_of`).
    """
    videos = uploads_of(vehicle, store).videos
    cache = StepCache(store, vehicle, "frames", _Reading)
    seen = UploadFacts(store, vehicle, "videos")
    progress.step("Reading video", len(videos))
    refused: list[RefusedFile] = []
    computed = 0
    found: tuple[str, str, Entry[_Reading]] | None = None
    for info in videos:
        key = info.key
        beside = stem_of(key) in stems
        with ExitStack() as opened:
            path = once(partial(opened.enter_context, store.as_file(key)))
            try:
                sha256 = seen.of(info, partial(_sha256_of, path))
            except Unreadable as error:
                refused.append(unreadable(key, error))
                progress.advance(key.rsplit("/", 1)[-1])
                continue
            digest = digest_of(
                "frames",
                VERSION,
                sha256,
                count,
                detector.fingerprint(),
                views.fingerprint(),
                beside,
            )
            entry = cache.get(digest)
            if entry is None:
                began = time.perf_counter()
                reading, outputs = read_video(
                    vehicle, key, digest, path(), beside, count, reader, detector, views
                )
                computed += 1
                seconds = time.perf_counter() - began
                if reading.refused is None or reading.refused.reason not in NOT_REMEMBERED:
                    entry = cache.put(digest, reading, outputs, seconds)
                else:
                    entry = Entry(reading, seconds, 0.0)
        progress.advance(key.rsplit("/", 1)[-1])
        if entry.row.refused is None:
            found = key, sha256, entry
            break
        refused.append(entry.row.refused.model_copy(update={"source_key": key}))
    cache.prune()
    seen.keep()
    walks = [file for file in refused if file.reason != "live_photo"]
    nothing = walks[-1].detail if walks else NO_VIDEO
    source_key, source_sha256, turn = found or (None, None, NO_TURN)
    table = WalkaroundFrames(
        source_key=source_key,
        source_sha256=source_sha256,
        direction=turn.row.direction,
        frames=turn.row.frames,
        refused=tuple(refused),
        reason=None if found else nothing,
        not_needed=tuple(info.key for info in videos[len(refused) + 1 :]) if found else (),
        seconds=turn.seconds,
    )
    return table, computed


def stem_of(key: str) -> str:
    """A file's name without folder, ending and case; the two files of a Live Photo agree in it."""
    return PurePosixPath(key).stem.casefold()


def _sha256_of(path: Callable[[], Path]) -> str:
    with path().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_video(
    vehicle: keys.VehicleId,
    key: str,
    digest: str,
    path: Path,
    beside_photo: bool,
    count: int,
    reader: VideoReader,
    detector: VehicleDetector,
    views: ViewClassifier,
) -> tuple[_Reading, Outputs]:
    """One video's frames and their files, or its refusal."""
    from okla_assets.imaging.turn import walkaround

    try:
        if beside_photo and is_live_photo(path, beside_photo=True):
            raise live_photo()
        with reader.open(path, FRAME_SIDE) as video:
            around = walkaround.find_turn(look_around(video, detector, views))
            times = [moment.time for moment in video.moments]
            chosen = walkaround.moments_of(
                around, times, [m.sharpness for m in video.moments], count
            )
            frames = []
            outputs: dict[str, bytes] = {}
            for number, index in enumerate(chosen, 1):
                picture = video.picture(index)
                frame_digest = digest_of("frame", digest, number)
                frame = Frame(
                    number=number,
                    time=round(times[index], 3),
                    azimuth_deg=round(around.azimuth_at(times[index]), 1) % 360,
                    width=picture.shape[1],
                    height=picture.shape[0],
                    digest=frame_digest,
                    work_key=keys.private_file(vehicle, "frames", frame_digest, "jpg"),
                )
                frames.append(frame)
                outputs[frame.work_key] = encode_working(picture)
    except Refused as refusal:
        detail = refusal.detail
        if refusal.reason in UNSEEN and is_cut_off(path):
            detail = f"The recording was cut off, and of what there is: {detail}"
        refused = RefusedFile(source_key=key, reason=refusal.reason, detail=detail)
        return _Reading(refused=refused), {}
    except photo_errors() as error:
        log.warning("%s cannot be looked at", key, exc_info=error)
        detail = f"the models failed on this video: {short_message(error)}"
        refused = RefusedFile(source_key=key, reason="step_failed", detail=detail)
        return _Reading(refused=refused), {}
    return _Reading(direction=1 if around.direction > 0 else -1, frames=tuple(frames)), outputs


def look_around(
    video: OpenVideo, detector: VehicleDetector, views: ViewClassifier
) -> "list[Observation]":
    """The main vehicle's azimuth at up to MOST_LOOKS moments all through the video."""
    from okla_assets.imaging.matte.cutout import main_vehicle
    from okla_assets.imaging.turn.walkaround import Observation

    count = min(MOST_LOOKS, len(video.moments))
    # The first and the last moment are among them: what lies outside is in no turn.
    looked_at = [round(i * (len(video.moments) - 1) / max(1, count - 1)) for i in range(count)]

    def look(moment: "tuple[float, Rgb]") -> Observation:
        time, picture = moment
        height, width = picture.shape[:2]
        found = vehicles_of(detector.detect([picture])[0])
        main = main_vehicle([d.box for d in found], [d.score for d in found], width, height)
        if main is None:
            return Observation(time, None, 0.0)
        (view,) = views.classify([picture], [found[main].box])
        return Observation(time, view.azimuth_deg, view.angle_confidence or 0.0)

    moments = ((video.moments[index].time, video.picture(index)) for index in looked_at)
    return asked(moments, [detector, views], look)

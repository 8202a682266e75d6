"""Vision: where the vehicle is, and its cut-out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging import geometry
from okla_assets.imaging.types import Rgb
from okla_assets.steps import metadata
from okla_assets.steps.batches import (
    Outputs,
    PhotoWork,
    joined,
    run_batches,
)
from okla_assets.steps.costs import Meter
from okla_assets.steps.pictures import encode_working, read_picture
from okla_assets.steps.standing import AS_IT_IS, Standing, standing
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.turns import TurnDone, TurnRows, no_turn, run_turn
from okla_assets.tables import Frame, Mask, Masks, Photo, RawPhotos, WalkaroundFrames
from okla_assets.vehicle_runs import GPU_POOL, vehicle_asset, vehicle_of
from resources.ahead import mapped
from resources.models.asking import asked, batch_size, in_batches
from resources.models.base import (
    Detection,
    Matte,
    Segmenter,
    Subject,
    TurnSegmenter,
    VehicleDetector,
    ViewClassifier,
    vehicles_of,
)
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "12"
PHOTOS_VERSION, TURN_VERSION = "10", "8"
"""Of the photos' mattes and of those of a turn: each stay where only the others have changed."""
SURE = 0.9
"""Confidence from which a photo of a cabin or of a detail is not searched for a whole vehicle."""


@vehicle_asset("vision", VERSION, {"python", "onnx"}, pool=GPU_POOL)
def masks(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    store: dg.ResourceParam[MediaStore],
    detector: dg.ResourceParam[VehicleDetector],
    segmenter: dg.ResourceParam[Segmenter],
    turn_segmenter: dg.ResourceParam[TurnSegmenter],
    views: dg.ResourceParam[ViewClassifier],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Masks]:
    """The main vehicle of each photo and frame: its box, and a soft matte where it is shown whole.

    `cut` is a matte to be trusted, `unsure` one on which the two networks disagree, `obstructed`
    one of a vehicle before which something stands; `cropped` vehicles run out of the picture, as
    those do whose cabin or engine the photo surely shows, and are not cut. Frames are cut together,
    as one turn. A photo on which vehicles surely lie on their side is turned upright first.
    """
    vehicle = vehicle_of(context)
    fingerprint = (detector.fingerprint(), segmenter.fingerprint(), views.fingerprint())
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest := digest_of("mask", PHOTOS_VERSION, photo.digest, fingerprint),
            partial(read_picture, store, photo.work_key),
            partial(keep_matte, vehicle, photo, digest),
        )
        for photo in raw_photos.photos
    ]
    done = run_batches(
        "Cutting out",
        photos,
        partial(look, detector, segmenter, views),
        (detector, segmenter, views),
        StepCache(store, vehicle, "masks", Mask),
        progress,
    )
    turn = cut_out_turn(
        vehicle, walkaround_frames.frames, store, detector, turn_segmenter, progress
    )
    table = Masks(
        rows=done.rows,
        frames=turn.rows,
        failed=done.failed,
        turn_problem=turn.problem,
        seconds=done.seconds + turn.seconds,
        gpu_seconds=done.gpu_seconds + turn.gpu_seconds,
    )
    return metadata.result(
        context,
        table,
        store,
        counts={s: sum(r.status == s for r in table.rows) for s in metadata.MASK_STATUSES}
        | {"frames": len(turn.rows), "frames_cut": sum(r.status == "cut" for r in turn.rows)},
        computed=done.computed + turn.computed,
        spent=done.spent + turn.spent,
        rows=[metadata.mask_row(p, r) for p, r in joined(raw_photos.photos, table.rows)],
        pictures=[r.matte_key for r in (*table.rows, *table.frames) if r.matte_key],
        link=keys.processed_folder(vehicle),
        extra={"turn": turn.problem} if turn.problem else {},
    )


@dataclass(frozen=True)
class Seen:
    """What the models see on one working copy of `width` and `height` pixels.

    `main` is the place in `found`, the vehicles, of the one that the photo is about; `objects` are
    what may stand before it; `cut` is its matte, where it is shown whole. `stands` says how the
    copy was turned before.
    """

    width: int
    height: int
    found: Sequence[Detection]
    objects: Sequence[Detection]
    main: int | None
    cut: Matte | None = None
    stands: Standing = AS_IT_IS


def look(
    detector: VehicleDetector,
    segmenter: Segmenter,
    views: ViewClassifier,
    pictures: Sequence[Rgb],
) -> list[Seen]:
    """The vehicles of each photo, and the main one's matte."""
    from okla_assets.imaging.matte import cutout

    found = detector.detect(pictures)
    stands = [standing(detector, p, f) for p, f in zip(pictures, found, strict=True)]
    pictures = [
        p if s.upright is None else s.upright for p, s in zip(pictures, stands, strict=True)
    ]
    seen = [
        replace(_main_of(p, s.seen(f)), stands=s)
        for p, f, s in zip(pictures, found, stands, strict=True)
    ]
    whole = {
        i: Subject.among([*s.found, *s.objects], s.main)
        for i, s in enumerate(seen)
        if s.main is not None and not cutout.fills_frame(s.found[s.main].box, s.width, s.height)
    }
    parts = show_parts(views, {i: pictures[i] for i in whole})
    whole = {i: subject for i, subject in whole.items() if i not in parts}
    if whole:
        cuts = segmenter.segment([pictures[i] for i in whole], list(whole.values()))
        for i, cut in zip(whole, cuts, strict=True):
            seen[i] = replace(seen[i], cut=cut)
    return seen


def show_parts(views: ViewClassifier, pictures: Mapping[int, Rgb]) -> set[int]:
    """The keys of the photos that surely show a cabin, an engine, a wheel: never put on a scene.

    A matte costs forty times this question.
    """
    if not pictures:
        return set()  # it would be loaded to say nothing
    shown = views.classify(list(pictures.values()), [None] * len(pictures))
    return {
        i
        for i, view in zip(pictures, shown, strict=True)
        if view.category != "exterior" and view.category_confidence >= SURE
    }


def _main_of(picture: Rgb, found: Sequence[Detection]) -> Seen:
    from okla_assets.imaging.matte import cutout

    height, width = picture.shape[:2]
    vehicles = vehicles_of(found)
    main = cutout.main_vehicle(
        [d.box for d in vehicles], [d.score for d in vehicles], width, height
    )
    return Seen(width, height, vehicles, [d for d in found if d.kind != "vehicle"], main)


def keep_matte(
    vehicle: keys.VehicleId, photo: Photo, digest: str, seen: Seen
) -> tuple[Mask, Outputs]:
    """One photo's row and its matte file."""
    from okla_assets.imaging.matte import cutout, roof
    from okla_assets.imaging.photo import codec

    if photo.projection is not None:  # what stands outside a cabin's windows is not the vehicle
        return _row(photo, digest, "no_vehicle"), {}
    others = [geometry.round_box(d.box) for i, d in enumerate(seen.found) if i != seen.main]
    stood: dict[str, object] = {"turned": seen.stands.turned, "tilt": seen.stands.tilt}
    files: dict[str, bytes] = {}
    if seen.stands.upright is not None:
        stood["upright_key"] = keys.private_file(vehicle, "masks", digest, "jpg")
        files[str(stood["upright_key"])] = encode_working(seen.stands.upright)
    if seen.main is None:
        return _row(photo, digest, "no_vehicle", other_vehicles=others, **stood), files
    box, score = seen.found[seen.main].box, seen.found[seen.main].score
    place: dict[str, object] = {
        "vehicle_box": geometry.round_box(box),
        "vehicle_score": round(score, 4),
        "other_vehicles": others,
        "other_vehicle": seen.found[seen.main].other_vehicle,
        **stood,
    }
    if seen.cut is None:
        return _row(photo, digest, "cropped", **place), files
    alpha, agreement = seen.cut.alpha, seen.cut.agreement
    place["agreement"] = _rounded(agreement)
    place |= {"part_missing": seen.cut.part_missing, "mirrors": seen.cut.mirrors}
    if cutout.runs_out(alpha):
        return _row(photo, digest, "cropped", **place), files
    slope = roof.askew(alpha > 0.5)
    place["roof_askew"] = None if slope is None else round(slope, 1)
    key = keys.work_file(vehicle, "masks", digest, "png")
    status = "cut" if cutout.trustworthy(alpha, agreement, box) else "unsure"
    if seen.cut.obstructed is not None:
        status, place["obstructed"] = "obstructed", seen.cut.obstructed
    row = _row(photo, digest, status, matte_key=key, **place)
    return row, files | {key: codec.encode_png(_as_grey(alpha))}


def cut_out_turn(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: TurnSegmenter,
    progress: Progress,
) -> TurnDone[Mask]:
    """The frames' rows, their matte files written."""
    if not frames:
        return no_turn(store, vehicle, "turn")
    title = "Cutting out the turn"
    progress.step(title, 1)
    digest = digest_of(
        "turn",
        TURN_VERSION,
        [frame.digest for frame in frames],
        (detector.fingerprint(), segmenter.fingerprint()),
    )
    meter = Meter()
    cut = partial(_cut_frames, vehicle, frames, digest, store, detector, segmenter, meter)
    turn = run_turn(title, TurnRows[Mask], digest, cut, store, vehicle, "turn", meter)
    progress.advance("the turn")
    return turn


def _cut_frames(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    digest: str,
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: TurnSegmenter,
    meter: Meter,
) -> tuple[list[Mask], Outputs]:
    """One row a frame, and the matte files."""
    from okla_assets.imaging.matte import cutout
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.turn import propagation

    pictures = mapped(frames, lambda frame: read_picture(store, frame.work_key), "frames")
    with meter.at_work(detector):
        batches = in_batches(pictures, batch_size([detector]))
        found = [here for answer in asked(batches, [detector], detector.detect) for here in answer]
    seen = [_main_of(picture, here) for picture, here in zip(pictures, found, strict=True)]
    mains = [None if s.main is None else s.found[s.main] for s in seen]
    tracked = propagation.tracked_boxes([None if d is None else d.box for d in mains])
    whole = [
        i
        for i, (box, picture) in enumerate(zip(tracked, pictures, strict=True))
        if box is not None and not cutout.fills_frame(box, picture.shape[1], picture.shape[0])
    ]
    with meter.at_work(segmenter):
        cut = segmenter.segment_turn(
            [pictures[i] for i in whole], [box for i in whole if (box := tracked[i]) is not None]
        )
    mattes = dict(zip(whole, cut, strict=True))
    rows: list[Mask] = []
    outputs: dict[str, bytes] = {}
    for i, (frame, box) in enumerate(zip(frames, tracked, strict=True)):
        own, main = digest_of("turn-matte", digest, frame.number), mains[i]
        others = [
            geometry.round_box(d.box) for n, d in enumerate(seen[i].found) if n != seen[i].main
        ]
        if box is None:
            rows.append(_row(frame, own, "no_vehicle", other_vehicles=others))
            continue
        place: dict[str, object] = {
            "vehicle_box": geometry.round_box(box),
            "vehicle_score": 0.0 if main is None else round(main.score, 4),
            "other_vehicles": others,
        }
        if i in mattes:
            place["agreement"] = _rounded(mattes[i].agreement)
        if i not in mattes or cutout.runs_out(mattes[i].alpha):
            rows.append(_row(frame, own, "cropped", **place))
            continue
        trusted = cutout.trustworthy(mattes[i].alpha, mattes[i].agreement, box)
        key = keys.work_file(vehicle, "turn", own, "png")
        outputs[key] = codec.encode_png(_as_grey(mattes[i].alpha))
        rows.append(_row(frame, own, "cut" if trusted else "unsure", matte_key=key, **place))
    return rows, outputs


def _rounded(agreement: float | None) -> float | None:
    return None if agreement is None else round(agreement, 4)


def _row(photo: Photo | Frame, digest: str, status: str, **fields: object) -> Mask:
    optional = ("vehicle_box", "vehicle_score", "matte_key", "agreement", "obstructed")
    empty = dict.fromkeys(optional)
    return Mask.model_validate(
        {**empty, **fields, "number": photo.number, "status": status, "digest": digest}
    )


def _as_grey(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(alpha * 255).astype(np.uint8)

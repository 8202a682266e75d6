"""Vision: where the vehicle is, and its cut-out."""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import numpy as np
import numpy.typing as npt

from okla_assets import keys, pools, previews
from okla_assets.contract import (
    Box,
    Frame,
    Mask,
    Masks,
    Photo,
    RawPhotos,
    WalkaroundFrames,
)
from okla_assets.imaging import geometry
from okla_assets.partitions import vehicle_of, vehicles
from okla_assets.per_photo import Done, Job, Outputs, Turn, no_turn, run_jobs, run_turn
from okla_assets.step_cache import StepCache, digest_of
from resources.media_store import MediaStore
from resources.models.base import Segmenter, TurnSegmenter, VehicleDetector
from resources.progress import Progress

VERSION = "2"


@dg.asset(
    partitions_def=vehicles,
    group_name="vision",
    code_version=VERSION,
    kinds={"python", "onnx"},
    owners=["team:media"],
    pool=pools.GPU,
)
def masks(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    store: dg.ResourceParam[MediaStore],
    detector: dg.ResourceParam[VehicleDetector],
    segmenter: dg.ResourceParam[Segmenter],
    turn_segmenter: dg.ResourceParam[TurnSegmenter],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[Masks]:
    """The main vehicle of each photo and frame: its box, and a soft matte where it is shown whole.

    `cut` is a matte to be trusted, `unsure` one on which the two networks disagree; `cropped`
    vehicles run out of the picture and are not cut. Frames are cut together, as one turn.
    """
    vehicle = vehicle_of(context)
    fingerprint = (detector.fingerprint(), segmenter.fingerprint())
    jobs = [
        Job(
            photo.number,
            photo.name,
            digest := digest_of("mask", VERSION, photo.digest, fingerprint),
            partial(cut_out, vehicle, photo, digest, store, detector, segmenter),
        )
        for photo in raw_photos.photos
    ]
    done = run_jobs("Cutting out", jobs, StepCache(store, vehicle, "masks", Mask), progress)
    turn = cut_out_turn(
        vehicle, walkaround_frames.frames, store, detector, turn_segmenter, progress
    )
    table = Masks(rows=done.rows, frames=turn.rows)
    return previews.result(
        context,
        table,
        store,
        counts={s: sum(r.status == s for r in table.rows) for s in previews.MASK_STATUSES}
        | {"frames": len(turn.rows), "frames_cut": sum(r.status == "cut" for r in turn.rows)},
        computed=done.computed + turn.computed,
        seconds=done.seconds + turn.seconds,
        rows=[previews.mask_row(p, r) for p, r in zip(raw_photos.photos, table.rows, strict=True)],
        pictures=[r.matte_key for r in (*table.rows, *table.frames) if r.matte_key],
        link=keys.processed_folder(vehicle),
    )


def cut_out(
    vehicle: keys.VehicleId,
    photo: Photo,
    digest: str,
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: Segmenter,
) -> tuple[Mask, Outputs]:
    """One photo's row and its matte file."""
    from okla_assets.imaging import codec, matte

    picture = codec.decode_own(store.get(photo.work_key))
    height, width = picture.shape[:2]
    (found,) = detector.detect([picture])
    main = matte.main_vehicle([d.box for d in found], [d.score for d in found], width, height)
    others = [_in_source(d.box, photo, width) for i, d in enumerate(found) if i != main]
    if main is None:
        return _row(photo, digest, "no_vehicle", other_vehicles=others), {}
    box, score = found[main].box, found[main].score
    place: dict[str, object] = {
        "vehicle_box": _in_source(box, photo, width),
        "vehicle_score": round(score, 4),
        "other_vehicles": others,
    }
    if matte.fills_frame(box, width, height):
        return _row(photo, digest, "cropped", **place), {}
    (cut,) = segmenter.segment([picture], [box])
    place["agreement"] = _rounded(cut.agreement)
    if matte.runs_out(cut.alpha):
        return _row(photo, digest, "cropped", **place), {}
    trusted = matte.trustworthy(cut.alpha, cut.agreement, box)
    key = keys.work_file(vehicle, "masks", digest, "png")
    row = _row(photo, digest, "cut" if trusted else "unsure", matte_key=key, **place)
    return row, {key: codec.encode_png(_as_grey(cut.alpha))}


def cut_out_turn(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: TurnSegmenter,
    progress: Progress,
) -> Done[Mask]:
    """The frames' rows, their matte files written."""
    if not frames:
        return no_turn(store, vehicle, "turn")
    progress.step("Cutting out the turn", 1)
    digest = digest_of(
        "turn",
        VERSION,
        [frame.digest for frame in frames],
        (detector.fingerprint(), segmenter.fingerprint()),
    )
    cut = partial(_cut_frames, vehicle, frames, digest, store, detector, segmenter)
    turn = run_turn(Turn[Mask], digest, cut, store, vehicle, "turn")
    progress.advance("the turn")
    return turn


def _cut_frames(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    digest: str,
    store: MediaStore,
    detector: VehicleDetector,
    segmenter: TurnSegmenter,
) -> tuple[list[Mask], Outputs]:
    """One row a frame, and the matte files."""
    from okla_assets.imaging import codec, matte, turn_mattes

    pictures = [codec.decode_own(store.get(frame.work_key)) for frame in frames]
    boxes: list[Box | None] = []
    scores: list[float] = []
    others: list[list[Box]] = []
    for picture in pictures:
        height, width = picture.shape[:2]
        (found,) = detector.detect([picture])
        main = matte.main_vehicle([d.box for d in found], [d.score for d in found], width, height)
        boxes.append(None if main is None else found[main].box)
        scores.append(0.0 if main is None else found[main].score)
        others.append([geometry.round_box(d.box) for i, d in enumerate(found) if i != main])
    tracked = turn_mattes.tracked_boxes(boxes)
    whole = [
        i
        for i, (box, picture) in enumerate(zip(tracked, pictures, strict=True))
        if box is not None and not matte.fills_frame(box, picture.shape[1], picture.shape[0])
    ]
    cut = segmenter.segment_turn(
        [pictures[i] for i in whole], [box for i in whole if (box := tracked[i]) is not None]
    )
    mattes = dict(zip(whole, cut, strict=True))
    rows: list[Mask] = []
    outputs: dict[str, bytes] = {}
    for i, (frame, box) in enumerate(zip(frames, tracked, strict=True)):
        own = digest_of("turn-matte", digest, frame.number)
        if box is None:
            rows.append(_row(frame, own, "no_vehicle", other_vehicles=others[i]))
            continue
        place: dict[str, object] = {
            "vehicle_box": geometry.round_box(box),
            "vehicle_score": round(scores[i], 4),
            "other_vehicles": others[i],
        }
        if i in mattes:
            place["agreement"] = _rounded(mattes[i].agreement)
        if i not in mattes or matte.runs_out(mattes[i].alpha):
            rows.append(_row(frame, own, "cropped", **place))
            continue
        trusted = matte.trustworthy(mattes[i].alpha, mattes[i].agreement, box)
        key = keys.work_file(vehicle, "turn", own, "png")
        outputs[key] = codec.encode_png(_as_grey(mattes[i].alpha))
        rows.append(_row(frame, own, "cut" if trusted else "unsure", matte_key=key, **place))
    return rows, outputs


def _rounded(agreement: float | None) -> float | None:
    return None if agreement is None else round(agreement, 4)


def _row(photo: Photo | Frame, digest: str, status: str, **fields: object) -> Mask:
    empty = dict.fromkeys(("vehicle_box", "vehicle_score", "matte_key", "agreement"))
    return Mask.model_validate(
        {
            **empty,
            **fields,
            "number": photo.number,
            "status": status,
            "digest": digest,
            "seconds": 0,
        }
    )


def _in_source(box: Box, photo: Photo, working_width: int) -> Box:
    """A box on the working copy, in pixels of the upright source."""
    return geometry.round_box(geometry.move_box(box, photo.width / working_width))


def _as_grey(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(alpha * 255).astype(np.uint8)

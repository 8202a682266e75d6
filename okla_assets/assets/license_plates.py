"""Vision: where licence plates and faces are, and each photo without them.

From here on nobody reads a picture as the seller took it: studio, spin, video and every preview are
made of the masked copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import dagster as dg

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging import geometry
from okla_assets.imaging.types import Alpha, Box, Rgb
from okla_assets.steps import metadata
from okla_assets.steps.batches import Outputs, PhotoWork, joined, run_batches
from okla_assets.steps.costs import Meter
from okla_assets.steps.frame_plates import find_on_frames
from okla_assets.steps.panoramas import find_around
from okla_assets.steps.pictures import read_matte
from okla_assets.steps.plate_masking import (
    Masking,
    carrier,
    choose_masking,
    is_certainly_interior,
    masked_copy,
    vehicle_boxes,
)
from okla_assets.steps.plate_search import (
    Finders,
    Sighting,
    TurnedView,
    search,
    turned_views,
    without_repeats,
)
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.turns import TurnDone, TurnRows, no_turn, run_turn
from okla_assets.tables import (
    Classification,
    Classifications,
    FoundPlate,
    Frame,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    RawPhotos,
    WalkaroundFrames,
)
from okla_assets.vehicle_runs import GPU_POOL, vehicle_asset, vehicle_of
from resources.models.base import FaceDetector, FaceFound, PlateDetector
from resources.progress import Progress
from resources.storage.media_store import MediaStore

VERSION = "10"


@vehicle_asset("vision", VERSION, {"python", "onnx"}, pool=GPU_POOL)
def license_plates(
    context: dg.AssetExecutionContext,
    raw_photos: RawPhotos,
    walkaround_frames: WalkaroundFrames,
    masks: Masks,
    classifications: Classifications,
    store: dg.ResourceParam[MediaStore],
    plate_detector: dg.ResourceParam[PlateDetector],
    quick_plate_detector: dg.ResourceParam[PlateDetector],
    face_detector: dg.ResourceParam[FaceDetector],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[LicensePlates]:
    """The licence plates and faces of each photo and frame, and a copy without them.

    Plates of other cars are masked too, and so are cards and covers in a plate's place: whoever
    masks one too many loses nothing. Everything after this step sees only the masked copies. On
    frames, a plate that is missed on one is masked from its neighbours. People's faces are blurred
    unless the options say otherwise.
    """
    vehicle = vehicle_of(context)
    masking, problems = choose_masking(raw_photos.options, store)
    faces = face_detector if raw_photos.options.blur_faces else None
    finders = Finders(plate_detector, quick_plate_detector)
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest := digest_of(
                "plates",
                VERSION,
                photo.digest,
                mask.digest,
                (view.category, view.category_confidence),
                finders.fingerprint,
                None if faces is None else faces.fingerprint(),
                masking.fingerprint,
            ),
            partial(read, photo, mask, view, store),
            partial(mask_photo, vehicle, photo, digest, masking),
        )
        for photo, mask, view in joined(
            upright_photos(raw_photos.photos, masks.rows), masks.rows, classifications.rows
        )
    ]
    done = run_batches(
        "Masking plates",
        photos,
        partial(find_plates, finders, faces),
        (plate_detector,),
        StepCache(store, vehicle, "plates", PhotoPlates),
        progress,
        also=(quick_plate_detector, *([] if faces is None else [faces])),
    )
    turn = mask_frames(
        vehicle,
        walkaround_frames.frames if masks.turn_problem is None else (),
        masks.frames,
        masking,
        store,
        plate_detector,
        quick_plate_detector,
        faces,
        progress,
    )
    table = LicensePlates(
        style=masking.style,
        problems=problems,
        rows=done.rows,
        frames=turn.rows,
        failed=done.failed,
        turn_problem=turn.problem,
        seconds=done.seconds + turn.seconds,
        gpu_seconds=done.gpu_seconds + turn.gpu_seconds,
    )
    plates = [plate for row in table.rows for plate in row.plates]
    return metadata.result(
        context,
        table,
        store,
        counts={
            "plates": len(plates),
            "photos_with_plates": sum(bool(row.plates) for row in table.rows),
            "plates_of_other_cars": sum(plate.vehicle != "main" for plate in plates),
            "frames_with_plates": sum(bool(row.plates) for row in turn.rows),
            "faces": sum(len(row.faces) for row in table.rows),
            "frames_with_faces": sum(bool(row.faces) for row in turn.rows),
        },
        computed=done.computed + turn.computed,
        spent=done.spent + turn.spent,
        rows=[metadata.plate_row(p, r) for p, r in joined(raw_photos.photos, table.rows)],
        pictures=[]
        if masking.style == "none"
        else [row.masked_key for row in (*table.rows, *table.frames)],
        link=keys.work_folder(vehicle, "plates"),
        extra={"style": masking.style, "problems": "\n".join(problems) or "none"}
        | ({"turn": turn.problem} if turn.problem else {}),
    )


def mask_frames(
    vehicle: keys.VehicleId,
    frames: Sequence[Frame],
    masks: Sequence[Mask],
    masking: Masking,
    store: MediaStore,
    detector: PlateDetector,
    quick: PlateDetector,
    faces: FaceDetector | None,
    progress: Progress,
) -> TurnDone[PhotoPlates]:
    """The frames' rows, their masked copies written."""
    if not frames:
        return no_turn(store, vehicle, "frame_plates")
    title = "Masking plates of the turn"
    progress.step(title, len(frames))
    digest = digest_of(
        "frame-plates",
        VERSION,
        [(frame.digest, mask.digest) for frame, mask in zip(frames, masks, strict=True)],
        (detector.fingerprint(), quick.fingerprint()),
        None if faces is None else faces.fingerprint(),
        masking.fingerprint,
    )
    meter = Meter()
    covering = replace(masking, on_frames=True)
    find = partial(
        find_on_frames,
        *(vehicle, frames, masks, digest, covering, store, detector, quick, faces),
        *(meter, progress.advance),
    )
    kept = "frame_plates"
    return run_turn(title, TurnRows[PhotoPlates], digest, find, store, vehicle, kept, meter)


@dataclass(frozen=True)
class Readable:
    """A photo as taken: its working copy (JPEG) and that one's pixels, vehicles and matte.

    It is searched in `views` beside the one as it is.
    """

    copy: bytes
    picture: Rgb
    vehicles: list[Box]
    alpha: Alpha | None
    views: Sequence[TurnedView]
    is_panorama: bool
    is_certainly_interior: bool


def read(photo: Photo, mask: Mask, view: Classification, store: MediaStore) -> Readable:
    """One photo, ready for the detector."""
    from okla_assets.imaging.photo import codec

    copy = store.get(photo.work_key)
    alpha = None if mask.matte_key is None else read_matte(store, mask.matte_key)
    picture, interior = codec.decode_trusted(copy), is_certainly_interior(view)
    around = view.projection is not None
    views = turned_views(mask, (picture.shape[0], picture.shape[1]), interior, around=around)
    return Readable(copy, picture, vehicle_boxes(mask), alpha, views, around, interior)


def find_plates(
    finders: Finders, faces: FaceDetector | None, photos: Sequence[Readable]
) -> list[tuple[Readable, list[Sighting], list[FaceFound]]]:
    """The candidates on each photo, and the faces, where they are to be blurred."""
    flat = [photo for photo in photos if not photo.is_panorama]
    pictures = [photo.picture for photo in flat]
    found = search(finders, pictures, [p.vehicles for p in flat], [p.views for p in flat])
    people = [[] for _ in flat] if faces is None else faces.detect(pictures)
    seen = iter(zip(found, people, strict=True))
    return [
        (photo, *(find_around(finders, faces, photo.picture) if photo.is_panorama else next(seen)))
        for photo in photos
    ]


def mask_photo(
    vehicle: keys.VehicleId,
    photo: Photo,
    digest: str,
    masking: Masking,
    found_on: tuple[Readable, Sequence[Sighting], Sequence[FaceFound]],
) -> tuple[PhotoPlates, Outputs]:
    """One photo's row and its masked copy."""
    import numpy as np

    from okla_assets.imaging import plates

    shown, candidates, people = found_on
    interior = shown.is_certainly_interior
    accepted = without_repeats([c for c in candidates if c.is_plate(interior)])
    quads = [plate.quad for plate in accepted]
    suspects = [
        candidate
        for candidate in candidates
        if plates.suspicious(*candidate.judged(interior))
        and not plates.lies_on(np.array(candidate.quad, np.float32), quads)
    ]

    def as_found(sighting: Sighting) -> FoundPlate:
        return FoundPlate(
            quad=geometry.round_quad(sighting.quad),
            confidence=round(sighting.found.score, 4),
            vehicle=carrier(plates.owner(sighting.box, shown.vehicles, shown.alpha)),
        )

    row = PhotoPlates(
        number=photo.number,
        plates=tuple(map(as_found, accepted)),
        suspects=tuple(map(as_found, suspects)),
        faces=tuple(geometry.round_box(face.box) for face in people),
        masked_key=keys.work_file(vehicle, "plates", digest, "jpg"),
        digest=digest,
    )
    masked = masked_copy(shown.copy, shown.picture, quads, masking, row.faces)
    return row, {row.masked_key: masked}

"""Delivery: the 360 set, out of the walk-around video or of exterior photos."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from okla_assets import keys
from okla_assets.assets.composites import VERSION as MEASURED_BY
from okla_assets.digests import digest_of
from okla_assets.imaging import geometry
from okla_assets.imaging.photo.correction import Measured
from okla_assets.options import StudioOptions
from okla_assets.steps import metadata
from okla_assets.steps.batches import (
    Outputs,
    Pictures,
    joined,
    with_failures,
    without_failing,
)
from okla_assets.steps.drafts import LeakSearch
from okla_assets.steps.looks import look_of_searched
from okla_assets.steps.plate_masking import choose_masking, options_used
from okla_assets.steps.plate_search import Finders
from okla_assets.steps.set_colour import measured_exteriors
from okla_assets.steps.standing import upright_photos
from okla_assets.steps.step_cache import StepCache
from okla_assets.steps.turn_leaks import FinishedFrame, searched_turn
from okla_assets.steps.turn_pictures import SpinPictures, choose_pictures
from okla_assets.steps.turning import pixels_of, turning_of
from okla_assets.steps.web_pictures import sizes_of_frame
from okla_assets.tables import (
    Classifications,
    Composites,
    LicensePlates,
    Masks,
    RawPhotos,
    SizedPicture,
    SpinFrame,
    SpinFrames,
    WalkaroundFrames,
)
from okla_assets.vehicle_runs import vehicle_asset, vehicle_of
from resources.models.base import PlateDetector, TextReader
from resources.models.onnx import usable_cores
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.studio import Look
    from okla_assets.imaging.types import Rgb

VERSION = "14"
TITLE = "Turning"
MOST_MEASURED = 12
"""Pictures that the turn's one exposure is measured on."""


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
    plate_detector: dg.ResourceParam[PlateDetector],
    quick_plate_detector: dg.ResourceParam[PlateDetector],
    plate_reader: dg.ResourceParam[TextReader],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[SpinFrames]:
    """The turn of the vehicle in the studio: equal pictures in one light, from front-quarter on.

    It is made of the walk-around video, or of exterior photos where they go all round the vehicle;
    otherwise there is none, and the reason. Photos fill wide gaps of the video. Finished frames are
    searched for plates as photos are: what is found is covered, and a frame on which a plate can be
    read all the same is left out.
    """
    vehicle = vehicle_of(context)
    began = time.perf_counter()
    cache = StepCache(store, vehicle, "spin", SpinFrames)

    options = options_used(raw_photos.options, license_plates.style)
    search = LeakSearch(
        Finders(plate_detector, quick_plate_detector),
        plate_reader,
        choose_masking(options, store)[0],
    )
    look = look_of_searched(options, composites.room, search.masking, store)
    rows = list(
        joined(
            upright_photos(raw_photos.photos, masks.rows),
            masks.rows,
            classifications.rows,
            license_plates.rows,
        )
    )

    def attempt(left_out: Pictures) -> tuple[SpinFrames, int]:
        tables = walkaround_frames, masks, classifications, license_plates, composites
        pictures = choose_pictures(*tables, left_out)
        if pictures.rows and composites.room.withheld is not None:
            reason = f"the scene is kept back: {composites.room.withheld}"
            return NO_SPIN.model_copy(update={"reason": reason, "problems": (reason,)}), 0
        photos: list[Measured] = []
        if options.auto_enhance and pictures.made_from == "video":
            photos = measured_exteriors(vehicle, rows, store, progress, MEASURED_BY)
        studio = Studio(options, look, search, photos)
        return make_spin(vehicle, pictures, studio, store, cache, progress)

    (table, computed), failures = without_failing(TITLE, attempt)
    cache.prune()
    table = with_failures(table, TITLE, failures)
    return metadata.result(
        context,
        table,
        store,
        counts={
            "frames": len(table.frames),
            "from_photos": sum(frame.from_photo for frame in table.frames),
            "plates_covered_late": sum(len(frame.late) for frame in table.frames),
            "kept_back": table.withheld,
        },
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
            "problems": "\n".join(table.problems) or "none",
        },
    )


@dataclass(frozen=True)
class Studio:
    """What finishes the pictures of a turn: look, options, plate search and the photos' colours."""

    options: StudioOptions
    look: "Look"
    search: LeakSearch
    photos: Sequence[Measured]

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints finish alike."""
        return (
            self.options.of_turn,
            self.look.scene.digest,
            (self.search.fingerprint, self.search.masking.fingerprint),
            digest_of(self.photos),
        )


def make_spin(
    vehicle: keys.VehicleId,
    pictures: SpinPictures,
    studio: Studio,
    store: MediaStore,
    cache: StepCache[SpinFrames],
    progress: Progress,
) -> tuple[SpinFrames, int]:
    """The table, its files written; and how many pictures had to be made.

    Raises PictureFailed.
    """
    from okla_assets.imaging.turn import spin

    progress.step(TITLE, len(pictures.rows))
    if not pictures.rows:
        return NO_SPIN.model_copy(update={"reason": pictures.reason}), 0
    digest = digest_of(
        "spin",
        VERSION,
        [row.fingerprint for row in pictures.rows],
        pictures.made_from,
        studio.fingerprint,
    )
    entry, computed = cache.get(digest), 0
    if entry is None:
        began = time.perf_counter()
        fresh, outputs = turn_in_studio(vehicle, pictures, studio, store, progress)
        entry = cache.put(digest, fresh, outputs, time.perf_counter() - began)
        computed = len(fresh.frames)
    table = entry.row.model_copy(update={"seconds": entry.seconds})
    if table.made_from == "video":  # photos are steps of a turn, as the seller took them
        flaws = spin.flaws([frame.azimuth_deg for frame in table.frames])
        table = table.model_copy(update={"problems": (*table.problems, *flaws)})
    return table, computed


NO_SPIN = SpinFrames(made_from=None, frames=(), width=0, height=0, gaps=(), reason=None)


def turn_in_studio(
    vehicle: keys.VehicleId,
    pictures: SpinPictures,
    studio: Studio,
    store: MediaStore,
    progress: Progress,
) -> tuple[SpinFrames, Outputs]:
    """The table and its pictures as JPEG, by key. Raises PictureFailed."""
    from okla_assets.imaging.photo import codec, set_colour
    from okla_assets.imaging.turn import spin, walkaround

    rows, options = pictures.rows, studio.options
    turn = turning_of(rows, options.max_width, options.aspect_ratio, store)
    correction = None
    frames = [row for row in rows if row.kind == "frame"]
    if options.auto_enhance and frames:
        some = frames[:: -(-len(frames) // MOST_MEASURED)]
        measured = [set_colour.measure(*pixels_of(row, store)) for row in some]
        correction = set_colour.solve_turn(measured, studio.photos)

    def finished(position: int) -> FinishedFrame:
        row = rows[position]
        picture = turn.finished(position, correction, studio.look, options, store)
        progress.advance(f"frame {position + 1}")
        return turn.shown(position, picture, row)

    def encode(position: int, picture: "Rgb") -> tuple[tuple[SizedPicture, ...], Outputs]:
        whole = codec.encode_jpeg(picture, options.output_quality)
        sizes, files = sizes_of_frame(vehicle, position, picture)
        return sizes, {keys.spin_frame(vehicle, position): whole, **files}

    with ThreadPoolExecutor(min(4, usable_cores())) as workers:
        made = list(workers.map(finished, range(len(rows))))
        searched = searched_turn(made, studio.search)
        kept = [i for i, frame in enumerate(searched) if not frame.readable]
        if len(kept) < spin.FEWEST or not spin.closes([rows[i].azimuth for i in kept]):
            reason = f"a plate can be read on {len(rows) - len(kept)} frames of the 360 view"
            return NO_SPIN.model_copy(update={"reason": reason, "problems": (reason,)}), {}
        pictures_of = [searched[i].picture for i in kept]
        encoded = list(workers.map(encode, range(1, len(kept) + 1), pictures_of))
    outputs = {key: data for _, files in encoded for key, data in files.items()}
    problems = []
    if len(kept) < len(rows):
        lost = len(rows) - len(kept)
        problems.append(f"{lost} frames of the 360 view are kept back: a plate can be read")
    table = SpinFrames(
        made_from=pictures.made_from,
        frames=tuple(
            SpinFrame(
                key=keys.spin_frame(vehicle, position),
                azimuth_deg=rows[i].azimuth,
                source=rows[i].number,
                from_photo=rows[i].kind == "photo",
                move=turn.canvas.moves[i],
                late=tuple(geometry.round_quad(quad) for quad in searched[i].covered),
                sizes=sizes,
            )
            for position, (i, (sizes, _)) in enumerate(zip(kept, encoded, strict=True), 1)
        ),
        width=turn.canvas.width,
        height=turn.canvas.height,
        gaps=walkaround.gaps_of([rows[i].azimuth for i in kept]),
        reason=None,
        problems=tuple(problems),
        withheld=len(rows) - len(kept),
        correction=correction,
    )
    return table, outputs

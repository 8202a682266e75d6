"""A job's result, read from the tables that its run has left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import (
    DrawnFile,
    JobResult,
    PhotoResult,
    Problem,
    SpinFrameResult,
    SpinResult,
)
from okla_assets.steps.corrected import corrected_copy
from okla_assets.steps.pictures import encode_finished
from okla_assets.steps.plate_masking import options_used
from okla_assets.steps.standing import upright_photos
from okla_assets.tables import (
    Classification,
    Classifications,
    Composite,
    Composites,
    LicensePlates,
    Mask,
    Masks,
    Photo,
    PhotoPlates,
    PhotoRow,
    RawPhotos,
    SpinFrames,
    Table,
)
from resources.storage.media_store import MediaStore
from resources.storage.table_io import read_table

TYPES: Mapping[str, str] = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}

_OF_VIEW = (
    "category",
    "category_confidence",
    "angle",
    "angle_confidence",
    "side",
    "azimuth_deg",
)

TableT = TypeVar("TableT", bound=Table)
RowT = TypeVar("RowT", bound=PhotoRow)


@dataclass(frozen=True)
class Made:
    """What a run for an operation has made of a vehicle, by the photos' numbers."""

    store: MediaStore
    vehicle: keys.VehicleId
    operation: Operation
    raw: RawPhotos
    masks: Mapping[int, Mask] = field(default_factory=dict)
    views: Mapping[int, Classification] = field(default_factory=dict)
    plates: Mapping[int, PhotoPlates] = field(default_factory=dict)
    finished: Mapping[int, Composite] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    spin: SpinFrames | None = None
    listing: Listing | None = None

    @classmethod
    def of(cls, vehicle: keys.VehicleId, operation: Operation, store: MediaStore) -> "Made":
        """Reads the tables of the assets that the operation needs, and no others: a table of an
        earlier run would tell of other photos."""

        def table(asset: str, kind: type[TableT]) -> TableT:
            return read_table(store, keys.table(vehicle, asset), kind)

        raw, masks = table("raw_photos", RawPhotos), table("masks", Masks)
        # From here on a photo on its side is meant as it was turned upright.
        raw = raw.model_copy(update={"photos": tuple(upright_photos(raw.photos, masks.rows))})
        tables: list[Table] = [raw, masks]
        views = plates = finished = None
        if operation is not Operation.cut_out:
            tables.append(views := table("classifications", Classifications))
        if operation not in (Operation.cut_out, Operation.segment, Operation.classify):
            tables.append(plates := table("license_plates", LicensePlates))
            raw = raw.model_copy(update={"options": options_used(raw.options, plates.style)})
        if plates is not None and operation is not Operation.mask_plate:
            tables.append(finished := table("composites", Composites))
        spin = listing = None
        if not operation.is_quick:
            spin = table("spin_frames", SpinFrames)
            listing = Listing.model_validate_json(store.get(keys.listing(vehicle)))
        return cls(
            store,
            vehicle,
            operation,
            raw,
            _by_number(masks.rows),
            _by_number(views.rows if views else ()),
            _by_number(plates.rows if plates else ()),
            _by_number(finished.rows if finished else ()),
            {one.number: one.detail for each in tables for one in each.failed},
            spin,
            listing,
        )


def result_of(
    job: Job, made: Made, drawn: Mapping[int, DrawnFile | Problem]
) -> JobResult | Problem:
    """What came of the job; a problem where nothing of it can be used.

    `drawn` are the cut-outs of its sources, by index.
    """
    photos = []
    behind = None if job.request.cut_out is None else job.request.cut_out.background_source
    for source, key in enumerate(job.uploads):
        video = job.request.sources[source].video or _is_video(key, job)
        if video or source == behind:
            continue
        known = drawn.get(source)
        if key is None:
            photos.append(_refused(source, job.refusals[source]))
        elif isinstance(known, Problem) and made.operation is Operation.cut_out:
            photos.append(_refused(source, known))
        else:
            cut = known if isinstance(known, DrawnFile) else None
            photos.append(_photo(source, key, job, made, cut))
    listing = made.listing
    result = JobResult(
        photos=tuple(photos),
        spin=_spin(made),
        spin_reason=None if listing is None else listing.spin_reason,
        reasons=() if listing is None else listing.reasons,
    )
    return _problem(job, result) or result


def _is_video(key: str | None, job: Job) -> bool:
    return key is not None and key.startswith(keys.raw_videos(job.vehicle_id))


def _problem(job: Job, result: JobResult) -> Problem | None:
    if job.request.operation is Operation.spin and result.spin is None:
        refused = next((p for p in job.refusals.values()), None)
        return refused or result.no_spin
    bad = [photo for photo in result.photos if photo.refusal is not None]
    if result.photos and len(bad) == len(result.photos):
        return Problem(code=str(bad[0].refusal), detail=str(bad[0].detail))
    return None


def _photo(source: int, key: str, job: Job, made: Made, drawn: DrawnFile | None) -> PhotoResult:
    photo = next((one for one in made.raw.photos if one.source_key == key), None)
    if photo is None:
        refused = next((one for one in made.raw.refused if one.source_key == key), None)
        if refused is None:
            return _refused(source, Problem(code="not_media", detail=f"{key} is no photo"))
        return _refused(source, Problem(code=refused.reason, detail=refused.detail))
    number = photo.number
    if number in made.failed:
        return _refused(source, Problem(code="step_failed", detail=made.failed[number]))
    mask, view = made.masks.get(number), made.views.get(number)
    plates, finished = made.plates.get(number), made.finished.get(number)
    if finished is not None and finished.withheld is not None:
        return _refused(source, Problem(code="withheld", detail=finished.withheld))
    result = PhotoResult(
        source=source,
        picture=drawn or _picture(job, photo, made),
        matte=_matte(job, photo, made),
        plates=None if plates is None else len(plates.plates),
    )
    told: dict[str, object] = {}
    if mask is not None:
        told |= {"vehicle_box": _scaled(mask, photo), "mask": mask.status}
    if view is not None:
        told |= {name: getattr(view, name) for name in _OF_VIEW}
        told |= {"quality": view.quality.score, "issues": view.quality.issues}
    if finished is not None:
        told |= {"treatment": finished.treatment, "treatment_reason": finished.reason}
        told |= {"thumbnail_key": finished.thumbnail_key}
    return result.model_copy(update=told)


def _picture(job: Job, photo: Photo, made: Made) -> DrawnFile | None:
    """The finished picture of the operation; None where it makes none."""
    operation, number = job.request.operation, photo.number
    if operation in (Operation.mask_plate, Operation.correct_colours):
        return _drawn_copy(job, photo, made)
    finished = made.finished.get(number)
    if finished is None or finished.processed_key is None:
        return None
    width, height = finished.processed_size or (0, 0)
    kind = TYPES[keys.suffix_of(finished.processed_key)]
    return DrawnFile(key=finished.processed_key, type=kind, width=width, height=height)


def _drawn_copy(job: Job, photo: Photo, made: Made) -> DrawnFile:
    """The whole photo without plates, in corrected colours where those were asked for."""
    from okla_assets.imaging.photo import codec
    from okla_assets.steps.pictures import read_picture

    plates, options = made.plates[photo.number], made.raw.options
    picture = read_picture(made.store, plates.masked_key)
    if job.request.operation is Operation.correct_colours:
        correction = made.finished[photo.number].correction
        picture = corrected_copy(picture, correction, [p.quad for p in plates.plates], options)
    picture = codec.fit_within(picture, options.max_width)
    kind = options.output_format
    name = f"{photo.source_key.rpartition('/')[2].partition('.')[0]}.{kind}"
    key = keys.job_file(job.job_id, name)
    made.store.put(key, encode_finished(picture, options), TYPES[kind])
    return DrawnFile(key=key, type=TYPES[kind], width=picture.shape[1], height=picture.shape[0])


def _matte(job: Job, photo: Photo, made: Made) -> DrawnFile | None:
    """The vehicle's matte at the size of the upright photo, where the operation asks for it."""
    from okla_assets.imaging.photo import codec

    finished = made.finished.get(photo.number)
    if finished is not None and finished.mask_key is not None:
        key = finished.mask_key
    else:
        mask = made.masks.get(photo.number)
        if made.operation is not Operation.segment or mask is None or mask.matte_key is None:
            return None
        grey = codec.decode_gray(made.store.get(mask.matte_key))
        name = f"{photo.source_key.rpartition('/')[2].partition('.')[0]}-mask.png"
        key = keys.job_file(job.job_id, name)
        data = codec.encode_png(codec.resize(grey, photo.width, photo.height))
        made.store.put(key, data, TYPES["png"])
    return DrawnFile(key=key, type=TYPES["png"], width=photo.width, height=photo.height)


def _spin(made: Made) -> SpinResult | None:
    spin, listing = made.spin, made.listing
    if spin is None or listing is None or listing.spin is None:
        return None
    frames = tuple(
        SpinFrameResult(
            key=frame.key,
            thumbnail_key=frame.sizes[0].key if frame.sizes else frame.key,
            azimuth_deg=frame.azimuth_deg,
        )
        for frame in spin.frames
    )
    return SpinResult(
        frames=frames, viewer_key=listing.spin.viewer_key, width=spin.width, height=spin.height
    )


def _refused(source: int, problem: Problem) -> PhotoResult:
    return PhotoResult(source=source, refusal=problem.code, detail=problem.detail)


def _scaled(mask: Mask, photo: Photo) -> tuple[float, float, float, float] | None:
    """The vehicle's box in pixels of the upright photo."""
    if mask.vehicle_box is None:
        return None
    x, y, width, height = (side * photo.scale for side in mask.vehicle_box)
    return x, y, width, height


def _by_number(rows: tuple[RowT, ...]) -> Mapping[int, RowT]:
    return {row.number: row for row in rows}

"""What OKLA's HTTP contracts have in common: jobs asked for, told of, cancelled and tried again."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import PROBLEM_JSON, TITLES, DoorError
from okla_assets.doors.jobs.record import NAMESPACE, PROGRESS, Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import SpinResult
from okla_assets.doors.okla.models import DeliveryTold, ImageJob, SpinFrame, SpinJob, SpinMade
from okla_assets.doors.okla.words import (
    IMAGE_STATUS,
    BadWords,
    Url,
    error_message,
    frames_wanted,
    image_result,
    spin_error_message,
    spin_made,
    spin_problem,
    spin_status,
    studio_options,
)
from okla_assets.doors.uploads.bodies import decoded
from okla_assets.imaging.studio.scenes import SCENES

MOST_RETRIES = 20
KEY_FRAMES = 4
"""Every so many frames are shown as thumbnails."""
MOST_LISTED = 200
READERS = 16
"""Records that are read at a time, for a bucket takes its time for each."""


def _jobs_caller(request: Request) -> Caller:
    return door_of(request).caller(request)


JobsCaller = Annotated[Caller, Depends(_jobs_caller)]
Named = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="your name for the request: sent twice, it is one job",
    ),
]


def told(*statuses: int, media_type: str = PROBLEM_JSON) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its result, for the OpenAPI document."""
    needed = ["title", "status", "detail", "errorCode"] if media_type == PROBLEM_JSON else []
    content = {media_type: {"schema": {"type": "object", "required": needed}}}
    return {
        status: {"description": TITLES[status], "content": content}
        for status in (400, 401, 403, 429, *statuses, *((408,) if 413 in statuses else ()))
    }


def url_of(door: Door, request: Request) -> Url:
    """Makes the links of an answer."""
    base = door.base(request)
    return lambda key: door.links.to(key, base)


async def options_of(door: Door, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options asked for. Raises `DoorError` 400, also where there is no such scene."""
    try:
        options = studio_options(given or {})
    except BadWords as error:
        raise bad_words(error) from None
    scene = options.get("background_id")
    if scene is None or scene in SCENES:
        return options
    if await run_in_threadpool(door.store.stat, keys.own_scene(scene)) is None:
        said = f"there is no background {scene}; GET /api/backgrounds lists them"
        raise DoorError(400, f"backgroundId: {said}", fields={"backgroundId": [said]})
    return options


def bad_words(error: BadWords) -> DoorError:
    """The answer to words that cannot be used."""
    return DoorError(400, str(error), fields=error.fields)


async def upload_of_base64(door: Door, text: str, name: str) -> Upload:
    """A photo that came as text. Raises `DoorError` 400 and 413."""
    try:
        return await decoded(door, text.partition("base64,")[2] or text, door.photo_bytes, name)
    except ValueError:
        said = "is no base64"
        raise DoorError(400, f"imageBase64: {said}", fields={"imageBase64": [said]}) from None


async def find(door: Door, job_id: str, caller: Caller) -> Job:
    """The caller's job; where it was tried again, that attempt. Raises `DoorError` 404."""
    job = await door.job(job_id, caller)
    for _ in range(MOST_RETRIES):
        if job.state not in ("failed", "cancelled"):
            break
        again = await run_in_threadpool(door.jobs.find, retry_id(job))
        if again is None:
            break
        job = again
    return job


def retry_id(job: Job) -> keys.JobId:
    """The id of a job's next attempt, so that to ask for it twice asks once."""
    return keys.JobId(str(uuid.uuid5(NAMESPACE, f"retry\n{job.id}")))


async def cancel(door: Door, job_id: str, caller: Caller) -> None:
    """Asks for the job's end. Raises `DoorError`: 404, 409 where it has ended."""
    job = await find(door, job_id, caller)
    if job.has_ended:
        raise DoorError(409, f"job {job.id} has ended: it is {job.state}")
    await run_in_threadpool(door.jobs.ask_to_end, job)


async def retry(door: Door, job_id: str, caller: Caller) -> Job:
    """The same request as another job, of which the first's status tells from now on.

    Raises `DoorError`: 404, 409 where it has not failed, or where its photos are gone.
    """
    job = await find(door, job_id, caller)
    if job.state not in ("failed", "cancelled"):
        raise DoorError(409, f"job {job.id} is {job.state}; only failed ones are tried again")
    sources = []
    for index, source in enumerate(job.request.sources):
        place = source.model_dump()
        if source.file is not None:
            kept = job.uploads[index] if index < len(job.uploads) else None
            if kept is None or job.request.vehicle is None:
                raise DoorError(409, "the photos that came with the job are gone; send it again")
            place |= {"file": None, "key": kept}
        sources.append(place)
    asked = job.request.model_dump(exclude={"sources", "caller"})
    return await door.accept(
        Caller(job.request.caller), job_id=retry_id(job), sources=sources, **asked
    )


def progress(job: Job) -> int:
    """In percent."""
    return 100 if job.has_ended else max(job.progress, PROGRESS[job.state])


def image_job(job: Job, url: Url, job_id: str | None = None) -> ImageJob:
    """A job's status; `job_id` is the one that was asked for."""
    photos = () if job.result is None else job.result.photos
    images = [image_result(photo, url) for photo in photos]
    return ImageJob(
        job_id=job_id or job.id,
        vehicle_id=job.request.vehicle,
        type=job.request.kind or job.request.operation.value,
        status=IMAGE_STATUS[job.state],
        error_message=error_message(job),
        error_code=None if job.problem is None else job.problem.code,
        progress_percent=progress(job),
        result=images[0] if images else None,
        images=images if len(images) > 1 else None,
        created_at=job.created_at,
        completed_at=job.ended_at,
        processing_time_ms=job.milliseconds,
        callback=_delivery(job),
    )


def spin_job(job: Job, url: Url, embed_url: str, job_id: str | None = None) -> SpinJob:
    """The status of a job that makes a 360° view, which has its page at `embed_url`."""
    made, problem = spin_made(job), spin_problem(job)
    scores = [p.quality for p in job.result.photos if p.quality is not None] if job.result else []
    return SpinJob(
        job_id=job_id or job.id,
        vehicle_id=job.vehicle,
        status=spin_status(job),
        error_message=spin_error_message(job),
        error_code=None if problem is None else problem.code,
        progress_percent=progress(job),
        total_frames=frames_wanted(job) if made is None else len(made.frames),
        processed_frames=0 if made is None else len(made.frames),
        result=None if made is None else _told_spin(made, scores, url, embed_url),
        created_at=job.created_at,
        completed_at=job.ended_at,
        processing_time_ms=job.milliseconds,
        callback=_delivery(job),
    )


def _told_spin(spin: SpinResult, scores: Sequence[int], url: Url, embed_url: str) -> SpinMade:
    step = 360 / len(spin.frames)
    return SpinMade(
        frames=[
            SpinFrame(
                frame_number=index + 1,
                degrees=round(index * step, 2),
                azimuth=frame.azimuth_deg,
                processed_url=url(frame.key),
                thumbnail_url=url(frame.thumbnail_key),
                is_key_frame=index % KEY_FRAMES == 0,
            )
            for index, frame in enumerate(spin.frames)
        ],
        viewer_embed_url=embed_url,
        thumbnail_url=url(spin.frames[0].thumbnail_key),
        total_frames=len(spin.frames),
        degrees_per_frame=round(step, 2),
        average_quality_score=round(sum(scores) / len(scores), 1) if scores else None,
    )


def _delivery(job: Job) -> DeliveryTold | None:
    if job.delivery == "none":
        return None
    last = job.deliveries[-1] if job.deliveries else None
    return DeliveryTold(
        state=job.delivery,
        attempts=len(job.deliveries),
        last_status=None if last is None else last.status,
        last_problem=None if last is None else last.problem,
    )


def makes_spin(job: Job) -> bool:
    """Whether a 360° view is among what it makes."""
    return job.request.operation in (Operation.spin, Operation.full)


async def visible_vehicle(door: Door, vehicle_id: str, caller: Caller | None) -> keys.VehicleId:
    """The vehicle's id, where the caller may see it; None sees all. Raises `DoorError` 404."""
    try:
        vehicle = keys.parse_vehicle_id(vehicle_id)
    except keys.BadVehicleId:
        raise DoorError(404, f"there is no vehicle {vehicle_id[:80]!r}") from None
    seen = caller is None or await run_in_threadpool(door.may_see, vehicle, caller)
    if not seen:
        raise DoorError(404, f"there is no vehicle {vehicle}")
    return vehicle


async def jobs_of(door: Door, vehicle: keys.VehicleId, caller: Caller | None) -> list[Job]:
    """The vehicle's newest jobs that the caller may see, the newest first."""

    def read() -> list[Job]:
        listed = islice(door.jobs.of_vehicle(vehicle), MOST_LISTED)
        return [
            job
            for job in read_listed(listed, door.jobs.find)
            if caller is None or caller.sees in (None, job.request.caller)
        ]

    return await run_in_threadpool(read)


def read_listed(
    listed: Iterable[keys.ListedJob], read: Callable[[keys.JobId], Job | None]
) -> list[Job]:
    """The jobs of a list, READERS at a time, in their order, without those that `read` has not."""
    with ThreadPoolExecutor(READERS) as pool:
        return [job for job in pool.map(read, [one.id for one in listed]) if job is not None]

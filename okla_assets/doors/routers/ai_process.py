"""The plan's own contract: POST /api/ai-process/OPERATION, and where its jobs are asked for.

The status addresses are also those that OKLA's AIProcessingService hands out.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation, problems_of
from okla_assets.doors.okla import jobs as okla_jobs, viewers
from okla_assets.doors.okla.jobs import JobsCaller, Named, told
from okla_assets.doors.okla.models import (
    LEAST_IMAGES,
    MOST_IMAGES,
    Accepted,
    Asked,
    BatchStatus,
    ImageJob,
    NotTruth,
    SpinJob,
    VehicleName,
    WebAddress,
)
from okla_assets.doors.okla.words import KINDS
from okla_assets.doors.uploads.bodies import content_type, discard, form_with_files

router = APIRouter(tags=["ai-process"], prefix="/api/ai-process")

SECONDS = {kind.operation: kind.seconds for kind in KINDS}
MOST_FIELDS = 100


class ProcessBody(Asked):
    """What is to be processed: addresses, files of the form, base64, or keys below raw/ of the
    vehicle. A 360° view takes a video, six photos or more, or what the vehicle already has."""

    vehicle_id: VehicleName | None = None
    image_url: WebAddress | None = None
    image_urls: list[WebAddress] = Field(default_factory=list, max_length=MOST_IMAGES)
    image_base64: str | None = Field(default=None, max_length=2_000_000)
    media_keys: list[Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=list, max_length=MOST_IMAGES
    )
    video_url: WebAddress | None = None
    frame_count: Annotated[int | None, NotTruth] = Field(default=None, ge=1, le=360)
    type: str | None = Field(default=None, max_length=64)


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ProcessBody.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "vehicleId": {"type": "string"},
                        "options": {"type": "string", "description": "JSON"},
                    },
                }
            },
        },
    }
}
Prefer = Annotated[
    str | None,
    Header(max_length=80, description="`wait=30` waits up to 30 seconds for the result (RFC 7240)"),
]


async def _asked(request: Request, door: Door, uploads: list[Upload]) -> ProcessBody:
    """The request's fields; its files are added to `uploads`. Raises `DoorError`."""
    kind = content_type(request)
    try:
        if kind == "multipart/form-data":
            async with form_with_files(request, door, MOST_IMAGES, MOST_FIELDS) as form:
                fields: dict[str, Any] = {}
                for name, value in form.multi_items():
                    if isinstance(value, UploadFile):
                        uploads.append(await door.upload(value))
                    elif name.lower() in ("options", "metadata"):
                        fields[name] = json.loads(value)
                    elif name.lower() in ("imageurls", "mediakeys"):
                        fields.setdefault(name, []).append(value)
                    else:
                        fields[name] = value
                return ProcessBody.model_validate(fields)
        if kind not in ("application/json", ""):
            raise DoorError(415, f"{kind} is not understood; send JSON or multipart/form-data")
        return ProcessBody.model_validate(json.loads(await request.body()))
    except ValidationError as error:
        fields = {}
        for one in error.errors(include_url=False, include_input=False):
            name = ".".join(map(str, one["loc"])) or "body"
            fields.setdefault(name, []).append(one["msg"].removeprefix("Value error, "))
        raise DoorError(400, "; ".join(problems_of(error)), fields=fields) from None
    except (ValueError, RecursionError) as error:
        raise DoorError(400, f"the body is no JSON that we can read: {error}") from None


def _sources(body: ProcessBody) -> list[dict[str, Any]]:
    addresses = [*filter(None, [body.image_url]), *body.image_urls]
    found: list[dict[str, Any]] = [{"url": address} for address in addresses]
    found += [{"key": key} for key in body.media_keys]
    if body.video_url is not None:
        found.append({"url": body.video_url, "video": True})
    return found


def _check_sources(operation: Operation, body: ProcessBody, images: int, videos: int) -> None:
    if operation is not Operation.spin:
        if not images:
            said = "give imageUrl, imageUrls, imageBase64, mediaKeys or a file of the form"
            raise DoorError(400, f"imageUrl: {said}", fields={"imageUrl": [said]})
        if videos:
            said = "videos are for generate-360"
            raise DoorError(400, f"videoUrl: {said}", fields={"videoUrl": [said]})
        return
    if body.vehicle_id is None:
        said = "a 360° view is one vehicle's; give its id"
        raise DoorError(400, f"vehicleId: {said}", fields={"vehicleId": [said]})
    if not videos and 0 < images < LEAST_IMAGES:
        said = f"at least {LEAST_IMAGES} images are needed, or a video"
        raise DoorError(400, f"imageUrls: {said}", fields={"imageUrls": [said]})


async def _accept(request: Request, operation: Operation, caller: Caller, named: str | None) -> Job:
    door = door_of(request)
    uploads: list[Upload] = []
    try:
        body = await _asked(request, door, uploads)
        if body.image_base64 is not None:
            uploads.append(await okla_jobs.upload_of_base64(door, body.image_base64, ""))
        sources = _sources(body)
        videos = sum(_is_video(upload.name) for upload in uploads) + (body.video_url is not None)
        _check_sources(operation, body, len(sources) + len(uploads) - videos, videos)
        given = dict(body.options or {})
        if body.frame_count is not None:
            given["frameCount"] = body.frame_count
        options = await okla_jobs.options_of(door, given)
    except BaseException:
        discard(uploads)
        raise
    return await door.accept(
        caller,
        uploads=uploads,
        operation=operation,
        vehicle=body.vehicle_id,
        sources=sources,
        options=options,
        callback=body.callback_url,
        metadata=body.metadata or {},
        kind=body.type or "",
        idempotency=named,
        door="ai-process",
    )


def _is_video(name: str) -> bool:
    return keys.suffix_of(name) in keys.VIDEO_SUFFIXES


def _seconds(prefer: str | None) -> float:
    """How long the caller would wait, 0 where it does not say."""
    for word in (prefer or "").split(","):
        name, _, value = word.partition("=")
        if name.strip().lower() == "wait" and value.strip().isascii():
            digits = value.strip()
            return float(digits) if digits.isdigit() and len(digits) < 6 else 0.0
    return 0.0


Handler = Callable[..., Awaitable[Response]]


def _handler(operation: Operation) -> Handler:
    async def handle(
        request: Request, caller: JobsCaller, named: Named = None, prefer: Prefer = None
    ) -> Response:
        door = door_of(request)
        job = await _accept(request, operation, caller, named)
        is_spin = operation is Operation.spin
        address = f"{router.prefix}/{'360/' if is_spin else ''}status/{job.id}"
        headers = {"Location": address}
        wait = min(_seconds(prefer), door.wait_seconds)
        if wait:
            headers["Preference-Applied"] = f"wait={max(1, round(wait))}"
            job = await door.wait(job, wait)
        if job.has_ended:
            answer = _spin(door, request, job) if is_spin else _image(door, request, job)
            return JSONResponse(_json(answer), 200, headers)
        accepted = Accepted(
            job_id=job.id,
            message="The job is queued.",
            status_check_url=address,
            estimated_seconds=SECONDS.get(operation, SECONDS[Operation.full]),
        )
        return JSONResponse(_json(accepted), 202, headers)

    return handle


def _json(answer: Any) -> Any:
    return answer.model_dump(mode="json", exclude_none=True)


def _image(door: Door, request: Request, job: Job, job_id: str | None = None) -> ImageJob:
    return okla_jobs.image_job(job, okla_jobs.url_of(door, request), job_id)


def _spin(door: Door, request: Request, job: Job, job_id: str | None = None) -> SpinJob:
    page = viewers.page_url(door, job.vehicle_id, door.base(request))
    return okla_jobs.spin_job(job, okla_jobs.url_of(door, request), page, job_id)


for _operation, _summary in (
    (Operation.background, "Photos on a studio scene"),
    (Operation.segment, "The vehicle's outline on photos"),
    (Operation.classify, "Category, angle and quality of photos"),
    (Operation.mask_plate, "Photos with licence plates covered"),
    (Operation.spin, "A 360° view of a video or of photos all around"),
):
    router.add_api_route(
        f"/{_operation.value}",
        _handler(_operation),
        methods=["POST"],
        summary=_summary,
        name=_operation.value,
        status_code=202,
        response_model=Accepted,
        responses={
            **told(402, 409, 413, 415),
            200: {
                "model": SpinJob if _operation is Operation.spin else ImageJob,
                "description": "the job has ended while `Prefer: wait` was waited",
            },
        },
        openapi_extra=BODY,
    )


@router.get(
    "/status/{job_id}",
    summary="How far a job is, and its result",
    response_model_exclude_none=True,
    responses=told(404),
)
async def status(request: Request, job_id: str, caller: JobsCaller) -> ImageJob | SpinJob:
    """Of a job of either kind."""
    door = door_of(request)
    job = await okla_jobs.find(door, job_id, caller)
    if job.request.operation is Operation.spin:
        return _spin(door, request, job, job_id.lower())
    return _image(door, request, job, job_id.lower())


@router.get(
    "/360/status/{job_id}",
    summary="How far the job of a 360° view is, and its result",
    response_model_exclude_none=True,
    responses=told(404),
)
async def spin_status(request: Request, job_id: str, caller: JobsCaller) -> SpinJob:
    """404 for other jobs."""
    door = door_of(request)
    job = await okla_jobs.find(door, job_id, caller)
    if not okla_jobs.makes_spin(job):
        raise DoorError(404, f"job {job.id} makes no 360° view")
    return _spin(door, request, job, job_id.lower())


@router.get(
    "/batch-status",
    summary="The newest jobs of a vehicle",
    response_model_exclude_none=True,
    responses=told(404),
)
async def batch_status(
    request: Request,
    caller: JobsCaller,
    vehicle_id: Annotated[str, Query(alias="vehicleId", max_length=64)],
) -> BatchStatus:
    """At most 200 of them, the newest first."""
    door = door_of(request)
    vehicle = await okla_jobs.visible_vehicle(door, vehicle_id, caller)
    jobs = await okla_jobs.jobs_of(door, vehicle, caller)
    if not jobs:
        raise DoorError(404, f"vehicle {vehicle} has no jobs")
    return await run_in_threadpool(_batch, vehicle, jobs, door, request)


def _batch(vehicle: str, jobs: list[Job], door: Door, request: Request) -> BatchStatus:
    told_jobs = [_image(door, request, job) for job in jobs]
    states = [job.state for job in jobs]
    failed = sum(state in ("failed", "cancelled") for state in states)
    pending = sum(state in ("accepted", "queued") for state in states)
    running = states.count("running")
    open_now = "processing" if running else "queued"
    return BatchStatus(
        vehicle_id=vehicle,
        status=open_now if pending or running else "failed" if failed == len(jobs) else "completed",
        total_images=sum(max(1, len(job.request.sources)) for job in jobs),
        pending=pending,
        processing=running,
        completed=states.count("completed"),
        failed=failed,
        progress_percent=sum(job.progress_percent for job in told_jobs) // len(jobs),
        jobs=told_jobs,
    )

"""OKLA's AIProcessingService: /api/aiprocessing/*."""

import re
from datetime import UTC, datetime
from itertools import takewhile
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, door_of
from okla_assets.doors.errors import PROBLEM_JSON, DoorError
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.okla import jobs as okla_jobs, viewers
from okla_assets.doors.okla.jobs import JobsCaller, Named, told
from okla_assets.doors.okla.models import (
    Accepted,
    AnalyzeBody,
    BatchAccepted,
    BatchBody,
    CallbackBody,
    ImageBody,
    ImageJob,
    QueueStats,
    Received,
    SpinBody,
    SpinJob,
    VehicleImages,
)
from okla_assets.doors.okla.words import (
    BadWords,
    Kind,
    Url,
    cut_out_options,
    frames_made,
    image_result,
    kind_of,
)
from okla_assets.doors.routers.caller_first import CallerFirst

router = APIRouter(tags=["aiprocessing"], prefix="/api/aiprocessing", route_class=CallerFirst)

STATUS = "/api/ai-process"
"""Where the original tells callers to ask, though it has no routes there itself."""
SECONDS_EACH = {"FullPipeline": 20}
OTHER_SECONDS_EACH = 10
MINUTES = ((12, 2), (24, 4), (36, 6), (72, 10))
MOST_MINUTES = 15
_IMAGE = re.compile(
    r"(processed|mask)_.*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(\.\w{1,5})?"
)


def _kind(given: str | int) -> Kind:
    try:
        return kind_of(given)
    except BadWords as error:
        raise okla_jobs.bad_words(error) from None


async def _accept_image(
    door: Door,
    caller: Caller,
    body: ImageBody | BatchBody,
    address: str,
    named: str | None,
) -> Job:
    kind = _kind(body.type)
    options = await okla_jobs.options_of(door, body.options)
    return await door.accept(
        caller,
        operation=kind.operation,
        vehicle=body.vehicle_id,
        sources=[{"url": address}],
        options=options,
        cut_out=cut_out_options(kind, options),
        callback=body.callback_url,
        metadata=body.metadata or {},
        kind=kind.name,
        idempotency=named,
        door="aiprocessing",
    )


@router.post(
    "/process",
    summary="Process one image of a vehicle",
    response_model_exclude_none=True,
    responses=told(402, 409, 413),
)
async def process(
    request: Request, body: ImageBody, caller: JobsCaller, named: Named = None
) -> Accepted:
    """`type` is a name or a number; without it everything is made of the image."""
    job = await _accept_image(door_of(request), caller, body, body.image_url, named)
    return Accepted(
        job_id=job.id,
        message="Image processing job created successfully",
        status_check_url=f"{STATUS}/status/{job.id}",
        estimated_seconds=_kind(body.type).seconds,
    )


@router.post(
    "/process/batch",
    summary="Process images of a vehicle, each a job of its own",
    response_model_exclude_none=True,
    responses=told(402, 409, 413),
)
async def process_batch(
    request: Request, body: BatchBody, caller: JobsCaller, named: Named = None
) -> BatchAccepted:
    """The ids are in the order of the images. Where one is refused, those before it are jobs."""
    door = door_of(request)
    jobs = [
        await _accept_image(door, caller, body, address, named and f"{named} {index}")
        for index, address in enumerate(body.image_urls)
    ]
    each = SECONDS_EACH.get(_kind(body.type).name, OTHER_SECONDS_EACH)
    return BatchAccepted(
        job_ids=[job.id for job in jobs],
        total_images=len(jobs),
        message=f"{len(jobs)} images queued for processing",
        status_check_url=f"{STATUS}/batch-status?vehicleId={body.vehicle_id}",
        estimated_seconds=each * len(jobs),
    )


@router.post(
    "/spin360/generate",
    summary="A 360° view of a video or of six images and more",
    response_model_exclude_none=True,
    responses=told(402, 409, 413),
)
async def generate_spin(
    request: Request, body: SpinBody, caller: JobsCaller, named: Named = None
) -> Accepted:
    """`totalFrames` says how many are made: 8 to 72, whatever was asked for."""
    door = door_of(request)
    options = await okla_jobs.options_of(
        door, {"frameCount": body.frame_count, **(body.options or {})}
    )
    if body.video_url is not None:
        sources: list[dict[str, Any]] = [{"url": body.video_url, "video": True}]
    else:
        sources = [{"url": address} for address in body.image_urls]
    job = await door.accept(
        caller,
        operation=Operation.spin,
        vehicle=body.vehicle_id,
        sources=sources,
        options=options,
        callback=body.callback_url,
        metadata=body.metadata or {},
        kind="Spin360",
        idempotency=named,
        door="aiprocessing",
    )
    frames = options.get("spin_frames", frames_made(body.frame_count))
    return Accepted(
        job_id=job.id,
        message="360 spin generation job created successfully",
        total_frames=frames,
        status_check_url=f"{STATUS}/360/status/{job.id}",
        estimated_minutes=next((least for most, least in MINUTES if frames <= most), MOST_MINUTES),
    )


@router.get(
    "/jobs/{job_id}",
    summary="How far a job is, and its result",
    response_model_exclude_none=True,
    responses=told(404),
)
async def job_status(request: Request, job_id: str, caller: JobsCaller) -> ImageJob:
    """A job that was tried again shows its newest attempt."""
    door = door_of(request)
    job = await okla_jobs.find(door, job_id, caller)
    return okla_jobs.image_job(job, okla_jobs.url_of(door, request), job_id.lower())


@router.get(
    "/spin360/{job_id}",
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
    page = viewers.page_url(door, job.vehicle_id, door.base(request))
    return okla_jobs.spin_job(job, okla_jobs.url_of(door, request), page, job_id.lower())


@router.post(
    "/jobs/{job_id}/cancel",
    summary="End a job",
    status_code=204,
    response_class=Response,
    responses=told(404, 409),
)
async def cancel(request: Request, job_id: str, caller: JobsCaller) -> Response:
    """It ends soon; 409 where it has already."""
    await okla_jobs.cancel(door_of(request), job_id, caller)
    return Response(status_code=204)


@router.post(
    "/jobs/{job_id}/retry",
    summary="Try a failed job again",
    status_code=204,
    response_class=Response,
    responses=told(402, 404, 409),
)
async def retry(request: Request, job_id: str, caller: JobsCaller) -> Response:
    """The job's status tells of the new attempt, whose own address is in `Location`."""
    job = await okla_jobs.retry(door_of(request), job_id, caller)
    return Response(status_code=204, headers={"Location": f"{router.prefix}/jobs/{job.id}"})


@router.get(
    "/vehicles/{vehicle_id}/images",
    summary="A vehicle's pictures",
    response_model_exclude_none=True,
    responses=told(404),
)
async def vehicle_images(request: Request, vehicle_id: str, caller: JobsCaller) -> VehicleImages:
    """Those of its listing; while there is none, those of its jobs."""
    door = door_of(request)
    vehicle = await okla_jobs.visible_vehicle(door, vehicle_id, caller)
    url = okla_jobs.url_of(door, request)
    images = await run_in_threadpool(_listed, door, vehicle, url)
    if images is None:
        jobs = await okla_jobs.jobs_of(door, vehicle, caller)
        if not jobs:
            raise DoorError(404, f"there is no vehicle {vehicle}")
        images = [
            {"jobId": job.id} | image_result(photo, url)
            for job in jobs
            if job.result is not None
            for photo in job.result.photos
        ]
    return VehicleImages(vehicle_id=vehicle, images=images)


def _listed(door: Door, vehicle: keys.VehicleId, url: Url) -> list[dict[str, Any]] | None:
    try:
        listing = Listing.model_validate_json(door.store.get(keys.listing(vehicle)))
    except FileNotFoundError:
        return None
    found = []
    for photo in listing.photos:
        told_photo: dict[str, Any] = {
            "number": photo.number,
            "processedImageUrl": photo.processed_key and url(photo.processed_key),
            "maskUrl": photo.mask_key and url(photo.mask_key),
            "thumbnailUrl": photo.thumbnail_key and url(photo.thumbnail_key),
            "imageCategory": photo.category.capitalize(),
            "categoryConfidence": photo.category_confidence,
            "detectedAngle": photo.angle,
            "angleConfidence": photo.angle_confidence,
            "licensePlateDetected": bool(photo.plates),
            "qualityScore": photo.quality.score,
            "qualityIssues": list(photo.quality.issues),
        }
        found.append({name: value for name, value in told_photo.items() if value is not None})
    return found


@router.post(
    "/analyze",
    summary="Category, angle and quality of one image, waited for",
    response_model_exclude_none=True,
    responses=told(402, 409, 413) | {202: {"model": ImageJob, "description": "not ready yet"}},
)
async def analyze(request: Request, body: AnalyzeBody, caller: JobsCaller) -> Any:
    """202 where it takes longer than OKLA_API_WAIT_SECONDS: ask for the job then."""
    door = door_of(request)
    job = await door.accept(
        caller,
        operation=Operation.classify,
        vehicle=body.vehicle_id,
        sources=[{"url": body.image_url}],
        kind="QualityAnalysis",
        door="aiprocessing",
    )
    job = await door.wait(job)
    answer = okla_jobs.image_job(job, okla_jobs.url_of(door, request))
    if job.has_ended:
        return answer
    headers = {"Location": f"{router.prefix}/jobs/{job.id}", "Retry-After": "5"}
    return JSONResponse(answer.model_dump(mode="json", exclude_none=True), 202, headers)


async def callback(body: CallbackBody) -> Received:
    """Our own jobs are ended by us alone, so what is told here changes nothing; who calls the old
    address is answered as before."""
    return Received(received=True)


router.add_api_route(
    "/callback",
    callback,
    methods=["POST"],
    summary="What a worker of OKLA's tells it",
    responses=told(),
    route_class_override=APIRoute,  # it asks for no key
)


@router.get(
    "/images/{file}",
    summary="A job's picture or mask, by the name that OKLA's worker gives it",
    status_code=307,
    response_class=RedirectResponse,
    responses=told(404)
    | {400: {"description": "No such name", "content": {"application/json": {}, PROBLEM_JSON: {}}}},
)
async def image(request: Request, file: str, caller: JobsCaller) -> Response:
    """processed_VEHICLE_JOB or mask_VEHICLE_JOB, with a suffix or without."""
    door = door_of(request)
    named = _IMAGE.fullmatch(file)
    if named is None:
        return JSONResponse({"error": "a file is named processed_VEHICLE_JOB or mask_..."}, 400)
    job = await okla_jobs.find(door, named[2], caller)
    photos = () if job.result is None else job.result.photos[:1]
    drawn = next((p.picture if named[1] == "processed" else p.matte for p in photos), None)
    if drawn is None:
        raise DoorError(404, f"job {job.id} has no such picture")
    return RedirectResponse(door.links.to(drawn.key, door.base(request)))


def _admin(request: Request) -> Caller:
    return door_of(request).caller(request, "admin")


@router.get("/stats/queue", summary="What there is to do, and what was done", responses=told())
async def queue_stats(request: Request, _caller: Annotated[Caller, Depends(_admin)]) -> QueueStats:
    """Of all callers; today's are those that were asked for today (UTC) and have ended."""
    return await run_in_threadpool(_stats, door_of(request))


def _stats(door: Door) -> QueueStats:
    waiting = [*door.jobs.unfinished()]
    now = datetime.now(UTC)
    today = (
        one
        for caller in door.jobs.callers()
        for one in takewhile(
            lambda one: one.at.date() == now.date(), door.jobs.of_caller(caller, f"{now:%Y-%m}")
        )
    )
    done = okla_jobs.read_listed(today, door.jobs.ended)
    by_type: dict[str, int] = {}
    for job in (*waiting, *done):
        name = job.request.kind or job.request.operation.value
        by_type[name] = by_type.get(name, 0) + 1
    took = [job.milliseconds for job in done if job.milliseconds is not None]
    running = sum(job.state == "running" for job in waiting)
    return QueueStats(
        pending_jobs=len(waiting) - running,
        processing_jobs=running,
        completed_today=sum(job.state == "completed" for job in done),
        failed_today=sum(job.state == "failed" for job in done),
        average_processing_time_ms=round(sum(took) / len(took)) if took else 0,
        jobs_by_type=by_type,
    )

"""360° views under the three contracts that OKLA's pages and services have had for them.

`newest` is what web-next calls (/api/vehicle360), `oldest` the page of before and its service
(/api/vehicle360processing), `video` Video360Service (/api/video360). All answer with one document.
"""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import ERROR_CODES, PROBLEM_JSON, DoorError
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.okla import jobs as okla_jobs, viewers
from okla_assets.doors.okla.jobs import JobsCaller, Named, told
from okla_assets.doors.okla.models import JobPage, VideoBody
from okla_assets.doors.okla.words import Url, folded, is_option
from okla_assets.doors.routers.caller_first import CallerFirst
from okla_assets.doors.routers.system import stored
from okla_assets.doors.uploads import vehicles
from okla_assets.doors.uploads.bodies import content_type, form_with_files
from resources.settings import settings

newest = APIRouter(tags=["vehicle360"], prefix="/api/vehicle360", route_class=CallerFirst)
oldest = APIRouter(
    tags=["vehicle360processing"], prefix="/api/vehicle360processing", route_class=CallerFirst
)
video = APIRouter(tags=["video360"], prefix="/api/video360", route_class=CallerFirst)

JSON = "application/json"
MOST_FIELDS = 50
MOST_SEARCHED = 1000
_CALLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""What callers may be called, of whatever kind."""
_FORMATS = ("imageformat", "outputformat", "format", "backgroundcolor")
"""Wishes of the old contracts for frames; ours are JPEG and WebP on the scene, and the document's
`hasTransparentBackground` says so."""


def message(_request: Request, error: DoorError) -> Response:
    """An error as Vehicle360ProcessingService tells it."""
    return JSONResponse({"message": error.detail} | _code(error), error.status, error.headers)


def error(_request: Request, error: DoorError) -> Response:
    """An error as Video360Service tells it."""
    return JSONResponse({"error": error.detail} | _code(error), error.status, error.headers)


def _code(error: DoorError) -> dict[str, str]:
    return {"errorCode": error.code or ERROR_CODES.get(error.status, "INTERNAL_ERROR")}


def _viewer(request: Request) -> Caller | None:
    """Who reads a document; None is everybody, where the owner has said so."""
    return None if settings().public_viewers else door_of(request).caller(request)


Reader = Annotated[Caller | None, Depends(_viewer)]


def _addresses(door: Door, request: Request) -> Url:
    """Where the public reads finished files, else links that expire."""
    if door.store.public_base() is not None:
        return door.store.url
    return okla_jobs.url_of(door, request)


async def view(request: Request, response: Response, vehicle_id: str, reader: Reader) -> Any:
    """The vehicle's 360° view, or how far its job is: `isReady` and `status` say which."""
    door = door_of(request)
    if reader is None:
        response.headers["Access-Control-Allow-Origin"] = "*"
    vehicle = await okla_jobs.visible_vehicle(door, vehicle_id, reader)
    found = await run_in_threadpool(viewers.view_of, door, vehicle, reader)
    if found is None:
        raise DoorError(404, f"vehicle {vehicle} has no 360° view, and none is being made")
    page = viewers.page_url(door, vehicle, door.base(request))
    return viewers.document(found, _addresses(door, request), page)


def _told_job(request: Request, job: Job, job_id: str | None = None) -> dict[str, Any]:
    door = door_of(request)
    page = viewers.page_url(door, job.vehicle_id, door.base(request))
    return viewers.job_document(job, _addresses(door, request), page, job_id or job.id)


async def job_told(request: Request, job_id: str, caller: JobsCaller) -> dict[str, Any]:
    """How far the job is; `frames` are there when it has completed."""
    job = await okla_jobs.find(door_of(request), job_id, caller)
    if not okla_jobs.makes_spin(job):
        raise DoorError(404, f"job {job.id} makes no 360° view")
    return _told_job(request, job, job_id.lower())


async def job_polled(request: Request, job_id: str, caller: JobsCaller) -> dict[str, Any]:
    """The same with `progress` as an object, as the page of before polls it."""
    return viewers.progress_told(await job_told(request, job_id, caller))


async def cancel(request: Request, job_id: str, caller: JobsCaller) -> Response:
    """It ends soon; 409 where it has already."""
    await okla_jobs.cancel(door_of(request), job_id, caller)
    return Response(status_code=204)


async def retry(request: Request, job_id: str, caller: JobsCaller) -> dict[str, Any]:
    """The job's status tells of the new attempt from now on."""
    job = await okla_jobs.retry(door_of(request), job_id, caller)
    return _told_job(request, job, job_id.lower())


async def vehicle_jobs(request: Request, vehicle_id: str, caller: JobsCaller) -> Any:
    """Those that make 360° views, the newest first."""
    door = door_of(request)
    vehicle = await okla_jobs.visible_vehicle(door, vehicle_id, caller)
    jobs = await okla_jobs.jobs_of(door, vehicle, caller)
    return [_told_job(request, job) for job in jobs if okla_jobs.makes_spin(job)]


async def user_jobs(
    request: Request,
    user_id: str,
    caller: JobsCaller,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=100)] = 20,
) -> JobPage:
    """A caller's own, by its name or `me`, among its newest 1000 jobs."""
    name = caller.name if user_id == "me" else user_id
    if caller.sees not in (None, name):
        raise DoorError(404, f"there is no user {user_id[:80]!r}")
    door = door_of(request)

    def read() -> list[Job]:
        listed = islice(door.jobs.of_caller(name), MOST_SEARCHED)
        return [*filter(okla_jobs.makes_spin, okla_jobs.read_listed(listed, door.jobs.find))]

    jobs = await run_in_threadpool(read) if _CALLER.fullmatch(name) else []
    first = (page - 1) * page_size
    return JobPage(
        items=[_told_job(request, job) for job in jobs[first : first + page_size]],
        total_count=len(jobs),
        page=page,
        page_size=page_size,
        total_pages=-(-len(jobs) // page_size),
    )


UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "vehicleId": {"type": "string"},
                        "frameCount": {"type": "integer", "minimum": 1, "maximum": 360},
                    },
                }
            }
        },
    }
}


async def upload(
    request: Request,
    caller: JobsCaller,
    named: Named = None,
    vehicle_id: Annotated[
        str | None, Query(alias="vehicleId", max_length=64, description="may be in the form too")
    ] = None,
) -> dict[str, Any]:
    """The form's first file is the video. Options of docs/options.md may be in the form or the
    query; without `frameCount` 36 frames are made."""
    door = door_of(request)
    if content_type(request) != "multipart/form-data":
        raise DoorError(415, "send the video as a file of multipart/form-data")
    if vehicle_id:
        await run_in_threadpool(door.check_claim, vehicles.named(vehicle_id), caller)
    async with form_with_files(request, door, 1, MOST_FIELDS) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        fields = dict(request.query_params) | {
            name: value for name, value in form.items() if isinstance(value, str)
        }
        options = await _options(door, fields)
        named_vehicle = {folded(name): value for name, value in fields.items()}.get("vehicleid")
        if not (vehicle := vehicle_id or named_vehicle):
            said = "give the vehicle's id"
            raise DoorError(400, f"vehicleId: {said}", fields={"vehicleId": [said]})
        if not files:
            raise DoorError(400, "file: there is no file in the form", fields={"file": ["missing"]})
        stored_video = await door.upload(files[0])
    job = await _accept(door, caller, vehicle, options, named, uploads=[stored_video], sources=())
    return _told_job(request, job)


async def process(
    request: Request, body: VideoBody, caller: JobsCaller, named: Named = None
) -> dict[str, Any]:
    """A video at an address, by `videoUrl` or `storageUrl`."""
    door = door_of(request)
    options = await _options(door, (body.model_extra or {}) | (body.options or {}), body.options)
    job = await _accept(
        door,
        caller,
        body.vehicle_id,
        options,
        named,
        sources=[{"url": body.address, "video": True}],
        callback=body.callback_url,
        metadata=body.metadata or {},
    )
    return _told_job(request, job)


async def _options(
    door: Door, given: Mapping[str, Any], strict: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Of all fields those that are options; the names in `strict` have to be."""
    return await okla_jobs.options_of(
        door,
        {
            name: value
            for name, value in given.items()
            if folded(name) not in _FORMATS and (is_option(name) or name in (strict or {}))
        },
    )


async def _accept(
    door: Door,
    caller: Caller,
    vehicle: str,
    options: dict[str, Any],
    named: str | None,
    uploads: list[Upload] | None = None,
    **fields: Any,
) -> Job:
    return await door.accept(
        caller,
        uploads=uploads or (),
        operation=Operation.spin,
        vehicle=vehicle,
        options=options,
        kind="Spin360",
        idempotency=named,
        door="vehicle360",
        **fields,
    )


@newest.get(
    "/pages/{vehicle_id}/{token}/{path:path}",
    summary="A file of the page that turns a vehicle, by an address that was given out",
    response_class=Response,
    responses=told(404),
)
async def page(request: Request, vehicle_id: str, token: str, path: str) -> Response:
    """The page and all that it loads; needs no key, and expires."""
    door = door_of(request)
    key = viewers.file_of_page(door, vehicle_id, token, path)
    if key is None:
        raise DoorError(403, "the address has expired, or is none of ours; ask for the view again")
    answer = await stored(request, door, key)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


def _routes(
    router: APIRouter,
    viewer: str,
    polled: Callable[..., Any],
    uploads: tuple[str, ...],
    addresses: tuple[str, ...],
    made: int,
    media_type: str = JSON,
) -> None:
    """The routes of one contract: where its document is, how jobs are polled, where videos go."""

    def add(path: str, endpoint: Callable[..., Any], summary: str, **more: Any) -> None:
        router.add_api_route(path, endpoint, summary=summary, **more)

    def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
        return told(*statuses, media_type=media_type)

    add(viewer, view, "A vehicle's 360° view", responses=errors(404), response_model=dict[str, Any])
    add("/jobs/{job_id}", job_told, "A job that makes a 360° view", responses=errors(404))
    add("/jobs/{job_id}/status", polled, "How far such a job is", responses=errors(404))
    add("/jobs/{job_id}/result", job_told, "What came of such a job", responses=errors(404))
    ended: dict[str, Any] = {"status_code": 204, "response_class": Response, "methods": ["POST"]}
    add("/jobs/{job_id}/cancel", cancel, "End a job", responses=errors(404, 409), **ended)
    again = errors(402, 404, 409)
    posted: dict[str, Any] = {"methods": ["POST"], "status_code": 202}
    add("/jobs/{job_id}/retry", retry, "Try a failed job again", responses=again, **posted)
    add(
        "/vehicles/{vehicle_id}/jobs",
        vehicle_jobs,
        "A vehicle's jobs",
        responses=errors(404),
        response_model=list[dict[str, Any]],
    )
    add("/user/{user_id}/jobs", user_jobs, "A caller's jobs", responses=errors(404))
    taken = errors(402, 409, 413, 415)
    new: dict[str, Any] = {"methods": ["POST"], "status_code": made, "responses": taken}
    for path in uploads:
        add(path, upload, "A 360° view of a video that is sent", openapi_extra=UPLOAD, **new)
    for path in addresses:
        add(path, process, "A 360° view of a video at an address", **new)


_routes(
    newest,
    "/viewer/{vehicle_id}",
    job_told,
    ("/jobs/upload", "/upload"),
    ("/process", "/jobs/process"),
    202,
    PROBLEM_JSON,
)
_routes(oldest, "/viewer/{vehicle_id}", job_polled, ("/process",), ("/process-from-url",), 202)
_routes(video, "/vehicle/{vehicle_id}", job_told, ("/upload",), ("/process",), 201)

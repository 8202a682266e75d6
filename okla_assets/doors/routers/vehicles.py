"""Vehicles: which there are, their listing and files, their options, and uploads."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from okla_assets import keys
from okla_assets.doors.callers.caller import Caller, Scope
from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import PROBLEM_JSON, DoorError
from okla_assets.doors.routers.caller_first import CallerFirst
from okla_assets.doors.uploads import vehicles
from okla_assets.doors.uploads.bodies import content_type, discard, form_with_files, take_files
from okla_assets.doors.uploads.files import stored_file
from okla_assets.doors.uploads.received import Kind, Received, kind_of, take
from okla_assets.operations.status import State, VehicleStatus
from okla_assets.options import StudioOptions, read_options, save_options
from okla_assets.owner_scenes import scene_of
from resources.errors import BadInput


class _OfVehicles(CallerFirst):
    needed: Scope = "vehicles"


router = APIRouter(prefix="/api/vehicles", tags=["vehicles"], route_class=_OfVehicles)

MOST_FILES, MOST_FIELDS = 400, 50
MOST_JOBS = 20
"""Of a vehicle's jobs that its document names, the newest first."""

WHAT = {
    400: "The request cannot be used; `errors` names the fields.",
    401: "No key, or none that is good.",
    403: "The key does not allow it, or the vehicle is another caller's.",
    404: "There is no such thing of this caller's.",
    409: "Not now: the sentence says what is in the way.",
    405: "The method is not one of this address.",
    408: "It came too slowly.",
    412: "Tus-Resumable is missing, or another version.",
    413: "Larger than is taken.",
    415: "Neither a photo nor a video, or not what this address takes.",
    416: "The range lies outside the file.",
    423: "Another request is changing this upload.",
    429: "Too often; `Retry-After` has the seconds.",
    499: "The caller went away.",
    503: "Not now; try again.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for the OpenAPI document."""
    return {
        status: {"description": WHAT[status], "content": {PROBLEM_JSON: {}}}
        for status in sorted({400, 401, 403, 429, *statuses, *((408,) if 413 in statuses else ())})
    }


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class VehicleDocument(_Document):
    """How a vehicle stands: `listing` is the status of its listing.json, where there is one.

    `step` is where its run is, since when; `jobs` are its jobs, the newest first.
    """

    vehicle_id: str
    state: State
    reasons: tuple[str, ...]
    since: datetime | None
    step: str
    run_id: str
    last_run: str
    listing: str | None
    generated_at: datetime | None
    listing_url: str | None
    jobs: tuple[str, ...] = ()


class VehiclePage(_Document):
    """Some vehicles in the order of their ids; `next` is the cursor of the page after."""

    vehicles: tuple[VehicleDocument, ...]
    next: str | None


class UploadedFiles(_Document):
    """What was taken over."""

    vehicle_id: str
    files: tuple[Received, ...]


class OptionsDocument(_Document):
    """A vehicle's options, all of them; `problems` says what its options.json has that cannot be
    used."""

    vehicle_id: str
    options: StudioOptions
    problems: tuple[str, ...] = ()


@router.get("", summary="The caller's vehicles", responses=answers(503))
async def listed(
    request: Request,
    cursor: Annotated[str, Query(max_length=64, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> VehiclePage:
    """A page of them, in the order of their ids."""
    door, caller = await _caller(request)
    if cursor:
        vehicles.check_cursor(cursor)
    found, more = await run_in_threadpool(vehicles.page, door, caller, cursor, limit)
    told = tuple(_document(door, request, status) for status in found)
    return VehiclePage(vehicles=told, next=more or None)


@router.get("/{vehicle_id}", summary="How a vehicle stands", responses=answers(404, 503))
async def told(request: Request, vehicle_id: str) -> VehicleDocument:
    """Its state, its last run and its listing's status."""
    door, vehicle = await _seen(request, vehicle_id)
    status = await run_in_threadpool(vehicles.status, door, vehicle)
    newest = islice(door.jobs.of_vehicle(vehicle), MOST_JOBS)
    jobs = await run_in_threadpool(lambda: tuple(one.id for one in newest))
    return _document(door, request, status, jobs)


@router.head("/{vehicle_id}/listing.json", include_in_schema=False)
@router.get(
    "/{vehicle_id}/listing.json",
    summary="The vehicle's listing",
    response_class=Response,
    responses=answers(404, 416)
    | {200: {"content": {"application/json": {}}}, 206: {}, 304: {"description": "Unchanged."}},
)
async def listing(request: Request, vehicle_id: str) -> Response:
    """listing.json as `okla schema` describes it; its keys below processed/VEHICLE/ are the paths
    of `files`."""
    door, vehicle = await _seen(request, vehicle_id)
    missing = f"{vehicle} has no listing yet; GET /api/vehicles/{vehicle} tells how it stands"
    return await stored_file(request, door.store, keys.listing(vehicle), missing=missing)


@router.head("/{vehicle_id}/files/{path:path}", include_in_schema=False)
@router.get(
    "/{vehicle_id}/files/{path:path}",
    summary="A finished file of the vehicle",
    response_class=Response,
    responses=answers(404, 416)
    | {
        200: {"content": {"application/octet-stream": {}}},
        206: {"description": "The range that was asked for."},
        304: {"description": "Unchanged."},
    },
)
async def file(request: Request, vehicle_id: str, path: str) -> Response:
    """What buyers may see, in ranges where they are asked for; uploads are not among it."""
    door, vehicle = await _seen(request, vehicle_id)
    return await stored_file(request, door.store, keys.processed_folder(vehicle) + path)


@router.get("/{vehicle_id}/options", summary="The vehicle's options", responses=answers(404))
async def options(request: Request, vehicle_id: str) -> OptionsDocument:
    """All of them, those that were never set with their defaults."""
    door, vehicle = await _seen(request, vehicle_id)
    found, problems = await run_in_threadpool(read_options, vehicle, door.store)
    return OptionsDocument(vehicle_id=vehicle, options=found, problems=problems)


@router.put("/{vehicle_id}/options", summary="Set the vehicle's options", responses=answers(404))
async def set_options(
    request: Request, vehicle_id: str, given: Annotated[dict[str, Any], Body()]
) -> OptionsDocument:
    """The options that are given; all others get their defaults. A new vehicle may have them before
    its photos."""
    door, vehicle = await _claimed(request, vehicle_id)
    try:
        chosen = StudioOptions.model_validate(given)
        await run_in_threadpool(scene_of, chosen.background_id, door.store)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(map(str, one["loc"]))[:80]
            fields.setdefault(name, []).append(one["msg"].removeprefix("Value error, "))
        said = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items())
        raise DoorError(400, said, fields=fields) from None
    except BadInput as error:
        raise DoorError(400, str(error), fields={"background_id": [str(error)]}) from None
    await run_in_threadpool(save_options, vehicle, door.store, chosen)
    return OptionsDocument(vehicle_id=vehicle, options=chosen)


@router.delete(
    "/{vehicle_id}",
    summary="Delete the vehicle with all its files",
    status_code=204,
    responses=answers(404, 409, 503),
)
async def delete(request: Request, vehicle_id: str) -> Response:
    """Its uploads too; nothing brings them back. Not while something is made of it."""
    door, vehicle = await _seen(request, vehicle_id)
    await run_in_threadpool(vehicles.remove, door, vehicle)
    return Response(status_code=204)


def _takes(kind: Kind) -> dict[str, Any]:
    """The body of an upload, for the OpenAPI document."""
    bytes_ = {"schema": {"type": "string", "format": "binary"}}
    several = {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "array", "items": bytes_["schema"]}},
        }
    }
    raw = "image/*" if kind == "photo" else "video/*"
    content = {"multipart/form-data": several, "application/octet-stream": bytes_, raw: bytes_}
    return {"requestBody": {"required": True, "content": content}}


FileName = Annotated[str, Query(max_length=255, description="What a raw body is called.")]


@router.post(
    "/{vehicle_id}/photos",
    summary="Upload photos",
    status_code=201,
    responses=answers(413, 415, 499),
    openapi_extra=_takes("photo"),
)
async def photos(request: Request, vehicle_id: str, filename: FileName = "") -> UploadedFiles:
    """As files of a form, or one as the body itself. All of them are taken, or none."""
    return await _taken(request, vehicle_id, filename, "photo")


@router.post(
    "/{vehicle_id}/video",
    summary="Upload a walk-around video",
    status_code=201,
    responses=answers(413, 415, 499),
    openapi_extra=_takes("video"),
)
async def video(request: Request, vehicle_id: str, filename: FileName = "") -> UploadedFiles:
    """As a file of a form, or as the body itself; in parts: `POST /api/uploads`."""
    return await _taken(request, vehicle_id, filename, "video")


@router.post(
    "/{vehicle_id}/ready",
    summary="Say that all is uploaded",
    status_code=202,
    response_class=Response,
    responses=answers(404, 409),
)
async def ready(request: Request, vehicle_id: str) -> Response:
    """The vehicle is made at once, instead of when no upload has come for some seconds."""
    door, vehicle = await _seen(request, vehicle_id)
    if not await run_in_threadpool(vehicles.has_uploads, door.store, vehicle):
        raise DoorError(409, f"nothing was uploaded for {vehicle}; send its photos first")
    await run_in_threadpool(door.store.put, keys.ready_marker(vehicle), b"")
    await run_in_threadpool(door.store.delete, keys.jobs_marker(vehicle))
    return Response(status_code=202)


async def _caller(request: Request) -> tuple[Door, Caller]:
    door = door_of(request)
    return door, await run_in_threadpool(door.caller, request, "vehicles")


async def _seen(request: Request, vehicle_id: str) -> tuple[Door, keys.VehicleId]:
    door, caller = await _caller(request)
    return door, await run_in_threadpool(vehicles.seen, door, vehicle_id, caller)


async def _claimed(request: Request, vehicle_id: str) -> tuple[Door, keys.VehicleId]:
    door, caller = await _caller(request)
    vehicle = vehicles.named(vehicle_id)
    await run_in_threadpool(door.claim, vehicle, caller)
    return door, vehicle


def _document(
    door: Door, request: Request, status: VehicleStatus, jobs: tuple[str, ...] = ()
) -> VehicleDocument:
    line, url = status.line, None
    if status.listing is not None:
        url = f"{door.base(request)}{router.prefix}/{line.vehicle}/listing.json"
    return VehicleDocument(
        vehicle_id=line.vehicle,
        state=line.state,
        reasons=line.reasons,
        since=line.since,
        step=line.step,
        run_id=line.run_id,
        last_run=status.last_run,
        listing=status.listing,
        generated_at=status.generated_at,
        listing_url=url,
        jobs=jobs,
    )


async def _taken(request: Request, vehicle_id: str, name: str, kind: Kind) -> UploadedFiles:
    """The files of the request, each on this machine before the first goes to the store."""
    door, caller = await _caller(request)
    await run_in_threadpool(door.check_claim, vehicles.named(vehicle_id), caller)
    take_files(request, door)
    largest = door.photo_bytes if kind == "photo" else door.upload_bytes
    files: list[Upload] = []
    try:
        try:
            async for one in _files(request, door, largest, name):
                files.append(one)
        except ClientDisconnect:
            raise DoorError(499, "the caller went away") from None
        if not files:
            raise DoorError(400, "there is no file; send it as `file` of a form, or as the body")
        for one in files:
            if one.size == 0 or await run_in_threadpool(kind_of, one.path, one.name) != kind:
                where = "video" if kind == "photo" else "photos"
                what = "empty" if one.size == 0 else f"no {kind}; {where} go to /{where}"
                raise DoorError(415, f"{one.name[:80] or 'the file'} is {what}")
        _, vehicle = await _claimed(request, vehicle_id)
        received = [
            await run_in_threadpool(
                partial(take, door.store, vehicle, one.path, kind, one.sha256, one.name)
            )
            for one in files
        ]
    finally:
        discard(files)
    return UploadedFiles(vehicle_id=vehicle, files=tuple(received))


async def _files(request: Request, door: Door, largest: int, name: str) -> AsyncIterator[Upload]:
    if content_type(request) != "multipart/form-data":
        yield await door.received(request.stream(), largest, name)
        return
    async with form_with_files(request, door, MOST_FILES, MOST_FIELDS) as form:
        for _, value in form.multi_items():
            if isinstance(value, UploadFile):
                yield await door.upload(value, largest)

"""Uploads in parts that go on where they broke off: tus 1.0, core, creation, termination and
expiration (https://tus.io/protocols/resumable-upload)."""

import asyncio
import base64
import binascii
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from okla_assets.doors.door import Door, door_of
from okla_assets.doors.errors import DoorError, problem
from okla_assets.doors.routers.vehicles import answers
from okla_assets.doors.uploads import vehicles
from okla_assets.doors.uploads.bodies import content_type, take_files
from okla_assets.doors.uploads.received import Received
from okla_assets.doors.uploads.resumable import PART_BYTES, Resumable, Uploads

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

VERSION = "1.0.0"
PART_TYPE = "application/offset+octet-stream"
GIVE_WAY_SECONDS = 5.0
"""How long a request waits until the one before it has stored what it had."""
_busy: dict[str, asyncio.Event] = {}
"""Uploads that a request of this process is changing; set where another one goes on with it."""

_OFFSET = {"in": "header", "name": "Upload-Offset", "schema": {"type": "integer"}, "required": True}
_PART = {"content": {PART_TYPE: {"schema": {"type": "string", "format": "binary"}}}}


def render(request: Request, error: DoorError) -> Response:
    """A problem, with the header that each answer of the protocol has."""
    answer = problem(request, error)
    answer.headers["Tus-Resumable"] = VERSION
    return answer


class UploadDocument(BaseModel):
    """How an upload stands; `received` once it has become one of the vehicle's."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: str
    vehicle_id: str
    length: int
    offset: int
    received: Received | None
    refused: str | None


@router.options(
    "", summary="What of the protocol there is", status_code=204, response_class=Response
)
async def offered(request: Request) -> Response:
    """Version, extensions and the largest upload."""
    return _empty(
        204,
        {
            "Tus-Version": VERSION,
            "Tus-Extension": "creation,termination,expiration",
            "Tus-Max-Size": str(door_of(request).upload_bytes),
        },
    )


@router.post(
    "",
    summary="Begin an upload",
    status_code=201,
    response_class=Response,
    responses=answers(412, 413),
    openapi_extra={
        "parameters": [
            {
                "in": "header",
                "name": "Tus-Resumable",
                "schema": {"type": "string", "enum": [VERSION]},
                "required": True,
            },
            {
                "in": "header",
                "name": "Upload-Length",
                "schema": {"type": "integer", "minimum": 1},
                "required": True,
            },
            {
                "in": "header",
                "name": "Upload-Metadata",
                "description": "`vehicle BASE64,filename BASE64`",
                "schema": {"type": "string"},
                "required": True,
            },
        ]
    },
)
async def begin(request: Request) -> Response:
    """`Location` is where its bytes go. `Upload-Metadata` names the vehicle and the file."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request, "vehicles")
    _check_version(request)
    length = _number(request, "Upload-Length")
    if length == 0:
        raise DoorError(400, "Upload-Length: an empty file is no photo and no video")
    if length > door.upload_bytes:
        raise DoorError(413, f"the file is larger than {door.upload_bytes >> 20} MB")
    facts = _metadata(request.headers.get("upload-metadata", ""))
    vehicle = vehicles.named(facts.get("vehicle", ""))
    await run_in_threadpool(door.claim, vehicle, caller)
    upload = await run_in_threadpool(
        _uploads(door).create, caller.name, vehicle, facts.get("filename", "")[-255:], length
    )
    location = f"{door.base(request)}{router.prefix}/{upload.id}"
    return _empty(201, {"Location": location, "Upload-Offset": "0", **_expires(upload)})


@router.get("/{upload_id}", summary="How an upload stands", responses=answers(404))
async def told(request: Request, upload_id: str) -> UploadDocument:
    """For people and for jobs: `received.key` is a source's `key`."""
    door, upload = await _seen(request, upload_id)
    offset = await run_in_threadpool(_uploads(door).offset, upload)
    return UploadDocument(
        id=upload.id,
        vehicle_id=upload.vehicle,
        length=upload.length,
        offset=offset,
        received=upload.received,
        refused=upload.refused,
    )


@router.head(
    "/{upload_id}",
    summary="How much has arrived",
    response_class=Response,
    responses=answers(404, 409, 412, 413, 415, 423),
)
async def arrived(request: Request, upload_id: str) -> Response:
    """`Upload-Offset` is where to go on."""
    _check_version(request)
    door, upload = await _seen(request, upload_id)
    offset = await run_in_threadpool(_uploads(door).offset, upload)
    # The answer to its last part may have been lost, and the server with it.
    if upload.received is None and (offset == upload.length or upload.refused is not None):
        async with _alone(upload):
            await run_in_threadpool(_uploads(door).finish, upload)
    headers = {
        "Upload-Offset": str(offset),
        "Upload-Length": str(upload.length),
        "Cache-Control": "no-store",
    }
    return _empty(200, headers | _expires(upload))


@router.patch(
    "/{upload_id}",
    summary="Send bytes of an upload",
    status_code=204,
    responses=answers(404, 408, 409, 412, 413, 415, 423, 499),
    openapi_extra={"parameters": [_OFFSET], "requestBody": _PART},
)
async def send(request: Request, upload_id: str) -> Response:
    """From `Upload-Offset` on, which must be where the last ones ended. With the last byte the file
    becomes one of the vehicle's. A request that still waits for bytes of the same upload gives way:
    its connection may be one that a phone has lost."""
    _check_version(request)
    door, upload = await _seen(request, upload_id)
    if content_type(request) != PART_TYPE:
        raise DoorError(415, f"the content type of a part is {PART_TYPE}")
    async with _alone(upload, GIVE_WAY_SECONDS) as wanted:
        upload = await run_in_threadpool(_uploads(door).get, upload.id, None)  # as it is by now
        if upload.refused is not None:
            raise DoorError(upload.status, upload.refused)
        take_files(request, door)
        offset = await run_in_threadpool(_uploads(door).offset, upload)
        if _number(request, "Upload-Offset") != offset:
            raise DoorError(
                409,
                f"{offset} bytes have arrived: go on there",
                headers={"Upload-Offset": str(offset)},
            )
        offset = await _receive(request, door, upload, offset, wanted)
        if offset == upload.length:
            await run_in_threadpool(_uploads(door).finish, upload)
    return _empty(204, {"Upload-Offset": str(offset), **_expires(upload)})


@router.delete(
    "/{upload_id}", summary="Give an upload up", status_code=204, responses=answers(404, 412, 423)
)
async def forget(request: Request, upload_id: str) -> Response:
    """What has arrived is deleted; a file that has become the vehicle's stays."""
    _check_version(request)
    door, upload = await _seen(request, upload_id)
    async with _alone(upload):
        await run_in_threadpool(_uploads(door).remove, upload)
    return _empty(204, {})


@router.post("/{upload_id}", include_in_schema=False)
async def overridden(request: Request, upload_id: str) -> Response:
    """For clients that know no PATCH and no DELETE, as the protocol asks for."""
    method = request.headers.get("x-http-method-override", "").upper()
    meant = {"PATCH": send, "DELETE": forget, "HEAD": arrived}.get(method)
    if meant is None:
        allowed = {"Allow": "GET, HEAD, PATCH, DELETE"}
        raise DoorError(405, "name the method as X-HTTP-Method-Override", headers=allowed)
    return await meant(request, upload_id)


async def _receive(
    request: Request, door: Door, upload: Resumable, offset: int, wanted: asyncio.Event
) -> int:
    """Stores what arrives, a part at a time, until another request wants the upload; what came
    before a broken connection stays.

    Returns where the next bytes go.
    """
    pieces, more = request.stream(), True
    failed: DoorError | HTTPException | None = None
    while more:
        with tempfile.NamedTemporaryFile(prefix="okla-upload-") as part:
            size = 0
            while more and size < PART_BYTES:
                try:
                    piece = await _next(pieces, wanted)
                except (HTTPException, DoorError) as error:  # it comes too slowly, say
                    piece, failed = None, error
                except ClientDisconnect:
                    piece, failed = None, DoorError(499, "the caller went away")
                if piece is None:
                    more = False
                else:
                    size += await run_in_threadpool(part.write, piece)
            if offset + size > upload.length:
                raise DoorError(413, f"more came than the {upload.length} bytes that were told")
            if size:
                part.flush()
                await run_in_threadpool(_uploads(door).append, upload, offset, Path(part.name))
                offset += size
    if failed is not None:
        raise failed
    return offset


async def _next(pieces: AsyncIterator[bytes], wanted: asyncio.Event) -> bytes | None:
    """What arrives next, None at the end. Raises `DoorError` 423 where another request wants the
    upload before."""
    reading = asyncio.ensure_future(anext(pieces, None))
    waiting = asyncio.ensure_future(wanted.wait())
    try:
        await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        raise DoorError(423, "another request goes on with this upload")
    finally:
        waiting.cancel()
        if reading.cancel():
            await asyncio.wait((reading,))


@asynccontextmanager
async def _alone(upload: Resumable, patience: float = 0.0) -> AsyncIterator[asyncio.Event]:
    """Keeps other requests from changing the upload; gives what is set when one wants to.

    With patience the one that is changing it is told to give way. Raises `DoorError` 423 where it
    does not in so many seconds.
    """
    until = time.monotonic() + patience
    while patience and upload.id in _busy and time.monotonic() < until:
        _busy[upload.id].set()
        await asyncio.sleep(0.02)
    if upload.id in _busy:
        raise DoorError(423, "another request is changing this upload; try again")
    wanted = _busy[upload.id] = asyncio.Event()
    try:
        yield wanted
    finally:
        del _busy[upload.id]


async def _seen(request: Request, upload_id: str) -> tuple[Door, Resumable]:
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request, "vehicles")
    return door, await run_in_threadpool(_uploads(door).get, upload_id, caller.sees)


def _uploads(door: Door) -> Uploads:
    return Uploads(door.store, door.photo_bytes)


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise DoorError(412, f"send Tus-Resumable: {VERSION}", headers={"Tus-Version": VERSION})


def _number(request: Request, name: str) -> int:
    given = request.headers.get(name, "")
    if not given.isascii() or not given.isdigit() or len(given) > 15:
        raise DoorError(400, f"{name} has to be a number of bytes", fields={name: ["a number"]})
    return int(given)


def _metadata(text: str) -> Mapping[str, str]:
    """Names with texts in base64, as the protocol has them. Raises `DoorError` 400."""
    facts: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.strip().partition(" ")
        try:
            facts[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise DoorError(400, f"Upload-Metadata: {name[:40]} is no UTF-8 in base64") from None
    return facts


def _expires(upload: Resumable) -> dict[str, str]:
    return {"Upload-Expires": f"{upload.ends_at:%a, %d %b %Y %H:%M:%S} GMT"}


def _empty(status: int, headers: Mapping[str, Any]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **headers})

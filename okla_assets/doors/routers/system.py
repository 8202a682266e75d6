"""Health, metrics, and the files that links lead to."""

import asyncio
import logging
import time
from typing import Annotated

from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets import keys
from okla_assets.doors.door import Door, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.uploads.files import stored_file
from resources.storage.media_store import MediaStore

router = APIRouter(tags=["system"])
log = logging.getLogger("okla.doors")

READY_SECONDS = 5.0
"""How long it is believed whether jobs can be written: anybody may ask, and each try is a write."""


class Readiness:
    """Whether jobs can be written: tried once at a time, however many ask."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._trying = asyncio.Lock()
        self._until = 0.0
        self._ready = False

    async def ask(self) -> bool:
        """As it was found within the last READY_SECONDS."""
        async with self._trying:
            if time.monotonic() >= self._until:
                self._ready = await run_in_threadpool(self._try)
                self._until = time.monotonic() + READY_SECONDS
            return self._ready

    def _try(self) -> bool:
        try:
            self._store.put(f"{keys.INBOX}_ready", b"")
        except Exception as error:  # noqa: BLE001  whatever it is, we are not ready
            log.error("jobs cannot be written: %s", error)
            return False
        return True


@router.get("/health", summary="Whether the door answers")
@router.get("/health/live", summary="The same, as OKLA's services name it", include_in_schema=False)
async def health() -> JSONResponse:
    """200 while the process answers."""
    return JSONResponse({"status": "Healthy"})


@router.get("/health/ready", summary="Whether jobs can be accepted", responses={503: {}})
async def ready(request: Request) -> JSONResponse:
    """200 while jobs can be written, as of the last five seconds; the log says why not."""
    readiness = request.app.state.readiness
    assert isinstance(readiness, Readiness)
    if not await readiness.ask():
        return JSONResponse({"status": "Unhealthy"}, 503)
    return JSONResponse({"status": "Healthy"})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests, and jobs that have not ended by state."""
    door, told = door_of(request), request.app.state.metrics
    counts = door.counts()
    for state in ("accepted", "queued", "running"):
        told.jobs.labels(state).set(counts.get(state, 0))
    return Response(generate_latest(told.registry), media_type=CONTENT_TYPE_LATEST)


@router.head("/files/{key:path}", include_in_schema=False)
@router.get(
    "/files/{key:path}",
    summary="A finished file, by a link that was given out",
    response_class=Response,
    responses={206: {}, 304: {}, 400: {}, 403: {}, 404: {}, 416: {}},
)
async def file(
    request: Request,
    key: str,
    expires: Annotated[str, Query(max_length=12)] = "",
    signature: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The file, where the link is one of ours and has not expired."""
    door = door_of(request)
    if not door.links.allows(key, expires, signature):
        raise DoorError(403, "the link has expired, or is none of ours; ask for the job again")
    return await stored(request, door, key)


async def stored(request: Request, door: Door, key: str) -> Response:
    """A file of the store, in pieces. Raises `DoorError` 404."""
    return await stored_file(
        request, door.store, key, cache="private, max-age=3600", missing="the file is gone"
    )

"""The HTTP door: one application, of families of routes that speak different contracts."""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okla_assets.doors.callers.caller import Anybody
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError, Render, problem
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.links import Links
from okla_assets.doors.routers import (
    ai_process,
    ai_processing,
    background_removal,
    backgrounds,
    photoroom,
    rembg,
    removebg,
    system,
    uploads,
    vehicle360,
    vehicles,
)
from okla_assets.doors.uploads.bodies import largest_body
from okla_assets.runtime.instance import waited_out
from resources.errors import Unreadable

log = logging.getLogger("okla.doors")

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Those that are counted by name: strangers can make up as many as they like."""

AGAIN_SECONDS = "5"
"""After which a request may be sent again where the store, or the records, were away."""

QUIET_SECONDS = 60.0
"""How long nothing of a body may come."""
BODY_SECONDS = 60.0
LEAST_BYTES_A_SECOND = 4096
"""A body has BODY_SECONDS, and a second for each so many bytes that have come."""


@dataclass(frozen=True)
class Family:
    """Routes of one contract: the paths that they are below, and how they tell errors."""

    router: APIRouter
    prefixes: tuple[str, ...]
    render: Render = problem


SYSTEM = Family(system.router, ("/health", "/metrics", "/files/"))


def families() -> tuple[Family, ...]:
    """All of them; the first whose prefix a path has tells its errors."""
    return (
        SYSTEM,
        Family(ai_process.router, ("/api/ai-process/",)),
        Family(ai_processing.router, ("/api/aiprocessing/",)),
        Family(background_removal.router, ("/api/backgroundremoval/",)),
        Family(backgrounds.router, ("/api/backgrounds",)),
        Family(vehicle360.newest, ("/api/vehicle360/",)),
        Family(vehicle360.oldest, ("/api/vehicle360processing/",), vehicle360.message),
        Family(vehicle360.video, ("/api/video360/",), vehicle360.error),
        Family(vehicles.router, ("/api/vehicles",)),
        Family(uploads.router, ("/api/uploads",), uploads.render),
        Family(removebg.router, removebg.PREFIXES, removebg.render),
        Family(rembg.router, rembg.PREFIXES, rembg.render),
        Family(photoroom.router, photoroom.PREFIXES, photoroom.render),
    )


class Metrics:
    """What `/metrics` tells; `jobs` is set when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "okla_http_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "okla_http_request_seconds",
            "Seconds until a request was answered.",
            ("route",),
            registry=self.registry,
        )
        self.jobs = Gauge(
            "okla_jobs", "Jobs that have not ended.", ("state",), registry=self.registry
        )


def make_app(door: Door, origins: Sequence[str] = ()) -> FastAPI:
    """The application; `origins` are pages that may call it."""
    app = FastAPI(
        title="OKLA media",
        version=version("okla-media"),
        description="Finished studio media of used cars, under the contracts that callers know.",
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.door = door
    app.state.metrics = Metrics()
    app.state.readiness = system.Readiness(door.store)
    app.state.scene_pictures = backgrounds.Pictures(door.store)
    every = families()
    for family in every:
        app.include_router(family.router)

    def render_of(path: str) -> Render:
        for family in every:
            if path.startswith(family.prefixes):
                return family.render
        return problem

    def answer(request: Request, error: DoorError) -> Response:
        return render_of(request.url.path)(request, error)

    async def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, DoorError)
        return answer(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields: dict[str, list[str]] = {}
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"] if part != "body") or "body"
            fields.setdefault(name, []).append(one["msg"].removeprefix("Value error, "))
        said = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items())
        return answer(request, DoorError(400, said, fields=fields))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(
            request, DoorError(error.status_code, str(error.detail), headers=error.headers or {})
        )

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        if isinstance(error, waited_out()) and not isinstance(error, Unreadable):
            said = "what is stored here cannot be reached now; try again"
            return answer(request, DoorError(503, said, headers={"Retry-After": AGAIN_SECONDS}))
        return answer(request, DoorError(500, "this is our fault; the log has the details"))

    app.add_exception_handler(DoorError, told)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, broken)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    app.add_middleware(_Bodies)
    app.add_middleware(_Requests, metrics=app.state.metrics)
    return app


class _Requests:
    """Gives each request an id, and counts and logs it; the log never has a query."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _is_plain(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.requests.labels(method, route, status).inc()
            self.metrics.seconds.labels(route).observe(took)
            log.info(
                "%s %s %s %.0f ms caller=%s request=%s",
                scope["method"],
                scope["path"].encode("ascii", "backslashreplace").decode()[:200],
                status,
                took * 1000,
                scope["state"].get("caller", "-"),
                request_id,
            )


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= 64 and text.replace("-", "").replace("_", "").isalnum()


class _Bodies:
    """Refuses bodies that are too large, told by their length or found while they arrive, and those
    that arrive too slowly: by the one kind of error that FastAPI lets through while it reads a
    body. How large one may be, its route says (`take_body`)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        size, more, began = 0, True, time.monotonic()

        async def received() -> Message:
            nonlocal size, more
            if not more:
                return await receive()  # that the caller goes away
            _check_size(scope, int(told) if told.isdigit() else math.inf)
            left = began + BODY_SECONDS + size / LEAST_BYTES_A_SECOND - time.monotonic()
            try:
                async with asyncio.timeout(min(left, QUIET_SECONDS)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the request comes too slowly; send it again") from None
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            _check_size(scope, size)
            return message

        await self.app(scope, received, send)


def _check_size(scope: Scope, size: float) -> None:
    if size > (largest := largest_body(scope)):
        raise HTTPException(413, f"the request is larger than {largest >> 20} MB")


def openapi_document() -> dict[str, Any]:
    """The document that clients are generated from, as `docs/openapi.json` has it."""
    from resources.storage.media_store import LocalMediaStore

    store = LocalMediaStore(root="okla-media")
    document = make_app(Door(store, Jobs(store), Anybody(), Links(store, b""))).openapi()
    document["info"]["version"] = "1"
    return document

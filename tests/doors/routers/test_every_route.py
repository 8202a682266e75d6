"""What holds for every route, asked as an ASGI server asks it: what is read of a body before its
sender is known, how large bodies may be, and where keys are checked."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import Message

from okla_assets.doors.callers import records as caller_records, stored as stored_callers
from okla_assets.doors.callers.caller import Anybody, Caller, Scope
from okla_assets.doors.callers.stored import StoredCallers
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.routers import background_removal
from okla_assets.doors.server import families, make_app
from okla_assets.doors.uploads.bodies import JSON_BYTES
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import door_on

PIECE = bytes(64 * 1024)
TYPES = ("image/jpeg", "multipart/form-data; boundary=x", "application/json")
ROUTES = [
    (method, route)
    for family in families()
    for route in family.router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
TAKING_BODIES = [(method, route) for method, route in ROUTES if route.body_field is not None]
OPEN = "/api/aiprocessing/callback"
"""The one address that takes a body of anybody."""


def named(routes: list[tuple[str, APIRoute]]) -> list[str]:
    return [f"{method} {route.path}" for method, route in routes]


@dataclass(frozen=True)
class Answer:
    """The status, and how many bytes of the body were asked for until it came."""

    status: int
    read: int


def ask(
    app: FastAPI, method: str, route: APIRoute, size: int = 0, kind: str = "", key: str = ""
) -> Answer:
    """A request whose body comes in pieces, without its length."""
    path = re.sub(r"\{[^}]*\}", "x", route.path)
    given = {
        "host": "127.0.0.1",
        "content-type": kind,
        "x-api-key": key,
        "tus-resumable": "1.0.0",
        "x-http-method-override": "PATCH",
    }
    headers = [(name.encode(), value.encode()) for name, value in given.items() if value]
    read = status = 0

    async def receive() -> Message:
        nonlocal read
        if read >= size:
            return {"type": "http.request", "body": b"", "more_body": False}
        read += len(PIECE)
        return {"type": "http.request", "body": PIECE, "more_body": True}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    asyncio.run(
        app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "scheme": "http",
                "method": method,
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "headers": headers,
                "server": ("127.0.0.1", 80),
                "client": ("127.0.0.1", 12345),
            },
            receive,
            send,
        )
    )
    return Answer(status, read)


@dataclass(frozen=True)
class Keyed:
    """A door that has a caller, and his key."""

    app: FastAPI
    key: str


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("media")))
    scopes = ("jobs", "vehicles", "admin")
    key = caller_records.create(store, "ann", scopes, requests_a_minute=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_callers, "FAILURES_A_MINUTE", 100_000)
        callers = StoredCallers(store, Settings())
        yield Keyed(make_app(replace(door_on(store), callers=callers)), key)


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=named(ROUTES))
def test_nothing_is_read_of_a_body_whose_sender_is_unknown(
    keyed: Keyed, method: str, route: APIRoute
) -> None:
    for kind in TYPES:
        answer = ask(keyed.app, method, route, 20 * 2**20, kind)
        assert answer.status < 500
        assert answer.read <= (JSON_BYTES + len(PIECE) if route.path == OPEN else 0), kind


@pytest.mark.parametrize(("method", "route"), TAKING_BODIES, ids=named(TAKING_BODIES))
def test_a_body_that_is_held_in_memory_is_small_whatever_it_is_called(
    keyed: Keyed, method: str, route: APIRoute
) -> None:
    """Only where a photo comes as Base64 in JSON it may be of that size."""
    photo = route.path.startswith(background_removal.router.prefix)
    largest = background_removal.BODY_BYTES if photo else JSON_BYTES
    for kind in TYPES:
        answer = ask(keyed.app, method, route, 40 * 2**20, kind, keyed.key)
        assert answer.status == 413
        assert answer.read <= largest + len(PIECE), kind


class Watched(Anybody):
    """Anybody, or nobody unless `lets`; notes for each time whether the thread that answers
    everybody has asked."""

    lets = False

    def __init__(self) -> None:
        self.by_the_loop: list[bool] = []

    def of(self, request: Request, scope: Scope) -> Caller:
        try:
            asyncio.get_running_loop()
            self.by_the_loop.append(True)
        except RuntimeError:
            self.by_the_loop.append(False)
        if not self.lets:
            raise DoorError(401, "not you")
        return super().of(request, scope)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[FastAPI, Watched]:
    callers = Watched()
    door: Door = door_on(LocalMediaStore(root=str(tmp_path_factory.mktemp("media"))))
    return make_app(replace(door, callers=callers)), callers


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=named(ROUTES))
def test_keys_are_checked_beside_the_thread_that_answers_everybody(
    watched: tuple[FastAPI, Watched], method: str, route: APIRoute
) -> None:
    """A store or an identity provider takes seconds at times, in which others go on."""
    app, callers = watched
    callers.by_the_loop, callers.lets = [], False
    answer = ask(app, method, route)
    assert callers.by_the_loop in ([], [False])
    assert not callers.by_the_loop or answer.status in (401, 403)


WITH_BODIES = [one for one in ROUTES if one in TAKING_BODIES or one[1].path.endswith("/photos")]


@pytest.mark.parametrize(("method", "route"), WITH_BODIES, ids=named(WITH_BODIES))
def test_a_request_counts_once_however_often_its_caller_is_asked_for(
    watched: tuple[FastAPI, Watched], method: str, route: APIRoute
) -> None:
    app, callers = watched
    callers.by_the_loop, callers.lets = [], True
    assert 200 <= ask(app, method, route, kind="application/json").status < 500
    assert len(callers.by_the_loop) == (route.path != OPEN)

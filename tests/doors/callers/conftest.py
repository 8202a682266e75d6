"""A door that tells who called it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from fastapi import FastAPI, Request

from okla_assets.doors.callers.stored import callers_for
from okla_assets.doors.door import Door, door_of
from okla_assets.doors.server import make_app
from resources.settings import Settings
from tests.doors.conftest import Serve

SECRET = "a secret of thirty-two bytes or more"
Who = Callable[..., requests.Response]


def probe(door: Door) -> FastAPI:
    """The application with routes that tell who called."""
    app = make_app(door)

    @app.get("/who/{scope}")
    def who(request: Request, scope: str) -> dict[str, Any]:
        caller = door_of(request).caller(request, scope)  # type: ignore[arg-type]
        return {"name": caller.name, "sees": caller.sees}

    @app.post("/who/{scope}")
    def change(request: Request, scope: str) -> dict[str, Any]:
        return who(request, scope)

    return app


@pytest.fixture
def who(door: Door, serve: Serve) -> Callable[..., Who]:
    """Starts a door with these settings; what it gives asks that door who one is."""

    def start(**settings: Any) -> Who:
        url = serve(probe(replace(door, callers=callers_for(door.store, Settings(**settings)))))

        def ask(scope: str = "jobs", **headers: str) -> requests.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return requests.get(f"{url}/who/{scope}", headers=named, timeout=10)

        return ask

    return start

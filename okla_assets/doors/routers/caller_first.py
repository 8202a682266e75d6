"""Routes that know who calls before they read what he sends."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from okla_assets.doors.callers.caller import Scope
from okla_assets.doors.door import door_of
from okla_assets.doors.uploads.bodies import JSON_BYTES, take_body


class CallerFirst(APIRoute):
    """Lets a caller with the scope `needed` in before its body is read, of `largest` bytes.

    FastAPI by itself reads the body before it asks for the caller.
    """

    needed: Scope = "jobs"
    largest = JSON_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def let_in(request: Request) -> Response:
            await run_in_threadpool(door_of(request).caller, request, self.needed)
            take_body(request, self.largest)
            return await handle(request)

        return let_in

"""What bodies of requests have in common: how large they may be, their type, files that came as
text, files to forget."""

import base64
from collections.abc import AsyncIterator, Iterable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from okla_assets.doors.door import CHUNK, Door, Upload

JSON_BYTES = 2 * 2**20
"""The largest body, unless its route takes more."""


def take_body(request: Request, largest: int) -> None:
    """Lets this request have a body of so many bytes.

    Its route calls it when it knows the caller: of a stranger's no more than JSON_BYTES is read,
    whatever he calls it.
    """
    request.state.largest_body = largest


def take_files(request: Request, door: Door) -> None:
    """Lets this request have a body with files, none of which is held in memory."""
    take_body(request, door.upload_bytes + JSON_BYTES)


def largest_body(scope: Scope) -> int:
    """How many bytes the body of the request may have, as things stand."""
    largest = scope["state"].get("largest_body", JSON_BYTES)
    assert isinstance(largest, int)
    return largest


def content_type(request: Request) -> str:
    """What the body is said to be, without parameters and in lower case; empty where nothing is."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def decoded(door: Door, text: str, limit: int, name: str = "") -> Upload:
    """A file that came as Base64. Raises ValueError where it is none, `DoorError` 413."""
    data = await run_in_threadpool(base64.b64decode, text, validate=True)

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(data), CHUNK):
            yield data[first : first + CHUNK]

    return await door.received(pieces(), limit, name)


def discard(uploads: Iterable[Upload]) -> None:
    """Removes files of a request from this machine."""
    for one in uploads:
        one.path.unlink(missing_ok=True)

"""What bodies of requests have in common: their type, files that came as text, files to forget."""

import base64
from collections.abc import AsyncIterator, Iterable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from okla_assets.doors.door import CHUNK, Door, Upload


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

"""What bodies of requests have in common: how large they may be, their type, files that came as
text, files to forget."""

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Scope

from okla_assets.doors.door import CHUNK, Door, Upload
from okla_assets.doors.errors import DoorError

JSON_BYTES = 2 * 2**20
"""The largest body, unless its route takes more; and all that is no file of a form with files."""


def take_body(request: Request, largest: int) -> None:
    """Lets this request have a body of so many bytes.

    Its route calls it when it knows the caller: of a stranger's no more than JSON_BYTES is read,
    whatever he calls it.
    """
    request.state.largest_body = largest


def take_files(request: Request, door: Door) -> None:
    """Lets this request have a body with files, none of which is held in memory."""
    take_body(request, door.upload_bytes + JSON_BYTES)


@asynccontextmanager
async def form_with_files(
    request: Request, door: Door, files: int, fields: int
) -> AsyncIterator[FormData]:
    """The form of at most so many files and other fields, while the context lasts.

    Called when the caller is known. Raises `DoorError`: 400 for what is no form, 413 where its
    fields that are no files are larger than JSON_BYTES together.
    """
    take_files(request, door)
    parser = _Form(request.headers, request.stream(), max_files=files, max_fields=fields)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise DoorError(400, error.message) from None
    try:
        yield form
    finally:
        await form.close()


class _Form(MultiPartParser):
    """Holds little of a form in memory, however many fields and files it has."""

    spool_max_size = 64 * 2**10
    """Of each file so much is held in memory; a larger one is on disk."""

    def __init__(self, *args: Any, **limits: Any) -> None:
        super().__init__(*args, max_part_size=JSON_BYTES, **limits)
        self._texts = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Counts what is no file."""
        if self._current_part.file is None:
            self._texts += end - start
            if self._texts > JSON_BYTES:
                raise DoorError(
                    413,
                    f"what is no file is larger than {JSON_BYTES >> 20} MB; send files as files",
                )
        super().on_part_data(data, start, end)


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

"""A file of the media store as an HTTP answer, in ranges where they are asked for."""

import mimetypes
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from okla_assets import keys
from okla_assets.doors.errors import DoorError
from resources.storage.media_store import MediaStore
from resources.storage.odd_entries import BadKey

FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
"""The file may be made anew under the same name; its ETag tells."""


async def stored_file(
    request: Request,
    store: MediaStore,
    key: str,
    *,
    cache: str | None = None,
    missing: str = "there is no such file",
) -> Response:
    """The file of this key, or 304 where the caller has it. Raises `DoorError` 404 with a sentence.

    A bucket's file is fetched whole before a part of it is sent.
    """
    try:
        info = await run_in_threadpool(store.stat, key)
    except BadKey:
        info = None
    if info is None:
        raise DoorError(404, missing)
    stack = ExitStack()
    headers = {
        "ETag": f'"{info.etag.strip(chr(34))}"',
        "Cache-Control": cache or (FOR_EVER if keys.named_by_content(key) else ASK_AGAIN),
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        path = await run_in_threadpool(stack.enter_context, store.as_file(key))
    except FileNotFoundError:
        raise DoorError(404, missing) from None
    return _Stored(path, key, headers, stack)


class _Stored(FileResponse):
    """`stack` is closed when the file has been sent, or when its reader has gone."""

    def __init__(self, path: Path, key: str, headers: Mapping[str, str], stack: ExitStack) -> None:
        media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
        super().__init__(path, headers=headers, media_type=media_type)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._stack.close)

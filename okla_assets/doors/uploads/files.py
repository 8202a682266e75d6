"""A file of the media store as an HTTP answer, in ranges where they are asked for."""

import mimetypes
from collections.abc import Iterator
from email.utils import format_datetime
from itertools import chain

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from okla_assets import keys
from okla_assets.doors.errors import DoorError
from resources.storage.media_store import MediaStore, ObjectInfo, Replaced
from resources.storage.odd_entries import BadKey
from resources.storage.parts import OutsideFile, Part, asked_part, pieces

FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
"""The file may be made anew under the same name; its ETag tells."""
MOST_TRIES = 3
"""Where the file is written anew between being found and being read."""


async def stored_file(
    request: Request,
    store: MediaStore,
    key: str,
    *,
    cache: str | None = None,
    missing: str = "there is no such file",
) -> Response:
    """The file of this key, or 304 where the caller has it.

    It is read from the store as it is sent, a piece at a time and no more than is asked for. Raises
    `DoorError`: 404 with a sentence, 416 for a range outside of it.
    """
    for _ in range(MOST_TRIES):
        try:
            info = await run_in_threadpool(store.stat, key)
        except BadKey:
            info = None
        if info is None:
            raise DoorError(404, missing)
        headers = {
            "ETag": f'"{info.etag}"',
            "Last-Modified": format_datetime(info.modified, usegmt=True),
            "Cache-Control": cache or (FOR_EVER if keys.named_by_content(key) else ASK_AGAIN),
            "X-Content-Type-Options": "nosniff",
            "Accept-Ranges": "bytes",
        }
        if _has(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        try:
            return await _answer(request, store, info, headers)
        except FileNotFoundError:
            raise DoorError(404, missing) from None
        except Replaced:
            continue
    raise DoorError(503, "the file is being written; ask again", headers={"Retry-After": "1"})


async def _answer(
    request: Request, store: MediaStore, info: ObjectInfo, headers: dict[str, str]
) -> Response:
    """The answer, whose first piece is read already: from then on nothing can be told."""
    whole = Part(0, info.size, info.size)
    try:
        asked = asked_part(_range(request, headers), info.size)
    except OutsideFile:
        raise DoorError(
            416,
            f"the file has {info.size} bytes, and none of those that are asked for",
            headers={"Content-Range": f"bytes */{info.size}"},
        ) from None
    part = asked or whole
    headers["Content-Length"] = str(part.count)
    if asked is not None:
        headers["Content-Range"] = part.content_range
    status = 200 if asked is None else 206
    media_type = mimetypes.guess_type(info.key)[0] or "application/octet-stream"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    rest: Iterator[bytes] = pieces(store, info, part)
    first = await run_in_threadpool(next, rest, b"")
    return StreamingResponse(chain([first], rest), status, headers, media_type)


def _has(known: str, etag: str) -> bool:
    """Whether an ETag is among those of If-None-Match; a proxy that compresses makes them weak."""
    return etag in (one.strip().removeprefix("W/") for one in known.split(","))


def _range(request: Request, headers: dict[str, str]) -> str:
    """The Range that counts: none where the caller has parts of another file (If-Range)."""
    known = request.headers.get("if-range")
    if known is not None and known not in (headers["ETag"], headers["Last-Modified"]):
        return ""
    return request.headers.get("range", "")

"""Forms with files: what of them is held in memory."""

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest
import requests
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.server import make_app
from okla_assets.doors.uploads.bodies import JSON_BYTES, form_with_files
from tests.doors.conftest import Serve
from tests.doors.places import PHOTO

PIECE = 64 * 2**10


def part(number: int, size: int, file: bool) -> Iterator[bytes]:
    """One field of a form, in pieces."""
    name = f'; filename="{number}.jpg"' if file else ""
    yield f'--x\r\nContent-Disposition: form-data; name="f{number}"{name}\r\n\r\n'.encode()
    for first in range(0, size, PIECE):
        yield bytes(min(PIECE, size - first))
    yield b"\r\n"


def form_of(count: int, size: int, file: bool) -> Iterator[bytes]:
    for number in range(count):
        yield from part(number, size, file)
    yield b"--x--\r\n"


def request_of(pieces: Iterator[bytes], read: list[int]) -> Request:
    """A request whose body comes in these pieces; how many bytes were asked for goes to `read`."""

    async def receive() -> Message:
        piece = next(pieces, None)
        read.append(len(piece or b""))
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    return Request({"type": "http", "headers": headers, "state": {}}, receive)


def test_texts_of_a_form_are_as_small_together_as_a_body_without_files(door: Door) -> None:
    read: list[int] = []

    async def send() -> None:
        request = request_of(form_of(40, JSON_BYTES // 4, file=False), read)
        async with form_with_files(request, door, 1, 50):
            raise AssertionError

    with pytest.raises(DoorError) as refused:
        asyncio.run(send())
    assert refused.value.status == 413
    assert sum(read) < JSON_BYTES + 2 * PIECE


def test_of_many_small_files_little_is_held_in_memory(door: Door) -> None:
    size, count = 900 * 2**10, 20

    async def send() -> int:
        request = request_of(form_of(count, size, file=True), [])
        tracemalloc.start()
        try:
            async with form_with_files(request, door, count, 1) as form:
                files = [value for value in form.values() if isinstance(value, UploadFile)]
                assert [file.size for file in files] == [size] * count
                return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert asyncio.run(send()) < size * count / 3


def test_what_is_no_form_is_told(door: Door) -> None:
    async def send() -> None:
        async with form_with_files(request_of(iter([b"nothing"]), []), door, 1, 1):
            raise AssertionError

    with pytest.raises(DoorError) as refused:
        asyncio.run(send())
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "path", ["vehicles/CAR-1/photos", "vehicle360/jobs/upload", "ai-process/classify-image"]
)
def test_every_form_with_files_has_these_limits(door: Door, serve: Serve, path: str) -> None:
    fields = {f"f{number}": "x" * 2**19 for number in range(8)}
    files = {"file": ("a.jpg", PHOTO, "image/jpeg")}
    url = f"{serve(make_app(door))}/api/{path}"
    answer = requests.post(url, data=fields, files=files, timeout=10)
    assert answer.status_code == 413, answer.text
    assert "send files as files" in answer.text

"""What the contracts share that answer with the picture itself: fields of any kind of body, their
values, and one job that is waited for."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload
from okla_assets.doors.errors import BadAddress, DoorError
from okla_assets.doors.jobs.requests import CutOutOptions, Operation
from okla_assets.doors.jobs.results import DrawnFile, PhotoResult, Problem
from okla_assets.doors.uploads.bodies import content_type, decoded, take_body

MOST_FIELDS = 64
RETRY_SECONDS = 10
_WEB_ADDRESS = re.compile(r"https?://[^\s/@]+(/\S*)?", re.IGNORECASE)
_HEX = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True)
class Fields:
    """What a request says: texts by name, the empty ones left out, and files by name."""

    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        return self.texts.get(name, default)


@asynccontextmanager
async def fields_of(request: Request, largest: int) -> AsyncIterator[Fields]:
    """The fields of a multipart, urlencoded or JSON body of at most `largest` bytes.

    Called when the caller is known. Raises `DoorError` 400 for a body that cannot be read.
    """
    take_body(request, largest)
    if content_type(request) == "application/json":
        yield Fields(_json_texts(await request.body()))
        return
    async with request.form(
        max_files=MOST_FIELDS, max_fields=MOST_FIELDS, max_part_size=largest
    ) as form:
        texts: dict[str, str] = {}
        files: dict[str, UploadFile] = {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if value.size or value.filename:
                    files[name] = value
            elif value:
                texts[name] = value
        yield Fields(texts, files)


def _json_texts(body: bytes) -> dict[str, str]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise DoorError(400, "the body is no JSON; send an object of fields") from None
    if not isinstance(found, dict):
        raise DoorError(400, "the body is no JSON object; send an object of fields")
    texts = {}
    for name, value in found.items():
        if isinstance(value, bool):
            texts[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            texts[name] = str(value)
        elif value is not None:
            raise DoorError(400, f"{name[:64]} is no text or number")
    return {name: value for name, value in texts.items() if value}


def boolean(text: str, code: str, name: str, default: bool = False) -> bool:
    """A yes or no. Raises `DoorError` 400 with that code."""
    if not text:
        return default
    if (value := BOOLEANS.get(text.strip().lower())) is None:
        raise DoorError(400, f"{name} is {text[:40]!r}; give true or false", code)
    return value


def address(text: str, code: str, name: str) -> str:
    """A web address. Raises `DoorError` 400 with that code."""
    if not _WEB_ADDRESS.fullmatch(text.strip()):
        raise DoorError(400, f"{name} is no http(s) address", code)
    return text.strip()


def colour(text: str, code: str, name: str = "bg_color") -> tuple[int, int, int, int]:
    """A colour (R, G, B, opacity) of 3, 4, 6 or 8 hexadecimal digits, or of a name that CSS knows.

    Raises `DoorError` 400 with that code.
    """
    if _HEX.fullmatch(text.strip()):
        digits = text.strip().lstrip("#")
        if len(digits) < 6:
            digits = "".join(2 * digit for digit in digits)
        r, g, b, a = bytes.fromhex(digits if len(digits) == 8 else digits + "ff")
        return r, g, b, a
    from PIL import ImageColor

    name_of_colour = text.strip().lower()
    if name_of_colour not in ImageColor.colormap:
        raise DoorError(
            400, f"{name} is {text[:40]!r}; give a colour as ff8800, ff8800cc or orange", code
        )
    # By `getrgb`: what the map holds changes from text to numbers as Pillow uses a name.
    r, g, b = ImageColor.getrgb(name_of_colour)[:3]
    return r, g, b, 255


async def upload_of_base64(door: Door, text: str, limit: int) -> Upload:
    """A picture that was sent as Base64, with or without the `data:` before it.

    Raises `DoorError`: 400 where it is none, 413.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) > (limit + 2) // 3 * 4 + 4:
        raise DoorError(413, f"the file is larger than {limit >> 20} MB; send a smaller one")
    try:
        # Forms turn a "+" that was not quoted into a blank.
        return await decoded(door, text.strip().replace(" ", "+"), limit)
    except ValueError:
        raise DoorError(400, "image_file_b64 is no Base64") from None


@dataclass
class NotDrawn(Exception):
    """The job ended without the picture: why, and whether it is about the background."""

    problem: Problem
    background: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.problem.detail)


@dataclass(frozen=True)
class Answer:
    """A drawn picture: its bytes, and what is known of it."""

    data: bytes
    file: DrawnFile
    photo: PhotoResult


async def drawn(
    door: Door,
    caller: Caller,
    options: CutOutOptions,
    *,
    family: str,
    uploads: Sequence[Upload] = (),
    addresses: Sequence[str] = (),
    source: int = 0,
) -> Answer:
    """The cut-out of the source with that index, waited for.

    Raises `NotDrawn`, and `DoorError`: 503 where it takes too long, which ends the job, and what
    `Door.accept` raises.
    """
    behind = options.background_source
    try:
        job = await door.accept(
            caller,
            operation=Operation.cut_out,
            uploads=uploads,
            sources=[{"url": one} for one in addresses],
            cut_out=options,
            door=family,
        )
    except BadAddress as error:
        problem = Problem(code=error.reason, detail=error.detail)
        raise NotDrawn(problem, error.source == behind) from None
    job = await door.wait(job)
    if not job.has_ended:
        await run_in_threadpool(door.jobs.ask_to_end, job)
        raise DoorError(
            503,
            "the picture is not ready yet, and nobody waits for it any more; send it again later",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    for index in (source, *(() if behind is None else (behind,))):
        if (refused := job.refusals.get(index)) is not None:
            raise NotDrawn(refused, index == behind)
    photos = () if job.result is None else job.result.photos
    photo = next((one for one in photos if one.source == source), None)
    if photo is not None and photo.refusal is not None:
        problem = Problem(code=photo.refusal, detail=photo.detail or photo.refusal)
        raise NotDrawn(problem, problem.code == "background")
    if photo is None or photo.picture is None:
        raise NotDrawn(job.problem or Problem(code="step_failed", detail=f"the job {job.state}"))
    data = await run_in_threadpool(door.store.get, photo.picture.key)
    return Answer(data, photo.picture, photo)

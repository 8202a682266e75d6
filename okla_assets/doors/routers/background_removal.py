"""OKLA's BackgroundRemovalService: POST /api/backgroundremoval/remove."""

import base64
import re
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field, field_validator, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from okla_assets.doors.door import Door, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import CutOutOptions, Operation
from okla_assets.doors.okla import jobs as okla_jobs
from okla_assets.doors.okla.jobs import JobsCaller, Named, told
from okla_assets.doors.okla.models import Answer, Body, WebAddress
from okla_assets.doors.okla.words import VIEW_STATUS, error_message
from okla_assets.doors.routers.caller_first import CallerFirst

BODY_BYTES = 30 * 2**20
"""Of a request: a photo of 22 MB as base64."""


class _Photo(CallerFirst):
    largest = BODY_BYTES


router = APIRouter(tags=["backgroundremoval"], prefix="/api/backgroundremoval", route_class=_Photo)
PROVIDER = "okla-media"

Format = Literal["png", "jpg", "webp"]
FORMATS: dict[str, Format] = {"png": "png", "jpg": "jpg", "jpeg": "jpg", "webp": "webp"}
MEGAPIXELS = {
    "preview": 0.25,
    "small": 0.25,
    "regular": 0.25,
    "medium": 1.5,
    "hd": 4.0,
    "full": 25.0,
    "4k": 25.0,
    "auto": 25.0,
    "original": 25.0,
}
VEHICLES = ("auto", "car", "vehicle", "transportation")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_MARGIN = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s*(px|%)?")


def _word(value: str, known: dict[str, Any] | tuple[str, ...]) -> str:
    word = value.strip().lower()
    if word not in known:
        raise ValueError(f"there is no {value[:40]!r} here; there are {', '.join(known)}")
    return word


class RemovalBody(Body):
    """One photo of a vehicle, by its address or as base64."""

    image_url: WebAddress | None = None
    image_base64: str | None = Field(default=None, min_length=1)
    file_name: str = Field(default="", max_length=255)
    output_format: str = "png"
    output_size: str = "original"
    background_color: str | None = None
    add_shadow: bool = False
    crop_to_foreground: bool = False
    crop_margin: str | int | float | None = None
    width: int | None = None
    height: int | None = None
    quality: int = Field(default=90, ge=1, le=100)
    object_type: str = "auto"
    callback_url: WebAddress | None = None
    correlation_id: str | None = Field(default=None, max_length=255)
    metadata: dict[str, Any] | None = None
    process_sync: bool = True

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        """A null says nothing; what has a default keeps it."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @field_validator("output_format")
    @classmethod
    def _format(cls, value: str) -> str:
        return FORMATS[_word(value, FORMATS)]

    @field_validator("output_size")
    @classmethod
    def _size(cls, value: str) -> str:
        return _word(value, MEGAPIXELS)

    @field_validator("object_type")
    @classmethod
    def _vehicle(cls, value: str) -> str:
        return _word(value, VEHICLES)

    @field_validator("background_color")
    @classmethod
    def _colour(cls, value: str | None) -> str | None:
        if value in (None, "", "transparent"):
            return None
        if not _COLOUR.fullmatch(value):
            raise ValueError("a colour is hexadecimal: #fff, #ffffff or #ffffffff")
        return value.removeprefix("#")

    @field_validator("crop_margin")
    @classmethod
    def _margin(cls, value: str | float | None) -> str | float | None:
        if value is not None and not _MARGIN.fullmatch(str(value).strip()):
            raise ValueError("a margin is a number of pixels or percent: 20, 20px or 5%")
        return value

    @field_validator("width", "height")
    @classmethod
    def _as_it_is(cls, value: int | None) -> int | None:
        if value:
            raise ValueError("a picture of a size of your own is not offered; choose an outputSize")
        return None

    @model_validator(mode="after")
    def _has_a_source(self) -> "RemovalBody":
        if (self.image_url is None) == (self.image_base64 is None):
            raise ValueError("imageUrl: give the photo's address, or imageBase64, and not both")
        return self

    @property
    def drawn(self) -> CutOutOptions:
        """How the vehicle is drawn."""
        return CutOutOptions(
            format=FORMATS[self.output_format],
            megapixels=MEGAPIXELS[self.output_size],
            crop=self.crop_to_foreground,
            crop_margin=() if self.crop_margin is None else (_length(str(self.crop_margin)),) * 4,
            shadow="car" if self.add_shadow else "none",
            background_colour=None if not self.background_color else _rgba(self.background_color),
            quality=self.quality,
        )


def _length(text: str) -> tuple[float, Literal["px", "%"]]:
    found = _MARGIN.fullmatch(text.strip())
    assert found is not None, "the body was checked"
    return float(found[1]), "%" if found[2] == "%" else "px"


def _rgba(digits: str) -> tuple[int, int, int, int]:
    if len(digits) < 5:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return red, green, blue, alpha


class Removal(Answer):
    """What came of it. `resultBase64` is there where the photo came so."""

    job_id: str
    status: str
    status_text: str
    provider: str = PROVIDER
    source_image_url: str | None = None
    result_image_url: str | None = None
    result_base64: str | None = None
    processing_time_ms: int | None = None
    credits_consumed: int
    error_message: str | None = None
    error_code: str | None = None
    correlation_id: str | None = None
    created_at: datetime
    completed_at: datetime | None = None
    metadata: dict[str, Any] | None = None


@router.post(
    "/remove",
    summary="A vehicle without its background",
    response_model=Removal,
    response_model_exclude_none=True,
    responses=told(402, 409, 413, 422)
    | {202: {"model": Removal, "description": "it is not ready yet"}},
)
async def remove(
    request: Request, body: RemovalBody, caller: JobsCaller, named: Named = None
) -> Any:
    """Waited for, unless `processSync` is false. A photo that gives no result is answered 422."""
    door = door_of(request)
    uploads, metadata = [], dict(body.metadata or {})
    if body.correlation_id is not None:
        metadata["correlationId"] = body.correlation_id
    if body.image_base64 is not None:
        uploads.append(await okla_jobs.upload_of_base64(door, body.image_base64, body.file_name))
    job = await door.accept(
        caller,
        uploads=uploads,
        operation=Operation.cut_out,
        sources=[] if body.image_url is None else [{"url": body.image_url}],
        cut_out=body.drawn,
        callback=body.callback_url,
        metadata=metadata,
        kind="BackgroundRemoval",
        idempotency=named,
        door="backgroundremoval",
    )
    if body.process_sync:
        job = await door.wait(job)
    if job.state in ("failed", "cancelled"):
        code = job.problem.code if job.problem is not None else job.state
        raise DoorError(422, error_message(job) or "there is no result", code)
    answer = _removal(door, request, job)
    if job.state != "completed":
        headers = {"Location": f"{router.prefix}/jobs/{job.id}", "Retry-After": "2"}
        return JSONResponse(answer.model_dump(mode="json", exclude_none=True), 202, headers)
    drawn = _drawn_key(job)
    if body.image_base64 is not None and drawn is not None:
        data = await run_in_threadpool(door.store.get, drawn)
        answer.result_base64 = base64.b64encode(data).decode()
    return answer


@router.get(
    "/jobs/{job_id}",
    summary="How far it is",
    response_model_exclude_none=True,
    responses=told(404),
)
async def status(request: Request, job_id: str, caller: JobsCaller) -> Removal:
    """404 for jobs that draw no cut-out."""
    door = door_of(request)
    job = await okla_jobs.find(door, job_id, caller)
    if job.request.operation is not Operation.cut_out:
        raise DoorError(404, f"job {job.id} removes no background")
    return _removal(door, request, job)


def _drawn_key(job: Job) -> str | None:
    photos = () if job.result is None else job.result.photos
    return next((photo.picture.key for photo in photos if photo.picture is not None), None)


def _removal(door: Door, request: Request, job: Job) -> Removal:
    drawn, state = _drawn_key(job), VIEW_STATUS[job.state]
    given = job.request.metadata
    return Removal(
        job_id=job.id,
        status=state,
        status_text=state,
        source_image_url=next((s.url for s in job.request.sources if s.url is not None), None),
        result_image_url=None if drawn is None else okla_jobs.url_of(door, request)(drawn),
        processing_time_ms=job.milliseconds,
        credits_consumed=int(job.state == "completed"),
        error_message=error_message(job),
        error_code=None if job.problem is None else job.problem.code,
        correlation_id=given.get("correlationId"),
        created_at=job.created_at,
        completed_at=job.ended_at,
        metadata=given or None,
    )

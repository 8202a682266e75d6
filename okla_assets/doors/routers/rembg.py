"""The contract of rembg's server (`rembg s`), for vehicles."""

import json
import re
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets.doors.door import door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.requests import CutOutOptions
from okla_assets.doors.routers.synchronous import (
    Answer,
    Fields,
    NotDrawn,
    address,
    boolean,
    drawn,
    fields_of,
)

router = APIRouter(tags=["rembg"])
PREFIXES = ("/api/remove",)
BODY_BYTES = 64 * 2**20
MEGAPIXELS = 50.0
_COLOUR = re.compile(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?")
_NUMBERS = {"af": 255, "ab": 255, "ae": 10_000}


def render(request: Request, error: DoorError) -> Response:
    """An error as FastAPI tells it, which rembg is made with."""
    return JSONResponse({"detail": error.detail}, error.status, dict(error.headers))


_ERROR = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["detail"],
                "properties": {"detail": {"type": "string"}},
            }
        }
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    **{
        status: {"description": text, **_ERROR}
        for status, text in (
            (400, "A parameter or a photo that cannot be used"),
            (401, "No valid API key"),
            (402, "No pictures are left this month"),
            (403, "The API key may not do this"),
            (413, "The photo is too large"),
            (422, "The photo is missing"),
            (408, "The request came too slowly"),
            (429, "Too many requests"),
            (503, "The picture was not ready in time"),
        )
    },
}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "model": {"type": "string", "default": "u2net"},
    "a": {"type": "boolean", "default": False},
    "af": {"type": "integer", "minimum": 0, "maximum": 255, "default": 240},
    "ab": {"type": "integer", "minimum": 0, "maximum": 255, "default": 10},
    "ae": {"type": "integer", "minimum": 0, "maximum": 10000, "default": 10},
    "om": {"type": "boolean", "default": False},
    "ppm": {"type": "boolean", "default": False},
    "bgc": {"type": "string", "default": ""},
    "extras": {"type": "string", "default": ""},
}


def _query(schemas: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name == "url", "schema": schema}
        for name, schema in schemas.items()
    ]


@router.get(
    "/api/remove",
    summary="The vehicle of a photo on the web without its background",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={"parameters": _query({"url": {"type": "string"}, **_PARAMETERS})},
)
async def of_address(request: Request) -> Response:
    """Always a PNG; `model` and what tunes its matting are taken, and change nothing: the networks
    here are our own, and their mattes always soft."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    fields = Fields({name: value for name, value in request.query_params.items() if value})
    if not (url := fields.text("url")):
        raise DoorError(422, "url is missing; give the address of a photo")
    addresses = [address(url, "", "url")]
    options = options_of(fields)
    try:
        answer = await drawn(door, caller, options, family="rembg", addresses=addresses)
    except NotDrawn as error:
        raise _refused(error) from None
    return _picture(answer)


@router.post(
    "/api/remove",
    summary="The vehicle of a photo without its background",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={
        "parameters": _query({"bgc": _PARAMETERS["bgc"]}),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            **_PARAMETERS,
                        },
                    }
                }
            },
        },
    },
)
async def of_file(request: Request) -> Response:
    """As for an address; the parameters are fields of the form, or of the query."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    async with fields_of(request, BODY_BYTES) as form:
        asked = {name: value for name, value in request.query_params.items() if value}
        options = options_of(Fields({**asked, **form.texts}))
        if "file" not in form.files:
            raise DoorError(422, "file is missing; send a photo as multipart/form-data")
        upload = await door.upload(form.files["file"], door.photo_bytes)
    try:
        answer = await drawn(door, caller, options, family="rembg", uploads=[upload])
    except NotDrawn as error:
        raise _refused(error) from None
    return _picture(answer)


def _picture(answer: Answer) -> Response:
    return Response(answer.data, media_type=answer.file.type)


def _refused(error: NotDrawn) -> DoorError:
    status = 500 if error.problem.code == "step_failed" else 400
    return DoorError(status, error.problem.detail)


def options_of(fields: Fields) -> CutOutOptions:
    """What the parameters ask for. Raises `DoorError` 400."""
    for name, most in _NUMBERS.items():
        text = fields.text(name, "0")
        if not (text.isascii() and text.isdigit()) or len(text) > 9:
            raise DoorError(400, f"{name} is {text[:40]!r}; give a number")
        if int(text) > most:
            raise DoorError(400, f"{name} is {text[:40]!r}; give 0 to {most}")
    boolean(fields.text("a"), "", "a")
    boolean(fields.text("ppm"), "", "ppm")
    if extras := fields.text("extras"):
        try:
            json.loads(extras)
        except (ValueError, RecursionError):
            raise DoorError(400, "extras is no JSON") from None
    return CutOutOptions(
        format="png",
        channels="alpha" if boolean(fields.text("om"), "", "om") else "rgba",
        megapixels=MEGAPIXELS,
        semitransparency=False,
        background_colour=_colour(fields.text("bgc")),
    )


def _colour(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return None
    found = _COLOUR.fullmatch(text)
    if found is None or any(int(part) > 255 for part in found.groups("255")):
        raise DoorError(400, "bgc is r,g,b,a: four numbers from 0 to 255")
    red, green, blue, opacity = (int(part) for part in found.groups("255"))
    return red, green, blue, opacity

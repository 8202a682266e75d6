"""The contract of Photoroom's `/v1/segment`, for vehicles."""

import base64
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.requests import CutOutOptions
from okla_assets.doors.routers.synchronous import (
    Fields,
    NotDrawn,
    boolean,
    colour,
    drawn,
    fields_of,
    upload_of_base64,
)

router = APIRouter(tags=["Photoroom"])
PREFIXES = ("/v1/segment",)
BODY_BYTES = 64 * 2**20
FILE_BYTES = 30 * 2**20
MEGAPIXELS: Mapping[str, float] = {"preview": 0.25, "medium": 1.5, "hd": 4.0, "full": 36.0}
FORMATS = ("png", "jpg", "webp")
TYPES: Mapping[int, str] = {
    402: "quota_exceeded",
    403: "authentication_error",
    408: "timeout",
    429: "rate_limit_exceeded",
    503: "timeout",
    500: "internal_error",
}


def render(request: Request, error: DoorError) -> Response:
    """An error as Photoroom tells it: who is unknown gets 403, and no body is ever 413."""
    status, kind = error.status, error.code
    if status == 401:
        status = 403
    elif status == 413:
        status, kind = 400, "file_too_large"
    said = {
        "detail": error.detail,
        "status_code": status,
        "type": kind or TYPES.get(status, "invalid_request"),
    }
    return JSONResponse(said, status, dict(error.headers))


_ERROR = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["detail", "status_code", "type"],
                "properties": {
                    "detail": {"type": "string"},
                    "status_code": {"type": "integer"},
                    "type": {"type": "string"},
                },
            }
        }
    }
}
_FILE = {"type": "string", "format": "binary"}
_WORDS: dict[str, Any] = {
    name: {"type": "string", "default": default}
    for name, default in (
        ("format", "png"),
        ("channels", "rgba"),
        ("bg_color", ""),
        ("size", "full"),
        ("crop", "false"),
        ("despill", "false"),
    )
}


@router.post(
    "/v1/segment",
    summary="A vehicle without its background",
    response_class=Response,
    responses={
        200: {
            "description": "The picture, or JSON with it as Base64 where that is asked for",
            "content": {
                **{f"image/{kind}": {"schema": _FILE} for kind in ("png", "jpeg", "webp")},
                "application/json": {"schema": {"type": "object"}},
            },
        },
        **{
            status: {"description": text, **_ERROR}
            for status, text in (
                (400, "A parameter or a photo that cannot be used"),
                (402, "No pictures are left this month"),
                (403, "No valid API key"),
                (408, "The request came too slowly"),
                (429, "Too many requests"),
                (503, "The picture was not ready in time"),
            )
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image_file"],
                        "properties": {"image_file": _FILE, **_WORDS},
                    }
                },
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["image_file_b64"],
                        "properties": {"image_file_b64": {"type": "string"}, **_WORDS},
                    }
                },
            },
        }
    },
)
async def segment(request: Request) -> Response:
    """The picture itself, or as Base64 in JSON; `x-uncertainty-score` tells how far two networks
    disagree about the outline, from 0 (not at all) to 1."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    async with fields_of(request, BODY_BYTES) as fields:
        options = options_of(fields)
        upload = await _upload(door, fields)
    try:
        answer = await drawn(door, caller, options, family="photoroom", uploads=[upload])
    except NotDrawn as error:
        problem = error.problem
        raise DoorError(
            500 if problem.code == "step_failed" else 400, problem.detail, problem.code
        ) from None
    agreement = answer.file.agreement
    headers = {} if agreement is None else {"x-uncertainty-score": f"{1 - agreement:.4f}"}
    if "application/json" in request.headers.get("accept", ""):
        data = base64.b64encode(answer.data).decode()
        return JSONResponse({"base64img": data}, headers=headers)
    return Response(answer.data, media_type=answer.file.type, headers=headers)


async def _upload(door: Door, fields: Fields) -> Upload:
    if "image_file" in fields.files:
        return await door.upload(fields.files["image_file"], FILE_BYTES)
    if text := fields.text("image_file_b64"):
        return await upload_of_base64(door, text, FILE_BYTES)
    raise DoorError(400, "image_file is missing; send a photo", "missing_image")


def options_of(fields: Fields) -> CutOutOptions:
    """What the parameters ask for. Raises `DoorError` 400.

    `despill` changes nothing: colours at the rim are always freed of the background.
    """
    chosen = {}
    for name, known, default in (
        ("size", tuple(MEGAPIXELS), "full"),
        ("format", FORMATS, "png"),
        ("channels", ("rgba", "alpha"), "rgba"),
    ):
        chosen[name] = fields.text(name, default).lower()
        if chosen[name] not in known:
            raise DoorError(
                400, f"{name} is {chosen[name][:40]!r}; give {', '.join(known)}", f"invalid_{name}"
            )
    boolean(fields.text("despill"), "invalid_despill", "despill")
    text = fields.text("bg_color")
    return CutOutOptions.model_validate(
        {
            "format": chosen["format"],
            "channels": chosen["channels"],
            "megapixels": MEGAPIXELS[chosen["size"]],
            "crop": boolean(fields.text("crop"), "invalid_crop", "crop"),
            "semitransparency": False,
            "background_colour": colour(text, "invalid_bg_color") if text else None,
        }
    )

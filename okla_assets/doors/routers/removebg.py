"""The contract of remove.bg's API, version 1.0, for vehicles.

`/okla/v1.0` is the same for OKLA's own client, which reads other types from the account.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door, Upload, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.requests import CutOutOptions, Rectangle
from okla_assets.doors.routers.synchronous import (
    Answer,
    Fields,
    NotDrawn,
    address,
    boolean,
    colour,
    drawn,
    fields_of,
    upload_of_base64,
)
from okla_assets.doors.uploads.bodies import discard

router = APIRouter(tags=["remove.bg"])
PREFIXES = ("/v1.0/", "/okla/v1.0/")
FILE_BYTES = 22 * 2**20
BODY_BYTES = 64 * 2**20
"""A photo and a background, one of them as Base64."""

MEGAPIXELS: Mapping[str, float] = {
    **dict.fromkeys(("preview", "small", "regular"), 0.25),
    "medium": 1.5,
    "hd": 4.0,
    **dict.fromkeys(("full", "4k"), 25.0),
    **dict.fromkeys(("50MP", "auto"), 50.0),
}
PNG_MEGAPIXELS = 10.0
FORMATS = ("auto", "png", "jpg", "webp", "zip")
OURS = ("auto", "car", "transportation")
SHADOWS: Mapping[str, Literal["none", "drop", "car", "3D"]] = {
    "none": "none",
    "auto": "car",
    "car": "car",
    "drop": "drop",
    "3d": "3D",
}
UNLIMITED = 1_000_000
"""Credits of a caller whose pictures are not counted."""

CODES: Mapping[str, str] = {
    "no_vehicle": "unknown_foreground",
    "roi_region_empty": "roi_region_empty",
    "roi_exceeds_bounds": "roi_exceeds_bounds",
    "file_too_large": "file_too_large",
    "too_many_pixels": "resolution_too_high",
    "too_small": "invalid_dimensions",
    "extreme_aspect": "invalid_dimensions",
    **dict.fromkeys(
        ("empty_file", "not_an_image", "unsupported_format", "live_photo", "not_a_photo"),
        "invalid_file_type",
    ),
    **dict.fromkeys(
        ("corrupt", "truncated", "unreadable", "decode_timeout", "decoder_crashed"),
        "failed_to_read_image",
    ),
}
"""What remove.bg calls our reasons for refusing a photo."""
STATUS_CODES: Mapping[int, str] = {
    400: "invalid_request",
    402: "insufficient_credits",
    403: "auth_failed",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "unavailable",
}
_LENGTH = re.compile(r"(\d{1,5}(?:\.\d{1,4})?)(px|%)?")


def render(request: Request, error: DoorError) -> Response:
    """An error as remove.bg tells it: who is unknown gets 403, and no body is ever 413."""
    status, code = error.status, error.code
    if status == 401:
        status = 403
    elif status == 413:
        status, code = 400, "file_too_large"
    said = {"title": error.detail, "code": code or STATUS_CODES.get(status, "invalid_request")}
    return JSONResponse({"errors": [said]}, status, dict(error.headers))


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["errors"],
                    "properties": {
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["title", "code"],
                                "properties": {
                                    "title": {"type": "string"},
                                    "code": {"type": "string"},
                                    "detail": {"type": "string"},
                                },
                            },
                        }
                    },
                }
            }
        },
    }
    for status, text in (
        (400, "A parameter or a photo that cannot be used"),
        (402, "No pictures are left this month"),
        (403, "No valid API key"),
        (408, "The request came too slowly"),
        (429, "Too many requests"),
        (503, "The picture was not ready in time"),
    )
}
_TEXT = {"type": "string"}
_WORDS: dict[str, Any] = {
    name: {**_TEXT, "default": default}
    for name, default in (
        ("size", "preview"),
        ("type", "auto"),
        ("type_level", "1"),
        ("format", "auto"),
        ("roi", "0% 0% 100% 100%"),
        ("crop", "false"),
        ("crop_margin", "0"),
        ("scale", "original"),
        ("position", "original"),
        ("channels", "rgba"),
        ("add_shadow", "false"),
        ("shadow_type", ""),
        ("shadow_opacity", "100"),
        ("semitransparency", "true"),
        ("bg_color", ""),
        ("bg_image_url", ""),
        ("image_url", ""),
        ("image_file_b64", ""),
    )
}
for _name, _values in (
    ("size", (*MEGAPIXELS,)),
    ("type", OURS),
    ("type_level", ("none", "1", "2", "latest")),
    ("format", FORMATS),
    ("channels", ("rgba", "alpha")),
    ("crop", ("true", "false")),
    ("add_shadow", ("true", "false")),
    ("semitransparency", ("true", "false")),
):
    _WORDS[_name]["enum"] = list(_values)
_FILE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {**_WORDS, "image_file": _FILE, "bg_image_file": _FILE},
            }
        },
        "application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": _WORDS}},
        "application/json": {"schema": {"type": "object", "properties": _WORDS}},
    },
}


@router.post(
    "/v1.0/removebg",
    summary="A vehicle without its background",
    response_class=Response,
    responses={
        200: {
            "description": "The picture, or JSON with it as Base64 where that is asked for",
            "content": {
                **{
                    kind: {"schema": _FILE}
                    for kind in ("image/png", "image/jpeg", "image/webp", "application/zip")
                },
                "application/json": {"schema": {"type": "object"}},
            },
        },
        **_ERRORS,
    },
    openapi_extra={"requestBody": _BODY},
)
@router.post("/okla/v1.0/removebg", include_in_schema=False)
async def remove_background(request: Request) -> Response:
    """The picture itself; with `Accept: application/json` as Base64 in JSON."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    async with fields_of(request, BODY_BYTES) as fields:
        answer = await _answered(door, caller, fields)
    headers = await run_in_threadpool(_headers, door, caller, answer, fields)
    if (rate := getattr(request.state, "rate", None)) is not None:
        headers |= rate.headers
    if "application/json" in request.headers.get("accept", ""):
        x, y, w, h = (round(value) for value in answer.file.foreground or (0, 0, 0, 0))
        said = {
            "result_b64": base64.b64encode(answer.data).decode(),
            "foreground_top": y,
            "foreground_left": x,
            "foreground_width": w,
            "foreground_height": h,
        }
        return JSONResponse({"data": said}, headers=headers)
    return Response(answer.data, media_type=answer.file.type, headers=headers)


async def _answered(door: Door, caller: Caller, fields: Fields) -> Answer:
    source = _one_of(
        fields, ("image_file", "image_file_b64", "image_url"), "missing_source", "multiple_sources"
    )
    behind = _one_of(
        fields, ("bg_image_file", "bg_image_url", "bg_color"), "", "multiple_bg_sources"
    )
    options = options_of(fields)
    uploads: list[Upload] = []
    addresses: list[str] = []
    if source == "image_url":
        addresses.append(address(fields.text(source), "invalid_image_url", source))
    if behind == "bg_image_url":
        addresses.append(address(fields.text(behind), "invalid_bg_image_url", behind))
    try:
        if source == "image_file_b64":
            try:
                uploads.append(await upload_of_base64(door, fields.text(source), FILE_BYTES))
            except DoorError as error:
                error.code = error.code or "failed_to_read_image"
                raise
        elif source == "image_file":
            uploads.append(await door.upload(fields.files[source], FILE_BYTES))
        if behind == "bg_image_file":
            uploads.append(await door.upload(fields.files[behind], FILE_BYTES))
    except BaseException:
        discard(uploads)
        raise
    # Uploads come before addresses among a job's sources.
    main = 1 if source == "image_url" and behind == "bg_image_file" else 0
    if behind in ("bg_image_file", "bg_image_url"):
        options = options.model_copy(update={"background_source": 1 - main})
    try:
        return await drawn(
            door,
            caller,
            options,
            family="removebg",
            uploads=uploads,
            addresses=addresses,
            source=main,
        )
    except NotDrawn as error:
        raise _refused(error, source == "image_url", behind == "bg_image_url") from None


def _refused(error: NotDrawn, by_address: bool, behind_by_address: bool) -> DoorError:
    code, detail = error.problem.code, error.problem.detail
    if code == "step_failed":
        return DoorError(500, detail)
    prefix = "bg" if error.background else "image"
    if code in ("invalid_url", "url_not_allowed"):
        return DoorError(
            400, detail, "invalid_bg_image_url" if error.background else "invalid_image_url"
        )
    fetched = behind_by_address if error.background else by_address
    unknown = f"failed_{prefix}_download" if fetched else "failed_to_read_image"
    return DoorError(400, detail, CODES.get(code, unknown))


def _one_of(fields: Fields, names: tuple[str, ...], none: str, many: str) -> str:
    """The one of these fields that is given; empty where none is and `none` is no code."""
    given = [name for name in names if name in fields.texts or name in fields.files]
    misplaced = [name for name in given if name.endswith("_file") != (name in fields.files)]
    if misplaced:
        raise DoorError(
            400, f"{misplaced[0]} has to be sent as a file; texts go to the other fields", none
        )
    if len(given) > 1:
        raise DoorError(400, f"give only one of {', '.join(given)}", many)
    if not given and none:
        raise DoorError(400, f"give one of {', '.join(names)}", none)
    return given[0] if given else ""


def options_of(fields: Fields) -> CutOutOptions:
    """What the parameters ask for. Raises `DoorError` 400 with remove.bg's code."""
    kind = fields.text("type", "auto").lower()
    if kind not in OURS:
        raise DoorError(
            400,
            f"type is {kind[:40]!r}; this door cuts out vehicles: give auto or car",
            "unknown_foreground",
        )
    if fields.text("type_level", "1") not in ("none", "1", "2", "latest"):
        raise DoorError(400, "type_level is none, 1, 2 or latest", "invalid_type_level")
    size = fields.text("size", "preview")
    if size not in MEGAPIXELS:
        raise DoorError(400, f"size is {size[:40]!r}; give {', '.join(MEGAPIXELS)}", "invalid_size")
    form = fields.text("format", "auto").lower()
    if form not in FORMATS:
        raise DoorError(
            400, f"format is {form[:40]!r}; give {', '.join(FORMATS)}", "invalid_format"
        )
    channels = fields.text("channels", "rgba").lower()
    if channels not in ("rgba", "alpha"):
        raise DoorError(400, "channels is rgba or alpha", "invalid_channels")
    background = colour(text, "invalid_bg_color") if (text := fields.text("bg_color")) else None
    if form == "auto":
        picture = "bg_image_file" in fields.files or "bg_image_url" in fields.texts
        is_opaque = picture or (background is not None and background[3] == 255)
        form = "jpg" if is_opaque and channels == "rgba" else "png"
    megapixels = MEGAPIXELS[size]
    return CutOutOptions.model_validate(
        {
            "format": form,
            "channels": channels,
            "megapixels": min(megapixels, PNG_MEGAPIXELS) if form == "png" else megapixels,
            "region": _region(fields.text("roi")),
            "crop": boolean(fields.text("crop"), "invalid_crop", "crop"),
            "crop_margin": _margin(fields.text("crop_margin")),
            "scale": _scale(fields.text("scale", "original")),
            "position": _position(fields.text("position", "original")),
            **_shadow(fields),
            "semitransparency": boolean(
                fields.text("semitransparency"),
                "invalid_semitransparency",
                "semitransparency",
                default=True,
            ),
            "background_colour": background,
        }
    )


def _shadow(fields: Fields) -> dict[str, Any]:
    kind = fields.text("shadow_type", "auto").lower()
    if kind not in SHADOWS:
        raise DoorError(400, "shadow_type is none, auto, car, drop or 3D", "invalid_shadow_type")
    # Who names a kind of shadow wants one, unless he says that he wants none.
    wanted = boolean(
        fields.text("add_shadow"),
        "invalid_add_shadow",
        "add_shadow",
        default=bool(fields.text("shadow_type")),
    )
    opacity = fields.text("shadow_opacity", "100").removesuffix("%")
    if not (opacity.isascii() and opacity.isdigit()) or len(opacity) > 3 or int(opacity) > 100:
        raise DoorError(400, "shadow_opacity is a number from 0 to 100", "invalid_shadow_opacity")
    return {"shadow": SHADOWS[kind] if wanted else "none", "shadow_opacity": int(opacity) / 100}


def _lengths(text: str) -> list[tuple[float, str]] | None:
    """Numbers with their units, px where none is given; None where one is none."""
    found = [_LENGTH.fullmatch(part) for part in text.split()]
    if not all(found):
        return None
    return [(float(one[1]), one[2] or "px") for one in found if one is not None]


def _region(text: str) -> Rectangle | None:
    if not text:
        return None
    corners = _lengths(text)
    if corners is None or len(corners) != 4 or len({unit for _, unit in corners}) != 1:
        raise DoorError(
            400, "roi is x1 y1 x2 y2, all in px or all in %, as 10% 20% 90% 100%", "invalid_roi"
        )
    (left, unit), (top, _), (right, _), (bottom, _) = corners
    if unit == "%" and max(left, top, right, bottom) > 100:
        raise DoorError(400, "roi goes beyond 100 %", "roi_exceeds_bounds")
    if right <= left or bottom <= top:
        raise DoorError(400, "roi has no size: x1 y1 is its top left corner", "roi_region_empty")
    return Rectangle.model_validate(
        {"left": left, "top": top, "right": right, "bottom": bottom, "unit": unit}
    )


def _margin(text: str) -> list[tuple[float, str]]:
    lengths = _lengths(text)
    if (
        lengths is None
        or len(lengths) not in (0, 1, 2, 4)
        or any(value > (50 if unit == "%" else 500) for value, unit in lengths)
    ):
        raise DoorError(
            400, "crop_margin is 1, 2 or 4 lengths, at most 500px or 50%", "invalid_crop_margin"
        )
    return lengths


def _scale(text: str) -> float | None:
    if text == "original":
        return None
    found = _lengths(text)
    if found is None or len(found) != 1 or found[0][1] != "%" or not 10 <= found[0][0] <= 100:
        raise DoorError(400, "scale is original, or 10% to 100%", "invalid_scale")
    return found[0][0] / 100


def _position(text: str) -> tuple[float, float] | None:
    if text == "original":
        return None
    if text == "center":
        return 50.0, 50.0
    found = _lengths(text)
    if (
        found is None
        or len(found) not in (1, 2)
        or any(unit != "%" or value > 100 for value, unit in found)
    ):
        raise DoorError(
            400, "position is original, center, or one or two of 0% to 100%", "invalid_position"
        )
    return found[0][0], found[-1][0]


def _headers(door: Door, caller: Caller, answer: Answer, fields: Fields) -> dict[str, str]:
    file = answer.file
    x, y, w, h = (round(value) for value in file.foreground or (0, 0, 0, 0))
    widest, tallest = file.largest or (file.width, file.height)
    headers = {
        "X-Width": str(file.width),
        "X-Height": str(file.height),
        "X-Max-Width": str(widest),
        "X-Max-Height": str(tallest),
        "X-Foreground-Top": str(y),
        "X-Foreground-Left": str(x),
        "X-Foreground-Width": str(w),
        "X-Foreground-Height": str(h),
        "X-Credits-Charged": "1",
        "X-Credits-Available": str(credits_of(door, caller)),
    }
    level = fields.text("type_level", "1")
    if level != "none":
        other = "other" if level == "1" else "transportation"
        headers["X-Type"] = other if file.other_vehicle else "car"
    return headers


def credits_of(door: Door, caller: Caller) -> int:
    """Pictures that the caller may still ask for this month."""
    left = door.callers.left(caller)
    return UNLIMITED if left is None else left


@router.get(
    "/v1.0/account",
    summary="What is left to the caller",
    responses={status: _ERRORS[status] for status in (403, 429)},
)
async def account(request: Request) -> JSONResponse:
    """Credits are pictures; with `used` beside what remove.bg tells."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    credits = await run_in_threadpool(_credits, door, caller)
    return JSONResponse(_account(credits))


@router.get("/okla/v1.0/account", include_in_schema=False)
async def account_of_okla(request: Request) -> JSONResponse:
    """The same, its `subscription` a text."""
    door = door_of(request)
    caller = await run_in_threadpool(door.caller, request)
    credits = await run_in_threadpool(_credits, door, caller)
    return JSONResponse(_account({**credits, "subscription": str(credits["subscription"])}))


def _credits(door: Door, caller: Caller) -> dict[str, Any]:
    from datetime import UTC, datetime

    left = credits_of(door, caller)
    month = f"{datetime.now(UTC):%Y-%m}"
    used = sum(one.pictures for one in door.jobs.of_caller(caller.name, month))
    return {"total": left, "subscription": left, "payg": 0, "enterprise": 0, "used": used}


def _account(credits: Mapping[str, Any]) -> dict[str, Any]:
    api = {"free_calls": 0, "sizes": "all"}
    return {"data": {"attributes": {"credits": credits, "api": api}}}

"""What a door answers instead of a result; each family of routes has its own words for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PROBLEM_JSON = "application/problem+json"

TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    423: "Locked",
    429: "Too Many Requests",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
ERROR_CODES: Mapping[int, str] = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    402: "QUOTA_EXCEEDED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "TIMEOUT",
    409: "CONFLICT",
    412: "PRECONDITION_FAILED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    423: "CONFLICT",
    429: "RATE_LIMIT_EXCEEDED",
    499: "REQUEST_CANCELLED",
    503: "SERVICE_UNAVAILABLE",
    504: "TIMEOUT",
}
SECTIONS: Mapping[int, str] = {
    400: "15.5.1",
    401: "15.5.2",
    402: "15.5.3",
    403: "15.5.4",
    404: "15.5.5",
    405: "15.5.6",
    406: "15.5.7",
    408: "15.5.9",
    409: "15.5.10",
    411: "15.5.12",
    412: "15.5.13",
    413: "15.5.14",
    415: "15.5.16",
    422: "15.5.21",
    500: "15.6.1",
    501: "15.6.2",
    503: "15.6.4",
    504: "15.6.5",
}
"""Of RFC 9110, which a problem's `type` points to."""


@dataclass
class DoorError(Exception):
    """A request that gets no result: `status` of HTTP, a `code` for programs, and one sentence.

    `code` is the family's own word (remove.bg's `invalid_size`); empty: the status says it all.
    `fields` name what is wrong with single fields.
    """

    status: int
    detail: str
    code: str = ""
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    @property
    def title(self) -> str:
        """The status in words."""
        return TITLES.get(self.status, "Error")


@dataclass
class BadAddress(DoorError):
    """A URL of the request that is not called: of the `source` with that index, or of the callback.

    `reason` is the code that the same URL is refused by when it is fetched.
    """

    source: int | None = None
    reason: str = ""


Render = Callable[[Request, DoorError], Response]
"""An error as one family of routes tells it."""


def problem(request: Request, error: DoorError) -> Response:
    """RFC 9457, with the `errorCode` of OKLA's backend."""
    section = SECTIONS.get(error.status)
    body: dict[str, object] = {
        "type": (
            "https://tools.ietf.org/html/rfc6585#section-4"
            if error.status == 429
            else f"https://tools.ietf.org/html/rfc9110#section-{section}"
            if section
            else "about:blank"
        ),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request.url.path,
        "traceId": getattr(request.state, "request_id", None),
        "errorCode": error.code or ERROR_CODES.get(error.status, "INTERNAL_ERROR"),
    }
    if error.fields:
        body["errors"] = dict(error.fields)
    if (after := error.headers.get("Retry-After")) is not None:
        body["extensions"] = {"retryAfter": int(after)}
    return JSONResponse(body, error.status, dict(error.headers), media_type=PROBLEM_JSON)

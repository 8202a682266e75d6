"""Headers, methods and keys, as each family of routes answers them."""

import pytest

from okla_assets.doors.errors import PROBLEM_JSON
from tests.doors.hostile.asking import CAR, raw, refused
from tests.doors.places import Client
from tests.doors.whole import Whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Request-Id", "a b"),
        ("X-Request-Id", "x" * 1000),
        ("X-Request-Id", "<script>"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("Host", "evil.example"),
        ("X-Original-URL", "/api/vehicles/ANNS-CAR"),
        ("X-Rewrite-URL", "/metrics"),
        ("Forwarded", "for=127.0.0.1;host=evil.example"),
        ("Cookie", "a=" + "b" * 10_000),
        ("Accept", "x" * 10_000),
        ("Range", "bytes=0-" + "9" * 99),
        ("If-None-Match", "*"),
        ("Prefer", "wait=" + "9" * 70),
        ("Prefer", "wait=-1"),
        ("Prefer", "wait=\xb2"),
        ("Origin", "null"),
        ("Expect", "200-maybe"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
    ],
)
def test_a_strange_header_changes_nothing(
    door: Whole, anns: dict[str, str], name: str, value: str
) -> None:
    for path in (f"/api/vehicles/{CAR}", f"/api/ai-process/status/{anns['segment-vehicle']}"):
        answer = raw(door.bob, "GET", path, headers={name: value.encode("latin-1")})
        refused(answer, 404)
        assert "evil" not in str(answer.headers) and "<script>" not in str(answer.headers)
    assert door.ann("GET", f"vehicles/{CAR}").ok


ROUTES = (
    "/api/ai-process/classify-image",
    "/api/aiprocessing/process",
    "/api/vehicles",
    "/api/vehicle360/process",
    "/api/vehicle360processing/process",
    "/api/video360/upload",
    "/v1.0/removebg",
    "/v1.0/account",
    "/v1/segment",
    "/api/remove",
    "/api/backgrounds",
)


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PUT", "DELETE", "LINK", "A" * 99])
@pytest.mark.parametrize("path", ROUTES)
def test_a_method_that_is_not_offered_is_refused(door: Whole, path: str, method: str) -> None:
    answer = raw(door.ann, method, path)
    refused(answer, 400, 405)
    assert door.ann.key not in answer.text


FAMILIES: dict[str, tuple[str, str, int]] = {
    "ai-process": ("POST", "/api/ai-process/classify-image", 401),
    "aiprocessing": ("POST", "/api/aiprocessing/process", 401),
    "backgrounds": ("GET", "/api/backgrounds", 401),
    "vehicle360": ("POST", "/api/vehicle360/process", 401),
    "vehicle360processing": ("POST", "/api/vehicle360processing/process", 401),
    "video360": ("POST", "/api/video360/process", 401),
    "vehicles": ("GET", "/api/vehicles", 401),
    "uploads": ("POST", "/api/uploads", 401),
    "removebg": ("POST", "/v1.0/removebg", 403),
    "account": ("GET", "/v1.0/account", 403),
    "rembg": ("POST", "/api/remove", 401),
    "photoroom": ("POST", "/v1/segment", 403),
}
WORDS = {
    "removebg": "errors",
    "account": "errors",
    "rembg": "detail",
    "photoroom": "type",
    "vehicle360processing": "message",
    "video360": "error",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_tells_who_is_unknown_and_who_asks_too_often(door: Whole, family: str) -> None:
    method, path, status = FAMILIES[family]
    word = WORDS.get(family, "errorCode")
    for key in ("", "okla_ann_" + "0" * 64, "okla_../../x_" + "0" * 64, "Bearer", "\xe9"):
        answer = raw(
            Client(door.url, ""), method, path, headers={"X-Api-Key": key.encode("latin-1")}
        )
        refused(answer, status)
        assert word in answer.json()
        if word == "errorCode":
            assert answer.headers["Content-Type"] == PROBLEM_JSON
    for _ in range(3):
        answer = raw(door.hasty, method, path)
    refused(answer, 429)
    assert word in answer.json() and int(answer.headers["Retry-After"]) > 0
    if word == "errors":
        assert answer.json()["errors"][0]["code"] == "rate_limit_exceeded"


def test_a_key_that_may_less_is_told_so(door: Whole) -> None:
    answer = door.ann("GET", "aiprocessing/stats/queue")
    refused(answer, 403)
    assert answer.json()["errorCode"] == "FORBIDDEN"

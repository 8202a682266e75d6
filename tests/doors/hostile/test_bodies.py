"""Values and bodies that are none."""

import zlib
from typing import Any

import pytest
import requests

from tests.doors.hostile.asking import URL, raw, refused
from tests.doors.places import PHOTO
from tests.doors.whole import Whole

STRANGE: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 7,
    "negative": -1,
    "huge": 10**400,
    "float": 1e308,
    "list": ["x"],
    "object": {"$ne": 1},
    "empty": "",
    "blank": "  ",
    "null byte": "a\0b",
    "line break": "a\r\nX-Evil: 1",
    "climbs": "../../etc/passwd",
    "surrogate": "\ud800",
    "right to left": "\u202egpj.exe",
    "other digits": "\uff11\uff12\uff17",
    "very long": "x" * 100_000,
    "format": "{0.__class__}",
    "template": "{{7*7}}${7*7}",
    "sql": "'; DROP TABLE jobs; --",
    "shell": "$(touch /srv/owned)",
}
PLACES: dict[str, tuple[str, dict[str, Any], str]] = {
    "ai-process vehicle": ("ai-process/classify-image", {"imageUrl": URL}, "vehicleId"),
    "ai-process url": ("ai-process/segment-vehicle", {"vehicleId": "NEW-1"}, "imageUrl"),
    "aiprocessing type": ("aiprocessing/process", {"vehicleId": "NEW-1", "imageUrl": URL}, "type"),
    "aiprocessing options": (
        "aiprocessing/process",
        {"vehicleId": "NEW-1", "imageUrl": URL},
        "options",
    ),
    "batch urls": ("aiprocessing/process/batch", {"vehicleId": "NEW-1"}, "imageUrls"),
    "spin frames": (
        "aiprocessing/spin360/generate",
        {"vehicleId": "NEW-1", "videoUrl": URL},
        "frameCount",
    ),
    "callback job": ("aiprocessing/callback", {"success": True}, "job_id"),
    "360 vehicle": ("vehicle360/process", {"videoUrl": URL}, "vehicleId"),
    "old 360 url": ("vehicle360processing/process-from-url", {"vehicleId": "NEW-1"}, "videoUrl"),
    "video360 url": ("video360/process", {"vehicleId": "NEW-1"}, "storageUrl"),
}
HARMLESS = {
    ("ai-process vehicle", "null"),  # is left out
    ("aiprocessing options", "null"),
    ("spin frames", "number"),
    ("aiprocessing type", "number"),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("place", PLACES)
def test_a_value_that_is_none_is_refused(door: Whole, place: str, kind: str) -> None:
    if (place, kind) in HARMLESS:
        return
    path, body, field = PLACES[place]
    refused(door.ann("POST", path, json=body | {field: STRANGE[kind]}), 400)


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("v1.0/removebg", "size"),
        ("v1.0/removebg", "bg_color"),
        ("v1.0/removebg", "image_url"),
        ("v1/segment", "format"),
    ],
)
def test_a_strange_word_of_a_vendors_field_is_refused(
    door: Whole, path: str, field: str, kind: str
) -> None:
    if STRANGE[kind] in (None, "") and field == "bg_color":
        return
    body: dict[str, Any] = {field: STRANGE[kind]}
    answer = requests.post(
        f"{door.url}/{path}", json=body, headers={"X-Api-Key": door.ann.key}, timeout=30
    )
    refused(answer, 400)


# Bodies that are none.

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "half": b'{"imageUrl": "https://photos.exa',
    "twice": b"{}{}",
    "list": b"[]",
    "null": b"null",
    "number": b"1e999",
    "nan": b"NaN",
    "deep objects": DEEP,
    "deep lists": b"[" * 100_000,
    "not utf-8": b'{"imageUrl": "\xff\xfe"}',
    "utf-16": '{"imageUrl": "x"}'.encode("utf-16"),
    "bom": b"\xef\xbb\xbf{}",
    "long number": b'{"type": ' + b"9" * 100_000 + b"}",
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "yaml": b"!!python/object/apply:os.system ['id']",
    "pickle": b"\x80\x04\x95cposix\nsystem\n",
    "gzip": zlib.compress(b"{}" * 1000),
}
JSON_PATHS = (
    "/api/ai-process/classify-image",
    "/api/ai-process/generate-360",
    "/api/aiprocessing/process",
    "/api/aiprocessing/process/batch",
    "/api/aiprocessing/spin360/generate",
    "/api/aiprocessing/analyze",
    "/api/vehicle360/process",
    "/api/vehicle360processing/process-from-url",
    "/v1.0/removebg",
    "/v1/segment",
)


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("path", JSON_PATHS)
def test_a_body_that_is_no_json_is_refused(door: Whole, path: str, kind: str) -> None:
    headers = {"Content-Type": "application/json"}
    refused(raw(door.ann, "POST", path, data=BODIES[kind], headers=headers), 400)


FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", FORM + PHOTO + b"\r\n--x--\r\n"),
    "another boundary": ("multipart/form-data; boundary=y", FORM + PHOTO + b"\r\n--x--\r\n"),
    "empty boundary": ("multipart/form-data; boundary=", FORM + PHOTO + b"\r\n--x--\r\n"),
    "long boundary": ("multipart/form-data; boundary=" + "x" * 5000, b""),
    "no body": ("multipart/form-data; boundary=x", b""),
    "no parts": ("multipart/form-data; boundary=x", b"--x--\r\n"),
    "no name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
    ),
    "headers without end": ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"b" * 200_000),
    "many fields": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 1000 + b"--x--\r\n",
    ),
    "many files": ("multipart/form-data; boundary=x", (FORM + b"b\r\n") * 1000 + b"--x--\r\n"),
    "strange charset": (
        "multipart/form-data; boundary=x; charset=zip",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
    ),
    "text": ("multipart/form-data; boundary=x", b"hello"),
    "null bytes": ("multipart/form-data; boundary=x", bytes(5000)),
}
FORM_PATHS = (
    "/api/ai-process/classify-image",
    "/api/vehicle360/jobs/upload?vehicleId=NEW-1",
    "/api/vehicle360processing/process?vehicleId=NEW-1",
    "/api/video360/upload?vehicleId=NEW-1",
    "/api/vehicles/NEW-1/photos",
    "/v1.0/removebg",
    "/v1/segment",
    "/api/remove",
)


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("path", FORM_PATHS)
def test_a_form_that_is_none_is_refused(door: Whole, path: str, kind: str) -> None:
    content_type, body = FORMS[kind]
    headers = {"Content-Type": content_type}
    refused(raw(door.ann, "POST", path, data=body, headers=headers), 400, 415, 422)


@pytest.mark.parametrize("path", JSON_PATHS + FORM_PATHS)
def test_a_body_of_another_kind_is_refused(door: Whole, path: str) -> None:
    for kind in ("text/plain", "application/x-yaml", "multipart/mixed; boundary=x", "/", "é"):
        headers = {"Content-Type": kind.encode()}
        refused(raw(door.ann, "POST", path, data=b"hello", headers=headers), 400, 415, 422)


@pytest.mark.parametrize("path", JSON_PATHS)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(door: Whole, path: str) -> None:
    for told in (str(10**12), "9" * 30, "-5", "1_0"):
        headers = {"Content-Type": "application/json", "Content-Length": told}
        try:
            answer = raw(door.ann, "POST", path, data=b"{}", headers=headers)
        except requests.ConnectionError:
            continue
        assert 400 <= answer.status_code < 500

"""What /api/aiprocessing and /api/ai-process refuse, over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import answering, door_on
from tests.doors.ended import CAR, IMAGE, NOBODY, Client, with_keys


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Client]]:
    """One door for all tests that leave no job behind."""
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("media")))
    door = with_keys(door_on(store))
    with answering(make_app(door)) as url:
        yield door, Client(url)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("process", {"vehicleId": CAR}, "imageUrl"),
        ("process", {"vehicleId": CAR, "imageUrl": "file:///etc/passwd"}, "imageUrl"),
        ("process", {"vehicleId": CAR, "imageUrl": "https://"}, "imageUrl"),
        ("process", {"vehicleId": CAR, "imageUrl": "https://a b.example"}, "imageUrl"),
        ("process", {"vehicleId": CAR, "imageUrl": 7}, "imageUrl"),
        ("process", {"vehicleId": CAR, "imageUrl": IMAGE, "type": "Painting"}, "type"),
        ("process", {"vehicleId": CAR, "imageUrl": IMAGE, "type": 99}, "type"),
        (
            "process",
            {"vehicleId": CAR, "imageUrl": IMAGE, "options": {"backgroundId": "casino"}},
            "backgroundId",
        ),
        (
            "process",
            {"vehicleId": CAR, "imageUrl": IMAGE, "options": {"outputQuality": 1}},
            "outputQuality",
        ),
        ("process", {"vehicleId": CAR, "imageUrl": IMAGE, "options": "all"}, "options"),
        ("process", {"vehicleId": CAR, "imageUrl": IMAGE, "callbackUrl": "ftp://x"}, "callbackUrl"),
        ("process/batch", {"vehicleId": CAR, "imageUrls": []}, "imageUrls"),
        ("process/batch", {"vehicleId": CAR, "imageUrls": [IMAGE] * 101}, "imageUrls"),
        ("process/batch", {"imageUrls": [IMAGE]}, "vehicleId"),
        ("callback", {"job_id": "7", "success": True}, "jobId"),
    ],
)
def test_what_cannot_be_used_is_named(
    refusing: tuple[Door, Client], path: str, body: Any, field: str
) -> None:
    door, client = refusing
    answer = client.post(f"/api/aiprocessing/{path}", body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errorCode"] == "VALIDATION_ERROR"
    assert any(name.split(".")[0] == field for name in problem["errors"]), problem
    assert not list(door.jobs.unfinished())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("aiprocessing/spin360/generate", {"vehicleId": CAR, "imageUrls": [IMAGE] * 5}),
        ("aiprocessing/spin360/generate", {"vehicleId": CAR, "sourceType": "Video"}),
        ("aiprocessing/process", {"vehicleId": "../x", "imageUrl": IMAGE}),
        ("aiprocessing/process", {"vehicleId": f"job-{NOBODY}", "imageUrl": IMAGE}),
        ("aiprocessing/process", []),
        ("ai-process/generate-360", {"vehicleId": CAR, "imageUrls": [IMAGE] * 5}),
        ("ai-process/generate-360", {"imageUrls": [IMAGE] * 6}),
        ("ai-process/segment-vehicle", {"vehicleId": CAR}),
        ("ai-process/segment-vehicle", {"imageUrl": IMAGE, "videoUrl": IMAGE}),
        ("ai-process/segment-vehicle", {"imageBase64": "%%%"}),
        ("ai-process/segment-vehicle", {"imageUrl": "http:///x"}),
        ("ai-process/segment-vehicle", "text"),
    ],
)
def test_hostile_bodies_are_refused(refusing: tuple[Door, Client], path: str, body: Any) -> None:
    door, client = refusing
    answer = client.post(f"/api/{path}", body)
    assert answer.status_code == 400 and answer.json()["detail"]
    assert not list(door.jobs.unfinished())


DEEP = '{"a":' * 400 + "1" + "}" * 400
LONG = "9" * 400


def _with(**fields: str) -> str:
    """A body whose fields are given as JSON."""
    fields = {"imageUrl": f'"{IMAGE}"'} | fields
    return "{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        "[" * 100_000,
        _with(imageUrl="7"),
        _with(options=DEEP),
        _with(metadata=DEEP),
        _with(metadata='{"a": "\\ud800"}'),
        _with(metadata='{"a": "' + "x" * 20_000 + '"}'),
        _with(imageUrl='"https://a.example/\\ud800"'),
        _with(imageUrl='"https://a.example/\\u0000"'),
        _with(imageUrl='"https://[::1"'),
        _with(vehicleId='"\\ud800"'),
        _with(vehicleId='"raw/x"'),
        _with(vehicleId='"photos"'),
        _with(options='{"promoTitle": "\\ud800"}'),
        _with(options='{"shadowOpacity": NaN}'),
        _with(options='{"shadowBlur": Infinity}'),
        _with(options='{"outputQuality": 1e400}'),
        _with(options='{"": 1}'),
        _with(options='{"__class__": 1}'),
        _with(options='{"maxHeight": 0}'),
        *(
            _with(options=f'{{"{name}": {LONG}}}')
            for name in ("maxHeight", "shadowBlur", "quality")
        ),
    ],
)
@pytest.mark.parametrize("path", ["ai-process/classify-image", "aiprocessing/process"])
def test_hostile_texts_are_refused(refusing: tuple[Door, Client], path: str, text: str) -> None:
    door, client = refusing
    headers = client.headers | {"Content-Type": "application/json"}
    answer = requests.post(f"{client.url}/api/{path}", text, headers=headers, timeout=10)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.text) < 5000
    assert not list(door.jobs.unfinished())

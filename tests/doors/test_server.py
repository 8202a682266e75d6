"""The application that all routers join, over real HTTP."""

from dataclasses import replace

import requests

from okla_assets.doors.door import Door
from okla_assets.doors.server import JSON_BYTES, make_app
from tests.doors.conftest import Serve


def test_health_is_told(door: Door, serve: Serve) -> None:
    counts: dict[str, int] = {}
    url = serve(make_app(replace(door, counts=lambda: counts)))
    assert requests.get(f"{url}/health", timeout=5).json() == {"status": "Healthy"}
    assert requests.get(f"{url}/health/ready", timeout=5).status_code == 200
    assert "okla_http_requests_total" in requests.get(f"{url}/metrics", timeout=5).text
    counts["accepted"] = 1
    again = requests.get(f"{url}/metrics", timeout=5).text
    assert 'okla_jobs{state="accepted"} 1.0' in again


def test_an_error_is_a_problem_with_the_requests_id(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    answer = requests.get(f"{url}/nowhere", headers={"X-Request-Id": "abc-1"}, timeout=5)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc-1" == answer.json()["traceId"]
    assert answer.json()["errorCode"] == "NOT_FOUND"


def test_a_file_is_had_by_a_link_alone(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    key = "processed/CAR-1/jobs/a b#?.png"
    door.store.put(key, b"picture")
    link = door.links.to(key, url)
    assert requests.get(link, timeout=5).content == b"picture"
    for wrong in (link[:-1] + "x", link.replace("expires=", "expires=9"), f"{url}/files/{key}"):
        assert requests.get(wrong, timeout=5).status_code == 403
    assert requests.get(link.replace("CAR-1", "CAR-2"), timeout=5).status_code == 403


def test_a_body_that_is_too_large_is_refused(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    answer = requests.post(f"{url}/health", data=b"x" * (JSON_BYTES + 1), timeout=5)
    assert answer.status_code == 413

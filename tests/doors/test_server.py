"""The application that all routers join, over real HTTP."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from sqlalchemy.exc import OperationalError

from okla_assets.doors.door import Door
from okla_assets.doors.routers import system
from okla_assets.doors.server import make_app
from okla_assets.doors.uploads.bodies import JSON_BYTES
from resources.errors import BrokenSetup, Unreadable
from resources.storage.media_store import LocalMediaStore
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


def test_whoever_asks_whether_jobs_are_taken_makes_one_write_in_five_seconds(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def put(self: LocalMediaStore, key: str, *args: Any, **more: Any) -> str:
        time.sleep(0.2)  # so that others ask meanwhile
        written.append(key)
        return ""

    monkeypatch.setattr(LocalMediaStore, "put", put)
    url = serve(make_app(door))

    def asked(_: int) -> int:
        return requests.get(f"{url}/health/ready", timeout=5).status_code

    with ThreadPoolExecutor(8) as askers:
        assert set(askers.map(asked, range(24))) == {200}
    assert len(written) == 1


def test_why_no_jobs_are_taken_is_in_the_log_alone(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **more: Any) -> str:
        raise OSError("no space on /srv/secret")

    monkeypatch.setattr(system, "READY_SECONDS", 0.0)
    url = serve(make_app(door))
    assert requests.get(f"{url}/health/ready", timeout=5).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(LocalMediaStore, "put", broken)
        answer = requests.get(f"{url}/health/ready", timeout=5)
    assert (answer.status_code, answer.json()) == (503, {"status": "Unhealthy"})
    assert "no space on /srv/secret" in caplog.text
    assert requests.get(f"{url}/health/ready", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectionError("no bucket"), 503),
        (BrokenSetup("no space left"), 503),
        (OperationalError("select", {}, Exception("no database")), 503),
        (Unreadable("one file may not be read"), 500),
        (ValueError("a fault of ours"), 500),
    ],
    ids=repr,
)
def test_a_store_that_is_away_is_worth_another_try_and_a_fault_of_ours_is_not(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def broken(*args: Any, **more: Any) -> bool:
        raise error

    monkeypatch.setattr(LocalMediaStore, "put_new", broken)
    body = {"vehicleId": "CAR-1", "imageUrl": "https://photos.example.org/1.jpg"}
    answer = requests.post(
        f"{serve(make_app(door))}/api/aiprocessing/process", json=body, timeout=5
    )
    assert answer.status_code == status == answer.json()["status"]
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    assert str(error) not in answer.text


def test_methods_that_strangers_make_up_are_counted_as_one(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    for number in range(20):
        requests.request(f"MADE-UP-{number}", f"{url}/health", timeout=5)
    told = requests.get(f"{url}/metrics", timeout=5).text
    assert "MADE-UP" not in told
    counted = [line for line in told.splitlines() if 'method="other"' in line and "_total" in line]
    assert len(counted) == 1 and counted[0].endswith(" 20.0")


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
    """Told by its length, or found while it comes."""
    url = f"{serve(make_app(door))}/api/aiprocessing/callback"
    data = b" " * (JSON_BYTES + 1)

    def pieces() -> Iterator[bytes]:
        yield data

    for body in (data, pieces()):
        assert requests.post(url, data=body, timeout=5).status_code == 413

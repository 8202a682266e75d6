"""What is another caller's: jobs, vehicles, uploads, and the names that might lead to them."""

from typing import Any

import pytest
import requests

from okla_assets import keys
from tests.doors.hostile.asking import CAR, SECRET, URL, raw, refused
from tests.doors.places import PHOTO, Client
from tests.doors.whole import Whole
from tests.running import wait_for

OTHERS: dict[str, tuple[str, str]] = {
    "status": ("GET", "ai-process/status/{segment-vehicle}"),
    "spin status": ("GET", "ai-process/360/status/{generate-360}"),
    "batch status": ("GET", "ai-process/batch-status?vehicleId={vehicle}"),
    "job": ("GET", "aiprocessing/jobs/{segment-vehicle}"),
    "cancel": ("POST", "aiprocessing/jobs/{segment-vehicle}/cancel"),
    "retry": ("POST", "aiprocessing/jobs/{segment-vehicle}/retry"),
    "spin": ("GET", "aiprocessing/spin360/{generate-360}"),
    "images": ("GET", "aiprocessing/vehicles/{vehicle}/images"),
    "image": ("GET", "aiprocessing/images/processed_{vehicle}_{segment-vehicle}.jpg"),
    "mask": ("GET", "aiprocessing/images/mask_x_{segment-vehicle}"),
    "queue": ("GET", "aiprocessing/stats/queue"),
    "viewer": ("GET", "vehicle360/viewer/{vehicle}"),
    "360 job": ("GET", "vehicle360/jobs/{generate-360}"),
    "360 status": ("GET", "vehicle360/jobs/{generate-360}/status"),
    "360 result": ("GET", "vehicle360/jobs/{generate-360}/result"),
    "360 cancel": ("POST", "vehicle360/jobs/{generate-360}/cancel"),
    "360 retry": ("POST", "vehicle360/jobs/{generate-360}/retry"),
    "360 jobs": ("GET", "vehicle360/vehicles/{vehicle}/jobs"),
    "360 of user": ("GET", "vehicle360/user/ann/jobs"),
    "page": ("GET", "vehicle360/pages/{vehicle}/1-x/index.html"),
    "old viewer": ("GET", "vehicle360processing/viewer/{vehicle}"),
    "old status": ("GET", "vehicle360processing/jobs/{generate-360}/status"),
    "old retry": ("POST", "vehicle360processing/jobs/{generate-360}/retry"),
    "old cancel": ("POST", "vehicle360processing/jobs/{generate-360}/cancel"),
    "old jobs": ("GET", "vehicle360processing/vehicles/{vehicle}/jobs"),
    "old user": ("GET", "vehicle360processing/user/ann/jobs"),
    "video360": ("GET", "video360/vehicle/{vehicle}"),
    "video360 job": ("GET", "video360/jobs/{generate-360}"),
    "video360 result": ("GET", "video360/jobs/{generate-360}/result"),
    "video360 user": ("GET", "video360/user/ann/jobs"),
    "vehicle": ("GET", "vehicles/{vehicle}"),
    "listing": ("GET", "vehicles/{vehicle}/listing.json"),
    "file": ("GET", "vehicles/{vehicle}/files/exterior_001_processed.jpg"),
    "options": ("GET", "vehicles/{vehicle}/options"),
    "set options": ("PUT", "vehicles/{vehicle}/options"),
    "delete": ("DELETE", "vehicles/{vehicle}"),
    "photos": ("POST", "vehicles/{vehicle}/photos"),
    "ready": ("POST", "vehicles/{vehicle}/ready"),
    "upload": ("GET", "uploads/{upload}"),
    "upload head": ("HEAD", "uploads/{upload}"),
    "upload part": ("PATCH", "uploads/{upload}"),
    "upload gone": ("DELETE", "uploads/{upload}"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_anothers_is_not_there(door: Whole, anns: dict[str, str], what: str) -> None:
    method, path = OTHERS[what]
    asked = path.format(**anns)
    given: dict[str, Any] = {"allow_redirects": False}
    if method == "PUT":
        given["json"] = {}
    elif method in ("POST", "PATCH") and "photos" in path:
        given["data"] = PHOTO
    given["headers"] = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/json"
        if method == "PUT"
        else "application/offset+octet-stream",
    }
    before = {info.key: info.etag for info in door.door.store.list("")}
    refused(door.bob(method, asked, **given), 403, 404)
    refused(door.nobody(method, asked, **given), 401, 403)
    assert {info.key: info.etag for info in door.door.store.list("")} == before
    assert what in ("queue",) or door.boss("GET", f"ai-process/status/{anns['segment-vehicle']}").ok


@pytest.mark.parametrize(
    "body",
    [
        {"vehicleId": CAR, "imageUrl": URL},
        {"vehicleId": "NEW-3", "mediaKeys": [f"raw/{CAR}/photos/a.jpg"]},
        {"vehicleId": CAR.lower(), "mediaKeys": ["raw/NEW-3/../ANNS-CAR/photos/a.jpg"]},
    ],
)
@pytest.mark.usefixtures("jobs_are_made")
def test_nothing_is_made_of_anothers_vehicle(
    door: Whole, anns: dict[str, str], body: dict[str, Any]
) -> None:
    answer = door.bob(
        "POST", "ai-process/segment-vehicle", json=body, headers={"Prefer": "wait=60"}
    )
    if answer.status_code == 200:  # a job of his own, which gets nothing
        assert answer.json()["status"] == "failed"
        assert "result" not in answer.json()
    else:
        refused(answer, 400, 403)


@pytest.mark.parametrize(
    "job_id",
    [
        "..",
        "%2e%2e",
        "..%2f..%2fcallers%2fann",
        "%00",
        "a%00b",
        "x" * 5000,
        "%ff%fe",
        "00000000-0000-0000-0000-000000000000",
        "{id}",
        "*",
        "%2a",
        "ann",
        "%e2%80%ae",
        "\uff11",
        "1%0d%0aX-Evil:%201",
        "..%5c..%5cjobs",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/api/ai-process/status/",
        "/api/ai-process/360/status/",
        "/api/aiprocessing/jobs/",
        "/api/aiprocessing/spin360/",
        "/api/aiprocessing/images/",
        "/api/vehicle360/jobs/",
        "/api/vehicle360/viewer/",
        "/api/vehicle360processing/jobs/",
        "/api/video360/vehicle/",
        "/api/backgrounds/",
        "/api/uploads/",
        "/api/vehicles/",
        "/files/",
    ],
)
def test_an_id_that_climbs_leads_nowhere(door: Whole, path: str, job_id: str) -> None:
    answer = raw(door.bob, "GET", path + job_id.encode().decode("latin-1"))
    if answer.status_code == 200:  # .. is where the path above leads
        assert SECRET not in answer.text and "ANNS" not in answer.text
        assert job_id in ("..", "%2e%2e")
    elif answer.status_code not in (307, 308):
        refused(answer, 400, 403, 404, 405)
    assert "X-Evil" not in answer.headers


@pytest.mark.usefixtures("jobs_are_made")
def test_a_key_names_one_request_of_one_caller(door: Whole) -> None:
    def ask(who: Client, path: str, body: dict[str, Any], key: str = "one") -> requests.Response:
        return who("POST", path, json=body, headers={"Idempotency-Key": key})

    first = ask(door.ann, "ai-process/classify-image", {"imageUrl": URL})
    job_id = first.json()["jobId"]
    count = len(door.jobs())
    again = ask(door.ann, "ai-process/classify-image", {"imageUrl": URL})
    assert again.json()["jobId"] == job_id and len(door.jobs()) == count
    for path, body in (
        ("ai-process/classify-image", {"imageUrl": URL + "?2"}),
        ("ai-process/segment-vehicle", {"imageUrl": URL}),
        ("aiprocessing/process", {"imageUrl": URL, "vehicleId": "NEW-4"}),
        ("vehicle360/process", {"videoUrl": URL, "vehicleId": "NEW-4"}),
        ("ai-process/classify-image", {"imageUrl": URL, "callbackUrl": "https://x.example/"}),
    ):
        refused(ask(door.ann, path, body), 409)
    assert len(door.jobs()) == count
    other = ask(door.bob, "ai-process/classify-image", {"imageUrl": URL})
    assert other.json()["jobId"] != job_id
    refused(door.bob("GET", f"ai-process/status/{job_id}"), 404)


@pytest.mark.parametrize("key", ["", "x" * 201, "a" * 60_000])
def test_a_key_that_is_none_is_refused(door: Whole, key: str) -> None:
    body = {"imageUrl": URL, "vehicleId": "NEW-4"}
    for path in ("ai-process/classify-image", "aiprocessing/process", "vehicle360/process"):
        answer = door.ann("POST", path, json=body, headers={"Idempotency-Key": key})
        refused(answer, 400) if len(key) < 60_000 else None
        assert 400 <= answer.status_code < 500


def test_nothing_was_lost(door: Whole, anns: dict[str, str]) -> None:
    """After all of the above: what Ann had is there, as it was."""
    assert (
        door.ann("GET", f"aiprocessing/jobs/{anns['segment-vehicle']}").json()["status"]
        == "completed"
    )
    assert door.ann("GET", f"vehicle360/viewer/{CAR}").json()["isReady"]
    assert door.ann("GET", f"uploads/{anns['upload']}").json()["offset"] == 0
    assert any(True for _ in door.door.store.list(keys.raw_photos(keys.parse_vehicle_id(CAR))))
    # A job's record among the unfinished goes after its end.
    wait_for(lambda: not list(door.door.jobs.unfinished()), 30)

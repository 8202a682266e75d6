"""/api/aiprocessing and /api/ai-process over HTTP; jobs are ended by hand."""

import threading
from dataclasses import replace

import pytest
import requests

from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import JobResult, PhotoResult, Problem
from okla_assets.doors.server import make_app
from tests.doors.conftest import Serve
from tests.doors.ended import CAR, IMAGE, NOBODY, Client, end, image_made, spin_made, with_keys


@pytest.fixture
def keyed(door: Door) -> Door:
    return with_keys(door)


@pytest.fixture
def client(keyed: Door, serve: Serve) -> Client:
    return Client(serve(make_app(keyed)))


def _only(door: Door) -> Job:
    (job,) = door.jobs.unfinished()
    return job


def test_an_image_is_a_job_until_it_has_a_result(keyed: Door, client: Client) -> None:
    answer = client.post(
        "/api/aiprocessing/process",
        {
            "vehicleId": CAR,
            "imageUrl": IMAGE,
            "type": "BackgroundReplacement",
            "options": {"backgroundId": "dark_studio", "licensePlateMaskType": "black"},
            "callbackUrl": "https://okla.example.org/done",
            "metadata": {"ours": 1},
        },
    )
    assert answer.status_code == 200
    accepted = answer.json()
    job = _only(keyed)
    assert accepted == {
        "jobId": job.id,
        "status": "queued",
        "message": accepted["message"],
        "statusCheckUrl": f"/api/ai-process/status/{job.id}",
        "estimatedSeconds": 15,
    }
    asked = job.request
    assert asked.operation is Operation.background and asked.vehicle == CAR
    assert asked.sources[0].url == IMAGE and asked.caller == "okla"
    assert asked.options == {"background_id": "dark_studio", "license_plate_mask_type": "fill"}
    assert asked.callback == "https://okla.example.org/done" and asked.metadata == {"ours": 1}
    for place in ("aiprocessing/jobs", "ai-process/status"):
        told = client.get(f"/api/{place}/{job.id}").json()
        assert (told["status"], told["progressPercent"]) == ("pending", 0)
        assert "result" not in told and "errorMessage" not in told
    end(keyed, job, result=image_made(keyed, job))
    told = client.get(accepted["statusCheckUrl"]).json()
    assert (told["status"], told["progressPercent"]) == ("completed", 100)
    assert told["type"] == "BackgroundReplacement" and told["processingTimeMs"] >= 0
    result = told["result"]
    assert result["imageCategory"] == "Exterior" and result["detectedAngle"] == "front-quarter"
    assert result["licensePlateDetected"] is True and result["qualityScore"] == 82
    assert result["qualityIssues"] == ["dark"]
    assert requests.get(result["processedImageUrl"], timeout=5).content == b"finished"
    image = client.get(f"/api/aiprocessing/images/processed_{CAR}_{job.id}.jpg")
    assert image.content == b"finished"
    assert client.get(f"/api/aiprocessing/images/mask_{CAR}_{job.id}").content == b"mask"
    assert client.get("/api/aiprocessing/images/passwd").json().keys() == {"error"}


def test_a_batch_is_a_job_for_each_image(keyed: Door, client: Client) -> None:
    body = {"vehicleId": CAR, "imageUrls": [f"{IMAGE}?{n}" for n in range(3)], "type": 2}
    answer = client.post("/api/aiprocessing/process/batch", body).json()
    assert len(set(answer["jobIds"])) == answer["totalImages"] == 3
    assert answer["estimatedSeconds"] == 30
    assert answer["statusCheckUrl"] == f"/api/ai-process/batch-status?vehicleId={CAR}"
    first = keyed.jobs.get(answer["jobIds"][0])
    assert first.request.operation is Operation.classify
    assert first.request.sources[0].url == f"{IMAGE}?0"
    end(keyed, first, result=image_made(keyed, first))
    end(keyed, keyed.jobs.get(answer["jobIds"][1]), "failed", problem=Problem(code="x", detail="y"))
    told = client.get(answer["statusCheckUrl"]).json()
    assert (told["completed"], told["failed"], told["pending"]) == (1, 1, 1)
    assert told["status"] == "queued" and told["totalImages"] == 3
    assert told["progressPercent"] == 66
    images = client.get(f"/api/aiprocessing/vehicles/{CAR}/images").json()["images"]
    assert [image["jobId"] for image in images] == [first.id]


def test_a_request_sent_twice_is_one_job(keyed: Door, client: Client) -> None:
    named = {"headers": {"Idempotency-Key": "order 7"}}
    body = {"vehicleId": CAR, "imageUrl": IMAGE}
    first = client.post("/api/aiprocessing/process", body, **named).json()["jobId"]
    assert client.post("/api/aiprocessing/process", body, **named).json()["jobId"] == first
    other = client.post("/api/aiprocessing/process", body | {"type": 1}, **named)
    assert other.status_code == 409 and other.json()["errorCode"] == "CONFLICT"
    assert len(list(keyed.jobs.unfinished())) == 1


def test_a_spin_tells_its_frames(keyed: Door, client: Client) -> None:
    body = {"vehicleId": CAR, "sourceType": "Video", "videoUrl": "https://v.example.org/a.mp4"}
    accepted = client.post("/api/aiprocessing/spin360/generate", body | {"frameCount": 24}).json()
    assert (accepted["totalFrames"], accepted["estimatedMinutes"]) == (24, 4)
    assert accepted["statusCheckUrl"] == f"/api/ai-process/360/status/{accepted['jobId']}"
    job = _only(keyed)
    assert job.request.sources[0].video and job.request.options == {"spin_frames": 24}
    told = client.get(accepted["statusCheckUrl"]).json()
    assert (told["status"], told["totalFrames"], told["processedFrames"]) == ("pending", 24, 0)
    end(keyed, job, result=spin_made(keyed, job))
    told = client.get(f"/api/aiprocessing/spin360/{job.id}").json()
    assert told["status"] == "completed" and told["processedFrames"] == 8
    result = told["result"]
    assert [frame["degrees"] for frame in result["frames"]] == [45.0 * n for n in range(8)]
    assert result["degreesPerFrame"] == 45 and result["frames"][4]["isKeyFrame"]
    assert requests.get(result["frames"][1]["processedUrl"], timeout=5).content == b"frame 1"
    assert requests.get(result["viewerEmbedUrl"], timeout=5).content == b"<p>the page</p>"


def test_a_spin_that_could_not_be_made_has_failed(keyed: Door, client: Client) -> None:
    images = [f"{IMAGE}?{n}" for n in range(6)]
    body = {"vehicleId": CAR, "sourceType": 1, "imageUrls": images}
    job_id = client.post("/api/aiprocessing/spin360/generate", body).json()["jobId"]
    job = keyed.jobs.get(job_id)
    why = JobResult(spin_reason="the photos show one side only").no_spin
    end(keyed, job, "failed", problem=why)
    told = client.get(f"/api/aiprocessing/spin360/{job_id}").json()
    assert (told["status"], told["errorCode"]) == ("failed", "no_spin")
    assert told["errorMessage"] == "the photos show one side only"


@pytest.mark.parametrize(
    "status",
    ["/api/aiprocessing/spin360/{}", "/api/ai-process/360/status/{}", "/api/vehicle360/jobs/{}"],
)
def test_a_whole_vehicle_without_a_view_has_failed_as_a_view_everywhere(
    keyed: Door, client: Client, status: str
) -> None:
    body = {"vehicleId": CAR, "imageUrl": IMAGE}
    job_id = client.post("/api/aiprocessing/process", body).json()["jobId"]
    job = keyed.jobs.get(job_id)
    end(keyed, job, result=image_made(keyed, job).model_copy(update={"spin_reason": "one side"}))
    assert client.get(f"/api/aiprocessing/jobs/{job_id}").json()["status"] == "completed"
    told = client.get(status.format(job_id)).json()
    assert told["status"].lower() == "failed"
    assert (told["errorCode"], told["errorMessage"]) == ("no_spin", "one side")


def test_jobs_are_cancelled_and_tried_again(keyed: Door, client: Client) -> None:
    body = {"vehicleId": CAR, "imageUrl": IMAGE, "type": "LicensePlateMasking"}
    first = client.post("/api/aiprocessing/process", body).json()["jobId"]
    place = f"/api/aiprocessing/jobs/{first}"
    assert client.post(f"{place}/retry").status_code == 409
    assert client.post(f"{place}/cancel").status_code == 204
    assert keyed.jobs.look()[1] == {first}
    end(keyed, _only(keyed), "cancelled")
    assert client.get(place).json()["status"] == "cancelled"
    assert client.post(f"{place}/cancel").status_code == 409
    again = client.post(f"{place}/retry")
    assert again.status_code == 204
    second = _only(keyed)
    assert again.headers["location"].endswith(second.id) and second.id != first
    assert second.request == keyed.jobs.get(first).request
    told = client.get(place).json()
    assert (told["jobId"], told["status"]) == (first, "pending")
    end(keyed, second, result=image_made(keyed, second))
    assert client.get(place).json()["status"] == "completed"
    assert client.post(f"{place}/retry").status_code == 409


def test_what_came_as_a_file_is_tried_again_while_it_is_kept(keyed: Door, client: Client) -> None:
    for vehicle, uploads, status in (
        (CAR, (f"raw/{CAR}/photos/a.jpg",), 204),
        (CAR, (None,), 409),
        (None, ("raw/job/photos/a.jpg",), 409),
    ):
        requests.post(
            f"{client.url}/api/ai-process/classify-image",
            data={} if vehicle is None else {"vehicleId": vehicle},
            files={"file": ("a.jpg", b"one")},
            headers=client.headers,
            timeout=10,
        )
        job = _only(keyed)
        end(keyed, job.model_copy(update={"uploads": uploads}), "failed")
        root = Client(client.url, "root")
        answer = root.post(f"/api/aiprocessing/jobs/{job.id}/retry")
        assert answer.status_code == status, answer.text
        for again in keyed.jobs.unfinished():
            assert again.request.sources[0].key == uploads[0]
            assert again.request.caller == "okla"
            end(keyed, again, "failed")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("background-replace", Operation.background),
        ("segment-vehicle", Operation.segment),
        ("classify-image", Operation.classify),
        ("mask-license-plate", Operation.mask_plate),
    ],
)
def test_the_plans_calls_take_addresses_and_files(
    keyed: Door, client: Client, operation: str, kind: Operation
) -> None:
    answer = client.post(f"/api/ai-process/{operation}", {"imageUrl": IMAGE, "vehicleId": CAR})
    assert answer.status_code == 202
    job = _only(keyed)
    assert answer.headers["location"] == answer.json()["statusCheckUrl"]
    assert job.request.operation is kind and job.request.sources[0].url == IMAGE
    end(keyed, job, result=image_made(keyed, job))
    sent = requests.post(
        f"{client.url}/api/ai-process/{operation}",
        data={"options": '{"outputFormat": "webp"}'},
        files=[("file", ("a.jpg", b"one")), ("file", ("b.jpg", b"two"))],
        headers=client.headers,
        timeout=10,
    )
    assert sent.status_code == 202
    job = _only(keyed)
    assert job.request.options == {"output_format": "webp"} and job.request.vehicle is None
    assert [source.name for source in job.request.sources] == ["a.jpg", "b.jpg"]
    assert [keyed.store.get(source.file or "") for source in job.request.sources] == [
        b"one",
        b"two",
    ]
    photos = (PhotoResult(source=0, quality=50), PhotoResult(source=1, refusal="no_image"))
    end(keyed, job, result=JobResult(photos=photos))
    told = client.get(f"/api/ai-process/status/{job.id}").json()
    assert told["result"]["qualityScore"] == 50
    assert [image.get("refusal") for image in told["images"]] == [None, "no_image"]


def test_a_360_view_is_made_of_a_video_that_is_sent(keyed: Door, client: Client) -> None:
    sent = requests.post(
        f"{client.url}/api/ai-process/generate-360",
        data={"vehicleId": CAR, "frameCount": "6"},
        files={"file": ("around.mp4", b"a video")},
        headers=client.headers,
        timeout=10,
    )
    assert sent.status_code == 202
    job = _only(keyed)
    assert job.request.operation is Operation.spin and job.request.options == {"spin_frames": 8}
    told = client.get(sent.json()["statusCheckUrl"]).json()
    assert told["status"] == "pending" and told["vehicleId"] == CAR


def test_a_caller_may_wait_for_the_result(keyed: Door, client: Client) -> None:
    def dispatch() -> None:
        while not (jobs := list(keyed.jobs.unfinished())):
            pass
        end(keyed, jobs[0], result=image_made(keyed, jobs[0]))

    thread = threading.Thread(target=dispatch)
    thread.start()
    answer = client.post(
        "/api/ai-process/classify-image", {"imageUrl": IMAGE}, headers={"Prefer": "wait=8"}
    )
    thread.join()
    assert answer.status_code == 200 and answer.headers["preference-applied"] == "wait=8"
    assert answer.json()["result"]["imageCategory"] == "Exterior"


def test_an_analysis_is_waited_for(keyed: Door, serve: Serve) -> None:
    client = Client(serve(make_app(replace(keyed, wait_seconds=0.2))))
    answer = client.post("/api/aiprocessing/analyze", {"imageUrl": IMAGE})
    assert answer.status_code == 202 and answer.headers["retry-after"]
    job = _only(keyed)
    assert job.request.operation is Operation.classify
    assert answer.json()["status"] == "pending"


def test_numbers_that_are_none_are_given_back_as_null(keyed: Door, client: Client) -> None:
    headers = client.headers | {"Content-Type": "application/json"}
    address = f"{client.url}/api/ai-process/classify-image"
    text = f'{{"imageUrl": "{IMAGE}", "metadata": {{"a": NaN}}}}'
    assert requests.post(address, text, headers=headers, timeout=5).status_code == 202
    assert _only(keyed).request.metadata == {"a": None}


def test_nobody_sees_the_jobs_of_others(keyed: Door, client: Client) -> None:
    body = {"vehicleId": CAR, "imageUrl": IMAGE, "type": 1}
    job_id = client.post("/api/aiprocessing/process", body).json()["jobId"]
    other = Client(client.url, "other")
    for path in (
        f"ai-process/status/{job_id}",
        f"ai-process/360/status/{job_id}",
        f"ai-process/batch-status?vehicleId={CAR}",
        f"aiprocessing/jobs/{job_id}",
        f"aiprocessing/spin360/{job_id}",
        f"aiprocessing/vehicles/{CAR}/images",
        f"aiprocessing/images/processed_{CAR}_{job_id}.jpg",
        f"aiprocessing/jobs/{NOBODY}",
        "aiprocessing/jobs/..%2f..%2fcallers%2fokla",
    ):
        answer = other.get(f"/api/{path}")
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "NOT_FOUND"), path
    for verb in ("cancel", "retry"):
        assert other.post(f"/api/aiprocessing/jobs/{job_id}/{verb}").status_code == 404
    assert other.post("/api/aiprocessing/process", body).status_code == 403
    assert client.get(f"/api/aiprocessing/jobs/{job_id}").status_code == 200
    assert Client(client.url, "root").get(f"/api/aiprocessing/jobs/{job_id}").status_code == 200


def test_keys_are_asked_for_before_bodies_are_looked_at(keyed: Door, client: Client) -> None:
    for method, path in (
        ("post", "ai-process/classify-image"),
        ("post", "aiprocessing/process"),
        ("get", f"aiprocessing/jobs/{NOBODY}"),
        ("get", "aiprocessing/stats/queue"),
        ("get", "backgrounds"),
    ):
        answer = requests.request(method, f"{client.url}/api/{path}", timeout=5)
        assert (answer.status_code, answer.json()["errorCode"]) == (401, "UNAUTHORIZED"), path
    assert client.get("/api/aiprocessing/stats/queue").json()["errorCode"] == "FORBIDDEN"
    spent = Client(client.url, "spent")
    assert spent.post("/api/ai-process/segment-vehicle", {"imageUrl": IMAGE}).status_code == 402


def test_the_queue_is_counted_for_administrators(keyed: Door, client: Client) -> None:
    for number, state in enumerate(("completed", "failed", None)):
        body = {"vehicleId": CAR, "imageUrl": f"{IMAGE}?{number}", "type": "ColorCorrection"}
        job = keyed.jobs.get(client.post("/api/aiprocessing/process", body).json()["jobId"])
        if state == "completed":
            end(keyed, job, "completed", image_made(keyed, job))
        elif state == "failed":
            end(keyed, job, "failed")
    told = Client(client.url, "root").get("/api/aiprocessing/stats/queue").json()
    assert (told["pendingJobs"], told["completedToday"], told["failedToday"]) == (1, 1, 1)
    assert told["jobsByType"] == {"ColorCorrection": 3}


def test_the_callback_of_before_is_answered(client: Client) -> None:
    answer = requests.post(
        f"{client.url}/api/aiprocessing/callback",
        json={"job_id": NOBODY, "success": True},
        timeout=5,
    )
    assert answer.json() == {"received": True}


OURS = {
    "ai-process",
    "aiprocessing",
    "backgroundremoval",
    "backgrounds",
    "vehicle360",
    "vehicle360processing",
    "video360",
}


def test_the_document_says_what_each_route_may_answer(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    routes = [
        (path, route)
        for path, methods in paths.items()
        for route in methods.values()
        if not OURS.isdisjoint(route.get("tags", ()))
    ]
    names = [route["operationId"] for _, route in routes]
    assert len(names) == len(set(names)) > 50
    open_to_all = ("/callback", "/{size}.jpg", "/pages/")
    for path, route in routes:
        assert route["summary"], path
        assert "400" in route["responses"], path
        if not any(part in path for part in open_to_all):
            assert {"401", "403", "429"} <= route["responses"].keys(), path
    body = paths["/api/aiprocessing/process"]["post"]["requestBody"]["content"]
    assert body["application/json"]["schema"]["$ref"].endswith("ImageBody")

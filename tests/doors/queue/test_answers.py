"""What is published about a job that has ended."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Address, JobRequest, Operation, Reply, Source
from okla_assets.doors.jobs.results import (
    DrawnFile,
    JobResult,
    PhotoResult,
    Problem,
    SpinFrameResult,
    SpinResult,
)
from okla_assets.doors.queue.answers import Places, Publication, answers, refusals

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
URN = "urn:message:AIProcessingService.Application.DTOs:"
PLACES = Places(lambda key: f"https://m/{key}", lambda vehicle: f"https://m/turn/{vehicle}")
CLIENT, FAULTS = Address(exchange="client"), Address(exchange="faults")


def drawn(key: str) -> DrawnFile:
    return DrawnFile(key=key, type="image/png", width=1600, height=1200)


PHOTO = PhotoResult(
    source=0,
    category="exterior",
    category_confidence=0.97,
    angle="front-quarter",
    angle_confidence=0.9,
    quality=81,
    issues=("dark",),
    plates=1,
    picture=drawn("processed/V/p.jpg"),
    matte=drawn("processed/V/m.png"),
)
SPIN = SpinResult(
    frames=tuple(
        SpinFrameResult(key=f"f{n}.jpg", thumbnail_key=f"t{n}.jpg", azimuth_deg=45.0 * n)
        for n in range(8)
    ),
    viewer_key="processed/V/360-viewer/index.html",
    width=1600,
    height=1200,
)


def ended(reply: Reply, **changes: Any) -> Job:
    """A job of a message, completed unless it is said otherwise."""
    now = datetime(2026, 11, 29, 6, tzinfo=UTC)
    request = JobRequest(
        operation=Operation.background, vehicle="V-1", sources=(Source(url="https://h/1"),)
    ).model_copy(update={"reply": reply})
    fields: dict[str, Any] = {
        "state": "completed",
        "result": JobResult(photos=(PHOTO,)),
    } | changes
    return Job(
        id=JOB,
        request=request,
        vehicle="V-1",
        created_at=now,
        ended_at=now + timedelta(seconds=1.5),
        **fields,
    )


def said(job: Job) -> list[tuple[Publication, Any]]:
    return [(one, json.loads(one.body)) for one in answers(job, PLACES)]


def test_a_photo_is_told_in_oklas_words() -> None:
    ((one, body),) = said(ended(Reply()))
    assert one.address.exchange == (
        "AIProcessingService.Application.DTOs:ProcessingCompletedMessage"
    )
    assert one.is_ours and one.content_type == "application/vnd.masstransit+json"
    assert body["messageType"] == [f"{URN}ProcessingCompletedMessage"]
    assert body["messageId"] == one.message_id
    assert body["message"] == {
        "jobId": JOB,
        "type": "background-replace",
        "status": "completed",
        "progressPercent": 100,
        "createdAt": "2026-11-29T06:00:00Z",
        "completedAt": "2026-11-29T06:00:01.500000Z",
        "vehicleId": "V-1",
        "success": True,
        "processingTimeMs": 1500,
        "processedUrl": "https://m/processed/V/p.jpg",
        "result": {
            "processedImageUrl": "https://m/processed/V/p.jpg",
            "maskUrl": "https://m/processed/V/m.png",
            "imageCategory": "Exterior",
            "categoryConfidence": 0.97,
            "detectedAngle": "front-quarter",
            "angleConfidence": 0.9,
            "licensePlateDetected": True,
            "qualityScore": 81,
            "qualityIssues": ["dark"],
        },
    }


def test_a_spin_is_told_with_its_frames() -> None:
    result = JobResult(photos=(PHOTO,), spin=SPIN)
    ((one, body),) = said(ended(Reply(kind="spin"), result=result))
    assert one.address.exchange.endswith(":Spin360CompletedMessage")
    told = body["message"]["result"]
    assert (told["totalFrames"], told["degreesPerFrame"]) == (8, 45.0)
    assert told["averageQualityScore"] == 81
    assert told["viewerEmbedUrl"] == body["message"]["processedUrl"] == "https://m/turn/V-1"
    assert told["frames"][2] == {
        "frameNumber": 3,
        "degrees": 90.0,
        "azimuth": 90.0,
        "processedUrl": "https://m/f2.jpg",
        "thumbnailUrl": "https://m/t2.jpg",
        "isKeyFrame": False,
    }


def test_a_spin_that_could_not_be_made_has_no_result() -> None:
    job = ended(
        Reply(kind="spin"),
        state="failed",
        result=JobResult(),
        problem=Problem(code="no_spin", detail="too few views"),
    )
    ((_, body),) = said(job)
    assert body["message"]["errorMessage"] == "too few views"
    assert not body["message"]["success"] and "result" not in body["message"]


def test_whoever_waits_is_answered_with_his_ids() -> None:
    reply = Reply(
        response=CLIENT, fault=FAULTS, request_id="r", conversation_id="c", message_types=("urn:x",)
    )
    (_, _), (one, body) = said(ended(reply))
    assert (one.address, one.is_ours, one.correlation_id) == (CLIENT, False, "r")
    assert (body["requestId"], body["conversationId"]) == ("r", "c")
    assert body["message"]["success"]


@pytest.mark.parametrize(("fault", "to"), [(FAULTS, FAULTS), (None, CLIENT)])
def test_a_job_that_failed_is_a_fault(fault: Address | None, to: Address) -> None:
    reply = Reply(
        response=CLIENT,
        fault=fault,
        message_id="m",
        message_types=(f"{URN}PythonWorkerMessage",),
    )
    problem = Problem(code="not_fetched", detail="the photo is gone")
    (_, told), (one, body) = said(ended(reply, state="failed", result=None, problem=problem))
    assert told["message"]["success"] is False
    assert one.address == to
    assert body["messageType"] == [
        "urn:message:MassTransit:Fault[[AIProcessingService.Application.DTOs:PythonWorkerMessage]]",
        "urn:message:MassTransit:Fault",
    ]
    assert body["message"]["faultedMessageId"] == "m"
    assert body["message"]["exceptions"][0]["message"] == "the photo is gone"
    assert body["message"]["message"] == {"jobId": JOB}


@pytest.mark.parametrize("state", ["completed", "cancelled"])
def test_a_bare_message_is_answered_bare(state: str) -> None:
    reply = Reply(response=Address(routing_key="amq.gen-1"), request_id="17")
    (_, _), (one, body) = said(ended(reply, state=state))
    assert one.address.routing_key == "amq.gen-1"
    assert (one.content_type, one.correlation_id) == ("application/json", "17")
    assert (body["jobId"], body["success"]) == (JOB, state == "completed")


def test_an_answer_that_is_made_twice_has_the_same_ids() -> None:
    reply = Reply(response=CLIENT, message_types=("urn:x",))
    first, again = (
        [one.message_id for one in answers(ended(reply), PLACES)],
        [one.message_id for one in answers(ended(reply), PLACES)],
    )
    assert first == again and len(set(first)) == 2


def test_a_message_of_which_no_job_came_is_answered_too() -> None:
    enveloped = Reply(fault=FAULTS, message_types=("urn:x",))
    (one,) = refusals(enveloped, "seed", "no type")
    assert one.address == FAULTS
    assert json.loads(one.body)["message"]["message"] == {}
    (one,) = refusals(Reply(response=CLIENT), "seed", "no type")
    assert json.loads(one.body) == {"success": False, "errorMessage": "no type"}
    assert not list(refusals(None, "seed", "no JSON"))
    assert not list(refusals(Reply(), "seed", "no type"))

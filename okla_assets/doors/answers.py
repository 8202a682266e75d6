"""What the sender of a message is told on the broker when its job has ended.

OKLA's completed message is published for everybody. Where the envelope has a response address the
same goes there; where the job failed, MassTransit's `Fault` to the fault address. Ids are made of
the job's, so that a message that is published twice can be told by its receiver.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from okla_assets.doors.jobs import NAMESPACE as IDS, Job
from okla_assets.doors.messages import NAMESPACE, OWN_QUEUE
from okla_assets.doors.requests import Address, Reply
from okla_assets.doors.results import JobResult, PhotoResult, SpinResult

MASSTRANSIT_JSON = "application/vnd.masstransit+json"
URN = "urn:message:"
COMPLETED: Mapping[str, str] = {
    "image": f"{NAMESPACE}:ProcessingCompletedMessage",
    "spin": f"{NAMESPACE}:Spin360CompletedMessage",
}
"""The types, and so the exchanges, of the completed messages."""
LONGEST_REASON = 1000

ToUrl = Callable[[str], str]
"""The address of a finished file, by its key."""


@dataclass(frozen=True)
class Publication:
    """One message to be published. `is_ours`: the exchange is one that we declare; another belongs
    to whoever waits there, and is gone with it."""

    address: Address
    body: bytes
    content_type: str
    message_id: str
    correlation_id: str | None = None
    is_ours: bool = False


def answers(job: Job, to_url: ToUrl) -> Iterator[Publication]:
    """All that is to be published about a job that has ended."""
    reply = job.request.reply or Reply()
    message = completed(job, to_url)
    exchange = COMPLETED[reply.kind]
    yield _enveloped(job.id, Address(exchange=exchange), (exchange,), message, reply, is_ours=True)
    failed = job.problem.detail if job.problem else f"the job was {job.state}"
    if job.state != "completed" and reply.message_types:
        yield from _faults(reply, job.id, failed, job.id)
    elif reply.response is not None and reply.message_types:
        yield _enveloped(job.id, reply.response, (exchange,), message, reply)
    elif reply.response is not None:
        yield _bare(job.id, reply.response, message, reply)


def refusals(reply: Reply | None, seed: str, reason: str) -> Iterator[Publication]:
    """What is published about a message of which no job came. `seed` names the message."""
    if reply is None:
        return
    if reply.message_types:
        yield from _faults(reply, seed, reason)
    elif reply.response is not None:
        message = {"success": False, "errorMessage": reason[:LONGEST_REASON]}
        yield _bare(seed, reply.response, message, reply)


def _faults(
    reply: Reply, seed: str, reason: str, job_id: str | None = None
) -> Iterator[Publication]:
    """MassTransit's `Fault`, for whoever waits for it."""
    address = reply.fault or reply.response
    if address is None:
        return
    types = [one.removeprefix(URN) for one in reply.message_types]
    message = {
        "faultId": _id(seed, "fault"),
        "faultedMessageId": reply.message_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "exceptions": [
            {
                "exceptionType": "OKLA.JobFailed",
                "message": reason[:LONGEST_REASON],
                "source": "okla",
            }
        ],
        "faultMessageTypes": list(reply.message_types),
        "message": _said({"jobId": job_id}),
    }
    names = (*(f"MassTransit:Fault[[{one}]]" for one in types), "MassTransit:Fault")
    yield _enveloped(seed, address, names, message, reply)


def completed(job: Job, to_url: ToUrl) -> dict[str, Any]:
    """OKLA's ProcessingCompletedMessage or Spin360CompletedMessage; what is not known is absent."""
    reply, found = job.request.reply or Reply(), job.result
    message: dict[str, Any] = {
        "jobId": job.id,
        "vehicleId": job.request.vehicle,
        "success": job.state == "completed",
        "processingTimeMs": job.milliseconds,
    }
    if job.problem is not None:
        message["errorMessage"] = job.problem.detail
    elif job.state == "cancelled":
        message["errorMessage"] = "the job was cancelled"
    if found is None:
        return _said(message)
    if reply.kind == "spin":
        if found.spin is not None:
            message["processedUrl"] = to_url(found.spin.viewer_key)
            message["result"] = spin_result(found.spin, found, to_url)
    elif found.photos:
        message["result"] = result = image_result(found.photos[0], to_url)
        message["processedUrl"] = result.get("processedImageUrl")
        message["maskUrl"] = result.get("maskUrl")
    return _said(message)


def image_result(photo: PhotoResult, to_url: ToUrl) -> dict[str, Any]:
    """What came of one photo, in OKLA's words."""
    return _said(
        {
            "processedImageUrl": to_url(photo.picture.key) if photo.picture else None,
            "maskUrl": to_url(photo.matte.key) if photo.matte else None,
            "imageCategory": photo.category.capitalize() if photo.category else None,
            "categoryConfidence": photo.category_confidence,
            "detectedAngle": photo.angle,
            "angleConfidence": photo.angle_confidence,
            "licensePlateDetected": None if photo.plates is None else photo.plates > 0,
            "qualityScore": photo.quality,
            "qualityIssues": list(photo.issues) if photo.quality is not None else None,
        }
    )


def spin_result(spin: SpinResult, found: JobResult, to_url: ToUrl) -> dict[str, Any]:
    """The 360° view in OKLA's words; a key frame is one nearest to a quarter of the turn."""
    count = len(spin.frames)
    quarters = {round(count * quarter / 4) for quarter in range(4)}
    qualities = [photo.quality for photo in found.photos if photo.quality is not None]
    return _said(
        {
            "frames": [
                {
                    "frameNumber": position + 1,
                    "degrees": frame.azimuth_deg,
                    "processedUrl": to_url(frame.key),
                    "thumbnailUrl": to_url(frame.thumbnail_key),
                    "isKeyFrame": position in quarters,
                }
                for position, frame in enumerate(spin.frames)
            ],
            "viewerEmbedUrl": to_url(spin.viewer_key),
            "thumbnailUrl": to_url(spin.frames[0].thumbnail_key) if count else None,
            "totalFrames": count,
            "degreesPerFrame": round(360 / count, 3) if count else None,
            "averageQualityScore": sum(qualities) / len(qualities) if qualities else None,
        }
    )


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """OKLA's serialiser omits nulls."""
    return {name: value for name, value in fields.items() if value is not None}


def _enveloped(
    seed: str,
    address: Address,
    types: tuple[str, ...],
    message: Mapping[str, Any],
    reply: Reply,
    is_ours: bool = False,
) -> Publication:
    where = address.exchange or address.routing_key
    message_id = _id(seed, f"{types[0]}\n{where}")
    envelope = {
        "messageId": message_id,
        "requestId": reply.request_id,
        "conversationId": reply.conversation_id,
        "sourceAddress": f"exchange:{OWN_QUEUE}",
        "destinationAddress": f"exchange:{where}" if address.exchange else f"queue:{where}",
        "messageType": [URN + one for one in types],
        "message": message,
        "sentTime": datetime.now(UTC).isoformat(),
        "headers": {},
    }
    body = json.dumps(_said(envelope)).encode()
    return Publication(address, body, MASSTRANSIT_JSON, message_id, reply.request_id, is_ours)


def _bare(seed: str, address: Address, message: Mapping[str, Any], reply: Reply) -> Publication:
    body = json.dumps(message).encode()
    message_id = _id(seed, f"bare\n{address.routing_key}")
    return Publication(address, body, "application/json", message_id, reply.request_id)


def _id(seed: str, what: str) -> str:
    return str(uuid.uuid5(IDS, f"{seed}\n{what}"))

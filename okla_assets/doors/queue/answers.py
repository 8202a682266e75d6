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

from pydantic import BaseModel

from okla_assets import keys
from okla_assets.doors.jobs.record import NAMESPACE as IDS, Job
from okla_assets.doors.jobs.requests import Address, Reply
from okla_assets.doors.okla.jobs import image_job, spin_job
from okla_assets.doors.okla.words import error_message
from okla_assets.doors.queue.messages import NAMESPACE, OWN_QUEUE

MASSTRANSIT_JSON = "application/vnd.masstransit+json"
URN = "urn:message:"
COMPLETED: Mapping[str, str] = {
    "image": f"{NAMESPACE}:ProcessingCompletedMessage",
    "spin": f"{NAMESPACE}:Spin360CompletedMessage",
}
"""The types, and so the exchanges, of the completed messages."""
LONGEST_REASON = 1000


@dataclass(frozen=True)
class Places:
    """Addresses for whoever is told: of a finished file by its key, of a vehicle's 360° page."""

    file: Callable[[str], str]
    page: Callable[[keys.VehicleId], str]


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


def answers(job: Job, places: Places) -> Iterator[Publication]:
    """All that is to be published about a job that has ended."""
    reply = job.request.reply or Reply()
    message = _completed(job, places)
    exchange = COMPLETED[reply.kind]
    yield _enveloped(job.id, Address(exchange=exchange), (exchange,), message, reply, is_ours=True)
    failed = error_message(job)
    if failed is not None and reply.message_types:
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


def _completed(job: Job, places: Places) -> dict[str, Any]:
    """OKLA's ProcessingCompletedMessage or Spin360CompletedMessage, in the words that the job's
    status has over HTTP."""
    reply = job.request.reply or Reply()
    told: dict[str, Any]
    if reply.kind == "spin":
        spin = spin_job(job, places.file, places.page(job.vehicle_id))
        told = _dumped(spin)
        url = spin.result.viewer_embed_url if spin.result else None
    else:
        image = image_job(job, places.file)
        told = _dumped(image)
        url = told.get("result", {}).get("processedImageUrl")
    return told | _said({"success": job.has_succeeded, "processedUrl": url})


def _dumped(told: BaseModel) -> dict[str, Any]:
    """As JSON; whether the caller was told is nothing to tell him."""
    return told.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"callback"})


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

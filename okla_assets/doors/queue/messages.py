"""Messages of OKLA's backend as requests: MassTransit's envelopes and bare JSON.

Names are compared without regard to case and underscores, as MassTransit does: `job_id`, `jobId`
and `JobId` are one field. What a message says beside its contract is passed over, but an option
that we do not offer refuses the message by name.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic_core import from_json

from okla_assets import keys
from okla_assets.doors.jobs.requests import (
    Address,
    JobRequest,
    Operation,
    Reply,
    checked,
)
from okla_assets.doors.okla.models import LEAST_IMAGES
from okla_assets.doors.okla.words import (
    KINDS,
    Kind,
    cut_out_options,
    folded,
    kind_of,
    studio_options,
)
from resources.errors import BadInput

OWN_QUEUE = "okla-media"
"""Takes what is published, not sent to a queue."""
DEAD_QUEUE = "okla-media.dead"
NAMESPACE = "AIProcessingService.Application.DTOs"
WORKER, IMAGE, SPIN = "PythonWorkerMessage", "ImageProcessingMessage", "Spin360ProcessingMessage"
PUBLISHED = tuple(f"{NAMESPACE}:{name}" for name in (IMAGE, SPIN))
"""The exchanges of the published ones."""
QUEUES: Mapping[str, Operation | None] = {
    "ai-processing-segmentation": None,
    "ai-processing-classification": Operation.classify,
    "ai-processing-detection": Operation.mask_plate,
    "ai.background-replace": Operation.background,
    "ai.segment": Operation.segment,
    "ai.classify": Operation.classify,
    "ai.360": Operation.spin,
    OWN_QUEUE: None,
}
"""What a message of a queue asks for that names no type; None: it has to."""
LARGEST = 2 * 2**20
_NO_ID = str(uuid.UUID(int=0))
"""As .NET writes an id that nobody has set."""


class Poison(BadInput):
    """A message of which no job can be made. `reply`: whom its sender wants to have told."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


@dataclass(frozen=True)
class Letter:
    """What the broker delivered, and what it says of it."""

    queue: str
    body: bytes
    exchange: str = ""
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True)
class Asked:
    """The job that a message asks for. `job_id` is the message's, so that one that is delivered
    twice is one job."""

    job_id: keys.JobId
    request: JobRequest


@dataclass(frozen=True)
class _Envelope:
    """A message without what it came in; `kinds` are the names of its types, if it has some."""

    message: dict[str, Any]
    kinds: frozenset[str]
    message_id: str | None
    reply: Reply


def asked(letter: Letter, caller: str) -> Asked:
    """The job that a message asks for, in the name of this caller. Raises `Poison`."""
    envelope = _opened(letter)
    try:
        return _asked(letter, envelope, caller)
    except BadInput as error:
        raise Poison(str(error), envelope.reply) from None


def _asked(letter: Letter, envelope: _Envelope, caller: str) -> Asked:
    """Raises BadInput."""
    message = envelope.message
    known = envelope.kinds & {WORKER, IMAGE, SPIN}
    if envelope.kinds and not known and letter.queue == OWN_QUEUE:
        raise Poison(f"a message of the type {min(envelope.kinds)[:80]} asks for nothing here")
    is_spin = SPIN in known or (
        not known
        and (
            QUEUES[letter.queue] is Operation.spin
            or letter.exchange.endswith(f":{SPIN}")
            or (letter.queue == OWN_QUEUE and "sourcetype" in message)
        )
    )
    reply = envelope.reply.model_copy(update={"kind": "spin" if is_spin else "image"})
    fields: dict[str, Any] = {
        "vehicle": _named(message, "vehicleid"),
        "callback": _text(message, "callbackurl") or None,
        "caller": caller,
        "door": "amqp",
        "reply": reply,
    }
    if user := _text(message, "userid"):
        fields["metadata"] = {"user_id": user}
    fields |= _spin(message) if is_spin else _image(message, QUEUES[letter.queue])
    return Asked(_job_id(message, envelope), checked(**fields))


def _image(message: dict[str, Any], usual: Operation | None) -> dict[str, Any]:
    """What a PythonWorkerMessage or an ImageProcessingMessage asks for."""
    told = message.get("processingtype", message.get("type"))
    if isinstance(told, (str, int)):
        kind = kind_of(told)
    elif told is not None:
        raise Poison("processing_type: it has to be a name or a number")
    elif usual is not None:
        kind = Kind("", usual, seconds=0)
    else:
        names = ", ".join(one.name for one in KINDS)
        raise Poison(f"processing_type: it is missing; give one of {names}")
    if not (url := _text(message, "imageurl")):
        raise Poison("image_url: it is missing; give the address of a photo")
    options = _options(message)
    return {
        "operation": kind.operation,
        "kind": kind.name,
        "sources": [{"url": url}],
        "options": options,
        "cut_out": cut_out_options(kind, options),
    }


def _spin(message: dict[str, Any]) -> dict[str, Any]:
    """What a Spin360ProcessingMessage asks for."""
    video, pictures = _text(message, "videourl"), _texts(message, "imageurls")
    if not video and not pictures:
        raise Poison(
            "videoUrl: it is missing, and so are imageUrls; give the address of a video, or of "
            f"{LEAST_IMAGES} photos or more"
        )
    if not video and len(pictures) < LEAST_IMAGES:
        raise Poison(
            f"imageUrls: a 360° view needs {LEAST_IMAGES} photos or more, not {len(pictures)}"
        )
    sources: list[dict[str, Any]] = [{"url": url} for url in pictures]
    if video:
        sources.insert(0, {"url": video, "video": True})
    options = _options(message)
    if "framecount" in message:
        options = studio_options({"frameCount": message["framecount"]}) | options
    return {"operation": Operation.spin, "kind": "Spin360", "sources": sources, "options": options}


def _options(message: dict[str, Any]) -> dict[str, Any]:
    """The options by our names."""
    given = message.get("options")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Poison("options: they have to be a JSON object")
    return studio_options(given)


def _job_id(message: dict[str, Any], envelope: _Envelope) -> keys.JobId:
    """The message's own id for the job, or the message's. Raises `Poison`."""
    named = _named(message, "jobid") or envelope.message_id
    if not named:
        raise Poison(
            "job_id: it is missing, and so is a message id; give one, so that a message that is "
            "delivered twice is one job"
        )
    try:
        return keys.parse_job_id(named)
    except keys.BadJobId as error:
        raise Poison(f"job_id: {error}") from None


def _opened(letter: Letter) -> _Envelope:
    """The message and what its envelope says. Raises `Poison`."""
    if len(letter.body) > LARGEST:
        raise Poison(f"the message is larger than {LARGEST >> 20} MB")
    try:
        whole = from_json(letter.body.decode(json.detect_encoding(letter.body)))
    except ValueError as error:
        raise Poison(f"the message is no JSON: {str(error)[:200]}") from None
    outer = _plain(whole, "the message")
    if "message" not in outer:
        return _Envelope(outer, frozenset(), letter.message_id, _bare_reply(letter))
    types = outer.get("messagetype", ())
    if isinstance(types, str):
        types = [types]
    if not isinstance(types, (list, tuple)) or not all(isinstance(one, str) for one in types):
        raise Poison("messageType: it has to be a list of names")
    message_id = _text(outer, "messageid") or letter.message_id
    try:
        reply = Reply(
            response=address_of(_text(outer, "responseaddress")),
            fault=address_of(_text(outer, "faultaddress")),
            request_id=_text(outer, "requestid"),
            conversation_id=_text(outer, "conversationid"),
            message_id=message_id,
            message_types=tuple(types),
        )
    except ValueError:
        raise Poison("the envelope's ids and types are longer than any there are") from None
    try:
        message = _plain(outer["message"], "message")
    except Poison as poison:
        raise Poison(str(poison), reply) from None
    kinds = frozenset(one.rpartition(":")[2] for one in types)
    return _Envelope(message, kinds, message_id, reply)


def _bare_reply(letter: Letter) -> Reply:
    """Whom a message without an envelope wants to have told: a queue, as AMQP has it."""
    to = letter.reply_to
    try:
        return Reply(
            response=Address(routing_key=to) if to else None,
            request_id=letter.correlation_id,
            message_id=letter.message_id,
        )
    except ValueError:
        raise Poison("correlation_id, message_id: they are longer than any id") from None


def address_of(text: str | None) -> Address | None:
    """Where a MassTransit address leads: `rabbitmq://HOST/VHOST/NAME`, `exchange:NAME` or
    `queue:NAME`. Raises `Poison` for another."""
    if not text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    name = unquote(parts.path).rpartition("/")[2] if parts is not None else ""
    usable = name.isascii() and name.isprintable() and 0 < len(name) <= 255
    if parts is None or not usable:
        raise Poison("responseAddress, faultAddress: give rabbitmq://HOST/VHOST/NAME")
    if parts.scheme in ("rabbitmq", "rabbitmqs", "amqp", "amqps", "exchange"):
        return Address(exchange=name)
    if parts.scheme == "queue":
        return Address(routing_key=name)
    raise Poison(
        f"responseAddress, faultAddress: {parts.scheme[:20]!r} is not RabbitMQ; give "
        "rabbitmq://HOST/VHOST/NAME"
    )


def _plain(given: object, what: str) -> dict[str, Any]:
    """An object's fields by their plain names. Raises `Poison` for what is none, and where two
    fields that are one differ."""
    if not isinstance(given, dict):
        raise Poison(f"{what} has to be a JSON object")
    plain: dict[str, Any] = {}
    for name, value in given.items():
        short = folded(name)
        if short in plain and plain[short] != value:
            raise Poison(f"{name[:40]} is given twice, and differs; give it once")
        plain[short] = value
    return plain


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Poison(f"{name}: it has to be a text")
    return value


def _named(fields: dict[str, Any], name: str) -> str | None:
    """An id that the message gives."""
    given = _text(fields, name)
    return None if given in ("", _NO_ID) else given


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    values = fields.get(name) or []
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise Poison(f"{name}: it has to be a list of addresses")
    return values

"""A bucket's events name vehicles that changed, which `uploads` then looks at.

Events are hints only. A message's vehicles are marked in the durable memory that `uploads` works
through, and only then is it deleted; what a vehicle holds and whether a run is due is read from the
bucket and from Dagster's runs. So events may come twice, late, or in any order, a tick may be
killed anywhere, and an event that never comes is made up for by the listing.
"""

from typing import Literal
from urllib.parse import unquote_plus

import dagster as dg
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from okla_assets import keys
from okla_assets.code_links import code_link
from resources.settings import settings
from resources.storage.event_queue import QUEUE_ENV, EventQueue, Message
from resources.storage.media_store import MediaStore
from sensors.upload_memory import MOST_WAITING, UploadMemory

MOST_RECEIVES = 10  # a tick, of up to ten messages each


class _Object(BaseModel):
    key: str


class _S3(BaseModel):
    object: _Object


class _Record(BaseModel):
    s3: _S3


class _Notification(BaseModel):
    """What a bucket sends to a queue; its keys are encoded as in a form."""

    records: list[_Record] = Field(alias="Records")

    def keys(self) -> list[str]:
        return [unquote_plus(record.s3.object.key) for record in self.records]


class _EventBridge(BaseModel):
    """What it sends by EventBridge, with plain keys."""

    source: Literal["aws.s3"]
    detail: _S3

    def keys(self) -> list[str]:
        return [self.detail.object.key]


class _Test(BaseModel):
    """What S3 sends once when notifications are switched on."""

    event: Literal["s3:TestEvent"] = Field(alias="Event")

    def keys(self) -> list[str]:
        return []


class _Envelope(BaseModel):
    """Any of them by way of SNS."""

    type: Literal["Notification"] = Field(alias="Type")
    message: str = Field(alias="Message")

    def keys(self) -> list[str]:
        return changed_keys(self.message)


_MESSAGE: TypeAdapter[_Notification | _EventBridge | _Test | _Envelope] = TypeAdapter(
    _Notification | _EventBridge | _Test | _Envelope
)


def changed_keys(body: str) -> list[str]:
    """Keys in the bucket that a message names; raises pydantic's ValidationError for junk."""
    return _MESSAGE.validate_json(body).keys()


@dg.sensor(
    minimum_interval_seconds=10,
    description="Events of the bucket name vehicles that `uploads` then looks at.",
    metadata=code_link(__file__),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def s3_events(
    context: dg.SensorEvaluationContext,
    store: dg.ResourceParam[MediaStore],
    event_queue: dg.ResourceParam[EventQueue],
) -> dg.SkipReason:
    """Hands the vehicles that the bucket's events name to the sensor `uploads`; runs nothing."""
    if not settings().sqs_queue_url:
        return dg.SkipReason(f"{QUEUE_ENV} is not set: `uploads` finds new files by listing")
    memory = UploadMemory(context.instance)
    waiting = len(memory.waiting())
    if waiting >= MOST_WAITING:
        return dg.SkipReason(f"{waiting} vehicles wait for `uploads`; the queue keeps the rest")
    messages = _received(event_queue)
    found: set[keys.VehicleId] = set()
    for message in messages:
        found |= _vehicles_of(context, message, getattr(store, "prefix", ""))
    memory.mark(found)
    # Only now: a kill before it would have lost them.
    event_queue.delete(messages)
    return dg.SkipReason(f"{len(messages)} events named {len(found)} vehicles")


def _received(event_queue: EventQueue) -> list[Message]:
    messages: list[Message] = []
    for _ in range(MOST_RECEIVES):
        received = event_queue.receive()
        if not received:
            break
        messages += received
    return messages


def _vehicles_of(
    context: dg.SensorEvaluationContext, message: Message, prefix: str
) -> set[keys.VehicleId]:
    try:
        changed = changed_keys(message.body)
    except ValidationError:
        context.log.warning(
            f"message {message.id} in {QUEUE_ENV} is no event of a bucket and was deleted: "
            f"{message.body[:200]!r}"
        )
        return set()
    found = set()
    start = f"{prefix.strip('/')}/{keys.RAW}".lstrip("/")
    for key in changed:
        name, slash, _ = key.removeprefix(start).partition("/")
        if key.startswith(start) and slash:
            try:
                found.add(keys.new_vehicle_id(name))
            except keys.BadVehicleId:
                continue  # `uploads` warns of it when it lists the folder
    return found

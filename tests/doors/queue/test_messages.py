"""Messages of the broker become requests, or are refused by name."""

import json
import uuid
from typing import Any

import pytest

from okla_assets.doors.jobs.requests import Address, Operation
from okla_assets.doors.okla.words import KINDS
from okla_assets.doors.queue.messages import (
    DEAD_QUEUE,
    LARGEST,
    OWN_QUEUE,
    PUBLISHED,
    QUEUES,
    Letter,
    Poison,
    address_of,
    asked,
)

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
VEHICLE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
URL = "https://photos.example.org/1.jpg"
URN = "urn:message:AIProcessingService.Application.DTOs:"


def worker(**changes: Any) -> dict[str, Any]:
    """What OKLA's backend sends for one photo."""
    message = {
        "job_id": JOB,
        "vehicle_id": VEHICLE,
        "user_id": "",
        "image_url": URL,
        "processing_type": "BackgroundReplacement",
        "options": {
            "background_id": "white_studio",
            "custom_background_url": None,
            "mask_license_plate": True,
            "license_plate_mask_type": "black",
            "generate_shadow": True,
            "auto_enhance": False,
            "output_format": "jpeg",
            "output_quality": 85,
        },
    }
    return {**message, **changes}


def spin(**changes: Any) -> dict[str, Any]:
    """What OKLA's backend publishes for a 360° view."""
    message = {
        "jobId": JOB,
        "vehicleId": VEHICLE,
        "sourceType": "Video",
        "videoUrl": "https://photos.example.org/walk.mp4",
        "imageUrls": None,
        "options": {"targetFrameCount": 24, "generateShadows": True, "enableHotspots": False},
        "createdAt": "2026-11-29T06:00:00Z",
    }
    return {**message, **changes}


def enveloped(message: object, kind: str = "PythonWorkerMessage", **changes: Any) -> dict[str, Any]:
    """The message in MassTransit's envelope."""
    envelope = {
        "messageId": str(uuid.UUID(int=7)),
        "conversationId": str(uuid.UUID(int=8)),
        "requestId": str(uuid.UUID(int=9)),
        "sourceAddress": "rabbitmq://rabbit/api_bus_abc?temporary=true",
        "destinationAddress": "rabbitmq://rabbit/ai-processing-segmentation",
        "responseAddress": "rabbitmq://rabbit/api_bus_abc?temporary=true",
        "faultAddress": "rabbitmq://rabbit/vhost/api_faults",
        "messageType": [URN + kind],
        "message": message,
        "sentTime": "2026-11-29T06:00:00Z",
        "headers": {},
        "host": {"machineName": "api"},
    }
    return {**envelope, **changes}


def letter(body: object, queue: str = "ai-processing-segmentation", **facts: Any) -> Letter:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Letter(queue, data, **facts)


def test_the_queues_are_those_of_both_contracts() -> None:
    assert set(QUEUES) == {
        "ai-processing-segmentation",
        "ai-processing-classification",
        "ai-processing-detection",
        "ai.background-replace",
        "ai.segment",
        "ai.classify",
        "ai.360",
        OWN_QUEUE,
    }
    assert DEAD_QUEUE not in QUEUES
    assert PUBLISHED == (
        "AIProcessingService.Application.DTOs:ImageProcessingMessage",
        "AIProcessingService.Application.DTOs:Spin360ProcessingMessage",
    )


@pytest.mark.parametrize("wrapped", [True, False], ids=["envelope", "bare"])
def test_a_workers_message_becomes_a_job_with_our_options(wrapped: bool) -> None:
    found = asked(letter(enveloped(worker()) if wrapped else worker()), "okla")
    request = found.request
    assert found.job_id == JOB
    assert (request.operation, request.kind) == (Operation.background, "BackgroundReplacement")
    assert (request.vehicle, request.caller, request.door) == (VEHICLE, "okla", "amqp")
    assert [source.url for source in request.sources] == [URL]
    assert request.options == {
        "background_id": "white_studio",
        "mask_license_plate": True,
        "license_plate_mask_type": "fill",
        "generate_shadow": True,
        "auto_enhance": False,
        "output_format": "jpg",
        "output_quality": 85,
    }
    assert request.reply is not None and request.reply.kind == "image"
    if wrapped:
        assert request.reply.response == Address(exchange="api_bus_abc")
        assert request.reply.fault == Address(exchange="api_faults")
        assert request.reply.request_id == str(uuid.UUID(int=9))
        assert request.reply.message_types == (f"{URN}PythonWorkerMessage",)


@pytest.mark.parametrize(("number", "name"), list(enumerate(one.name for one in KINDS)))
@pytest.mark.parametrize("as_number", [True, False])
def test_every_type_is_known_by_name_and_number(number: int, name: str, as_number: bool) -> None:
    message = worker(processing_type=number if as_number else name, options=None)
    request = asked(letter(message), "okla").request
    assert (request.kind, request.operation) == (name, KINDS[number].operation)
    assert (request.cut_out is not None) == (name == "BackgroundRemoval")


def test_a_published_image_message_is_in_camel_case() -> None:
    message = {
        "jobId": JOB,
        "vehicleId": VEHICLE,
        "imageUrl": URL,
        "type": 8,
        "options": {"backgroundId": "white_studio", "outputFormat": "webp"},
        "createdAt": "2026-11-29T06:00:00Z",
    }
    found = asked(letter(enveloped(message, "ImageProcessingMessage"), OWN_QUEUE), "okla")
    assert found.request.operation is Operation.full
    assert found.request.options["output_format"] == "webp"


@pytest.mark.parametrize(
    ("queue", "operation"),
    [
        ("ai-processing-classification", Operation.classify),
        ("ai-processing-detection", Operation.mask_plate),
        ("ai.background-replace", Operation.background),
        ("ai.segment", Operation.segment),
        ("ai.classify", Operation.classify),
    ],
)
def test_a_queues_name_says_what_is_asked_for(queue: str, operation: Operation) -> None:
    message = {"jobId": JOB, "imageUrl": URL}
    request = asked(letter(message, queue), "okla").request
    assert (request.operation, request.vehicle) == (operation, None)


@pytest.mark.parametrize(
    "given",
    [
        letter(enveloped(spin(), "Spin360ProcessingMessage"), OWN_QUEUE),
        letter(spin(), OWN_QUEUE, exchange=PUBLISHED[1]),
        letter(spin(), OWN_QUEUE),
        letter(spin(), "ai.360"),
    ],
    ids=["envelope", "exchange", "fields", "queue"],
)
def test_a_spin_message_is_known_by_its_type_its_exchange_or_its_queue(given: Letter) -> None:
    request = asked(given, "okla").request
    assert request.operation is Operation.spin
    assert request.sources[0].video
    assert request.options == {
        "spin_frames": 24,
        "generate_shadow": True,
        "auto_hotspots": False,
    }
    assert request.reply is not None and request.reply.kind == "spin"


def test_a_spin_of_photos() -> None:
    urls = [f"https://photos.example.org/{n}.jpg" for n in range(6)]
    message = spin(sourceType="Images", videoUrl=None, imageUrls=urls)
    request = asked(letter(message, "ai.360"), "okla").request
    assert [source.url for source in request.sources] == urls
    assert not any(source.video for source in request.sources)


def test_a_message_without_a_jobs_id_has_its_own() -> None:
    body = worker(job_id=str(uuid.UUID(int=0)))
    assert asked(letter(enveloped(body)), "okla").job_id == str(uuid.UUID(int=7))
    assert asked(letter(body, message_id=JOB.upper()), "okla").job_id == JOB


def test_one_who_asks_by_a_queue_of_his_own_is_answered_there() -> None:
    given = letter(worker(), reply_to="amq.gen-1", correlation_id="17")
    reply = asked(given, "okla").request.reply
    assert reply is not None
    assert (reply.response, reply.request_id) == (Address(routing_key="amq.gen-1"), "17")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("rabbitmq://host/name", Address(exchange="name")),
        ("rabbitmq://host:5672/vhost/name?temporary=true", Address(exchange="name")),
        ("amqps://host/%2F/a%3Ab", Address(exchange="a:b")),
        ("exchange:A.B:C", Address(exchange="A.B:C")),
        ("queue:name", Address(routing_key="name")),
        ("", None),
        (None, None),
    ],
)
def test_addresses_of_masstransit(text: str | None, address: Address | None) -> None:
    assert address_of(text) == address


DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
BAD: list[tuple[str, object, str]] = [
    ("empty", b"", "no JSON"),
    ("text", b"hello", "no JSON"),
    ("cut", json.dumps(worker()).encode()[:-5], "no JSON"),
    ("binary", bytes(range(256)), "no JSON"),
    ("latin-1", b'{"image_url": "\xe9"}', "no JSON"),
    ("surrogate", b'{"image_url": "\\ud800"}', "no JSON"),
    ("deep", DEEP, "no JSON"),
    ("long number", b'{"type": ' + b"9" * 10_000 + b"}", "out of range"),
    ("too large", b'{"a": "' + b"x" * LARGEST + b'"}', "larger than"),
    ("null", b"null", "JSON object"),
    ("list", b"[]", "JSON object"),
    ("number", b"7", "JSON object"),
    ("no fields", {}, "processing_type"),
    ("no id", worker(job_id=None), "job_id"),
    ("id is no uuid", worker(job_id="17"), "UUID"),
    ("id climbs", worker(job_id="../../etc/passwd"), "UUID"),
    ("id is a number", worker(job_id=17), "jobid"),
    ("id is an object", worker(job_id={"$ne": 1}), "jobid"),
    ("no type", worker(processing_type=None), "processing_type"),
    ("type unknown", worker(processing_type="Sorcery"), "no such type"),
    ("type too high", worker(processing_type=9), "no such type"),
    ("type negative", worker(processing_type=-1), "no such type"),
    ("type of many digits", worker(processing_type="9" * 5000), "no such type"),
    ("type true", worker(processing_type=True), "no such type"),
    ("type a list", worker(processing_type=[1]), "processing_type"),
    ("type fraction", worker(processing_type=1.5), "processing_type"),
    ("type of other digits", worker(processing_type="²"), "no such type"),
    ("no picture", worker(image_url=None), "image_url"),
    ("picture empty", worker(image_url=""), "image_url"),
    ("picture a list", worker(image_url=[URL]), "imageurl"),
    ("picture too long", worker(image_url="https://h/" + "x" * 5000), "url"),
    ("vehicle climbs", worker(vehicle_id="../x"), "vehicle"),
    ("vehicle is a folder", worker(vehicle_id="photos"), "folders"),
    ("vehicle is ours", worker(vehicle_id=f"job-{JOB}"), "given by us"),
    ("vehicle too long", worker(vehicle_id="x" * 65), "vehicle"),
    ("vehicle a number", worker(vehicle_id=5), "vehicleid"),
    ("option unknown", worker(options={"colour": "red"}), "colour: there is no such option"),
    ("option of a URL", worker(options={"custom_background_url": URL}), "custom_background_url"),
    ("option out of range", worker(options={"output_quality": 900}), "output_quality"),
    ("option of a kind", worker(options={"mask_license_plate": "maybe"}), "mask_license_plate"),
    ("option word", worker(options={"license_plate_mask_type": "paint"}), "mask_type"),
    ("scene climbs", worker(options={"background_id": "../x"}), "background_id"),
    ("options a list", worker(options=[1]), "options"),
    ("options a text", worker(options="{}"), "options"),
    ("given twice", {**worker(), "jobId": str(uuid.UUID(int=1))}, "twice"),
    ("cut-out of a kind", worker(processing_type=0, options={"quality": 0}), "quality: "),
    ("envelope of nothing", {"message": None, "messageType": []}, "message"),
    ("envelope of a list", enveloped([worker()]), "message"),
    ("types a number", enveloped(worker(), messageType=5), "messageType"),
    ("types of numbers", enveloped(worker(), messageType=[5]), "messageType"),
    ("types too many", enveloped(worker(), messageType=["urn:x"] * 21), "ids and types"),
    ("type too long", enveloped(worker(), messageType=["x" * 500]), "ids and types"),
    ("request id too long", enveloped(worker(), requestId="x" * 65), "ids and types"),
    ("answer by http", enveloped(worker(), responseAddress="http://h/x"), "responseAddress"),
    ("answer nowhere", enveloped(worker(), faultAddress="rabbitmq://h/"), "faultAddress"),
    ("answer in Greek", enveloped(worker(), responseAddress="queue:λ"), "responseAddress"),
    ("answer too long", enveloped(worker(), responseAddress="queue:" + "x" * 256), "response"),
    ("answer half", enveloped(worker(), responseAddress="rabbitmq://[h/x"), "responseAddress"),
    ("callback too long", worker(callback_url="https://h/" + "x" * 3000), "callback"),
]


@pytest.mark.parametrize(("body", "named"), [(b, n) for _, b, n in BAD], ids=[i for i, *_ in BAD])
def test_what_cannot_be_used_is_refused_by_name(body: object, named: str) -> None:
    with pytest.raises(Poison, match=named):
        asked(letter(body), "okla")


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (spin(videoUrl=None), "videoUrl"),
        (spin(videoUrl=None, imageUrls=["https://h/1.jpg"] * 5), "6 photos"),
        (spin(videoUrl=None, imageUrls="https://h/1.jpg"), "imageurls"),
        (spin(videoUrl=None, imageUrls=[None] * 6), "imageurls"),
        (spin(options={"targetFrameCount": 500}), "targetFrameCount"),
        (spin(videoUrl=None, imageUrls=["https://h/1.jpg"] * 401), "sources"),
    ],
    ids=["nothing", "too few", "a text", "nulls", "too many frames", "too many photos"],
)
def test_a_spin_that_cannot_be_made_is_refused_by_name(message: object, named: str) -> None:
    with pytest.raises(Poison, match=named):
        asked(letter(message, "ai.360"), "okla")


def test_a_type_that_is_not_ours_asks_for_nothing() -> None:
    body = enveloped(worker(), "ProcessingCompletedMessage")
    with pytest.raises(Poison, match="ProcessingCompletedMessage"):
        asked(letter(body, OWN_QUEUE), "okla")


def test_whoever_sent_what_cannot_be_used_is_still_known() -> None:
    with pytest.raises(Poison) as refused:
        asked(letter(enveloped(worker(job_id="17"))), "okla")
    assert refused.value.reply is not None
    assert refused.value.reply.fault == Address(exchange="api_faults")

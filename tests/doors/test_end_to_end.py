"""A real `okla serve` and `okla consume` on real models, PostgreSQL and RabbitMQ, as a backend
meets them: our own car's photos and video by HTTP and by queue, the ends told to a receiver."""

import json
import os
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pika
import pytest
import removebg
import requests
from PIL import Image

from okla_assets.doors.queue.broker import parameters_of
from okla_assets.doors.telling.signatures import verify
from resources.settings import Settings
from tests.conftest import REPOSITORY
from tests.doors.web import Handler, Web, gives, web
from tests.postgres import running_postgres
from tests.rabbitmq import free_ports, running_rabbitmq
from tests.running import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.weights, pytest.mark.timeout(1800)]

SAMPLE = REPOSITORY / "okla_assets" / "sample" / "media"
PHOTO = SAMPLE / "photos" / "IMG_0101.jpg"
VIDEO = SAMPLE / "video" / "walkaround.mp4"
CAR = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SECRET = "a secret of this test"
FRAMES = 8


@dataclass
class House:
    """The door, the broker's parameters, and the backend that is told of ends."""

    url: str
    broker: pika.URLParameters
    backend: Web
    log: Path

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=600, **more)

    def get(self, address: str) -> requests.Response:
        return requests.get(address if "://" in address else self.url + address, timeout=60)

    def ended(self, address: str, seconds: float = 900) -> dict[str, Any]:
        """What a job's status says when it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told: dict[str, Any] = self.get(address).json()
            if told["status"] in ("completed", "failed", "cancelled"):
                return told
            time.sleep(0.3)
        raise AssertionError(f"{address} does not end:\n{self.log.read_text()[-3000:]}")

    def heard(self, job: str) -> dict[str, Any]:
        """The callback about a job, whose signature is right."""

        def bodies() -> list[dict[str, Any]]:
            calls = [one for one in [*self.backend.received] if one.path == "/heard"]
            for one in calls:
                verify([SECRET], dict(one.headers.items()), one.body)
            found = [json.loads(one.body) for one in calls]
            return [body for body in found if body["job_id"] == job]

        wait_for(lambda: bool(bodies()), 60)
        return bodies()[0]


@pytest.fixture(scope="module")
def house(weights: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with ExitStack() as stack:
        rabbit = stack.enter_context(running_rabbitmq())
        postgres = stack.enter_context(running_postgres())
        backend = stack.enter_context(web())
        (port,) = free_ports(1)
        url, media, log = f"http://127.0.0.1:{port}", folder / "media", folder / "log"
        media.mkdir()
        environment = os.environ | {
            "OKLA_POSTGRES_URL": postgres.url,
            "OKLA_AMQP_URL": rabbit.url.replace("pyamqp", "amqp"),
            "OKLA_API_URL": url,
            "OKLA_FETCH_HOSTS": backend.host,
            "OKLA_FETCH_PRIVATE": "1",
            "OKLA_CALLBACK_SECRETS": SECRET,
            "OKLA_API_WAIT_SECONDS": "300",
        }
        backend.answers["/heard"] = lambda handler: Handler.reply(handler, 200)
        backend.answers["/car.jpg"] = gives(PHOTO.read_bytes())
        backend.answers["/walk.mp4"] = gives(VIDEO.read_bytes())
        out = stack.enter_context(log.open("ab"))
        commands = (
            ["serve", "--out", str(media), "--port", str(port), "--verbose"],
            ["consume", "--out", str(media)],
        )
        programs = [
            subprocess.Popen(
                [sys.executable, "-m", "okla_assets", *command],
                cwd=REPOSITORY,
                env=environment,
                stdout=out,
                stderr=out,
            )
            for command in commands
        ]
        try:
            house = House(url, parameters_of(Settings(broker_url=rabbit.url)), backend, log)
            wait_for(lambda: _answers(url), 120)
            yield house
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/ready", timeout=2).ok
    except requests.RequestException:
        return False


OPERATIONS = (
    "classify-image",
    "segment-vehicle",
    "mask-license-plate",
    "background-replace",
)


def test_each_operation_of_the_plan(house: House) -> None:
    for operation in OPERATIONS:
        answer = house.post(
            f"/api/ai-process/{operation}",
            json={
                "vehicleId": CAR,
                "imageUrl": f"{house.backend.url}/car.jpg",
                "callbackUrl": f"{house.backend.url}/heard",
                "metadata": {"operation": operation},
            },
        )
        assert answer.status_code == 202, answer.text
        told = house.ended(answer.json()["statusCheckUrl"])
        assert told["status"] == "completed", told
        result = told["result"]
        assert (result["imageCategory"], result["detectedAngle"]) == ("Exterior", "front-quarter")
        body = house.heard(told["jobId"])
        assert body["success"] is True and body["metadata"] == {"operation": operation}
        if operation == "classify-image":
            assert body["processed_url"] is None
            continue
        with Image.open(BytesIO(house.get(body["processed_url"]).content)) as picture:
            assert picture.mode == ("RGBA" if operation == "segment-vehicle" else "RGB")
            if operation == "background-replace":
                assert picture.width * 3 == picture.height * 4
                assert picture.convert("L").crop((20, 20, 40, 40)).getextrema()[0] > 225
        if operation == "segment-vehicle":
            with Image.open(BytesIO(house.get(body["mask_url"]).content)) as mask:
                assert mask.mode == "L" and mask.getextrema() == (0, 255)


TYPES = (
    "BackgroundRemoval",
    "VehicleSegmentation",
    "ImageClassification",
    "AngleDetection",
    "LicensePlateMasking",
    "ColorCorrection",
    "QualityAnalysis",
    "BackgroundReplacement",
    "FullPipeline",
)


def test_each_type_of_oklas_service(house: House) -> None:
    """By name and by number, of the same photo, which is cut out once."""
    jobs = []
    for number, kind in enumerate(TYPES):
        answer = house.post(
            "/api/aiprocessing/process",
            json={
                "vehicleId": CAR,
                "imageUrl": f"{house.backend.url}/car.jpg",
                "type": kind if number % 2 else number,
                "callbackUrl": f"{house.backend.url}/heard",
            },
        )
        assert answer.status_code == 200, answer.text
        jobs.append(answer.json())
    for kind, job in zip(TYPES, jobs, strict=True):
        told = house.ended(f"/api/aiprocessing/jobs/{job['jobId']}")
        assert told["status"] == "completed", (kind, told)
        body = house.heard(job["jobId"])
        # Between two answers the callback's own state may change, but only once.
        told = house.get(f"/api/aiprocessing/jobs/{job['jobId']}").json()
        if told != house.get(job["statusCheckUrl"]).json():
            told = house.get(f"/api/aiprocessing/jobs/{job['jobId']}").json()
            assert told == house.get(job["statusCheckUrl"]).json()
        assert body["success"] is True
        pictured = kind not in ("ImageClassification", "AngleDetection", "QualityAnalysis")
        assert bool(body["processed_url"]) is pictured, (kind, body)
        if pictured:
            assert house.get(body["processed_url"]).ok


def test_a_photo_that_is_none_fails_and_is_told(house: House) -> None:
    house.backend.answers["/none.jpg"] = gives(b"<html>gone</html>")
    for name in ("none.jpg", "missing.jpg"):
        answer = house.post(
            "/api/ai-process/background-replace",
            json={
                "imageUrl": f"{house.backend.url}/{name}",
                "callbackUrl": f"{house.backend.url}/heard",
            },
        )
        told = house.ended(answer.json()["statusCheckUrl"])
        assert told["status"] == "failed" and told["errorMessage"]
        body = house.heard(told["jobId"])
        assert body["success"] is False and body["error_message"]


def test_an_unmodified_client_of_remove_bg(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removebg.removebg, "API_ENDPOINT", f"{house.url}/v1.0/removebg")
    client = removebg.RemoveBg("any key", str(tmp_path / "errors.log"))
    photo_there = tmp_path / "car.jpg"
    photo_there.write_bytes(PHOTO.read_bytes())
    client.remove_background_from_img_file(str(photo_there), size="full")
    out = tmp_path / "car.jpg_no_bg.png"
    with Image.open(PHOTO) as photo, Image.open(out) as cut:
        assert cut.mode == "RGBA" and cut.size == photo.size
        alpha = cut.getchannel("A")
        assert alpha.getextrema() == (0, 255)
        assert 0.1 < sum(alpha.histogram()[128:]) / (cut.width * cut.height) < 0.8


def test_a_shadow_and_a_zip_by_remove_bg(house: House) -> None:
    with Image.open(PHOTO) as photo:
        own = photo.size
    answer = house.post(
        "/v1.0/removebg",
        files={"image_file": PHOTO.read_bytes()},
        data={"size": "preview", "format": "webp", "type": "car", "add_shadow": "true"},
    )
    assert answer.status_code == 200, answer.text
    with Image.open(BytesIO(answer.content)) as picture:
        assert picture.mode == "RGBA" and picture.width * picture.height <= 0.2525e6
        assert picture.width == int(answer.headers["X-Width"])
        alpha = picture.getchannel("A").histogram()
        assert sum(alpha[20:200]) > 0.01 * picture.width * picture.height  # the shadow
    answer = house.post(
        "/v1.0/removebg",
        files={"image_file": PHOTO.read_bytes()},
        data={"size": "full", "format": "zip"},
    )
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert set(archive.namelist()) == {"color.jpg", "alpha.png"}
        with Image.open(archive.open("alpha.png")) as matte:
            assert matte.size == own


def test_a_360_view_by_upload_and_by_queue(house: House) -> None:
    with VIDEO.open("rb") as video:
        answer = house.post(
            f"/api/vehicle360/jobs/upload?vehicleId=SPIN-1&frameCount={FRAMES}",
            files={"file": ("walk.mp4", video, "video/mp4")},
        )
    assert answer.status_code in (200, 201, 202), answer.text
    job = answer.json()["jobId"]
    told = house.ended(f"/api/aiprocessing/spin360/{job}")
    assert told["status"] == "completed", told
    assert len(told["result"]["frames"]) >= FRAMES - 1
    viewer = house.get("/api/vehicle360/viewer/SPIN-1").json()
    assert viewer["status"] == "Completed" and viewer["frameCount"] == len(viewer["frameUrls"])
    assert all(house.get(frame).ok for frame in viewer["frameUrls"])
    assert house.get("/api/vehicle360/jobs/" + job + "/result").json()["status"] == "Completed"

    queued = str(uuid.uuid4())
    message = {
        "jobId": queued,
        "vehicleId": "SPIN-1",
        "sourceType": "Video",
        "videoUrl": f"{house.backend.url}/walk.mp4",
        "options": {"targetFrameCount": FRAMES},
    }
    exchange = "AIProcessingService.Application.DTOs:Spin360ProcessingMessage"
    envelope = {
        "messageId": str(uuid.uuid4()),
        "messageType": [f"urn:message:{exchange}"],
        "message": message,
    }
    with pika.BlockingConnection(house.broker) as connection:
        channel = connection.channel()
        heard = str(channel.queue_declare("", exclusive=True).method.queue)
        ends = "AIProcessingService.Application.DTOs:Spin360CompletedMessage"
        channel.exchange_declare(ends, "fanout", durable=True)
        channel.queue_bind(heard, ends)
        channel.basic_publish(
            exchange,
            "",
            json.dumps(envelope).encode(),
            pika.BasicProperties(content_type="application/vnd.masstransit+json"),
        )
        told = {}

        def answered() -> bool:
            _, _, body = channel.basic_get(heard, auto_ack=True)
            if body is not None:
                told.update(json.loads(body)["message"])
            return bool(told)

        wait_for(answered, 600)
    assert told["jobId"] == queued and told["success"] is True
    assert house.ended(f"/api/ai-process/360/status/{queued}")["status"] == "completed"

"""/api/backgroundremoval over HTTP; jobs are ended by hand."""

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests

from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.results import Problem
from okla_assets.doors.server import make_app
from tests.doors.conftest import Serve
from tests.doors.ended import end, image_made, with_keys

KEY = {"X-Api-Key": "okla"}
IMAGE = "https://photos.example.org/car.jpg"


def _remove(url: str, body: Any) -> requests.Response:
    return requests.post(f"{url}/api/backgroundremoval/remove", json=body, headers=KEY, timeout=20)


def _ending(door: Door, how: Callable[[Job], Any]) -> threading.Thread:
    """A dispatcher that ends the next job."""

    def dispatch() -> None:
        while not (jobs := list(door.jobs.unfinished())):
            time.sleep(0.01)
        how(jobs[0])

    thread = threading.Thread(target=dispatch)
    thread.start()
    return thread


def test_a_photo_as_text_is_answered_with_a_picture_as_text(door: Door, serve: Serve) -> None:
    url = serve(make_app(with_keys(door)))
    seen: list[Job] = []

    def done(job: Job) -> None:
        seen.append(job)
        assert door.store.get(job.request.sources[0].file or "") == b"a photo"
        end(door, job, result=image_made(door, job))

    thread = _ending(door, done)
    answer = _remove(
        url,
        {
            "imageBase64": "data:image/jpeg;base64," + base64.b64encode(b"a photo").decode(),
            "fileName": "car.jpg",
            "preferredProvider": None,
            "outputFormat": "WebP",
            "outputSize": "HD",
            "backgroundColor": "#0af",
            "addShadow": True,
            "cropToForeground": True,
            "cropMargin": "5%",
            "width": None,
            "quality": 80,
            "objectType": "Car",
            "correlationId": "c-1",
            "metadata": {"a": 1},
        },
    )
    thread.join()
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["statusText"]) == ("Completed", "Completed")
    assert base64.b64decode(told["resultBase64"]) == b"finished"
    assert requests.get(told["resultImageUrl"], timeout=5).content == b"finished"
    assert (told["correlationId"], told["metadata"]) == ("c-1", {"a": 1, "correlationId": "c-1"})
    drawn = seen[0].request.cut_out
    assert drawn is not None
    assert (drawn.format, drawn.megapixels, drawn.shadow, drawn.crop) == ("webp", 4, "car", True)
    assert drawn.background_colour == (0, 170, 255, 255) and drawn.crop_margin == ((5, "%"),) * 4


def test_a_photo_without_a_result_says_why(door: Door, serve: Serve) -> None:
    url = serve(make_app(with_keys(door)))
    problem = Problem(code="no_vehicle", detail="no vehicle was found on the photo")
    thread = _ending(door, lambda job: end(door, job, "failed", problem=problem))
    answer = _remove(url, {"imageUrl": IMAGE})
    thread.join()
    assert answer.status_code == 422
    assert answer.json()["errorCode"] == "no_vehicle" and "no vehicle" in answer.json()["detail"]


def test_what_is_not_waited_for_is_asked_for_later(door: Door, serve: Serve) -> None:
    url = serve(make_app(replace(with_keys(door), wait_seconds=0.1)))
    for body in ({"imageUrl": IMAGE}, {"imageUrl": IMAGE, "processSync": False}):
        answer = _remove(url, body)
        assert answer.status_code == 202 and answer.json()["status"] == "Pending"
        place = url + answer.headers["location"]
        (job,) = door.jobs.unfinished()
        end(door, job, result=image_made(door, job))
        told = requests.get(place, headers=KEY, timeout=5).json()
        assert told["status"] == "Completed" and told["resultImageUrl"]
        other = requests.get(place, headers={"X-Api-Key": "other"}, timeout=5)
        assert other.status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"imageUrl": None}, "imageUrl"),
        ({"imageBase64": "aGk="}, "imageUrl"),
        ({"outputFormat": "tiff"}, "outputFormat"),
        ({"outputSize": "huge"}, "outputSize"),
        ({"backgroundColor": "reddish"}, "backgroundColor"),
        ({"cropMargin": "-5"}, "cropMargin"),
        ({"width": 800}, "width"),
        ({"quality": 101}, "quality"),
        ({"objectType": "Person"}, "objectType"),
        ({"callbackUrl": "javascript:1"}, "callbackUrl"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_what_cannot_be_used_is_named(
    door: Door, serve: Serve, wrong: dict[str, Any], field: str
) -> None:
    url = serve(make_app(with_keys(door)))
    answer = _remove(url, {"imageUrl": IMAGE} | wrong)
    assert answer.status_code == 400 and field in answer.json()["detail"], answer.text
    assert not list(door.jobs.unfinished())


def test_what_is_too_large_or_no_base64_is_refused(door: Door, serve: Serve) -> None:
    url = serve(make_app(with_keys(door)))
    assert _remove(url, {"imageBase64": "!!!!"}).status_code == 400
    small = serve(make_app(replace(with_keys(door), photo_bytes=100)))
    assert _remove(small, {"imageBase64": "YWFh" * 100}).status_code == 413
    assert _remove(url, {"imageBase64": "a" * (31 * 2**20)}).status_code == 413

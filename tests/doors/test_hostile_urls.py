"""URLs that lead where nobody has any business, given to every family of routes over HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from okla_assets import keys
from okla_assets.doors.fetching.addresses import AddressRules
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import answering, door_on

HOSTILE = (
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://example.com/a.jpg",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "https://169.254.169.254/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.1/",
    "https://100.100.100.200/",
    "https://user:hunter2@example.com/a.jpg",
    "https://example.com:22/a.jpg",
    "https://example.com@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://\uff11\uff12\uff17.0.0.1/",
)
GOOD = "https://photos.example.com/a.jpg"
CAR = "0a3c4f7e-2f4b-4a57-9a63-0c6f5e2c9a11"
Send = Callable[[str, str], requests.Response]


def post(path: str, body: dict[str, Any]) -> Callable[[str], requests.Response]:
    return lambda base: requests.post(base + path, json=body, timeout=10)


SENDERS: dict[str, Send] = {
    "ai-process": lambda base, url: post(
        "/api/ai-process/classify-image", {"imageUrl": url, "vehicleId": CAR}
    )(base),
    "aiprocessing": lambda base, url: post(
        "/api/aiprocessing/process", {"vehicleId": CAR, "imageUrl": url}
    )(base),
    "batch": lambda base, url: post(
        "/api/aiprocessing/process/batch", {"vehicleId": CAR, "imageUrls": [GOOD, url]}
    )(base),
    "spin": lambda base, url: post(
        "/api/aiprocessing/spin360/generate",
        {"vehicleId": CAR, "sourceType": "Video", "videoUrl": url},
    )(base),
    "callback": lambda base, url: post(
        "/api/ai-process/classify-image",
        {"imageUrl": GOOD, "vehicleId": CAR, "callbackUrl": url},
    )(base),
    "removebg": lambda base, url: requests.post(
        f"{base}/v1.0/removebg", data={"image_url": url}, timeout=10
    ),
    "removebg background": lambda base, url: requests.post(
        f"{base}/v1.0/removebg", data={"image_url": GOOD, "bg_image_url": url}, timeout=10
    ),
    "rembg": lambda base, url: requests.get(f"{base}/api/remove", params={"url": url}, timeout=10),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, LocalMediaStore]]:
    store = LocalMediaStore(root=str(tmp_path_factory.mktemp("media")))
    with answering(make_app(replace(door_on(store), check_url=AddressRules().check))) as url:
        yield url, store


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
@pytest.mark.parametrize("family", SENDERS)
def test_a_hostile_url_is_a_bad_request_and_no_job(
    served: tuple[str, LocalMediaStore], family: str, url: str
) -> None:
    base, store = served
    answer = SENDERS[family](base, url)
    assert answer.status_code == 400, answer.text
    assert "hunter2" not in answer.text and "root:" not in answer.text
    # Of a batch, the images before may be jobs.
    jobs = [info for info in store.list(keys.INBOX) if info.key.endswith(".json")]
    assert family == "batch" or not jobs
    for info in jobs:
        store.delete(info.key)


@pytest.mark.parametrize("family", ["removebg", "removebg background"])
def test_remove_bg_answers_its_own_code(served: tuple[str, LocalMediaStore], family: str) -> None:
    (error,) = SENDERS[family](served[0], "https://127.0.0.1/").json()["errors"]
    assert error["code"] == (
        "invalid_image_url" if family == "removebg" else "invalid_bg_image_url"
    )

"""rembg's contract over HTTP."""

import json
from io import BytesIO

import numpy as np
import pytest
import requests
from PIL import Image

from tests import pictures
from tests.doors.cutting import Cutting

CAR = pictures.jpeg(pictures.car())
ADDRESS = "https://photos.example/car.jpg"


def posted(url: str, query: str = "", **data: str) -> requests.Response:
    return requests.post(
        f"{url}/api/remove{query}", files={"file": ("car.jpg", CAR)}, data=data, timeout=30
    )


def test_a_file_and_an_address_give_the_same_png(url: str, cutting: Cutting) -> None:
    cutting.urls = {ADDRESS: CAR}
    answer = posted(url, model="isnet-general-use", a="true", af="240", ab="10", ae="10")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    picture = Image.open(BytesIO(answer.content))
    assert picture.mode == "RGBA" and picture.size == (360, 270)
    got = requests.get(f"{url}/api/remove", params={"url": ADDRESS}, timeout=30)
    assert got.content == answer.content


def test_only_the_mask_and_a_background(url: str, cutting: Cutting) -> None:
    mask = Image.open(BytesIO(posted(url, om="true").content))
    assert mask.mode == "L"
    whole = np.asarray(Image.open(BytesIO(posted(url).content)))
    assert (np.asarray(mask) == whole[..., 3]).all()
    for answer in (posted(url, "?bgc=0,0,255,255"), posted(url, bgc="0, 0, 255, 255")):
        blue = Image.open(BytesIO(answer.content))
        assert blue.mode == "RGB" and blue.getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    "data",
    [{"bgc": "blue"}, {"bgc": "0,0,256,0"}, {"af": "-1"}, {"ab": "256"}, {"om": "maybe"},
     {"extras": "{"}],
)  # fmt: skip
def test_what_cannot_be_used_is_told(url: str, data: dict[str, str]) -> None:
    answer = posted(url, **data)
    assert answer.status_code == 400 and next(iter(data)) in answer.json()["detail"]


def test_what_is_missing_and_what_shows_no_vehicle(url: str, cutting: Cutting) -> None:
    assert requests.post(f"{url}/api/remove", timeout=5).status_code == 422
    assert requests.get(f"{url}/api/remove", timeout=5).status_code == 422
    assert posted(url, extras=json.dumps({"sam_prompt": []})).status_code == 200
    cabin = {"file": ("a.jpg", pictures.jpeg(pictures.cabin()))}
    answer = requests.post(f"{url}/api/remove", files=cabin, timeout=30)
    assert answer.status_code == 400 and "no vehicle" in answer.json()["detail"]
    gone = requests.get(f"{url}/api/remove", params={"url": "https://x.example/1"}, timeout=30)
    assert gone.status_code == 400
    assert requests.get(f"{url}/api/remove?url=file:///etc/passwd", timeout=5).status_code == 400

"""Photoroom's contract over HTTP."""

import base64
from io import BytesIO

import numpy as np
import pytest
import requests
from PIL import Image

from tests import pictures
from tests.doors.cutting import Cutting

CAR = pictures.jpeg(pictures.car())


def asked(url: str, photo: bytes = CAR, /, **data: str) -> requests.Response:
    return requests.post(
        f"{url}/v1/segment", files={"image_file": ("car.jpg", photo)}, data=data, timeout=30
    )


def test_the_picture_and_how_uncertain_it_is(url: str, cutting: Cutting) -> None:
    answer = asked(url, despill="true")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert float(answer.headers["x-uncertainty-score"]) == pytest.approx(0.03)
    assert Image.open(BytesIO(answer.content)).mode == "RGBA"
    doubtful = asked(url, pictures.jpeg(pictures.car(paint=pictures.DOUBTFUL)))
    assert float(doubtful.headers["x-uncertainty-score"]) == pytest.approx(0.5)


def test_sizes_formats_and_json(url: str, cutting: Cutting) -> None:
    large = Image.fromarray(pictures.car()).resize((1440, 1080))
    photo = pictures.jpeg(np.asarray(large))
    preview = Image.open(BytesIO(asked(url, photo, size="preview", format="webp").content))
    assert preview.format == "WEBP" and preview.size == (577, 433)
    full = Image.open(BytesIO(asked(url, photo, format="jpg", bg_color="#0f0").content))
    assert full.format == "JPEG" and full.size == (1440, 1080)
    answer = requests.post(
        f"{url}/v1/segment",
        json={"image_file_b64": base64.b64encode(CAR).decode(), "channels": "alpha", "crop": True},
        headers={"Accept": "application/json"},
        timeout=30,
    )
    alpha = Image.open(BytesIO(base64.b64decode(answer.json()["base64img"])))
    assert alpha.mode == "L" and alpha.size[0] < 200


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"size": "huge"}, "invalid_size"),
        ({"format": "gif"}, "invalid_format"),
        ({"channels": "a"}, "invalid_channels"),
        ({"crop": "2"}, "invalid_crop"),
        ({"despill": "x"}, "invalid_despill"),
        ({"bg_color": "nocolour"}, "invalid_bg_color"),
    ],
)
def test_what_cannot_be_used_is_told(url: str, data: dict[str, str], kind: str) -> None:
    answer = asked(url, **data)
    assert answer.status_code == 400
    assert (answer.json()["status_code"], answer.json()["type"]) == (400, kind)


def test_photos_that_cannot_be_used(url: str, cutting: Cutting) -> None:
    missing = requests.post(f"{url}/v1/segment", timeout=5)
    assert (missing.status_code, missing.json()["type"]) == (400, "missing_image")
    none = requests.post(f"{url}/v1/segment", json={"image_file_b64": "?"}, timeout=5)
    assert none.status_code == 400
    assert asked(url, b"text").json()["type"] == "not_an_image"
    assert asked(url, pictures.jpeg(pictures.cabin())).json()["type"] == "no_vehicle"

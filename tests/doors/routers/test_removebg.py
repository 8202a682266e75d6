"""remove.bg's contract over HTTP, with jobs done on fake models, and its own Python client."""

import base64
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import removebg.removebg
import requests
from PIL import Image
from starlette.requests import Request

from okla_assets.doors.callers.caller import Anybody, Caller, Scope
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.jobs.requests import CutOutOptions
from okla_assets.doors.routers.removebg import FILE_BYTES, MEGAPIXELS, options_of
from okla_assets.doors.routers.synchronous import Fields, colour
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.conftest import Serve
from tests.doors.cutting import Cutting

CAR = pictures.jpeg(pictures.car())
GREEN = pictures.png(np.full((80, 120, 3), (0, 200, 0), np.uint8))


def asked(url: str, **data: str) -> requests.Response:
    return requests.post(
        f"{url}/v1.0/removebg", files={"image_file": ("car.jpg", CAR)}, data=data, timeout=30
    )


def code_of(answer: requests.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["title"]
    return str(error["code"])


def test_the_picture_and_its_numbers(url: str, cutting: Cutting) -> None:
    answer = asked(url, size="full")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    picture = Image.open(BytesIO(answer.content))
    assert picture.mode == "RGBA" and picture.size == (360, 270)
    head = answer.headers
    assert (head["X-Width"], head["X-Height"], head["X-Type"]) == ("360", "270", "car")
    assert (head["X-Max-Width"], head["X-Max-Height"]) == ("360", "270")
    assert head["X-Credits-Charged"] == "1"
    names = ("Left", "Top", "Width", "Height")
    x, y, w, h = (int(head[f"X-Foreground-{name}"]) for name in names)
    alpha = np.asarray(picture)[..., 3]
    rows, columns = np.nonzero(alpha > 26)
    assert (x, y) == (columns.min(), rows.min())
    assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)


def test_json_is_answered_where_it_is_asked_for(url: str, cutting: Cutting) -> None:
    answer = requests.post(
        f"{url}/v1.0/removebg",
        json={"image_file_b64": base64.b64encode(CAR).decode(), "crop": True, "size": "auto"},
        headers={"Accept": "application/json"},
        timeout=30,
    )
    data = answer.json()["data"]
    picture = Image.open(BytesIO(base64.b64decode(data["result_b64"])))
    assert data["foreground_left"] == data["foreground_top"] == 0
    assert (data["foreground_width"], data["foreground_height"]) == picture.size


def test_a_photo_and_a_background_by_address(url: str, cutting: Cutting) -> None:
    cutting.urls = {"https://photos.example/car.jpg": CAR, "https://photos.example/b.png": GREEN}
    for data, files in (
        ({"image_url": "https://photos.example/car.jpg"}, {"bg_image_file": ("b", GREEN)}),
        (
            {
                "image_url": "https://photos.example/car.jpg",
                "bg_image_url": "https://photos.example/b.png",
            },
            {},
        ),
    ):
        answer = requests.post(f"{url}/v1.0/removebg", data=data, files=files, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/jpeg"  # `auto`, and nothing transparent
        red, green, _ = Image.open(BytesIO(answer.content)).getpixel((3, 3))  # type: ignore[misc]
        assert red < 20 and green > 180
    for data, code in (
        ({"image_url": "https://photos.example/gone.jpg"}, "failed_image_download"),
        (
            {
                "image_url": "https://photos.example/car.jpg",
                "bg_image_url": "https://photos.example/gone.png",
            },
            "failed_bg_download",
        ),
    ):
        assert code_of(requests.post(f"{url}/v1.0/removebg", data=data, timeout=30)) == code


def test_a_zip_holds_colours_and_alpha(url: str, cutting: Cutting) -> None:
    answer = asked(url, format="zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]


def test_photos_that_cannot_be_used_say_why(url: str, cutting: Cutting) -> None:
    for data, code in (
        (pictures.jpeg(pictures.cabin()), "unknown_foreground"),
        (b"no picture", "invalid_file_type"),
        (CAR[:3000], "failed_to_read_image"),
        (pictures.jpeg(np.zeros((10, 10, 3), np.uint8)), "invalid_dimensions"),
    ):
        answer = requests.post(
            f"{url}/v1.0/removebg", files={"image_file": ("a.jpg", data)}, timeout=30
        )
        assert code_of(answer) == code
    assert code_of(asked(url, roi="0px 0px 400px 50px")) == "roi_exceeds_bounds"
    assert code_of(asked(url, roi="0px 0px 50px 50px")) == "roi_region_empty"


def test_a_file_that_is_too_large_is_told_by_its_code(url: str) -> None:
    large = {"image_file": ("car.jpg", b"x" * (FILE_BYTES + 1))}
    answer = requests.post(f"{url}/v1.0/removebg", files=large, timeout=30)
    assert code_of(answer) == "file_too_large"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"size": "huge"}, "invalid_size"),
        ({"format": "gif"}, "invalid_format"),
        ({"channels": "rgb"}, "invalid_channels"),
        ({"roi": "10 10"}, "invalid_roi"),
        ({"roi": "10% 10px 50% 50%"}, "invalid_roi"),
        ({"roi": "0% 0% 101% 100%"}, "roi_exceeds_bounds"),
        ({"roi": "50% 0% 50% 100%"}, "roi_region_empty"),
        ({"crop": "true", "crop_margin": "51%"}, "invalid_crop_margin"),
        ({"crop": "true", "crop_margin": "501px"}, "invalid_crop_margin"),
        ({"crop": "true", "crop_margin": "1px 1px 1px"}, "invalid_crop_margin"),
        ({"crop": "perhaps"}, "invalid_crop"),
        ({"scale": "5%"}, "invalid_scale"),
        ({"scale": "50px"}, "invalid_scale"),
        ({"position": "left"}, "invalid_position"),
        ({"position": "101%"}, "invalid_position"),
        ({"semitransparency": "some"}, "invalid_semitransparency"),
        ({"shadow_type": "sun"}, "invalid_shadow_type"),
        ({"shadow_opacity": "101"}, "invalid_shadow_opacity"),
        ({"bg_color": "reddish"}, "invalid_bg_color"),
        ({"bg_color": "12345"}, "invalid_bg_color"),
        ({"bg_image_url": "ftp://x/y"}, "invalid_bg_image_url"),
        ({"bg_image_url": "https://x/y", "bg_color": "red"}, "multiple_bg_sources"),
        ({"image_url": "https://x/y"}, "multiple_sources"),
        ({"type": "person"}, "unknown_foreground"),
        ({"type_level": "3"}, "invalid_type_level"),
    ],
)
def test_each_parameter_is_checked(url: str, data: dict[str, str], code: str) -> None:
    assert code_of(asked(url, **data)) == code


def test_a_source_is_needed_and_has_to_be_one(url: str) -> None:
    place = f"{url}/v1.0/removebg"
    assert code_of(requests.post(place, data={"size": "auto"}, timeout=5)) == "missing_source"
    assert code_of(requests.post(place, timeout=5)) == "missing_source"
    text = requests.post(place, data={"image_file": "path/to/file"}, timeout=5)
    assert code_of(text) == "missing_source"
    assert (
        code_of(requests.post(place, data={"image_url": "car.jpg"}, timeout=5))
        == "invalid_image_url"
    )
    none = requests.post(place, data={"image_file_b64": "!!!"}, timeout=5)
    assert code_of(none) == "failed_to_read_image"
    assert code_of(requests.post(place, data=b"{", headers=JSON, timeout=5)) == "invalid_request"
    assert code_of(requests.post(place, data=b"[1]", headers=JSON, timeout=5)) == "invalid_request"


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        ({}, {"format": "png", "megapixels": 0.25, "semitransparency": True, "shadow": "none"}),
        ({"size": "full"}, {"megapixels": 10.0}),
        ({"size": "full", "format": "jpg"}, {"megapixels": 25.0, "format": "jpg"}),
        ({"size": "50MP", "format": "zip"}, {"megapixels": 50.0}),
        ({"bg_color": "fff"}, {"format": "jpg", "background_colour": (255, 255, 255, 255)}),
        ({"bg_color": "#81d4fa77"}, {"format": "png", "background_colour": (129, 212, 250, 119)}),
        ({"bg_color": "Navy"}, {"background_colour": (0, 0, 128, 255)}),
        ({"bg_color": "red", "channels": "alpha"}, {"format": "png", "channels": "alpha"}),
        ({"crop_margin": "10% 20px"}, {"crop_margin": ((10.0, "%"), (20.0, "px"))}),
        ({"crop_margin": "0"}, {"crop_margin": ((0.0, "px"),)}),
        ({"scale": "80%"}, {"scale": 0.8, "position": None}),
        ({"position": "center"}, {"position": (50.0, 50.0)}),
        ({"position": "10% 90%"}, {"position": (10.0, 90.0)}),
        ({"position": "30%"}, {"position": (30.0, 30.0)}),
        ({"add_shadow": "true"}, {"shadow": "car", "shadow_opacity": 1.0}),
        ({"shadow_type": "3D", "shadow_opacity": "40"}, {"shadow": "3D", "shadow_opacity": 0.4}),
        ({"add_shadow": "false", "shadow_type": "drop"}, {"shadow": "none"}),
        ({"semitransparency": "false"}, {"semitransparency": False}),
    ],
)
def test_parameters_become_options(texts: dict[str, str], options: dict[str, object]) -> None:
    found = options_of(Fields(texts))
    assert {name: getattr(found, name) for name in options} == options


def test_a_region_keeps_its_unit() -> None:
    region = options_of(Fields({"roi": "10px 20px 30px 40.5px"})).region
    assert region is not None
    assert (region.left, region.bottom, region.unit) == (10, 40.5, "px")
    assert set(MEGAPIXELS.values()) <= {0.25, 1.5, 4, 25, 50}
    assert CutOutOptions(megapixels=max(MEGAPIXELS.values()))


def test_what_is_shown_is_named_by_the_level(url: str, cutting: Cutting) -> None:
    cutting.detector.other_vehicle = True  # type: ignore[attr-defined]
    assert asked(url).headers["X-Type"] == "other"
    assert asked(url, type_level="latest").headers["X-Type"] == "transportation"
    assert "X-Type" not in asked(url, type_level="none").headers


def test_nobody_waits_for_ever(door: Door, serve: Serve) -> None:
    url = serve(make_app(replace(door, wait_seconds=0.1)))
    answer = asked(url)
    assert code_of(answer, 503) == "unavailable" and answer.headers["Retry-After"] == "10"
    (job,) = door.jobs.unfinished()
    assert door.jobs.look()[1] == {job.id}


class Rate:
    """How often he may ask."""

    @property
    def headers(self) -> dict[str, str]:
        return {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "499"}


class Strict(Anybody):
    """Knows one key, which has two pictures left."""

    def __init__(self) -> None:
        self.pictures = 2

    def of(self, request: Request, scope: Scope) -> Caller:
        if request.headers.get("x-api-key") != "right":
            raise DoorError(401, "the API key is unknown")
        request.state.rate = Rate()
        return Caller("shop")

    def counts(self, caller: Caller, pictures: int) -> None:
        if self.pictures < pictures:
            raise DoorError(402, "no pictures are left this month")
        self.pictures -= pictures

    def uncounts(self, caller: Caller, pictures: int) -> None:
        self.pictures += pictures

    def left(self, caller: Caller) -> int | None:
        return self.pictures


def test_who_calls_and_what_is_left_to_him(
    store: LocalMediaStore, door: Door, serve: Serve, cutting: Cutting
) -> None:
    url = serve(make_app(replace(door, callers=Strict())))
    assert code_of(asked(url), 403) == "auth_failed"
    assert code_of(requests.get(f"{url}/v1.0/account", timeout=5), 403) == "auth_failed"
    key = {"X-Api-Key": "right"}
    for left in (1, 0):
        answer = requests.post(
            f"{url}/v1.0/removebg", files={"image_file": CAR}, headers=key, timeout=30
        )
        assert answer.headers["X-Credits-Available"] == str(left)
        assert answer.headers["X-RateLimit-Remaining"] == "499"
    answer = requests.post(
        f"{url}/v1.0/removebg", files={"image_file": CAR}, headers=key, timeout=30
    )
    assert code_of(answer, 402) == "insufficient_credits"
    found = requests.get(f"{url}/v1.0/account", headers=key, timeout=5).json()["data"]
    assert found["attributes"]["credits"] == {
        "total": 0,
        "subscription": 0,
        "payg": 0,
        "enterprise": 0,
        "used": 2,
    }
    assert found["attributes"]["api"] == {"free_calls": 0, "sizes": "all"}
    assert len([*Jobs(store).of_caller("shop")]) == 2


def test_oklas_client_finds_the_types_that_it_reads(url: str, cutting: Cutting) -> None:
    credits = requests.get(f"{url}/okla/v1.0/account", timeout=5).json()["data"]["attributes"][
        "credits"
    ]
    assert credits["total"] > 0 and credits["used"] == 0
    assert isinstance(credits["subscription"], str)
    answer = requests.post(
        f"{url}/okla/v1.0/removebg",
        files={"image_file": CAR},
        data={"format": "png", "size": "auto", "add_shadow": "true", "type": "car"},
        timeout=30,
    )
    assert answer.status_code == 200 and answer.headers["X-Credits-Available"]


@pytest.mark.parametrize("name", ["white", "DarkOrange", "rebeccapurple"])
def test_a_colours_name_is_known_however_often_pillow_has_used_it(name: str) -> None:
    first = colour(name, "invalid_bg_color")
    picture = Image.new("RGB", (1, 1), name)  # Pillow now has its numbers in place of the text
    assert colour(name, "invalid_bg_color") == first == (*picture.getpixel((0, 0)), 255)  # type: ignore[misc]


@pytest.mark.parametrize("name", ["whitish", "rgb(1,2,3)", "", "hsl(0,100%,50%)"])
def test_a_colour_that_css_does_not_name_is_refused(name: str) -> None:
    with pytest.raises(DoorError, match="orange"):
        colour(name, "invalid_bg_color")


def test_the_python_client_works_unchanged(
    url: str, cutting: Cutting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removebg.removebg, "API_ENDPOINT", f"{url}/v1.0/removebg")
    cutting.urls = {"https://photos.example/car.jpg": CAR}
    photo = tmp_path / "car.jpg"
    photo.write_bytes(CAR)
    client = removebg.removebg.RemoveBg("key", str(tmp_path / "errors.log"))
    client.remove_background_from_img_file(str(photo))
    client.remove_background_from_img_file(str(photo), size="4k", bg_color="white")
    by_url, by_text = tmp_path / "url.png", tmp_path / "text.png"
    client.remove_background_from_img_url(
        "https://photos.example/car.jpg", new_file_name=str(by_url)
    )
    client.remove_background_from_base64_img(
        base64.b64encode(CAR).decode(), new_file_name=str(by_text)
    )
    with Image.open(f"{photo}_no_bg.png") as picture:
        assert picture.format == "JPEG"  # on white: `auto`
    for path in (by_url, by_text):
        with Image.open(path) as picture:
            assert picture.mode == "RGBA" and picture.size == (360, 270)
    with pytest.raises(requests.HTTPError, match="400"):
        client.remove_background_from_img_url("https://photos.example/gone.jpg")


def test_what_is_not_there_is_told_in_its_words(url: str) -> None:
    assert code_of(requests.post(f"{url}/v1.0/improve", timeout=5), 404) == "not_found"
    assert code_of(requests.get(f"{url}/v1.0/removebg", timeout=5), 405) == "method_not_allowed"

"""The scenes as OKLA's pages choose among them."""

from typing import Any

import numpy as np
import requests

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.scenes import SCENES
from tests.doors.conftest import Serve
from tests.doors.ended import with_keys

KEY = {"X-Api-Key": "okla"}


def test_our_scenes_have_their_names_and_pictures(door: Door, serve: Serve) -> None:
    url = serve(make_app(with_keys(door)))
    told = requests.get(f"{url}/api/backgrounds", headers=KEY, timeout=5).json()
    assert told["defaultBackgroundCode"] == "white_studio" and told["hasPremiumAccess"] is True
    assert [scene["code"] for scene in told["backgrounds"]] == list(SCENES)
    assert [scene["name"] for scene in told["backgrounds"]][:3] == [
        "Blanco Infinito",
        "Showroom Gris",
        "Estudio Oscuro",
    ]
    kinds = {scene["code"]: scene["type"] for scene in told["backgrounds"]}
    assert kinds["gray_showroom"] == "Showroom" and kinds["outdoor_day"] == "Outdoor"
    assert requests.get(f"{url}/api/backgrounds/all", headers=KEY, timeout=5).json() == told
    one = requests.get(f"{url}/api/backgrounds/dark_studio", headers=KEY, timeout=5).json()
    assert one == told["backgrounds"][2]
    for address, width in ((one["thumbnailUrl"], 400), (one["previewUrl"], 1200)):
        picture = codec.decode_trusted(requests.get(address, timeout=20).content)
        assert picture.shape == (width * 3 // 4, width, 3)
        assert picture[: width // 10].mean() < 90  # a dark room


def test_the_owners_scenes_are_among_them(door: Door, serve: Serve) -> None:
    room = np.full((300, 400, 3), (10, 200, 30), np.uint8)
    door.store.put("brand/scenes/green/scene.jpg", codec.encode_jpeg(room, 90))
    door.store.put(keys.own_scene("green"), b'name = "Green room"\nhorizon = 0.3\nwheels = 0.8\n')
    door.store.put(keys.own_scene("broken"), b"horizon = 1")
    url = serve(make_app(door))
    scenes = requests.get(f"{url}/api/backgrounds", timeout=5).json()["backgrounds"]
    assert [scene["code"] for scene in scenes] == [*SCENES, "green"]
    assert scenes[-1]["type"] == "Custom" and scenes[-1]["name"] == "Green room"
    picture = codec.decode_trusted(requests.get(scenes[-1]["thumbnailUrl"], timeout=20).content)
    assert picture[5, 5, 1] > picture[5, 5, 0] + 100
    asked: Any = {"imageUrl": "https://a.example.org/1.jpg", "options": {"backgroundId": "green"}}
    answer = requests.post(f"{url}/api/ai-process/background-replace", json=asked, timeout=5)
    assert answer.status_code == 202


def test_a_scene_that_is_none_is_not_found(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    for path in (
        "casino",
        "casino/preview.jpg",
        "white_studio/huge.jpg",
        "..%2f..%2fraw",
        "a%00b/preview.jpg",
        "%2e%2e/preview.jpg",
    ):
        answer = requests.get(f"{url}/api/backgrounds/{path}", timeout=5)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"

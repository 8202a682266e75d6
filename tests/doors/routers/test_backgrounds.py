"""The scenes as OKLA's pages choose among them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import requests

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.server import make_app
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.types import Rgb
from tests.doors.conftest import Serve
from tests.doors.ended import with_keys
from tests.running import wait_for

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
    for name in ("scene.jpg", "scene.toml"):  # no option can have such a name
        door.store.put(f"brand/scenes/My Room/{name}", door.store.get(f"brand/scenes/green/{name}"))
    url = serve(make_app(door))
    scenes = requests.get(f"{url}/api/backgrounds", timeout=5).json()["backgrounds"]
    assert [scene["code"] for scene in scenes] == [*SCENES, "green"]
    assert scenes[-1]["type"] == "Custom" and scenes[-1]["name"] == "Green room"
    picture = codec.decode_trusted(requests.get(scenes[-1]["thumbnailUrl"], timeout=20).content)
    assert picture[5, 5, 1] > picture[5, 5, 0] + 100
    asked: Any = {"imageUrl": "https://a.example.org/1.jpg", "options": {"backgroundId": "green"}}
    answer = requests.post(f"{url}/api/ai-process/background-replace", json=asked, timeout=5)
    assert answer.status_code == 202


def rooms(door: Door, names: str) -> None:
    """Scenes of the owner's, one a letter."""
    room = codec.encode_jpeg(np.full((300, 400, 3), 90, np.uint8), 90)
    for name in names:
        door.store.put(f"brand/scenes/{name}/scene.jpg", room)
        door.store.put(keys.own_scene(name), b"horizon = 0.3\nwheels = 0.8\n")


class Painter:
    """Paints grey, when it may; notes how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.painted, self.may = 0, threading.Event()
        self.may.set()
        monkeypatch.setattr("okla_assets.sample.preview.preview", self)

    def __call__(self, scene: Scene, width: int) -> Rgb:
        self.painted += 1
        assert self.may.wait(30)
        return np.full((12, 16, 3), 90, np.uint8)


def test_a_picture_that_anybody_may_ask_for_is_painted_once(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(monkeypatch)
    rooms(door, "abcd")
    url = serve(make_app(door))

    def ask() -> None:
        for name in "abcd":
            answer = requests.get(f"{url}/api/backgrounds/{name}/preview.jpg", timeout=20)
            assert answer.status_code == 200

    for _ in range(3):
        ask()
    assert painter.painted == 4
    rooms(door, "a")  # another picture of the same name
    ask()
    assert painter.painted == 5


def test_who_waits_for_a_picture_keeps_nobody_else_waiting(
    door: Door, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(monkeypatch)
    rooms(door, "a")
    url = serve(make_app(door))

    def ask(_: int) -> int:
        return requests.get(f"{url}/api/backgrounds/a/preview.jpg", timeout=60).status_code

    painter.may.clear()
    with ThreadPoolExecutor(60) as askers:
        waiting = [askers.submit(ask, number) for number in range(60)]
        try:
            wait_for(lambda: painter.painted == 1, 20)
            other = requests.get(f"{url}/api/backgrounds/nothing/preview.jpg", timeout=10)
            assert other.status_code == 404
        finally:
            painter.may.set()
        assert {one.result() for one in waiting} == {200}
    assert painter.painted == 1


def test_a_scene_that_is_none_is_not_found(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    for path in (
        "casino",
        "casino/preview.jpg",
        "white_studio/huge.jpg",
        "..%2f..%2fraw",
        "a%00b/preview.jpg",
        "%2e%2e/preview.jpg",
        "x" * 300,
        "x" * 300 + "/preview.jpg",
    ):
        answer = requests.get(f"{url}/api/backgrounds/{path}", timeout=5)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"

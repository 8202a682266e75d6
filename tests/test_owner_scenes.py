"""Scenes of the owner's own: found, used, and named where something is wrong with them."""

import numpy as np
import pytest

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.own_scene import room
from okla_assets.imaging.studio.scene import Stage
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.imaging.types import Rgba
from okla_assets.options import read_options
from okla_assets.owner_scenes import own_scenes, scene_of
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore, MediaStore

TOML = b"""
name = "Hall 3"
name_es = "Nave 3"
horizon = 0.4
wheels = 0.8
gloss = 0.2
[light]
dome = 1.0
box = 0.5
sun = 0.5
direction = 90
spread = "long"
"""
VEHICLE = keys.parse_vehicle_id("car")


@pytest.fixture
def store(tmp_path) -> MediaStore:  # type: ignore[no-untyped-def]
    store = LocalMediaStore(root=str(tmp_path))
    store.put(keys.own_scene("hall"), TOML, "application/toml")
    picture = np.full((600, 800, 3), 90, np.uint8)
    picture[480:] = (200, 40, 40)  # the floor from the wheels' row on
    store.put(keys.own_scene_pictures("hall")[0], codec.encode_jpeg(picture, 95), "image/jpeg")
    return store


def test_the_owners_scene_is_found_and_its_light_shares_add_up(store: MediaStore) -> None:
    assert own_scenes(store) == ["hall"]
    scene = scene_of("hall", store)
    assert (scene.name, scene.name_es, scene.kind) == ("Hall 3", "Nave 3", "custom")
    light = scene.light
    assert (light.dome, light.box, light.sun) == (0.5, 0.25, 0.25)
    assert (light.direction, light.spread) == (90, "long")
    assert scene.digest is not None


def test_another_picture_is_another_scene(store: MediaStore) -> None:
    """So that pictures made before are made again."""
    before = scene_of("hall", store).digest
    other = codec.encode_jpeg(np.full((600, 800, 3), 10, np.uint8), 95)
    store.put(keys.own_scene_pictures("hall")[0], other, "image/jpeg")
    assert scene_of("hall", store).digest != before


def test_a_room_is_decoded_once(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often options that name it are read."""
    decoded: list[bytes] = []
    decode = codec.decode_rgba

    def counted(data: bytes) -> Rgba:
        decoded.append(data)
        return decode(data)

    monkeypatch.setattr(codec, "decode_rgba", counted)
    store.put(keys.own_scene("hall"), TOML + b"# once", "application/toml")
    store.put(keys.options(VEHICLE), b'{"background_id": "hall"}', "application/json")
    for _ in range(3):
        assert read_options(VEHICLE, store)[0].background_id == "hall"
    assert len(decoded) == 1


@pytest.mark.parametrize(("width", "height"), [(1600, 1200), (1600, 900), (900, 900), (480, 960)])
@pytest.mark.parametrize("horizon", [0.2, 0.4, 0.6])
def test_a_room_covers_every_canvas_with_its_floor_below_the_wheels(
    store: MediaStore, width: int, height: int, horizon: float
) -> None:
    painted = scene_of("hall", store).render(width, height, horizon, 0.8)
    assert painted.shape == (height, width, 3)
    above, below = painted[int(0.74 * height), :, 0], painted[int(0.86 * height), :, 0]
    assert above.mean() == pytest.approx(90, abs=6)
    assert below.mean() == pytest.approx(200, abs=8)


def test_a_room_follows_the_photos_camera() -> None:
    """A photo from higher up sees more floor: the room is enlarged."""
    rows = np.repeat(np.linspace(0, 255, 600).astype(np.uint8)[:, None, None], 800, axis=1)
    picture = np.repeat(rows, 3, axis=2)
    high, low = (room(picture, 0.4, 0.8, Stage(800, 600, 600 * h, 480)) for h in (0.24, 0.4))
    slope = [float(r[400, 0, 0] - r[200, 0, 0]) for r in (high, low)]
    assert slope[0] < slope[1]


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (b"horizon = 0.4", "wheels: Field required"),
        (b"horizon = 0.4\nwheels = 0.42", "wheels: tyres stand below the horizon"),
        (b"horizon = 0.4\nwheels = 0.8\nglos = 1", "glos: Extra inputs are not permitted"),
        (b"horizon = ", "is no TOML"),
        (b"\xff\xfe", "is not in UTF-8"),
        (TOML + b"softness = 7", "light.softness"),
    ],
)
def test_what_is_wrong_with_a_scene_is_named_and_the_vehicle_goes_on(
    store: MediaStore, toml: bytes, sentence: str
) -> None:
    store.put(keys.own_scene("hall"), toml, "application/toml")
    with pytest.raises(BadInput, match=sentence) as caught:
        scene_of("hall", store)
    assert keys.own_scene("hall") in str(caught.value)
    store.put(
        keys.options(VEHICLE), b'{"background_id": "hall", "margin": 0.1}', "application/json"
    )
    options, problems = read_options(VEHICLE, store)
    assert options.background_id == "white_studio"
    assert options.margin == 0.1
    assert [sentence in problem for problem in problems] == [True]


def test_a_scene_without_its_picture_says_which_file_is_missing(store: MediaStore) -> None:
    store.delete(keys.own_scene_pictures("hall")[0])
    with pytest.raises(BadInput, match=r"put a scene\.jpg beside"):
        scene_of("hall", store)


def test_an_unknown_scene_lists_the_known_ones(store: MediaStore) -> None:
    with pytest.raises(BadInput, match=r"there are white_studio, .*turntable, hall"):
        scene_of("beach", store)
    assert all(scene_of(name, store) is scene for name, scene in SCENES.items())

from typing import get_args

import numpy as np
import pytest

from okla_assets.imaging.studio.scene import _painted
from okla_assets.imaging.studio.scenes import SCENES, SceneId

WIDTH, HEIGHT = 1600, 1200
HORIZON, WHEELS = 0.33, 0.82

OF_THE_MARKETPLACE = {
    "white_studio": ((255, 255, 255), 0.3),
    "gray_showroom": ((229, 229, 229), 0.4),
    "dark_studio": ((26, 26, 26), 0.2),
    "outdoor_day": ((204, 204, 204), 0.5),
}
"""Floor and shadow of the backgrounds that OKLA's backend names."""


def test_every_scene_can_be_chosen_and_no_other() -> None:
    assert set(SCENES) == set(get_args(SceneId))
    assert all(name == scene.id for name, scene in SCENES.items())
    assert len({scene.name_es for scene in SCENES.values()}) == len(SCENES)


def test_the_marketplaces_backgrounds_are_there_as_it_describes_them() -> None:
    found = {name: (scene.floor, scene.shadow) for name, scene in SCENES.items()}
    assert {name: found[name] for name in OF_THE_MARKETPLACE} == OF_THE_MARKETPLACE  # type: ignore[index]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_painted_once_for_a_camera_and_nobody_writes_on_it(name: SceneId) -> None:
    pixels = SCENES[name].render(400, 300, HORIZON, WHEELS)
    assert pixels.shape == (300, 400, 3)
    assert pixels.dtype == np.float32
    assert SCENES[name].render(400, 300, HORIZON + 0.001, WHEELS) is pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 0


def test_few_canvases_stay_in_memory() -> None:
    for width in range(400, 440, 10):
        SCENES["white_studio"].render(width, 300, HORIZON, WHEELS)
    assert _painted.cache_info().currsize == 2


@pytest.mark.parametrize("name", SCENES)
def test_the_floor_has_about_its_colour_where_the_vehicle_stands(name: SceneId) -> None:
    scene = SCENES[name]
    pixels = scene.render(WIDTH, HEIGHT, HORIZON, WHEELS)
    beside = pixels[round(WHEELS * HEIGHT) - 20 :, :400].mean()
    assert beside == pytest.approx(np.mean(scene.floor), abs=24)


@pytest.mark.parametrize("name", ["white_studio", "gray_showroom", "dark_studio"])
def test_smooth_scenes_have_no_bands(name: SceneId) -> None:
    scene = SCENES[name].render(WIDTH, HEIGHT, HORIZON, WHEELS)
    wall = np.rint(scene[100:400, :200, 1])
    assert len(np.unique(wall[200])) > 1  # noise breaks flat runs


@pytest.mark.parametrize("name", ["white_studio", "gray_showroom", "outdoor_day"])
def test_a_lower_camera_sees_less_floor(name: SceneId) -> None:
    """Where wall and floor meet follows the horizon of the photo."""

    def painted(horizon: float) -> np.ndarray:
        return SCENES[name].render(400, 300, horizon, WHEELS)

    rows = [round((h + (WHEELS - h) / 2.5) * 300) for h in (0.2, 0.6)]
    assert not np.allclose(painted(0.2)[rows[0]], painted(0.6)[rows[0]], atol=1)
    assert np.isfinite(painted(0.6)).all()


def test_the_white_studio_is_white_and_has_no_step_where_wall_meets_floor() -> None:
    scene = SCENES["white_studio"].render(WIDTH, HEIGHT, HORIZON, WHEELS)
    assert scene.min() > 215
    assert scene.max() <= 256
    rows = np.rint(scene[:, WIDTH // 2, 1])
    assert np.abs(np.diff(rows)).max() <= 3


def test_a_black_car_does_not_drown_in_the_dark_studio() -> None:
    """Black paint is photographed at levels of 10 to 35: behind and below it there is light."""
    scene = SCENES["dark_studio"].render(WIDTH, HEIGHT, HORIZON, WHEELS)[..., 1]
    middle = slice(WIDTH // 4, 3 * WIDTH // 4)
    roof, tyres = round(0.35 * HEIGHT), round(WHEELS * HEIGHT)
    assert scene[roof : tyres - 200, middle].mean() > 60
    assert scene[tyres - 20 : tyres + 60, middle].mean() > 60
    assert scene[:100, :100].mean() < 30


@pytest.mark.parametrize("name", SCENES)
def test_no_scene_has_a_seam_from_far_to_near(name: SceneId) -> None:
    """Where a texture begins anew: 1.3 levels in the mean of a column show on a smooth floor."""
    floor = SCENES[name].render(WIDTH, HEIGHT, HORIZON, WHEELS)[700:, :, 1]
    assert np.abs(np.diff(floor.mean(axis=0))).max() < 0.4

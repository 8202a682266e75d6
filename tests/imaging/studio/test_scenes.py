from typing import get_args

import numpy as np
import pytest

from okla_assets.imaging.studio.scenes import SCENES, SceneId

WIDTH, HEIGHT = 1600, 1200


def test_every_scene_can_be_chosen_and_no_other() -> None:
    assert set(SCENES) == set(get_args(SceneId))
    assert all(name == scene.id for name, scene in SCENES.items())


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_rendered_once_and_nobody_writes_on_it(name: SceneId) -> None:
    pixels = SCENES[name].render(400, 300)
    assert pixels.shape == (300, 400, 3) and pixels.dtype == np.float32
    assert SCENES[name].render(400, 300) is pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 0


def test_the_white_studio_has_no_bands_and_is_light() -> None:
    scene = SCENES["white_studio"].render(WIDTH, HEIGHT)
    assert scene.min() > 190
    assert scene.max() <= 256
    rows = np.rint(scene[:, WIDTH // 2, 1])
    assert np.abs(np.diff(rows)).max() <= 3  # no step where wall meets floor
    wall = np.rint(scene[100:500, :200, 1])
    assert len(np.unique(wall[200])) > 1  # noise breaks flat runs

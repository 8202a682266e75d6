"""A white cyclorama: wall, cove and floor under one soft light."""

import numpy as np

from okla_assets.imaging.studio.scene import Light, Scene, Stage, enlarged
from okla_assets.imaging.types import Floats

WALL_AT = 1.9  # times the vehicle's distance


def paint(stage: Stage) -> Floats:
    """See `scene.Paint`."""
    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, stage.width, dtype=np.float32)[None, :]
    joint, wheels = stage.row_at(WALL_AT) / stage.height, stage.wheels / stage.height
    wall = 0.965 - 0.05 * y / joint - 0.035 * np.abs(x) ** 2.2
    pool = np.exp(-((x / 1.05) ** 2 + ((y - wheels - 0.02) / 0.22) ** 2))
    floor = 0.94 + 0.05 * pool - 0.03 * x**2
    cove = 1 / (1 + np.exp(-(y - joint) / (0.14 * (wheels - joint))))
    light = (wall * (1 - cove) + floor * cove).astype(np.float32)
    tint = np.array([0.994, 0.998, 1.0], np.float32) * 255  # daylight tubes: a trace of blue
    return np.asarray(light[..., None] * tint, np.float32)


WHITE_STUDIO = Scene(
    id="white_studio",
    name="White studio",
    name_es="Blanco infinito",
    kind="studio",
    floor=(255, 255, 255),
    shadow=0.3,
    gloss=0.0,
    roughness=0.02,
    light=Light(dome=0.5, box=0.5),
    paint=enlarged(paint, 4),
)

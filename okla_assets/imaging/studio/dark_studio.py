"""A dark studio: a black room, one lamp box above, a floor that shines."""

import numpy as np

from okla_assets.imaging.studio.scene import Light, Scene, Stage, enlarged
from okla_assets.imaging.types import Floats

WALL_AT = 2.7  # times the vehicle's distance: behind the far wheels of a long car


def paint(stage: Stage) -> Floats:
    """See `scene.Paint`."""
    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, stage.width, dtype=np.float32)[None, :]
    joint, wheels = stage.row_at(WALL_AT) / stage.height, stage.wheels / stage.height
    # A glow on the wall and a pool of light on the floor part a dark car from a dark room.
    glow = np.exp(-((x / 0.72) ** 2 + ((y - joint + 0.10) / 0.27) ** 2))
    wall = 0.07 + 0.34 * glow
    pool = np.exp(-((x / 0.70) ** 2 + ((y - wheels - 0.02) / 0.19) ** 2))
    floor = 0.08 + 0.32 * pool
    down = ((y - joint) / max(joint, 0.05)).clip(0, 1)
    floor = floor + 0.15 * np.exp(-((x / 0.7) ** 2)) * np.exp(-down / 0.12)
    cove = 1 / (1 + np.exp(-((y - joint) / 0.006).clip(-30, 30)))
    light = wall * (1 - cove) + floor * cove
    tint = np.array([0.96, 0.985, 1.0], np.float32) * 255
    return np.asarray(light[..., None] * tint, np.float32)


DARK_STUDIO = Scene(
    id="dark_studio",
    name="Dark studio",
    name_es="Estudio oscuro",
    kind="studio",
    floor=(26, 26, 26),
    shadow=0.2,
    gloss=0.7,
    roughness=0.05,
    light=Light(dome=0.1, box=0.9),
    paint=enlarged(paint, 2),
)

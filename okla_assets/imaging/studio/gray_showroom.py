"""A showroom: a grey wall washed by ceiling lights, and a polished light floor."""

import numpy as np

from okla_assets.imaging.studio.scene import Light, Scene, Stage
from okla_assets.imaging.types import Floats

WALL_AT = 2.7  # times the vehicle's distance: behind the far wheels of a long car
TINT = (0.996, 0.998, 1.0)
SKIRTING = 0.012  # of the canvas's height
LAMPS = (-0.8, 0.0, 0.8)  # columns that the ceiling's lamps light, from -1 to 1


def paint(stage: Stage) -> Floats:
    """See `scene.Paint`."""
    import cv2

    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    joint, wheels = stage.row_at(WALL_AT) / stage.height, stage.wheels / stage.height
    # What has no edge is painted at a quarter of the size.
    rows = np.linspace(0, 1, max(1, stage.height // 4), dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, max(1, stage.width // 4), dtype=np.float32)[None, :]
    up = ((joint - rows) / joint).clip(0, 1)
    # Each lamp washes the wall in a cone that widens downwards.
    wash = sum(np.exp(-(((x - lamp) / (0.5 - 0.22 * up)) ** 2)) for lamp in LAMPS)
    small_wall = 0.60 + 0.10 * up + 0.13 * wash * (0.35 + 0.65 * up)
    pool = np.exp(-((x / 1.0) ** 2 + ((rows - wheels) / 0.20) ** 2))
    small_floor = 0.80 + 0.095 * pool - 0.05 * x**2
    size = stage.width, stage.height
    wall = cv2.resize(small_wall, size, interpolation=cv2.INTER_LINEAR)
    floor = cv2.resize(small_floor, size, interpolation=cv2.INTER_LINEAR)
    # Polished, it shows the wall's foot again.
    down = ((y - joint) / max(joint, 0.05)).clip(0, 1)
    mirrored = 0.62 + 0.10 * down
    shine = 0.45 * np.exp(-down / 0.18)
    floor = floor * (1 - shine) + mirrored * shine
    edge = 1.2 / stage.height
    is_floor = 1 / (1 + np.exp(-((y - joint) / edge).clip(-30, 30)))
    skirting = np.exp(-(((y - joint + SKIRTING / 2) / (SKIRTING / 2)) ** 6)) * 0.16
    light = (wall - skirting) * (1 - is_floor) + floor * is_floor
    light = np.asarray(light, np.float32)
    return np.asarray(cv2.merge([light * np.float32(255 * t) for t in TINT]), np.float32)


GRAY_SHOWROOM = Scene(
    id="gray_showroom",
    name="Grey showroom",
    name_es="Showroom gris",
    kind="showroom",
    floor=(229, 229, 229),
    shadow=0.4,
    gloss=0.8,
    roughness=0.05,
    light=Light(dome=0.4, box=0.6),
    paint=paint,
)

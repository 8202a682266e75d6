"""A white cyclorama: wall, cove and floor under one soft light."""

import numpy as np

from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.types import Floats


def _paint(width: int, height: int, horizon: float) -> Floats:
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    wall = 0.935 - 0.055 * y / horizon - 0.045 * np.abs(x) ** 2.2
    depth = ((y - horizon) / (1 - horizon)).clip(0, 1)
    pool = np.exp(-((x / 0.95) ** 2 + ((y - 0.82) / 0.24) ** 2))
    floor = 0.865 + 0.035 * depth + 0.065 * pool - 0.05 * x**2
    cove = 1 / (1 + np.exp(-(y - horizon) / 0.028))
    light = wall * (1 - cove) + floor * cove
    tint = np.array([0.992, 0.997, 1.0], np.float32)  # daylight tubes: a trace of blue
    scene = light[..., None] * tint * 255
    # One grey level spans many rows of so smooth a scene: without noise it shows as bands.
    noise = np.random.default_rng(7).triangular(-1, 0, 1, (height, width, 1))
    return np.asarray(scene + noise, np.float32)


WHITE_STUDIO = Scene(
    id="white_studio",
    name="White studio",
    horizon=0.60,
    wheel_line=0.815,
    vehicle_height=0.49,
    widest=0.92,
    paint=_paint,
)

"""Outdoors by day: a wide concrete square under a bright sky and a high sun."""

import numpy as np

from okla_assets.imaging.studio.scene import Light, Scene, Stage, enlarged
from okla_assets.imaging.types import Floats

SLAB = 2.2
"""Side of a slab of concrete, in units of the vehicle's distance over four."""
JOINT = 0.012  # half the width of a joint between slabs, in the same units
TEXTURE = 512  # side of the texture of concrete, pixels


def paint(stage: Stage) -> Floats:
    """See `scene.Paint`."""
    sky = _sky(stage)
    floor = _concrete(stage)
    rows = np.arange(stage.height, dtype=np.float32)[:, None, None]
    # Air: what lies far away takes the sky's light.
    depth = ((rows - stage.horizon) / max(stage.wheels - stage.horizon, 1)).clip(0.001, None)
    haze = np.exp(-depth * 3.2) * 0.85
    far = np.array([226, 230, 233], np.float32)
    hazy = floor * (1 - haze) + far * haze
    ground = 1 / (1 + np.exp(-((rows - stage.horizon) / 1.5).clip(-30, 30)))
    return np.asarray(sky * (1 - ground) + hazy * ground, np.float32)


def _sky(stage: Stage) -> Floats:
    import cv2

    up = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None] * stage.height
    share = (up / max(stage.horizon, 1)).clip(0, 1)[..., None]
    high, low = np.array([186, 208, 229], np.float32), np.array([232, 237, 240], np.float32)
    sky = high + (low - high) * share**0.9
    sky = np.broadcast_to(sky, (stage.height, stage.width, 3)).copy()
    # A far line of trees, out of focus.
    x = np.linspace(0, 1, stage.width)
    waves = np.random.default_rng(3)
    tops = sum(np.sin(2 * np.pi * (f * x + waves.random())) / f**0.6 for f in (2, 3, 5, 9, 17, 31))
    height = stage.height * (0.028 + 0.006 * np.asarray(tops))
    rows = np.arange(stage.height)[:, None]
    trees = (rows > stage.horizon - height[None, :]).astype(np.float32)
    soft = 0.5 * cv2.GaussianBlur(trees, (0, 0), 0.004 * stage.height)[..., None]
    return np.asarray(sky * (1 - soft) + np.array([142, 156, 148]) * soft, np.float32)


def _concrete(stage: Stage) -> Floats:
    import cv2

    columns, rows = np.meshgrid(
        np.arange(stage.width, dtype=np.float32), np.arange(stage.height, dtype=np.float32)
    )
    below = np.maximum(rows - stage.horizon, 1.0)
    z = (stage.wheels - stage.horizon) / below * 4
    x = (columns - stage.width / 2) / (0.76 * stage.width) * z
    scale = TEXTURE / 8
    mottled = cv2.remap(
        _mottles(),
        np.asarray(x * scale % TEXTURE, np.float32),
        np.asarray(z * scale % TEXTURE, np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    # Joints as wide as a pixel at least; further away they drown.
    thin = z / (0.76 * stage.width)
    joints = np.zeros_like(z)
    for along in (x + SLAB / 2, z):
        off = np.abs((along / SLAB + 0.5) % 1 - 0.5) * SLAB
        joints = np.maximum(joints, np.exp(-((off / (JOINT + thin)) ** 2)) * JOINT / (JOINT + thin))
    light = 204 + mottled * np.exp(-z / 14) - 46 * joints * np.exp(-z / 10)
    return np.asarray(light[..., None] * np.array([1.0, 0.992, 0.978], np.float32), np.float32)


def _mottles() -> Floats:
    """Noise of four sizes, (TEXTURE, TEXTURE), whose right edge goes on at its left, its lower at
    its upper."""
    import cv2

    random = np.random.default_rng(5)
    texture = np.zeros((TEXTURE, TEXTURE), np.float32)
    for size, weight in ((8, 5.0), (32, 3.0), (128, 2.5), (512, 2.0)):
        layer = random.normal(0, 1, (size, size)).astype(np.float32)
        around, cell = np.pad(layer, 2, mode="wrap"), TEXTURE // size
        side = TEXTURE + 4 * cell
        large = cv2.resize(around, (side, side), interpolation=cv2.INTER_CUBIC)
        texture += weight * large[2 * cell :, 2 * cell :][:TEXTURE, :TEXTURE]
    return texture


OUTDOOR_DAY = Scene(
    id="outdoor_day",
    name="Outdoors by day",
    name_es="Exterior de día",
    kind="outdoor",
    floor=(204, 204, 204),
    shadow=0.5,
    gloss=0.0,
    roughness=0.05,
    light=Light(dome=0.5, box=0.0, sun=0.5, direction=25.0, softness=0.25),
    paint=enlarged(paint, 2),
)

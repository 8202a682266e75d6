"""The finished picture: a vehicle cut out of its photo and set into a studio scene.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1].
"""

import cv2
import numpy as np

from okla_assets.imaging.matte.cutout import foreground
from okla_assets.imaging.studio.placement import Placement
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.shadow import ground_shadow
from okla_assets.imaging.types import Alpha, Floats, Pixels, Rgb


def as_alpha(grey: Pixels) -> Alpha:
    """A matte stored as uint8 0..255, as float32 in [0, 1]."""
    return np.asarray(grey, np.float32) / np.float32(255)


def compose(
    photo: Rgb, alpha: Alpha, placement: Placement, scene: Scene, shadow_opacity: float | None
) -> Rgb:
    """The vehicle of `photo` on the scene, standing on its shadow.

    `alpha` has the photo's size. `shadow_opacity` in [0, 1]; None leaves the shadow out.
    """
    colour, matte, left, top = _placed(photo, alpha, placement)
    canvas = scene.render(placement.width, placement.height)
    full = np.zeros((placement.height, placement.width), np.float32)
    h, w = matte.shape
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(placement.height, top + h), min(placement.width, left + w)
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    window = (slice(y0, y1), slice(x0, x1))
    full[window] = matte[part]
    if shadow_opacity:
        canvas = canvas * _each_channel(1 - np.float32(shadow_opacity) * ground_shadow(full))
    picture = cv2.convertScaleAbs(canvas)  # rounds and keeps within 0..255
    a = _each_channel(full[window])
    picture[window] = cv2.convertScaleAbs(canvas[window] * (1 - a) + colour[part] * a)
    return np.asarray(picture, np.uint8)


def _each_channel(layer: Alpha) -> Floats:
    """The layer (H, W) as (H, W, 3): several times as quick to multiply by as a broadcast one."""
    return np.asarray(cv2.merge((layer, layer, layer)), np.float32)


def _placed(photo: Rgb, alpha: Alpha, placement: Placement) -> tuple[Rgb, Alpha, int, int]:
    """The vehicle's clean colours and matte at canvas scale, and the corner they go to."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    margin = 8
    y0, y1 = max(0, int(rows[0]) - margin), min(alpha.shape[0], int(rows[-1]) + margin + 1)
    x0, x1 = max(0, int(columns[0]) - margin), min(alpha.shape[1], int(columns[-1]) + margin + 1)
    part = photo[y0:y1, x0:x1]
    scale = placement.scale
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    mixed = np.asarray(cv2.resize(part, size, interpolation=method), np.uint8)
    matte = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=method).clip(0, 1)
    # At canvas scale, where there are fewer pixels: colours and matte were mixed alike.
    colour = foreground(mixed, np.asarray(matte, np.float32))
    return (
        colour,
        np.asarray(matte, np.float32),
        placement.left + round(x0 * scale),
        placement.top + round(y0 * scale),
    )

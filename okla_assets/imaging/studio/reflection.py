"""What a shining floor shows of a vehicle: its mirror image below the line where it stands.

The image takes the place of the wall that the floor would show there, so a white car before a white
wall hardly shows and a dark one does. Its strength is Fresnel's (Schlick's approximation) for the
angle under which the camera looks at the floor.
"""

import cv2
import numpy as np

from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.studio.floor import Floor, resampled
from okla_assets.imaging.types import Alpha, Floats, Rgb

MOST = 0.30  # of the light: a floor is no mirror
FADES = 0.45  # of the vehicle's height: where the image has lost two thirds of its strength
LEAST_REFLECTED = 0.04  # at right angles, of lacquer and tiles
WORK_WIDTH = 800


def strength(view: View) -> float:
    """The share of light that the floor mirrors where the vehicle stands, 0 to MOST."""
    cosine = view.camera_height / float(np.hypot(view.camera_height, view.distance))
    return min(MOST, LEAST_REFLECTED + (1 - LEAST_REFLECTED) * (1 - cosine) ** 5)


def reflected(
    colour: Rgb, alpha: Alpha, wall: Floats, floor: Floor, gloss: float, roughness: float
) -> Floats:
    """What the mirror image adds to the floor, float32 (H, W, 3), on the scale 0..255.

    `colour` (H, W, 3) and `alpha` (H, W) are the vehicle on the canvas, `wall` (H, W, 3) the empty
    scene.
    """
    height, width = alpha.shape
    scale = min(1.0, WORK_WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = [
        cv2.resize(layer, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for layer in (colour, alpha, wall)
    ]
    line = np.nan_to_num(resampled(floor.line, size[0])) * np.float32(scale)
    rows = np.arange(size[1], dtype=np.float32)[:, None]
    below = rows - line[None, :]
    source = 2 * line[None, :] - rows
    source[(below < 0) | (line[None, :] <= 1)] = -9
    columns = np.broadcast_to(np.arange(size[0], dtype=np.float32), source.shape)
    # Weighted by the matte before it is blurred, or the wall's colour would bleed in.
    difference = (small[0] - small[2]) * small[1][..., None]
    mirrored = cv2.remap(difference, columns, source, cv2.INTER_LINEAR, borderValue=0)
    tall = max(1.0, floor.view.vehicle_height * scale)
    share = (below / tall).clip(0, 1)
    layers = [mirrored] + [
        cv2.GaussianBlur(mirrored, (0, 0), 0.5 + s * tall, sigmaY=0.5 + 1.5 * s * tall)
        for s in (roughness * 0.5, roughness * 2)
    ]
    near = (share / 0.25).clip(0, 1)[..., None]
    far = ((share - 0.25) / 0.5).clip(0, 1)[..., None]
    soft = (layers[0] * (1 - near) + layers[1] * near) * (1 - far) + layers[2] * far
    fade = np.exp(-share / FADES)[..., None] * np.float32(strength(floor.view) * gloss)
    return np.asarray(
        cv2.resize(soft * fade, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )

"""What a shining floor shows of a vehicle: its mirror image below the line where it stands.

The image takes the place of the wall that the floor would show there, so a white car before a white
wall hardly shows and a dark one does. Its strength is Fresnel's (Schlick's approximation) for the
angle under which the camera looks at each row of the floor. Light is added as light, so that the
image shows best where the floor is dark: its levels are squared, and the root taken again.
"""

import cv2
import numpy as np

from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.studio.floor import Floor, resampled
from okla_assets.imaging.types import Alpha, Floats, Rgb

MOST = 0.30  # of the light: a floor is no mirror
FADES = 1.0  # of the vehicle's height: where the image has lost two thirds of its strength
UNDERSIDE = 12.0  # level of what a floor mirrors of a vehicle from below
SILL, ROUND = 0.17, 0.2
"""How high a body hangs over its line, and over what length its ends rise from there, in vehicle
heights."""
LEAST_REFLECTED = 0.04  # at right angles, of lacquer and tiles
WORK_WIDTH = 800
DEEPEST = 1.0  # vehicle heights below the line: the roof is mirrored there
BLURRED_AT = 0.5  # of the working size: where the image is blurred most it is worked on at this

Window = tuple[slice, slice]


def strength(view: View, row: float | Floats) -> Floats:
    """The share of light that the floor mirrors at a row of the canvas, 0 to MOST."""
    down = np.maximum(np.asarray(row, np.float32) - view.horizon, 1.0) / view.focal
    cosine = down / np.sqrt(1 + down * down)
    share = LEAST_REFLECTED + (1 - LEAST_REFLECTED) * (1 - cosine) ** 5
    return np.asarray(np.minimum(share, MOST), np.float32)


def reflected(
    colour: Rgb,
    alpha: Alpha,
    wall: Floats,
    ground: Floats,
    floor: Floor,
    gloss: float,
    roughness: float,
) -> tuple[Window, Floats]:
    """What the mirror image adds to the floor's levels, 0..255, and in which window of the canvas.

    On the canvas are the vehicle, `colour` (H, W, 3) and `alpha` (H, W), the empty scene, `wall`
    (H, W, 3), and the scene with the vehicle's shadow, `ground`. The layer (h, w, 3) has the
    window's size; outside of it there is no image.
    """
    height, width = alpha.shape
    solid = np.flatnonzero(alpha.any(axis=1))
    stands = np.flatnonzero(np.isfinite(floor.line) & (floor.line > 1))
    tall = floor.view.vehicle_height
    scale = min(1.0, WORK_WIDTH / width)
    spread = round(4 * roughness * tall) + 4
    left, right = max(0, int(stands[0]) - spread), min(width, int(stands[-1]) + 1 + spread)
    line = floor.line[left:right]
    lowest = min(float(np.nanmax(line)), height - 1.0)
    top = min(max(0, int(np.nanmin(line) - SILL * tall)), height - 1)
    bottom = min(height, round(lowest + DEEPEST * tall))
    window = slice(top, bottom), slice(left, right)
    shown = slice(int(solid[0]), int(lowest) + 1), window[1]  # what is mirrored into it

    columns = max(1, round((right - left) * scale))
    car, matte, behind = (_shrunk(layer[shown], columns, scale) for layer in (colour, alpha, wall))
    below = _shrunk(ground[window], columns, scale)
    at = resampled(line, columns)
    # Between body and line the floor sees the vehicle from below.
    step = np.float32(scale)
    source_rows = shown[0].start + (np.arange(matte.shape[0], dtype=np.float32) + 0.5) / step
    known = np.flatnonzero(np.isfinite(at))
    from_end = np.minimum(np.arange(columns) - known[0], known[-1] - np.arange(columns))
    risen = 1 - (from_end / (ROUND * tall * scale)).clip(0, 1)
    sill = SILL * tall * np.sqrt(1 - risen * risen)
    over = at[None, :] - source_rows[:, None]
    under = (matte < 0.5) & (over > 0) & (over < sill[None, :])
    car[under], matte[under] = UNDERSIDE, 1.0
    # Weighted by the matte before it is blurred, or the wall's colour would bleed in.
    change = (car * car - behind * behind) * cv2.merge((matte, matte, matte))
    rows = top + (np.arange(below.shape[0], dtype=np.float32) + 0.5) / step
    depth = rows[:, None] - at[None, :]
    source = (at[None, :] - np.abs(depth) - shown[0].start) * step - 0.5
    source = np.nan_to_num(source, nan=-9.0)  # beside the vehicle
    across = np.broadcast_to(np.arange(columns, dtype=np.float32), source.shape)
    sharp = cv2.remap(change, across, source, cv2.INTER_LINEAR, borderValue=0)
    share = np.nan_to_num(depth / np.float32(tall)).clip(0, 1)
    near, far = ((share / 0.25).clip(0, 1), ((share - 0.25) / 0.5).clip(0, 1))
    small = tall * scale
    soft = _blurred(sharp, roughness * 0.5 * small)
    softer = cv2.resize(sharp, None, fx=BLURRED_AT, fy=BLURRED_AT, interpolation=cv2.INTER_AREA)
    softer = _blurred(np.asarray(softer, np.float32), roughness * 2 * small * BLURRED_AT)
    softer = cv2.resize(softer, (columns, below.shape[0]), interpolation=cv2.INTER_LINEAR)
    image = cv2.blendLinear(sharp, soft, 1 - near, near)
    image = cv2.blendLinear(image, softer, 1 - far, far)
    fade = np.exp(-share / FADES) * strength(floor.view, rows)[:, None] * np.float32(gloss)
    lit = below * below + image * cv2.merge((fade, fade, fade))
    added = np.sqrt(lit.clip(0)) - below
    size = right - left, bottom - top
    return window, np.asarray(cv2.resize(added, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _shrunk(layer: Rgb | Floats, columns: int, scale: float) -> Floats:
    """The layer at working size, float32, `columns` wide."""
    size = columns, max(1, round(layer.shape[0] * scale))
    return np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(layer: Floats, sigma: float) -> Floats:
    """Blurred more along columns: what a rough floor mirrors is smeared towards the camera."""
    blurred = cv2.GaussianBlur(layer, (0, 0), 0.5 + sigma, sigmaY=0.5 + 1.5 * sigma)
    return np.asarray(blurred, np.float32)

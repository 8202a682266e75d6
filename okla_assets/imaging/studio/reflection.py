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
GROWS = 0.3
"""Of the vehicle's height: below a bumper that hides its tyres nothing joins the image to the
vehicle, so its strength grows from none over this."""
UNDERSIDE = 12.0  # level of what a floor mirrors of a vehicle from below
SILL, ROUND, BEYOND = 0.17, 0.2, 0.15
"""How high a body hangs over its line, over what length its ends rise from there, and how far they
reach beyond what stands on the floor, in vehicle heights."""
ACROSS = 2.0  # pixels of the working size: so far below its line is the body seen from below
UNDER_ENDS = 0.05  # vehicle heights: how softly its ends are mirrored
LEAST_REFLECTED = 0.04  # at right angles, of lacquer and tiles
WORK_WIDTH = 640
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
    lit: Floats,
    floor: Floor,
    gloss: float,
    roughness: float,
) -> tuple[Window, Floats]:
    """What the mirror image adds to the floor's levels, 0..255, and in which window of the canvas.

    On the canvas are the vehicle, `colour` (H, W, 3) and `alpha` (H, W), the empty scene, `wall`
    (H, W, 3), and the share of its levels that the vehicle's shadow leaves, `lit` (H, W). The layer
    (h, w, 3) has the window's size; outside of it there is no image.
    """
    height, width = alpha.shape
    solid = np.flatnonzero(alpha.any(axis=1))
    stands = np.flatnonzero(np.isfinite(floor.line) & (floor.line > 1))
    tall = floor.view.vehicle_height
    if not stands.size or float(np.nanmax(floor.line)) < solid[0]:  # no vehicle above its line
        nothing = slice(0, 0), slice(0, 0)
        return nothing, np.zeros_like(wall[nothing])
    scale = min(1.0, WORK_WIDTH / width)
    beyond = round(BEYOND * tall)
    left, right = max(0, int(stands[0]) - beyond), min(width, int(stands[-1]) + 1 + beyond)
    line = floor.line[left:right]
    lowest = min(float(np.nanmax(line)), height - 1.0)
    top = min(max(0, int(np.nanmin(line) - SILL * tall)), height - 1)
    bottom = min(height, round(lowest + DEEPEST * tall))
    window = slice(top, bottom), slice(left, right)
    if (bottom - top) * scale < 2:  # so flat a silhouette mirrors nothing
        return window, np.zeros_like(wall[window])
    shown = slice(int(solid[0]), int(lowest) + 1), window[1]  # what is mirrored into it

    columns = max(1, round((right - left) * scale))
    car, matte, behind = (_shrunk(layer[shown], columns, scale) for layer in (colour, alpha, wall))
    shade = _shrunk(lit[window], columns, scale)
    below = _shrunk(wall[window], columns, scale) * cv2.merge((shade, shade, shade))
    at = resampled(line, columns)
    known = np.flatnonzero(np.isfinite(at))
    from_end = np.minimum(np.arange(columns) - known[0], known[-1] - np.arange(columns))
    at = np.interp(np.arange(columns), known, at[known]).astype(np.float32)
    # Between body and line the floor sees the vehicle from below.
    step = np.float32(scale)
    over = at[None, :] - shown[0].start
    over = over - (np.arange(matte.shape[0], dtype=np.float32)[:, None] + 0.5) / step
    risen = 1 - (from_end / (ROUND * tall * scale)).clip(0, 1)
    sill = SILL * tall * np.sqrt(1 - risen * risen)
    under = (matte < 0.5) & (over > -ACROSS / step) & (over < sill[None, :])
    sigma = max(0.5, UNDER_ENDS * tall * scale)
    body = cv2.GaussianBlur(under.astype(np.float32), (0, 0), sigma) * (1 - matte)
    seen = matte / np.maximum(matte + body, np.float32(1e-3))  # beside the matte is the old scene
    car = cv2.merge((seen, seen, seen)) * (car - UNDERSIDE) + UNDERSIDE
    matte += body
    # Weighted by the matte before it is blurred, or the wall's colour would bleed in.
    behind *= behind
    tint = behind.mean(axis=(0, 1))
    grey = float(tint.mean())
    image = cv2.multiply(cv2.multiply(car, car), cv2.merge((matte, matte, matte)))
    mirrored = cv2.merge((*cv2.split(image), behind.mean(axis=2) * matte))
    rows = top + (np.arange(below.shape[0], dtype=np.float32) + 0.5) / step
    depth = rows[:, None] - at[None, :]
    source = np.asarray((at[None, :] - np.abs(depth) - shown[0].start) * step - 0.5, np.float32)
    across = np.broadcast_to(np.arange(columns, dtype=np.float32), source.shape)
    sharp = cv2.remap(mirrored, across, source, cv2.INTER_LINEAR, borderValue=0)
    share = (depth / np.float32(tall)).clip(0, 1)
    near, far = (share / 0.25).clip(0, 1), ((share - 0.25) / 0.5).clip(0, 1)
    small = tall * scale
    soft = _blurred(np.asarray(sharp, np.float32), roughness * 0.5 * small)
    softer = cv2.resize(sharp, None, fx=BLURRED_AT, fy=BLURRED_AT, interpolation=cv2.INTER_AREA)
    softer = _blurred(np.asarray(softer, np.float32), roughness * 2 * small * BLURRED_AT)
    softer = cv2.resize(softer, (columns, below.shape[0]), interpolation=cv2.INTER_LINEAR)
    blended = cv2.blendLinear(sharp, soft, 1 - near, near)
    layers = cv2.split(cv2.blendLinear(blended, softer, 1 - far, far))
    fade = np.exp(-share / FADES) * strength(floor.view, rows)[:, None] * np.float32(gloss)
    if floor.bumper is not None:
        fade *= np.square((share / GROWS).clip(0, 1))
    # Of the wall that the image hides the floor shows no more than its shadow left.
    hidden = layers[3] * shade * shade
    added = [
        np.sqrt((level * level + fade * (layer - hidden * (part / max(grey, 1e-3)))).clip(0))
        - level
        for level, layer, part in zip(cv2.split(below), layers[:3], tint, strict=True)
    ]
    size = right - left, bottom - top
    found = cv2.resize(cv2.merge(added), size, interpolation=cv2.INTER_LINEAR)
    return window, np.asarray(found, np.float32)


def _shrunk(layer: Rgb | Floats, columns: int, scale: float) -> Floats:
    """The layer at working size, float32, `columns` wide."""
    size = columns, max(1, round(layer.shape[0] * scale))
    return np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(layer: Floats, sigma: float) -> Floats:
    """Blurred more along columns: what a rough floor mirrors is smeared towards the camera."""
    blurred = cv2.GaussianBlur(layer, (0, 0), 0.5 + sigma, sigmaY=0.5 + 1.5 * sigma)
    return np.asarray(blurred, np.float32)

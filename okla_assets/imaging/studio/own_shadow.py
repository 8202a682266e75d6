"""The shadow that a vehicle's own photo shows, taken over from its ground.

What a plain ground lacks of the level that it has farther off is shadow. The logarithm of the level
where no shadow lies is a plane, fitted with weights that leave out what is darker (iteratively
reweighted least squares with Tukey's biweight).
"""

import cv2
import numpy as np

from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.types import Alpha, Bools, Doubles, Floats, Rgb

WORK_WIDTH = 480  # pixels: a shadow is smooth
ROOM, FADES = (
    1.5,
    0.3,
)  # vehicle heights around the vehicle that are looked at; over the last it ends
CLOSE = 0.35  # vehicle heights: so near to the vehicle, what is dark need not be told apart
BELOW_HORIZON = (0.25, 0.4)  # vehicle heights: nearer to it, what is seen is hardly ground
NEAR_MATTE = 0.02  # vehicle heights: so near to the matte, pixels are not only ground
SPREAD = 0.05  # in the logarithm of levels: as far as a plain ground's pixels lie apart
ROUNDS = 12
LEAST_GROUND = (
    0.02  # of the photo: so much of it has to be ground beside the vehicle and its shadow
)
LEAST_PLAIN = 0.95  # of that ground lies within 2 SPREADs of the plane
COLOURED = 6.0  # a*b*: how far the ground's colours may lie apart
SMOOTH = 0.02  # vehicle heights: nothing that the ground mirrors can be read
MOST = 0.97
AT_BORDER = 0.12  # a shadow of this strength at the photo's border was cut off by it


class NotPlain(ValueError):
    """The ground is not plain enough to tell its shadow; the message says how."""


def shadow_of(photo: Rgb, alpha: Alpha, view: View) -> Floats:
    """The share (H, W) of its level that the vehicle's shadow takes from each pixel of the ground.

    `alpha` is the vehicle's matte. Raises NotPlain.
    """
    height, width = alpha.shape
    scale = min(1.0, WORK_WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    matte = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    tall = view.vehicle_height * scale
    free = cv2.GaussianBlur(matte, (0, 0), max(0.7, NEAR_MATTE * tall / 2)) < 0.02
    below = (np.arange(size[1])[:, None] - view.horizon * scale) / tall
    first, whole = BELOW_HORIZON
    low = ((below - first) / (whole - first)).clip(0, 1)
    away = cv2.distanceTransform((matte < 0.5).astype(np.uint8), cv2.DIST_L2, 5) / tall
    ground = free & (low > 0) & (away < ROOM)
    level = np.log(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64) + 1)
    lit = _lit(level, ground, away > CLOSE)
    dark = _joined(ground & (level < lit - SPREAD), away < CLOSE)
    beside = ground & (away > CLOSE) & ~dark
    if beside.mean() < LEAST_GROUND:
        raise NotPlain("too little of the ground around the vehicle is seen without its shadow")
    near = np.abs(level - lit) < 2 * SPREAD
    if (plain := float(near[beside].mean())) < LEAST_PLAIN:
        raise NotPlain(f"{1 - plain:.0%} of the ground around the vehicle is not of one level")
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    tint = lab[..., 1:][beside & near]
    if float(np.hypot(*(tint - np.median(tint, axis=0)).T).mean()) > COLOURED:
        raise NotPlain("the ground around the vehicle is not of one colour")
    taken = (1 - np.exp(level - lit)) * (dark | (away < CLOSE))
    known = ground.astype(np.float32)
    sigma = max(0.7, SMOOTH * tall)
    weight = cv2.GaussianBlur(known, (0, 0), sigma)
    smooth = cv2.GaussianBlur((taken * known).astype(np.float32), (0, 0), sigma)
    shade = np.where(weight > 1e-3, smooth / np.maximum(weight, 1e-3), 0).clip(0, MOST)
    shade *= ((ROOM - away) / FADES).clip(0, 1) * low
    border = np.concatenate([shade[:, :2].ravel(), shade[:, -2:].ravel(), shade[-2:].ravel()])
    if float(np.quantile(border, 0.98)) > AT_BORDER:
        raise NotPlain("the shadow goes on beyond the photo's border")
    return np.asarray(cv2.resize(shade.astype(np.float32), (width, height)), np.float32)


def _lit(level: Doubles, ground: Bools, far: Bools) -> Doubles:
    """The level (h, w) that the ground has where no shadow lies; most of it lies `far` off."""
    h, w = level.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    terms = np.stack([np.ones_like(x), x, y], axis=-1)
    a, b = terms[ground], level[ground]
    trust = np.where(far[ground], 1.0, 0.3)
    weights = far[ground].astype(np.float64)
    for i in range(ROUNDS):
        found = np.linalg.lstsq(a * weights[:, None], b * weights, rcond=None)[0]
        reach = 2 * SPREAD * max(2.0, 8.0 - i)
        weights = (1 - ((b - a @ found) / reach).clip(-1, 1) ** 2) * trust
    return np.asarray(terms @ found)


def _joined(dark: Bools, close: Bools) -> Bools:
    """What of the `dark` ground reaches without a break to where it is `close` to the vehicle."""
    count, parts = cv2.connectedComponents(dark.astype(np.uint8), connectivity=4)
    reaching = np.zeros(count, bool)
    reaching[np.unique(parts[close & dark])] = True
    reaching[0] = False
    return np.asarray(reaching[parts])

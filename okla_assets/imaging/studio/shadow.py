"""The shadow a vehicle casts on a studio floor, from its matte alone.

Under large soft lights a car's shadow is what its body hides from the floor: darkest where the
tyres touch, dark under the sills, fading outwards. Tyres are where the silhouette reaches down like
legs; the floor line runs from tyre to tyre, and on under the bumpers, which hang above it.
"""

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Floats

WORK_WIDTH = 800  # the shadow is smooth: computed at this width, then enlarged
TYRE_DROP = 0.03  # of the vehicle's height: how far a tyre reaches below its neighbourhood
STEEPEST = 0.6  # rise over run of the floor line in the picture
HIDDEN_TYRES = 0.035  # of the vehicle's height: how far below its bumper the floor then shows
CLEARANCE = 0.13  # of the vehicle's height: how high a bumper hangs above the floor
STANDING = 0.55  # of the vehicle's height, from the top: body reaches lower, mirrors do not
LEAST_SIGMA = 2.5  # pixels: a blur stays this wide on the copy that it is made of
CONTACT = 0.012  # of the vehicle's height: this near the floor line a tyre touches it


def ground_shadow(alpha: Alpha) -> Alpha:
    """How much light the vehicle takes from each pixel of the floor.

    `alpha` is the matte on the canvas, float32 (H, W); so is the result, 0 none to 1 all. Zeros
    where the matte is empty.
    """
    height, width = alpha.shape
    scale = min(1.0, WORK_WIDTH / width)
    small = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    floor = floor_line(np.asarray(small, np.float32))
    if floor is None:
        return np.zeros_like(alpha)
    x0, x1, line, bottom, vehicle_height = floor
    shadow = _shade(small.shape, x0, x1, line, bottom, vehicle_height)
    return cv2.resize(shadow, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)


def floor_line(
    alpha: Alpha,
) -> tuple[int, int, Floats, Floats, float] | None:
    """Where the vehicle meets the floor.

    Returns first and last column, for each column between them the row of the floor line and the
    lowest solid row of the matte (float32), and the vehicle's height in pixels; None where the
    matte is empty.
    """
    solid = alpha > 0.5
    columns = np.flatnonzero(solid.any(axis=0))
    if columns.size < 8:
        return None
    x0, x1 = int(columns[0]), int(columns[-1])
    part = solid[:, x0 : x1 + 1]
    rows = np.arange(alpha.shape[0])[:, None]
    bottom = np.where(part, rows, -1).max(axis=0).astype(np.float32)
    top = float(np.flatnonzero(solid.any(axis=1))[0])
    vehicle_height = float(bottom.max()) - top
    # A mirror that sticks out beside the body hangs over no floor of its own.
    standing = np.flatnonzero(bottom >= top + STANDING * vehicle_height)
    bottom = bottom[standing[0] : standing[-1] + 1]
    x0, x1 = x0 + int(standing[0]), x0 + int(standing[-1])
    xs = np.arange(bottom.size)
    known = bottom >= 0
    bottom = np.interp(xs, xs[known], bottom[known]).astype(np.float32)
    tyres = _tyre_columns(bottom, TYRE_DROP * vehicle_height)
    if not tyres:
        # Seen from above, a bumper hides the tyres and hangs in front of the floor below it.
        line = bottom + HIDDEN_TYRES * vehicle_height
        return x0, x1, line, bottom, vehicle_height
    line = np.interp(xs, tyres, bottom[tyres]).astype(np.float32)
    for end, inner, outside in (
        (tyres[0], tyres[min(1, len(tyres) - 1)], xs < tyres[0]),
        (tyres[-1], tyres[max(-2, -len(tyres))], xs > tyres[-1]),
    ):
        # Past the outermost tyre the floor goes on as it came, under the bumper, but not towards
        # the viewer: there the line turns the car's corner.
        fall = (bottom[end] - bottom[inner]) / abs(end - inner) if end != inner else 0.0
        fall = min(max(float(fall), -STEEPEST), 0.0)
        beyond = bottom[end] + fall * np.abs(xs[outside] - end)
        line[outside] = np.minimum(beyond, bottom[outside] + CLEARANCE * vehicle_height)
    return x0, x1, np.maximum(line, bottom), bottom, vehicle_height


def _tyre_columns(bottom: Floats, drop: float) -> list[int]:
    """Columns where the silhouette reaches down like a leg, by at least `drop` on both sides.

    Legs that hang above the line of the others (an exhaust, a bumper's corner) are left out: only
    the lower hull stands on the floor. Empty where the bottom is one flat edge.
    """
    legs, best, since = set[int](), 0, bottom[0]
    rising = True
    # One pass with hysteresis: a leg is a maximum that fell by `drop` before and after.
    for x in range(bottom.size):
        if rising:
            if bottom[x] > bottom[best]:
                best = x
            elif bottom[best] - bottom[x] >= drop:
                if bottom[best] - since >= drop:
                    legs.add((best + _plateau_end(bottom, best)) // 2)
                rising, since = False, bottom[x]
        elif bottom[x] < since:
            since = bottom[x]
        elif bottom[x] - since >= drop:
            rising, best = True, x
    return _lower_hull(sorted(legs), bottom)


def _plateau_end(bottom: Floats, start: int) -> int:
    end = start
    while end + 1 < bottom.size and bottom[end + 1] >= bottom[start] - 0.5:
        end += 1
    return end


def _lower_hull(columns: list[int], bottom: Floats) -> list[int]:
    """Those of the columns that lie on the hull under the profile (rows grow downwards)."""
    hull: list[int] = []
    for x in columns:
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (bottom[b] - bottom[a]) * (x - a) <= (bottom[x] - bottom[a]) * (b - a):
                hull.pop()
            else:
                break
        hull.append(x)
    return hull


def _shade(
    shape: tuple[int, ...],
    x0: int,
    x1: int,
    line: Floats,
    bottom: Floats,
    vehicle_height: float,
) -> Alpha:
    xs = np.arange(x0, x1 + 1)
    inset = round(0.02 * xs.size)
    body = np.zeros(shape, np.uint8)
    inner = slice(inset, xs.size - inset)
    ground = np.stack([xs[inner], line[inner]], axis=1)
    behind = ground[::-1] - np.array([0, 0.24 * vehicle_height])
    cv2.fillPoly(body, [np.rint(np.concatenate([ground, behind])).astype(np.int32)], 1)
    contact = np.zeros(shape, np.uint8)
    touching = line - bottom < CONTACT * vehicle_height
    thick = max(1, round(0.022 * vehicle_height))
    for column, row in zip(xs[touching], line[touching], strict=True):
        middle = round(float(row))
        cv2.line(contact, (int(column), middle - thick), (int(column), middle + thick // 2), 1)
    solid = body.astype(np.float32)
    wide = _blurred(solid, 0.17 * vehicle_height, 0.075 * vehicle_height)
    near = _blurred(solid, 0.05 * vehicle_height, 0.020 * vehicle_height)
    touch = _blurred(contact.astype(np.float32), 0.018 * vehicle_height, 0.008 * vehicle_height)
    # Light that gets past one layer can still be taken by the next.
    return np.asarray(1 - (1 - 0.42 * wide) * (1 - 0.86 * near) * (1 - 0.9 * touch), np.float32)


def _blurred(layer: Alpha, across: float, down: float) -> Alpha:
    """A Gaussian blur of these sigmas; where they are wide, on a smaller copy."""
    factor = min(4, max(1, int(min(across, down) / LEAST_SIGMA)))
    height, width = layer.shape
    small = cv2.resize(
        layer, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), across / factor, sigmaY=down / factor)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )

"""The line along which a vehicle meets the floor of a picture: from its view, drawn to its matte.

A fitted box is some pixels off where a tyre really stands; a shadow that is off by as much floats.
So all that is drawn on the floor is moved, column by column, until tyres stand on it.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from okla_assets.imaging.studio.camera import LIP, WHEEL_INSET, View
from okla_assets.imaging.types import Alpha, Doubles, Floats

INSET_ENDS = 0.10  # how far bumpers draw in towards the floor, in vehicle heights
MOST_OFF = 0.06
"""Of the vehicle's height: a tyre further from its place than this was not found."""
TYRE_REACH = 0.05  # of the vehicle's height: half of the columns in which a tyre is looked for
LOST, LOST_BY = 0.3, 0.03
"""A tyre's share of its touch where the matte ends this far above it, of the vehicle's height."""
FACES = 0.2  # a side of the vehicle is seen that faces the camera by this much
ROUND_BESIDE, ROUND_AHEAD = 0.42, 0.30
"""Of the body's width: where its rounded corners begin, along its sides and along its ends."""
ROUND_STEPS = 6


@dataclass(frozen=True)
class Floor:
    """What a vehicle covers of the floor, on one canvas.

    `hull` (n, 2) are floor points in vehicle heights of the body's outline with rounded corners,
    `foot` (n, 2) the same drawn in to where it stands, `tyres` (4, 2) those of its tyres. `line`
    (W,) is for each column the row of the nearest part of the foot, NaN beside it. `shift` (W,) is
    how far each column is moved down. `touch` (4,) is how surely each tyre stands on its place: a
    matte that lost a tyre shows none there.
    """

    view: View
    hull: Doubles
    foot: Doubles
    tyres: Doubles
    line: Floats
    shift: Floats
    touch: Doubles


def floor_of(alpha: Alpha, view: View) -> Floor:
    """The floor under a vehicle whose matte on the canvas is `alpha` (H, W)."""
    width = alpha.shape[1]
    hull = rounded(view.footprint)
    shift = _shift(alpha, view)
    foot = _drawn_in(view, hull)
    seen = view.seen(foot)
    columns = np.arange(width, dtype=np.float64) + 0.5
    line = np.full(width, -np.inf)
    ring = np.concatenate([seen, seen[:1]])
    for (x0, y0), (x1, y1) in pairwise(ring):
        low, high = sorted((x0, x1))
        part = (columns >= low) & (columns <= high)
        if high - low > 1e-6:
            rows = y0 + (columns[part] - x0) * (y1 - y0) / (x1 - x0)
            line[part] = np.maximum(line[part], rows)
    line[~np.isfinite(line)] = np.nan
    touch = _touching(alpha, view, shift)
    row = (line + shift).astype(np.float32)
    return Floor(view, hull, foot, view.tyres, row, shift, touch)


def _drawn_in(view: View, hull: Doubles) -> Doubles:
    """The outline as it stands on the floor: bumpers draw in below, and sides to their tyres."""
    box = view.footprint
    middle = box.mean(axis=0)
    length, width = (float(np.hypot(*(box[0] - box[i]))) for i in (3, 1))
    ahead, left = (box[0] - box[3]) / length, (box[0] - box[1]) / width
    off = hull - middle
    along = (off @ ahead) * (1 - 2 * INSET_ENDS / length)
    beside = (off @ left) * (1 - 2 * WHEEL_INSET)
    return np.asarray(middle + along[:, None] * ahead + beside[:, None] * left)


def _touching(alpha: Alpha, view: View, shift: Floats) -> Doubles:
    """1 for a tyre that the matte shows or hides, LOST for one it should show and does not."""
    reach = max(2, round(TYRE_REACH * view.vehicle_height))
    found = np.ones(4)
    for i, (x, y) in enumerate(view.seen(view.tyres)):
        column = min(max(round(float(x)), 0), alpha.shape[1] - 1)
        part = alpha[:, max(0, column - reach) : column + reach + 1] > 0.5
        bottom = float(np.flatnonzero(part.any(axis=1))[-1] + 1) if part.any() else 0.0
        if y + shift[column] - bottom > LOST_BY * view.vehicle_height:
            found[i] = LOST
    return found


def rounded(footprint: Doubles) -> Doubles:
    """The outline (n, 2) of a body with rounded corners, from its box (4, 2) as of `View`."""
    width = float(np.hypot(*(footprint[1] - footprint[0])))
    points = []
    for i in range(4):
        before, corner, after = footprint[i - 1], footprint[i], footprint[(i + 1) % 4]
        # The sides lie between the corners 1 and 2, and 3 and 0; the ends between the others.
        back, on = (ROUND_BESIDE, ROUND_AHEAD) if i % 2 == 0 else (ROUND_AHEAD, ROUND_BESIDE)
        a = corner + back * width * (before - corner) / np.hypot(*(before - corner))
        b = corner + on * width * (after - corner) / np.hypot(*(after - corner))
        for t in np.linspace(0, 1, ROUND_STEPS):
            points.append((1 - t) ** 2 * a + 2 * t * (1 - t) * corner + t**2 * b)
    return np.array(points)


def _shift(alpha: Alpha, view: View) -> Floats:
    """How far down each column (W,) moves so that the tyres that are seen stand on their place."""
    width = alpha.shape[1]
    solid = alpha > 0.5
    rows = view.seen(view.tyres)
    reach = max(2, round(TYRE_REACH * view.vehicle_height))
    anchors = []
    for i in _tyres_seen(view):
        column = round(float(rows[i, 0]))
        part = solid[:, max(0, column - reach) : max(0, column + reach + 1)]
        if not part.any():
            continue
        bottom = float(np.flatnonzero(part.any(axis=1))[-1] + 1)
        off = bottom - float(rows[i, 1])
        if abs(off) < MOST_OFF * view.vehicle_height:
            anchors.append((float(rows[i, 0]), off))
    if not anchors:
        low = np.flatnonzero(solid.any(axis=1))
        lip = float(
            view.horizon + view.focal * (view.camera_height - LIP) / view.footprint[:, 1].min()
        )
        lowest = max(lip, float(rows[:, 1].max()))
        off = float(low[-1] + 1) - lowest if low.size else 0.0
        limit = MOST_OFF * view.vehicle_height
        return np.full(width, min(max(off, -limit), limit), np.float32)
    anchors.sort()
    xs, offs = zip(*anchors, strict=True)
    return np.asarray(np.interp(np.arange(width), xs, offs), np.float32)


def _tyres_seen(view: View) -> list[int]:
    """Indices of the tyres on the side that faces the camera."""
    front = view.footprint[0] + view.footprint[1] - view.footprint[2] - view.footprint[3]
    front /= np.hypot(*front)
    middle = view.footprint.mean(axis=0)
    to_camera = -middle / np.hypot(*middle)
    # The vehicle's left, seen from above with the camera's right as x and depth as y.
    left = view.footprint[0] - view.footprint[1]
    left /= np.hypot(*left)
    beside = float(left @ to_camera)
    if abs(beside) < FACES:
        return []
    return [0, 3] if beside > 0 else [1, 2]


def moved_down(layer: Floats, shift: Floats) -> Floats:
    """The layer (H, W), each column moved down by its pixels of `shift` (W,)."""
    height, width = layer.shape
    if not shift.any():
        return layer
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    rows = np.arange(height, dtype=np.float32)[:, None] - shift[None, :]
    return np.asarray(
        cv2.remap(layer, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )

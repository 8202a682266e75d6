"""The line along which a vehicle meets the floor of a picture: from its view, drawn to its matte.

A fitted box is some pixels off where a tyre really stands; a shadow that is off by as much floats.
So all that is drawn on the floor is moved, column by column, until tyres stand on it.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.studio.bumper import edge_of
from okla_assets.imaging.studio.camera import FRONT_LIP, REAR_LIP, STRAIGHT, WHEEL_INSET, View
from okla_assets.imaging.types import Alpha, Doubles, Floats

INSET_ENDS = 0.12  # how far bumpers draw in towards the floor, in vehicle heights
NEARER = 1.3  # how much larger the near end is seen than the vehicle as a whole, at most
UNDER_LIP, CORNER_RISES = 0.06, 0.1
"""Of the vehicle's height: how far below a bumper its floor line runs at most, and how high the
line follows its corners."""
BEFORE_TYRES = 0.1  # of the vehicle's height: how far below the tyres of an end its shadow begins
MOST_OFF = 0.14  # of the vehicle's height: a leg further below or above is not this tyre
TYRE_REACH, TREAD_REACH = 0.2, 0.11  # to the left and right of a tyre seen from its side, its front
TYRE_HALF, AS_FITTED = 0.06, 0.04
"""Of the vehicle's height: half of what a tyre touches, and how well the matte ends where the fit
says that a tyre without a shape of its own stands."""
STANDING = 0.55  # of the vehicle's height, from its top: body reaches lower, mirrors do not
RISES = 0.02  # of the vehicle's height: on both sides of a leg the silhouette rises by this
PLATEAU = 0.01  # of the vehicle's height: a leg is where the silhouette reaches this low
NARROWEST, WIDEST = 0.045, 0.4  # of the vehicle's height: widths of a leg
FACES_BEFORE = 0.6  # an end shows its tyres that faces the camera by this much
SIDE_ON = 0.35  # a side is seen straight while the ends face the camera by less
FACES = 0.2  # a side of the vehicle is seen that faces the camera by this much
ROUND_BESIDE, ROUND_AHEAD = 0.42, 0.30
"""Of the body's width: where its rounded corners begin, along its sides and along its ends."""
ROUND_STEPS = 6


@dataclass(frozen=True)
class Leg:
    """Where the silhouette stands on the floor: first and last column and lowest row, in pixels."""

    first: float
    last: float
    row: float

    @property
    def middle(self) -> float:
        """Its middle column."""
        return (self.first + self.last) / 2


@dataclass(frozen=True)
class Floor:
    """What a vehicle covers of the floor, on one canvas.

    `hull` (n, 2) are floor points in vehicle heights of the body's outline with rounded corners,
    `foot` (n, 2) the same drawn in to where it stands, `tyres` (4, 2) those of its tyres. `line`
    (W,) is for each column the row of the nearest part of the foot, NaN beside it. `shift` (W,) is
    how far each column is moved down. `legs` are where the matte shows tyres standing, `found` the
    indices of the tyres that they are. `bumper` (W,) is the edge of the bumper of an end that faces
    the camera straight, as of `edge_of`; None where a side is seen too. `sill` (W,) is the edge of
    the body between the two tyres of a side that is seen straight, where both are found.
    """

    view: View
    hull: Doubles
    foot: Doubles
    tyres: Doubles
    line: Floats
    shift: Floats
    legs: tuple[Leg, ...]
    found: tuple[int, ...]
    bumper: Floats | None = None
    sill: Floats | None = None


def floor_of(alpha: Alpha, view: View) -> Floor:
    """The floor under a vehicle whose matte on the canvas is `alpha` (H, W)."""
    width = alpha.shape[1]
    hull = _rounded(view.footprint)
    legs, outer = _legs(alpha, view)
    found = _tyres_of(alpha, (*legs, *outer), view)
    sides = side_facing(view)
    # Seen straight from an end, what hangs down beside its tyres is an exhaust or a splitter.
    legs = tuple({*(legs if sides else ()), *found.values()})
    shift = _shift(alpha, view, found)
    hull = _no_nearer(alpha, view, hull, float(np.median(shift)), stands=bool(found))
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
    tyres = view.tyres.copy()
    for i, leg in found.items():
        tyres[i, 0] = (leg.middle - view.centre) / view.focal * tyres[i, 1]
    row = (line + shift).astype(np.float32)
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    bumper, sill = None, None
    if rows.size:
        tall = view.vehicle_height
        lowest_body = float(rows[0]) + STANDING * tall
        if not sides:
            bumper = edge_of(alpha, tall, lowest_body)
            row = np.fmin(row, _below(bumper, tall))
        elif set(sides) <= set(found) and abs(_end_facing(view)) < SIDE_ON:
            first, second = sorted((found[i] for i in sides), key=lambda leg: leg.middle)
            between = alpha.copy()
            between[:, : round(first.last)] = between[:, round(second.first) :] = 0
            sill = edge_of(between, tall, lowest_body)
    return Floor(view, hull, foot, tyres, row, shift, legs, tuple(found), bumper, sill)


def _below(bumper: Floats, tall: float) -> Floats:
    """The lowest row (W,) of a floor's line under an end seen straight; NaN beside it.

    How near an end hangs is what a fit knows least of, and what a floor mirrors of it moves by
    twice as much.
    """
    edge = np.nanmax(bumper) if np.isfinite(bumper).any() else np.nan
    return np.asarray(np.maximum(bumper, edge - CORNER_RISES * tall) + UNDER_LIP * tall, np.float32)


def _no_nearer(alpha: Alpha, view: View, hull: Doubles, shift: float, *, stands: bool) -> Doubles:
    """The outline of a vehicle seen straight from an end, cut off where its shadow would hang.

    A bumper's foot is seen as far below its lip as it hangs over the floor; a fit that takes the
    camera for nearer than it stood puts it lower. Where tyres are seen to stand (`stands`), the
    lowest of the vehicle is no lip but a tyre, and the light comes in over the floor before it.
    """
    ahead = _end_facing(view)
    low = np.flatnonzero((alpha > 0.5).any(axis=1))
    if abs(ahead) < STRAIGHT or not low.size:
        return hull
    over = BEFORE_TYRES if stands else NEARER * (FRONT_LIP if ahead > 0 else REAR_LIP)
    below = float(low[-1] + 1) + over * view.vehicle_height - shift - view.horizon
    if below <= 0:
        return hull
    nearest = view.focal * view.camera_height / below
    return np.stack([hull[:, 0], np.maximum(hull[:, 1], nearest)], axis=1)


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


def _rounded(footprint: Doubles) -> Doubles:
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


def _legs(alpha: Alpha, view: View) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """Where the silhouette reaches down like a leg on both sides, and stands on its lower hull.

    What hangs above the line of the others (a bumper's corner, an exhaust) is none; but the second
    are the first and the last that hang above their neighbour, as the farther tyres of a quarter
    view do, and are legs where a tyre should be.
    """
    solid = alpha > 0.5
    rows = np.flatnonzero(solid.any(axis=1))
    if not rows.size:
        return (), ()
    tall = view.vehicle_height
    bottom = np.where(solid, np.arange(1, solid.shape[0] + 1)[:, None], 0).max(axis=0)
    body = np.flatnonzero(bottom >= rows[0] + STANDING * tall)
    if body.size < 8:
        return (), ()
    # Beside the body there is nothing: a tyre at its very end has risen there.
    profile = np.pad(bottom[body[0] : body[-1] + 1].astype(np.float64), 1)
    peaks = _peaks(profile, RISES * tall)
    heights = profile[peaks]
    legs, outer = [], []
    for peak, height in zip(peaks, heights, strict=True):
        low = np.flatnonzero(profile < height - PLATEAU * tall)
        first, last = int(low[low < peak].max()) + 1, int(low[low > peak].min())
        if not NARROWEST * tall <= last - first <= WIDEST * tall:
            continue
        leg = Leg(float(body[0] + first - 1), float(body[0] + last - 1), float(height))
        others = peaks != peak
        if others.sum() > 1:
            line = float(np.interp(peak, peaks[others], heights[others]))
            if height < line - PLATEAU * tall:
                if peak in (peaks[0], peaks[-1]):
                    outer.append(leg)
                continue
        legs.append(leg)
    return tuple(legs), tuple(outer)


def _peaks(profile: Doubles, prominence: float) -> npt.NDArray[np.intp]:
    """Middles of the local maxima, flat ones too, that stand out by at least that much.

    What `scipy.signal.find_peaks` finds, which takes one to three seconds to import.
    """
    steps = np.flatnonzero(np.diff(profile))
    first, last = np.r_[0, steps + 1], np.r_[steps, len(profile) - 1]
    level = profile[first]
    found = []
    for i in np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1:
        higher = np.flatnonzero(level > level[i])
        before, after = higher[higher < i], higher[higher > i]
        left = level[before[-1] if before.size else 0 : i].min()
        right = level[i + 1 : after[0] + 1 if after.size else None].min()
        if level[i] - max(left, right) >= prominence:
            found.append((first[i] + last[i]) // 2)
    return np.array(found, np.intp)


def _tyres_of(alpha: Alpha, legs: tuple[Leg, ...], view: View) -> dict[int, Leg]:
    """The leg of each tyre that should be seen, by the tyre's index; not of those lost.

    A tyre beside a low bumper is no leg of the silhouette: it is where the fit says, if the matte
    ends there.
    """
    seen, sides, tall = view.seen(view.tyres), side_facing(view), view.vehicle_height
    found = {}
    for i in _tyres_facing(view):
        x, y = (float(value) for value in seen[i])
        reach = (TYRE_REACH if i in sides else TREAD_REACH) * tall
        near = [
            leg
            for leg in legs
            if abs(leg.middle - x) < reach and abs(leg.row - y) < MOST_OFF * tall
        ]
        if near:
            found[i] = min(near, key=lambda leg: abs(leg.middle - x))
        elif i in sides:
            start, stop = (max(0, round(x + side * TYRE_HALF * tall)) for side in (-1, 1))
            part = alpha[:, start : stop + 1] > 0.5
            bottom = np.where(part, np.arange(1, part.shape[0] + 1)[:, None], 0).max(axis=0)
            lowest = float(bottom.max(initial=0))
            if abs(lowest - y) < AS_FITTED * tall:
                # The fit may reach beyond the vehicle, where nothing touches the floor.
                low = np.flatnonzero(bottom >= lowest - PLATEAU * tall)
                found[i] = Leg(float(start + low[0]), float(start + low[-1] + 1), lowest)
    return found


def _shift(alpha: Alpha, view: View, found: dict[int, Leg]) -> Floats:
    """How far down each column (W,) moves so that the tyres that are found stand on their place."""
    width = alpha.shape[1]
    rows = view.seen(view.tyres)[:, 1]
    anchors = sorted((leg.middle, leg.row - float(rows[i])) for i, leg in found.items())
    if not anchors:
        low = np.flatnonzero((alpha > 0.5).any(axis=1))
        nearest = int(view.footprint[:, 1].argmin())
        over = view.camera_height - (FRONT_LIP if nearest < 2 else REAR_LIP)
        lip = view.horizon + view.focal * over / float(view.footprint[nearest, 1])
        off = float(low[-1] + 1) - max(lip, float(rows.max())) if low.size else 0.0
        limit = MOST_OFF * view.vehicle_height
        return np.full(width, min(max(off, -limit), limit), np.float32)
    xs, offs = zip(*anchors, strict=True)
    return np.asarray(np.interp(np.arange(width), xs, offs), np.float32)


def _tyres_facing(view: View) -> list[int]:
    """Indices of the tyres on the side and the end that face the camera."""
    before = _end_facing(view)
    end = [] if abs(before) < FACES_BEFORE else [0, 1] if before > 0 else [2, 3]
    return sorted({*side_facing(view), *end})


def side_facing(view: View) -> list[int]:
    """Indices of the tyres on the side that faces the camera; none where it hardly does."""
    beside = _facing(view, view.footprint[0] - view.footprint[1])
    if abs(beside) < FACES:
        return []
    return [0, 3] if beside > 0 else [1, 2]


def _end_facing(view: View) -> float:
    """How straight the front points at the camera: 1 at it, -1 where the rear does."""
    return _facing(view, view.footprint[0] - view.footprint[3])


def _facing(view: View, axis: Doubles) -> float:
    """How straight a direction (2,) on the floor points at the camera: 1 at it, -1 away."""
    to_camera = -view.footprint.mean(axis=0)
    return float(axis @ to_camera / (np.hypot(*axis) * np.hypot(*to_camera)))


def resampled(values: Floats, count: int) -> Floats:
    """One value for each of `count` columns of a copy of another width; NaN beside NaN."""
    places = np.linspace(0, values.size - 1, count)
    return np.asarray(np.interp(places, np.arange(values.size), values), np.float32)


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

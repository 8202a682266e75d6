"""Where the camera stood, and where the vehicle stands on its floor: fitted to the matte alone.

A pinhole camera without roll at height `camera_height` looks at a box on four tyres. Lengths are in
vehicle heights, for neither the vehicle nor its distance is known in metres: a floor point (X, Z),
right of the camera and away from it, is seen at x = centre + focal X / Z and
y = horizon + focal camera_height / Z.

The box, its turn and the camera are those that agree best with where the silhouette begins and
ends, with its roof and with the tyres that can be seen, each weighed by how well it can be known
(least squares with priors, by scipy's trust region).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Doubles, Floats

WORK_WIDTH = 640
"""A matte is read at this width."""

PHONE_FOCAL = 0.76
"""Focal length of a phone's main camera in widths of its photo (26 to 28 mm on 35 mm film)."""

EYE_HEIGHT = 0.98
"""Of the vehicle's height: people stand, and hold the phone before their face."""

BODY_BELOW = 0.5  # of the vehicle's height, from its top: mirrors are above, the body's ends below
WHEEL_INSET = 0.03  # of the body's width: tyres stand a little inside of it
FRONT_OVERHANG, REAR_OVERHANG = 0.19, 0.21  # of the length
CORNER = 0.22  # of the width: how much of a body's corner is rounded off, seen from above
ROOF_FRONT, ROOF_REAR, ROOF_SIDE = 0.06, -0.3, 0.33  # of length, length, width from the middle
FRONT_LIP, REAR_LIP = 0.14, 0.17  # how high a bumper hangs over the floor
SEEN = 0.15  # a side is seen that faces the camera by this much (1: straight on)
STRAIGHT = 0.92  # both tyres of an end are only seen by who looks at it this straight

# What is known beforehand: mean and standard deviation.
TURN, TURN_END_ON = 7.0, 1.5  # degrees that an azimuth may be wrong by; an end is told surely
END_ON = 20.0  # degrees from straight before an end
LENGTH, WIDTH = (2.85, 0.25), (1.19, 0.10)
HORIZON = (0.40, 0.12)  # of the photo's height
FOCAL_SPREAD, HEIGHT_SPREAD = 0.06, 0.14
KNOWN_FOCAL_SPREAD, KNOWN_HEIGHT_SPREAD = 0.02, 0.03  # where the set says how high the camera was
EDGE, ROOF, TYRE, END = 0.02, 0.02, 0.012, 0.03  # of the vehicle's height: how well each is seen

NEAREST = 0.3  # vehicle heights: no point is nearer to the camera, whatever a step tries
MOST_TRIES = 15
SCALES = (0.2, 0.1, 0.2, 50.0, 0.3, 0.1, 0.1, 0.1)  # how far the parameters move, about
MOST_ERROR = 1.5
"""A view that fits worse tells nothing of its set."""

DOUBTED, DOUBTS = 0.4, (-25.0, 25.0)
"""Above this error azimuths that are so many degrees away are tried too."""

UNDER = 0.3
"""A car stands on what reaches lowest: where that is so many vehicle heights from any tyre, the
camera is taken for higher than it was."""
LOW_CAMERA, TURN_LOW = (0.45, 0.1), 4.0
"""Height and its deviation of a camera near the floor, as photographers hold it; the azimuth is
trusted more there, for a view turned to the side fits such a silhouette too."""
NEAR_FLOOR = 0.46  # of the vehicle's height: who takes a set standing holds the phone higher
FLAT = 0.01  # of the vehicle's height: so much higher is as low

LENSES, ASIDE = (1.0, 1.6, 2.6, 4.0), (-15.0, 0.0, 15.0)
"""Focal lengths, in those that are expected, and degrees beside the azimuth that are tried where
these two explain no silhouette: photos are zoomed and cropped, and what tells of it is lost."""
ANY_FOCAL_SPREAD, ANY_HORIZON_SPREAD, ANY_HEIGHT_SPREAD = 0.25, 0.3, 0.2
EXPLAINED, STANDS = 0.2, 0.04
"""Error, and how far the lowest tyre is from the silhouette's lowest row in vehicle heights, up to
which a view explains a silhouette."""
LEGS = 0.05  # of the vehicle's height: how far tyres that are seen reach below the bumper between
OFF_COSTS, HARDLY_OFF, ODD_HEIGHT = 10.0, 0.02, 0.5
"""In errors: what being off the floor by a vehicle height costs, from that share on, and how odd a
camera's height is at one more."""

LOWEST_LOW = (-np.inf, -np.inf, 0.2, -np.inf, 1.8, 0.9, -0.6, -0.5)
LOWEST = (-np.inf, -np.inf, 0.35, -np.inf, 1.8, 0.9, -0.6, -0.5)
HIGHEST = (np.inf, np.inf, 1.5, np.inf, 4.0, 1.7, 0.6, 0.5)
"""Where a fit may end; the parameters are those of `_Problem`."""


@dataclass(frozen=True)
class View:
    """A camera and a vehicle on its floor; pixels are those of one picture.

    `footprint` (4, 2) and `tyres` (4, 2) are floor points (X, Z) in vehicle heights: front left,
    front right, rear right, rear left of the vehicle. `error` is the root mean square of what the
    fit leaves, in standard deviations of what it looked at.
    """

    focal: float
    centre: float
    horizon: float
    camera_height: float
    footprint: Doubles
    tyres: Doubles
    vehicle_height: float
    error: float

    def seen(self, floor: Doubles) -> Doubles:
        """Pixels (n, 2) of floor points (n, 2) before the camera."""
        x = self.centre + self.focal * floor[:, 0] / floor[:, 1]
        y = self.horizon + self.focal * self.camera_height / floor[:, 1]
        return np.stack([x, y], axis=1)

    @property
    def distance(self) -> float:
        """From the camera to the vehicle's middle along the floor, in vehicle heights."""
        return float(self.footprint[:, 1].mean())

    def placed(self, scale: float, left: float, top: float) -> "View":
        """The same view on a canvas on which a pixel is `scale` wide and the origin is moved."""
        return replace(
            self,
            focal=self.focal * scale,
            centre=self.centre * scale + left,
            horizon=self.horizon * scale + top,
            vehicle_height=self.vehicle_height * scale,
        )


@dataclass(frozen=True)
class _Outline:
    """What is measured of a silhouette, in pixels of the copy: see `_outline`."""

    left: float
    right: float
    top: float
    height: float
    first: int
    bottom: Floats

    @cached_property
    def lowest(self) -> float:
        return float(self.bottom.max())


def view_of(
    alpha: Alpha,
    azimuth: float | None,
    camera_height: float | None = None,
    focal: float | None = None,
    *,
    any_lens: bool = False,
) -> View | None:
    """The camera that took a photo whose matte is `alpha` (H, W), its vehicle seen from `azimuth`.

    Degrees, 0 the front and 90 the vehicle's left side; None tries eight and takes what fits best.
    `camera_height` is what the other photos of the set say (vehicle heights), `focal` what EXIF
    says (diagonals of the photo), where they do. With `any_lens` the photo may have been zoomed or
    cropped. None where the matte is too small to tell.
    """
    scale = min(1.0, WORK_WIDTH / alpha.shape[1])
    small = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    outline = _outline(np.asarray(small, np.float32))
    if outline is None:
        return None
    known = camera_height is not None

    def problem(tried: float) -> _Problem:
        return _Problem(
            outline,
            np.radians(tried),
            small.shape[1] / 2,
            PHONE_FOCAL * max(small.shape)
            if focal is None
            else focal * float(np.hypot(*small.shape)),
            FOCAL_SPREAD if focal is None and not known else KNOWN_FOCAL_SPREAD,
            camera_height if camera_height is not None else EYE_HEIGHT,
            KNOWN_HEIGHT_SPREAD if known else HEIGHT_SPREAD,
            HORIZON[0] * small.shape[0],
            HORIZON[1] * small.shape[0],
            np.radians(TURN_END_ON if _end_on(tried) else TURN),
        )

    def by_another_lens(tried: float, longer: float) -> View:
        usual = problem(tried)
        return replace(
            usual,
            focal=longer * usual.focal,
            focal_spread=ANY_FOCAL_SPREAD,
            horizon_spread=ANY_HORIZON_SPREAD * small.shape[0],
            height_spread=KNOWN_HEIGHT_SPREAD if known else ANY_HEIGHT_SPREAD,
        ).solved()

    best, tried = _usual(problem, outline, azimuth)
    if any_lens and not _explained(best, outline, tried):
        beside = (0.0,) if _end_on(tried) else ASIDE
        others = [by_another_lens(tried + off, longer) for off in beside for longer in LENSES]
        if _stands(best, outline):  # is never given up for what merely looks more alike
            others = [view for view in others if _stands(view, outline)]
        best = min((best, *others), key=lambda view: _oddity(view, outline))
    return best.placed(1 / scale, 0, 0)


def _usual(
    problem: Callable[[float], "_Problem"], outline: _Outline, azimuth: float | None
) -> tuple[View, float]:
    """The view by the lens that is expected, and the azimuth, or the one that fits best."""

    def seen_from(tried: float) -> tuple[View, float]:
        return problem(tried).solved(), tried

    views = [seen_from(tried) for tried in (range(0, 360, 45) if azimuth is None else (azimuth,))]
    if azimuth is not None and views[0][0].error > DOUBTED and not _end_on(azimuth):
        # The view head is wrong by that much now and then; a silhouette tells.
        views += [seen_from(azimuth + off) for off in DOUBTS]
    if azimuth is not None and not _end_on(azimuth) and _lowest_off(outline, views[0][0]) > UNDER:
        low, spread = LOW_CAMERA
        lower = replace(
            problem(azimuth), camera_height=low, height_spread=spread, turn=np.radians(TURN_LOW)
        ).solved()
        if _lowest_off(outline, lower) < UNDER and lower.error < DOUBTED:
            return lower, azimuth
    best, tried = min(views, key=lambda one: one[0].error)
    return best, tried if azimuth is None else azimuth


def _explained(view: View, outline: _Outline, azimuth: float) -> bool:
    """Whether the silhouette is as the view says, and stands where it does.

    Where a bumper hides the tyres of an end, nothing is seen to stand.
    """
    if _end_on(azimuth) and not _has_legs(outline):
        return True
    return view.error < EXPLAINED and _stands(view, outline)


def _stands(view: View, outline: _Outline) -> bool:
    """Whether its lowest tyre is where the silhouette is lowest."""
    return abs(_off_floor(view, outline)) < STANDS


def _oddity(view: View, outline: _Outline) -> float:
    """How badly a view explains a silhouette, and how unusual its camera is, in errors."""
    odd = abs(view.camera_height / EYE_HEIGHT - 1)
    off = max(0.0, abs(_off_floor(view, outline)) - HARDLY_OFF)
    return view.error + OFF_COSTS * off + ODD_HEIGHT * odd


def _off_floor(view: View, outline: _Outline) -> float:
    """How far the silhouette reaches below the lowest tyre of the view, in vehicle heights."""
    lowest = view.seen(view.tyres)[:, 1].max()
    return (outline.lowest - float(lowest)) / outline.height


def _has_legs(outline: _Outline) -> bool:
    """Whether the silhouette reaches lower at both ends than in its middle."""
    left, middle, right = np.array_split(outline.bottom, 3)
    return bool(min(left.max(), right.max()) - np.median(middle) > LEGS * outline.height)


def _end_on(azimuth: float) -> bool:
    return abs((azimuth + 90) % 180 - 90) < END_ON


def _lowest_off(outline: _Outline, view: View) -> float:
    """How far the nearest tyre is from where the silhouette is lowest, in vehicle heights."""
    bottom = outline.bottom
    lowest = outline.first + np.flatnonzero(bottom >= outline.lowest - FLAT * outline.height)
    tyres = view.seen(view.tyres)[:, 0]
    return float(np.abs(tyres[:, None] - lowest).min()) / outline.height


def set_height(views: Sequence[View]) -> float | None:
    """The camera's height over a set (vehicle heights): the median of the views that tell it.

    Quarter views do, in which two tyres stand at different distances. A camera near the floor was
    put there for one picture and tells nothing of the others. None without any.
    """
    telling = [
        view.camera_height
        for view in views
        if view.error < MOST_ERROR and tells_height(view) and view.camera_height > NEAR_FLOOR
    ]
    return float(np.median(telling)) if telling else None


def tells_height(view: View) -> bool:
    """Whether two tyres of the side that is seen stand at different distances."""
    depths = view.tyres[:, 1]
    across = view.tyres[:, 0]
    along = np.hypot(depths[0] - depths[3], across[0] - across[3])
    return 0.35 < abs(float(depths[0] - depths[3])) / float(along) < 0.95


def _outline(alpha: Alpha) -> _Outline | None:
    """Ends of the body, roof, and for each column between them the lowest solid row."""
    solid = alpha > 0.5
    counts = solid.sum(axis=1)
    rows = np.flatnonzero(counts >= max(2, 0.015 * counts.max(initial=0)))
    if rows.size < 12:
        return None
    top, low = float(rows[0]), float(rows[-1] + 1)
    body = np.flatnonzero(solid[int(top + BODY_BELOW * (low - top)) :].sum(axis=0) >= 2)
    if body.size < 12:
        return None
    first, last = int(body[0]), int(body[-1])
    part = solid[:, first : last + 1]
    bottom = np.where(part, np.arange(1, part.shape[0] + 1)[:, None], 0).max(axis=0)
    return _Outline(float(first), float(last + 1), top, low - top, first, bottom.astype(np.float32))


@dataclass(frozen=True)
class _Problem:
    """The residuals of a fit; parameters are X and log Z of the middle, camera height, horizon (in
    pixels), length, width, turn (radians) and log focal length."""

    outline: _Outline
    azimuth: float
    centre: float
    focal: float
    focal_spread: float
    camera_height: float
    height_spread: float
    horizon: float
    horizon_spread: float
    turn: float

    def solved(self) -> View:
        from scipy.optimize import least_squares  # 0.2 s to import, for vehicles on a scene

        outline = self.outline
        # From here on its height would be right; its near end stands nearer and looks larger.
        distance = self.focal / outline.height + 0.3 + 0.9 * abs(float(np.cos(self.azimuth)))
        x = ((outline.left + outline.right) / 2 - self.centre) / self.focal * distance
        start = np.array(
            [x, np.log(distance), self.camera_height, self.horizon, LENGTH[0], WIDTH[0], 0.0, 0.0]
        )
        found = least_squares(
            self._residuals,
            start,
            bounds=(LOWEST if self.camera_height > LOW_CAMERA[0] else LOWEST_LOW, HIGHEST),
            x_scale=SCALES,
            diff_step=1e-4,
            max_nfev=MOST_TRIES,
        )
        best, residuals = found.x, found.fun
        footprint, tyres = (
            np.stack(self._on_floor(best, body), axis=1) for body in (_CORNERS, _TYRES)
        )
        return View(
            focal=float(self.focal * np.exp(best[7])),
            centre=self.centre,
            horizon=float(best[3]),
            camera_height=float(best[2]),
            footprint=footprint,
            tyres=tyres,
            vehicle_height=outline.height,
            error=float(np.sqrt(np.mean(np.square(residuals[:-6])))),
        )

    def _on_floor(self, p: Doubles, body: slice) -> tuple[Doubles, Doubles]:
        """X and Z (n,) on the floor of these points of _BODY."""
        points, length, width = _BODY[body], p[4], p[5]
        ahead, left = points[:, 0] * length + points[:, 1] * width, points[:, 2] * width
        # Seen from azimuth a, a vehicle's front points towards the camera turned by a: at 0
        # straight at it, at 90, the left side seen, to the picture's left.
        a = self.azimuth + p[6]
        sine, cosine = math.sin(a), math.cos(a)
        x = p[0] - ahead * sine + left * cosine
        return x, np.maximum(math.exp(p[1]) - ahead * cosine - left * sine, NEAREST)

    def _residuals(self, p: Doubles) -> Doubles:
        o = self.outline
        focal = self.focal * math.exp(p[7])
        x, z = self._on_floor(p, _SEEN)
        columns = self.centre + focal * x / z
        hull = columns[_HULL]
        top = (p[3] + focal * (p[2] - 1) / z[_ROOF]).min()
        edge = EDGE * o.height
        residuals = [
            (hull.min() - o.left) / edge,
            (hull.max() - o.right) / edge,
            (top - o.top) / (ROOF * o.height),
            *self._tyre_residuals(p, focal, columns[_TYRES].tolist(), z[_TYRES].tolist()),
            (p[2] - self.camera_height) / self.height_spread,
            (p[3] - self.horizon) / self.horizon_spread,
            (p[4] - LENGTH[0]) / LENGTH[1],
            (p[5] - WIDTH[0]) / WIDTH[1],
            p[6] / self.turn,
            p[7] / self.focal_spread,
        ]
        return np.array(residuals)

    def _tyre_residuals(
        self, p: Doubles, focal: float, columns: Sequence[float], depths: Sequence[float]
    ) -> list[float]:
        """How far below the silhouette each tyre of the sides stands, or above it; and the end.

        Of an end that faces the camera a bumper may hide the tyres: its lowest row is that of the
        tyres or of the bumper's lip, whichever is lower.
        """
        o = self.outline
        a = self.azimuth + p[6]
        sine, cosine = math.sin(a), math.cos(a)
        camera_height, horizon = float(p[2]), float(p[3])
        rows = [horizon + focal * camera_height / z for z in depths]
        reach = max(1, round(0.04 * o.height))
        found = []
        for side, column, row in zip((1, -1, -1, 1), columns, rows, strict=True):
            weight = min(max((side * sine - SEEN) / 0.2, 0.0), 1.0)
            off = 0.0
            if weight:
                middle = round(column) - o.first
                lowest = o.bottom[max(0, middle - reach) : max(0, middle + reach + 1)]
                if lowest.size:
                    off = (float(lowest.max()) - row) / (TYRE * o.height)
            found.append(weight * _huber(off))
        facing = abs(cosine)
        weight = min(max((facing - STRAIGHT) / 0.05, 0.0), 1.0)
        off = 0.0
        if weight:
            front = cosine > 0
            near = slice(0, 2) if front else slice(2, 4)
            overhang = (FRONT_OVERHANG if front else REAR_OVERHANG) * float(p[4]) * facing
            over = FRONT_LIP if front else REAR_LIP
            nearest = max(min(depths[near]) - overhang, NEAREST)
            lip = horizon + focal * (camera_height - over) / nearest
            off = (o.lowest - max(*rows[near], lip)) / (END * o.height)
        found.append(weight * _huber(off))
        return found


def _body() -> Doubles:
    """Points of a vehicle on the floor (n, 3), in slices: ahead of its middle in lengths and in
    widths, and left of it in widths."""
    hull = [
        (sx / 2, -sx * dx, sy * (0.5 - dy))
        for sx in (1, -1)
        for sy in (1, -1)
        for dx, dy in ((0.0, 1.5 * CORNER), (2 * CORNER, 0.0))
    ]
    roof = [
        (along, 0.0, side) for along in (ROOF_FRONT, ROOF_REAR) for side in (ROOF_SIDE, -ROOF_SIDE)
    ]
    ends, sides = (0.5 - FRONT_OVERHANG, REAR_OVERHANG - 0.5), 0.5 - WHEEL_INSET
    tyres, corners = (
        [(front, 0.0, y), (front, 0.0, -y), (rear, 0.0, -y), (rear, 0.0, y)]
        for (front, rear), y in ((ends, sides), ((0.5, -0.5), 0.5))
    )
    return np.array([*hull, *roof, *tyres, *corners])


_BODY = _body()
_HULL, _ROOF, _TYRES, _CORNERS = slice(0, 8), slice(8, 12), slice(12, 16), slice(16, 20)
_SEEN = slice(0, 16)


def _huber(off: float) -> float:
    """A residual whose square grows linearly from 2 on: what is lost in shadow pulls no harder."""
    size = abs(off)
    return off if size < 2 else math.copysign(math.sqrt(4 * size - 4), off)

"""Locates a close-up on a picture of the whole vehicle.

Local features of both pictures are matched, and one affine map from the close-up to the view is
fitted to many of them, in position, size and direction. A wrong location is worse than none: what
repeats (spokes, grille bars, the other wheel) does not count, and a second location that fits
nearly as well rules out both.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], points (N, 2) as x, y, quads
(4, 2) in pixels of their picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.studio.camera import MOST_ERROR, View
from okla_assets.imaging.studio.floor import side_facing
from okla_assets.imaging.types import Alpha, Bools, Floats, Rgb

Indices = npt.NDArray[np.intp]

# A close-up magnifies: most of its fine detail is not on the view at all.
CLOSE_UP_SIDE, CLOSE_UP_FEATURES = 640, 2000
VIEW_SIDE, VIEW_FEATURES = 1600, 4000
CONTRAST, EDGE = 0.015, 12  # SIFT's thresholds; paint and glass have faint features only
NEAR, OCTAVES = 64, 64  # pixels: what a feature is made from around it, and SIFT's coarsest step
PLATE_MARGIN = 0.25  # of the plate: its rim and its filling are alike on all vehicles

# Wheels stand on the ground and are all alike: only what is around a wheel distinguishes it. As
# shares of the vehicle's height; degrees that its ground line may slope.
WHEEL_RADIUS, WHEEL_COVER = 0.22, 0.27
MOST_SLOPE = 35
TYRE_OFF = 0.35  # how far a wheel may be from where the camera's fit says that its tyre stands

DISTINCT = 0.9  # of the distance to the second most similar feature, in either picture
MOST_TURN = 35.0  # degrees: people hold the camera about upright
TURN_TOLERANCE = 25.0
SIZE_TOLERANCE = 1.7
OVERLAY = 0.012  # of the picture: a match that moves less than this is a watermark's
TOLERANCE = 0.008  # of the view's longer side: parts of a car are not flat
MOST_STRETCH = 2.5
GRID = 5

# What it takes to be accepted. Set by measurement: close-ups of other vehicles reach 3 matches,
# the wrong wheel of the same vehicle 12 on 4 % of the close-up's area.
LEAST_MATCHES = 14
LEAST_OFF_WHEELS = 8
LEAST_CELLS = 6
LEAST_AREA = 0.06
MOST_RIVAL = 0.5
MOST_SPAN = 1.0
# What it takes on each of two views that agree on the place.
LIKELY_MATCHES, LIKELY_OFF_WHEELS, LIKELY_CELLS, LIKELY_AREA = 8, 5, 4, 0.025
AGREE = 0.05  # of the view's width: so far apart two views may see one place
RIVAL_FROM = 6  # matches from which on a second location is searched for
ALIGNED = 30  # matches between a photo and the spin frame made of it


@dataclass(frozen=True)
class Features:
    """Local features of one picture: positions, sizes, directions in degrees, RootSIFT descriptors.

    `points` (N, 2) and `sizes` (N,) are in pixels of a copy of `width` x `height`; descriptors
    (N, 128) have unit length. `vehicle` (height, width) is True where the vehicle is; `wheels`
    (K, 3) are discs x, y, radius in which its wheels may be.
    """

    points: Floats
    sizes: Floats
    angles: Floats
    descriptors: Floats
    vehicle: Bools
    wheels: Floats

    @property
    def width(self) -> int:
        return int(self.vehicle.shape[1])

    @property
    def height(self) -> int:
        return int(self.vehicle.shape[0])


@dataclass(frozen=True)
class LocatedCloseUp:
    """Where a close-up's middle lies on a view: x, y as shares of the view's picture.

    `matches` features agree on it, `off_wheels` of them outside whichever wheel has most; on the
    close-up they lie in `cells` of 5 x 5 fields and enclose `area` of it. `rival` is how many agree
    on another location on the same view, searched for from RIVAL_FROM matches on. `span` is the
    close-up's width as a share of the view's.
    """

    x: float
    y: float
    matches: int
    off_wheels: int
    cells: int
    area: float
    rival: int
    span: float
    on_vehicle: bool

    @property
    def ambiguous(self) -> bool:
        """Whether another location on the same view fits nearly as well."""
        return self.rival > MOST_RIVAL * self.matches

    @property
    def likely(self) -> bool:
        """Whether it may be shown where a second view, from elsewhere, agrees with it."""
        return (
            self.matches >= LIKELY_MATCHES
            and self.off_wheels >= LIKELY_OFF_WHEELS
            and self.cells >= LIKELY_CELLS
            and self.area >= LIKELY_AREA
            and self.span <= MOST_SPAN
            and self.on_vehicle
            and not self.ambiguous
        )

    @property
    def accepted(self) -> bool:
        """Whether the location may be shown to a buyer."""
        return (
            self.matches >= LEAST_MATCHES
            and self.off_wheels >= LEAST_OFF_WHEELS
            and self.cells >= LEAST_CELLS
            and self.area >= LEAST_AREA
            and self.span <= MOST_SPAN
            and self.on_vehicle
            and not self.ambiguous
        )


def close_up_features(picture: Rgb, plates: Sequence[Floats] = ()) -> Features:
    """Features of a close-up, plates left out."""
    return _features(picture, CLOSE_UP_SIDE, CLOSE_UP_FEATURES, None, plates)


def view_features(
    picture: Rgb,
    alpha: Alpha,
    plates: Sequence[Floats] = (),
    *,
    from_end: bool = False,
    camera: View | None = None,
) -> Features:
    """Features of a view on the vehicle's matte, plates left out.

    `from_end` says that it shows front or rear: the wheels' faces are out of sight. The `camera`
    tells wheels from corners of a bumper.
    """
    found = _features(picture, VIEW_SIDE, VIEW_FEATURES, alpha, plates)
    if from_end or not found.vehicle.any():
        return found
    wheels = _wheels(found.vehicle)
    if camera is not None and camera.error <= MOST_ERROR:
        wheels = _on_tyres(wheels, camera.placed(found.width / picture.shape[1], 0, 0))
    return replace(found, wheels=wheels)


def frame_features(picture: Rgb) -> Features:
    """Features of a spin frame; its scene is too smooth to have any."""
    return _features(picture, VIEW_SIDE, VIEW_FEATURES, None, ())


def locate(close_up: Features, view: Features) -> LocatedCloseUp | None:
    """The best location of the close-up on the view; None where no map fits at all."""
    similarity = close_up.descriptors @ view.descriptors.T
    best = _fit(close_up, view, similarity, np.ones(len(view.points), bool))
    if best is None:
        return None
    rival = None
    if best.matches >= RIVAL_FROM:
        away = np.linalg.norm(view.points - best.centre, axis=1) > best.radius
        rival = _fit(close_up, view, similarity, away)
    x, y = best.map @ (close_up.width / 2, close_up.height / 2, 1)
    inside = 0 <= x < view.width and 0 <= y < view.height
    return LocatedCloseUp(
        x=float(x / view.width),
        y=float(y / view.height),
        matches=best.matches,
        off_wheels=best.off_wheels,
        cells=best.cells,
        area=best.area,
        rival=0 if rival is None else rival.matches,
        span=best.scale * close_up.width / view.width,
        on_vehicle=bool(inside and view.vehicle[int(y), int(x)]),
    )


def choose(located: Sequence[LocatedCloseUp | None]) -> int | None:
    """Index of the view to show a close-up on, given its location on each; None for none.

    A close-up that is ambiguous on one view, such as a wheel on a side view, is so on all: a view
    from the front quarter shows one wheel well and the other hardly.
    """
    found = [(one.matches, -i) for i, one in enumerate(located) if one and one.accepted]
    if not found or any(one.ambiguous for one in located if one):
        return None
    return -max(found)[1]


def choose_agreed(
    located: Sequence[LocatedCloseUp | None],
    carry: Callable[[int, int], tuple[float, float] | None],
) -> int | None:
    """Index of the better of two views on which a close-up is likely at one and the same place.

    `carry(i, j)` is where the place on view i is seen on view j (shares of its picture), None where
    it is not. As in `choose`, a close-up that is ambiguous on one view has no place.
    """
    if any(one.ambiguous for one in located if one):
        return None
    likely = [(i, one) for i, one in enumerate(located) if one and one.likely]
    agreed = []
    for i, one in likely:
        for j, other in likely:
            point = carry(i, j) if j != i and other.matches <= one.matches else None
            if point and np.hypot(point[0] - other.x, point[1] - other.y) <= AGREE:
                agreed.append((one.matches, -i))
    return -max(agreed)[1] if agreed else None


def map_to_frame(
    x: float, y: float, photo: Features, frame: Features
) -> tuple[float, float] | None:
    """A point of a photo (shares of it) on the spin frame made of that photo; None if not found.

    The frame is the same picture, moved, scaled and lit, so that hundreds of features agree.
    """
    similarity = photo.descriptors @ frame.descriptors.T
    same = _fit(photo, frame, similarity, np.ones(len(frame.points), bool), may_stay=True)
    if same is None or same.matches < ALIGNED:
        return None
    left, top = same.map @ (x * photo.width, y * photo.height, 1)
    if not (0 <= left < frame.width and 0 <= top < frame.height):
        return None
    return float(left / frame.width), float(top / frame.height)


def _features(
    picture: Rgb, side: int, most: int, alpha: Alpha | None, plates: Sequence[Floats]
) -> Features:
    """RootSIFT (Arandjelovic and Zisserman, CVPR 2012), strongest first, one a point and size."""
    factor = min(1.0, side / max(picture.shape[:2]))
    width, height = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    vehicle = np.ones((height, width), bool)
    if alpha is not None:
        vehicle = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA) >= 0.5
    allowed = vehicle.astype(np.uint8)
    for quad in plates:
        middle = quad.mean(axis=0)
        padded = middle + (quad - middle) * (1 + 2 * PLATE_MARGIN)
        cv2.fillConvexPoly(allowed, np.rint(padded * factor).astype(np.int32), (0,))
    left, top, right, bottom = _around(allowed)
    grey = cv2.cvtColor(small[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT.create(contrastThreshold=CONTRAST, edgeThreshold=EDGE)
    found, plain = sift.detectAndCompute(grey, allowed[top:bottom, left:right])
    strongest: dict[tuple[int, int, int], int] = {}
    for i in sorted(range(len(found)), key=lambda i: -found[i].response):
        point = found[i]
        strongest.setdefault((round(point.pt[0]), round(point.pt[1]), round(2 * point.size)), i)
    chosen = list(strongest.values())[:most]
    points = [found[i] for i in chosen]
    descriptors = np.zeros((0, 128), np.float32)
    if chosen:
        plain = plain[chosen]
        descriptors = np.sqrt(plain / np.maximum(plain.sum(axis=1, keepdims=True), 1e-6))
    return Features(
        points=np.array([p.pt for p in points], np.float32).reshape(-1, 2)
        + np.array([left, top], np.float32),
        sizes=np.array([p.size for p in points], np.float32),
        angles=np.array([p.angle for p in points], np.float32),
        descriptors=descriptors.astype(np.float32),
        vehicle=np.asarray(vehicle, bool),
        wheels=np.zeros((0, 3), np.float32),
    )


def _around(allowed: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a picture that features on its `allowed` pixels
    are made from. Its corner lies on the grid of each of SIFT's octaves, so that they stay the
    same."""
    height, width = allowed.shape
    x, y, w, h = cv2.boundingRect(allowed)
    if not w:
        return 0, 0, width, height
    left, top = (max(0, start - NEAR) // OCTAVES * OCTAVES for start in (x, y))
    return left, top, min(width, x + w + NEAR), min(height, y + h + NEAR)


def _wheels(vehicle: Bools) -> Floats:
    """Discs (K, 3) above the points on which the silhouette would rest, were it on the ground.

    These are its lowest points for all directions within MOST_SLOPE of straight down: the wheels,
    and from some sides a corner of the bumper.
    """
    rows = np.flatnonzero(vehicle.any(axis=1))
    height = int(rows[-1] - rows[0]) + 1
    first = vehicle[rows].argmax(axis=1)
    last = vehicle.shape[1] - 1 - vehicle[rows, ::-1].argmax(axis=1)
    ends = np.stack([np.concatenate([first, last]), np.tile(rows, 2)], axis=1)
    hull = cv2.convexHull(ends.astype(np.int32))[:, 0, :]
    slopes = np.radians(np.arange(-MOST_SLOPE, MOST_SLOPE + 1))
    down = np.stack([np.sin(slopes), np.cos(slopes)])
    lowest = hull[np.unique((hull @ down).argmax(axis=0))]
    discs = np.full((len(lowest), 3), WHEEL_COVER * height, np.float32)
    discs[:, :2] = lowest - (0, WHEEL_RADIUS * height)
    return discs


def _on_tyres(wheels: Floats, camera: View) -> Floats:
    """The discs above tyres of the side that faces the camera; all where the nearer has none."""
    tyres = camera.seen(camera.tyres)[side_facing(camera)]
    if not len(tyres):
        return wheels
    standing = wheels[:, :2] + [0, WHEEL_RADIUS / WHEEL_COVER] * wheels[:, 2:]
    off = np.linalg.norm(standing[:, None] - tyres[None], axis=2)
    near = off <= TYRE_OFF * camera.vehicle_height
    told = near[:, tyres[:, 1].argmax()].any()
    return np.asarray(wheels[near.any(axis=1)] if told else wheels, np.float32)


@dataclass(frozen=True)
class _Fit:
    """An affine map (2, 3) in pixels, and what agrees on it; `centre` and `radius` on the view."""

    map: npt.NDArray[np.float64]
    scale: float
    matches: int
    off_wheels: int
    cells: int
    area: float
    centre: Floats
    radius: float


def _fit(
    close_up: Features, view: Features, similarity: Floats, usable: Bools, *, may_stay: bool = False
) -> _Fit | None:
    """One affine map that the matches follow; only the view's `usable` features may take part.

    What is at the same position of both pictures is a watermark, unless it `may_stay`.
    """
    mine, theirs = _matches(close_up, view, similarity, usable)
    if not may_stay:
        share = close_up.points[mine] / (close_up.width, close_up.height)
        moved = share - view.points[theirs] / (view.width, view.height)
        stays = np.abs(moved).max(axis=1, initial=0) <= OVERLAY
        mine, theirs = mine[~stays], theirs[~stays]
    if len(mine) < 4:
        return None
    source, target = close_up.points[mine], view.points[theirs]
    tolerance = TOLERANCE * max(view.width, view.height)
    matrix, _ = cv2.estimateAffine2D(
        source,
        target,
        method=cv2.USAC_MAGSAC,
        ransacReprojThreshold=tolerance,
        maxIters=4000,
        confidence=0.999,
    )
    if matrix is None or np.linalg.det(matrix[:, :2]) <= 1e-6:
        return None
    left, stretches, right = np.linalg.svd(matrix[:, :2])
    rotation = left @ right
    turn = np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))
    scale = float(np.sqrt(stretches[0] * stretches[1]))
    if stretches[0] > MOST_STRETCH * stretches[1] or abs(turn) > MOST_TURN:
        return None
    mapped = source @ matrix[:, :2].T + matrix[:, 2]
    agree = np.linalg.norm(mapped - target, axis=1) <= tolerance
    agree &= np.abs(_turn(close_up.angles[mine], view.angles[theirs] - turn)) <= TURN_TOLERANCE
    growth = view.sizes[theirs] / close_up.sizes[mine] / scale
    agree &= np.abs(np.log(growth)) <= np.log(SIZE_TOLERANCE)
    if not agree.any():
        return None
    source, target = source[agree], target[agree]
    matches = _count_matches(source, target)
    off_wheels = matches
    for x, y, radius in view.wheels:
        off = np.hypot(target[:, 0] - x, target[:, 1] - y) > radius
        off_wheels = min(off_wheels, _count_matches(source[off], target[off]))
    fields = np.floor(source / (close_up.width, close_up.height) * GRID)
    centre = target.mean(axis=0)
    return _Fit(
        map=np.asarray(matrix, np.float64),
        scale=scale,
        matches=matches,
        off_wheels=off_wheels,
        cells=len(np.unique(fields, axis=0)),
        area=cv2.contourArea(cv2.convexHull(source)) / (close_up.width * close_up.height),
        centre=centre,
        radius=float(np.linalg.norm(target - centre, axis=1).max()) + 3 * tolerance,
    )


def _matches(
    close_up: Features, view: Features, similarity: Floats, usable: Bools
) -> tuple[Indices, Indices]:
    """Pairs that are each other's most similar, and clearly so (Lowe's ratio, both ways).

    Asking both ways drops what repeats within the close-up, such as the spokes of a wheel.
    """
    nothing = np.zeros(0, np.intp)
    if len(close_up.points) < 2 or usable.sum() < 2:
        return nothing, nothing
    columns = np.flatnonzero(usable)
    among = similarity if usable.all() else similarity[:, columns]
    nearest, clear = _clear_nearest(among)
    mine = np.flatnonzero(clear)
    back, clear_back = _clear_nearest(np.ascontiguousarray(among[:, nearest[mine]].T))
    mine = mine[clear_back & (back == mine)]
    theirs = columns[nearest[mine]]
    upright = np.abs(_turn(close_up.angles[mine], view.angles[theirs])) <= MOST_TURN + 10
    return mine[upright], theirs[upright]


def _clear_nearest(similarity: Floats) -> tuple[Indices, Bools]:
    """For each row its most similar column, and whether the second is clearly less so."""
    rows = np.arange(len(similarity))
    nearest = similarity.argmax(axis=1)
    first = similarity[rows, nearest]
    similarity[rows, nearest] = -1
    second = similarity.max(axis=1)
    similarity[rows, nearest] = first
    # Of unit vectors the squared distance is 2 - 2 x their product.
    return nearest, np.asarray(1 - first < DISTINCT**2 * (1 - second))


def _turn(before: Floats, after: Floats) -> Floats:
    """Degrees from one direction to the other, in -180..180."""
    return np.asarray((after - before + 180) % 360 - 180, np.float32)


def _count_matches(source: Floats, target: Floats) -> int:
    """Number of matches, those of several sizes at one point counted as one."""
    counts = [len(np.unique(np.rint(p / cell), axis=0)) for p, cell in ((source, 4), (target, 3))]
    return min(counts)

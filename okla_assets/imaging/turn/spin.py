"""The 360 set: one turn of pictures in one studio, in one light, stabilised.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1]; positions are in pixels, where 0
is the outer edge of the first pixel. Azimuths are the vehicle's own: 0 its front, 90 its left side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.studio.placement import (
    MOST_UPSCALE,
    Placement,
    wheel_line,
)
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.turn.walkaround import MOST_GAP, apart, gaps_of
from okla_assets.imaging.types import Alpha, Doubles, Floats, Rgb

WIDEST_CANVAS = 1280
FIRST_AZIMUTH = 45.0  # the front quarter, nose to the left: how a listing shows a car first
FEWEST = 8  # pictures that make a spin
SAME_VIEW = 5.0  # degrees: photos nearer than this show the same
WIDEST_GAP = 20.0  # degrees: a wider one is seen as a jump, and a person should look
HEIGHT = 0.52  # of the canvas: a vehicle's height, which keeps the scale of a turn
WIDEST = 0.92  # of the canvas's width: no vehicle is wider
HIGHEST_ROOF = 0.06  # of the canvas: above this no roof goes

# The box of a vehicle in heights: its length, its width, and how much of its depth on the floor
# a camera above it sees.
LENGTHS = np.linspace(2.2, 3.6, 8)
WIDTHS = np.linspace(1.0, 1.5, 6)
ELEVATIONS = np.linspace(0.0, 0.5, 11)
DISTANCE_SIGMA = 25.0  # degrees: a walking person's distance changes no faster
GROUND_SIGMA = 15.0  # degrees
MOST_STRAY = 25.0  # degrees from a frame to the next: farther apart a stray cannot be told
DEPTH_SHARE = 0.5  # of the depth on the floor lies in front of the axis that the vehicle turns on


@dataclass(frozen=True)
class Stand:
    """Where a vehicle stands in its picture: left, right, top and ground, to parts of a pixel."""

    left: float
    right: float
    top: float
    ground: float

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.ground - self.top


@dataclass(frozen=True)
class Steady:
    """Canvas size, and how each picture goes on it: x' = scale x + dx, y' = scale y + dy."""

    width: int
    height: int
    moves: tuple[tuple[float, float, float], ...]


def stand_of(alpha: Alpha) -> Stand:
    """Where the solid part of a matte stands, as `placement.extent` but between the pixels.

    Raises ValueError on a matte that is empty but for stray pixels.
    """
    columns, rows = alpha.sum(axis=0), alpha.sum(axis=1)
    left, right = _span(columns, max(2.0, 0.01 * float(columns.max())))
    top, ground = _span(rows, max(2.0, 0.015 * float(rows.max())))
    return Stand(left, right, top, ground)


def _span(profile: Floats, least: float) -> tuple[float, float]:
    """Where a profile first rises over `least` and last falls under it.

    Raises ValueError where it stays under it.
    """
    over = np.flatnonzero(profile >= least)
    if not over.size:
        raise ValueError("the matte is empty")
    first, last = int(over[0]), int(over[-1])

    def crossing(inside: int, outside: int) -> float:
        low = float(profile[outside]) if 0 <= outside < profile.size else 0.0
        return (least - low) / max(float(profile[inside]) - low, 1e-6)

    return first + crossing(first, first - 1) - 0.5, last + 1.5 - crossing(last, last + 1)


def turn_order(azimuths: Sequence[float], direction: int) -> list[int]:
    """Indices of a walk's pictures such that azimuths increase, beginning at the front quarter.

    `direction` is -1 where azimuths fall along the walk.
    """
    order = list(range(len(azimuths)))[::direction]
    first = min(range(len(order)), key=lambda i: apart(azimuths[order[i]], FIRST_AZIMUTH))
    return order[first:] + order[:first]


def first_of(azimuths: Sequence[float]) -> float:
    """The azimuth that a turn begins with."""
    return min(azimuths, key=lambda azimuth: apart(azimuth, FIRST_AZIMUTH))


def fillers(azimuths: Sequence[float], others: Sequence[float]) -> list[int]:
    """Indices of the `others` that lie in the gaps of a turn which are wider than WIDEST_GAP.

    Of those in one gap the one nearest its middle is taken, until it is narrow enough. None is
    nearer to a picture of the turn than SAME_VIEW.
    """
    turn = sorted(azimuths)
    chosen: list[int] = []
    while True:
        found = []
        for start, gap in zip(turn, gaps_of(turn), strict=True):
            if gap <= WIDEST_GAP:
                continue
            inside = [(i, (other - start) % 360) for i, other in enumerate(others)]
            inside = [(i, at) for i, at in inside if SAME_VIEW <= at <= gap - SAME_VIEW]
            if inside:
                found.append(min(inside, key=lambda one: abs(one[1] - gap / 2))[0])
        if not found:
            return chosen
        chosen += found
        turn = sorted([*turn, *(others[i] for i in found)])


def flaws(azimuths: Sequence[float]) -> tuple[str, ...]:
    """What a person should know of a turn, azimuths increasing: its widest gap, a missing front."""
    found = []
    gaps = gaps_of(azimuths)
    widest = max(gaps)
    if widest > WIDEST_GAP:
        start = azimuths[gaps.index(widest)]
        found.append(
            f"the 360 view jumps by {widest:.0f} degrees, from {start:.0f} to "
            f"{(start + widest) % 360:.0f} (0 is the front); more than {WIDEST_GAP:.0f} is seen"
        )
    nearest = min(apart(azimuth, 0.0) for azimuth in azimuths)
    if nearest > WIDEST_GAP / 2:
        found.append(
            "the 360 view lacks the front: the picture nearest to it is taken from "
            f"{nearest:.0f} degrees beside it"
        )
    return tuple(found)


def round_the_vehicle(azimuths: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Photos that make a turn, as indices in the order of `turn_order`; empty where they do not.

    Of photos that show the same view the one with the best score is taken. At least FEWEST have to
    remain, and no gap between neighbours may be wider than MOST_GAP.
    """
    chosen: list[int] = []
    for i in sorted(range(len(azimuths)), key=lambda i: -scores[i]):
        if all(apart(azimuths[i], azimuths[j]) >= SAME_VIEW for j in chosen):
            chosen.append(i)
    chosen.sort(key=lambda i: azimuths[i])
    if len(chosen) < FEWEST or not closes([azimuths[i] for i in chosen]):
        return []
    return [chosen[i] for i in turn_order([azimuths[i] for i in chosen], 1)]


def closes(azimuths: Sequence[float]) -> bool:
    """Whether a turn, azimuths increasing, has no gap wider than MOST_GAP."""
    return max(gaps_of(azimuths), default=360.0) <= MOST_GAP


def why_not(kind: str, count: int) -> str:
    """The sentence for a set of pictures that makes no spin."""
    return (
        f"a 360 view needs at least {FEWEST} {kind} of the whole vehicle from all around it, with "
        f"no gap wider than {MOST_GAP:.0f} degrees; {count} can be used"
    )


def steady(
    stands: Sequence[Stand],
    azimuths: Sequence[float],
    max_width: int,
    aspect: float,
    *,
    walked: Sequence[bool] | None = None,
) -> Steady:
    """One canvas for the whole turn, and each picture's position on it.

    The vehicle's middle stays on the canvas's middle and its tyres on a ground line that moves only
    as the perspective of a turning vehicle asks. The scale follows the camera's distance: the box's
    size after the vehicle's own proportions are taken out of it; for the frames of a walk, those
    that `walked` says (None: all), it changes as slowly as a person walks, for photos it is each
    one's own. No picture is enlarged beyond MOST_UPSCALE.
    """
    widths = np.array([s.width for s in stands])
    heights = np.array([s.height for s in stands])
    unit, depth = _camera(widths, heights, azimuths)
    along = np.ones(len(stands), bool) if walked is None else np.asarray(walked, bool)
    if along.any():
        unit[along] = np.exp(_smoothed(np.log(unit[along]), DISTANCE_SIGMA))
        depth[along] = _smoothed(depth[along], GROUND_SIGMA)
    line = wheel_line(aspect)
    # Canvas widths to a vehicle's height:
    size = min(
        HEIGHT / aspect / float(np.median(heights / unit)),
        WIDEST / float((widths / unit).max()),
        (line - HIGHEST_ROOF) / aspect / float((heights / unit).max()),
    )
    largest = MOST_UPSCALE / float((size / unit).max())
    width = min(WIDEST_CANVAS, max_width, int(largest))
    width -= width % 2
    height = round(width / aspect)
    ground = line * height + size * width * DEPTH_SHARE * (depth - depth.mean())
    moves = []
    for stand, its_unit, its_ground in zip(stands, unit, ground, strict=True):
        scale = size * width / float(its_unit)
        moves.append((scale, width / 2 - scale * stand.centre, its_ground - scale * stand.ground))
    return Steady(width, height, tuple((float(s), float(x), float(y)) for s, x, y in moves))


def _camera(
    widths: Doubles, heights: Doubles, azimuths: Sequence[float]
) -> tuple[Doubles, Doubles]:
    """Pixels that the vehicle's own height takes in each picture, and depth on the floor in such
    heights.

    A box of length L and width W (in heights) seen from azimuth a under a low camera is
    L |sin a| + W |cos a| wide and 1 + e (L |cos a| + W |sin a|) high. L, W and e are those that fit
    the boxes' proportions best, which the distance does not touch; the size is what remains.
    """
    sine = np.abs(np.sin(np.radians(azimuths)))
    cosine = np.abs(np.cos(np.radians(azimuths)))
    best: tuple[float, Doubles, Doubles] | None = None
    for length, width, elevation in product(LENGTHS, WIDTHS, ELEVATIONS):
        across = length * sine + width * cosine
        depth = elevation * (length * cosine + width * sine)
        error = float(np.abs(np.log(widths / heights * (1 + depth) / across)).mean())
        if best is None or error < best[0]:
            best = error, across, depth
    assert best is not None
    _, across, depth = best
    return np.sqrt(widths / across * (heights / (1 + depth))), depth


def _smoothed(values: Doubles, sigma: float) -> Doubles:
    """A Gaussian mean of `sigma` degrees round the circle, after a median of three that takes out
    single strays."""
    from scipy import ndimage  # 0.1 s to import, for vehicles with a spin

    apart = 360.0 / values.size
    offsets = np.arange(values.size) - values.size // 2
    kernel = np.exp(-0.5 * (offsets * apart / sigma) ** 2)
    middle = ndimage.median_filter(values, 3, mode="wrap") if apart <= MOST_STRAY else values
    return np.asarray(ndimage.correlate1d(middle, kernel / kernel.sum(), mode="wrap"))


def rows_of(
    views: Sequence[View | None], canvas: Steady, aspect: float
) -> tuple[float, float] | None:
    """The rows of `Look` for the whole turn; None where no picture has a view."""
    placed = [v.placed(*m) for v, m in zip(views, canvas.moves, strict=True) if v is not None]
    if not placed:
        return None
    horizon = float(np.median([view.horizon for view in placed])) / canvas.height
    return horizon, wheel_line(aspect)


def finish(
    picture: Rgb,
    alpha: Alpha,
    canvas: Steady,
    position: int,
    view: View | None,
    look: Look,
) -> Rgb:
    """The picture's vehicle on the scene, stabilised as `canvas` has it.

    `view` is the picture's own camera.
    """
    move = canvas.moves[position]
    moved = moved_to(picture, move, canvas.width, canvas.height, cv2.INTER_CUBIC)
    matte = moved_to(alpha, move, canvas.width, canvas.height, cv2.INTER_LINEAR)
    as_is = Placement(canvas.width, canvas.height, 1.0, 0, 0)
    return studio.compose(
        np.asarray(moved, np.uint8),
        np.asarray(matte, np.float32),
        as_is,
        None if view is None else view.placed(*move),
        look,
    )


def moved_to(
    pixels: Rgb | Alpha,
    move: tuple[float, float, float],
    width: int,
    height: int,
    method: int,
) -> npt.NDArray[np.integer[Any] | np.floating[Any]]:
    """Pixels (H, W) or (H, W, 3) on a canvas of the given size, moved by parts of a pixel."""
    scale, dx, dy = move
    across, down = 1.0, 1.0
    if scale < 1:
        # Shrinking by area first: a warp alone would leave out pixels.
        old_height, old_width = pixels.shape[:2]
        new = max(1, round(old_width * scale)), max(1, round(old_height * scale))
        across, down = new[0] / old_width, new[1] / old_height
        pixels = cv2.resize(pixels, new, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    x_scale, y_scale = scale / across, scale / down
    matrix = np.array(
        [
            [x_scale, 0, dx + 0.5 * x_scale - 0.5],
            [0, y_scale, dy + 0.5 * y_scale - 0.5],
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            pixels,
            matrix,
            (width, height),
            flags=method,
            borderMode=cv2.BORDER_REPLICATE if pixels.ndim == 3 else cv2.BORDER_CONSTANT,
        )
    )

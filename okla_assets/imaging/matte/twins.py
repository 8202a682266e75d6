"""A vehicle seen from front or rear is nearly its own mirror image: one mirror tells of the other.

Where the matte has one of the two door mirrors, SAM 2 is asked where the other must be, and its
answer counts where it has the shape of the first, turned round. What is still missing is named.

Mattes bool (H, W), points and lengths in pixels of one crop, as in `matte.parts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from okla_assets.imaging.matte import prompts
from okla_assets.imaging.matte.cutout import dilated
from okla_assets.imaging.matte.parts import pieces
from okla_assets.imaging.types import Alpha, Bools

WORK_WIDTH = 400  # pixels: shapes this coarse are enough to tell a view and find its mirrors
BODY = 0.1  # of the vehicle's width: what is thinner sticks out of the body
AXIS_ROWS = (0.3, 0.9)  # of the height: where the body's middle is measured
COMPARED = 0.75  # of the height from above: floor and tyres are not compared
LEAST_SYMMETRY = 0.94  # IoU of the body with its mirror image; quarter views have .93 at most
LEAST_HEIGHT, MOST_HEIGHT = 0.6, 1.1  # of the width: side views are lower
MIRROR_ROWS = (0.1, 0.42)  # of the height: where door mirrors are; low on vans
MIRROR_REACH = 0.3  # of the width, least distance from the axis
LEAST_MIRROR, STUMP = 0.002, 0.0008  # of the vehicle's area: a mirror, what is left of one
ALONE = 0.25  # of the larger one's area: less is no second mirror
FIN = 0.2  # of the width: how far from the axis a fin or an antenna stands
AROUND = 0.06  # of the width: how far from its place a twin may lie, and reach
LEAST_MATCH = 0.5  # IoU of a twin with the first's mirror image, both on one centre
GRAIN = 0.006  # of the width: a little more than a cell of the network's answer
CLINGS = 0.012  # of the width: how far from the twin's shape its own edge may run
CONTACT = 0.012  # of the width: between a mirror and the body
LEAST_SCORE = 0.25
"""Low: the shape decides. Of three answers the network likes those that take the car behind."""


@dataclass(frozen=True)
class Facing:
    """A front or rear view: the column of its axis, the vehicle's width and area in pixels, and
    what sticks out as mirrors do.

    `left` and `right` are sides of the picture.
    """

    axis: float
    width: int
    area: int
    left: Bools
    right: Bools

    @property
    def mirrors(self) -> int:
        """How many door mirrors stick out, stumps included."""
        return sum(bool(side.sum() >= STUMP * self.area) for side in (self.left, self.right))


def facing(matte: Bools) -> Facing | None:
    """The view's symmetry; None where the vehicle is not seen from front or rear."""
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    high, wide = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    if not LEAST_HEIGHT <= high / wide <= MOST_HEIGHT:
        return None
    part = matte[top : top + high, left : left + wide].astype(np.uint8)
    height = round(WORK_WIDTH * high / wide)
    small = cv2.resize(part, (WORK_WIDTH, height), interpolation=cv2.INTER_AREA)
    side = int(BODY * WORK_WIDTH) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    body = np.asarray(cv2.morphologyEx(small, cv2.MORPH_OPEN, kernel), np.uint8)
    first, last = (round(share * height) for share in AXIS_ROWS)
    level = body[first:last]
    filled = level.any(axis=1)
    ends = level.argmax(axis=1) + WORK_WIDTH - 1 - level[:, ::-1].argmax(axis=1)
    if not filled.any():
        return None
    axis = float(np.median(ends[filled])) / 2
    seen = body[: round(COMPARED * height)] > 0
    image = _mirrored(seen, axis)
    if (seen & image).sum() < LEAST_SYMMETRY * (seen | image).sum():
        return None
    sides = {-1: np.zeros(matte.shape, bool), 1: np.zeros(matte.shape, bool)}
    for where, piece in pieces((small > 0) & (body == 0)):
        ys, xs = np.nonzero(piece)
        row, off = (where[0].start + ys.mean()) / height, where[1].start + xs.mean() - axis
        inside = MIRROR_ROWS[0] <= row <= MIRROR_ROWS[1] and abs(off) >= MIRROR_REACH * WORK_WIDTH
        if inside and piece.sum() >= STUMP * small.sum():
            whole = np.zeros(small.shape, np.uint8)
            whole[where][piece] = 1
            at_size = cv2.resize(whole, (wide, high), interpolation=cv2.INTER_NEAREST) > 0
            sides[1 if off > 0 else -1][top : top + high, left : left + wide] |= at_size
    scale = wide / WORK_WIDTH
    middle = left + (axis + 0.5) * scale - 0.5
    return Facing(middle, wide, int(matte.sum()), sides[-1] & matte, sides[1] & matte)


def completed(alpha: Alpha, view: Facing, ask: prompts.Ask) -> tuple[Alpha, Facing]:
    """The matte with the second door mirror where only the first was in it, and the view then."""
    twin = _twin(alpha > 0.5, view, ask)
    if not twin.any():
        return alpha, view
    on_right = np.argwhere(twin)[:, 1].mean() > view.axis
    after = replace(view, right=twin) if on_right else replace(view, left=twin)
    return np.maximum(alpha, _soft(twin, GRAIN * view.width)), after


def _twin(matte: Bools, view: Facing, ask: prompts.Ask) -> Bools:
    """Where the second door mirror is that the matte lacks; empty where nothing lacks."""
    nothing = np.zeros_like(matte)
    lacks, has = sorted((view.left, view.right), key=lambda side: int(side.sum()))
    if has.sum() < LEAST_MIRROR * view.area or lacks.sum() > 0.5 * has.sum():
        return nothing
    twin = _mirrored(has, view.axis)
    ys, xs = np.nonzero(twin & ~matte)
    if ys.size < 0.5 * has.sum():
        return nothing
    reach = max(3, round(AROUND * view.width))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    around = (cv2.dilate(twin.astype(np.uint8), kernel) > 0) & (~matte | lacks)
    touching = dilated(matte & ~lacks, max(2.0, CONTACT * view.width))
    best, best_match = nothing, LEAST_MATCH
    for shift in (0.0, -0.5 * reach, 0.5 * reach):
        point = (float(xs.mean()) + shift, float(ys.mean()))
        for answer in prompts.about_point(ask, point, matte.shape):
            if answer.score < LEAST_SCORE:
                continue
            part = _largest(answer.inside & around)
            if not part.any():
                continue
            shape = _moved_onto(twin, part)
            match = _match(part, shape)
            if match > best_match and (part & touching).any():
                # What clings to it in the answer is of the car behind.
                part = _largest(part & dilated(shape, CLINGS * view.width))
                best, best_match = part, match
    return best


def without_strays(parts: Bools, view: Facing) -> Bools:
    """Parts that stick out, without those beside the axis that are smaller than a door mirror.

    A vehicle is its own mirror image: fins and antennas stand on its axis, mirrors are larger. A
    leaf under a mirror and a barrier's arm behind a pillar are neither.
    """
    kept = parts.copy()
    for where, piece in pieces(parts):
        column = where[1].start + np.nonzero(piece)[1].mean()
        if piece.sum() < LEAST_MIRROR * view.area and abs(column - view.axis) > FIN * view.width:
            kept[where] &= ~piece
    return kept


def missing(view: Facing) -> str | None:
    """Which door mirror is missing though its twin is there, in words."""
    for has, lacks, side in ((view.right, view.left, "left"), (view.left, view.right, "right")):
        size = int(has.sum())
        if size >= STUMP * view.area and lacks.sum() < ALONE * size:
            return f"the mirror on the {side} of the picture"
    return None


def _mirrored(mask: Bools, axis: float) -> Bools:
    """The mask turned round a column; what leaves the picture is lost."""
    move = np.array([[-1, 0, 2 * axis], [0, 1, 0]], np.float32)
    size = (mask.shape[1], mask.shape[0])
    turned = cv2.warpAffine(mask.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST)
    return np.asarray(turned > 0)


def _largest(mask: Bools) -> Bools:
    found: Sequence[tuple[tuple[slice, slice], Bools]] = list(pieces(mask))
    whole = np.zeros_like(mask)
    if found:
        where, piece = max(found, key=lambda one: int(one[1].sum()))
        whole[where] = piece
    return whole


def _moved_onto(twin: Bools, part: Bools) -> Bools:
    """The twin's shape moved onto the centre of a part, which is not empty."""
    (y0, x0), (y1, x1) = (np.argwhere(one).mean(axis=0) for one in (twin, part))
    move = np.array([[1, 0, x1 - x0], [0, 1, y1 - y0]], np.float32)
    size = (part.shape[1], part.shape[0])
    return np.asarray(
        cv2.warpAffine(twin.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST) > 0
    )


def _match(part: Bools, shape: Bools) -> float:
    """IoU of two shapes."""
    return float((part & shape).sum() / (part | shape).sum())


def _soft(part: Bools, grain: float) -> Alpha:
    """The alpha of a part whose edge has steps of `grain` pixels, as a network's answer has."""
    blurred = cv2.GaussianBlur(part.astype(np.float32), (0, 0), max(1.0, grain))
    return np.asarray(np.clip((blurred - 0.3) / 0.4, 0, 1), np.float32)

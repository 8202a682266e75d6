"""Whether something stands before the vehicle, so that its cut-out has a hole, a bay or a stranger.

Where the detector names a thing, SAM 2 says which pixels are its; it stands before the vehicle
where those cover what the rest of the silhouette says is the vehicle's, and reach down to its foot.
A board or a pole that no detector knows leaves its outline in the silhouette: a notch from below or
from above, an upright step, a hole, or a second half.

Mattes (H, W), logits and boxes (x, y, w, h) of one crop, as in `matte.parts`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.geometry import clip_box
from okla_assets.imaging.matte import prompts
from okla_assets.imaging.matte.parts import SURE, Looked, pieces
from okla_assets.imaging.types import Alpha, Bools, Box, Floats

SEEN_THROUGH = ("bicycle",)  # one sees the vehicle through its frame: its box counts as covered
LEAST_SIDE = 8  # pixels of a thing's box on the crop
MOST_OBJECTS = 3  # questions a photo
LEAST_SCORE = 0.5
OWN = 0.4  # of a thing, sure to be the vehicle's
LEAST_COVER = 0.004  # of the vehicle's area, what a thing before it covers
FOOT = 0.75  # of the vehicle's height in its columns: what ends above is behind it or inside
NOTCH = 0.4  # of the box width: the widest notch that counts, wider ones lie between the wheels
DEEP = 0.22  # of the box height: sills and bonnets lie less deep
STEP = 0.16  # of the box height: the lower outline's largest step; 45 clean cars have .08 at most
STEP_RUN = 0.006  # of the vehicle's width
STEP_ENDS = 0.12  # of the vehicle's width, left out: a tyre's flank is a step
LEAST_NOTCH = 0.006  # of the vehicle's area
HOLE = 0.004  # of the vehicle's area
HOLE_LOGIT = -2.0  # mean over a hole: panes that one sees through are less sure
UNDERSIDE = 0.85  # of the silhouette's height: a hole below is a black diffuser between exhausts
HALF = 0.025  # of the vehicle's area: a second part of it


def before(
    alpha: Alpha, looked: Looked, objects: Sequence[tuple[str, Box]], ask: prompts.Ask | None
) -> str | None:
    """What stands before the vehicle, in words; None where nothing was found."""
    matte = alpha > 0.5
    if not matte.any():
        return None
    core = looked.logits > SURE
    for name, box in _near(matte, objects):
        if name in SEEN_THROUGH:
            if covers(matte, _filled(box, matte.shape), looked.box):
                return f"a {name} stands before the vehicle"
            continue
        if ask is None:
            continue
        answer = prompts.about_box(ask, box, matte.shape)
        thing = answer.inside
        if name != "person" and (thing & core).sum() > OWN * thing.sum():
            continue  # a part of the vehicle, or what its paint mirrors
        if answer.score > LEAST_SCORE and covers(matte, thing, looked.box):
            return f"a {name} stands before the vehicle"
    if outline_broken(matte, looked.logits, looked.box):
        return "something stands before the vehicle"
    return None


def _near(matte: Bools, objects: Sequence[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """The objects whose boxes meet the silhouette, cut at the crop, the largest first."""
    rows, columns = matte.shape
    found = []
    for name, box in objects:
        x, y, w, h = inside = clip_box(box, columns, rows)
        if min(w, h) >= LEAST_SIDE and matte[int(y) : int(y + h), int(x) : int(x + w)].any():
            found.append((w * h, name, inside))
    return [(name, box) for _, name, box in sorted(found, reverse=True)[:MOST_OBJECTS]]


def _filled(box: Box, shape: tuple[int, ...]) -> Bools:
    x, y, w, h = (round(value) for value in box)
    thing = np.zeros(shape, bool)
    thing[y : y + h, x : x + w] = True
    return thing


def covers(matte: Bools, thing: Bools, vehicle: Box) -> bool:
    """Whether the thing lies over the vehicle: over what its silhouette beside the thing spans."""
    rest = matte & ~thing
    columns = np.flatnonzero(rest.any(axis=0) & ~thing.any(axis=0))
    if columns.size < 2:
        return bool(thing.any() and (thing & matte).sum() > LEAST_COVER * matte.sum())
    top, bottom = _outline(rest, columns, vehicle)
    rows = np.arange(matte.shape[0])[:, None]
    covered = thing & (rows >= top[None]) & (rows <= bottom[None])
    if covered.sum() < LEAST_COVER * matte.sum():
        return False
    over = np.flatnonzero(covered.any(axis=0))
    foot = matte.shape[0] - 1 - thing[::-1, over].argmax(axis=0)
    share = (foot - top[over]) / np.maximum(bottom[over] - top[over], 1)
    return bool(share.max() >= FOOT)


def _outline(rest: Bools, columns: npt.NDArray[np.intp], vehicle: Box) -> tuple[Floats, Floats]:
    """First and last row of the silhouette in every column of the box, from those columns' own."""
    every = np.arange(rest.shape[1])
    top = rest[:, columns].argmax(axis=0)
    bottom = rest.shape[0] - 1 - rest[::-1, columns].argmax(axis=0)
    inside = (every >= vehicle[0]) & (every <= vehicle[0] + vehicle[2])
    tops = np.interp(every, columns, top)
    bottoms = np.interp(every, columns, bottom)
    return np.where(inside, tops, np.inf), np.where(inside, bottoms, -np.inf)


def outline_broken(matte: Bools, logits: Floats, box: Box) -> bool:
    """Whether the silhouette has a notch, a hole or a second half that no vehicle has."""
    return bool(
        notched(matte, box)
        or stepped(matte, box)
        or _holed(matte, logits)
        or _halved(matte, logits, box)
    )


def notched(matte: Bools, box: Box) -> bool:
    """Whether a narrow deep notch is cut into the silhouette from below or from above."""
    columns = np.flatnonzero(matte.any(axis=0))
    columns = np.arange(columns[0], columns[-1] + 1)
    _, _, width, height = box
    side = max(3, int(NOTCH * width) | 1)
    # Beside the vehicle is no notch: mirrors hang over air there.
    some = np.pad(matte[:, columns], ((0, 0), (side, side)))
    empty = ~some.any(axis=0)
    bottom = np.where(empty, 0, matte.shape[0] - 1 - some[::-1].argmax(axis=0)).astype(np.float32)
    top = np.where(empty, matte.shape[0], some.argmax(axis=0)).astype(np.float32)
    kernel = np.ones((1, side), np.uint8)
    closed = cv2.morphologyEx(bottom[None], cv2.MORPH_CLOSE, kernel)[0]
    opened = cv2.morphologyEx(top[None], cv2.MORPH_OPEN, kernel)[0]
    area = matte.sum()
    for depth in (closed - bottom, top - opened):
        deep = depth > DEEP * height
        if depth[deep].sum() > LEAST_NOTCH * area:
            return True
    return False


def stepped(matte: Bools, box: Box) -> bool:
    """Whether the lower outline steps up or down as only a straight upright edge makes it."""
    columns = np.flatnonzero(matte.any(axis=0))
    some = matte[:, columns[0] : columns[-1] + 1]
    lowest = matte.shape[0] - 1 - some[::-1].argmax(axis=0)
    bottom = np.where(some.any(axis=0), lowest, 0).astype(np.float32)
    run, ends = max(2, int(STEP_RUN * bottom.size)), int(STEP_ENDS * bottom.size)
    steps = np.abs(bottom[run:] - bottom[:-run])[ends : bottom.size - ends]
    return bool(steps.size and steps.max() > STEP * box[3])


def _holed(matte: Bools, logits: Floats) -> bool:
    """Whether SAM 2 leaves out a part in the middle of the silhouette."""
    rows = np.arange(matte.shape[0])[:, None]
    top, bottom = np.flatnonzero(matte.any(axis=1))[[0, -1]]
    body = matte & (rows > top + 0.45 * (bottom - top))
    holes = (logits < 0) & cv2.erode(body.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    least = HOLE * matte.sum()
    underside = top + UNDERSIDE * (bottom - top)
    return any(
        hole.sum() > least
        and logits[where][hole].mean() < HOLE_LOGIT
        and where[0].start < underside
        for where, hole in pieces(holes)
    )


def _halved(matte: Bools, logits: Floats, box: Box) -> bool:
    """Whether SAM 2 finds a second part of the vehicle, apart from the first, in its box."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((logits > 0).astype(np.uint8))
    x, _, w, _ = box
    parts = [
        stats[number, cv2.CC_STAT_AREA]
        for number in range(1, count)
        if stats[number, 0] >= x - 2 and stats[number, 0] + stats[number, 2] <= x + w + 2
    ]
    return len(parts) > 1 and sorted(parts)[-2] > HALF * matte.sum()

"""What the two networks' fusion loses of a vehicle, and what of its neighbours it takes in.

Mirrors, wings and fins: SAM 2 is asked about a point on each weak piece beside the matte. Antennas:
thinner than a cell of the networks' grids, found as straight lines that rise from the roof and end.
Neighbours: SAM 2 is asked about their own boxes, with a point on the main vehicle as not theirs.
All thresholds were chosen on real photos; see docs/measured.md.

Mattes float32 (H, W) in [0, 1], logits and saliency (H, W), boxes (x, y, w, h), all of one crop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.geometry import clip_box
from okla_assets.imaging.matte import prompts
from okla_assets.imaging.types import Alpha, Bools, Box, Floats, Pixels, Rgb

MOST_PARTS = 3  # questions a photo
ABOVE = 0.72  # of the box height: what sticks out lower is floor, shadow or a tyre
WEAK_SALIENCY = 20 / 255
WEAK_LOGIT = -3.5  # mean of a piece that is worth a question
THICK = 0.008  # of the box width: a piece is more than the edge's own ramp
LEAST_PART, MOST_PART = 0.0003, 0.04  # of the vehicle's area
LEAST_SCORE = 0.6
LEAST_LOGIT = -2.2
"""Of the main question's answer, the mean over a part: below, SAM 2 is sure that it is background.
True parts have -.4 to -2, panes and plants behind the roof -2.5 to -10."""
LONG = 2.5  # a small part is no longer than that times its width
LEAST_SOLID = 0.6  # of its hull: a thin ring around a mirror is no part
NEAR = 0.012  # of the box width: between a part and the matte
MOST_CONTACT, SMALL = 0.5, 0.0012
"""Of a part's outline, how much lies near the matte, unless the part is smaller than that share of
the vehicle: a mirror hangs on its foot (.1 to .4), a piece of wall fills a corner (.6 and more)."""
MOST_NEIGHBOUR = 0.3  # of a part that may belong to another vehicle or object
SURE_LOGIT = -1.2  # mean over a part from which it is the vehicle's, whoever else claims it

UNDERSIDE = 0.7  # of the box height: a diffuser between exhausts lies below
LEAST_UNDERSIDE = 0.001  # of the vehicle's area
UNDERSIDE_SALIENCY, UNDERSIDE_LOGIT = 0.95, -3.0  # means over it; shadow has .9 at most, or -3.6
HANGS = 0.3  # of the piece's height: what hangs beside it ends at most so much higher
UNDERSIDE_SCORE, UNDERSIDE_MATCH = 0.85, 0.9  # of SAM 2's answer, and its IoU with the piece

LEAST_NEIGHBOUR_SCORE = 0.5
SURE = 4.0  # logit of the main vehicle
LEAST_SIDE = 16  # pixels of a neighbour's box on the crop
MOST_NEIGHBOURS = 2  # questions a photo
CONTESTED = 0.0003  # of the vehicle's area, in the neighbour's box and not sure

LEAST_STROKE, STROKE = 0.0045, 0.012  # of the box width: how thick an antenna is
CONTRAST = 20  # levels between an antenna and what is beside it
LEAST_LENGTH, MOST_LENGTH = 0.015, 0.14  # of the box width
BEND = 0.006  # of the box width: how far from straight
SLANT = 1.6  # columns a row
ANTENNA_LOGIT = -3.3  # the 70th percentile along it
LEAST_STRAIGHT, MERGED_STROKE, MERGED_LOGIT = 0.8, 0.0068, -2.4
"""Of a line that something else touches: its straight share, how thick it may be, its logit. Six
true ones have .83, .0065 and -2.2 at worst; letters and a seam of a wall, and leaves, have .72 to
.95 and -2.5 to -3.3."""
MOST_FITS = 6
DARKER = 20  # levels: an antenna is darker than both its sides; posts and edges behind it are not
ROOF = 0.45  # of the box height: where antennas are looked for
FOOT = 0.1  # of the box height: how far below the roof's top an antenna stands


@dataclass(frozen=True)
class Looked:
    """One crop and what both networks say of it: `logits` of the main vehicle, `saliency`."""

    pixels: Rgb
    box: Box
    logits: Floats
    saliency: Alpha

    def rows_above(self, share: float) -> Bools:
        """(H, 1): the rows above a share of the box's height."""
        rows = np.arange(self.pixels.shape[0])[:, None]
        return np.asarray(rows < self.box[1] + share * self.box[3])


def others_removed(
    alpha: Alpha, looked: Looked, others: Sequence[Box], ask: prompts.Ask
) -> tuple[Alpha, Bools]:
    """The matte without what belongs to other vehicles, and where those are."""
    x, y, w, h = looked.box
    theirs = np.zeros(alpha.shape, bool)
    core = looked.logits > SURE
    for box in _contested(alpha, looked, others):
        answer = prompts.about_box(ask, box, alpha.shape, [(x + w / 2, y + 0.6 * h)])
        inside = answer.inside
        if answer.score <= LEAST_NEIGHBOUR_SCORE or (inside & core).sum() > 0.5 * core.sum():
            continue
        theirs |= inside & (answer.logits > looked.logits)
    if theirs.any():
        alpha = np.where(theirs, np.float32(0), alpha)
    return alpha, theirs


def _contested(alpha: Alpha, looked: Looked, others: Sequence[Box]) -> list[Box]:
    """The boxes in which the matte is not sure of the main vehicle, the largest doubt first."""
    rows, columns = alpha.shape
    doubted = (alpha > 0.1) & (looked.logits < SURE) | (looked.logits > WEAK_LOGIT) & (alpha <= 0.1)
    least = CONTESTED * (alpha > 0.5).sum()
    found = []
    for box in others:
        x, y, w, h = inside = clip_box(box, columns, rows)
        if min(w, h) < LEAST_SIDE:
            continue
        doubt = int(doubted[int(y) : int(y + h), int(x) : int(x + w)].sum())
        if doubt > least:
            found.append((doubt, inside))
    return [box for _, box in sorted(found, reverse=True)[:MOST_NEIGHBOURS]]


def inside(shape: tuple[int, ...], boxes: Sequence[Box]) -> Bools:
    """Where any of the boxes is, (H, W)."""
    rows, columns = shape
    found = np.zeros((rows, columns), bool)
    for box in boxes:
        x, y, w, h = clip_box(box, columns, rows)
        if min(w, h) > 0:
            found[int(y) : int(y + h), int(x) : int(x + w)] = True
    return found


def parts_found(alpha: Alpha, looked: Looked, claimed: Bools, ask: prompts.Ask) -> Bools:
    """Where mirrors, wings and fins are that the matte lacks.

    `claimed` is where other vehicles and objects are: the wheel of a motorcycle behind the bonnet
    is no part.
    """
    matte = alpha > 0.5
    area = matte.sum()
    near = _dilated(matte, max(3, round(NEAR * looked.box[2])))
    found = np.zeros(matte.shape, bool)
    for point in _weak_pieces(alpha, looked):
        best, best_score = None, LEAST_SCORE
        for answer in prompts.about_point(ask, point, matte.shape):
            part = answer.inside & ~matte
            if answer.score >= best_score and _is_part(part, looked, near, claimed, int(area)):
                best, best_score = part, answer.score
        if best is not None:
            found |= best
    return found


def underside(alpha: Alpha, looked: Looked, ask: prompts.Ask) -> Bools:
    """A black diffuser between what hangs lower beside it, which only the saliency net takes.

    Both networks must see one and the same piece: SAM 2 is asked what is in its box.
    """
    matte = alpha > 0.5
    lacks = (looked.saliency > 0.5) & ~matte & ~looked.rows_above(UNDERSIDE)
    found = np.zeros(matte.shape, bool)
    for where, piece in pieces(_opened(lacks, THICK * looked.box[2])):
        if piece.sum() < LEAST_UNDERSIDE * matte.sum():
            continue
        if looked.saliency[where][piece].mean() < UNDERSIDE_SALIENCY:
            continue
        if looked.logits[where][piece].mean() < UNDERSIDE_LOGIT:
            continue
        rows, columns = where
        box = (
            float(columns.start),
            float(rows.start),
            float(columns.stop - columns.start),
            float(rows.stop - rows.start),
        )
        least = rows.stop - round(HANGS * (rows.stop - rows.start))
        if not all(side[least:].any() for side in _beside(matte, columns)):
            continue
        answer = prompts.about_box(ask, box, matte.shape)
        seen, whole = answer.inside & ~matte, np.zeros(matte.shape, bool)
        whole[where] = piece
        match = (seen & whole).sum() / (seen | whole).sum()
        if answer.score >= UNDERSIDE_SCORE and match >= UNDERSIDE_MATCH:
            found |= whole
    return found


def _beside(matte: Bools, columns: slice) -> tuple[Bools, Bools]:
    return matte[:, : columns.start], matte[:, columns.stop :]


def _is_part(part: Bools, looked: Looked, near: Bools, claimed: Bools, area: int) -> bool:
    size = int(part.sum())
    if not LEAST_PART * area <= size <= MOST_PART * area or not (part & near).any():
        return False
    if part[~looked.rows_above(0.9)[:, 0]].any():
        return False
    rim = part & ~_eroded(part)
    if size > SMALL * area and (rim & near).sum() > MOST_CONTACT * rim.sum():
        return False
    logit = looked.logits[part].mean()
    if logit < LEAST_LOGIT or (logit < SURE_LOGIT and claimed[part].mean() > MOST_NEIGHBOUR):
        return False
    if _opened(part, THICK * looked.box[2]).sum() < 0.5 * size:
        return False
    ys, xs = np.nonzero(part)
    (_, _), sides, _ = cv2.minAreaRect(np.stack([xs, ys], axis=1).astype(np.float32))
    if size < SMALL * area and max(sides) > LONG * min(sides):
        return False
    hull = cv2.contourArea(cv2.convexHull(np.stack([xs, ys], axis=1).astype(np.int32)))
    return size >= LEAST_SOLID * hull


def _weak_pieces(alpha: Alpha, looked: Looked) -> list[prompts.Point]:
    """The thickest place of each piece beside the matte that one of the networks half takes."""
    weak = (looked.saliency > WEAK_SALIENCY) | (looked.logits > LEAST_LOGIT)
    weak &= (alpha <= 0.25) & looked.rows_above(ABOVE)
    thick = _opened(weak, THICK * looked.box[2])
    least = LEAST_PART * (alpha > 0.5).sum()
    found = []
    for where, piece in pieces(thick):
        size = int(piece.sum())
        if size < least or looked.logits[where][piece].mean() < WEAK_LOGIT:
            continue
        depth = cv2.distanceTransform(np.pad(piece, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        point = (float(column + where[1].start), float(row + where[0].start))
        found.append((size, point))
    return [point for _, point in sorted(found, reverse=True)[:MOST_PARTS]]


def antennas(alpha: Alpha, looked: Looked) -> Bools:
    """Straight thin lines that start at the roof and end within reach of it.

    A lamp post or a wire behind the roof goes on where an antenna ends.
    """
    _, y, w, h = looked.box
    found = np.zeros(alpha.shape, bool)
    top, bottom = max(0, int(y - MOST_LENGTH * w)), min(alpha.shape[0], int(y + ROOF * h))
    matte = alpha[top:bottom] > 0.5
    if not matte.any():
        return found
    roof = int(matte.any(axis=1).argmax())
    away = cv2.distanceTransform((~matte).astype(np.uint8), cv2.DIST_L2, 5)
    reach = MOST_LENGTH * w
    light = np.asarray(cv2.cvtColor(looked.pixels[top:bottom], cv2.COLOR_RGB2GRAY), np.uint8)
    lines = (_strokes(looked.pixels[top:bottom], STROKE * w) > CONTRAST) & (away > 0)
    lines &= away <= reach
    for where, piece in pieces(lines):
        if len(piece) < LEAST_LENGTH * w:
            continue
        line, whole = _straight_part(piece, max(2.0, BEND * w))
        rows, columns = np.nonzero(line)
        if not rows.size:
            continue
        distance = away[where][line]
        tall = np.ptp(rows) + 1 >= LEAST_LENGTH * w and distance.max() >= LEAST_LENGTH * w
        ends = distance.min() <= max(3.0, 0.5 * NEAR * w) and distance.max() <= 0.95 * reach
        if not tall or not ends:
            continue
        length = float(np.hypot(np.ptp(rows), np.ptp(columns)))
        steep = abs(np.polyfit(rows, columns, 1)[0]) <= SLANT
        thick = len(rows) / length
        thin = LEAST_STROKE * w <= thick <= max(3.0, (STROKE if whole else MERGED_STROKE) * w)
        logit = np.percentile(looked.logits[top:bottom][where][line], 70)
        likely = logit >= (ANTENNA_LOGIT if whole else MERGED_LOGIT)
        foot = where[0].start + rows[int(distance.argmin())]
        stands = foot <= roof + FOOT * h
        if thin and likely and stands and steep and _is_dark(light, where, line, STROKE * w):
            found[top:bottom][where] |= line
    return found


def _straight_part(piece: Bools, tolerance: float) -> tuple[Bools, bool]:
    """What of a piece lies along one line, and whether that is all of it but for a tenth.

    An antenna's foot, a rail beside it or an edge behind it that touches it is left out. Empty
    where too little of the piece is straight.
    """
    rows, columns = np.nonzero(piece)
    nothing = np.zeros_like(piece)
    along = np.ones(len(rows), bool)
    for turn in range(MOST_FITS):
        if np.ptp(rows[along]) < 2:
            return nothing, False
        slope, start = np.polyfit(rows[along], columns[along], 1)
        off = np.abs(slope * rows + start - columns)
        if turn == 0 and np.percentile(off, 90) <= tolerance:
            return piece, True
        off /= np.hypot(1, slope)
        nearer = off <= max(tolerance, float(np.percentile(off[along], 80)))
        if np.array_equal(nearer, along):
            break
        along = nearer
    straight = off <= tolerance
    if straight.mean() < LEAST_STRAIGHT:
        return nothing, False
    nothing[rows[straight], columns[straight]] = True
    return nothing, False


def _is_dark(light: Pixels, where: tuple[slice, slice], line: Bools, aside: float) -> bool:
    """Whether a line is darker than what lies `aside` pixels to its left and to its right."""
    rows, columns = np.nonzero(line)
    rows, columns = rows + where[0].start, columns + where[1].start
    level, reach = float(light[rows, columns].mean()), max(3, round(aside))
    sides = [
        float(light[rows, (columns + way).clip(0, light.shape[1] - 1)].mean())
        for way in (-reach, reach)
    ]
    return level <= min(sides) - DARKER


def _strokes(pixels: Rgb, width: float) -> Pixels:
    """How much each pixel differs from what lies beside a stroke of at most that width."""
    side = max(5, int(width) | 1)
    kernel = np.ones((side, side), np.uint8)
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    hats = [
        cv2.morphologyEx(np.ascontiguousarray(lab[..., channel]), kind, kernel)
        for channel in range(3)
        for kind in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)
    ]
    return np.asarray(np.max(hats, axis=0), np.uint8)


def pieces(mask: Bools) -> Iterator[tuple[tuple[slice, slice], Bools]]:
    """Each connected piece: its rectangle, and itself within it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    for number in range(1, count):
        x, y, w, h, _ = stats[number]
        where = (slice(y, y + h), slice(x, x + w))
        yield where, np.asarray(labels[where] == number)


def _ellipse(size: float) -> Pixels:
    side = max(3, int(size) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _opened(mask: Bools, size: float) -> Bools:
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _ellipse(size)) > 0)


def _eroded(mask: Bools) -> Bools:
    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _dilated(mask: Bools, reach: int) -> Bools:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _ellipse(2 * reach + 1)) > 0)

"""Detections of several networks, clustered: which are plates, whose, and their outline."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.geometry import box_iou
from okla_assets.imaging.plates.quads import box_quad, hull, quad_box, refined, spanned
from okla_assets.imaging.plates.rims import LEAST_SUPPORT, Reach, rim_near
from okla_assets.imaging.types import Box, Corners, Floats, Rgb

SAME_PLACE = 0.3  # IoU from which two boxes show one plate
HULL_SHARE = 0.5  # of its network's best score: weaker boxes do not widen the hull

INSIDE_SCORE = 0.33
"""Least score on or near a vehicle. Plates at dusk score as low; lower, grilles and mirrors do."""
ALONE_SCORE = 0.70
"""Least score away from every vehicle where one network stands alone: shop signs reach 0.65."""
AGREED_SCORE = 0.20
"""Least score of each network away from every vehicle."""
INTERIOR_AGREEMENT = 0.30
"""Least score of each network on interiors, where screens and labels convince one of them."""
LEAST_INTERIOR_CONFIDENCE = 0.90
"""An interior below it is treated as any other photo: open tailgates look like one."""
NEAR_VEHICLE = 0.02  # of a vehicle's box: plates hardly stick out of it
SQUARE = 1.15  # width to height below which a box needs SQUARE_SCORE: emblems, mirrors, caps
SQUARE_SCORE = 0.50  # plates seen so steeply are large and score high
PANE_HEIGHT, PANE_PLACE = 0.16, 0.40
"""Of a vehicle's height: what one network alone doubtfully finds, higher than the first and with
its middle above the second, is a window; plates there that large score twice as high."""
CUT_OFF = 4.0  # pixels from the picture's edge at which a box ends that it cuts off
PANE_SCORE, PANE_AGREEMENT = 0.50, 0.05


@dataclass(frozen=True, eq=False)
class RawDetection:
    """One box of one network; `quad` where that network drew an outline."""

    box: Box
    score: float
    network: int
    quad: Corners | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """Overlapping detections of all networks: hull of their boxes, and each one's best score.

    `outline` is the best outlined detection, None where no network drew one; `closer` is what the
    outlining network detects on an enlarged view, None where it detects no plate or did not run.
    """

    box: Box
    scores: tuple[float, ...]
    outline: RawDetection | None
    closer: RawDetection | None = None

    @property
    def score(self) -> float:
        """Probability of a plate if the networks err independently: 1 - product of (1 - score)."""
        return float(1 - np.prod([1 - s for s in self._best()]))

    @property
    def agreement(self) -> float:
        """The lowest of the networks' scores."""
        return min(self._best())

    def _best(self) -> list[float]:
        best = list(self.scores)
        if self.closer is not None:
            best[self.closer.network] = max(best[self.closer.network], self.closer.score)
        return best


def cluster(raw_detections: Sequence[RawDetection], networks: int) -> list[Candidate]:
    """Detections clustered by overlap, best first; nothing is suppressed.

    NMS would keep the box with the higher score, throw the larger one away, and leave an edge of
    the plate bare; here the hull of the group counts.
    """
    if not raw_detections:
        return []
    boxes = np.array([s.box for s in raw_detections], np.float32)
    scores = np.array([s.score for s in raw_detections], np.float32)
    network = np.array([s.network for s in raw_detections])
    free = np.ones(len(raw_detections), bool)
    found = []
    for seed in np.argsort(-scores, kind="stable"):
        if not free[seed]:
            continue
        group = free & (box_iou(boxes[seed], boxes) >= SAME_PLACE)
        group[seed] = True
        free &= ~group
        best = np.array(
            [scores[group & (network == n)].max(initial=0) for n in range(networks)], np.float32
        )
        wide = boxes[group & (scores >= HULL_SHARE * best[network])]
        outlined = [
            s for s, g in zip(raw_detections, group, strict=True) if g and s.quad is not None
        ]
        found.append(
            Candidate(
                hull(wide),
                tuple(float(b) for b in best),
                max(outlined, key=lambda s: s.score, default=None),
            )
        )
    return sorted(found, key=lambda c: -c.score)


def same_plate(box: Box, other: Box) -> bool:
    """Whether the smaller of two boxes lies mostly in the larger, and is no mere detail of it."""
    x0, y0 = max(box[0], other[0]), max(box[1], other[1])
    x1, y1 = min(box[0] + box[2], other[0] + other[2]), min(box[1] + box[3], other[1] + other[3])
    common = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    areas = box[2] * box[3], other[2] * other[3]
    return common >= 0.7 * min(areas) and min(areas) >= 0.2 * max(areas)


def accept_plate(
    box: Box, score: float, agreement: float, vehicles: Sequence[Box], is_certainly_interior: bool
) -> bool:
    """Whether a candidate is covered, by where it is and its scores."""
    if is_certainly_interior:
        return agreement >= INTERIOR_AGREEMENT
    if box[2] < SQUARE * box[3] and score < SQUARE_SCORE:
        return False
    index = owner(box, vehicles)
    if index is not None:
        doubtful = score < PANE_SCORE and agreement < PANE_AGREEMENT
        return score >= INSIDE_SCORE and not (doubtful and _is_pane(box, vehicles[index]))
    return agreement >= AGREED_SCORE or score >= ALONE_SCORE


def _is_pane(box: Box, vehicle: Box) -> bool:
    """Whether a box is too large and too high on its vehicle for a plate.

    Not of a vehicle that the picture's upper edge cuts off: its roof is not seen.
    """
    middle = (box[1] + box[3] / 2 - vehicle[1]) / max(vehicle[3], 1.0)
    whole = vehicle[1] > CUT_OFF
    return whole and box[3] > PANE_HEIGHT * vehicle[3] and middle < PANE_PLACE


def owner(box: Box, vehicles: Sequence[Box], alpha: Floats | None = None) -> int | None:
    """Index of the vehicle that a plate is on; None where it is on none.

    `alpha` is the matte (H, W) of the first vehicle, where there is one: vehicles overlap, and the
    matte knows which is in front. Without it the smallest box around the plate's centre counts.
    """
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    if alpha is not None and vehicles:
        row, column = (
            min(alpha.shape[0] - 1, max(0, int(y))),
            min(alpha.shape[1] - 1, max(0, int(x))),
        )
        if alpha[row, column] > 0.5:
            return 0
    around = []
    for index, (vx, vy, w, h) in enumerate(vehicles):
        near_x, near_y = NEAR_VEHICLE * w, NEAR_VEHICLE * h
        if vx - near_x <= x <= vx + w + near_x and vy - near_y <= y <= vy + h + near_y:
            around.append((w * h, index))
    return min(around)[1] if around else None


FRAME = 0.08  # of the plate's width and height a side
AROUND_OUTLINE = Reach(inwards=0.06, outwards=0.22, turn=1.0, support=LEAST_SUPPORT)
"""Where a plate's edge is looked for; inwards of a network's outline by less than the padding, so
that a wrong edge bares no character."""
CONFIRMED = 0.7  # score of the enlarged view from which its outline is exact


def plate_quad(photo: Rgb, candidate: Candidate) -> Corners:
    """The plate's quadrilateral: its edge, where the photo shows one, let out to its frame.

    Plate frames carry text too: every quad is let out towards the hull of the boxes, by FRAME where
    the edge was found or the enlarged view's outline is exact to a pixel or two, as it is where its
    score is high. Else the shape is taken from the outline on the whole photo and the extent from
    the hull; such outlines cut corners off steeply tilted plates, so their corners go two thirds of
    the way to the hull's. An outline of the enlarged view that is surpassed by the whole photo's
    does not count.
    """
    closer, outline = candidate.closer, candidate.outline
    sure = closer is not None and closer.quad is not None and closer.score >= CONFIRMED
    outlined: tuple[RawDetection | None, ...] = (closer,) if sure else (closer, outline)
    if not sure and closer is not None and outline is not None and closer.score < outline.score:
        outlined = (outline,)  # the enlarged view knows less
    drawn = [d.quad for d in outlined if d is not None and d.quad is not None]
    seeds = drawn or [box_quad(candidate.box)]
    rims = [rim_near(photo, quad, AROUND_OUTLINE) for quad in seeds]
    certain = [rim for rim in rims if rim is not None and rim.encloses(drawn)]
    if certain:
        rim = max(certain, key=lambda rim: sum(rim.support)).quad
        return spanned(rim, _towards(quad_box(rim), candidate.box, FRAME))
    if sure:
        exact = refined(photo, drawn[0])
        return spanned(exact, _towards(quad_box(exact), candidate.box, FRAME))
    if not drawn:
        return refined(photo, box_quad(candidate.box))
    shape = refined(photo, spanned(drawn[0], candidate.box))
    return np.asarray((shape + 2 * box_quad(candidate.box)) / 3, np.float32)


def _towards(box: Box, hull: Box, share: float) -> Box:
    """The box with each side moved out to the hull's, by `share` of its extent at most."""
    x, y, w, h = box
    x0, y0 = max(min(x, hull[0]), x - share * w), max(min(y, hull[1]), y - share * h)
    x1 = min(max(x + w, hull[0] + hull[2]), x + (1 + share) * w)
    y1 = min(max(y + h, hull[1] + hull[3]), y + (1 + share) * h)
    return x0, y0, x1 - x0, y1 - y0


CLOSER_ON_VEHICLE, CLOSER_ELSEWHERE = 0.15, 0.45
"""Least score of a candidate that is examined on an enlarged view."""
CLOSER_MARGIN = 1.0  # of the box's width, about its centre: the plate fills half of the tile
MOST_TILES = 9


def worth_a_closer_look(candidate: Candidate, vehicles: Sequence[Box]) -> bool:
    """Whether an enlarged view could change what is done about the candidate."""
    least = CLOSER_ON_VEHICLE if owner(candidate.box, vehicles) is not None else CLOSER_ELSEWHERE
    return candidate.score >= least


def tiles(photo: Rgb, boxes: Sequence[Box], side: int) -> tuple[Rgb, list[Floats]]:
    """Enlarged views of up to MOST_TILES boxes in one picture (side, side, 3), for one network run.

    Also returns the affine matrix (2, 3) from photo to picture of each, in pixel-corner terms.
    """
    across = int(np.ceil(np.sqrt(len(boxes))))
    tile = side // across
    picture = np.full((side, side, 3), 114, np.uint8)
    matrices = []
    for index, (x, y, w, h) in enumerate(boxes):
        scale = tile / (2 * (CLOSER_MARGIN * max(w, 1.4 * h) + 4))
        left, top = index % across * tile, index // across * tile
        shift = np.array([tile / 2 - (x + w / 2) * scale, tile / 2 - (y + h / 2) * scale])
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
        centred = matrix.astype(np.float64)
        centred[:, 2] += 0.5 * scale - 0.5
        picture[top : top + tile, left : left + tile] = cv2.warpAffine(
            photo,
            centred,
            (tile, tile),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(114, 114, 114),
        )
        matrix[:, 2] += [left, top]
        matrices.append(matrix)
    return picture, matrices


def out_of_tile(found: RawDetection, matrix: Floats) -> RawDetection:
    """A detection on the picture of tiles, in pixels of the photo."""
    scale, shift = float(matrix[0, 0]), matrix[:, 2]
    x, y, w, h = found.box
    quad = None if found.quad is None else np.asarray((found.quad - shift) / scale, np.float32)
    box = (x - float(shift[0])) / scale, (y - float(shift[1])) / scale, w / scale, h / scale
    return RawDetection(box, found.score, found.network, quad)

"""Licence plates: from boxes of several networks to one quadrilateral, and how it is covered.

Photos are RGB uint8 (H, W, 3). Boxes are (x, y, w, h) and quads float32 (4, 2), both in pixels of
the photo, where (0, 0) is the outer corner of the first pixel; a quad starts at the plate's own top
left corner and runs clockwise. Masking is a privacy control: wherever two opinions differ, the
larger one is covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Rgba = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Quad = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
Style = Literal["blur", "fill", "logo", "none"]

SAME_PLACE = 0.3  # IoU from which two boxes show one plate
HULL_SHARE = 0.5  # of its network's best score: weaker boxes do not widen the hull
PADDING = 0.10  # of the plate's width and height a side
LEAST_PADDING = 1.5  # pixels
FEATHER = 0.06  # of the plate's height, outside the padding
LEAST_FEATHER = 1.2  # pixels

INSIDE_SCORE = 0.33
"""Least score on or near a vehicle. Plates at dusk score as low; lower, grilles and mirrors do."""
ALONE_SCORE = 0.70
"""Least score away from every vehicle where one network stands alone: shop signs reach 0.65."""
AGREED_SCORE = 0.20
"""Least score of each network away from every vehicle."""
INTERIOR_AGREEMENT = 0.30
"""Least score of each network on interiors, where screens and labels convince one of them."""
SURE_INTERIOR = 0.90
"""An interior less sure than this is treated as any other photo: open tailgates look like one."""
NEAR_VEHICLE = 0.02  # of a vehicle's box: plates hardly stick out of it
SQUARE = 1.15  # width to height below which a box needs SQUARE_SCORE: emblems, mirrors, caps
SQUARE_SCORE = 0.50  # plates seen so steeply are large and sure


# --- what the networks saw ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sighting:
    """One box of one network; `quad` where that network drew an outline."""

    box: Box
    score: float
    network: int
    quad: Quad | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """What all networks saw in one place: hull of their boxes, and each one's best score.

    `outline` is the surest outlined sighting, None where no network drew one; `closer` is what the
    outlining network sees there on an enlarged view, None where it sees no plate or was not asked.
    """

    box: Box
    scores: tuple[float, ...]
    outline: Sighting | None
    closer: Sighting | None = None

    @property
    def score(self) -> float:
        """That it is a plate, if the networks erred independently: 1 - product of doubts."""
        return float(1 - np.prod([1 - s for s in self._best()]))

    @property
    def agreement(self) -> float:
        """What the least convinced network gives it."""
        return min(self._best())

    def _best(self) -> list[float]:
        best = list(self.scores)
        if self.closer is not None:
            best[self.closer.network] = max(best[self.closer.network], self.closer.score)
        return best


def cluster(sightings: Sequence[Sighting], networks: int) -> list[Candidate]:
    """Sightings grouped by place, best first; nothing is suppressed.

    NMS would keep the surer box and throw the larger one away, and leave an edge of the plate
    bare; here the hull of the group counts.
    """
    if not sightings:
        return []
    boxes = np.array([s.box for s in sightings], np.float32)
    scores = np.array([s.score for s in sightings], np.float32)
    network = np.array([s.network for s in sightings])
    free = np.ones(len(sightings), bool)
    found = []
    for seed in np.argsort(-scores, kind="stable"):
        if not free[seed]:
            continue
        group = free & (iou(boxes[seed], boxes) >= SAME_PLACE)
        group[seed] = True
        free &= ~group
        best = np.array(
            [scores[group & (network == n)].max(initial=0) for n in range(networks)], np.float32
        )
        wide = boxes[group & (scores >= HULL_SHARE * best[network])]
        outlined = [s for s, g in zip(sightings, group, strict=True) if g and s.quad is not None]
        found.append(
            Candidate(
                _hull(wide),
                tuple(float(b) for b in best),
                max(outlined, key=lambda s: s.score, default=None),
            )
        )
    return sorted(found, key=lambda c: -c.score)


def iou(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of a box (4,) with boxes (N, 4), as (N,)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = (high - low).clip(0).prod(axis=1)
    return np.asarray(common / (box[2:].prod() + boxes[:, 2:].prod(axis=1) - common), np.float32)


def same_plate(box: Box, other: Box) -> bool:
    """Whether the smaller of two boxes lies mostly in the larger, and is no mere detail of it."""
    x0, y0 = max(box[0], other[0]), max(box[1], other[1])
    x1, y1 = min(box[0] + box[2], other[0] + other[2]), min(box[1] + box[3], other[1] + other[3])
    common = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    areas = box[2] * box[3], other[2] * other[3]
    return common >= 0.7 * min(areas) and min(areas) >= 0.2 * max(areas)


def _hull(boxes: Floats) -> Box:
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return float(x0), float(y0), float(x1 - x0), float(y1 - y0)


def believed(
    box: Box, score: float, agreement: float, vehicles: Sequence[Box], surely_interior: bool
) -> bool:
    """Whether a candidate is covered, by where it is and what the networks give it."""
    if surely_interior:
        return agreement >= INTERIOR_AGREEMENT
    if box[2] < SQUARE * box[3] and score < SQUARE_SCORE:
        return False
    if owner(box, vehicles) is not None:
        return score >= INSIDE_SCORE
    return agreement >= AGREED_SCORE or score >= ALONE_SCORE


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


# --- quadrilaterals -------------------------------------------------------------------------------


def box_quad(box: Box) -> Quad:
    """The box as a quad."""
    x, y, w, h = box
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def quad_box(quad: Quad) -> Box:
    """The upright box around a quad."""
    return _hull(np.concatenate([quad, np.zeros_like(quad)], axis=1))


def mask_quad(mask: Floats) -> Quad | None:
    """The quadrilateral that a mask of probabilities (H, W) shows; None where it shows none.

    The four sides of the smallest rectangle around the mask are each fitted again to the outline
    near them, which turns the rectangle into the perspective of the plate.
    """
    contours, _ = cv2.findContours(
        (mask > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not contours:
        return None
    # A contour runs through pixel centres; its mask ends half a pixel further out.
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))[:, 0].astype(np.float32) + 0.5
    if len(hull) < 4 or cv2.contourArea(hull) < 4:
        return None
    points = _along(hull)
    rectangle = np.asarray(cv2.boxPoints(cv2.minAreaRect(hull)), np.float32)
    quad = rectangle
    for _ in range(2):
        fitted = _fit_sides(quad, points)
        if fitted is None:
            break
        quad = fitted
    grown = np.abs(cv2.contourArea(quad)) / max(cv2.contourArea(rectangle), 1e-6)
    if not (cv2.isContourConvex(quad) and 0.5 <= grown <= 1.3):
        quad = rectangle
    return upright(quad)


def _along(polygon: Floats) -> Floats:
    """Points about one pixel apart on a closed polygon (N, 2)."""
    parts = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        steps = max(1, round(float(np.hypot(*(b - a)))))
        parts.append(a + (b - a) * (np.arange(steps)[:, None] / steps))
    return np.asarray(np.concatenate(parts), np.float32)


def _fit_sides(quad: Quad, points: Floats) -> Quad | None:
    """A line fitted to the points nearest to each side, corners (rounded) left out."""
    starts, vectors = quad, np.roll(quad, -1, axis=0) - quad
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])
    if lengths.min() < 1:
        return None
    unit = vectors / lengths[:, None]
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    distance = np.abs(np.einsum("pij,ij->pi", points[:, None] - starts[None], normal))
    nearest = distance.argmin(axis=1)
    lines = []
    for i in range(4):
        share = (points - starts[i]) @ unit[i] / lengths[i]
        near = points[(nearest == i) & (share > 0.12) & (share < 0.88)]
        if len(near) < 2:
            lines.append((starts[i], unit[i]))
            continue
        vx, vy, x, y = (float(v) for v in cv2.fitLine(near, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel())
        lines.append((np.array([x, y], np.float32), np.array([vx, vy], np.float32)))
    return _corners(lines)


def _corners(lines: Sequence[tuple[Floats, Floats]]) -> Quad | None:
    """Where each line (point, direction) meets the one before it; None for parallel neighbours."""
    corners = []
    for (p, d), (q, e) in zip([lines[-1], *lines[:-1]], lines, strict=True):
        cross = float(d[0] * e[1] - d[1] * e[0]) / float(np.hypot(*d) * np.hypot(*e))
        if abs(cross) < 0.15:
            return None
        step = np.linalg.solve(np.array([d, -e]).T.astype(np.float64), (q - p).astype(np.float64))
        corners.append(p + step[0] * d)
    return np.asarray(corners, np.float32)


def upright(quad: Quad) -> Quad:
    """The same corners clockwise from the plate's own top left, as far as the photo is upright."""
    x, y = (quad - quad.mean(axis=0)).T
    clockwise = quad[np.argsort(np.arctan2(y, x), kind="stable")]
    wanted = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)

    def fit(start: int) -> float:
        sides = np.roll(clockwise, -start - 1, axis=0) - np.roll(clockwise, -start, axis=0)
        lengths = np.hypot(sides[:, 0], sides[:, 1])[:, None]
        return float((sides / np.maximum(lengths, 1e-6) * wanted).sum())

    return np.asarray(np.roll(clockwise, -max(range(4), key=fit), axis=0), np.float32)


FRAME = 0.08  # of the plate's width and height a side
CONFIRMED = 0.7  # score of the enlarged view from which its outline is exact


def plate_quad(photo: Rgb, candidate: Candidate) -> Quad:
    """The plate's quadrilateral.

    The enlarged view's outline is exact to a pixel or two where that view is sure; it is let out
    towards the hull by up to FRAME, for plate frames carry text too. Otherwise the shape is taken
    from the outline on the whole photo and the extent from the hull; such outlines cut corners off
    steeply tilted plates, so their corners go two thirds of the way to the hull's.
    """
    closer, outline = candidate.closer, candidate.outline
    if closer is not None and closer.quad is not None and closer.score >= CONFIRMED:
        exact = refined(photo, closer.quad)
        return spanned(exact, _towards(quad_box(exact), candidate.box, FRAME))
    sure = closer if closer is not None and closer.quad is not None else outline
    if sure is None or sure.quad is None:
        return refined(photo, box_quad(candidate.box))
    shape = refined(photo, spanned(sure.quad, candidate.box))
    return np.asarray((shape + 2 * box_quad(candidate.box)) / 3, np.float32)


def _towards(box: Box, hull: Box, share: float) -> Box:
    """The box with each side moved out to the hull's, by `share` of its extent at most."""
    x, y, w, h = box
    x0, y0 = max(min(x, hull[0]), x - share * w), max(min(y, hull[1]), y - share * h)
    x1 = min(max(x + w, hull[0] + hull[2]), x + (1 + share) * w)
    y1 = min(max(y + h, hull[1] + hull[3]), y + (1 + share) * h)
    return x0, y0, x1 - x0, y1 - y0


CLOSER_ON_VEHICLE, CLOSER_ELSEWHERE = 0.15, 0.45
"""Least score of a place that is looked at enlarged."""
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


def out_of_tile(sighting: Sighting, matrix: Floats) -> Sighting:
    """A sighting on the picture of tiles, back on the photo."""
    scale, shift = float(matrix[0, 0]), matrix[:, 2]
    x, y, w, h = sighting.box
    quad = (
        None if sighting.quad is None else np.asarray((sighting.quad - shift) / scale, np.float32)
    )
    box = (x - float(shift[0])) / scale, (y - float(shift[1])) / scale, w / scale, h / scale
    return Sighting(box, sighting.score, sighting.network, quad)


def spanned(quad: Quad, box: Box) -> Quad:
    """The quad stretched so that its upright box is `box`."""
    x, y, w, h = quad_box(quad)
    if w <= 0 or h <= 0:
        return box_quad(box)
    scale = np.array([box[2] / w, box[3] / h], np.float32)
    return np.asarray((quad - [x, y]) * scale + [box[0], box[1]], np.float32)


def padded(quad: Quad, share: float = PADDING, least: float = LEAST_PADDING) -> Quad:
    """Each side moved outwards by `share` of the plate's extent across it, at least `least` px."""
    vectors = np.roll(quad, -1, axis=0) - quad
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])
    unit = vectors / np.maximum(lengths, 1e-6)[:, None]
    outward = np.stack([unit[:, 1], -unit[:, 0]], axis=1)  # clockwise with y down
    across = (np.roll(lengths, 1) + np.roll(lengths, -1)) / 2
    # The neighbours lean: what counts is how far away the opposite side is.
    lean = np.abs((np.roll(quad, -2, axis=0) - quad) * outward).sum(axis=1)
    across = np.minimum(across, np.maximum(lean, 1e-6))
    moved = quad + outward * np.maximum(share * across, least)[:, None]
    corners = _corners(list(zip(moved, unit, strict=True)))
    return box_quad(quad_box(moved)) if corners is None else corners


def contains(quad: Quad, points: Floats) -> npt.NDArray[np.bool_]:
    """Which of the points (N, 2) lie in the convex clockwise quad, as (N,)."""
    vectors = np.roll(quad, -1, axis=0) - quad
    offset = points[:, None] - quad[None]
    cross = vectors[None, :, 0] * offset[..., 1] - vectors[None, :, 1] * offset[..., 0]
    return np.asarray((cross >= -1e-4).all(axis=1))


def to_quad(quad: Quad, width: int, height: int) -> npt.NDArray[np.float64]:
    """Homography (3, 3) from a width x height picture to the quad, both in pixel-corner terms."""
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(flat, quad.astype(np.float32)), np.float64)


# OpenCV counts from pixel centres, this module from pixel corners.
_CENTRE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_CORNER = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])


def rectified(photo: Rgb, quad: Quad, width: int, height: int) -> Rgb:
    """What the quad shows, as an upright picture (height, width, 3)."""
    matrix = _CENTRE @ to_quad(quad, width, height) @ _CORNER
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    warped = cv2.warpPerspective(photo, matrix, (width, height), flags=flags, borderMode=border)
    return np.asarray(warped, np.uint8)


MARGIN = 0.30  # round the first guess, of its width and height: where a side may be found
FLAT_HEIGHT = 72  # rows of the plate in the flat picture in which its sides are looked for
MOST_IN, MOST_OUT = 0.04, 0.10  # of its extent: how far a side may be moved
VISIBLE = 0.22  # mean brightness step along an edge, of the strongest there are


def refined(photo: Rgb, quad: Quad) -> Quad:
    """The quad with each side on the plate's edge, where the photo shows one near it.

    In the rectified picture, every line near a side is tried; the one with the strongest
    brightness step of one sign along it wins, nearer lines being preferred. A side moves inwards
    by less than the padding, so a wrong edge bares no character and a frame stays covered.
    """
    aspect = float(np.clip(apparent_aspect(quad), 1, 6))
    width = round(FLAT_HEIGHT * aspect)
    pad_x, pad_y = round(MARGIN * width), round(MARGIN * FLAT_HEIGHT)
    outer = np.array(
        [
            [-pad_x, -pad_y],
            [width + pad_x, -pad_y],
            [width + pad_x, FLAT_HEIGHT + pad_y],
            [-pad_x, FLAT_HEIGHT + pad_y],
        ],
        np.float32,
    )
    matrix = to_quad(quad, width, FLAT_HEIGHT)
    corners = cv2.perspectiveTransform(outer[None], matrix)[0]
    if not np.isfinite(corners).all() or not cv2.isContourConvex(corners.astype(np.float32)):
        return quad
    flat = rectified(photo, corners.astype(np.float32), width + 2 * pad_x, FLAT_HEIGHT + 2 * pad_y)
    grey = cv2.GaussianBlur(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    down = np.asarray(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3), np.float32)
    right = np.asarray(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3), np.float32)
    top = _edge(down, pad_x, width, pad_y, FLAT_HEIGHT, -1)
    bottom = _edge(down, pad_x, width, pad_y + FLAT_HEIGHT, FLAT_HEIGHT, 1)
    left = _edge(right.T, pad_y, FLAT_HEIGHT, pad_x, width, -1)
    end = _edge(right.T, pad_y, FLAT_HEIGHT, pad_x + width, width, 1)
    lines = [
        _line((0, top[0]), (width, top[1])),
        _line((width + end[0], 0), (width + end[1], FLAT_HEIGHT)),
        _line((width, FLAT_HEIGHT + bottom[1]), (0, FLAT_HEIGHT + bottom[0])),
        _line((left[1], FLAT_HEIGHT), (left[0], 0)),
    ]
    fitted = _corners(lines)
    if fitted is None:
        return quad
    result = np.asarray(cv2.perspectiveTransform(fitted[None], matrix)[0], np.float32)
    return result if cv2.isContourConvex(result) else quad


def _line(a: tuple[float, float], b: tuple[float, float]) -> tuple[Floats, Floats]:
    start = np.array(a, np.float32)
    return start, np.array(b, np.float32) - start


def _edge(
    steps: Floats, start: int, length: int, row: int, extent: int, outward: int
) -> tuple[float, float]:
    """How far a nearly horizontal line at `row` is moved at its two ends to lie on an edge.

    `steps` is the derivative downwards; the line runs over columns [start, start + length).
    """
    most_in, most_out = MOST_IN * extent, MOST_OUT * extent
    low, high = (-most_out, most_in) if outward < 0 else (-most_in, most_out)
    moves = np.arange(np.ceil(low), np.floor(high) + 1, dtype=np.float32)
    columns = np.linspace(start + 0.06 * length, start + 0.94 * length, 40)
    share = ((columns - start) / length).astype(np.float32)
    first, last = np.meshgrid(moves, moves, indexing="ij")
    rows = row + first[..., None] * (1 - share) + last[..., None] * share
    rows = np.rint(rows).astype(int).clip(0, steps.shape[0] - 1)
    cap = max(float(np.percentile(np.abs(steps), 98)), 1e-3)
    values = np.clip(steps[rows, np.rint(columns).astype(int)] / cap, -1, 1)
    strength = np.abs(values.mean(axis=2))
    far = (first**2 + last**2) / (2 * (0.12 * extent) ** 2)
    tilt = (first - last) ** 2 / (2 * (0.10 * extent) ** 2)
    value = strength * np.exp(-0.5 * (far + tilt))
    best = np.unravel_index(int(value.argmax()), value.shape)
    if strength[best] < VISIBLE:  # no edge to be seen: the networks' opinion stands
        return 0.0, 0.0
    return float(first[best]), float(last[best])


def apparent_aspect(quad: Quad) -> float:
    """Width to height of the quad as it appears."""
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    return float((sides[0] + sides[2]) / max(sides[1] + sides[3], 1e-6))


def true_aspect(quad: Quad, width: int, height: int) -> float:
    """Width to height of the real plate, seen by a phone on a photo of this size.

    A rectangle's homography gives it once the focal length is known (Zhang and He, "Whiteboard
    scanning and image enhancement", 2007); phones have about 0.75 of the long side.
    """
    focal = 0.75 * max(width, height)
    inverse = np.array([[1 / focal, 0, -width / 2 / focal], [0, 1 / focal, -height / 2 / focal]])
    columns = np.vstack([inverse, [0, 0, 1]]) @ to_quad(quad, 1, 1)
    across, down = np.linalg.norm(columns[:, 0]), np.linalg.norm(columns[:, 1])
    return float(np.clip(across / max(float(down), 1e-9), 1.2, 5.5))


# --- covering -------------------------------------------------------------------------------------


def mask_plates(photo: Rgb, quads: Sequence[Quad], style: Style, logo: Rgba | None = None) -> Rgb:
    """A copy of the photo on which nobody can read the plates.

    `blur` leaves a smooth patch of the plate's mean colours, `fill` a blank plate in its light,
    `logo` the owner's RGBA picture (h, w, 4) on that blank plate; `none` changes nothing. Raises
    ValueError for `logo` without a picture.
    """
    if style == "logo" and logo is None:
        raise ValueError("masking by a logo needs the logo")
    masked = photo.copy()
    if style == "none":
        return masked
    for quad in quads:
        _mask(photo, masked, quad, style, logo)
    return masked


def cover(quad: Quad, shape: tuple[int, int]) -> tuple[slice, slice, Floats] | None:
    """Where a quad is covered on a photo of (height, width): the window and its alpha (h, w).

    1 on the padded quad, falling to 0 outside of it. None where it lies outside the photo.
    """
    grown = padded(quad)
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    feather = max(LEAST_FEATHER, FEATHER * float(sides.min()))
    reach = int(np.ceil(feather)) + 2
    x, y, w, h = quad_box(grown)
    x0, y0 = max(0, int(x) - reach), max(0, int(y) - reach)
    x1, y1 = min(shape[1], int(np.ceil(x + w)) + reach), min(shape[0], int(np.ceil(y + h)) + reach)
    if x0 >= x1 or y0 >= y1:
        return None
    # How far a pixel's centre is outside of each side; beyond a corner, of both its sides.
    vectors = np.roll(grown, -1, axis=0) - grown
    normals = np.stack([vectors[:, 1], -vectors[:, 0]], axis=1)
    normals /= np.maximum(np.hypot(*normals.T), 1e-6)[:, None]
    xs, ys = np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32) + 0.5
    outside = np.zeros((y1 - y0, x1 - x0), np.float32)
    for corner, (nx, ny) in zip(grown, normals, strict=True):
        beyond = (nx * (xs - corner[0]))[None, :] + (ny * (ys - corner[1]))[:, None]
        outside += np.square(beyond.clip(0))
    t = np.clip(1 - np.sqrt(outside) / feather, 0, 1)
    alpha = t * t * (3 - 2 * t)
    return slice(y0, y1), slice(x0, x1), np.asarray(alpha, np.float32)


def _mask(photo: Rgb, masked: Rgb, quad: Quad, style: Style, logo: Rgba | None) -> None:
    place = cover(quad, (photo.shape[0], photo.shape[1]))
    if place is None:
        return
    rows, columns, alpha = place
    origin = np.array([columns.start, rows.start], np.float32)
    size = (alpha.shape[1], alpha.shape[0])
    flat = rectified(photo, quad, FLAT_WIDTH, FLAT_ROWS)
    patch = _smeared(flat) if style == "blur" else _blank(flat)
    reach = 0.35  # the patch is continued this far round the plate, under padding and feather
    grown = padded(quad, reach, LEAST_PADDING + LEAST_FEATHER + 3)
    window = _warped(_continued(patch, quad, grown), grown - origin, size)
    if style == "logo" and logo is not None and _height(quad) >= LEAST_LOGO_ROWS:
        aspect = true_aspect(quad, photo.shape[1], photo.shape[0])
        window = _with_logo(window, logo, padded(quad) - origin, aspect, _light(flat))
    if style != "blur":
        window += _grain(photo[rows, columns], alpha)
    a = alpha[..., None]
    blended = masked[rows, columns] * (1 - a) + window.clip(0, 255) * a
    masked[rows, columns] = np.rint(blended).astype(np.uint8)


FLAT_WIDTH, FLAT_ROWS = 96, 40  # of a rectified plate
CELLS_ACROSS, CELLS_DOWN = 5, 2
"""What is left of a blurred plate: fewer numbers than it has characters."""


def _smeared(flat: Rgb) -> Floats:
    """The plate as its mean colours on a grid of CELLS, float32 (CELLS_DOWN, CELLS_ACROSS, 3)."""
    cells = cv2.resize(
        flat.astype(np.float32), (CELLS_ACROSS, CELLS_DOWN), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cells, np.float32)


def _blank(flat: Rgb) -> Floats:
    """The empty plate: one colour, its shading a plane fitted to the ground between characters.

    The ground is the more common of dark and light (Otsu); characters take a third of a plate.
    """
    inner = flat[FLAT_ROWS // 8 : -FLAT_ROWS // 8, FLAT_WIDTH // 16 : -FLAT_WIDTH // 16]
    grey = cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY)
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = grey > level
    ground = light if light.mean() >= 0.4 else ~light
    values = grey[ground].astype(np.float32)
    low, high = np.percentile(values, (30, 95))  # edges of characters, glints
    ground &= (grey >= low) & (grey <= high)
    v, u = np.nonzero(ground)
    if len(v) < 16:
        return np.full((2, 2, 3), np.median(inner, axis=(0, 1)), np.float32)
    u01, v01 = u / (inner.shape[1] - 1) - 0.5, v / (inner.shape[0] - 1) - 0.5
    colour = np.median(inner[ground], axis=0)
    luma = grey[ground].astype(np.float64)
    design = np.stack([np.ones(len(u)), u01, v01], axis=1)
    middle, across, down = np.linalg.lstsq(design, luma, rcond=None)[0]
    slopes = np.clip(np.array([across, down]) / max(middle, 1.0), -0.35, 0.35)
    ends = np.array([-0.5, 0.5])
    shade = 1 + slopes[0] * ends[None, :] + slopes[1] * ends[:, None]
    return np.asarray(colour[None, None] * shade[..., None], np.float32)


def _continued(patch: Floats, quad: Quad, grown: Quad) -> Floats:
    """The patch (h, w, 3) resampled smoothly over the larger quad, its border carried outwards."""
    matrix = np.linalg.inv(to_quad(quad, patch.shape[1], patch.shape[0])) @ to_quad(
        grown, FLAT_WIDTH, FLAT_ROWS
    )
    x, y = np.meshgrid(np.arange(FLAT_WIDTH) + 0.5, np.arange(FLAT_ROWS) + 0.5)
    points = np.stack([x, y], axis=-1).reshape(1, -1, 2).astype(np.float64)
    there = cv2.perspectiveTransform(points, matrix).reshape(FLAT_ROWS, FLAT_WIDTH, 2)
    there = (there - 0.5).astype(np.float32)
    smooth = cv2.remap(
        patch, there[..., 0], there[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), FLAT_ROWS / 10), np.float32)


def _warped(picture: Floats, quad: Quad, size: tuple[int, int]) -> Floats:
    """The picture laid on the quad, float32 (h, w, 3) of the given size, continued around it."""
    matrix = _CENTRE @ to_quad(quad, picture.shape[1], picture.shape[0]) @ _CORNER
    border = cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border),
        np.float32,
    )


MOST_LOGO_ROWS = 160
LEAST_LOGO_ROWS = 18
"""Lower plates stay blank: a logo would be a smear, and read as characters by the leak check."""


def _height(quad: Quad) -> float:
    """Mean length of the quad's left and right side."""
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    return float(sides[1] + sides[3]) / 2


def _light(flat: Rgb) -> float:
    """How brightly the plate is lit: its light pixels, of what a white plate has in full light."""
    bright = float(np.percentile(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), 92))
    return min(max(bright / 235, 0.3), 1.05)


def _with_logo(window: Floats, logo: Rgba, quad: Quad, aspect: float, light: float) -> Floats:
    """The logo on the blank plate, whole, in its own proportions and in the plate's light."""
    # Drawn at about the size it is seen at: the homography only takes single pixels.
    height = round(min(MOST_LOGO_ROWS, _height(quad)))
    width = round(height * aspect)
    share = 0.86 * min(width / logo.shape[1], height / logo.shape[0])
    w, h = max(1, round(logo.shape[1] * share)), max(1, round(logo.shape[0] * share))
    weight = logo[..., 3:].astype(np.float32) / 255
    ink = np.concatenate([logo[..., :3] * weight, weight * 255], axis=2)
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink.astype(np.float32), (w, h), interpolation=method)
    flat = np.zeros((height, width, 4), np.float32)
    top, left = (height - h) // 2, (width - w) // 2
    flat[top : top + h, left : left + w] = small
    soft = np.asarray(cv2.GaussianBlur(flat, (0, 0), 0.45), np.float32)
    laid = _warped(soft, quad, (window.shape[1], window.shape[0]))
    # The blank plate's own shading, from one side to the other, goes over the logo too.
    luma = window @ np.array([0.299, 0.587, 0.114], np.float32)
    shade = light * np.clip(luma / max(float(np.median(luma)), 1.0), 0.6, 1.4)[..., None]
    a = laid[..., 3:] / 255
    return np.asarray(window * (1 - a) + laid[..., :3] * shade, np.float32)


def _grain(window: Rgb, alpha: Floats) -> Floats:
    """Noise (h, w, 1) as strong as the photo's own beside the plate; the same on every run."""
    grey = cv2.cvtColor(np.ascontiguousarray(window), cv2.COLOR_RGB2GRAY).astype(np.float32)
    rough = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.2))
    beside = rough[alpha < 0.5]
    strength = min(2.5, float(np.median(beside)) * 1.2) if beside.size else 0.0
    noise = np.random.default_rng(11).normal(0, strength, (*grey.shape, 1))
    return np.asarray(noise, np.float32)


# --- leaks ----------------------------------------------------------------------------------------

READABLE = 4
"""So many readable characters in a plate's place are a leak."""
SAME_TEXT = 0.7  # similarity from which two readings are of one text
READER_SURE = 0.5
"""Mean confidence below which the reader is guessing."""
LEAK_SCORE, LEAK_ELSEWHERE = 0.20, 0.50
"""Least score of a place on the finished picture that is read, on a vehicle and elsewhere; lower
than what is covered, but at 0.17 a model's badge is read as a plate."""
SURELY_PLATE = 0.60
"""Least score from which an uncovered place is a leak even where nothing can be read."""
LINE_HEIGHT = 48


def lines_of(photo: Rgb, quad: Quad) -> list[Rgb]:
    """The plate's place as upright strips of text height, for a reader of single lines.

    One strip for the whole, and for plates of two lines their upper and lower part.
    """
    aspect = float(np.clip(apparent_aspect(quad), 1.0, 8.0))
    flat = rectified(
        photo, padded(quad, 0.04, 0.5), round(2 * LINE_HEIGHT * aspect), 2 * LINE_HEIGHT
    )
    strips = [flat, flat[round(0.15 * len(flat)) : round(0.85 * len(flat))]]
    if aspect < 2.6:
        strips += [flat[: round(0.55 * len(flat))], flat[round(0.45 * len(flat)) :]]
    return [np.ascontiguousarray(s) for s in strips]


def readable_characters(text: str) -> int:
    """Letters and digits in what a reader made of a strip."""
    return sum(character.isalnum() for character in text)


def suspicious(box: Box, score: float, vehicles: Sequence[Box]) -> bool:
    """Whether a place on the finished picture is worth reading."""
    return score >= (LEAK_SCORE if owner(box, vehicles) is not None else LEAK_ELSEWHERE)


def surely(box: Box, score: float, agreement: float, vehicles: Sequence[Box]) -> bool:
    """Whether a place is a plate even if nobody can read it."""
    return score >= SURELY_PLATE and believed(box, score, agreement, vehicles, False)


def is_allowed(text: str, allowed: Sequence[str]) -> bool:
    """Whether a reading is, give or take a letter, one of the texts that may stand there."""
    plain = _plain(text)
    return any(
        SequenceMatcher(None, plain, _plain(known)).ratio() >= SAME_TEXT
        or (len(plain) >= READABLE and plain in _plain(known))
        for known in allowed
    )


def _plain(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum())

"""A plate as a quadrilateral: found in a mask, snapped to edges, padded, rectified."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Corners, Floats, Quad, Rgb

PADDING = 0.10  # of the plate's width and height a side
LEAST_PADDING = 1.5  # pixels


def hull(boxes: Floats) -> Box:
    """The box around boxes (N, 4)."""
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return float(x0), float(y0), float(x1 - x0), float(y1 - y0)


def box_quad(box: Box) -> Corners:
    x, y, w, h = box
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


def quad_box(quad: Corners) -> Box:
    """The upright box around a quad."""
    return hull(np.concatenate([quad, np.zeros_like(quad)], axis=1))


def mask_quad(mask: Floats) -> Corners | None:
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
    filled = np.abs(cv2.contourArea(quad)) / max(cv2.contourArea(rectangle), 1e-6)
    if not (cv2.isContourConvex(quad) and 0.5 <= filled <= 1.3):
        quad = rectangle
    return upright(quad)


def _along(polygon: Floats) -> Floats:
    """Points about one pixel apart on a closed polygon (N, 2)."""
    parts = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        steps = max(1, round(float(np.hypot(*(b - a)))))
        parts.append(a + (b - a) * (np.arange(steps)[:, None] / steps))
    return np.asarray(np.concatenate(parts), np.float32)


def _fit_sides(quad: Corners, points: Floats) -> Corners | None:
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
    return corners_of(lines)


def corners_of(lines: Sequence[tuple[Floats, Floats]]) -> Corners | None:
    """Where each line (point, direction) meets the one before it.

    None for parallel neighbours, and for a line without a direction.
    """
    corners = []
    for (p, d), (q, e) in zip([lines[-1], *lines[:-1]], lines, strict=True):
        cross, lengths = float(d[0] * e[1] - d[1] * e[0]), float(np.hypot(*d) * np.hypot(*e))
        if lengths == 0 or abs(cross / lengths) < 0.15:
            return None
        step = np.linalg.solve(np.array([d, -e]).T.astype(np.float64), (q - p).astype(np.float64))
        corners.append(p + step[0] * d)
    return np.asarray(corners, np.float32)


def upright(quad: Corners) -> Corners:
    """The same corners clockwise from the plate's own top left, as far as the photo is upright."""
    x, y = (quad - quad.mean(axis=0)).T
    clockwise = quad[np.argsort(np.arctan2(y, x), kind="stable")]
    wanted = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)

    def fit(start: int) -> float:
        sides = np.roll(clockwise, -start - 1, axis=0) - np.roll(clockwise, -start, axis=0)
        lengths = np.hypot(sides[:, 0], sides[:, 1])[:, None]
        return float((sides / np.maximum(lengths, 1e-6) * wanted).sum())

    return np.asarray(np.roll(clockwise, -max(range(4), key=fit), axis=0), np.float32)


def spanned(quad: Corners, box: Box) -> Corners:
    """The quad stretched so that its upright box is `box`."""
    x, y, w, h = quad_box(quad)
    if w <= 0 or h <= 0:
        return box_quad(box)
    scale = np.array([box[2] / w, box[3] / h], np.float32)
    return np.asarray((quad - [x, y]) * scale + [box[0], box[1]], np.float32)


def padded(quad: Corners, share: float = PADDING, least: float = LEAST_PADDING) -> Corners:
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
    corners = corners_of(list(zip(moved, unit, strict=True)))
    return box_quad(quad_box(moved)) if corners is None else corners


def contains(quad: Corners, points: Floats) -> npt.NDArray[np.bool_]:
    """Which of the points (N, 2) lie in the convex clockwise quad, as (N,)."""
    vectors = np.roll(quad, -1, axis=0) - quad
    offset = points[:, None] - quad[None]
    cross = vectors[None, :, 0] * offset[..., 1] - vectors[None, :, 1] * offset[..., 0]
    return np.asarray((cross >= -1e-4).all(axis=1))


def lies_on(quad: Corners, known: Sequence[Quad]) -> bool:
    """Whether the middle of a quad lies on one of the known plates, or at its rim."""
    centre = quad.mean(axis=0)[None]
    return any(contains(padded(np.array(one, np.float32)), centre)[0] for one in known)


def to_quad(quad: Corners, width: int, height: int) -> npt.NDArray[np.float64]:
    """Homography (3, 3) from a width x height picture to the quad, both in pixel-corner terms."""
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(flat, quad.astype(np.float32)), np.float64)


# OpenCV counts from pixel centres, this module from pixel corners.
CENTRE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
CORNER = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])


def rectified(photo: Rgb, quad: Corners, width: int, height: int) -> Rgb:
    """What the quad shows, as an upright picture (height, width, 3)."""
    matrix = CENTRE @ to_quad(quad, width, height) @ CORNER
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    warped = cv2.warpPerspective(photo, matrix, (width, height), flags=flags, borderMode=border)
    return np.asarray(warped, np.uint8)


MARGIN = 0.30  # round the first guess, of its width and height: where a side may be found
FLAT_HEIGHT = 72  # rows of the plate in the flat picture in which its sides are looked for
MOST_IN, MOST_OUT = 0.04, 0.10  # of its extent: how far a side may be moved
VISIBLE = 0.22  # mean brightness step along an edge, of the strongest there are


def refined(photo: Rgb, quad: Corners) -> Corners:
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
    fitted = corners_of(lines)
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
    if strength[best] < VISIBLE:  # no edge to be seen: the networks' quad stands
        return 0.0, 0.0
    return float(first[best]), float(last[best])


def mean_sides(quad: Corners) -> tuple[float, float]:
    """Mean lengths of the quad's top and bottom, and of its left and right side."""
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    return float(sides[0] + sides[2]) / 2, float(sides[1] + sides[3]) / 2


def apparent_aspect(quad: Corners) -> float:
    """Width to height of the quad as it appears."""
    width, height = mean_sides(quad)
    return width / max(height, 1e-6)


def true_aspect(quad: Corners, width: int, height: int) -> float:
    """Width to height of the real plate, seen by a phone on a photo of this size.

    A rectangle's homography gives it once the focal length is known (Zhang and He, "Whiteboard
    scanning and image enhancement", 2007); phones have about 0.75 of the long side.
    """
    focal = 0.75 * max(width, height)
    inverse = np.array([[1 / focal, 0, -width / 2 / focal], [0, 1 / focal, -height / 2 / focal]])
    columns = np.vstack([inverse, [0, 0, 1]]) @ to_quad(quad, 1, 1)
    across, down = np.linalg.norm(columns[:, 0]), np.linalg.norm(columns[:, 1])
    return float(np.clip(across / max(float(down), 1e-9), 1.2, 5.5))

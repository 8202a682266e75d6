"""The edge of a plate, found by what the photo shows around an outline of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.plates.quads import (
    apparent_aspect,
    corners_of,
    padded,
    rectified,
    to_quad,
)
from okla_assets.imaging.types import Corners, Floats, Rgb

MARGIN = 0.30  # round the outline, of its width and height: what is looked at
ROWS = 64  # of the outline in the flat picture in which its sides are looked for
SAMPLES = 32  # along a side, its rounded corners left out
EDGE = 0.3  # of the steepest steps: what is an edge

LEAST_SUPPORT, MEAN_SUPPORT = 0.5, 0.7
"""Share of all sides but one, and of these on average, that must be an edge: a black card ends
unseen on black paint."""
MOSTLY = 0.96  # of an outline's area


@dataclass(frozen=True, eq=False)
class Rim:
    """A quadrilateral, and of each side (top, right, bottom, left) the share that is an edge."""

    quad: Corners
    support: tuple[float, float, float, float]

    def encloses(self, outlines: Sequence[Corners]) -> bool:
        """Whether it is an edge on three sides at least, and what the networks outlined lies in it.

        An outline may stick out by the padding, which is covered anyhow.
        """
        seen = sorted(self.support)[1:]
        if seen[0] < LEAST_SUPPORT or sum(seen) < len(seen) * MEAN_SUPPORT:
            return False
        cover = padded(self.quad)
        return all(
            cv2.intersectConvexConvex(cover, outline)[0] >= MOSTLY * cv2.contourArea(outline)
            for outline in outlines
        )


@dataclass(frozen=True)
class Reach:
    """Where a plate's edge is looked for.

    Each side of an outline moves `inwards` and `outwards` by so much of its extent at most, and the
    moves of its two ends differ by `turn` of its height.

    A side of which less than the share `support` is an edge stays where it is.
    """

    inwards: float
    outwards: float
    turn: float
    support: float


def rim_near(photo: Rgb, outline: Corners, reach: Reach) -> Rim | None:
    """The edges next to an outline's sides; None where they make no quadrilateral.

    Of all lines within reach the one with the steepest step of one sign along it wins, nearer ones
    being preferred.
    """
    width = round(ROWS * float(np.clip(apparent_aspect(outline), 0.6, 5)))
    mx, my = round(MARGIN * width), round(MARGIN * ROWS)
    outer = np.array(
        [[-mx, -my], [width + mx, -my], [width + mx, ROWS + my], [-mx, ROWS + my]], np.float32
    )
    matrix = to_quad(outline, width, ROWS)
    corners = cv2.perspectiveTransform(outer[None], matrix)[0].astype(np.float32)
    if not np.isfinite(corners).all() or not cv2.isContourConvex(corners):
        return None
    flat = rectified(photo, corners, width + 2 * mx, ROWS + 2 * my)
    soft = cv2.GaussianBlur(flat, (0, 0), 1.2)
    down = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3), np.float32)
    right = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3), np.float32).transpose(1, 0, 2)
    before, after = (reach.outwards, reach.inwards), (reach.inwards, reach.outwards)
    turn = max(COARSE, reach.turn * ROWS)
    sides = (
        _edge(down, mx, width, my, ROWS, before, turn),
        _edge(right, my, ROWS, mx + width, width, after, turn),
        _edge(down, mx, width, my + ROWS, ROWS, after, turn),
        _edge(right, my, ROWS, mx, width, before, turn),
    )
    top, end, bottom, left = (s if s[2] >= reach.support else (0.0, 0.0, s[2]) for s in sides)
    lines = [
        _line((0, top[0]), (width, top[1])),
        _line((width + end[0], 0), (width + end[1], ROWS)),
        _line((width, ROWS + bottom[1]), (0, ROWS + bottom[0])),
        _line((left[1], ROWS), (left[0], 0)),
    ]
    fitted = corners_of(lines)
    if fitted is None:
        return None
    quad = np.asarray(cv2.perspectiveTransform(fitted[None], matrix)[0], np.float32)
    if not cv2.isContourConvex(quad):
        return None
    return Rim(quad, (top[2], end[2], bottom[2], left[2]))


def _line(a: tuple[float, float], b: tuple[float, float]) -> tuple[Floats, Floats]:
    start = np.array(a, np.float32)
    return start, np.array(b, np.float32) - start


COARSE, FINE = 3.0, 0.75  # rows between the lines that are tried, first and round the best of them


def _edge(
    steps: Floats,
    start: int,
    length: int,
    row: int,
    extent: int,
    most: tuple[float, float],
    turn: float,
) -> tuple[float, float, float]:
    """How far a nearly horizontal line at `row` is moved at its two ends to lie on an edge, and
    which share of it is one.

    `steps` is the derivative downwards (h, w, 3); the line runs over columns [start, start +
    length) and is moved by `most` of its extent up and down, its ends by `turn` rows apart at most.
    """
    columns = np.linspace(start + 0.07 * length, start + 0.93 * length, SAMPLES)
    share = ((columns - start) / length).astype(np.float32)
    raw = steps[:, np.rint(columns).astype(int)]
    rank = int(0.97 * raw.size)
    steep = float(np.partition(np.abs(raw), rank, axis=None)[rank])
    clipped = np.clip(raw / max(0.5 * steep, 12.0), -1, 1)
    low, high = -max(2.0, most[0] * extent), max(2.0, most[1] * extent)
    tried = np.arange(low, high + COARSE / 2, COARSE, dtype=np.float32)
    first, last = np.meshgrid(tried, tried, indexing="ij")
    values = _on_lines(clipped, row, first, last, share)
    far = (first**2 + last**2) / (2 * (0.16 * extent) ** 2)
    tilt = (first - last) ** 2 / (2 * (0.14 * extent) ** 2)
    value = np.abs(values.mean(axis=2)).max(axis=-1) * np.exp(-0.5 * (far + tilt))
    i, j = _strongest(np.where(np.abs(first - last) <= turn, value, 0.0))
    # Next to it, where the step is steepest: its flanks are clipped alike.
    near = np.arange(-COARSE + FINE, COARSE, FINE, dtype=np.float32)
    near_first, near_last = (np.clip(end[i, j] + near, low, high) for end in (first, last))
    first, last = np.meshgrid(near_first, near_last, indexing="ij")
    i, j = _strongest(np.abs(_on_lines(raw, row, first, last, share).mean(axis=2)).max(axis=-1))
    values = _on_lines(clipped, row, first, last, share)[i, j]
    means = values.mean(axis=0)
    channel = int(np.abs(means).argmax())
    along = values[:, channel] * np.sign(means[channel])
    return float(first[i, j]), float(last[i, j]), float((along > EDGE).mean())


def _on_lines(there: Floats, row: int, first: Floats, last: Floats, share: Floats) -> Floats:
    """The values (tries, tries, samples, 3) along lines whose ends are moved from `row`."""
    rows = row + first[..., None] * (1 - share) + last[..., None] * share
    rows = np.floor(rows).astype(int).clip(0, len(there) - 1)
    return np.asarray(there[rows, np.arange(len(share))], np.float32)


def _strongest(value: Floats) -> tuple[int, int]:
    i, j = np.unravel_index(int(value.argmax()), value.shape)
    return int(i), int(j)

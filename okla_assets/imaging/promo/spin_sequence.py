"""The pictures of a turn as a continuous film."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from okla_assets.imaging.promo.sheets import calm_border
from okla_assets.imaging.promo.yuv import Plane, Yuv, mix, to_yuv
from okla_assets.imaging.types import Floats, Rgb

MOST_MORPHED = 14.0
"""Degrees between two pictures of a turn up to which the way between them is found: at 10 a car
moves as if filmed, at 22 its lamps and wheels come apart."""
TAKES_OVER = 0.3
"""Of the way between two pictures, how much of it both are seen in: each alone is sharp."""
MOST_UNLIKE = 24.0
"""Levels by which two pictures may differ at a pixel and still be mixed there: where the way from
one to the other was not found, a mixture shows everything twice."""
FLOW_WIDTH = 480
"""Motion between two frames of the turn is searched on copies of this width."""
RETURNS, STRUCTURE = 1.5, 60.0
"""On these copies: pixels within which the way there and back should end, and the gradient in
levels from which there is something to follow."""
STEADY = 0.06  # of the width: over so much the motion changes, or wheels are torn


class SpinSequence:
    """Pictures of a turn as a continuous film; `gaps` are the angles from each to the next one.

    Between near pictures a moment is morphed: dense optical flow both ways (DIS, Kroeger et al.
    2016, arXiv:1603.03590), steadied, each picture warped towards the moment; where the two agree
    they are mixed, elsewhere the nearer one is shown. Across a wide gap flow finds no way, and the
    next picture takes the place of the one before.
    """

    def __init__(self, load: Callable[[int], Rgb], gaps: Sequence[float]) -> None:
        self._load, self._gaps = load, gaps
        self._ends = np.cumsum(gaps)
        self._planes: dict[int, Yuv] = {}
        self._flows: tuple[int, tuple[Floats, Floats]] | None = None
        height, width = load(0).shape[:2]
        self.size = (width - width % 2, height - height % 2)

    def at(self, share: float) -> Yuv:
        """The picture at a share of the whole turn, 0 and 1 being the first picture."""
        angle = (share % 1.0) * float(self._ends[-1])
        index = min(int(np.searchsorted(self._ends, angle, "right")), len(self._gaps) - 1)
        after = (index + 1) % len(self._gaps)
        between = 1 - (float(self._ends[index]) - angle) / max(self._gaps[index], 1e-6)
        near = self._gaps[index] <= MOST_MORPHED
        if not near or between < 1e-3 or between > 1 - 1e-3:
            return self._picture(index if between < 0.5 else after)
        one, other = self._picture(index), self._picture(after)
        for old in [k for k in self._planes if k not in (index, after)]:
            del self._planes[old]
        return _morphed(one, other, *self._flow(index, one.y, other.y), between)

    def _picture(self, index: int) -> Yuv:
        if index not in self._planes:
            width, height = self.size
            picture = self._load(index)
            if picture.shape[:2] != (height, width):
                picture = picture[:height, :width]
            # An upright frame continues the scene far beyond it: noise would become stripes.
            calm = cv2.convertScaleAbs(calm_border(picture))
            self._planes[index] = to_yuv(np.asarray(calm, np.uint8))
        return self._planes[index]

    def _flow(self, index: int, one: Plane, other: Plane) -> tuple[Floats, Floats]:
        if self._flows is None or self._flows[0] != index:
            scale = min(1.0, FLOW_WIDTH / one.shape[1])
            a, b = (
                np.asarray(
                    cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
                )
                for p in (one, other)
            )
            search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            # DIS reuses the buffer it is given: each direction gets its own.
            forth, back = (
                np.asarray(search.calc(p, q, np.zeros((*p.shape, 2), np.float32)), np.float32)
                for p, q in ((a, b), (b, a))
            )
            steady = _steadied(forth, back, a), _steadied(back, forth, b)
            self._flows = index, (steady[0] / np.float32(scale), steady[1] / np.float32(scale))
        return self._flows[1]


def _steadied(flow: Floats, back: Floats, plane: Plane) -> Floats:
    """The flow of a picture, as smooth as a rigid body's, at a quarter of its size.

    It is believed where the way back leads home and there is something to follow; elsewhere, as
    where a wheel comes into view, it is the mean of what is believed near by (normalised
    convolution, Knutsson and Westin 1993). A warp by it bends, and never tears.
    """
    height, width = plane.shape
    x, y = _grid(width, height)
    home = cv2.remap(
        back, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    off = np.linalg.norm(flow + home, axis=2) / RETURNS
    across, down = (cv2.Sobel(plane, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    structure = cv2.blur(cv2.magnitude(across, down), (5, 5)) / STRUCTURE
    belief = np.exp(-(off**2)) * structure.clip(0, 1)
    weighted = np.dstack([flow * belief[..., None], belief]).astype(np.float32)
    small = cv2.resize(weighted, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    sums = small.mean(axis=(0, 1)) * 1e-3 + np.array([0, 0, 1e-9], np.float32)
    for share, reach in ((1.0, 1), (0.03, 3)):
        sums = sums + share * cv2.GaussianBlur(small, (0, 0), reach * STEADY * small.shape[1])
    return np.asarray(sums[..., :2] / sums[..., 2:], np.float32)


def _morphed(
    one: Yuv,
    other: Yuv,
    forth: Floats,
    back: Floats,
    share: float,
) -> Yuv:
    """`share` of the way from one picture to the other; flows in pixels of the luma plane."""
    mixed = []
    over = float(np.clip((share - 0.5) / TAKES_OVER + 0.5, 0, 1))
    unlike: Plane | None = None
    for name in ("y", "u", "v"):
        a, b = getattr(one, name), getattr(other, name)
        if name != "v":  # U and V share their maps
            size, smaller = (a.shape[1], a.shape[0]), 1 if name == "y" else 2
            # The flow of the picture itself, backwards: exact where the flow is smooth.
            to_one = _map(size, forth, share / smaller)
            to_other = _map(size, back, (1 - share) / smaller)
        near, far = (
            np.asarray(
                cv2.remap(plane, *way, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
            for plane, way in ((a, to_one), (b, to_other))
        )
        if name == "y":
            unlike = _unlike(near, far)
        elif name == "u" and unlike is not None:
            size = (near.shape[1], near.shape[0])
            unlike = np.asarray(cv2.resize(unlike, size, interpolation=cv2.INTER_AREA), np.uint8)
        both = np.asarray(cv2.addWeighted(near, 1 - over, far, over, 0), np.uint8)
        alone = np.asarray(near if share < 0.5 else far, np.uint8)
        mixed.append(both if unlike is None else mix(both, alone, unlike))
    return Yuv(*mixed)


def _unlike(near: Plane, far: Plane) -> Plane:
    """Where two pictures do not show the same, 0 to 255, soft at the edges."""
    differs = cv2.blur(cv2.absdiff(near, far), (5, 5)).astype(np.float32)
    share = ((differs - 0.5 * MOST_UNLIKE) / (0.5 * MOST_UNLIKE)).clip(0, 1)
    return np.asarray(cv2.blur(np.asarray(share * 255, np.uint8), (9, 9)), np.uint8)


def _map(size: tuple[int, int], flow: Floats, share: float) -> tuple[Floats, Floats]:
    """Where each pixel of a plane comes from: columns and rows."""
    x, y = _grid(*size)
    back_x, back_y = (cv2.resize(part, size) * np.float32(share) for part in cv2.split(flow))
    return x - back_x, y - back_y


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return x[None, :], y[:, None]

"""Whether a finished picture shows the vehicle as the photo does: the truth guard.

A finished picture may differ from its photo by the recorded placement and the recorded correction
of colours, and by nothing else: no dent, badge, scratch or wheel is painted away or in. Both are
compared inside the opaque vehicle, tile by tile, so that a small change is not lost in the mean.
Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1].
"""

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Alpha, Box, Floats, Pixels, Rgb

COMPARED_WIDTH = 800
TILE = 8  # pixels at that width
PATCH = 3  # tiles
MOST_ROUNDED = 1.0  # of those pixels: placing by whole ones moves a picture by less
SHARPER = 0.3  # share of a tile's deviation that resampling may add or take
EDGE = 5  # of those pixels: the rim takes clean colours, which are not the photo's


def placed_at(source_box: Box, photo: Rgb, finished: Rgb) -> Floats:
    """The recorded placement as a matrix (2, 3) from the photo's pixels to the picture's.

    `source_box` is where the whole photo lies on the picture, in shares of the picture.
    """
    x, y, w, h = source_box
    height, width = finished.shape[:2]
    across, down = w * width / photo.shape[1], h * height / photo.shape[0]
    return np.array([[across, 0, x * width], [0, down, y * height]], np.float32)


def compare(finished: Rgb, photo: Rgb, move: Floats, solid: Alpha | None = None) -> Truth:
    """How far the finished picture is from the recorded transform of the photo.

    `photo` has its plates covered and its recorded correction applied (`enhance.corrected`);
    `move` (2, 3) brings its pixels to those of the picture. `solid` is the photo's matte, with
    zeros where treated glass may differ; None compares everything.
    """
    scale = min(1.0, COMPARED_WIDTH / finished.shape[1])
    width, height = round(finished.shape[1] * scale), round(finished.shape[0] * scale)
    smaller = scale * float(np.sqrt(np.linalg.det(move[:, :2])))
    size = max(1, round(photo.shape[1] * smaller)), max(1, round(photo.shape[0] * smaller))
    rest = move * scale
    rest[:, 0] *= photo.shape[1] / size[0]
    rest[:, 1] *= photo.shape[0] / size[1]
    rest[:, 2] += rest[:, :2] @ (0.5, 0.5) - 0.5  # pixel centres, not corners, are moved

    def moved(plane: Pixels) -> Pixels:
        return np.asarray(cv2.warpAffine(plane, rest, (width, height)), np.uint8)

    # Enlarged as the vehicle is: INTER_AREA, which is for reducing, makes blocks of its pixels.
    method = cv2.INTER_AREA if smaller < 1 else cv2.INTER_CUBIC
    reduced = np.asarray(cv2.resize(photo, size, interpolation=method), np.uint8)
    inside = np.ones((size[1], size[0]), np.uint8)
    if solid is not None:
        opaque = cv2.resize(solid, size, interpolation=cv2.INTER_AREA) > 0.99
        inside = np.asarray(opaque, np.uint8)
    edge = np.ones((EDGE, EDGE), np.uint8)
    inside = np.asarray(cv2.erode(moved(inside), edge, borderValue=0), np.uint8)
    part = _tiles_around(inside)
    inside = inside[part]
    counted = _tiles(np.asarray(inside, np.float32)) > 0.99
    if not counted.any():
        return Truth(0.0, 0.0, 0.0)
    shown = np.asarray(
        cv2.resize(finished, (width, height), interpolation=cv2.INTER_AREA), np.uint8
    )
    shown = shown[part]
    rest[:, 2] -= part[1].start, part[0].start
    height, width = shown.shape[:2]
    rest[:, 2] += _rounded_off(moved(reduced), shown, inside)
    wanted, got = _features(moved(reduced)), _features(shown)
    apart = got - wanted
    tiles = _difference(got, wanted)[counted]
    patches = _patches(np.ascontiguousarray(apart[..., :3]), counted)
    return Truth(
        typical=round(float(np.percentile(tiles, 95)), 2),
        tile=round(float(tiles.max()), 2),
        patch=round(float(patches[counted].max()), 2),
    )


def _rounded_off(expected: Rgb, shown: Rgb, inside: Pixels) -> Floats:
    """The part of a pixel, at most MOST_ROUNDED, by which whole pixels moved the picture: x, y.

    Least squares on the lightness and its slopes (Lucas and Kanade 1981).
    """
    of, on = (
        np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.float32) for p in (expected, shown)
    )
    across, down = (
        cv2.Sobel(of, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(of, -1, 0, 1, scale=1 / 8),
    )
    use = inside > 0
    slopes = np.stack([across[use], down[use]], axis=1)
    square = slopes.T @ slopes + np.eye(2, dtype=np.float32)
    move = np.linalg.solve(square, slopes.T @ (of - on)[use])
    return np.asarray(move.clip(-MOST_ROUNDED, MOST_ROUNDED), np.float32)


def _patches(apart: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    """Delta E of the mean of each tile and its neighbours: noise goes, what is smooth stays."""
    weights = np.asarray(counted, np.float32)
    number = cv2.boxFilter(weights, -1, (PATCH, PATCH), normalize=False)
    total = cv2.boxFilter(apart * weights[..., None], -1, (PATCH, PATCH), normalize=False)
    # Three tiles in a row, at a rim, are no patch.
    mean = total / np.maximum(number, PATCH)[..., None]
    return np.asarray(np.sqrt((mean**2).sum(axis=2)), np.float32)


def _tiles_around(inside: Pixels) -> tuple[slice, slice]:
    """Whole tiles that hold all that is inside."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return slice(0, TILE), slice(0, TILE)
    top, left = int(rows[0]) // TILE * TILE, int(columns[0]) // TILE * TILE
    return (
        slice(top, top + -(-(int(rows[-1]) + 1 - top) // TILE) * TILE),
        slice(left, left + -(-(int(columns[-1]) + 1 - left) // TILE) * TILE),
    )


def _tiles(plane: Floats) -> Floats:
    """Means over TILE x TILE pixels; what does not fill a tile is left out."""
    height, width = plane.shape[0] // TILE, plane.shape[1] // TILE
    whole = plane[: height * TILE, : width * TILE]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _features(picture: Rgb) -> Floats:
    """Of each tile its mean CIELAB and the deviation of its luma in levels: (rows, columns, 4)."""
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)
    mean = _tiles(luma)
    deviation = np.sqrt(np.maximum(_tiles(luma * luma) - mean * mean, 0))
    colours = _tiles(np.asarray(picture, np.float32)) / np.float32(255)
    lab = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB), np.float32)
    return np.dstack([lab, deviation])


def _difference(shown: Floats, wanted: Floats) -> Floats:
    """Delta E of each tile: of its mean, or what it lost or gained of its detail if that is more.

    Resampling changes the deviation within a tile by a share of it.
    """
    mean = np.sqrt(((shown - wanted)[..., :3] ** 2).sum(axis=2))
    most, least = (
        np.maximum(shown[..., 3], wanted[..., 3]),
        np.minimum(shown[..., 3], wanted[..., 3]),
    )
    detail = (most - least - SHARPER * most) * (100 / 255)
    return np.asarray(np.maximum(mean, detail), np.float32)

"""Photos turned in their own plane, and points found on them turned back."""

from collections.abc import Sequence

import cv2
import numpy as np

from okla_assets.imaging.types import Corners, Floats, Rgb

GROUND = 114  # grey level round a turned photo: what the networks are used to round a photo


def rotated(photo: Rgb, degrees: int) -> tuple[Rgb, Floats]:
    """The photo turned counter-clockwise, whole, on a ground of grey.

    Also returns the affine matrix (2, 3) from photo to result, in pixel-corner terms. Quarter turns
    are exact; at other angles the canvas grows.
    """
    matrix, (down, across) = turn_of((photo.shape[0], photo.shape[1]), degrees)
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(photo, degrees // 90)), matrix
    # OpenCV counts from pixel centres.
    centred = matrix.astype(np.float64)
    centred[:, 2] += centred[:, :2] @ [0.5, 0.5] - 0.5
    turned = cv2.warpAffine(
        photo, centred, (across, down), flags=cv2.INTER_LINEAR, borderValue=(GROUND,) * 3
    )
    return np.asarray(turned, np.uint8), matrix


def turn_of(size: tuple[int, int], degrees: int) -> tuple[Floats, tuple[int, int]]:
    """The matrix of `rotated` for a photo of (height, width), and the result's height and width."""
    height, width = size
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    across = round(abs(cos) * width + abs(sin) * height)
    down = round(abs(sin) * width + abs(cos) * height)
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = np.array([across, down]) / 2 - turn @ [width / 2, height / 2]
    return np.column_stack([turn, shift]).astype(np.float32), (down, across)


def turned_to(points: Corners, matrix: Floats) -> Corners:
    """Points (N, 2) of a photo, on the photo turned by `matrix`."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def turned_back(points: Corners, matrix: Floats) -> Corners:
    """Points (N, 2) of a rotated photo, on the photo itself; `matrix` as of `rotated`."""
    return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T, np.float32)


def mosaic_of_turns(photo: Rgb, turns: Sequence[int], side: int) -> tuple[Rgb, int]:
    """The photo at several angles in one picture (side, side, 3), for one network run.

    Row by row; also returns how many stand in a row.
    """
    across = int(np.ceil(np.sqrt(len(turns))))
    tile = side // across
    picture = np.full((side, side, 3), GROUND, np.uint8)
    largest = tile / max(photo.shape[:2])
    small = cv2.resize(photo, None, fx=largest, fy=largest, interpolation=cv2.INTER_AREA)
    for index, degrees in enumerate(turns):
        view = rotated(np.asarray(small, np.uint8), degrees)[0]
        scale = min(1.0, tile / max(view.shape[:2]))
        if scale < 1:
            size = (int(view.shape[1] * scale), int(view.shape[0] * scale))
            view = np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), np.uint8)
        h, w = view.shape[:2]
        top = index // across * tile + (tile - h) // 2
        left = index % across * tile + (tile - w) // 2
        picture[top : top + h, left : left + w] = view
    return picture, across

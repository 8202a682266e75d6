"""Photos of the whole sphere around the camera, laid out equirectangularly.

A column is a longitude, 0 (ahead) in the middle; a row is a latitude, +90 degrees (up) at the top.
The picture is twice as wide as high. Angles here are in degrees, yaw to the right, pitch upwards.
"""

import re

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Corners, Rgb

LARGER = 2
"""A panorama's working copy to an ordinary photo's: a screen shows a quarter of its width."""
_TOLD = re.compile(rb"GPano:ProjectionType\s*(?:=\s*[\"']|>)\s*equirectangular")
_LENGTH = rb"GPano:%s\s*(?:=\s*[\"']|>)\s*(\d+)"
_SEARCHED = 1 << 20  # bytes at the head of a file in which XMP stands
_LEAST_DETAIL = 2.5  # grey levels, standard deviation along the seam, of fine structure
_LEAST_LIKENESS = 0.8  # correlation of the fine structure of both sides of the seam
_MOST_STEP, _NOISE = 2.0, 1.0
"""The step across the seam: at most so many times one beside it, and grey levels for coding."""
_MOST_AT_POLE = 10.0  # grey levels, standard deviation along the row of a pole


def may_be(width: int, height: int) -> bool:
    """Whether a photo has the shape of one, within a pixel or two of 2:1."""
    return height >= 256 and abs(width - 2 * height) <= max(2, height // 200)


def is_named(data: bytes) -> bool:
    """Whether the file's XMP says so (Google's Photo Sphere metadata), and not of a part only."""
    head = data[:_SEARCHED]
    if not _TOLD.search(head):
        return False
    whole, part = (
        re.search(_LENGTH % name, head)
        for name in (b"FullPanoWidthPixels", b"CroppedAreaImageWidthPixels")
    )
    return whole is None or part is None or int(part[1]) >= int(whole[1])


def closes(picture: Rgb) -> bool:
    """Whether the left edge continues the right one, and either pole is one point.

    A studio's even wall does both; hence the fine structure along the seam must agree, which is
    noise where nothing continues, and the step across it be one as between columns beside it.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = [_fine(grey[:, :2].mean(axis=1)), _fine(grey[:, -2:].mean(axis=1))]
    if min(edge.std() for edge in edges) < _LEAST_DETAIL:
        return False
    if np.corrcoef(edges[0], edges[1])[0, 1] < _LEAST_LIKENESS:
        return False
    beside = max(np.abs(np.diff(part, axis=1)).mean() for part in (grey[:, :8], grey[:, -8:]))
    if np.abs(grey[:, 0] - grey[:, -1]).mean() > _MOST_STEP * beside + _NOISE:
        return False
    across = cv2.blur(grey, (15, 1))
    return bool(max(across[0].std(), across[-1].std()) <= _MOST_AT_POLE)


def _fine(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A column's structure of 2 to 12 pixels."""
    column = column[:, None]
    fine = cv2.GaussianBlur(column, (1, 0), 1, sigmaY=1) - cv2.GaussianBlur(
        column, (1, 0), 1, sigmaY=6
    )
    return np.asarray(fine[:, 0], np.float32)


def view(sphere: Rgb, yaw: float, pitch: float, fov: float, size: tuple[int, int]) -> Rgb:
    """What a camera sees that looks there: RGB of `size` (width, height), `fov` degrees across."""
    height, width = sphere.shape[:2]
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    points = on_sphere(np.stack([columns, rows], axis=-1), yaw, pitch, fov, size, (width, height))
    at = (points - 0.5).astype(np.float32)
    seen = cv2.remap(sphere, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(seen, np.uint8)


def on_sphere(
    points: npt.NDArray[np.floating],
    yaw: float,
    pitch: float,
    fov: float,
    size: tuple[int, int],
    whole: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """Points (..., 2) of a `view` in pixels of the panorama, whose size is `whole` (width, height).

    Columns lie within half the width of the view's middle, and so may lie outside [0, width].
    """
    focal = size[0] / 2 / np.tan(np.radians(fov) / 2)
    x = (points[..., 0] - size[0] / 2) / focal
    y = (size[1] / 2 - points[..., 1]) / focal
    up, ahead = np.radians(pitch), np.ones_like(x)
    y, z = y * np.cos(up) + ahead * np.sin(up), ahead * np.cos(up) - y * np.sin(up)
    longitude = yaw + np.degrees(np.arctan2(x, z))
    latitude = np.degrees(np.arctan2(y, np.hypot(x, z)))
    return np.stack(
        [(longitude / 360 + 0.5) * whole[0], (0.5 - latitude / 180) * whole[1]], axis=-1
    )


def within(corners: npt.NDArray[np.floating], width: int) -> list[Corners]:
    """Corners (N, 2) moved by whole turns onto the picture: two parts at the seam."""
    left, right = corners[:, 0].min(), corners[:, 0].max()
    moves = [
        turn * width
        for turn in (-1, 0, 1)
        if left + turn * width < width and right + turn * width > 0
    ]
    parts = []
    for move in moves:
        part = np.asarray(corners + np.array([move, 0]), np.float32)
        part[:, 0] = part[:, 0].clip(0, width)
        if np.ptp(part[:, 0]) >= 1:
            parts.append(part)
    return parts


def box_of(corners: Corners) -> Box:
    """The upright box [x, y, w, h] around corners."""
    x, y = corners.min(axis=0)
    w, h = np.ptp(corners, axis=0)
    return float(x), float(y), float(w), float(h)

"""Blurring faces, so that nobody can be recognised."""

from collections.abc import Sequence

import cv2
import numpy as np

from okla_assets.imaging.types import Box, Rgb

AROUND = 0.3  # of the face's width and height, on each side: hair, ears and chin
CELLS = 5  # across what is blurred, and down: some three of them lie across the face itself
FEATHER = 0.15  # of the ellipse, inside its rim


def blur_faces(photo: Rgb, faces: Sequence[Box]) -> Rgb:
    """A copy of the photo with an ellipse of mean colours over each face, in its pixels."""
    blurred = photo.copy()
    for face in faces:
        _blur(blurred, face)
    return blurred


def _blur(photo: Rgb, face: Box) -> None:
    x, y, w, h = face
    x0, y0 = max(0, round(x - AROUND * w)), max(0, round(y - AROUND * h))
    x1 = min(photo.shape[1], round(x + (1 + AROUND) * w))
    y1 = min(photo.shape[0], round(y + (1 + AROUND) * h))
    if x0 >= x1 or y0 >= y1:
        return
    window = photo[y0:y1, x0:x1]
    size = (x1 - x0, y1 - y0)
    cells = cv2.resize(window, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC)
    # Distance from the middle, 1 on the rim of the ellipse that stands around the whole face.
    across = (np.arange(x0, x1) + 0.5 - x - w / 2) / ((0.5 + AROUND) * w)
    down = (np.arange(y0, y1) + 0.5 - y - h / 2) / ((0.5 + AROUND) * h)
    distance = np.hypot(across[None, :], down[:, None])
    alpha = np.clip((1 - distance) / FEATHER, 0, 1)[..., None]
    photo[y0:y1, x0:x1] = np.rint(window * (1 - alpha) + smooth * alpha).astype(np.uint8)

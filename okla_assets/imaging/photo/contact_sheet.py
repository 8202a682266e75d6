"""Many pictures as one small one, for a person who wants to see at a glance what happened."""

from collections.abc import Iterable

import cv2
import numpy as np

from okla_assets.imaging.photo.codec import encode_jpeg
from okla_assets.imaging.types import Pixels

CELL_WIDTH, CELL_HEIGHT, GAP = 96, 72, 2
MOST_COLUMNS = 6
PAPER = 245


def contact_sheet(pictures: Iterable[Pixels], most_bytes: int) -> bytes:
    """JPEG bytes of a grid of the pictures (gray or RGB uint8), at most `most_bytes` long.

    Raises ValueError where there is no picture, or no quality makes it small enough.
    """
    cells = [_cell(picture) for picture in pictures]
    if not cells:
        raise ValueError("a contact sheet needs a picture")
    columns = min(MOST_COLUMNS, len(cells))
    while len(cells) % columns:
        cells.append(np.full_like(cells[0], PAPER))
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    sheet = np.vstack(rows)
    for scale in (1.0, 0.75, 0.5, 0.35, 0.25):
        small = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for quality in (75, 60, 45, 30):
            data = encode_jpeg(np.asarray(small, np.uint8), quality)
            if len(data) <= most_bytes:
                return data
    raise ValueError(f"{len(cells)} pictures do not fit in {most_bytes} bytes")


def _cell(picture: Pixels) -> Pixels:
    """The picture fitted into one cell on paper grey."""
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    height, width = picture.shape[:2]
    scale = min(CELL_WIDTH / width, CELL_HEIGHT / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA)
    cell = np.full((CELL_HEIGHT + GAP, CELL_WIDTH + GAP, 3), PAPER, np.uint8)
    top, left = (CELL_HEIGHT - h) // 2, (CELL_WIDTH - w) // 2
    cell[top : top + h, left : left + w] = small
    return cell

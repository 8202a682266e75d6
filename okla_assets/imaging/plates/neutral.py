"""Blank plates keep the grey of their light when a photo's colours are corrected."""

from collections.abc import Sequence

import cv2
import numpy as np

from okla_assets.imaging.plates.quads import padded, quad_box
from okla_assets.imaging.types import Corners, Floats, Rgb

INNER = 0.6  # of a plate: where its colour is measured
ALIKE = 40.0  # levels: a pixel this far from the plate's colour is none of it
MOST_TINT = 90.0  # levels between its channels: more is no blank plate's
LEAST_TINT = 0.004  # of its mean, over the channels: less is not to be seen
BEYOND, LEAST_BEYOND = 0.06, 2.5  # of its height, and pixels: how far beyond its quad it is drawn
OWN_TINT = 1.5  # how much of the plate's tint a pixel has, times this, is how far it is evened


def neutralised(picture: Rgb, quads: Sequence[Corners]) -> Rgb:
    """A copy of the corrected picture on which the blank plates in `quads` are grey again.

    A correction that brings the paint to its colour tints what was drawn in the photo's light. Only
    pixels of the plate's own colour and tint change, and only in hue: white paint beside a white
    plate has been brought to its colour and stays.
    """
    made = picture.copy()
    for quad in quads:
        _neutralise(made, quad)
    return made


def _neutralise(picture: Rgb, quad: Corners) -> None:
    height, width = picture.shape[:2]
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    drawn = padded(quad, 0, max(LEAST_BEYOND, BEYOND * float(sides.min())))
    x, y, w, h = quad_box(drawn)
    rows = slice(max(0, int(y)), min(height, int(np.ceil(y + h)) + 1))
    columns = slice(max(0, int(x)), min(width, int(np.ceil(x + w)) + 1))
    window = picture[rows, columns].astype(np.float32)
    if not window.size:
        return
    origin = np.array([columns.start, rows.start], np.float32)
    middle = quad.mean(axis=0)
    inner = _filled(window.shape[:2], middle + INNER * (quad - middle) - origin) > 0.5
    if not inner.any():
        return
    colour = np.median(window[inner], axis=0)
    if float(np.ptp(colour)) > MOST_TINT or not colour.all():
        return
    grey = float(colour @ np.array([0.299, 0.587, 0.114], np.float32))
    tint = colour / colour.mean() - 1
    if float(np.abs(tint).max()) < LEAST_TINT:
        return
    own = (window / np.maximum(window.mean(axis=2, keepdims=True), 1) - 1) @ tint / (tint @ tint)
    off = np.abs(window - colour).max(axis=2)
    share = (1 - off / ALIKE).clip(0, 1) * _filled(window.shape[:2], drawn - origin)
    # The plate's shading is no reason to keep its tint.
    soft = (np.sqrt(share) * (OWN_TINT * own).clip(0, 1))[..., None]
    even = window * (grey / colour)
    mixed = window * (1 - soft) + even * soft
    picture[rows, columns] = np.rint(mixed.clip(0, 255)).astype(np.uint8)


def _filled(shape: tuple[int, ...], outline: Corners) -> Floats:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return np.asarray(mask / np.float32(255), np.float32)

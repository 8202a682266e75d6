"""Blank plates keep the grey of their light when a photo's colours are corrected."""

from collections.abc import Sequence

import cv2
import numpy as np

from okla_assets.imaging.plates.quads import padded, quad_box
from okla_assets.imaging.types import Bools, Corners, Floats, Rgb

INNER = 0.6  # of a plate: where its colour is measured
ALIKE = 40.0  # levels: a pixel this far from the plate's colour is none of it
MOST_CAST, LEAST_CAST = 0.2, 8.0
"""Of its mean, and levels more: how far its channels may lie apart before the correction. What is
further from grey is no blank plate."""
LEAST_TINT = 0.004  # of its mean, over the channels: less is not to be seen
BEYOND, LEAST_BEYOND = 0.06, 2.5  # of its height, and pixels: how far beyond its quad it is drawn
LEAST_SPAN = 4  # pixels of a plate: over fewer its colour is taken for one
OWN_TINT = 1.5  # how much of the plate's tint a pixel has, times this, is how far it is evened


def neutralised(picture: Rgb, before: Rgb, quads: Sequence[Corners]) -> Rgb:
    """A copy of the corrected picture on which the blank plates in `quads` are grey again.

    `before` is the picture without the correction, on which they were drawn.

    A correction that brings the paint to its colour tints what was drawn in the photo's light. Only
    pixels of the plate's own colour and tint change, and only in hue: white paint beside a white
    plate has been brought to its colour and stays.
    """
    made = picture.copy()
    for quad in quads:
        _neutralise(made, before, quad)
    return made


def _neutralise(picture: Rgb, before: Rgb, quad: Corners) -> None:
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
    as_drawn = np.median(before[rows, columns][inner], axis=0)
    if np.ptp(as_drawn) > MOST_CAST * as_drawn.mean() + LEAST_CAST:
        return
    colour = np.maximum(_plane(window, inner), 1)
    grey = (colour @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    tint = colour / colour.mean(axis=2, keepdims=True) - 1
    strength = np.square(tint).sum(axis=2)
    if float(np.abs(tint[inner]).max()) < LEAST_TINT:
        return
    seen = window / np.maximum(window.mean(axis=2, keepdims=True), 1) - 1
    own = (seen * tint).sum(axis=2) / np.maximum(strength, np.square(LEAST_TINT))
    off = np.abs(window - colour).max(axis=2)
    share = (1 - off / ALIKE).clip(0, 1) * _filled(window.shape[:2], drawn - origin)
    # The plate's shading is no reason to keep its tint.
    soft = (np.sqrt(share) * (OWN_TINT * own).clip(0, 1))[..., None]
    even = window * (grey / colour)
    mixed = window * (1 - soft) + even * soft
    picture[rows, columns] = np.rint(mixed.clip(0, 255)).astype(np.uint8)


def _plane(window: Floats, inner: Bools) -> Floats:
    """The colour of a plate over the window (h, w, 3): it goes evenly over the `inner` pixels, by
    the light that falls on it and by the field of a correction."""
    h, w = inner.shape
    ys, xs = np.nonzero(inner)
    if np.ptp(xs) < LEAST_SPAN or np.ptp(ys) < LEAST_SPAN:
        return np.broadcast_to(np.median(window[inner], axis=0), window.shape)
    design = np.stack([np.ones(len(xs)), xs, ys], axis=1).astype(np.float32)
    weights = np.linalg.lstsq(design, window[inner], rcond=None)[0].astype(np.float32)
    rows, columns = np.arange(h, dtype=np.float32), np.arange(w, dtype=np.float32)
    down, across = rows[:, None, None] * weights[2], columns[None, :, None] * weights[1]
    return np.asarray(weights[0] + down + across, np.float32)


def _filled(shape: tuple[int, ...], outline: Corners) -> Floats:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return np.asarray(mask / np.float32(255), np.float32)

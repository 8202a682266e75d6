"""The floor right under an end of a vehicle that is seen straight.

Seen from near, no tyre shows or only a sliver of it: a vehicle then stands by the dark floor that
one sees under its bumper. On twelve photos of such views, in garages and outdoors, the floor has
.1 of its light right below the edge, a third at .08 and half at .12 of the vehicle's height, over
the whole width: a corner that rises has a tyre behind it.
"""

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Floats

EXHAUST = 0.3  # of the vehicle's height: what hangs below the bumper and is narrower
RISES = 0.085  # of the vehicle's height: under a corner that rises by this there is more light
STANDS = 0.7  # of a corner's rise: so far below it does the tyre behind it stand
TAKEN, FADES = 0.94, 0.06  # light taken at the edge; how far below it, in vehicle heights
ABOVE = 0.02  # vehicle heights: above the edge is the vehicle, and beside it no shadow
STEP = 0.02  # of the vehicle's height: over which the edge is evened out
INSET, ENDS = 0.04, 0.03
"""Of the vehicle's height: how far from the vehicle's sides the shadow ends, and how softly."""


def edge_of(alpha: Alpha, tall: float, lowest_body: float) -> Floats:
    """For each column (W,) of a matte (H, W) the row where its bumper ends; NaN beside the body.

    `tall` is the vehicle's height in pixels; a column belongs to the body where the matte reaches
    below the row `lowest_body`. What hangs down narrowly, an exhaust, is left out.
    """
    solid = alpha > 0.5
    bottom = np.where(solid, np.arange(1, solid.shape[0] + 1)[:, None], 0).max(axis=0)
    edge = np.full(bottom.size, np.nan, np.float32)
    body = np.flatnonzero(bottom >= lowest_body)
    if not body.size:
        return edge
    part = bottom[body[0] : body[-1] + 1].astype(np.float32)[None]
    kernel = np.ones((1, max(3, int(EXHAUST * tall) | 1)), np.uint8)
    opened = cv2.morphologyEx(part, cv2.MORPH_OPEN, kernel)
    sigma = max(0.5, STEP * tall)
    even = cv2.GaussianBlur(opened, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    edge[body[0] : body[-1] + 1] = even[0]
    return edge


def taken_below(bumper: Floats, tall: float, height: int) -> Floats:
    """The share of light (height, W) that is taken from the floor below a bumper.

    `bumper` is an edge of `edge_of`, `tall` the vehicle's height in pixels.
    """
    body = np.flatnonzero(np.isfinite(bumper))
    if not body.size:
        return np.zeros((height, bumper.size), np.float32)
    edge = np.interp(np.arange(bumper.size), body, bumper[body]).astype(np.float32)
    rise = edge.max() - edge
    share = np.exp(-np.square(rise / (RISES * tall))).astype(np.float32)
    inset = round(INSET * tall)
    share[: body[0] + inset], share[body[-1] + 1 - inset :] = 0, 0
    share = cv2.GaussianBlur(share[None], (0, 0), max(0.5, ENDS * tall))
    stands = edge + STANDS * np.minimum(rise, RISES * tall)
    rows = np.arange(height, dtype=np.float32)[:, None]
    below, above = (rows - stands).clip(0), (edge - rows).clip(0)
    return np.asarray(TAKEN * share * np.exp(-(below / FADES + above / ABOVE) / tall), np.float32)

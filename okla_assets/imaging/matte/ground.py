"""Black shadow on the floor that the networks take for a part of the vehicle.

Mattes (H, W), logits and saliency (H, W), boxes (x, y, w, h) of one crop. Of 137 real vehicles one
has a piece of shadow below its bumper and one a scrap beside a tyre; nothing else is taken away.
"""

import cv2
import numpy as np

from okla_assets.imaging.types import Alpha, Bools, Box, Floats

FOOT = 0.8  # of the box height: shadow below the vehicle lies lower
SHADOW_LOGIT, SHADOW_SALIENCY = 1.5, 0.2  # at most, of SAM 2 and of the saliency net
LEAST_SHADOW = 0.0003  # of the silhouette
LEAST_SCRAP = 0.01  # of the box width: how far a scrap sticks out of SAM 2's silhouette
TALLEST_SCRAP = 0.15  # of the box height: a bumper is taller
SCRAP_FOOT = 0.06  # of the box height: how far above the tyre's foot a scrap may end
NO_MIRROR = 0.4  # of the box height: mirrors stick out above


def shadow_below(silhouette: Bools, logits: Floats, saliency: Alpha, box: Box) -> Bools:
    """Where SAM 2 half takes a piece at the foot of its silhouette, and the other net does not."""
    low = np.arange(logits.shape[0])[:, None] > box[1] + FOOT * box[3]
    doubted = silhouette & low & (logits < SHADOW_LOGIT) & (saliency < SHADOW_SALIENCY)
    kernel = np.ones((3, 3), np.uint8)
    # Without the silhouette's rim, of which both networks are unsure.
    thick = cv2.morphologyEx(doubted.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(thick)
    inner = cv2.erode(silhouette.astype(np.uint8), kernel) > 0
    at_edge = np.bincount(labels[silhouette & ~inner], minlength=len(stats)) > 0
    is_shadow = at_edge & (stats[:, cv2.CC_STAT_AREA] > LEAST_SHADOW * silhouette.sum())
    is_shadow[0] = False
    return np.asarray(is_shadow[labels])


def scraps(matte: Bools, silhouette: Bools, box: Box) -> Bools:
    """What sticks out of the end of SAM 2's silhouette low beside a tyre: a mirror's shadow."""
    _, top, width, height = box
    found = np.zeros_like(matte)
    columns = np.flatnonzero(silhouette.any(axis=0))
    if not columns.size:
        return found
    near = round(3 * LEAST_SCRAP * width)
    first, last = int(columns[0]), int(columns[-1])
    for side, beyond in (
        (np.s_[: first + near], np.s_[:first]),
        (np.s_[last + 1 - near :], np.s_[last + 1 :]),
    ):
        out, foot = matte[:, beyond], np.flatnonzero(silhouette[:, side].any(axis=1))
        if out.any(axis=0).sum() < LEAST_SCRAP * width:
            continue
        rows = np.flatnonzero(out.any(axis=1))
        low = rows[0] > top + NO_MIRROR * height and rows[-1] > foot[-1] - SCRAP_FOOT * height
        if low and rows[-1] - rows[0] < TALLEST_SCRAP * height:
            part = np.s_[rows[0] : rows[-1] + 1, side]
            found[part] = matte[part] & ~silhouette[part]
    return found

"""Mattes of a vehicle on neighbouring frames, propagated from key frames.

Between two frames of a turn a vehicle's silhouette changes little and smoothly. So the expensive
network runs on few key frames; in between, their propagated silhouettes decide what is vehicle and
what is not, and the cheap saliency network draws the edge on every frame.

Frames are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], boxes (x, y, w, h) in pixels. A
`grid` is a vehicle's crop (`matte.cutout.crop_box`) squashed to GRID x GRID.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.geometry import box_iou
from okla_assets.imaging.matte.cutout import dilated, largest_component, without_rags
from okla_assets.imaging.types import Alpha, Box, Floats, Pixels, Rgb

Grid = Floats

GRID = 256
KEYS_A_TURN = 9  # 40 degrees apart: IoU .994 with the full recipe on every frame of a turn of 34
NARROW = 0.75  # of the median width of a turn's boxes: seen from front and rear
BAND = 0.04  # of the box width: how far a propagated silhouette may be off
REACH = 0.12  # of the box width: how far from it a part may lie that no key frame shows
CERTAIN = 0.8  # saliency of such a part
SLACK = 0.02  # of the box: how far out of it a vehicle may stick
EDGE = 3.0  # pixels: width of the saliency net's own ramp outside its silhouette
LEAST_AGREEMENT = 0.97
"""Of the propagated silhouette and the saliency; below, the exact network runs on the frame too."""
MOST_JUMP = 0.06  # IoU below its turn's middle at which a silhouette contradicts its neighbours
LOOSE = 0.08  # of its size: how far a side of a box lies off, more than its neighbours differ
SAME_VEHICLE = 0.3  # IoU of a vehicle's boxes on neighbouring frames, 22 degrees apart at most


def key_frames(boxes: Sequence[Box]) -> list[int]:
    """The frames of one turn that the exact network runs on, by its vehicle's boxes.

    About KEYS_A_TURN, the last, and those on which the vehicle is narrowest: seen straight from
    front or rear it has both its mirrors, of which the frames beside show one.
    """
    count = len(boxes)
    if not count:
        return []
    step = max(1, round(count / KEYS_A_TURN))
    keys = {*range(0, count, step), count - 1}
    widths = np.array([w for _, _, w, _ in boxes])
    for i in np.flatnonzero(widths < NARROW * np.median(widths)).tolist():
        first = max(0, i - step)
        if first + widths[first : i + step + 1].argmin() == i:
            keys.add(i)
    return sorted(keys)


def tracked_boxes(boxes: Sequence[Box | None]) -> list[Box | None]:
    """The vehicle's box on each frame; where it is missing or elsewhere, from its neighbours.

    A box is elsewhere where it hardly meets those before and after it, which meet each other:
    another car was taken for the vehicle. Where the neighbours do not agree it stays as it is. A
    single side that lies off theirs goes between them: a roof and the wall behind it are one box.
    """
    tracked = list(boxes)
    for i in range(1, len(boxes) - 1):
        before, box, after = boxes[i - 1], boxes[i], boxes[i + 1]
        if before is None or after is None or box_iou(before, after) < SAME_VEHICLE:
            continue
        if box is None or box_iou(box, [before, after]).max() < SAME_VEHICLE:
            x, y, w, h = (float(v) for v in np.mean([before, after], axis=0))
            tracked[i] = x, y, w, h
        else:
            tracked[i] = _in_line(before, box, after)
    return tracked


def _in_line(before: Box, box: Box, after: Box) -> Box:
    """The box, of each two sides facing each other at most one moved between its neighbours'.

    A camera that shakes or comes nearer moves both.
    """
    sides = np.array([(x, y, x + w, y + h) for x, y, w, h in (before, box, after)])
    usual, own = sides[[0, 2]].mean(axis=0), sides[1]
    slack = LOOSE * np.tile(box[2:], 2) + np.abs(sides[0] - sides[2])
    off = np.abs(own - usual) / slack
    alone = (off > 1) & (np.roll(off, 2) < 0.5)
    if not alone.any():
        return box
    x0, y0, x1, y1 = (float(v) for v in np.where(alone, usual, own))
    return x0, y0, x1 - x0, y1 - y0


def grey_grid(crop: Rgb) -> Pixels:
    """A vehicle's crop in grey as a grid, uint8."""
    small = cv2.resize(crop, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def as_grid(alpha: Alpha) -> Alpha:
    """The alpha of a vehicle's crop as a grid."""
    return np.asarray(cv2.resize(alpha, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def signed_distance(inside: npt.NDArray[np.bool_]) -> Grid:
    """Distance in pixels to the edge of a silhouette, positive inside."""
    solid = inside.astype(np.uint8)
    return np.asarray(
        cv2.distanceTransform(solid, cv2.DIST_L2, 5)
        - cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5),
        np.float32,
    )


def propagated(
    target: Pixels,
    keys: Sequence[tuple[Pixels, Grid, float]],
) -> Grid:
    """The silhouette on a frame, as a signed distance on its grid, from those of key frames.

    `target` is the frame's grey grid; `keys` holds each key frame's grey grid, signed distance and
    weight, weights summing to 1. A silhouette is propagated twice, with its box and along the
    optical flow (DIS, Kroeger et al. 2016), and the two are averaged: flow is finer, but fails on
    reflections.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rows, columns = np.mgrid[0:GRID, 0:GRID].astype(np.float32)
    total = np.zeros((GRID, GRID), np.float32)
    for grey, distance, weight in keys:
        start = np.zeros((GRID, GRID, 2), np.float32)
        moved = flow.calc(target, grey, start)
        along = cv2.remap(
            distance,
            columns + moved[..., 0],
            rows + moved[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        total += np.float32(weight / 2) * (along + distance)
    return total


def fuse_propagated(distance: Grid, saliency: Alpha, box: Box) -> tuple[Alpha, float]:
    """A matte whose silhouette is known to about BAND and whose edge the saliency net draws.

    `saliency` (H, W) covers the crop whose grid `distance` is, and `box` is the vehicle's on it. A
    wheel or a mirror that comes into view is on no key frame: what clearly stands out, touches the
    silhouette and lies in the box belongs to the vehicle too, up to REACH away. Also returns the
    agreement: 1 less the share of the vehicle on which the two differ by more than BAND.
    """
    height, width = saliency.shape
    x, y, w, h = box
    silhouette = cv2.resize(distance, (width, height), interpolation=cv2.INTER_LINEAR) > 0
    silhouette = largest_component(np.asarray(silhouette))
    inside = np.zeros(saliency.shape, bool)
    x0, y0 = max(0, round(x - SLACK * w)), max(0, round(y - SLACK * h))
    inside[y0 : round(y + (1 + SLACK) * h), x0 : round(x + (1 + SLACK) * w)] = True
    gate = dilated(silhouette, BAND * w)
    core = dilated(silhouette, -BAND * w)
    new = (saliency > CERTAIN) & dilated(silhouette, REACH * w) & inside
    salient = ((saliency > 0.5) & gate) | new
    union = float((salient | silhouette).sum())
    differing = (salient & ~gate) | (core & ~salient)
    agreement = 1 - float(differing.sum()) / union if union else 0.0
    whole = largest_component(salient | core)
    alpha = np.where(dilated(whole, EDGE), saliency, 0).astype(np.float32)
    alpha[core] = 1
    return without_rags(alpha, whole), agreement


def jumps(grids: Sequence[Alpha], boxes: Sequence[Box]) -> list[int]:
    """Frames whose silhouette contradicts those before and after it, by their mattes as grids.

    A silhouette is held against the mean of its neighbours', and the IoU against the middle one of
    the whole turn: it may be lower by MOST_JUMP, or by as much as the turn's coarse steps explain.
    From the front and from behind, where a vehicle is narrow, the same step changes a larger share
    of it: what is usual grows with the middle width over the frame's own.
    """
    if len(grids) < 5:
        return []
    solid = np.stack([grid > 0.5 for grid in grids])
    agreed = []
    for i in range(1, len(grids) - 1):
        between = signed_distance(solid[i - 1]) + signed_distance(solid[i + 1]) > 0
        union = float((between | solid[i]).sum())
        agreed.append(float((between & solid[i]).sum()) / union if union else 0.0)
    middle = float(np.median(agreed))
    usual = float(np.median(np.abs(np.array(agreed) - middle)))
    slack = max(MOST_JUMP, 4 * usual)
    widths = np.array([w for _, _, w, _ in boxes])
    narrow = np.maximum(np.median(widths) / np.maximum(widths, 1.0), 1.0)[1:-1]
    least = 1 - (1 - middle) * narrow - slack
    return [i for i, low in enumerate(np.array(agreed) < least, 1) if low]

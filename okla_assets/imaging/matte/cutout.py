"""From the outputs of two networks to one clean matte, and the colours at its edge.

Photos are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1], boxes (x, y, w, h) in pixels.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.matte import ground
from okla_assets.imaging.types import Alpha, Box, Floats, Rgb

CROP_MARGIN = 0.08
GATE = 0.015  # of the box width: how far outside SAM 2's silhouette the saliency net may add
CORE = 0.02  # of the box width: how deep inside it nothing may be taken away
TRUSTED_AGREEMENT = 0.85
# The saliency net is overconfident, so its probability is clipped: past logit 2.4 it would drag in
# strips of the car behind, against SAM 2.
LEAST_PROBABILITY = 0.08
# Of SAM 2's logit and of the saliency: a pixel outside SAM 2's silhouette that reaches both belongs
# to the vehicle.
LEAST_LOGIT, LEAST_SALIENCY = -1.5, 0.8
# Where SAM 2's coarse mask and the saliency net both draw the roof line too low: above LOW of the
# box height a logit over UPPER_LOGIT is the vehicle's. Under it shadow clings to sill and tyres, so
# the score must be LOWER_DOUBT higher there.
UPPER_LOGIT, UPPER, LOWER, LOWER_DOUBT = -0.4, 0.55, 0.7, 1.0
RAMP = 0.1  # of the box height: over which the doubt grows
SPECK = 0.0001  # of the largest part: an antenna has more
RAG = 0.1  # alpha
SOLID = 0.8  # alpha
VEIL, THICK, SOFT_EDGE = 0.02, 0.006, 0.006
"""Of the vehicle's width: a veil is soft so far from all that is solid, and half as thick at least,
which an antenna is not; it is cut back to a soft edge. On 41 dealers' mattes nothing soft is
further than 0.012."""
STEEPEST = 4.0  # score a pixel, at which the alpha rises from 0 to 1 over about one
EDGE_SIGMA_AT_1600 = 2.0
LEAST_EDGE_SIGMA = 1.4  # pixels: a narrower ramp is jagged once it is enlarged
NARROW = 6  # pixels: the second neighbourhood of the edge colours
FRAME_MARGIN = 0.015  # of the picture: this near its edge a box touches it
MOST_CUT = 0.18  # of the vehicle's length or height: more lying on the picture's edge is cut off
LEAST_BOX_MATCH = 0.75  # extent of the matte against the detector's box
LEAST_FILL = 0.45  # of the box; whole vehicles fill .55 and more


def main_vehicle(
    boxes: Sequence[Box], scores: Sequence[float], width: int, height: int
) -> int | None:
    """Index of the vehicle the photo is about: large, of high score, near the middle; or None."""
    best, best_value = None, 0.0
    for index, ((x, y, w, h), score) in enumerate(zip(boxes, scores, strict=True)):
        dx = (x + w / 2) / width - 0.5
        dy = (y + h / 2) / height - 0.5
        value = w * h * (0.3 + score) * float(np.exp(-2.5 * (dx * dx + dy * dy)))
        if value > best_value:
            best, best_value = index, value
    return best


def fills_frame(box: Box, width: int, height: int) -> bool:
    """Whether the box reaches three sides of the picture, as in a close-up or a cabin."""
    x, y, w, h = box
    near_x, near_y = FRAME_MARGIN * width, FRAME_MARGIN * height
    return sum((x <= near_x, y <= near_y, x + w >= width - near_x, y + h >= height - near_y)) >= 3


def runs_out(alpha: Alpha) -> bool:
    """Whether the vehicle is cut by the picture's edge over a good part of its own size."""
    solid = alpha > 0.5
    columns, rows = solid.any(axis=0), solid.any(axis=1)
    wide, high = max(1, int(columns.sum())), max(1, int(rows.sum()))
    return bool(
        max(solid[0].sum(), solid[-1].sum()) > MOST_CUT * wide
        or max(solid[:, 0].sum(), solid[:, -1].sum()) > MOST_CUT * high
    )


def trustworthy(alpha: Alpha, agreement: float | None, box: Box) -> bool:
    """Whether the matte may be shown to a buyer: the networks agree and it fills its box."""
    solid = alpha > 0.5
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    if columns.size == 0 or (agreement is not None and agreement < TRUSTED_AGREEMENT):
        return False
    _, _, w, h = box
    share = min(columns[-1] - columns[0] + 1, w) / max(columns[-1] - columns[0] + 1, w)
    share *= min(rows[-1] - rows[0] + 1, h) / max(rows[-1] - rows[0] + 1, h)
    return bool(share >= LEAST_BOX_MATCH and solid.sum() >= LEAST_FILL * w * h)


def crop_box(
    box: Box, width: int, height: int, margin: float = CROP_MARGIN
) -> tuple[int, int, int, int]:
    """The box padded by `margin` of its size a side, inside the photo, as x0, y0, x1, y1."""
    x, y, w, h = box
    return (
        max(0, int(x - margin * w)),
        max(0, int(y - margin * h)),
        min(width, int(np.ceil(x + w + margin * w))),
        min(height, int(np.ceil(y + h + margin * h))),
    )


def largest_component(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest connected part of a boolean mask, its holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    if count < 2:
        return mask
    part = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(part, contours, -1, 1, -1)
    return np.asarray(part > 0)


def dilated(mask: npt.NDArray[np.bool_], pixels: float) -> npt.NDArray[np.bool_]:
    """The mask dilated by `pixels`, eroded where negative; the picture's border does not erode."""
    distance = cv2.distanceTransform(
        (mask if pixels < 0 else ~mask).astype(np.uint8), cv2.DIST_L2, 5
    )
    if pixels < 0:
        return np.asarray(distance > -pixels)
    return np.asarray(distance <= pixels)


def fuse(logits: Floats, saliency: Alpha, box: Box) -> tuple[Alpha, float]:
    """SAM 2's silhouette with the saliency net's edge; returns the alpha and the agreement.

    `logits` are SAM 2's mask logits and `saliency` the other net's probability, both (H, W) on the
    same crop, on which `box` is the vehicle's. SAM 2 decides what the vehicle is, so neighbours and
    furniture stay out; the saliency net decides where its edge runs. `agreement` is the IoU of the
    two silhouettes; below TRUSTED_AGREEMENT the saliency net is not used.
    """
    _, top, box_width, height = box
    silhouette = largest_component(logits > 0)
    surely, gate = silhouette, dilated(silhouette, GATE * box_width)
    salient = (saliency > 0.5) & gate
    union = float((salient | silhouette).sum())
    agreement = float((salient & silhouette).sum()) / union if union else 0.0
    if agreement >= TRUSTED_AGREEMENT:
        shadow = ground.shadow_below(silhouette, logits, saliency, box)
        silhouette = silhouette & ~shadow
        # Mirrors and spoilers: SAM 2 nearly takes them, and the saliency net does.
        added = (logits > LEAST_LOGIT) & (saliency > LEAST_SALIENCY)
        whole = largest_component(silhouette | added)
        joined = whole & ~silhouette
        silhouette = whole
        p = np.clip(saliency, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        score = 2 * np.clip(logits, -10, 10) + np.log(p / (1 - p))
        score[joined] = np.maximum(score[joined], 6 * saliency[joined])
        row = (np.arange(logits.shape[0], dtype=np.float32)[:, None] - top) / height
        score -= LOWER_DOUBT * np.clip((row - LOWER) / RAMP, 0, 1)
        upper = np.clip(4 * (logits - UPPER_LOGIT), -40, 40)
        score = np.where(row < UPPER, np.maximum(score, upper), score)
        score[shadow] = -10
    else:
        score = 6 * np.clip(logits, -10, 10)
    alpha = _alpha(score, silhouette, box_width)
    alpha[ground.scraps(alpha > 0.5, surely, box)] = 0
    return without_rags(alpha, logits > 0), agreement


def without_rags(alpha: Alpha, vehicle: npt.NDArray[np.bool_]) -> Alpha:
    """The alpha without parts apart from the largest that are not, by half, in `vehicle`, or less
    than SPECK, and without veils.

    A mirror whose foot is lost in the background stays: SAM 2 takes it for the vehicle's.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (alpha > RAG).astype(np.uint8), connectivity=8
    )
    if count < 2:
        return alpha
    inside = np.bincount(labels[vehicle], minlength=count)
    area = stats[:, cv2.CC_STAT_AREA]
    largest = 1 + int(area[1:].argmax())
    if count > 2:
        stays = (inside >= 0.5 * area) & (area >= SPECK * area[largest])
        stays[largest] = True
        stays[0] = False
        alpha = np.where(stays[labels], alpha, np.float32(0))
    return _without_veils(alpha, float(stats[largest, cv2.CC_STAT_WIDTH]))


def _without_veils(alpha: Alpha, width: float) -> Alpha:
    """The alpha of a vehicle of this width without what is soft where no edge can be."""
    solid = alpha > SOLID
    mixed = ((alpha > RAG) & ~solid).astype(np.uint8)
    side = max(1, int(THICK * width))
    if not cv2.erode(mixed, np.ones((side, side), np.uint8)).any():
        return alpha  # as nearly all: nothing soft is as thick, and distances are dear
    soft = (alpha > RAG) & ~dilated(solid, VEIL * width)
    inwards = cv2.distanceTransform(soft.astype(np.uint8), cv2.DIST_L2, 5)
    labels = cv2.connectedComponents(soft.astype(np.uint8), connectivity=8)[1]
    veils = soft & np.isin(labels, np.unique(labels[inwards >= THICK * width]))
    if not veils.any():
        return alpha
    around = dilated(veils, (VEIL + SOFT_EDGE) * width) & ~dilated(solid, SOFT_EDGE * width)
    return np.where(around, np.float32(0), alpha)


def alone(logits: Floats, box_width: float) -> Alpha:
    """SAM 2's silhouette by itself: its largest part, gated, its core solid, its edge sharp."""
    silhouette = largest_component(logits > 0)
    return _alpha(6 * np.clip(logits, -10, 10), silhouette, box_width)


def _alpha(score: Floats, silhouette: npt.NDArray[np.bool_], box_width: float) -> Alpha:
    """Probability from a score, nothing far outside the silhouette, all deep inside it."""
    alpha = (1 / (1 + np.exp(-_no_steeper(score)))).astype(np.float32)
    alpha *= dilated(silhouette, GATE * box_width)
    alpha[dilated(silhouette, -CORE * box_width)] = 1
    return alpha


def _no_steeper(score: Floats) -> Floats:
    """The score with its edge no steeper than a pixel can show.

    A steeper one makes a mask of whole pixels, whose stairs show where a small photo is enlarged;
    this one tells by its greys where within a pixel the edge runs.
    """
    across = cv2.Sobel(score, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(score, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = cv2.magnitude(across, down)
    return np.asarray(score / np.maximum(slope / STEEPEST, 1), np.float32)


def smooth_edge(alpha: Alpha, photo_width: int) -> Alpha:
    """Takes the networks' stair steps off the edge: blur, then steepen back to a narrow ramp."""
    sigma = EDGE_SIGMA_AT_1600 * photo_width / 1600
    blurred = cv2.GaussianBlur(alpha, (0, 0), max(LEAST_EDGE_SIGMA, sigma))
    return np.asarray(np.clip((blurred - 0.3) / 0.4, 0, 1), np.float32)


def thin_edge(lines: npt.NDArray[np.bool_]) -> Alpha:
    """An alpha of lines a few pixels wide, which the blur of `smooth_edge` would take away."""
    blurred = cv2.GaussianBlur(lines.astype(np.float32), (0, 0), 0.6)
    return np.asarray(np.clip(1.4 * blurred, 0, 1), np.float32)


def foreground(photo: Rgb, alpha: Alpha, radius: int = 90) -> Rgb:
    """The photo with the vehicle's own colours where edge pixels mix them with the old background.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021): twice, from a
    wide and a narrow neighbourhood, F = mean of the foreground + what explains the mixed pixel.
    Pixels with alpha 0 or 1 keep their colour. Returns uint8 (H, W, 3).
    """
    height, width = alpha.shape
    # The wide neighbourhood's means are smooth: half the size is enough for them.
    half = (max(1, width // 2), max(1, height // 2))
    small = np.asarray(cv2.resize(photo, half, interpolation=cv2.INTER_AREA), np.float32)
    share = np.asarray(cv2.resize(alpha, half, interpolation=cv2.INTER_AREA), np.float32)[..., None]
    wide = max(1, radius // 2)
    sums = (_blurred(layer, wide) for layer in (small * share, small * (1 - share), share))
    front, back = (
        np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for mean in _means(*sums)
    )
    # Only mixed pixels are in question: the edge, and the band that their narrow neighbourhoods
    # reach into.
    mixed = ((alpha > 0) & (alpha < 1)).astype(np.uint8)
    reach = np.ones((NARROW + 1, NARROW + 1), np.uint8)
    band, edge = np.flatnonzero(cv2.dilate(mixed, reach)), np.flatnonzero(mixed)
    share, had = _at(band, alpha), _at(band, back)
    explained = _explain(_at(band, photo), share, _at(band, front), had)
    fronts, backs = np.zeros_like(front), np.zeros_like(back)
    fronts.reshape(-1, 3)[band] = explained * share
    backs.reshape(-1, 3)[band] = had * (1 - share)
    means = _means(*(_at(edge, _blurred(layer, NARROW)) for layer in (fronts, backs, alpha)))
    colours = photo.copy()
    colours.reshape(-1, 3)[edge] = np.rint(_explain(_at(edge, photo), _at(edge, alpha), *means))
    return colours


def _blurred(layer: Floats, size: int) -> Floats:
    """The mean over a square around each pixel, (H, W, C)."""
    return np.asarray(cv2.blur(layer, (size, size)), np.float32).reshape(*layer.shape[:2], -1)


def _at(pixels: npt.NDArray[np.intp], of: npt.NDArray[Any]) -> Floats:
    """The values (N, 3) of a picture or a matte at some of its pixels."""
    values = of.reshape(of.shape[0] * of.shape[1], -1).take(pixels, axis=0)
    return np.asarray(np.broadcast_to(values, (len(pixels), 3)), np.float32, order="C")


def _means(front: Floats, back: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Mean colours of foreground and background, of blurred sums weighted by the matte."""
    return front / (share + np.float32(1e-5)), back / ((1 - share) + np.float32(1e-5))


def _explain(
    image: Floats,
    alpha: Floats,
    front: Floats,
    back: Floats,
) -> Floats:
    """The foreground mean plus what it leaves unexplained of the mixed pixel, each (N, 3)."""
    left = image - alpha * front - (1 - alpha) * back
    return np.asarray((front + alpha * left).clip(0, 255), np.float32)

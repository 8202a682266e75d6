"""The last pixel of the edge, from the photo's own colours.

The networks' edge is a pixel or two off. Where vehicle and background differ in hue, the photo
knows better: each pixel near the edge is a mixture of what lies inside and outside of it, and how
much of it is the vehicle is solved for. Hue decides whether to trust it, because shadows and
mirrored light differ in brightness without being an edge.

Photo RGB uint8 (H, W, 3) and matte float32 (H, W) in [0, 1], of one crop.
"""

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Alpha, Floats, Rgb

BAND = 0.0035  # of the vehicle's width: how far from the edge pixels are in question
AROUND = 0.02  # of the vehicle's width: where the two colours are measured
LEAST_SHARE = 0.02  # of those surroundings that must be inside, and outside
NOISE = 400.0  # squared levels of hue that tell nothing
SPREAD = 4.0  # how much the colours' own variance counts against them
DOUBT, TRUST = 0.5, 0.85  # share of the difference in hue that is neither: from none to all
LUMA = 0.5  # weight of brightness against hue in the mixture: JPEG blurs hue more
UNEXPLAINED = 0.1  # of the squared difference: a pixel further off is of a third colour, a lamp
COARSE = 4  # pixels a side to one of the copy that windows are measured on
STEEPER = 1.8  # hue is stored at half the size: the mixture is flatter than the edge


def settled(photo: Rgb, alpha: Alpha) -> Alpha:
    """The matte with its edge where the photo's colours have it, unchanged where they do not tell.

    Two-colour matting, with means and variances of a window for the colours.
    """
    solid = (alpha > 0.5).astype(np.uint8)
    columns = np.flatnonzero(solid.any(axis=0))
    if not columns.size:
        return alpha
    width = int(columns[-1] - columns[0]) + 1
    reach, window = max(2.0, BAND * width), max(3, int(AROUND * width / COARSE)) | 1
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 3)
    band = np.flatnonzero((inside <= reach) & (outside <= reach))
    size = (-(-alpha.shape[1] // COARSE), -(-alpha.shape[0] // COARSE))
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.float32)
    front, front_spread, front_share = _colours(small, inside > reach, window, band)
    back, back_spread, back_share = _colours(small, outside > reach, window, band)
    pixels = photo.reshape(-1, 3)[band].astype(np.float32)

    between, here = front - back, pixels - back
    hue = _squared(_hue(between))
    trust = hue / (hue + SPREAD * (front_spread + back_spread) + NOISE)
    trust = ((trust - DOUBT) / (TRUST - DOUBT)).clip(0, 1)
    trust *= (front_share > LEAST_SHARE) & (back_share > LEAST_SHARE)
    line, point = _weighted(between), _weighted(here)
    length = _squared(line) + np.float32(1e-3)
    share = (point * line).sum(axis=1) / length
    left = _squared(point - share.clip(0, 1)[:, None] * line)
    trust *= (2 - left / (UNEXPLAINED * length + 1)).clip(0, 1)

    settled = alpha.copy()
    before = alpha.reshape(-1)[band]
    told = ((share - 0.5) * STEEPER + 0.5).clip(0, 1)
    settled.reshape(-1)[band] = before + trust * (told - before)
    return settled


def _colours(
    small: Floats, region: npt.NDArray[np.bool_], window: int, at: npt.NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Mean colour (N, 3), variance of hue and share of a region around each of some pixels."""
    size = (small.shape[1], small.shape[0])
    weight = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    layers = cv2.merge([*cv2.split(small), _squared(_hue(small))]) * weight[..., None]
    sums = np.asarray(cv2.blur(layers, (window, window)), np.float32)
    shares = np.asarray(cv2.blur(weight, (window, window)), np.float32)
    rows, columns = np.unravel_index(at, region.shape)
    there = rows * size[1] // region.shape[0], columns * size[0] // region.shape[1]
    share = shares[there]
    means = sums[there] / (share[:, None] + np.float32(1e-4))
    return means[:, :3], np.maximum(means[:, 3] - _squared(_hue(means[:, :3])), 0), share


def _hue(colours: Floats) -> Floats:
    return np.asarray(colours - colours.mean(axis=-1, keepdims=True), np.float32)


def _weighted(colours: Floats) -> Floats:
    grey = colours.mean(axis=-1, keepdims=True)
    return np.asarray(colours - (1 - LUMA) * grey, np.float32)


def _squared(colours: Floats) -> Floats:
    return np.asarray((colours * colours).sum(axis=-1), np.float32)

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
LEAST_STRETCH, STRETCH = 4.0, 2.0  # pixels, of the band: sigma of what moves together
MOST_REMAPPED = 30_000  # pixels at once, which is less than cv2.remap's rows
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
    if not band.size:  # the vehicle fills the crop, or is all edge
        return alpha
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

    gain = np.zeros_like(alpha)
    before = alpha.reshape(-1)[band]
    told = ((share - 0.5) * STEEPER + 0.5).clip(0, 1)
    gain.reshape(-1)[band] = trust * (told - before)
    return _moved(alpha, gain, reach, band)


def _moved(alpha: Alpha, gain: Floats, reach: float, band: npt.NDArray[np.intp]) -> Alpha:
    """The matte with its edge moved outwards by what its surroundings gain.

    The edge moves as a whole stretch: pixel by pixel it would be as rough as the photo's grain.
    """
    half = (-(-alpha.shape[1] // 2), -(-alpha.shape[0] // 2))
    coarse, gains = (cv2.resize(a, half, interpolation=cv2.INTER_AREA) for a in (alpha, gain))
    soft = cv2.GaussianBlur(coarse, (0, 0), max(0.5, 0.25 * reach))
    right = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = cv2.magnitude(right, down)
    sigma = max(LEAST_STRETCH, STRETCH * reach) / 2
    gained, length = (cv2.GaussianBlur(layer, (0, 0), sigma) for layer in (gains, slope))
    rows, columns = np.unravel_index(band, alpha.shape)
    here = rows // 2, columns // 2
    shift = (2 * gained[here] / (length[here] + np.float32(1e-3))).clip(-reach, reach)
    steep = slope[here] + np.float32(1e-6)
    x = columns + shift * right[here] / steep
    y = rows + shift * down[here] / steep
    moved = alpha.copy()
    for part in np.array_split(np.arange(band.size), -(-band.size // MOST_REMAPPED)):
        at = x[part].astype(np.float32), y[part].astype(np.float32)
        moved.reshape(-1)[band[part]] = cv2.remap(alpha, *at, cv2.INTER_LINEAR).ravel()
    return moved


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

"""Faults of framing and of the file that a photo shows by itself: tilt, distance, fingers, seams.

Each answer is careful: a fault that is not sure is none. The thresholds were set on the dealers'
photos, of which none should be flagged; the measured values stand beside each.
"""

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.photo.codec import fit_within
from okla_assets.imaging.types import Angle, Bools, Box, Floats, Pixels

Distance = Literal["too_far", "too_close"]

SIDE = 512
"""Long side at which seams and fingers are looked for."""

FAR_SHARE = 0.33  # of the photo's width and height, the larger; 45 dealer exteriors .44 and more
CLOSE_MARGIN = 0.01  # of the photo's size, on both of two opposite sides; dealer exteriors .024

LEVEL_ANGLES: tuple[Angle, ...] = ("side", "front", "rear")
"""Views whose wheels stand on one level line; in a quarter view perspective slants it."""
MOST_TILT = (
    7.0  # degrees; dealer photos 5.2 at most, where the side is seen a little from the front
)
FOOT = 0.12  # of the matte's height, where tyres meet the ground
TYRE = 0.05  # of the matte's width, the least that a tyre's foot is wide


def distance(box: Box, width: int, height: int) -> Distance | None:
    """`too_far` or `too_close`, of a whole vehicle's box (x, y, w, h) on a photo of that size."""
    x, y, w, h = box
    if max(w / width, h / height) < FAR_SHARE:
        return "too_far"
    beside = max(x, width - x - w) < CLOSE_MARGIN * width
    above = max(y, height - y - h) < CLOSE_MARGIN * height
    return "too_close" if beside or above else None


def wheel_line_tilt(matte: Pixels) -> float | None:
    """Degrees by which the line under the outer tyres rises to the right, of a matte (H, W) uint8.

    None where there are no two feet to tell it by.
    """
    solid = matte > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if rows.size < 32 or columns.size < 64:
        return None
    inside = solid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = inside.shape
    # A mirror may lie apart, with nothing between it and the body.
    lowest = np.where(inside.any(axis=0), height - 1 - inside[::-1].argmax(axis=0), 0)
    half = width // 2
    feet = [_foot(lowest[:half], height, width), _foot(lowest[half:], height, width)]
    if feet[0] is None or feet[1] is None:
        return None
    (x0, y0), (x1, y1) = feet[0], feet[1]
    return float(np.degrees(np.arctan2(y0 - y1, half + x1 - x0)))


def _foot(lowest: npt.NDArray[np.intp], height: int, width: int) -> tuple[float, float] | None:
    """Where one half of the lower outline stands on the ground; None where it is no tyre's foot."""
    down = np.flatnonzero(lowest >= lowest.max() - max(2, 0.25 * FOOT * height))
    if down.size < TYRE * width or np.ptp(down) > 0.6 * len(lowest):
        return None
    return float(down.mean()), float(lowest[down].mean())


# --- screenshots and collages ---------------------------------------------------------------------

STEP = 9.0  # grey levels between two neighbouring rows or columns
SEAM = 0.85  # of the length, stepping at just this place
PARTS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)  # where collages are divided
OFF = 0.015  # from there; the top of a wall or fence lies anywhere
FLAT = 2.0  # standard deviation in a band of one colour
LEAST_BAND = 0.03  # of the height or width


def is_screenshot_or_collage(rgb: Pixels) -> bool:
    """Whether straight seams go right through RGB (H, W, 3): bands of one colour, or other photos.

    A seam steps over nearly its whole length within one pixel. One with a flat band beside it is a
    frame or a bar; one where a collage is divided, with contents on both sides, parts two photos.
    """
    grey = cv2.cvtColor(fit_within(rgb, 2 * SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return _seamed(grey) or _seamed(np.ascontiguousarray(grey.T))


def _seamed(grey: Floats) -> bool:
    """The same for seams along the rows of a grey picture."""
    height = grey.shape[0]
    step = np.abs(np.diff(grey, axis=0)) > STEP
    share = step.mean(axis=1)
    margin = max(2, round(LEAST_BAND * height))
    for row in np.flatnonzero(share[margin : height - margin] > SEAM) + margin:
        above, below = grey[:row], grey[row + 2 :]
        around = np.r_[share[max(0, row - 6) : max(0, row - 2)], share[row + 3 : row + 7]]
        # Foliage and gratings step everywhere; a seam steps alone.
        if around.size and around.max() > 0.6 * share[row]:
            continue
        bands = [_flat(above), _flat(below), _flat(below[:margin]), _flat(above[-margin:])]
        divides = min(abs(row / height - part) for part in PARTS) < OFF
        if any(bands) or (divides and _two_photos(above, below)):
            return True
    return False


def _flat(band: Floats) -> bool:
    return bool(band.size and band.std() < FLAT)


def _two_photos(above: Floats, below: Floats) -> bool:
    """Whether both parts have contents of their own."""
    return bool(min(above.std(), below.std()) > 20)


# --- fingers --------------------------------------------------------------------------------------

LEAST_FINGER, MOST_FINGER = 0.015, 0.3  # of the photo's area
SMOOTH = 2.5  # mean gradient in grey levels a pixel
REACH = 44  # pixels around the blob in which its edge is looked at
SECTORS = 12
SOFT = 9.0  # pixels from a quarter to three quarters of the way to what lies beside the finger
SOFT_DARK = 17.0  # the same of a dark one: shadows and panes have soft edges, too
RED_PAINT = 0.45  # green by red, above which a colour can be skin
CONTRAST = 30.0  # levels (RGB) between the finger and what lies beside it
LEAST_SHARPNESS = 8.0  # the 98th percentile of the photo's own gradients: sharp beside the finger


def has_finger(rgb: Pixels) -> bool:
    """Whether a finger lies on the lens: a smooth blob at the border, skin or dark, out of focus.

    `rgb` is (H, W, 3). A wall, a seat or a shadow of such a colour ends in an edge as sharp as the
    photo's; a finger ends nowhere in one.
    """
    small = fit_within(rgb, SIDE)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    gradient = np.asarray(cv2.magnitude(across, down), np.float32) / 4
    if np.percentile(gradient, 98) < LEAST_SHARPNESS:
        return False  # nothing here is sharp
    smooth = np.asarray(cv2.blur(gradient, (9, 9)) < SMOOTH)
    luma, cr, cb = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb))
    skin = (cr > 143) & (cr < 185) & (cb > 80) & (cb < 125) & (luma > 40) & (luma < 235)
    skin &= small[..., 1] > RED_PAINT * small[..., 0]
    dark = (luma < 50) & (small[..., 0] >= small[..., 2])  # light goes red through a finger
    return any(
        _edge_width(blob, small) >= softness
        for colour, softness in ((skin, SOFT), (dark, SOFT_DARK))
        for blob in _blobs_at_the_border(smooth & colour)
    )


def _blobs_at_the_border(found: Bools) -> Iterator[Bools]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    height, width = found.shape
    for number in range(1, count):
        x, y, w, h, area = stats[number]
        if not LEAST_FINGER * found.size < area < MOST_FINGER * found.size:
            continue
        touches = [x == 0, y == 0, x + w == width, y + h == height]
        # A ground or a sky goes from side to side.
        across = (touches[0] and touches[2]) or (touches[1] and touches[3])
        if any(touches) and not across and area > 0.45 * w * h:
            yield np.asarray(labels == number)


def _edge_width(blob: Bools, rgb: Pixels) -> float:
    """Pixels of the slope in which the blob ends, on its steeper sides; 0 where none is seen."""
    away = cv2.distanceTransform((~blob).astype(np.uint8), cv2.DIST_L2, 5).astype(int)
    own = rgb[blob].mean(axis=0)
    apart = np.linalg.norm(rgb - own.astype(np.float32), axis=2)
    rows, columns = np.nonzero((away > 0) & (away <= REACH))
    seen_rows, seen_columns = np.nonzero(blob)
    turned = np.arctan2(rows - seen_rows.mean(), columns - seen_columns.mean())
    sector = ((turned + np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    widths = []
    for number in range(SECTORS):
        here = sector == number
        at, far = away[rows[here], columns[here]], apart[rows[here], columns[here]]
        counts = np.bincount(at, minlength=REACH + 1)[1:]
        if counts.min() < 3:
            continue  # the border of the photo
        profile = np.maximum.accumulate(np.bincount(at, far, REACH + 1)[1:] / counts)
        if profile[-1] > CONTRAST:
            quarter, three = (np.searchsorted(profile, s * profile[-1]) for s in (0.25, 0.75))
            widths.append(int(three - quarter))
    return float(np.percentile(widths, 25)) if len(widths) >= 3 else 0.0

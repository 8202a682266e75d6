"""How far a photo is tilted, told by the upright lines behind its vehicle, and the photo levelled.

Photos are RGB uint8 (H, W, 3), mattes uint8 (H, W). A camera that looks down sees
upright lines lean apart, the more the further from its middle; a tilt turns all of them alike.
"""

from typing import cast

import cv2
import numpy as np

from okla_assets.imaging.photo.codec import P, fit_within
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.types import Doubles, Pixels, Rgb

SIDE = 1000  # pixels of the long side at which lines are looked for
LEAST_LENGTH, MOST_LENGTH = 0.03, 0.15  # of the long side: shorter lines count not, longer as this
NEAR_UPRIGHT = 12.0  # degrees from where an upright line is expected
MOST, STEP = 10.0, 0.1  # degrees
AGREES = 0.8  # degrees
LEAN_SPREAD = 4.0  # degrees over the long side: how far the camera's pitch may be from the fit's
# What lines must tell before they are believed; on the dealers' photos, turned by known angles,
# such an answer was off by at most 0.4 degrees in nine of ten, 1.1 at worst; most give none.
LEAST_LINES, LEAST_SUPPORT = 8, 0.6  # their number, and lengths in long sides
LEAST_WIDTH, LEAST_SHARE, LEAST_LEAD = 0.5, 0.35, 1.8
"""Of the long side between the outermost; of all such lines; times the next best answer."""

SMALLEST, LARGEST = 1.2, 8.0
"""Degrees: less is not seen, more is not believed."""


def tilt_of(photo: Rgb, matte: Pixels, view: View) -> float | None:
    """Degrees by which the photo is turned counter-clockwise; None where its lines do not tell.

    `photo` may be a smaller copy of what `matte` and `view` are of. The camera that the vehicle
    tells says how upright lines lean apart. Lines are those of Grompone von Gioi et al. (LSD, 2010)
    beside the vehicle; the tilt that most of them agree with is taken.
    """
    grey = cv2.cvtColor(fit_within(photo, SIDE), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    long = max(height, width)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return None
    lines = np.asarray(found, np.float64).reshape(-1, 4)
    along = lines[:, 2:] - lines[:, :2]
    length = np.hypot(*along.T) / long
    middle = (lines[:, :2] + lines[:, 2:]) / 2
    covered = cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA) > 76
    covered = cv2.dilate(covered.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    columns, rows = middle.astype(int).T
    beside = ~covered[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    down = np.where(along[:, 1:] < 0, -along, along)
    lean = np.degrees(np.arctan2(down[:, 0], down[:, 1]))
    across = (middle[:, 0] - width / 2) / long
    apart = _leaning_apart(view, matte.shape[0], max(matte.shape))
    use = beside & (length > LEAST_LENGTH) & (np.abs(lean - apart * across) < NEAR_UPRIGHT)
    return _agreed(lean[use], across[use], length[use].clip(max=MOST_LENGTH), apart)


def _leaning_apart(view: View, height: int, long: int) -> float:
    """Degrees that an upright line leans more, one long side further right, for small angles."""
    down = (height / 2 - view.horizon) / view.focal
    return float(np.degrees(-down * long / view.focal))


def _agreed(lean: Doubles, across: Doubles, weight: Doubles, apart: float) -> float | None:
    if lean.size < LEAST_LINES:
        return None
    tilts = np.arange(-MOST, MOST + STEP / 2, STEP)
    leans = apart + np.arange(-LEAN_SPREAD, LEAN_SPREAD + 0.5)
    off = np.abs(lean - tilts[:, None, None] - leans[:, None] * across)
    likely = np.exp(-0.5 * ((leans - apart) / LEAN_SPREAD) ** 2)
    votes = ((1 - off / AGREES).clip(0) * weight).sum(axis=2) * likely
    best, slope = np.unravel_index(votes.argmax(), votes.shape)
    agree = off[best, slope] < AGREES
    others = votes[np.abs(tilts - tilts[best]) > 1.5].max()
    told = (
        agree.sum() >= LEAST_LINES
        and weight[agree].sum() >= LEAST_SUPPORT
        and np.ptp(across[agree]) >= LEAST_WIDTH
        and votes.max() >= LEAST_SHARE * weight.sum()
        and votes.max() >= LEAST_LEAD * others
    )
    return float(tilts[best]) if told else None


def levelling(tilt: float | None, wheels: float | None, matte: Pixels) -> Levelled | None:
    """The turn that levels a photo with this tilt about its vehicle's middle; None: as it is.

    `wheels` is what a side view's line under the tyres rises by to the right, in degrees, None of
    other views: perspective slants it too, so that it says by how much at most, and which way. A
    vehicle that would be turned out of the photo stays.
    """
    if tilt is None:
        return None
    if wheels is not None:
        tilt = min(tilt, wheels, key=abs) if tilt * wheels > 0 else 0.0
    if not SMALLEST <= abs(tilt) <= LARGEST:
        return None
    solid = matte > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not rows.size:
        return None
    height, width = matte.shape
    x, y = (columns[0] + columns[-1] + 1) / 2 / width, (rows[0] + rows[-1] + 1) / 2 / height
    turn = Levelled(round(-tilt, 1), round(float(x), 4), round(float(y), 4))
    corners = [
        turn.moved(column / width, row / height, width / height)
        for column in (columns[0], columns[-1] + 1)
        for row in (rows[0], rows[-1] + 1)
    ]
    inside = all(0 <= share <= 1 for corner in corners for share in corner)
    return turn if inside else None


def levelled(picture: P, turn: Levelled) -> P:
    """The picture (H, W) or (H, W, 3) turned, of the same size; beyond its border it goes on."""
    height, width = picture.shape[:2]
    centre = turn.x * width - 0.5, turn.y * height - 0.5
    matrix = cv2.getRotationMatrix2D(centre, turn.degrees, 1.0)
    turned = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cast(P, np.asarray(turned, picture.dtype))

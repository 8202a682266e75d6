"""Whether a roof is cut off askew, as by a frame or a beam that the photo was taken past.

Seen from front or rear a roof lies level, as the tyres below it do; what cuts it is straight.
"""

import numpy as np

from okla_assets.imaging.types import Bools

MIDDLE = (0.3, 0.7)  # of the width: where the roof is measured
ENDS = 0.3  # of the width, on each side: where the lowest points are
BENT = 0.005  # of the width: a roof that leaves a line by more in the median is its own


def askew(matte: Bools) -> float | None:
    """Degrees between the roof's line and the floor's; None where the roof is not one line.

    `matte` is (H, W). Whole front and rear views have 5 at most, those rolled with their photo too.
    """
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if columns.size < 20:
        return None
    part = matte[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape
    first, last = (round(share * width) for share in MIDDLE)
    across = np.arange(first, last)
    top = part.argmax(axis=0)[first:last]
    slope, start = np.polyfit(across, top, 1)
    if np.median(np.abs(top - slope * across - start)) > BENT * width:
        return None
    lowest = height - 1 - part[::-1].argmax(axis=0)
    end = round(ENDS * width)
    left, right = int(lowest[:end].argmax()), int(width - end + lowest[-end:].argmax())
    floor = (lowest[right] - lowest[left]) / (right - left)
    return float(np.degrees(abs(np.arctan(slope) - np.arctan(floor))))

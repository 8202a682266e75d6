"""Applying a colour correction: the one way from a photo and its `Correction` to corrected pixels.

Photos are RGB uint8 (H, W, 3) in sRGB. Nothing here looks at what a photo shows: `set_colour` does.
"""

from functools import cache

import cv2
import numpy as np

from okla_assets.imaging.photo.correction import CURVE_TOP, Correction, GainField
from okla_assets.imaging.types import Alpha, Floats, Pixels, Rgb

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB
WHITE_FROM = 0.85  # linear level of all three channels from which a pixel is taken for clipped
MOST_LINEAR = 8.0  # lighter is as good as CURVE_TOP, which is 5 in linear light
STEPS = 1 << 16
SCALE = (STEPS - 1) / MOST_LINEAR
STRIP = 1 << 17  # pixels at once: what a core's cache holds

Window = tuple[slice, slice]
"""Rows and columns of a picture."""


def window_of(alpha: Alpha, margin: int = 12) -> Window:
    """Rows and columns in which a matte (H, W) is not empty, and a few more."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def corrected(photo: Rgb, correction: Correction, window: Window | None = None) -> Rgb:
    """A corrected copy of the photo; outside the window, where one is given, it stays as it was.

    For each pixel, with linear red, green and blue in [0, 1]: times `gains` and the field's gain
    there; where all channels are within WHITE_FROM..1 the gains go over to the greatest of the
    three, since a clipped pixel tells no colour and stays white; then
    `luminance + saturation * (channel - luminance)`, encoded as sRGB, through the curve.
    """
    height, width = photo.shape[:2]
    rows, columns = window or (slice(0, height), slice(0, width))
    gains = np.array(correction.gains, np.float32)
    lifting = (_linear_table()[:, None] * (gains * SCALE)).reshape(1, 256, 3)
    table, matrix = _encoded(correction.curve), _saturating(correction.saturation)
    knots = None if correction.field is None else _Knots(correction.field, height, width)
    result = photo.copy()
    top, bottom, _ = rows.indices(height)
    step = max(1, STRIP // max(1, len(range(*columns.indices(width)))))
    for start in range(top, bottom, step):
        part = slice(start, min(start + step, bottom)), columns
        strip = photo[part]
        lifted: Floats = np.asarray(cv2.LUT(strip, lifting), np.float32)
        field = None if knots is None else knots.gains(part)
        if field is not None:
            lifted = np.asarray(cv2.multiply(lifted, field), np.float32)
        _keep_white(strip, lifted, gains, field)
        if correction.saturation != 1:
            lifted = np.asarray(cv2.transform(lifted, matrix), np.float32)
        np.clip(lifted, 0, STEPS - 1.5, out=lifted)
        lifted += 0.5
        result[part] = table[lifted.astype(np.uint16)]
    return result


def encode(linear: Floats) -> Floats:
    """Linear levels as sRGB's, both with white at 1; beyond white by the same formula."""
    low = linear <= 0.0031308
    power = 1.055 * np.power(np.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return np.asarray(np.where(low, linear * 12.92, power), np.float32)


def decode(encoded: Floats) -> Floats:
    """The inverse of `encode`."""
    low = encoded <= 0.04045
    power = np.power((np.maximum(encoded, 0.04045) + 0.055) / 1.055, 2.4)
    return np.asarray(np.where(low, encoded / 12.92, power), np.float32)


def linear(photo: Rgb) -> Floats:
    """The photo's linear levels in [0, 1]."""
    return np.asarray(cv2.LUT(photo, _linear_table()), np.float32)


@cache
def _linear_table() -> Floats:
    table = decode(np.linspace(0, 1, 256, dtype=np.float32))
    table.setflags(write=False)
    return table


def _encoded(curve: tuple[float, ...]) -> Pixels:
    """Output level 0..255 for each of STEPS linear levels from 0 to MOST_LINEAR."""
    levels = encode(np.linspace(0, MOST_LINEAR, STEPS, dtype=np.float32))
    out = np.interp(levels, np.linspace(0, CURVE_TOP, len(curve)), curve)
    return np.asarray(np.rint(out.clip(0, 1) * 255), np.uint8)


def _saturating(saturation: float) -> Floats:
    grey = np.tile(np.array(LUMINANCE, np.float32), (3, 1))
    return np.asarray(grey + saturation * (np.eye(3, dtype=np.float32) - grey), np.float32)


def _keep_white(strip: Rgb, lifted: Floats, gains: Floats, field: Floats | None) -> None:
    """Clipped pixels of `lifted` go over to the greatest of their three gains."""
    red, green, blue = cv2.split(strip)
    least = np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)
    levels = _linear_table()
    white = least >= np.searchsorted(levels, WHITE_FROM)
    if not white.any():
        return
    share = ((levels[least[white]] - WHITE_FROM) / (1 - WHITE_FROM))[:, None]
    each = gains if field is None else field[white] * gains
    aim = levels[strip[white]] * each.max(axis=-1, keepdims=True) * SCALE
    lifted[white] += share * (aim - lifted[white])


class _Knots:
    """A field of gains over a photo of this size."""

    def __init__(self, field: GainField, height: int, width: int) -> None:
        x, y, w, h = field.box
        self._down = _weights(field.rows, height, y, h)
        self._across = _weights(field.columns, width, x, w)
        logs = np.array(field.log_gains, np.float32).reshape(field.rows, field.columns, 3)
        self._logs = [np.asarray(channel, np.float32) for channel in cv2.split(logs)]

    def gains(self, window: Window) -> Floats:
        """(H, W, 3) in the window."""
        down, across = self._down[window[0]], self._across[window[1]].T.copy()
        none = np.zeros((0, 0), np.float32)
        # OpenCV's product, for NumPy's starts threads of its own for matrices as thin as these.
        logs = [cv2.gemm(cv2.gemm(down, c, 1, none, 0), across, 1, none, 0) for c in self._logs]
        return np.asarray(cv2.exp(cv2.merge(logs)), np.float32)


def _weights(knots: int, size: int, start: float, length: float) -> Floats:
    """The weight of each knot along one side of a photo at each pixel: (size, knots).

    Cubic B-splines: they overshoot nowhere and have no kinks.
    """
    at = ((np.arange(size, dtype=np.float32) + 0.5) / size - start) / length * knots - 0.5
    at = at.clip(0, knots - 1)
    first = np.floor(at)
    t = at - first
    weights = np.zeros((size, knots), np.float32)
    each = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3
    for offset, weight in enumerate(each, start=-1):
        column = (first + offset).clip(0, knots - 1).astype(np.intp)
        np.add.at(weights, (np.arange(size), column), np.asarray(weight / 6, np.float32))
    return weights

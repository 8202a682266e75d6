"""A photo's colours as data: what was measured, and the correction that came of it.

`set_colour` measures and solves, `enhance.corrected` says what a correction does. The light of a
photo is two numbers, ln(red / green) and ln(blue / green) of what is grey in it.
"""

from dataclasses import dataclass

from okla_assets.imaging.types import Box

CURVE_TOP = 2.0
"""Encoded level (1 is white) at the last point of a curve; the first is at 0."""


@dataclass(frozen=True)
class GainField:
    """Gains that change smoothly over a part of the photo, beside the photo's own.

    `box` is that part (x, y, width, height in shares of the photo); `log_gains` has `rows` times
    `columns` natural logarithms of gains for red, green and blue, row by row from the top left,
    each at the middle of its cell. Between them lies a uniform cubic B-spline whose outer knots are
    repeated and which holds its last value beyond the outer cells' middles.
    """

    box: Box
    columns: int
    rows: int
    log_gains: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Correction:
    """What is done to a photo's colours.

    `gains` are factors on linear red, green and blue, `saturation` the factor on the distance from
    grey of the same luminance, `curve` the encoded output levels at equally spaced encoded input
    levels from 0 to CURVE_TOP. `field` is there where two lights fall on one vehicle.
    """

    gains: tuple[float, float, float]
    saturation: float
    curve: tuple[float, ...]
    field: GainField | None = None


@dataclass(frozen=True)
class Paint:
    """The paint of a photo's vehicle: its linear colour, and where how much of it lies.

    `sample` are pixels of its smooth parts, bright or not, 0..255.
    `cells` has 6 rows of 8 linear colours over `box` (shares of the photo), `weights` how much
    paint there is in each.
    """

    colour: tuple[float, float, float]
    sample: tuple[tuple[int, int, int], ...]
    box: Box
    cells: tuple[tuple[float, float, float], ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """What a photo tells: its light, encoded levels of its middle and its black, its paint."""

    light: tuple[float, float]
    middle: float
    black: float
    paint: Paint | None

"""The arrays and tuples that image code takes and returns."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""A picture of any kind: grey (H, W) or (H, W, C), 0 to 255."""

Rgb = npt.NDArray[np.uint8]
"""A picture, (H, W, 3), sRGB, 0 to 255."""

Rgba = npt.NDArray[np.uint8]
"""A picture with transparency, (H, W, 4), straight alpha."""

Alpha = npt.NDArray[np.float32]
"""A matte, (H, W), 0 background to 1 vehicle."""

Floats = npt.NDArray[np.float32]
"""Real numbers of any shape; the function that takes or returns them gives it."""

Doubles = npt.NDArray[np.float64]
"""The same in double precision."""

Bools = npt.NDArray[np.bool_]
"""What is and what is not, of any shape."""

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of the picture it belongs to."""

Point = tuple[float, float]
"""x, y in pixels."""

Quad = tuple[Point, Point, Point, Point]
"""Four corners, clockwise from the object's own top left."""

Corners = npt.NDArray[np.float32]
"""The same as an array, (4, 2)."""

Category = Literal["exterior", "interior", "misc"]
Angle = Literal["front", "front-quarter", "side", "rear-quarter", "rear"]
Side = Literal["left", "right"]

"""How a tilted photo was levelled, as data; `level` finds and does it."""

import math
from dataclasses import dataclass

from okla_assets.imaging.types import Box, Quad


@dataclass(frozen=True)
class Levelled:
    """A photo was turned by `degrees` counter-clockwise about a point, in shares of its size."""

    degrees: float
    x: float
    y: float

    def moved(self, x: float, y: float, aspect: float) -> tuple[float, float]:
        """A point of the photo on the levelled one, in shares; `aspect` is width by height."""
        turn = math.radians(self.degrees)
        cos, sin = math.cos(turn), math.sin(turn)
        dx, dy = (x - self.x) * aspect, y - self.y
        return self.x + (cos * dx + sin * dy) / aspect, self.y - sin * dx + cos * dy

    def moved_quad(self, quad: Quad, width: int, height: int) -> Quad:
        """A quad in pixels of a photo of this size, on the levelled one."""
        a, b, c, d = (
            (x * width, y * height)
            for x, y in (self.moved(x / width, y / height, width / height) for x, y in quad)
        )
        return a, b, c, d

    def moved_box(self, box: Box, width: int, height: int) -> Box:
        """The upright box in pixels that holds a box of the photo on the levelled one."""
        x, y, w, h = box
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        xs, ys = zip(*self.moved_quad(corners, width, height), strict=True)
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

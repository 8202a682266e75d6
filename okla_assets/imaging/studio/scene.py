"""What a studio scene is: a background that code renders, and where a vehicle stands on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from okla_assets.imaging.types import Floats

Paint = Callable[[int, int, float], Floats]
"""Width, height and horizon -> the empty scene, float32 (H, W, 3), RGB, 0..255."""


@dataclass(frozen=True)
class Scene:
    """A studio scene. Lengths are shares of the canvas, rows are counted from its top.

    A constant height keeps the scale of a set; only a vehicle too long for the canvas is made
    smaller.
    """

    id: str
    """The value of the option `background_id`."""
    name: str
    """For people."""
    horizon: float
    """Row where the wall meets the floor."""
    wheel_line: float
    """Row that tyres stand on."""
    vehicle_height: float
    widest: float
    """Width that no vehicle exceeds."""
    paint: Paint

    def render(self, width: int, height: int) -> Floats:
        """The empty scene, float32 (height, width, 3), RGB, 0..255; read-only."""
        return _rendered(self, width, height)

    def scale(self, width: float, height: float, aspect: float) -> float:
        """Canvas widths to a pixel of a photo that shows the vehicle at this width and height."""
        return min(self.vehicle_height / aspect / height, self.widest / width)


@lru_cache(maxsize=8)
def _rendered(scene: Scene, width: int, height: int) -> Floats:
    pixels = scene.paint(width, height, scene.horizon)
    pixels.setflags(write=False)
    return pixels

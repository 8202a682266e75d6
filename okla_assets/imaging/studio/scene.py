"""What a studio scene is: how it is painted for a camera, its light, and how its floor shines."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from okla_assets.imaging.types import Floats

Kind = Literal["studio", "showroom", "outdoor", "custom"]
Spread = Literal["short", "medium", "long"]
"""How far a sun's shadow reaches: a high sun's, a usual one's, a low one's."""

ROWS_ALIKE = 0.01
"""Of the canvas's height: scenes whose horizons differ by less are painted once."""

USUAL_HORIZON = 0.36
"""Share of the canvas's height where the horizon is taken to be if no vehicle tells."""


@dataclass(frozen=True)
class Stage:
    """The canvas that a scene is painted on, in pixels.

    `horizon` is the row of the camera's eye, `wheels` the row that tyres stand on. A floor point
    at k times the vehicle's distance is seen at `horizon` + (`wheels` - `horizon`) / k.
    """

    width: int
    height: int
    horizon: float
    wheels: float

    def row_at(self, distance: float) -> float:
        """The row of the floor at this many times the vehicle's distance."""
        return self.horizon + (self.wheels - self.horizon) / distance


Paint = Callable[[Stage], Floats]
"""The empty scene, float32 (H, W, 3), RGB, 0..255."""


def enlarged(paint: Paint, factor: int) -> Paint:
    """The same scene, painted `factor` times as small: what is smooth looks alike, and is sooner
    there."""

    def painted(stage: Stage) -> Floats:
        import cv2

        small = Stage(
            max(1, round(stage.width / factor)),
            max(1, round(stage.height / factor)),
            stage.horizon / factor,
            stage.wheels / factor,
        )
        size = stage.width, stage.height
        return np.asarray(cv2.resize(paint(small), size, interpolation=cv2.INTER_LINEAR))

    return painted


@dataclass(frozen=True)
class Light:
    """What lights a scene. `dome` (from everywhere), `box` (one large lamp above) and `sun` are
    shares of the light on the free floor, together 1.

    The cast shadow falls towards `direction`: 0 away from the viewer, 90 to the left, 180 towards
    the viewer, 270 to the right. `softness` in [0, 1] is how blurred its edge is, `spread` how far
    it reaches.
    """

    dome: float
    box: float
    sun: float = 0.0
    direction: float = 0.0
    softness: float = 0.5
    spread: Spread = "medium"


@dataclass(frozen=True)
class Scene:
    """A studio scene."""

    id: str
    """The value of the option `background_id`."""
    name: str
    """For people, in English."""
    name_es: str
    kind: Kind
    floor: tuple[int, int, int]
    """The floor's colour in full light, RGB."""
    shadow: float
    """Strength of the soft shadow, 0 to 1."""
    gloss: float
    """Share of the floor's mirror image that is shown: 0 matt, 1 as glass shines."""
    roughness: float
    """How fast the mirror image blurs, as a share of the height above the floor."""
    light: Light
    paint: Paint
    turntable: bool = False
    """Whether the vehicle stands on a disc that turns."""
    digest: str | None = None
    """Of the files that a scene of the owner's is made of; ours change with the code."""

    def render(self, width: int, height: int, horizon: float, wheels: float) -> Floats:
        """The empty scene, float32 (height, width, 3), RGB, 0..255; read-only.

        `horizon` and `wheels` are rows as of `Stage`, here in shares of the height.
        """
        steps = round(horizon / ROWS_ALIKE), round(wheels / ROWS_ALIKE)
        return _painted(self, width, height, *steps)


# A spin and an owner's scene need one, photos of different cameras share few. One of 4096 x 5461
# pixels takes 268 MB.
@lru_cache(maxsize=2)
def _painted(scene: Scene, width: int, height: int, horizon: int, wheels: int) -> Floats:
    unit = ROWS_ALIKE * height
    pixels = scene.paint(Stage(width, height, horizon * unit, wheels * unit))
    pixels += _noise(width, height)
    pixels.setflags(write=False)
    return pixels


@lru_cache(maxsize=2)
def _noise(width: int, height: int) -> Floats:
    """One grey level spans many rows of so smooth a scene: without noise it shows as bands."""
    noise = np.random.default_rng(7).triangular(-1, 0, 1, (height, width, 1))
    return noise.astype(np.float32)

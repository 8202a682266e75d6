"""A scene of the owner's: a photo of an empty room, and where its floor and its light are."""

import math
import tomllib
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from okla_assets.imaging.studio.scene import Light, Scene, Spread, Stage
from okla_assets.imaging.types import Floats, Rgb

Share = Annotated[float, Field(ge=0, le=1)]

MOST_ENLARGED = 1.6
"""A room is enlarged by at most this, beyond what covers the canvas, to meet a photo's camera."""


class _Light(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dome: Share = 0.5
    box: Share = 0.5
    sun: Share = 0.0
    direction: float = Field(default=0.0, ge=0, lt=360)
    softness: Share = 0.5
    spread: Spread = "medium"


class SceneFile(BaseModel):
    """scene.toml. Rows are shares of the picture's height, counted from its top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", max_length=80)
    name_es: str = Field(default="", max_length=80)
    kind: Literal["studio", "showroom", "outdoor", "custom"] = "custom"
    horizon: float = Field(ge=-0.5, le=0.95)
    wheels: float = Field(gt=0, le=1)
    floor: tuple[int, int, int] = (204, 204, 204)
    shadow: Share = 0.4
    gloss: Share = 0.0
    roughness: Share = 0.02
    light: _Light = _Light()


@dataclass(frozen=True, eq=False)
class Room:
    """Paints a picture (H, W, 3) of an empty room; its rows are those of `SceneFile`."""

    picture: Rgb
    horizon: float
    wheels: float

    def __call__(self, stage: Stage) -> Floats:
        """See `scene.Paint`."""
        return room(self.picture, self.horizon, self.wheels, stage)


def own_scene(name: str, toml: bytes, picture: Rgb, digest: str) -> Scene:
    """The scene of a picture (H, W, 3) of an empty room and its scene.toml.

    Raises ValueError naming what is wrong with the file.
    """
    try:
        told = SceneFile.model_validate(tomllib.loads(toml.decode()))
    except UnicodeDecodeError:
        raise ValueError("is not in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is no TOML: {error}") from None
    except ValidationError as error:
        fields = [".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()]
        raise ValueError("; ".join(fields)) from None
    if told.wheels - told.horizon < 0.05:
        raise ValueError("wheels: tyres stand below the horizon, by a twentieth at least")
    light = told.light
    total = light.dome + light.box + light.sun
    if not total:
        raise ValueError("light: dome, box and sun are all 0")
    shares = (light.dome / total, light.box / total, light.sun / total)

    return Scene(
        id=name,
        name=told.name or name,
        name_es=told.name_es or told.name or name,
        kind=told.kind,
        floor=told.floor,
        shadow=told.shadow,
        gloss=told.gloss,
        roughness=told.roughness,
        light=Light(
            *shares,
            direction=light.direction,
            softness=light.softness,
            spread=light.spread,
        ),
        paint=Room(picture, told.horizon, told.wheels),
        digest=digest,
    )


def room(picture: Rgb, horizon: float, wheels: float, stage: Stage) -> Floats:
    """The picture (H, W, 3) as the stage's camera would see it, float32 of the stage's size.

    It is enlarged until its floor is as deep as the stage's, within MOST_ENLARGED, and always so
    that it covers the canvas with its wheels' row, or as near to it as it reaches, on the stage's.
    """
    import cv2

    height, width = picture.shape[:2]
    covers = max(stage.width / width, stage.height / height)
    deep = (stage.wheels - stage.horizon) / ((wheels - horizon) * height)
    scale = min(max(deep, covers), MOST_ENLARGED * covers)
    size = math.ceil(width * scale), math.ceil(height * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(picture, size, interpolation=method)
    left = (size[0] - stage.width) // 2
    top = round(wheels * size[1] - stage.wheels)
    top = min(max(top, 0), size[1] - stage.height)
    return np.asarray(large[top : top + stage.height, left : left + stage.width], np.float32)

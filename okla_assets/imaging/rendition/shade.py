"""The shadow of a cut-out vehicle as a layer of its own, to be laid on any background.

A layer (H, W) in [0, 1] is the opacity of black. Its canvas is larger than the photo, because a
shadow goes on where the photo ends.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from okla_assets.imaging.rendition.layout import Layout, box_of
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.placement import extent
from okla_assets.imaging.studio.scene import Light
from okla_assets.imaging.studio.shadow import FULL, Casting, levels_taken
from okla_assets.imaging.types import Alpha, Box, Floats

Kind = Literal["car", "drop", "3D"]

WORK_WIDTH = 800  # the layer is smooth
ROOM = 0.25  # of the vehicle's width: floor around the photo that a shadow may reach
FAINT = 0.03
"""Of a shadow's opacity: nobody sees so little, and a layer that ends there has no straight edge
where a canvas is cropped to it."""
STUDIO = Light(dome=0.5, box=0.5)
DROP = 0.45  # opacity of a drop shadow
DROP_DOWN, DROP_ASIDE, DROP_BLUR = 0.05, 0.025, 0.03  # of the vehicle's height
LEANS, LIES = 0.55, 0.32
"""Of a height: how far aside and how far up its shadow falls, of a lamp before the vehicle."""
LYING = 0.4  # opacity of that shadow
LYING_BLUR = 0.025  # of the vehicle's height


@dataclass(frozen=True)
class Shade:
    """A shadow `layer` on which a source pixel is `scale` wide and the photo begins at (`left`,
    `top`)."""

    layer: Floats
    scale: float
    left: int
    top: int

    @property
    def box(self) -> Box | None:
        """What is seen of it, in pixels of the source photo; None where nothing is."""
        seen = box_of(self.layer, 0.0)
        if seen is None:
            return None
        x, y, w, h = seen
        return (
            (x - self.left) / self.scale,
            (y - self.top) / self.scale,
            w / self.scale,
            h / self.scale,
        )

    def on(self, layout: Layout) -> Floats:
        """The layer on a canvas, (height, width)."""
        factor = layout.scale / self.scale
        matrix = np.array(
            [
                [factor, 0, layout.left - factor * self.left + factor / 2 - 0.5],
                [0, factor, layout.top - factor * self.top + factor / 2 - 0.5],
            ]
        )
        size = layout.width, layout.height
        moved = cv2.warpAffine(self.layer, matrix, size, flags=cv2.INTER_LINEAR)
        return np.asarray(moved.clip(0, 1), np.float32)


def shade_of(
    alpha: Alpha, source_width: int, kind: Kind, opacity: float, focal: float | None = None
) -> Shade | None:
    """The shadow of a vehicle whose matte is `alpha`, of a photo `source_width` pixels wide.

    `car` is what our studio's lamps leave under it, where the matte tells how it stands; `drop` its
    outline, moved and blurred; `3D` its outline lying on the floor behind it. `focal` as of
    `camera.view_of`. None for a matte that is empty, or too thin to cast one.
    """
    scale = min(1.0, WORK_WIDTH / alpha.shape[1])
    small = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if not (small > 0.5).any():
        return None
    view = view_of(alpha, None, focal=focal, any_lens=True) if kind == "car" else None
    if kind == "car" and view is None:
        return None  # too small to tell how it stands
    room = round(ROOM * extent(np.asarray(small, np.float32)).width)
    around = np.asarray(
        cv2.copyMakeBorder(small, room, room, room, room, cv2.BORDER_CONSTANT), np.float32
    )
    if view is not None:
        floor = floor_of(around, view.placed(scale, room, room))
        taken = levels_taken(
            floor, (around.shape[0], around.shape[1]), STUDIO, FULL, Casting(opacity)
        )
    elif kind == "drop":
        taken = _dropped(around) * np.float32(DROP * opacity)
    else:
        taken = _lying(around) * np.float32(LYING * opacity)
    ended = ((taken - np.float32(FAINT)) / np.float32(1 - FAINT)).clip(0, 1)
    return Shade(ended.astype(np.float32), small.shape[1] / source_width, room, room)


def _dropped(alpha: Alpha) -> Floats:
    tall = extent(alpha).height
    matrix = np.array([[1, 0, DROP_ASIDE * tall], [0, 1, DROP_DOWN * tall]])
    moved = cv2.warpAffine(alpha, matrix, (alpha.shape[1], alpha.shape[0]))
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), DROP_BLUR * tall), np.float32)


def _lying(alpha: Alpha) -> Floats:
    body = extent(alpha)
    ground = float(body.y1 + 1)
    matrix = np.array([[1, -LEANS, LEANS * ground], [0, LIES, (1 - LIES) * ground]])
    laid = cv2.warpAffine(alpha, matrix, (alpha.shape[1], alpha.shape[0]))
    return np.asarray(cv2.GaussianBlur(laid, (0, 0), LYING_BLUR * body.height), np.float32)

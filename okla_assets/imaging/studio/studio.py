"""The finished picture: a vehicle cut out of its photo and set into a studio scene.

Pictures are RGB uint8 (H, W, 3), mattes float32 (H, W) in [0, 1].
"""

from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.matte.cutout import foreground
from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.studio.disc import on_turntable
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.placement import Placement
from okla_assets.imaging.studio.reflection import reflected
from okla_assets.imaging.studio.scene import USUAL_HORIZON, Scene
from okla_assets.imaging.studio.shadow import Casting, levels_taken
from okla_assets.imaging.types import Alpha, Floats, Pixels, Rgb

PLAIN = 229.0
"""Grey level of the ground that a vehicle stands on alone: about as light as most scenes."""


def as_alpha(grey: Pixels) -> Alpha:
    """A matte stored as uint8 0..255, as float32 in [0, 1]."""
    return np.asarray(grey, np.float32) / np.float32(255)


@dataclass(frozen=True)
class Look:
    """What a picture is composed of besides the vehicle: the scene, and how its shadow is cast.

    `casting` None leaves the shadow out. `rows` are those of the horizon and of the wheels, in
    shares of the canvas's height, that the scene is painted for; None takes each view's own.
    """

    scene: Scene
    casting: Casting | None
    rows: tuple[float, float] | None = None


@dataclass(frozen=True)
class CutOut:
    """A vehicle at its place on a canvas.

    `colour` (h, w, 3) are its clean colours within `window` of the canvas, `alpha` (H, W) is its
    matte there.
    """

    colour: Rgb
    window: tuple[slice, slice]
    alpha: Alpha

    def on(self, canvas: Floats) -> Rgb:
        """The vehicle before the canvas (H, W, 3), 0..255."""
        picture = cv2.convertScaleAbs(canvas)  # rounds and keeps within 0..255
        a = _each_channel(self.alpha[self.window])
        picture[self.window] = cv2.convertScaleAbs(canvas[self.window] * (1 - a) + self.colour * a)
        return np.asarray(picture, np.uint8)


def cut_out(photo: Rgb, alpha: Alpha, placement: Placement) -> CutOut:
    """The vehicle of `photo`, whose matte is `alpha` (of the photo's size), where it is placed."""
    colour, matte, left, top = _placed(photo, alpha, placement)
    full = np.zeros((placement.height, placement.width), np.float32)
    h, w = matte.shape
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(placement.height, top + h), min(placement.width, left + w)
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    window = (slice(y0, y1), slice(x0, x1))
    full[window] = matte[part]
    return CutOut(colour[part], window, full)


def compose(photo: Rgb, alpha: Alpha, placement: Placement, view: View | None, look: Look) -> Rgb:
    """The vehicle of `photo` on the scene; see `cut_out` and `on_scene`."""
    return on_scene(cut_out(photo, alpha, placement), placement, view, look)


def on_scene(
    vehicle: CutOut,
    placement: Placement,
    view: View | None,
    look: Look,
    own_shadow: Floats | None = None,
) -> Rgb:
    """The vehicle on the scene, standing on its shadow and its mirror image.

    `view` is the photo's camera; without one, in a picture too small to tell, the vehicle stands on
    the empty scene. `own_shadow`, of the photo's size, is that of the photo, as of
    `own_shadow.shadow_of`; it takes the place of the drawn one.
    """
    return vehicle.on(_ground(vehicle, placement, view, look, own_shadow))


def on_plain(vehicle: CutOut) -> Rgb:
    """The vehicle alone, before one grey: all of it that any scene shows, and nothing else."""
    return vehicle.on(np.full((*vehicle.alpha.shape, 3), PLAIN, np.float32))


def _ground(
    vehicle: CutOut,
    placement: Placement,
    view: View | None,
    look: Look,
    own_shadow: Floats | None,
) -> Floats:
    """The scene for the view's camera, with all that the vehicle changes of its floor."""
    alpha, scene, height, width = vehicle.alpha, look.scene, placement.height, placement.width
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    if view is None or not rows.size:
        wheels = 0.82 if not rows.size else float(rows[-1]) / height
        return scene.render(width, height, USUAL_HORIZON, wheels)
    seen = view.placed(placement.scale, placement.left, placement.top)
    wheels = float(seen.seen(seen.tyres)[:, 1].max())
    painted = look.rows or (seen.horizon / height, wheels / height)
    empty = scene.render(width, height, *painted)
    floor = floor_of(alpha, seen)
    if scene.turntable:
        empty = on_turntable(empty, floor)
    ground = empty.copy()
    lit = np.ones((height, width), np.float32)
    if look.casting is not None and look.casting.intensity:
        if own_shadow is not None:
            lit -= placement.laid(own_shadow) * np.float32(look.casting.intensity)
        else:
            lit -= levels_taken(floor, (height, width), scene.light, scene.shadow, look.casting)
        dark = np.flatnonzero((lit < 1).any(axis=1))
        if dark.size:
            part = slice(dark[0], dark[-1] + 1)
            ground[part] *= _each_channel(lit[part])
    if scene.gloss and np.isfinite(floor.line).any():
        whole = np.zeros((height, width, 3), np.uint8)
        whole[vehicle.window] = vehicle.colour
        shine = scene.gloss, scene.roughness
        window, image = reflected(whole, alpha, empty, lit, floor, *shine)
        # Where the floor changes within a pixel of the image, less is there than the image takes.
        ground[window] = np.maximum(ground[window] + image, 0)
    return ground


def _each_channel(layer: Alpha) -> Floats:
    """The layer (H, W) as (H, W, 3): several times as quick to multiply by as a broadcast one."""
    return np.asarray(cv2.merge((layer, layer, layer)), np.float32)


def _placed(photo: Rgb, alpha: Alpha, placement: Placement) -> tuple[Rgb, Alpha, int, int]:
    """The vehicle's clean colours and matte at canvas scale, and the corner they go to."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    margin = 8
    y0, y1 = max(0, int(rows[0]) - margin), min(alpha.shape[0], int(rows[-1]) + margin + 1)
    x0, x1 = max(0, int(columns[0]) - margin), min(alpha.shape[1], int(columns[-1]) + margin + 1)
    part = photo[y0:y1, x0:x1]
    scale = placement.scale
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    mixed = np.asarray(cv2.resize(part, size, interpolation=method), np.uint8)
    matte = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=method).clip(0, 1)
    # At canvas scale, where there are fewer pixels: colours and matte were mixed alike.
    colour = foreground(mixed, np.asarray(matte, np.float32))
    return (
        colour,
        np.asarray(matte, np.float32),
        placement.left + round(x0 * scale),
        placement.top + round(y0 * scale),
    )

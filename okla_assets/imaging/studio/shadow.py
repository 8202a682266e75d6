"""The shadow a vehicle casts on a studio floor.

What a body hides from the lights that a point of the floor sees (form factors of Lambert's law): of
a dome that shines from everywhere, of one large lamp box above, and of a sun. It is computed on a
plan of the floor, seen from above, and laid into the picture by the view's own perspective.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from okla_assets.imaging.studio.bumper import taken_below
from okla_assets.imaging.studio.camera import View
from okla_assets.imaging.studio.floor import Floor, moved_down, resampled
from okla_assets.imaging.studio.scene import Light, Spread
from okla_assets.imaging.types import Doubles, Floats, Pixels

PLAN = 64  # pixels of the plan to a vehicle's height
SMOOTH = 1.5  # pixels of the plan
ROOM = 1.5  # vehicle heights of floor around the vehicle
GAMMA = 2.2
WORK_WIDTH = 800  # the shadow is smooth: laid into the picture at this width, then enlarged
# Both agree with a render of the sample car (`tests.benchmarks.studio_floor`).
BODY = 0.42  # how high the wall is that a body makes beside its floor: up to its windows
CLEARANCE = 0.18  # how high a body hangs over the floor, which throws light below it
FULL = 0.3
"""A scene's `shadow` from which it is all that its light gives; a weaker one gives a share."""
DEEP = 0.06
"""Vehicle heights: so far in below a body no share of a scene's shadow is left out any more."""
BOX_EDGE = 0.7071  # sine of the angle at which the lamp box ends
TYRE_LONG, TYRE_WIDE = 0.085, 0.055  # half axes of where a tyre stands, in vehicle heights
TOUCH, TOUCH_FADES = 0.93, 0.035  # light that a tyre takes where it touches; how far it does
CONTACT = 0.95  # light that is taken right where a tyre is seen to stand
CONTACT_WIDE, CONTACT_TALL = 0.09, 0.035  # of the vehicle's height: how large that place is
CONTACT_BLUR = (0.02, 0.010)  # of the vehicle's height, across and down
ROOF = 0.55  # of the footprint: what a roof's outline is of it
SPREADS: dict[Spread, float] = {"short": 0.35, "medium": 0.7, "long": 1.4}
"""How far a sun's shadow reaches, in heights of what casts it."""


@dataclass(frozen=True)
class Casting:
    """How a shadow is drawn; None takes the scene's own light.

    `intensity` in [0, 1] weakens all of it; `direction`, `softness` and `spread` are those of
    `Light`.
    """

    intensity: float = 1.0
    direction: float | None = None
    softness: float | None = None
    spread: Spread | None = None


def levels_taken(
    floor: Floor, size: tuple[int, int], light: Light, strength: float, casting: Casting
) -> Floats:
    """The share (H, W) that the vehicle's shadow takes from each pixel's levels, 0 to 1.

    Levels of sRGB are light to the power of 1 / GAMMA, so of half the light 73 % of the level are
    left. `size` is the canvas's height and width, `strength` the scene's `shadow`.
    """
    height, width = size
    scale = min(1.0, WORK_WIDTH / width)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    plan, origin = _plan(floor, light, strength, casting)
    view = floor.view.placed(scale, 0, 0)
    laid = _laid(plan, origin, view, small)
    laid = moved_down(laid, resampled(floor.shift, small[0]) * np.float32(scale))
    left = (1 - laid.clip(0, 1)) * (1 - _contact(floor, small, scale))
    for edge in (floor.bumper, floor.sill):
        if edge is not None:
            edge = resampled(edge, small[0]) * np.float32(scale)
            left = left * (1 - taken_below(edge, view.vehicle_height, small[1]))
    levels = 1 - cv2.pow(left, 1 / GAMMA)
    enlarged = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged * np.float32(casting.intensity), np.float32)


def dome_taken(distance: Floats) -> Floats:
    """Of a uniform dome's light, what a body hides at `distance` from its outline, in heights.

    Negative distances are below the body, from its edge inwards.
    """
    d = np.abs(distance)
    outside = 0.5 * (1 - d / np.sqrt(d * d + BODY**2))
    inside = 1 - 0.5 * (1 - d / np.sqrt(d * d + CLEARANCE**2))
    return np.where(distance > 0, outside, inside).astype(np.float32)


def box_taken(distance: Floats) -> Floats:
    """The same of a lamp box above, which shines from within 45 degrees of the zenith."""
    d = np.abs(distance)
    outside = (BOX_EDGE - d / np.sqrt(d * d + BODY**2)).clip(0) / (2 * BOX_EDGE)
    inside = 1 - (BOX_EDGE - d / np.sqrt(d * d + CLEARANCE**2)).clip(0) / (2 * BOX_EDGE)
    return np.where(distance > 0, outside, inside).astype(np.float32)


def _contact(floor: Floor, size: tuple[int, int], scale: float) -> Floats:
    """Light that tyres take where the picture shows them stand, on a canvas of (width, height).

    The plan's tyres are as right as the fit; these are as right as the matte.
    """
    tall = floor.view.vehicle_height * scale
    layer = np.zeros((size[1], size[0]), np.float32)
    for leg in floor.legs:
        first, last, row = leg.first * scale, leg.last * scale, leg.row * scale
        wide = min(max(last - first, CONTACT_WIDE * tall), 1.5 * (last - first))
        middle = round((first + last) * 8), round((row - 0.2 * CONTACT_TALL * tall) * 16)
        axes = round(wide * 8), round(CONTACT_TALL * tall * 8)
        cv2.ellipse(layer, middle, axes, 0, 0, 360, 1.0, -1, cv2.LINE_8, shift=4)
    across, down = (max(0.6, s * tall) for s in CONTACT_BLUR)
    return np.asarray(CONTACT * cv2.GaussianBlur(layer, (0, 0), across, sigmaY=down), np.float32)


def _plan(floor: Floor, light: Light, strength: float, casting: Casting) -> tuple[Floats, Doubles]:
    """Light taken on the plan of the floor, (h, w), and the floor point of its first pixel."""
    low, high = floor.hull.min(axis=0) - ROOM, floor.hull.max(axis=0) + ROOM
    size = np.ceil((high - low) * PLAN).astype(int)
    shape = int(size[1]), int(size[0])
    distance = _distance(floor.foot, low, shape)
    # A weaker shadow is one whose light reaches further in below the body, not a lit underside.
    weak = np.exp(np.minimum(distance, 0) / DEEP)
    soft = 1 - (1 - np.float32(min(1.0, strength / FULL))) * weak
    taken = light.dome * dome_taken(distance) + light.box * box_taken(distance)
    if light.sun:
        taken = taken + light.sun * _sun_taken(floor, low, shape, light, casting)
    taken = (taken * soft).clip(0, 0.97)
    touch = _touch(floor, low, shape)
    whole = (1 - (1 - taken) * (1 - touch)).astype(np.float32)
    # A pixel of the plan covers many of the picture where the floor is near: no steps there.
    return np.asarray(cv2.GaussianBlur(whole, (0, 0), SMOOTH), np.float32), low


def _sun_taken(
    floor: Floor, low: Doubles, shape: tuple[int, int], light: Light, casting: Casting
) -> Floats:
    direction = np.radians(light.direction if casting.direction is None else casting.direction)
    softness = light.softness if casting.softness is None else casting.softness
    spread = SPREADS[casting.spread or light.spread]
    towards = np.array([-np.sin(direction), np.cos(direction)]) * spread
    middle = floor.hull.mean(axis=0)
    roof = _towards(floor.hull, middle, (1 - ROOF) * 0.5) + towards
    shoulder = floor.hull + 0.55 * towards  # a body is widest at about half of its height
    # What overhangs the floor throws its shadow past what is right below it.
    overhang = floor.hull + CLEARANCE * towards
    body = np.zeros(shape, np.uint8)
    for top, bottom in ((overhang, floor.foot), (shoulder, overhang), (roof, shoulder)):
        outline = cv2.convexHull(np.concatenate([top, bottom]).astype(np.float32))[:, 0]
        _fill(body, np.asarray(outline, np.float64), low)
    sharp = body.astype(np.float32)
    near, far = (0.01 + 0.04 * softness) * PLAN, (0.03 + 0.22 * softness) * PLAN
    reach = np.minimum(_distance(floor.hull, low, shape).clip(0) / 0.8, 1)
    close, wide = (cv2.GaussianBlur(sharp, (0, 0), max(s, 0.5)) for s in (near, far))
    return np.asarray(close * (1 - reach) + wide * reach, np.float32)


def _touch(floor: Floor, low: Doubles, shape: tuple[int, int]) -> Floats:
    """Light that tyres take around where they stand."""
    ahead = floor.view.footprint[0] - floor.view.footprint[3]
    ahead = ahead / np.hypot(*ahead)
    beside = np.array([-ahead[1], ahead[0]])
    xs = low[0] + np.arange(shape[1]) / PLAN
    zs = low[1] + np.arange(shape[0]) / PLAN
    left = np.ones(shape)
    # A tyre is seen by its outer edge, and stands inwards of it.
    width = floor.tyres[[0, 3]] - floor.tyres[[1, 2]]
    inwards = 0.7 * TYRE_WIDE * width / np.hypot(*width.T)[:, None]
    centres = floor.tyres + np.stack([-inwards[0], inwards[0], inwards[1], -inwards[1]])
    for x, z in centres[list(floor.found)]:
        dx, dz = (xs - x)[None, :], (zs - z)[:, None]
        u = (dx * ahead[0] + dz * ahead[1]) / TYRE_LONG
        v = (dx * beside[0] + dz * beside[1]) / TYRE_WIDE
        off = (np.sqrt(u * u + v * v) - 1).clip(0) * TYRE_WIDE
        left *= 1 - TOUCH * np.exp(-off / TOUCH_FADES)
    return np.asarray(1 - left, np.float32)


def _distance(outline: Doubles, low: Doubles, shape: tuple[int, int]) -> Floats:
    """Distance (h, w) to the outline in vehicle heights, negative inside of it."""
    inside = np.zeros(shape, np.uint8)
    _fill(inside, outline, low)
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    inner = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    return np.asarray((outer - inner) / PLAN, np.float32)


def _fill(plan: Pixels, outline: Doubles, low: Doubles) -> None:
    points = np.rint((outline - low) * PLAN * 16).astype(np.int32)
    cv2.fillPoly(plan, [points], 1, shift=4)


def _towards(points: Doubles, middle: Doubles, share: float) -> Doubles:
    return points + (middle - points) * share


def _laid(plan: Floats, origin: Doubles, view: View, size: tuple[int, int]) -> Floats:
    """The plan as the view sees it, on a canvas of (width, height)."""
    # Plan pixel (u, v) is the floor point (X, Z) = origin + (u, v) / PLAN, seen at
    # ((centre Z + focal X) / Z, (horizon Z + focal camera_height) / Z).
    to_floor = np.array([[1 / PLAN, 0, origin[0]], [0, 1 / PLAN, origin[1]], [0, 0, 1.0]])
    seen = np.array(
        [
            [view.focal, view.centre, 0],
            [0, view.horizon, view.focal * view.camera_height],
            [0, 1, 0],
        ]
    )
    # What lies behind the camera would come back mirrored from above the horizon.
    nearest = max(0, int(np.ceil((0.3 - origin[1]) * PLAN)))
    to_floor[1, 2] += nearest / PLAN
    return np.asarray(
        cv2.warpPerspective(plan[nearest:], seen @ to_floor, size, flags=cv2.INTER_LINEAR),
        np.float32,
    )

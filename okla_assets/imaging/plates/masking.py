"""Covering plates so that nobody can read them."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from okla_assets.imaging.plates.blank import (
    FLAT_ROWS,
    FLAT_WIDTH,
    WHITEST,
    Light,
    black,
    drawn,
    lies_in_the_dark,
    light_of,
    softness,
    surroundings,
)
from okla_assets.imaging.plates.quads import (
    CENTRE,
    CORNER,
    LEAST_PADDING,
    contains,
    corners_of,
    mean_sides,
    padded,
    quad_box,
    rectified,
    to_quad,
    true_aspect,
)
from okla_assets.imaging.plates.rims import LEAST_SUPPORT, Reach, Rim, rim_near
from okla_assets.imaging.types import Corners, Floats, Rgb, Rgba

Style = Literal["blur", "fill", "logo", "none"]

FEATHER = 0.06  # of the plate's height, outside the padding
LEAST_FEATHER = 1.2  # pixels

IN_QUAD = Reach(inwards=0.13, outwards=0.04, turn=0.06, support=0.85)
"""Where the plate's edge is looked for in a quad that has a frame's width to spare.

No stroke of a character is an edge on so much of a side.
"""
WITHIN = 0.15  # of the plate's height and width: what is covered at least, wherever its edge is
FRAME = 0.18  # of the plate's height: what is covered beyond an edge that was found, for its frame
LEAST_FRAME = 2.5  # pixels
DARK_GRAIN = 0.4  # of the grain beside it: a black plate's, as noise goes by the root of the light


def mask_plates(
    photo: Rgb,
    quads: Sequence[Corners],
    style: Style,
    logo: Rgba | None = None,
    *,
    is_frame: bool = False,
) -> Rgb:
    """A copy of the photo on which nobody can read the plates.

    `blur` leaves a smooth patch of the plate's mean colours, `fill` a blank plate in its light,
    `logo` the owner's RGBA picture (h, w, 4) on that blank plate; `none` changes nothing. The blank
    plate ends where the photo shows the plate's edge; what else is covered keeps the lines of frame
    and bumper. It is white, or black where a dark one lies in the dark. On a walk-around's frame,
    `is_frame`, it ends where the quad does and is white: neither may change from frame to frame.
    Raises ValueError for `logo` without a picture.
    """
    if style == "logo" and logo is None:
        raise ValueError("masking by a logo needs the logo")
    masked = photo.copy()
    if style == "none":
        return masked
    for quad in _outermost(quads):
        _mask(photo, masked, quad, style, logo, is_frame)
    return masked


def _outermost(quads: Sequence[Corners]) -> list[Corners]:
    """Without those that lie well within another, whose cover hides them: no plate is drawn on a
    plate."""
    cores = [padded(quad, -WITHIN, -np.inf) for quad in quads]
    return [
        quad
        for i, quad in enumerate(quads)
        if not any(contains(core, quad).all() for j, core in enumerate(cores) if j != i)
    ]


def cover(
    quad: Corners, shape: tuple[int, int], rim: Rim | None = None
) -> tuple[slice, slice, Floats] | None:
    """Where a quad is covered on a photo of (height, width): the window and its alpha (h, w).

    1 on the padded quad, or just on frame and plate where its edge was found, falling to 0 outside
    of it. None where it lies outside the photo.
    """
    dilated = padded(quad) if rim is None else _framed(quad, rim)
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    feather = max(LEAST_FEATHER, FEATHER * float(sides.min()))
    reach = int(np.ceil(feather)) + 2
    x, y, w, h = quad_box(dilated)
    x0, y0 = max(0, int(x) - reach), max(0, int(y) - reach)
    x1, y1 = min(shape[1], int(np.ceil(x + w)) + reach), min(shape[0], int(np.ceil(y + h)) + reach)
    if x0 >= x1 or y0 >= y1:
        return None
    # How far a pixel's centre is outside of each side; beyond a corner, of both its sides.
    vectors = np.roll(dilated, -1, axis=0) - dilated
    normals = np.stack([vectors[:, 1], -vectors[:, 0]], axis=1)
    normals /= np.maximum(np.hypot(*normals.T), 1e-6)[:, None]
    xs, ys = np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32) + 0.5
    outside = np.zeros((y1 - y0, x1 - x0), np.float32)
    for corner, (nx, ny) in zip(dilated, normals, strict=True):
        beyond = (nx * (xs - corner[0]))[None, :] + (ny * (ys - corner[1]))[:, None]
        outside += np.square(beyond.clip(0))
    t = np.clip(1 - np.sqrt(outside) / feather, 0, 1)
    alpha = t * t * (3 - 2 * t)
    return slice(y0, y1), slice(x0, x1), np.asarray(alpha, np.float32)


def _framed(quad: Corners, rim: Rim) -> Corners:
    """The padded quad; on each side where the edge was found, that and a frame's width."""
    wide = padded(quad)
    near = padded(rim.quad, 0, max(LEAST_FRAME, FRAME * mean_sides(rim.quad)[1]))
    sides = [near if s >= IN_QUAD.support else wide for s in rim.support]
    lines = [(q[i], np.roll(q, -1, axis=0)[i] - q[i]) for i, q in enumerate(sides)]
    corners = corners_of(lines)
    return wide if corners is None else corners


def _mask(
    photo: Rgb, masked: Rgb, quad: Corners, style: Style, logo: Rgba | None, is_frame: bool
) -> None:
    rim = rim_near(photo, quad, IN_QUAD) if style != "blur" and not is_frame else None
    covered = cover(quad, (photo.shape[0], photo.shape[1]), rim)
    if covered is None:
        return
    rows, columns, alpha = covered
    origin = np.array([columns.start, rows.start], np.float32)
    a = alpha[..., None]
    if style == "blur":
        window = _smear(photo, quad, origin, alpha.shape)
        blended = masked[rows, columns] * (1 - a) + window.clip(0, 255) * a
    else:
        quad = quad if rim is None else rim.quad
        soft = softness(photo, quad)
        seen = (False,) * 4 if rim is None else tuple(s >= LEAST_SUPPORT for s in rim.support)
        around, changed = surroundings(masked, quad, soft, alpha.shape, origin, seen)
        beside = masked[rows, columns] * (1 - a) + around * a
        light, grain = light_of(photo, quad), 1.0
        if style == "fill" and not is_frame and light.on_dark and lies_in_the_dark(photo, quad):
            light, grain = black(light), DARK_GRAIN
        plate, there = drawn(quad - origin, light, soft, alpha.shape)
        if style == "logo" and logo is not None and mean_sides(quad)[1] >= LEAST_LOGO_ROWS:
            aspect = true_aspect(quad, photo.shape[1], photo.shape[0])
            plate = _with_logo(plate, logo, quad - origin, aspect, light)
        window = beside * (1 - there[..., None]) + plate * there[..., None]
        drawn_on = (alpha * np.maximum(changed, there))[..., None]
        blended = window + grain * _grain(photo[rows, columns], alpha) * drawn_on
    masked[rows, columns] = np.rint(blended.clip(0, 255)).astype(np.uint8)


CELLS_ACROSS, CELLS_DOWN = 5, 2
"""What is left of a blurred plate: fewer numbers than it has characters."""


def _smeared(flat: Rgb) -> Floats:
    """The plate as its mean colours on a grid of CELLS, float32 (CELLS_DOWN, CELLS_ACROSS, 3)."""
    cells = cv2.resize(
        flat.astype(np.float32), (CELLS_ACROSS, CELLS_DOWN), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cells, np.float32)


def _smear(photo: Rgb, quad: Corners, origin: Floats, size: tuple[int, int]) -> Floats:
    """The smeared plate, continued round it under padding and feather: float32 (h, w, 3)."""
    flat = rectified(photo, quad, FLAT_WIDTH, FLAT_ROWS)
    dilated = padded(quad, 0.35, LEAST_PADDING + LEAST_FEATHER + 3)
    return _warped(_continued(_smeared(flat), quad, dilated), dilated - origin, size[::-1])


def _continued(patch: Floats, quad: Corners, dilated: Corners) -> Floats:
    """The patch (h, w, 3) resampled smoothly over the larger quad, its border extended."""
    matrix = np.linalg.inv(to_quad(quad, patch.shape[1], patch.shape[0])) @ to_quad(
        dilated, FLAT_WIDTH, FLAT_ROWS
    )
    x, y = np.meshgrid(np.arange(FLAT_WIDTH) + 0.5, np.arange(FLAT_ROWS) + 0.5)
    points = np.stack([x, y], axis=-1).reshape(1, -1, 2).astype(np.float64)
    there = cv2.perspectiveTransform(points, matrix).reshape(FLAT_ROWS, FLAT_WIDTH, 2)
    there = (there - 0.5).astype(np.float32)
    smooth = cv2.remap(
        patch, there[..., 0], there[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), FLAT_ROWS / 10), np.float32)


def _warped(picture: Floats, quad: Corners, size: tuple[int, int]) -> Floats:
    """The picture laid on the quad, float32 (h, w, 3) of the given size, continued around it."""
    matrix = CENTRE @ to_quad(quad, picture.shape[1], picture.shape[0]) @ CORNER
    border = cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border),
        np.float32,
    )


MOST_LOGO_ROWS = 160
LEAST_LOGO_ROWS = 18
"""Lower plates stay blank: a logo would be a smear, and read as characters by the leak check."""


def _with_logo(window: Floats, logo: Rgba, quad: Corners, aspect: float, light: Light) -> Floats:
    """The logo on the blank plate, whole, in its own proportions and in the plate's light."""
    # Drawn at about the size it is seen at: the homography only takes single pixels.
    height = round(min(MOST_LOGO_ROWS, mean_sides(quad)[1]))
    width = round(height * aspect)
    share = 0.86 * min(width / logo.shape[1], height / logo.shape[0])
    w, h = max(1, round(logo.shape[1] * share)), max(1, round(logo.shape[0] * share))
    weight = logo[..., 3:].astype(np.float32) / 255
    ink = np.concatenate([logo[..., :3] * weight, weight * 255], axis=2)
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    small = cv2.resize(ink.astype(np.float32), (w, h), interpolation=method)
    flat = np.zeros((height, width, 4), np.float32)
    top, left = (height - h) // 2, (width - w) // 2
    flat[top : top + h, left : left + w] = small
    soft = np.asarray(cv2.GaussianBlur(flat, (0, 0), 0.45), np.float32)
    laid = _warped(soft, quad, (window.shape[1], window.shape[0]))
    # The logo is lit as the plate is.
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
    slope = (1 + light.across * u + light.down * v).astype(np.float32)[..., None]
    shade = float(light.white.mean()) / WHITEST * _warped(slope, quad, window.shape[1::-1])
    a = laid[..., 3:] / 255
    return np.asarray(window * (1 - a) + laid[..., :3] * shade[..., None], np.float32)


def _grain(window: Rgb, alpha: Floats) -> Floats:
    """Noise (h, w, 1) as strong as the photo's own beside the plate; the same on every run.

    It is taken from what is smooth there: a grille is no grain.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(window), cv2.COLOR_RGB2GRAY).astype(np.float32)
    rough = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.2))
    beside = rough[alpha < 0.5]
    strength = min(2.0, 2.2 * float(np.percentile(beside, 25))) if beside.size else 0.0
    noise = np.asarray(np.random.default_rng(11).normal(0, strength, grey.shape), np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.5)[..., None], np.float32)

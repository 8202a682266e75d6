"""Augmented samples of a photo, so that a studio set teaches the car and not the studio.

Vehicles with a mask are pasted on other scenes and repainted; all samples are recoloured, blurred,
compressed, cut and mirrored now and then. Every sample is 224x224 RGB uint8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Box, Category, Rgb
from resources.models import tiny_vit

Gray = npt.NDArray[np.uint8]

_SAMPLE_PX = 320  # longest side while a sample is degraded, a little above the network's 224
_CATEGORY_COPIES: dict[Category, int] = {"exterior": 3, "interior": 8, "misc": 8}
_STUDIO_CATEGORY_SHARE, _STUDIO_PART_SHARE = 0.35, 0.12


@dataclass(frozen=True)
class Shot:
    """A photo with its main vehicle: `mask` at the picture's size, 255 = vehicle, None where there
    is none; `box` in the picture's pixels, all of it where nothing is known."""

    picture: Rgb
    mask: Gray | None
    box: Box

    @property
    def is_boxed(self) -> bool:
        """Whether the vehicle's box is known."""
        return self.box != whole_box(self.picture)


def angle_sample(shot: Shot, scenes: list[Rgb], rng: np.random.Generator) -> tuple[Rgb, bool]:
    """One sample of the boxed vehicle, and whether it is mirrored."""
    picture, box = shot.picture, shot.box
    if shot.mask is not None:
        picture, box = _paste(picture, shot.mask, scenes, rng)
    elif rng.random() < 0.8:
        picture = _recolour(picture, rng)
    picture, (x, y, w, h) = _jitter(picture, box, rng)
    m = tiny_vit.MARGIN
    crop = _cut(picture, x - m * w, y - m * h, x + w + m * w, y + h + m * h)
    sample = tiny_vit.squash(_hide_patch(_degrade(shrink(crop, _SAMPLE_PX), rng), rng))
    mirrored = bool(rng.integers(2))
    return (mirror(sample) if mirrored else sample), mirrored


def category_samples(
    shot: Shot, category: Category, scenes: list[Rgb], rng: np.random.Generator
) -> Iterator[tuple[Rgb, Category]]:
    """Samples of the whole photo; and of parts of exteriors, which are details: `misc`."""
    picture, box = shot.picture, shot.box
    if category != "exterior":
        for _ in range(_CATEGORY_COPIES[category]):
            yield _category_sample(_window(picture, 0.6, rng), rng), category
    elif shot.mask is not None:
        if rng.random() < _STUDIO_CATEGORY_SHARE:
            pasted = _paste(picture, shot.mask, scenes, rng)[0] if rng.random() < 0.3 else picture
            yield _category_sample(pasted, rng), category
        if rng.random() < _STUDIO_PART_SHARE:
            yield _category_sample(_part(picture, box, rng), rng), "misc"
    elif shot.is_boxed:
        for _ in range(_CATEGORY_COPIES[category]):
            view = _window_around(picture, box, rng) if rng.random() < 0.7 else picture
            yield _category_sample(view, rng), category
        for _ in range(2):
            yield _category_sample(_part(picture, box, rng), rng), "misc"
    else:
        for _ in range(_CATEGORY_COPIES[category]):
            yield _category_sample(_window(picture, 0.8, rng), rng), category


def whole_box(picture: Rgb) -> Box:
    """The box around all of a picture."""
    height, width = picture.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def mask_box(mask: Gray) -> Box | None:
    """The box around a mask's vehicle; None where the mask is empty."""
    inside = mask > 127
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        return None
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y


def mirror(picture: Rgb) -> Rgb:
    """Left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def shrink(picture: Rgb, longest: int) -> Rgb:
    """The picture at most `longest` pixels long."""
    scale = longest / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale))
    return _u8(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _category_sample(picture: Rgb, rng: np.random.Generator) -> Rgb:
    coloured = picture if rng.random() < 0.2 else _recolour(picture, rng, 0.7)
    sample = tiny_vit.squash(_degrade(shrink(coloured, _SAMPLE_PX), rng))
    return mirror(sample) if rng.integers(2) else sample


def _window(picture: Rgb, least: float, rng: np.random.Generator) -> Rgb:
    """A random window of at least that share of each side."""
    height, width = picture.shape[:2]
    share = rng.uniform(least, 1.0)
    w, h = (size * np.clip(share * rng.uniform(0.85, 1.15), least, 1.0) for size in (width, height))
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return _cut(picture, x, y, x + w, y + h)


def _window_around(picture: Rgb, box: Box, rng: np.random.Generator) -> Rgb:
    """A random window that holds the whole box."""
    height, width = picture.shape[:2]
    x, y, w, h = box
    return _cut(
        picture,
        rng.uniform(0, max(x, 1)),
        rng.uniform(0, max(y, 1)),
        rng.uniform(min(x + w, width - 1), width),
        rng.uniform(min(y + h, height - 1), height),
    )


def _part(picture: Rgb, box: Box, rng: np.random.Generator) -> Rgb:
    """A piece of the vehicle, a quarter to a half of its length: a lamp, a wheel, a door."""
    x, y, w, h = box
    part_w = w * rng.uniform(0.22, 0.5)
    part_h = min(h * rng.uniform(0.35, 0.95), part_w * rng.uniform(0.6, 1.2))
    cx, cy = x + rng.uniform(0.15, 0.85) * w, y + rng.uniform(0.3, 0.75) * h
    return _cut(picture, cx - part_w / 2, cy - part_h / 2, cx + part_w / 2, cy + part_h / 2)


def _paste(
    picture: Rgb, mask: Gray, scenes: list[Rgb], rng: np.random.Generator
) -> tuple[Rgb, Box]:
    """The vehicle, warped and recoloured, on another scene; and its box there."""
    around_y, around_x = ((size // 10, size // 10) for size in mask.shape)
    picture = np.pad(picture, (around_y, around_x, (0, 0)), mode="edge")
    mask = np.pad(mask, (around_y, around_x))
    height, width = mask.shape
    warp = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-4, 4), 1)
    warp[0] *= rng.uniform(0.88, 1.08)
    warp[0, 1] += rng.uniform(-0.08, 0.08)
    warp[1, 0] += rng.uniform(-0.05, 0.05)
    centre = np.array([width / 2, height / 2])
    warp[:, 2] += centre - warp @ np.append(centre, 1.0)
    size = (width, height)
    picture = _u8(cv2.warpAffine(picture, warp, size, borderMode=cv2.BORDER_REFLECT))
    mask = _u8(cv2.warpAffine(mask, warp, size))
    box = mask_box(mask) or whole_box(picture)
    if rng.random() < 0.35:
        picture = _repaint(picture, rng)
    picture = _recolour(picture, rng)
    if rng.random() >= 0.92:
        return picture, box
    alpha = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.5)).astype(np.float32) / 255
    ground = _background(height, width, scenes, rng)
    if rng.random() < 0.5:
        ground = _shade_below(ground, box, rng)
    blend = picture * alpha[..., None] + ground * (1 - alpha[..., None])
    return blend.astype(np.uint8), box


def _background(height: int, width: int, scenes: list[Rgb], rng: np.random.Generator) -> Rgb:
    """A window of a scene; now and then a wall over a floor, or blurred blots of colour."""
    draw = rng.random()
    if draw < 0.75 and scenes:
        scene = _window(scenes[rng.integers(len(scenes))], 0.3, rng)
        fitted = _u8(cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA))
        return _recolour(fitted, rng)
    if draw < 0.9:
        top, bottom, floor = rng.uniform(0, 255, (3, 3))
        t = np.linspace(0, 1, height)[:, None, None]
        wall = np.broadcast_to(top * (1 - t) + bottom * t, (height, width, 3)).copy()
        wall[int(height * rng.uniform(0.4, 0.9)) :] = floor
        return np.clip(wall + rng.normal(0, 6, wall.shape), 0, 255).astype(np.uint8)
    cells = (int(rng.integers(2, 12)), int(rng.integers(2, 16)), 3)
    noise = rng.integers(0, 256, cells, dtype=np.uint8)
    return _u8(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def _shade_below(ground: Rgb, box: Box, rng: np.random.Generator) -> Rgb:
    """A soft contact shadow, so that the wheels do not float."""
    x, y, w, h = (int(value) for value in box)
    spot = np.zeros(ground.shape[:2], np.float32)
    cv2.ellipse(spot, (x + w // 2, y + h), (w // 2, max(2, h // 12)), 0, 0, 360, 1, -1)
    shade = cv2.GaussianBlur(spot, (0, 0), max(2.0, h / 30)) * rng.uniform(0.3, 0.8)
    return (ground * (1 - shade[..., None])).astype(np.uint8)


def _recolour(picture: Rgb, rng: np.random.Generator, strength: float = 1.0) -> Rgb:
    """Other white balance, saturation, contrast, brightness and gamma."""
    balanced = picture * (1 + strength * rng.uniform(-0.12, 0.12, 3)).astype(np.float32)
    grey = (balanced @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    x = grey + (balanced - grey) * np.float32(rng.uniform(1 - 0.6 * strength, 1 + 0.4 * strength))
    contrast = rng.uniform(1 - 0.35 * strength, 1 + 0.35 * strength)
    x = (x - 128) * np.float32(contrast) + np.float32(128 + rng.uniform(-40, 40) * strength)
    gamma = np.float32(np.exp(rng.uniform(-0.4, 0.4) * strength))
    return _u8(255 * (np.clip(x, 0, 255) / 255) ** gamma)


def _repaint(picture: Rgb, rng: np.random.Generator) -> Rgb:
    """Another hue, and sometimes more of it, as if the car were of another colour."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + rng.integers(0, 180)) % 180
    if rng.random() < 0.5:
        hsv[..., 1] = np.clip(hsv[..., 1] + rng.uniform(0, 120), 0, 255)
    return _u8(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def _degrade(picture: Rgb, rng: np.random.Generator) -> Rgb:
    """Out of focus, too small, noisy or badly compressed, each now and then."""
    height, width = picture.shape[:2]
    if rng.random() < 0.3:
        sigma = rng.uniform(0.4, 1.8) * max(height, width) / tiny_vit.SIDE_PX
        picture = _u8(cv2.GaussianBlur(picture, (0, 0), sigma))
    if rng.random() < 0.25:
        share = rng.uniform(0.25, 0.8)
        small = (max(8, int(width * share)), max(8, int(height * share)))
        tiny = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        picture = _u8(cv2.resize(tiny, (width, height)))
    if rng.random() < 0.25:
        noisy = picture + rng.normal(0, rng.uniform(2, 12), picture.shape)
        picture = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        # The channel order is the encoder's business only in the file, which never leaves here.
        file = cv2.imencode(".jpg", picture, quality)[1]
        picture = _u8(cv2.imdecode(file, cv2.IMREAD_COLOR))
    return picture


def _jitter(picture: Rgb, box: Box, rng: np.random.Generator) -> tuple[Rgb, Box]:
    """A jittered box, as a detector's is; now and then one side of the vehicle is cropped off."""
    x, y, w, h = box
    off = rng.normal(0, 0.02, 4)
    x0, y0, x1, y1 = x + off[0] * w, y + off[1] * h, x + w + off[2] * w, y + h + off[3] * h
    height, width = picture.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    if rng.random() < 0.2:
        lost = rng.uniform(0.03, 0.25)
        side = rng.integers(4)
        if side == 0:
            left = int(max(0, x + lost * w))
        elif side == 1:
            right = int(min(width, x + w - lost * w))
        elif side == 2:
            bottom = int(min(height, y + h - 0.6 * lost * h))
        else:
            top = int(max(0, y + 0.6 * lost * h))
    cut = _cut(picture, left, top, right, bottom)
    height, width = cut.shape[:2]
    x0, x1 = (float(np.clip(v - left, 0, width)) for v in (x0, x1))
    y0, y1 = (float(np.clip(v - top, 0, height)) for v in (y0, y1))
    return cut, (x0, y0, max(1.0, x1 - x0), max(1.0, y1 - y0))


def _hide_patch(picture: Rgb, rng: np.random.Generator) -> Rgb:
    """Random erasing: now and then a plain rectangle, for dealer badges and watermarks."""
    if rng.random() >= 0.15:
        return picture
    height, width = picture.shape[:2]
    h, w = int(height * rng.uniform(0.05, 0.3)), int(width * rng.uniform(0.05, 0.3))
    y, x = int(rng.integers(height - h)), int(rng.integers(width - w))
    picture = picture.copy()
    picture[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return picture


def _cut(picture: Rgb, left: float, top: float, right: float, bottom: float) -> Rgb:
    """The part of the window that lies inside the picture, at least 2x2 pixels."""
    height, width = picture.shape[:2]
    x0, y0 = int(np.clip(left, 0, width - 2)), int(np.clip(top, 0, height - 2))
    x1 = int(np.clip(math.ceil(right), x0 + 2, width))
    y1 = int(np.clip(math.ceil(bottom), y0 + 2, height))
    return picture[y0:y1, x0:x1]


def _u8(picture: object) -> Rgb:
    """An array of cv2, whose stubs leave the type open."""
    return np.asarray(picture, np.uint8)

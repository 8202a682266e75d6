"""Drawn panoramas, and drawn photos of their shape that are none."""

import cv2
import numpy as np

from okla_assets.imaging.types import Rgb

COLOURS = ((200, 60, 60), (60, 170, 60), (60, 90, 200), (150, 70, 190))
"""Of the walls ahead, to the right, behind and to the left."""


def cabin(width: int = 1024) -> Rgb:
    """A room of four striped walls with a light ceiling and a dark floor, seen from its middle.

    Equirectangular, `width` by half of it: each pixel's ray is followed to the wall that it meets.
    """
    height = width // 2
    longitude = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    latitude = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    x = np.cos(latitude)[:, None] * np.sin(longitude)
    y = np.repeat(np.sin(latitude)[:, None], width, axis=1)
    z = np.cos(latitude)[:, None] * np.cos(longitude)
    wall = np.where(np.abs(x) > np.abs(z), np.where(x > 0, 1, 3), np.where(z > 0, 0, 2))
    reach = np.maximum(np.abs(x), np.abs(z))
    up, along = y / reach, np.where(np.abs(x) > np.abs(z), z, x) / reach
    stripes = 0.75 + 0.25 * np.sin(40 * up) * np.sin(25 * along)
    picture = np.array(COLOURS, np.float32)[wall] * stripes[..., None]
    picture[up > 0.9] = 235
    picture[up < -0.9] = 40
    return np.asarray(np.rint(cv2.GaussianBlur(picture, (3, 3), 0)), np.uint8)


def street() -> Rgb:
    """Noise over a gradient, whose sides have nothing to do with each other."""
    noise = np.random.default_rng(3).normal(0, 40, (64, 128, 3)).astype(np.float32)
    sky = np.linspace(220, 90, 512, dtype=np.float32)[:, None, None]
    picture = sky + cv2.resize(noise, (1024, 512), interpolation=cv2.INTER_CUBIC)
    picture[:40] = 230
    picture[-40:] = 80
    return np.asarray(picture.clip(0, 255), np.uint8)


def studio() -> Rgb:
    """A wall and a floor that are the same on the left and on the right, and a car between."""
    rows = np.concatenate([np.linspace(250, 215, 340), np.linspace(200, 235, 172)])
    picture = np.repeat(np.repeat(rows[:, None, None], 1024, axis=1), 3, axis=2)
    picture += np.random.default_rng(4).normal(0, 1.5, picture.shape)
    cv2.ellipse(picture, (512, 300), (300, 110), 0, 0, 360, (40, 60, 140), -1)
    return np.asarray(picture.clip(0, 255), np.uint8)

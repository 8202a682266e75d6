"""How a transformers checkpoint wants its pictures: read from its own file, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from okla_assets.imaging.types import Doubles
from resources.errors import BrokenSetup
from resources.models.torch_models import Checkpoint

FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class Preprocessing:
    """Height and width of the network's input in pixels, and the mean and spread of each channel
    that it expects of pictures in [0, 1]: x is fed as (x - mean) / std."""

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def preprocessing(source: Checkpoint) -> Preprocessing:
    """What the checkpoint's `preprocessor_config.json` says.

    Raises `BrokenSetup` where that file is missing, or says nothing of size, mean and spread.
    """
    path = source.folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        mean, std = _affine(told)
        return Preprocessing(_size(told), tuple(mean.tolist()), tuple(std.tolist()))
    except FileNotFoundError as error:
        raise BrokenSetup(
            f"{source.folder}: holds no {FILE}, which says how large its pictures are and how they "
            "are normalised; copy it from where the weights came from"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenSetup(
            f"{path}: does not say size, image_mean and image_std of the pictures ({error!r}); "
            "copy it again from where the weights came from"
        ) from error


def _size(told: Mapping[str, Any]) -> tuple[int, int]:
    size = told["crop_size"] if told.get("do_center_crop") and "crop_size" in told else told["size"]
    if isinstance(size, int):
        return size, size
    if (side := size.get("shortest_edge")) is not None:
        return int(side), int(side)
    return int(size["height"]), int(size["width"])


def _affine(told: Mapping[str, Any]) -> tuple[Doubles, Doubles]:
    """Mean and spread of the whole chain: rescaled, shifted, normalised once or (EfficientNet's
    include_top) a second time by the spread alone."""
    levels = (
        255 * float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 255
    )
    mean, std = np.zeros(3), np.ones(3)
    if told.get("do_normalize", True):
        mean, std = np.array(told["image_mean"], float), np.array(told["image_std"], float)
    if told.get("rescale_offset", False):
        mean = mean + 1
    if told.get("include_top", False):
        std = std * np.array(told["image_std"], float)
    if mean.shape != (3,) or std.shape != (3,) or not (std > 0).all():
        raise ValueError(f"image_mean {mean.tolist()} and image_std {std.tolist()}")
    return mean / levels, std / levels

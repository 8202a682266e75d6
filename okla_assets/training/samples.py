"""Labelled photos through the network: the features of all samples, with their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.types import Bools, Box, Floats, Rgb
from okla_assets.training.augment import (
    Gray,
    Shot,
    angle_sample,
    category_samples,
    mask_box,
    mirror,
    shrink,
    whole_box,
)
from okla_assets.training.labels import LabelError, LabelledPhoto
from resources.decoding.photo_decoder import PhotoDecoder
from resources.models import tiny_vit
from resources.models.view_heads import ANGLES, BIN_DEG, BINS, CATEGORIES, SIDES

if TYPE_CHECKING:
    import onnxruntime

Ints = npt.NDArray[np.int64]
Halves = npt.NDArray[np.float16]
FindBox = Callable[[Rgb], Box | None]
Report = Callable[[str, float], None]

_PHOTO_PX = 1024  # longest side a photo is read at
_SCENE_PX = 512
_SCENES = 64
_SHAPE = 0.02  # of its width by its height: how far a mask's may be from its photo's
# A studio set shows each car from everywhere but always alike: real photos must outweigh it.
_STUDIO_COPIES, _REAL_COPIES_TOTAL, _REAL_COPIES_MOST = 2, 2400, 12
_REAL_WEIGHT = 3.0
# Angular spread of an azimuth label, degrees: about half a bin.
_AZIMUTH_SPREAD = 13.0


@dataclass(frozen=True)
class AngleTargets:
    """Labels of N samples. `azimuth` (N, 16) soft bins, rows of zeros where unknown; `angle` and
    `side` (N,) indices, -1 where unknown; `weight` (N,) of each sample in the loss."""

    azimuth: Floats
    angle: Ints
    side: Ints
    weight: Floats

    def rows(self, chosen: Ints | Bools) -> AngleTargets:
        """The targets of some of the samples."""
        return AngleTargets(
            self.azimuth[chosen], self.angle[chosen], self.side[chosen], self.weight[chosen]
        )


@dataclass(frozen=True)
class AngleSamples:
    """Samples of vehicles: `grids` (N, 7, 7, 320); `owner` (N,) is the photo each was taken of."""

    grids: Halves
    targets: AngleTargets
    owner: Ints


@dataclass(frozen=True)
class CategorySamples:
    """Samples of whole photos and of parts: `means` (N, 320), `category` and `owner` (N,)."""

    means: Floats
    category: Ints
    owner: Ints


@dataclass(frozen=True)
class CleanSamples:
    """The held-out photos as they are: `means` (N, 320) of each, and `grids` (2N, 7, 7, 320) of its
    crop followed by the crop's mirror image."""

    photos: list[LabelledPhoto]
    means: Floats
    grids: Floats


@dataclass(frozen=True)
class Samples:
    """All that is trained on and measured with."""

    angles: AngleSamples
    categories: CategorySamples
    clean: CleanSamples

    def without(self, held: Bools) -> Samples:
        """Only the samples of photos that are not held out."""
        angles, categories = self.angles, self.categories
        seen, known = ~held[angles.owner], ~held[categories.owner]
        return Samples(
            AngleSamples(angles.grids[seen], angles.targets.rows(seen), angles.owner[seen]),
            CategorySamples(
                categories.means[known], categories.category[known], categories.owner[known]
            ),
            self.clean,
        )


def collect_samples(
    session: onnxruntime.InferenceSession,
    photos: list[LabelledPhoto],
    held: Bools,
    find_box: FindBox | None,
    rng: np.random.Generator,
    report: Report,
) -> Samples:
    """Augmented samples of every photo, and clean ones of those that are `held` (N,) out."""
    # Of held-out photos nothing may be seen before they are measured, be it behind another vehicle.
    scenes = _scenes([photo for photo, out in zip(photos, held, strict=True) if not out], rng)
    grids, clean_grids = _Features(session), _Features(session)
    means, clean_means = (_Features(session, tiny_vit.mean_features) for _ in range(2))
    angle_owner: list[int] = []
    mirrored: list[bool] = []
    category_owner: list[int] = []
    category: list[int] = []
    real = sum(photo.angle is not None and photo.mask is None for photo in photos)
    real_copies = int(np.clip(_REAL_COPIES_TOTAL // max(1, real), 2, _REAL_COPIES_MOST))
    for number, photo in enumerate(photos):
        report("features", number / len(photos))
        shot = read_shot(photo, find_box)
        if photo.angle is not None:
            for _ in range(real_copies if shot.mask is None else _STUDIO_COPIES):
                sample, flipped = angle_sample(shot, scenes, rng)
                grids.add(sample)
                angle_owner.append(number)
                mirrored.append(flipped)
        if photo.category is not None:
            for sample, shown in category_samples(shot, photo.category, scenes, rng):
                means.add(sample)
                category_owner.append(number)
                category.append(CATEGORIES.index(shown))
        if held[number]:
            crop = tiny_vit.vehicle_crop(shot.picture, shot.box)
            clean_grids.add(crop)
            clean_grids.add(mirror(crop))
            clean_means.add(tiny_vit.squash(shot.picture))
    return Samples(
        AngleSamples(
            grids.features(),
            angle_targets([photos[n] for n in angle_owner], mirrored),
            np.array(angle_owner, np.int64),
        ),
        CategorySamples(
            means.features().astype(np.float32),
            np.array(category, np.int64),
            np.array(category_owner, np.int64),
        ),
        CleanSamples(
            [photo for photo, out in zip(photos, held, strict=True) if out],
            clean_means.features().astype(np.float32),
            clean_grids.features().astype(np.float32),
        ),
    )


def angle_targets(photos: list[LabelledPhoto], mirrored: list[bool]) -> AngleTargets:
    """The labels of one sample a photo, as it is or mirrored."""
    azimuth = np.zeros((len(photos), BINS), np.float32)
    angle, side = np.full(len(photos), -1, np.int64), np.full(len(photos), -1, np.int64)
    weight = np.ones(len(photos), np.float32)
    for n, (photo, flipped) in enumerate(zip(photos, mirrored, strict=True)):
        if photo.angle is not None:
            angle[n] = ANGLES.index(photo.angle)
        if photo.side is not None:
            side[n] = SIDES.index(photo.side) ^ int(flipped)
        if photo.azimuth_deg is not None:
            azimuth[n] = _soft_bins(-photo.azimuth_deg if flipped else photo.azimuth_deg)
        if photo.mask is None:
            weight[n] = _REAL_WEIGHT
    return AngleTargets(azimuth, angle, side, weight)


def _soft_bins(azimuth_deg: float) -> Floats:
    off = (azimuth_deg - BIN_DEG * np.arange(BINS) + 180.0) % 360.0 - 180.0
    near = np.exp(-(off**2) / (2 * _AZIMUTH_SPREAD**2))
    return np.asarray(near / near.sum(), np.float32)


class _Features:
    """Passes pictures through the network in batches; stores the grids, or `reduce(grids)`, as
    float16 to save memory."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        reduce: Callable[[Floats], Floats] | None = None,
    ) -> None:
        self._session, self._reduce = session, reduce
        self._waiting: list[Rgb] = []
        self._done: list[Halves] = []

    def add(self, picture: Rgb) -> None:
        self._waiting.append(picture)
        if len(self._waiting) >= 32:
            self._flush()

    def features(self) -> Halves:
        self._flush()
        return np.concatenate(self._done)

    def _flush(self) -> None:
        grids = tiny_vit.grid_features(self._session, self._waiting)
        kept = self._reduce(grids) if self._reduce else grids
        self._done.append(kept.astype(np.float16))
        self._waiting.clear()


def _scenes(photos: list[LabelledPhoto], rng: np.random.Generator) -> list[Rgb]:
    """Backgrounds to paste vehicles on: photos that show no whole vehicle."""
    rows = [photo for photo in photos if photo.category in ("interior", "misc")]
    chosen = rng.permutation(len(rows))[:_SCENES]
    return [shrink(_read_photo(rows[n])[0], _SCENE_PX) for n in chosen]


def read_shot(photo: LabelledPhoto, find_box: FindBox | None) -> Shot:
    """The photo, its vehicle by the table's box, else the mask, else `find_box`, else all.

    Raises `LabelError`, naming the row, for a photo, mask or box that cannot be used.
    """
    picture, scale = _read_photo(photo)
    mask = _read_mask(photo, picture)
    box: Box | None = None
    if photo.box is not None:
        box = _scaled(photo.box, scale, picture, photo.where)
    elif mask is not None:
        box = mask_box(mask)
    elif find_box is not None and photo.category in (None, "exterior"):
        box = find_box(picture)
    return Shot(picture, mask, box or whole_box(picture))


def check_photos(photos: Sequence[LabelledPhoto], report: Report) -> None:
    """Reads every photo and mask once.

    Raises one `LabelError` with a line for each that cannot be used: the next one would else only
    be met hours later.
    """
    refused = []
    for number, photo in enumerate(photos):
        report("photos", number / len(photos))
        try:
            read_shot(photo, None)
        except LabelError as error:
            refused.append(str(error))
    report("photos", 1.0)
    if refused:
        raise LabelError("\n".join(refused))


def _read_photo(photo: LabelledPhoto) -> tuple[Rgb, float]:
    """The photo as every step sees it, upright and in sRGB, at most 1024 px long, and its size as a
    share of the file's."""
    try:
        found = PhotoDecoder().decode(photo.path.read_bytes(), _PHOTO_PX)
    except OSError as error:
        raise LabelError(f"{photo.where}, file: cannot be read: {photo.path.name}") from error
    except Refused as refused:
        raise LabelError(f"{photo.where}, file: {photo.path.name}: {refused.detail}") from refused
    if {"damaged_data", "truncated_repaired"} & set(found.notes):
        raise LabelError(f"{photo.where}, file: {photo.path.name}: a part of the picture is lost")
    picture = shrink(found.rgb, _PHOTO_PX)
    return picture, max(picture.shape[:2]) / max(found.width, found.height)


def _read_mask(photo: LabelledPhoto, picture: Rgb) -> Gray | None:
    """The mask at the picture's size, 255 = vehicle; None where there is none.

    Of a cut-out it is what is opaque.
    """
    if photo.mask is None:
        return None
    try:
        with Image.open(photo.mask) as file:
            mask = np.asarray(file.convert("L"))
            if file.has_transparency_data:
                opaque = np.asarray(file.convert("RGBA").getchannel("A"))
                mask = mask if opaque.min() == 255 else opaque
    except (OSError, ValueError) as error:
        raise LabelError(f"{photo.where}, mask: cannot be read: {photo.mask.name}") from error
    height, width = picture.shape[:2]
    if abs(mask.shape[1] / mask.shape[0] * height / width - 1) > _SHAPE:
        size = f"{mask.shape[1]} x {mask.shape[0]} pixels"
        raise LabelError(f"{photo.where}, mask: is not of the upright photo's shape: {size}")
    if not (mask > 127).any():
        raise LabelError(f"{photo.where}, mask: shows no vehicle: {photo.mask.name}")
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(box: Box, scale: float, picture: Rgb, where: str) -> Box:
    """The table's box in pixels of `picture`."""
    height, width = picture.shape[:2]
    x, y, w, h = (scale * value for value in box)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise LabelError(f"{where}, box: lies outside of the photo")
    return x, y, w, h

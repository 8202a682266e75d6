"""Trains the view heads on labelled photos: the work behind `okla train-views`.

Photos with a mask are cut out and pasted on other scenes, repainted, blurred and cropped, so that a
studio set teaches the car and not the studio; photos without are only recoloured, blurred and
cropped. Whole vehicles are held out to measure, then the heads are trained again on everything.
No torch and no sklearn: both heads are small enough for numpy.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from resources.errors import BadInput
from resources.models import tiny_vit
from resources.models.base import Angle, Box, Category, Rgb, Side
from resources.models.onnx import load_session
from resources.models.view_heads import (
    ANGLES,
    BIN_DEG,
    BINS,
    BINS_OF_SIDE,
    CATEGORIES,
    CHANNELS,
    FILE_NAME,
    GRID,
    OUTPUTS,
    SIDES,
    AngleHead,
    CategoryHead,
    Floats,
    Pose,
    ViewHeads,
    decide,
    save_heads,
    sigmoid,
    silu,
    softmax,
    split_outputs,
)

if TYPE_CHECKING:
    import onnxruntime

Ints = npt.NDArray[np.int64]
Gray = npt.NDArray[np.uint8]
FindBox = Callable[[Rgb], Box | None]
Progress = Callable[[str, float], None]

_PHOTO_PX = 1024  # longest side a photo is read at
_SAMPLE_PX = 320  # longest side of an augmented sample, a little above the network's 224
_SCENE_PX = 512
_SCENES = 64
_PROJECTED = 16
_HIDDEN = 64
_EPOCHS = 15
_LEAST_STEPS = 600
_BATCH = 128
_PEAK_RATE = 2e-3
_DECAY = 0.02
# A studio set shows each car from everywhere but always alike: real photos must outweigh it.
_STUDIO_COPIES, _REAL_COPIES_TOTAL, _REAL_COPIES_MOST = 2, 2400, 12
_REAL_WEIGHT = 3.0
_CATEGORY_COPIES: dict[Category, int] = {"exterior": 3, "interior": 8, "misc": 8}
_STUDIO_CATEGORY_SHARE, _STUDIO_PART_SHARE = 0.35, 0.12
_CATEGORY_L2 = 0.1
# Angular spread of an azimuth label, degrees: about half a bin.
_AZIMUTH_SPREAD = 13.0


class LabelError(BadInput):
    """A labels table that cannot be used; the message names table, row and field."""


@dataclass(frozen=True)
class Score:
    """`right` of `total` held-out photos."""

    right: int
    total: int

    @property
    def rate(self) -> float | None:
        """In [0, 1]; None where nothing was held out."""
        return self.right / self.total if self.total else None


@dataclass(frozen=True)
class HeldOut:
    """How heads trained on the other vehicles did on the held-out ones, one clean look a photo.

    `side` counts left against right; `azimuth_error_deg` is the median, None without labels.
    """

    vehicles: int
    category: Score
    angle: Score
    side: Score
    azimuth_error_deg: float | None


@dataclass(frozen=True)
class Trained:
    """The heads file written, what it was trained on, and how well the same recipe did held out."""

    heads: Path
    digest: str
    photos: int
    vehicles: int
    held_out: HeldOut
    seconds: float


def train_views(
    labels: Sequence[Path],
    out_dir: Path,
    *,
    seed: int = 0,
    threads: int = 0,
    held_out_share: float = 0.2,
    ensemble: int = 3,
    steps: int | None = None,
    find_box: FindBox | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Trains heads on the photos of one or more labels tables and writes them into `out_dir`.

    An exterior's vehicle is taken from the table's box, else its mask, else `find_box`, else the
    whole picture. `ensemble` angle heads are trained, each with `steps` batches (None: enough). The
    same tables, seed and machine give the same file. Nearly all of the time is
    the network's: some 3-5 augmented looks a photo, each about 0.04 s on one core. `progress` gets
    the step's name and the share of it done, in [0, 1].

    Raises `LabelError` for an unusable table or too few vehicles, `WeightsMissing` without TinyViT.
    """
    started = time.monotonic()
    report = progress or (lambda _step, _share: None)
    photos = [photo for table in labels for photo in read_labels(table)]
    held = _choose_held_out(photos, held_out_share, np.random.default_rng(seed))
    session = load_session(tiny_vit.WEIGHT, threads)
    samples = _extract(session, photos, held, find_box, np.random.default_rng(seed + 1), report)
    report("measure", 0.0)
    kept = (
        ~np.isin(samples.owner, np.flatnonzero(held)),
        ~np.isin(samples.category_owner, np.flatnonzero(held)),
    )
    seeds = range(seed, seed + ensemble)
    trial = _fit(photos, samples, kept, seeds, steps)
    held_out, temperatures = _measure(trial, photos, samples)
    report("train", 0.0)
    everything = np.ones(len(samples.owner), bool), np.ones(len(samples.category_owner), bool)
    final = _fit(photos, samples, everything, seeds, steps)
    calibrated = ViewHeads(final.category, tuple(_cool(h, temperatures) for h in final.angles))
    path = out_dir / FILE_NAME
    saved = save_heads(calibrated, path)
    report("train", 1.0)
    return Trained(
        heads=path,
        digest=saved.digest,
        photos=len(photos),
        vehicles=len({photo.vehicle for photo in photos}),
        held_out=held_out,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class LabelledPhoto:
    """One row of a labels table; `where` names table and row, and what is not known is None."""

    path: Path
    where: str
    vehicle: str
    category: Category | None
    angle: Angle | None
    side: Side | None
    azimuth_deg: float | None
    mask: Path | None
    box: Box | None


def read_labels(table: Path) -> list[LabelledPhoto]:
    """The rows of a labels CSV; paths in it are relative to the CSV's folder.

    Columns: file, category, angle, side (or side_visible), azimuth_deg, vehicle_id, and optionally
    mask and box ("x,y,w,h" in pixels of the upright photo). Blank cells mean "not known"; a photo
    without vehicle_id is a vehicle of its own. Other columns are ignored. Raises `LabelError`,
    naming row and field, for whatever cannot be used.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{table}: cannot be read as a CSV table: {error}") from error
    side_column = "side" if "side" in columns else "side_visible"
    needed = {"file", "category", "angle", side_column, "azimuth_deg", "vehicle_id"}
    if missing := sorted(needed - columns):
        raise LabelError(f"{table}: no column {', '.join(missing)}")
    if not rows:
        raise LabelError(f"{table}: has no rows")
    # Row 1 is the header, as a spreadsheet counts.
    return [_parse_row(table, n, row, side_column) for n, row in enumerate(rows, start=2)]


def _parse_row(
    table: Path, number: int, row: dict[str, str | None], side_column: str
) -> LabelledPhoto:
    where = f"{table.name} row {number}"

    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    def one_of(name: str, allowed: tuple[str, ...]) -> str | None:
        value = cell(name)
        if value and value not in allowed:
            raise LabelError(f"{where}, {name}: {value!r} is none of {', '.join(allowed)}")
        return value or None

    def existing(name: str) -> Path | None:
        value = cell(name)
        if not value:
            return None
        path = table.parent / value
        if not path.is_file():
            raise LabelError(f"{where}, {name}: no such file: {value}")
        return path

    path = existing("file")
    if path is None:
        raise LabelError(f"{where}, file: is blank")
    category = one_of("category", CATEGORIES)
    angle = one_of("angle", ANGLES)
    if angle and category not in (None, "exterior"):
        raise LabelError(f"{where}, angle: given for a photo labelled {category}")
    return LabelledPhoto(
        path=path,
        where=where,
        vehicle=cell("vehicle_id") or str(path),
        category=cast("Category | None", category),
        angle=cast("Angle | None", angle),
        side=cast("Side | None", one_of(side_column, SIDES)),
        azimuth_deg=_parse_azimuth(where, cell("azimuth_deg")),
        mask=existing("mask"),
        box=_parse_box(where, cell("box")),
    )


def _parse_azimuth(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not math.isfinite(degrees):
        raise LabelError(f"{where}, azimuth_deg: {text!r} is not a number of degrees")
    return degrees % 360.0


def _parse_box(where: str, text: str) -> Box | None:
    if not text:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise LabelError(f"{where}, box: {text!r} is not x,y,w,h") from None
    if not (all(map(math.isfinite, (x, y, w, h))) and w > 0 and h > 0):
        raise LabelError(f"{where}, box: {text!r} has no area")
    return x, y, w, h


def _choose_held_out(
    photos: list[LabelledPhoto], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which photos are held out: those of a share of the vehicles, at least one, never all."""
    vehicles = sorted({photo.vehicle for photo in photos})
    if len(vehicles) < 2:
        raise LabelError("the tables hold fewer than two vehicles; none could be held out")
    count = min(len(vehicles) - 1, max(1, round(share * len(vehicles))))
    chosen = {vehicles[n] for n in rng.permutation(len(vehicles))[:count]}
    held = np.array([photo.vehicle in chosen for photo in photos])
    for what, labels in (
        ("category", [photo.category for photo in photos]),
        ("angle", [photo.angle for photo in photos]),
    ):
        if not any(label for label, out in zip(labels, held, strict=True) if not out):
            raise LabelError(f"{what}: no labelled photo is left once whole vehicles are held out")
    return held


@dataclass(frozen=True)
class _Samples:
    """Features of all looks at all photos; `owner` (N,) is the photo each look was taken of.

    The `clean` ones are the held-out photos as they are: the crop, then its mirror image.
    """

    grids: npt.NDArray[np.float16]
    owner: Ints
    mirrored: npt.NDArray[np.bool_]
    means: Floats
    category_owner: Ints
    category: Ints
    clean_grids: Floats
    clean_means: Floats
    clean_owner: Ints


class _Looks:
    """Collects pictures with their tags and passes them through the network in batches."""

    def __init__(self, session: onnxruntime.InferenceSession, *, means: bool) -> None:
        self._session, self._means = session, means
        self._waiting: list[Rgb] = []
        self._done: list[npt.NDArray[np.float16]] = []
        self.tags: list[tuple[int, int]] = []

    def add(self, picture: Rgb, owner: int, tag: int) -> None:
        self._waiting.append(picture)
        self.tags.append((owner, tag))
        if len(self._waiting) >= 32:
            self._flush()

    def features(self) -> npt.NDArray[np.float16]:
        self._flush()
        return np.concatenate(self._done)

    def _flush(self) -> None:
        grids = tiny_vit.grid_features(self._session, self._waiting)
        chosen = tiny_vit.mean_features(grids) if self._means else grids
        self._done.append(chosen.astype(np.float16))
        self._waiting.clear()


def _extract(
    session: onnxruntime.InferenceSession,
    photos: list[LabelledPhoto],
    held: npt.NDArray[np.bool_],
    find_box: FindBox | None,
    rng: np.random.Generator,
    report: Progress,
) -> _Samples:
    scenes = _scenes(photos, rng)
    poses, categories = _Looks(session, means=False), _Looks(session, means=True)
    clean, clean_means = _Looks(session, means=False), _Looks(session, means=True)
    real = sum(photo.angle is not None and photo.mask is None for photo in photos)
    copies = int(np.clip(_REAL_COPIES_TOTAL // max(1, real), 2, _REAL_COPIES_MOST))
    for number, photo in enumerate(photos):
        report("features", number / len(photos))
        picture, scale = _read_photo(photo)
        mask = _read_mask(photo, picture)
        box = _box_of(photo, picture, scale, mask, find_box)
        if photo.angle is not None:
            for _ in range(copies if mask is None else _STUDIO_COPIES):
                look, mirrored = _pose_look(picture, mask, box, scenes, rng)
                poses.add(look, number, int(mirrored))
        if photo.category is not None:
            for look, category in _category_looks(photo.category, picture, mask, box, scenes, rng):
                categories.add(look, number, CATEGORIES.index(category))
        if held[number]:
            crop = tiny_vit.vehicle_crop(picture, box)
            clean.add(crop, number, 0)
            clean.add(_mirror(crop), number, 1)
            clean_means.add(tiny_vit.squash(picture), number, 0)
    pose_tags = np.array(poses.tags, np.int64).reshape(-1, 2)
    category_tags = np.array(categories.tags, np.int64).reshape(-1, 2)
    return _Samples(
        grids=poses.features(),
        owner=pose_tags[:, 0],
        mirrored=pose_tags[:, 1].astype(bool),
        means=categories.features().astype(np.float32),
        category_owner=category_tags[:, 0],
        category=category_tags[:, 1],
        clean_grids=clean.features().astype(np.float32),
        clean_means=clean_means.features().astype(np.float32),
        clean_owner=np.array([owner for owner, _ in clean_means.tags], np.int64),
    )


def _scenes(photos: list[LabelledPhoto], rng: np.random.Generator) -> list[Rgb]:
    """Backgrounds to paste vehicles on: photos that show no whole vehicle."""
    rows = [photo for photo in photos if photo.category in ("interior", "misc")]
    chosen = rng.permutation(len(rows))[:_SCENES]
    return [_shrink(_read_photo(rows[n])[0], _SCENE_PX) for n in chosen]


def _read_photo(photo: LabelledPhoto) -> tuple[Rgb, float]:
    """The upright photo, at most 1024 px long, and its size as a share of the file's."""
    from PIL import Image, ImageOps

    try:
        with Image.open(photo.path) as file:
            longest = max(file.size)
            file.draft("RGB", (_PHOTO_PX, _PHOTO_PX))
            picture = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise LabelError(f"{photo.where}, file: cannot be read: {photo.path.name}") from error
    picture = _shrink(picture, _PHOTO_PX)
    return picture, max(picture.shape[:2]) / longest


def _read_mask(photo: LabelledPhoto, picture: Rgb) -> Gray | None:
    """The mask at the picture's size, 255 = vehicle; None where there is none."""
    import cv2
    from PIL import Image

    if photo.mask is None:
        return None
    try:
        with Image.open(photo.mask) as file:
            mask = np.asarray(file.convert("L"))
    except (OSError, ValueError) as error:
        raise LabelError(f"{photo.where}, mask: cannot be read: {photo.mask.name}") from error
    if not (mask > 127).any():
        raise LabelError(f"{photo.where}, mask: shows no vehicle: {photo.mask.name}")
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _box_of(
    photo: LabelledPhoto,
    picture: Rgb,
    scale: float,
    mask: Gray | None,
    find_box: FindBox | None,
) -> Box:
    height, width = picture.shape[:2]
    whole = (0.0, 0.0, float(width), float(height))
    if photo.box is not None:
        x, y, w, h = (scale * value for value in photo.box)
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise LabelError(f"{photo.where}, box: lies outside of the photo")
        return x, y, w, h
    if mask is not None:
        return _mask_box(mask) or whole
    if find_box is not None and photo.category in (None, "exterior"):
        return find_box(picture) or whole
    return whole


def _mask_box(mask: Gray) -> Box | None:
    inside = mask > 127
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        return None
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y


def _pose_look(
    picture: Rgb, mask: Gray | None, box: Box, scenes: list[Rgb], rng: np.random.Generator
) -> tuple[Rgb, bool]:
    """One augmented look at a boxed vehicle, 224x224, and whether it is mirrored."""
    if mask is not None:
        picture, box = _paste(picture, mask, scenes, rng)
    elif rng.random() < 0.8:
        picture = _recolour(picture, rng)
    picture, box = _unsteady(picture, box, rng)
    x, y, w, h = box
    m = tiny_vit.MARGIN
    crop = _cut(picture, x - m * w, y - m * h, x + w + m * w, y + h + m * h)
    look = tiny_vit.squash(_hide_patch(_degrade(_shrink(crop, _SAMPLE_PX), rng), rng))
    mirrored = bool(rng.integers(2))
    return (_mirror(look) if mirrored else look), mirrored


def _category_looks(
    category: Category,
    picture: Rgb,
    mask: Gray | None,
    box: Box,
    scenes: list[Rgb],
    rng: np.random.Generator,
) -> Iterator[tuple[Rgb, Category]]:
    """Augmented whole photos; and parts of exteriors, which are details: `misc`."""
    height, width = picture.shape[:2]
    whole = box == (0.0, 0.0, float(width), float(height))
    if mask is not None and category == "exterior":
        if rng.random() < _STUDIO_CATEGORY_SHARE:
            pasted = _paste(picture, mask, scenes, rng)[0] if rng.random() < 0.3 else picture
            yield _category_look(pasted, rng), category
        if rng.random() < _STUDIO_PART_SHARE:
            yield _category_look(_part(picture, box, rng), rng), "misc"
        return
    for _ in range(_CATEGORY_COPIES[category]):
        if category == "exterior" and not whole:
            view = _window_around(picture, box, rng) if rng.random() < 0.7 else picture
        else:
            view = _window(picture, 0.8 if category == "exterior" else 0.6, rng)
        yield _category_look(view, rng), category
    if category == "exterior" and not whole:
        for _ in range(2):
            yield _category_look(_part(picture, box, rng), rng), "misc"


def _category_look(picture: Rgb, rng: np.random.Generator) -> Rgb:
    coloured = picture if rng.random() < 0.2 else _recolour(picture, rng, 0.7)
    look = tiny_vit.squash(_degrade(_shrink(coloured, _SAMPLE_PX), rng))
    return _mirror(look) if rng.integers(2) else look


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
    import cv2

    height, width = mask.shape
    pad_y, pad_x = height // 10, width // 10
    picture = np.pad(picture, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="edge")
    mask = np.pad(mask, ((pad_y, pad_y), (pad_x, pad_x)))
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
    box = _mask_box(mask) or (0.0, 0.0, float(width), float(height))
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
    import cv2

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
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _shade_below(ground: Rgb, box: Box, rng: np.random.Generator) -> Rgb:
    """A soft contact shadow, so that the wheels do not float."""
    import cv2

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
    import cv2

    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + rng.integers(0, 180)) % 180
    if rng.random() < 0.5:
        hsv[..., 1] = np.clip(hsv[..., 1] + rng.uniform(0, 120), 0, 255)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _degrade(picture: Rgb, rng: np.random.Generator) -> Rgb:
    """Out of focus, too small, noisy or badly compressed, each now and then."""
    import cv2

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


def _unsteady(picture: Rgb, box: Box, rng: np.random.Generator) -> tuple[Rgb, Box]:
    """A box a little off, as a detector's is; now and then the photo cuts the vehicle on a side."""
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
    """Now and then a plain rectangle, for dealer badges and watermarks."""
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
    """What cv2 gave back, whose stubs leave the type open."""
    return np.asarray(picture, np.uint8)


def _mirror(picture: Rgb) -> Rgb:
    return np.ascontiguousarray(picture[:, ::-1])


def _shrink(picture: Rgb, longest: int) -> Rgb:
    import cv2

    scale = longest / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _fit(
    photos: list[LabelledPhoto],
    samples: _Samples,
    kept: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
    seeds: Sequence[int],
    steps: int | None,
) -> ViewHeads:
    poses, categories = (np.flatnonzero(mask) for mask in kept)
    targets = _angle_targets([photos[n] for n in samples.owner[poses]], samples.mirrored[poses])
    angles = tuple(
        fit_angle_head(samples.grids[poses], targets, seed=seed, steps=steps) for seed in seeds
    )
    category = fit_category_head(samples.means[categories], samples.category[categories])
    return ViewHeads(category, angles)


@dataclass(frozen=True)
class AngleTargets:
    """What N looks show. `azimuth` (N, 16) soft bins, rows of zeros where unknown; `angle` and
    `side` (N,) indices, -1 where unknown; `weight` (N,) of each look in the loss."""

    azimuth: Floats
    angle: Ints
    side: Ints
    weight: Floats

    def rows(self, chosen: Ints) -> AngleTargets:
        """The targets of some of the looks."""
        return AngleTargets(
            self.azimuth[chosen], self.angle[chosen], self.side[chosen], self.weight[chosen]
        )


def _angle_targets(photos: list[LabelledPhoto], mirrored: npt.NDArray[np.bool_]) -> AngleTargets:
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


def fit_angle_head(
    grids: npt.NDArray[np.float16],
    targets: AngleTargets,
    *,
    seed: int,
    steps: int | None = None,
) -> AngleHead:
    """Trains one head on feature grids (N, 7, 7, 320) with AdamW and dropout.

    `steps` batches of 128; without it 15 rounds of all looks, and never fewer than 600 batches.
    """
    rng = np.random.default_rng(seed)
    mean, deviation = _channel_statistics(grids)
    weights = _initial_weights(rng)
    optimiser = _AdamW(weights)
    batches = max(1, math.ceil(len(grids) / _BATCH))
    steps = steps or max(_LEAST_STEPS, _EPOCHS * batches)
    order = rng.permutation(len(grids))
    for step in range(steps):
        if step % batches == 0:
            order = rng.permutation(len(grids))
        chosen = order[step % batches :: batches]
        standard = ((grids[chosen] - mean) / deviation).astype(np.float32)
        gradients = _gradients(weights, standard, targets.rows(chosen), rng)
        optimiser.step(gradients, _one_cycle(step / steps))
    scaled = weights["project"] / deviation[:, None]
    return AngleHead(
        **{
            **weights,
            "project": scaled,
            "project_bias": weights["project_bias"] - mean @ scaled,
        }
    )


def _channel_statistics(grids: npt.NDArray[np.float16]) -> tuple[Floats, Floats]:
    """Mean and deviation a channel: one for all places, so that they fold into the projection."""
    flat = grids.reshape(-1, grids.shape[-1])
    mean = flat.mean(axis=0, dtype=np.float64)
    square = np.zeros_like(mean)
    for part in np.array_split(flat, max(1, len(flat) // 65536)):
        square += ((part - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(square / max(1, len(flat))) + 1e-4
    return mean.astype(np.float32), deviation.astype(np.float32)


def _initial_weights(rng: np.random.Generator) -> dict[str, Floats]:
    def linear(inputs: int, outputs: int) -> Floats:
        bound = 1.0 / math.sqrt(inputs)
        return rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)

    return {
        "project": linear(CHANNELS, _PROJECTED),
        "project_bias": np.zeros(_PROJECTED, np.float32),
        "hidden": linear(GRID * GRID * _PROJECTED, _HIDDEN),
        "hidden_bias": np.zeros(_HIDDEN, np.float32),
        "out": linear(_HIDDEN, OUTPUTS),
        "out_bias": np.zeros(OUTPUTS, np.float32),
    }


def _gradients(
    w: dict[str, Floats], x: Floats, targets: AngleTargets, rng: np.random.Generator
) -> dict[str, Floats]:
    """Back-propagation through `AngleHead.logits`, with dropout before each layer."""
    count = len(x)
    x = np.multiply(x, _dropout(rng, x.shape, 0.2)).reshape(-1, CHANNELS)
    a1: Floats = x @ w["project"] + w["project_bias"]
    keep1 = _dropout(rng, (count, len(w["hidden"])), 0.3)
    h1: Floats = silu(a1).reshape(count, -1) * keep1
    a2: Floats = h1 @ w["hidden"] + w["hidden_bias"]
    keep2 = _dropout(rng, a2.shape, 0.4)
    h2: Floats = silu(a2) * keep2
    d_out = _loss_gradient(h2 @ w["out"] + w["out_bias"], targets)
    d2 = (d_out @ w["out"].T) * keep2 * _silu_slope(a2)
    d1 = ((d2 @ w["hidden"].T) * keep1).reshape(a1.shape) * _silu_slope(a1)
    return {
        "project": x.T @ d1,
        "project_bias": d1.sum(axis=0),
        "hidden": h1.T @ d2,
        "hidden_bias": d2.sum(axis=0),
        "out": h2.T @ d_out,
        "out_bias": d_out.sum(axis=0),
    }


def _loss_gradient(logits: Floats, targets: AngleTargets) -> Floats:
    """Gradient of the mean weighted cross-entropies of the three outputs, at the logits (N, 23).

    Where the side is known and the azimuth is not, the azimuth is only asked to be on that side.
    """
    azimuth, angle, side = (softmax(part) for part in split_outputs(logits))
    has_azimuth = targets.azimuth.sum(axis=1, keepdims=True) > 0
    has_side = targets.side[:, None] >= 0
    half = azimuth * BINS_OF_SIDE[targets.side]
    half = half / (half.sum(axis=1, keepdims=True) + 1e-9)
    joined = [
        np.where(has_azimuth, azimuth - targets.azimuth, 0.5 * has_side * (azimuth - half)),
        (targets.angle[:, None] >= 0) * (angle - np.eye(len(ANGLES))[targets.angle]),
        has_side * (side - np.eye(len(SIDES))[targets.side]),
    ]
    scale = targets.weight[:, None] / len(logits)
    return (np.concatenate(joined, axis=1) * scale).astype(np.float32)


def _silu_slope(x: Floats) -> Floats:
    s = sigmoid(x)
    return np.asarray(s * (1 + x * (1 - s)), np.float32)


def _dropout(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Floats:
    # Bytes are drawn four times as fast as floats, and drawing is a third of the training time.
    kept = rng.integers(0, 256, shape, dtype=np.uint8) >= round(256 * rate)
    return np.multiply(kept, 1 / (1 - rate), dtype=np.float32)


def _one_cycle(done: float) -> float:
    """Learning rate: up over the first 15 %, then down along a cosine."""
    if done < 0.15:
        return _PEAK_RATE * (0.04 + 0.96 * done / 0.15)
    return _PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (done - 0.15) / 0.85))


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019); changes the weights in place."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        self._first = {name: np.zeros_like(value) for name, value in weights.items()}
        self._second = {name: np.zeros_like(value) for name, value in weights.items()}
        self._steps = 0

    def step(self, gradients: dict[str, Floats], rate: float) -> None:
        self._steps += 1
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            unbiased = first / (1 - 0.9**self._steps)
            spread = np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8
            self._weights[name] -= rate * (unbiased / spread + _DECAY * self._weights[name])


def fit_category_head(means: Floats, category: Ints) -> CategoryHead:
    """Balanced logistic regression on mean features (N, 320), by Nesterov's gradient descent."""
    mean, deviation = means.mean(axis=0), means.std(axis=0) + 1e-4
    x = ((means - mean) / deviation).astype(np.float32)
    truth = np.eye(len(CATEGORIES), dtype=np.float32)[category]
    share = truth.sum(axis=0)
    weight = (truth / np.maximum(share, 1)).sum(axis=1, keepdims=True) / np.count_nonzero(share)
    # 1 / Lipschitz constant of the gradient; the softmax's curvature is at most 1/2.
    rate = 1.0 / (0.5 * float(np.linalg.norm(x * np.sqrt(weight), 2)) ** 2 + _CATEGORY_L2)
    matrix = np.zeros((x.shape[1], len(CATEGORIES)), np.float32)
    bias = np.zeros(len(CATEGORIES), np.float32)
    ahead, ahead_bias = matrix, bias
    for step in range(400):
        error = (softmax(x @ ahead + ahead_bias) - truth) * weight
        new = ahead - rate * (x.T @ error + _CATEGORY_L2 * ahead)
        new_bias = ahead_bias - rate * error.sum(axis=0)
        momentum = step / (step + 3)
        ahead = new + momentum * (new - matrix)
        ahead_bias = new_bias + momentum * (new_bias - bias)
        matrix, bias = new, new_bias
    scaled = (matrix / deviation[:, None]).astype(np.float32)
    return CategoryHead(scaled, (bias - mean @ scaled).astype(np.float32))


def _measure(
    heads: ViewHeads, photos: list[LabelledPhoto], samples: _Samples
) -> tuple[HeldOut, tuple[float, float, float]]:
    """Held-out figures, and the temperatures of azimuth, angle and side that fit them best."""
    held = [photos[n] for n in samples.clean_owner]
    odds = tiny_vit.mirror_averaged(heads, samples.clean_grids)
    guesses = [CATEGORIES[n] for n in heads.category.odds(samples.clean_means).argmax(axis=1)]
    poses = decide(odds)
    # The side is scored as the head says it, also where `decide` keeps quiet about it.
    sides = [SIDES[n] for n in odds.side.argmax(axis=1)]
    figures = HeldOut(
        vehicles=len({photo.vehicle for photo in held}),
        category=_score([photo.category for photo in held], guesses),
        angle=_score([photo.angle for photo in held], [pose.angle for pose in poses]),
        side=_score([photo.side for photo in held], sides),
        azimuth_error_deg=_azimuth_error(held, poses),
    )
    truth = _angle_targets(held, np.zeros(len(held), bool))
    logits = np.mean([head.logits(samples.clean_grids[::2]) for head in heads.angles], axis=0)
    _, angle, side = split_outputs(np.asarray(logits, np.float32))
    return figures, (1.0, _temperature(angle, truth.angle), _temperature(side, truth.side))


def _score(truths: Sequence[str | None], guesses: Sequence[str]) -> Score:
    pairs = [(t, g) for t, g in zip(truths, guesses, strict=True) if t is not None]
    return Score(sum(t == g for t, g in pairs), len(pairs))


def _azimuth_error(photos: list[LabelledPhoto], poses: list[Pose]) -> float | None:
    errors = [
        abs((pose.azimuth_deg - photo.azimuth_deg + 180.0) % 360.0 - 180.0)
        for photo, pose in zip(photos, poses, strict=True)
        if photo.azimuth_deg is not None
    ]
    return float(np.median(errors)) if errors else None


def _temperature(logits: Floats, truth: Ints) -> float:
    """The temperature under which the true classes are likeliest; 1 where few are known."""
    known = np.flatnonzero(truth >= 0)
    if len(known) < 50:
        return 1.0

    def surprise(temperature: float) -> float:
        odds = softmax(np.asarray(logits[known] / temperature, np.float32))
        return float(-np.log(odds[np.arange(len(known)), truth[known]] + 1e-9).mean())

    return min((0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0), key=surprise)


def _cool(head: AngleHead, temperatures: tuple[float, float, float]) -> AngleHead:
    sizes = (BINS, len(ANGLES), len(SIDES))
    by = np.repeat(np.array(temperatures, np.float32), sizes)
    return replace(head, out=head.out / by, out_bias=head.out_bias / by)

"""Labels tables: which photo shows what, read and checked row by row."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.types import Angle, Box, Category, Side
from resources.errors import BadInput
from resources.models.view_heads import ANGLES, CATEGORIES, SIDES

_Name = TypeVar("_Name", bound=str)


class LabelError(BadInput):
    """A labels table that cannot be used; the message names table, row and field."""


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
    return [
        _labelled_photo(_Row(table.parent, f"{table.name} row {number}", cells), side_column)
        for number, cells in enumerate(rows, start=2)
    ]


def check_classes(photos: Sequence[LabelledPhoto]) -> None:
    """Raises `LabelError` where no photo shows a class that the heads would then never name.

    Pieces of exteriors teach `misc`, and mirror images the other side.
    """
    shown = {fact for photo in photos for fact in _taught(photo)}
    needed: list[tuple[str, str]] = [("category", name) for name in CATEGORIES if name != "misc"]
    needed += [("angle", name) for name in ANGLES]
    if missing := [f"{column} {name}" for column, name in needed if (column, name) not in shown]:
        raise LabelError(
            f"no photo is labelled {', '.join(missing)}: the heads would never name what they have "
            "not seen"
        )
    if ("side", "") not in shown:
        raise LabelError("side: no photo has one, so the heads would guess it")


def choose_held_out(
    photos: Sequence[LabelledPhoto], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which photos are held out: those of a share of the vehicles, at least one, never all.

    A vehicle stays that alone shows what is to be learnt. Raises `LabelError` where all do.
    """
    facts: dict[str, set[tuple[str, str]]] = {}
    for photo in photos:
        facts.setdefault(photo.vehicle, set()).update(_taught(photo))
    vehicles = sorted(facts)
    if len(vehicles) < 2:
        raise LabelError("the tables hold fewer than two vehicles; none could be held out")
    count = min(len(vehicles) - 1, max(1, round(share * len(vehicles))))
    shown_by = Counter(fact for one in facts.values() for fact in one)
    chosen: set[str] = set()
    for vehicle in (vehicles[n] for n in rng.permutation(len(vehicles))):
        if len(chosen) < count and all(shown_by[fact] > 1 for fact in facts[vehicle]):
            chosen.add(vehicle)
            shown_by.subtract(facts[vehicle])
    if not chosen:
        raise LabelError(
            "no vehicle can be held out: each is the only one that shows some category or angle"
        )
    return np.array([photo.vehicle in chosen for photo in photos])


def _taught(photo: LabelledPhoto) -> Iterator[tuple[str, str]]:
    """What is learnt from a photo: its category and angle, and that it tells a side, an azimuth."""
    if photo.category is not None:
        yield "category", photo.category
    if photo.angle is None:
        return
    yield "angle", photo.angle
    if photo.side is not None:
        yield "side", ""
    if photo.azimuth_deg is not None:
        yield "azimuth_deg", ""


def _labelled_photo(row: _Row, side_column: str) -> LabelledPhoto:
    path = row.file("file")
    if path is None:
        row.refuse("file", "is blank")
    category = row.one_of("category", CATEGORIES)
    angle = row.one_of("angle", ANGLES)
    if angle and category not in (None, "exterior"):
        row.refuse("angle", f"given for a photo labelled {category}")
    return LabelledPhoto(
        path=path,
        where=row.where,
        vehicle=row.text("vehicle_id") or str(path),
        category=category,
        angle=angle,
        side=row.one_of(side_column, SIDES),
        azimuth_deg=row.degrees("azimuth_deg"),
        mask=row.file("mask"),
        box=row.box("box"),
    )


@dataclass(frozen=True)
class _Row:
    """Reads one row's cells: None where blank, `LabelError` where unusable."""

    folder: Path
    where: str
    cells: dict[str, str | None]

    def refuse(self, column: str, why: str) -> NoReturn:
        raise LabelError(f"{self.where}, {column}: {why}")

    def text(self, column: str) -> str:
        return (self.cells.get(column) or "").strip()

    def one_of(self, column: str, names: tuple[_Name, ...]) -> _Name | None:
        text = self.text(column)
        if not text:
            return None
        by_text = {str(name): name for name in names}
        if text not in by_text:
            self.refuse(column, f"{text!r} is none of {', '.join(names)}")
        return by_text[text]

    def file(self, column: str) -> Path | None:
        text = self.text(column)
        if not text:
            return None
        path = self.folder / text
        if not path.is_file():
            self.refuse(column, f"no such file: {text}")
        return path

    def degrees(self, column: str) -> float | None:
        text = self.text(column)
        if not text:
            return None
        try:
            degrees = float(text)
        except ValueError:
            degrees = math.nan
        if not math.isfinite(degrees):
            self.refuse(column, f"{text!r} is not a number of degrees")
        return degrees % 360.0

    def box(self, column: str) -> Box | None:
        text = self.text(column)
        if not text:
            return None
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 4:
            self.refuse(column, f"{text!r} is not x,y,w,h")
        x, y, w, h = numbers
        if not (all(map(math.isfinite, numbers)) and w > 0 and h > 0):
            self.refuse(column, f"{text!r} has no area")
        return x, y, w, h

"""Words on the promo, in any script for which there is a font.

A line is split into runs of one font and one direction; runs are ordered by the Unicode
bidirectional algorithm (UAX 9, without explicit embeddings) and shaped by HarfBuzz through
Pillow's raqm. A character that no font has is left out and named, never drawn as a box.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, features

Mask = npt.NDArray[np.uint8]

ELLIPSIS = "…"
BALANCE = (0.55, 0.65, 0.75, 0.85)
"""Shares of the width that are tried for lines of like length."""


@dataclass(frozen=True)
class Face:
    """One face of a font file; `weights` says that it is a variable font with a weight axis."""

    path: str
    index: int = 0
    weights: bool = False


@dataclass(frozen=True)
class Fonts:
    """Faces in the order in which they are tried."""

    faces: tuple[Face, ...]

    def face_for(self, cluster: str) -> Face | None:
        """The first face that has every visible character of the cluster."""
        visible = [ord(c) for c in cluster if unicodedata.category(c) != "Cf"]
        return next((f for f in self.faces if all(c in coverage(f) for c in visible)), None)

    def split(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text as it can be drawn, and the characters that had to be left out."""
        kept, missing = [], []
        for cluster in _clusters(clean(text)):
            if self.face_for(cluster) is None:
                missing.append(cluster)
            else:
                kept.append(cluster)
        return clean("".join(kept)), tuple(dict.fromkeys(missing))


@dataclass(frozen=True)
class Run:
    """Characters of one face and one direction."""

    text: str
    face: Face
    rtl: bool


@lru_cache(maxsize=64)
def coverage(face: Face) -> frozenset[int]:
    """The code points a face has glyphs for."""
    from fontTools.ttLib import TTFont

    with TTFont(face.path, fontNumber=face.index, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def can_shape() -> bool:
    """Whether Arabic and Indic scripts can be drawn with this Pillow."""
    return bool(features.check("raqm"))


def clean(text: str) -> str:
    """The text composed (NFC), without control characters, white space as single spaces."""
    spaced = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    return " ".join(
        "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cs", "Co")).split()
    )


def _clusters(text: str) -> list[str]:
    """Base characters with the marks, joiners and variation selectors that follow them."""
    clusters: list[str] = []
    for c in text:
        joins = unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf") or "\ufe00" <= c <= "\ufe0f"
        if clusters and (joins or clusters[-1].endswith("\u200d")):
            clusters[-1] += c
        else:
            clusters.append(c)
    return clusters


def is_rtl(text: str) -> bool:
    """Whether the text reads from right to left: so does its first letter."""
    kinds = (unicodedata.bidirectional(c) for c in text)
    return next((k for k in kinds if k in ("L", "R", "AL")), "L") != "L"


def levels(text: str) -> list[int]:
    """Embedding level of each character: even runs left to right, odd ones right to left."""
    kinds = [unicodedata.bidirectional(c) for c in text]
    strong = [{"L": "L", "R": "R", "AL": "R"}.get(k, "") for k in kinds]
    base = int(is_rtl(text))
    outer = "R" if base else "L"
    resolved: list[str] = []
    last = outer
    for kind, direction in zip(kinds, strong, strict=True):
        last = direction or last
        if kind in ("EN", "AN"):
            resolved.append("N" if last == "R" else "L")
        elif kind == "NSM" and resolved:
            resolved.append(resolved[-1])
        else:
            resolved.append(direction)
    _join_numbers(kinds, resolved)
    sides = ["R" if r == "N" else r for r in resolved]
    for i, side in enumerate(resolved):
        if not side:
            before = next((s for s in reversed(sides[:i]) if s), outer)
            after = next((s for s in sides[i:] if s), outer)
            resolved[i] = before if before == after else outer
    table = {"L": 2 if base else 0, "R": 1, "N": 2}
    return [table[r] for r in resolved]


def _join_numbers(kinds: Sequence[str], resolved: list[str]) -> None:
    """A separator inside a number and a sign at its end belong to it: 1,299.50 and $900."""
    for i, kind in enumerate(kinds):
        inside = 0 < i < len(kinds) - 1
        if kind in ("ES", "CS") and inside and resolved[i - 1] == resolved[i + 1] == "N":
            resolved[i] = "N"
    for order in (range(1, len(kinds)), range(len(kinds) - 2, -1, -1)):
        step = -1 if order.step > 0 else 1
        for i in order:
            if kinds[i] == "ET" and resolved[i + step] == "N":
                resolved[i] = "N"


def visual_runs(text: str, fonts: Fonts) -> list[Run]:
    """Runs from left to right; characters that no face has must be gone already."""
    pieces: list[tuple[str, Face, int]] = []
    at = 0
    found = levels(text)
    for cluster in _clusters(text):
        level = found[at]
        at += len(cluster)
        last = pieces[-1] if pieces else None
        # White space stays with its neighbours: its width is the font's own.
        face = last[1] if last and cluster.isspace() else fonts.face_for(cluster)
        if face is None:
            raise ValueError(f"no font for {cluster!r}")
        pieces.append((cluster, face, level))
    runs = [
        ("".join(p[0] for p in group), face, level)
        for (face, level), group in groupby(pieces, key=lambda p: (p[1], p[2]))
    ]
    for level in range(max((r[2] for r in runs), default=0), 0, -1):
        ordered: list[tuple[str, Face, int]] = []
        for turned, group in groupby(runs, key=lambda r: r[2] >= level):
            part = list(group)
            ordered += part[::-1] if turned else part
        runs = ordered
    return [Run(run, face, level % 2 == 1) for run, face, level in runs]


@lru_cache(maxsize=256)
def _font(face: Face, size: int, weight: int) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if can_shape() else ImageFont.Layout.BASIC
    font = ImageFont.truetype(face.path, size, face.index, layout_engine=engine)
    if face.weights:
        axes = font.get_variation_axes()
        font.set_variation_by_axes(
            [
                min(max(weight, a["minimum"] or 0), a["maximum"] or 1000)
                if b"eight" in bytes(a["name"] or b"")
                else a["default"] or 0
                for a in axes
            ]
        )
    return font


def _direction(run: Run) -> str | None:
    return None if not can_shape() else "rtl" if run.rtl else "ltr"


def width_of(text: str, fonts: Fonts, size: int, weight: int) -> float:
    """How wide the line is, in pixels."""
    return sum(
        _font(r.face, size, weight).getlength(r.text, direction=_direction(r))
        for r in visual_runs(text, fonts)
    )


def draw_line(text: str, fonts: Fonts, size: int, weight: int) -> Mask:
    """The line as coverage 0..255, `line_height(size)` rows high, baseline at 1.1 of the size."""
    runs = visual_runs(text, fonts)
    width = round(
        sum(_font(r.face, size, weight).getlength(r.text, direction=_direction(r)) for r in runs)
    )
    image = Image.new("L", (width + size // 2, line_height(size)))
    canvas = ImageDraw.Draw(image)
    x = float(side_room(size))
    for run in runs:
        font = _font(run.face, size, weight)
        where = (x, 1.1 * size)
        canvas.text(where, run.text, 255, font, anchor="ls", direction=_direction(run))
        x += font.getlength(run.text, direction=_direction(run))
    return np.asarray(image)


def side_room(size: int) -> int:
    """Columns left of a drawn line's first letter, for letters that lean out."""
    return round(size / 8)


def line_height(size: int) -> int:
    """Rows of a drawn line: room for stacked accents above and for deep descenders."""
    return round(1.5 * size)


@dataclass(frozen=True)
class Fitted:
    """Lines at the size at which they fit."""

    lines: tuple[str, ...]
    size: int


def fit(
    text: str, fonts: Fonts, weight: int, size: int, least_size: int, width: float, most_lines: int
) -> Fitted:
    """The text in at most `most_lines` lines of `width`: wrapped, then smaller, then cut with …"""
    for trial in _sizes(size, least_size):
        lines = _wrap(text, fonts, weight, trial, width)
        if len(lines) <= most_lines:
            # Lines of like length: no word alone on the last one.
            tighter = (_wrap(text, fonts, weight, trial, width * share) for share in BALANCE)
            even = next((t for t in tighter if len(t) == len(lines)), lines)
            return Fitted(tuple(even), trial)
    lines = _wrap(text, fonts, weight, least_size, width)[:most_lines]
    last = lines[-1]
    while last and width_of(last + ELLIPSIS, fonts, least_size, weight) > width:
        last = "".join(_clusters(last)[:-1]).rstrip()
    return Fitted((*lines[:-1], last + ELLIPSIS), least_size)


def _sizes(size: int, least: int) -> Iterator[int]:
    while size > least:
        yield size
        size = min(size - 1, round(size * 0.92))
    yield least


def _wrap(text: str, fonts: Fonts, weight: int, size: int, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(joined, fonts, size, weight) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for cluster in _clusters(word):  # a word longer than the line, and scripts without spaces
            if lines[-1] and width_of(lines[-1] + cluster, fonts, size, weight) > width:
                lines.append("")
            lines[-1] += cluster
    return lines

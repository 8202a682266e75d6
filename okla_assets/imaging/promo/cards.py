"""What is written on the promo: opening and closing card, captions; all inside the safe margins.

Lengths are given for a frame whose short side is 1080 pixels and scaled to the real one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image, ImageDraw

from okla_assets.imaging.promo import text as words
from okla_assets.imaging.promo.frames import Stage
from okla_assets.imaging.promo.layers import Layer, layer
from okla_assets.imaging.promo.text import Fonts
from okla_assets.imaging.promo.timeline import Look, Shows, Timeline
from okla_assets.imaging.promo.yuv import Frame, from_rgb
from okla_assets.imaging.types import Pixels, Rgb, Rgba

Colour = tuple[int, int, int]

SAFE = 0.07
"""Share of the frame's width and height, on each side, that no letter enters."""
PHONE_FOOT = 0.20
"""The same at the foot of an upright frame, where phone players put their buttons."""
SEPARATOR = "   ·   "
BOLD, MEDIUM, REGULAR = 700, 600, 500
STANDS = -1.0
"""Seconds into its shot at which a layer begins that stands there in the first frame already."""


@dataclass(frozen=True)
class Words:
    """The seller's texts, as they can be drawn; empty where there is none."""

    title: str = ""
    price: str = ""
    specs: tuple[str, ...] = ()
    contact: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.title, self.price, *self.specs, self.contact)

    @property
    def cards_left_out(self) -> tuple[Shows, ...]:
        """The cards that would be empty."""
        opening = self.title or self.price or self.specs
        closing = self.title or self.price or self.contact
        return (*(() if opening else ("opening",)), *(() if closing else ("closing",)))


@dataclass(frozen=True)
class _Block:
    """One paragraph: sizes at 1080, and the room above it."""

    text: str
    size: int
    least: int
    weight: int
    colour: Colour
    lines: int
    above: int = 0


def drawable(given: Words, fonts: Fonts) -> tuple[Words, tuple[str, ...]]:
    """The words without the characters for which there is no font, and a sentence for each text."""
    problems: list[str] = []

    def one(name: str, text: str) -> str:
        kept, missing = fonts.split(text)
        if missing:
            named = ", ".join(_named(cluster) for cluster in missing)
            problems.append(f"{name}: no font draws {named}; left out of the video")
        return kept

    kept = Words(
        one("promo_title", given.title),
        one("promo_price", given.price),
        tuple(spec for s in given.specs if (spec := one("promo_specs", s))),
        one("promo_contact", given.contact),
    )
    return kept, tuple(problems)


def _named(cluster: str) -> str:
    points = " ".join(f"U+{ord(c):04X}" for c in cluster)
    return f"{cluster!r} ({points})" if cluster.isprintable() else points


def colour(text: str) -> Colour:
    """#rrggbb as three numbers."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def card(size: tuple[int, int], style: Look) -> Frame:
    """The cards' background: a soft light from above on a dark wall."""
    width, height = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    light = np.exp(-((x / 1.1) ** 2 + ((y - 0.35) / 0.75) ** 2))[..., None]
    centre, edge = (np.array(colour(c), np.float32) for c in (style.card, style.card_edge))
    scene = edge + (centre - edge) * light
    # A grey level spans many rows: without noise it shows as bands.
    scene += np.random.default_rng(11).triangular(-1, 0, 1, (height, width, 1))
    return from_rgb(np.asarray(cv2.convertScaleAbs(scene), np.uint8))


def stage(
    timeline: Timeline,
    given: Words,
    fonts: Fonts,
    style: Look,
    size: tuple[int, int],
    load: Callable[[str], Rgb],
    spin: Sequence[tuple[str, float]],
    *,
    composed: bool = False,
) -> Stage:
    """All that `frames.frames` needs; `composed` as of `Stage`."""
    written = layers(timeline, given, fonts, style, size)
    background = card(size, style)
    return Stage(size, load, spin, background, colour(style.card_edge), written, composed)


def layers(
    timeline: Timeline, given: Words, fonts: Fonts, style: Look, size: tuple[int, int]
) -> list[list[Layer]]:
    """What is drawn over each shot.

    Nothing of the opening card comes in late: messengers show a film's first frame.
    """
    drawn: list[list[Layer]] = []
    for shot in timeline.shots:
        if shot.shows == "opening":
            found = _card_layers(_opening(given, style), fonts, style, size)
            drawn.append([replace(one, begin=STANDS) for one in found])
        elif shot.shows == "closing":
            drawn.append(_card_layers(_closing(given, style), fonts, style, size))
        elif shot.caption is not None:
            blocks = _caption(given, style, shot.caption)
            seconds, entered = shot.length / timeline.fps, shot.overlap / timeline.fps
            drawn.append(_panel_layers(blocks, fonts, style, size, seconds, entered))
        else:
            drawn.append([])
    return drawn


def _opening(given: Words, style: Look) -> list[_Block]:
    return [
        _Block(given.title, 104, 60, BOLD, colour(style.text), 3),
        _Block(given.price, 72, 34, MEDIUM, colour(style.accent), 1, above=8),
        _Block(SEPARATOR.join(given.specs), 40, 32, REGULAR, colour(style.soft_text), 3, above=26),
    ]


def _closing(given: Words, style: Look) -> list[_Block]:
    return [
        _Block(given.title, 76, 48, BOLD, colour(style.text), 2),
        _Block(given.price, 88, 34, BOLD, colour(style.accent), 1, above=4),
        _Block(given.contact, 48, 34, MEDIUM, colour(style.text), 2, above=40),
    ]


def _caption(given: Words, style: Look, what: str) -> list[_Block]:
    if what == "title":
        return [
            _Block(given.title, 46, 34, BOLD, colour(style.text), 2),
            _Block(given.price, 42, 32, MEDIUM, colour(style.accent), 1),
        ]
    return [_Block(SEPARATOR.join(given.specs), 38, 30, MEDIUM, colour(style.text), 2)]


def _set(
    blocks: Sequence[_Block], fonts: Fonts, unit: float, width: float
) -> list[tuple[Pixels, Colour, int]]:
    """Each line's coverage, its colour and the pixels from the line before it to its top."""
    lines = []
    for block in blocks:
        if not block.text:
            continue
        sizes = max(6, round(block.size * unit)), max(6, round(block.least * unit))
        fitted = words.fit(block.text, fonts, block.weight, *sizes, width, block.lines)
        listed = SEPARATOR in block.text
        for i, line in enumerate(fitted.lines):
            # Between two lines nothing needs to be separated.
            shown = line.strip(SEPARATOR) if listed else line
            drawn = words.draw_line(shown, fonts, fitted.size, block.weight)
            drawn = drawn[:, words.side_room(fitted.size) :]
            # Lines are drawn with room for tall accents; set solid they would stand apart.
            gap = round(block.above * unit) if i == 0 else 0
            lines.append((drawn, block.colour, gap - round(0.12 * fitted.size)))
    return lines


def _stack(
    lines: Sequence[tuple[Pixels, Colour, int]], rtl: bool
) -> tuple[list[tuple[Rgba, int, int]], int, int]:
    """Pictures of the lines with their corners, and the width and height they take together."""
    if not lines:
        return [], 0, 0
    width = max(mask.shape[1] for mask, _, _ in lines)
    placed, y = [], 0
    for i, (mask, tone, gap) in enumerate(lines):
        y += gap if i else 0
        x = width - mask.shape[1] if rtl else 0
        picture = np.empty((*mask.shape, 4), np.uint8)
        picture[..., :3], picture[..., 3] = tone, mask
        placed.append((picture, x, y))
        y += mask.shape[0]
    return placed, width, y


def _card_layers(
    blocks: Sequence[_Block], fonts: Fonts, style: Look, size: tuple[int, int]
) -> list[Layer]:
    width, height = size
    unit = min(size) / 1080
    margin = SAFE * width
    texts = [b for b in blocks if b.text]
    rtl = bool(texts) and words.is_rtl(texts[0].text)
    placed, wide, high = _stack(_set(texts, fonts, unit, width - 2 * margin), rtl)
    bar, gap = (round(120 * unit), max(2, round(8 * unit))), round(30 * unit)
    top = round((height - high - bar[1] - gap) * (0.46 if width > height else 0.42))
    left = round(width - margin - wide) if rtl else round(margin)
    strip = np.empty((bar[1], bar[0], 4), np.uint8)
    strip[..., :3], strip[..., 3] = colour(style.accent), 255
    at = left + wide - bar[0] if rtl else left
    found = [layer(strip, at, top, begin=0.05)]
    top += bar[1] + gap
    for i, (picture, x, y) in enumerate(placed):
        begin = 0.1 + 0.1 * min(i, 5)
        found.append(layer(picture, left + x, top + y, begin=begin, rise=18 * unit))
    return found


def _panel_layers(
    blocks: Sequence[_Block],
    fonts: Fonts,
    style: Look,
    size: tuple[int, int],
    seconds: float,
    entered: float,
) -> list[Layer]:
    """The panel over a shot of `seconds`, of which the transition into it takes `entered`."""
    width, height = size
    unit = min(size) / 1080
    wide_frame = width > height
    inner = (0.5 if wide_frame else 1 - 2 * SAFE) * width
    pad_x, pad_y = round(34 * unit), round(12 * unit)
    texts = [b for b in blocks if b.text]
    if not texts:
        return []
    rtl = words.is_rtl(texts[0].text)
    placed, wide, high = _stack(_set(texts, fonts, unit, inner - 2 * pad_x), rtl)
    panel = _panel(wide + 2 * pad_x, high + 2 * pad_y, unit, style, rtl)
    for picture, x, y in placed:
        _draw_over(panel, picture, pad_x + x, pad_y + y)
    left = round(SAFE * width) if wide_frame else (width - panel.shape[1]) // 2
    if wide_frame and rtl:
        left = width - left - panel.shape[1]
    foot = SAFE * height if wide_frame else PHONE_FOOT * height
    top = round(height - foot - panel.shape[0])
    begin = min(0.55, entered + 0.1)
    shown = layer(panel, left, top, begin=begin, end=seconds - 0.25, rise=14 * unit)
    return [replace(shown, fade=min(0.45, seconds / 8))]


def _panel(width: int, height: int, unit: float, style: Look, rtl: bool) -> Rgba:
    """A rounded dark plate with an accent at the side where reading begins."""
    fine = 4
    radius = round(16 * unit) * fine
    shape = Image.new("L", (width * fine, height * fine))
    box = (0, 0, width * fine - 1, height * fine - 1)
    ImageDraw.Draw(shape).rounded_rectangle(box, radius, fill=226)
    picture = np.empty((height, width, 4), np.uint8)
    picture[..., :3] = colour(style.panel)
    picture[..., 3] = np.asarray(shape.reduce(fine))
    strip = max(2, round(8 * unit))
    picture[:, slice(width - strip, None) if rtl else slice(0, strip), :3] = colour(style.accent)
    return picture


def _draw_over(panel: Rgba, picture: Rgba, x: int, y: int) -> None:
    height, width = picture.shape[:2]
    part = panel[max(0, y) : y + height, x : x + width]
    over = picture[max(0, -y) :][: part.shape[0], : part.shape[1]]
    share = over[..., 3:].astype(np.float32) / 255
    part[..., :3] = np.rint(part[..., :3] * (1 - share) + over[..., :3] * share)
    part[..., 3] = np.maximum(part[..., 3], over[..., 3])

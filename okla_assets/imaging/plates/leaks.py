"""What on a finished picture may still be a plate, and what can be read there."""

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from okla_assets.imaging.plates.candidates import (
    CUT_OFF,
    PANE_AGREEMENT,
    PANE_SCORE,
    accept_plate,
    owner,
)
from okla_assets.imaging.plates.quads import apparent_aspect, padded, rectified
from okla_assets.imaging.types import Box, Corners, Rgb

READABLE = 4
"""So many readable characters where a plate was found are a leak."""
MOST_CHARACTERS = 9
"""No registration is longer; signs and stickers are."""
SAME_TEXT = 0.7  # similarity from which two readings are of one text
LEAST_READER_CONFIDENCE = 0.5
"""Mean confidence below which a reading is a guess."""
LEAK_SCORE, LEAK_ELSEWHERE = 0.20, 0.30
"""Least score of a candidate on the finished picture that is read, on a vehicle and elsewhere;
lower than what is covered, but at 0.17 a model's badge is read as a plate."""
CERTAIN_SCORE = 0.60
"""Score from which an uncovered candidate is a leak even where nothing can be read."""
BADGE_CONFIDENCE, BADGE_LETTERS = 0.95, 3
"""Of a reading, and how many letters it has, without a digit: GTI, TDI, RS. Registrations have
more, and one of which so little can be read is not read so surely."""
BADGE_WIDTH = 0.5
"""Of the vehicle's covered plate: wider is no badge."""
SIDE_VIEW = 2.3  # width to height from which a vehicle is seen from a side
WINDOWS, ACROSS = 0.33, 0.14
"""Of such a vehicle's height and width: what one network alone doubtfully finds, with its middle
above the first and wider than the second, is what a side window mirrors. Of 34 plates on dealers'
vehicles those as wide lie at .45 and lower, on vehicles that are 1.9 times as wide as high at most;
the one that lies higher than .33, a sign behind a windscreen, is .05 wide."""
LINE_HEIGHT = 48
LONG = 1.4
"""Width to height from which text runs along the longer side for sure."""


def readings_of(photo: Rgb, quad: Corners) -> list[list[Rgb]]:
    """For each direction in which a plate's text may run, its strips as of `_lines_of`.

    A plate may stand on its head; where it appears about as high as wide, also on its side.
    """
    if apparent_aspect(quad) < 1:
        quad = np.roll(quad, -1, axis=0)
    turns = (2,) if apparent_aspect(quad) > LONG else (2, 1, 3)
    # What stands wrong is rare: its middle, or its two lines, will do.
    others = [_lines_of(photo, np.roll(quad, -turn, axis=0))[1:] for turn in turns]
    return [_lines_of(photo, quad), *others]


def _lines_of(photo: Rgb, quad: Corners) -> list[Rgb]:
    """The plate as upright strips of text height, for a reader of single lines.

    One strip for the whole, and for plates of two lines their upper and lower part.
    """
    aspect = float(np.clip(apparent_aspect(quad), 1.0, 8.0))
    flat = rectified(
        photo, padded(quad, 0.04, 0.5), round(2 * LINE_HEIGHT * aspect), 2 * LINE_HEIGHT
    )
    strips = [flat, flat[round(0.15 * len(flat)) : round(0.85 * len(flat))]]
    if aspect < 2.6:
        strips += [flat[: round(0.55 * len(flat))], flat[round(0.45 * len(flat)) :]]
    return [np.ascontiguousarray(s) for s in strips]


def readable_characters(text: str) -> int:
    """Number of letters and digits in a reading."""
    return sum(character.isalnum() for character in text)


def suspicious(
    box: Box, score: float, agreement: float, vehicles: Sequence[Box], is_certainly_interior: bool
) -> bool:
    """Whether a candidate on the finished picture is read.

    In a cabin one network alone takes screens, switches and labels for plates.
    """
    if is_certainly_interior:
        return agreement >= LEAK_SCORE
    return score >= (LEAK_SCORE if owner(box, vehicles) is not None else LEAK_ELSEWHERE)


def is_certain(
    box: Box, score: float, agreement: float, vehicles: Sequence[Box], is_certainly_interior: bool
) -> bool:
    """Whether a candidate is a plate even if nobody can read it."""
    return score >= CERTAIN_SCORE and accept_plate(
        box, score, agreement, vehicles, is_certainly_interior
    )


def across_a_window(box: Box, score: float, agreement: float, vehicles: Sequence[Box]) -> bool:
    """Whether a candidate lies where a vehicle seen from a side has a window, and no plate.

    Not on a vehicle whose roof the picture's upper edge cuts off.
    """
    index = owner(box, vehicles)
    if index is None or score >= PANE_SCORE or agreement >= PANE_AGREEMENT:
        return False
    _, top, width, height = vehicles[index]
    high = box[1] + box[3] / 2 < top + WINDOWS * height
    return top > CUT_OFF and width > SIDE_VIEW * height and high and box[2] > ACROSS * width


def is_badge(quad: Corners, known: Sequence[Corners], texts: Sequence[tuple[str, float]]) -> bool:
    """Whether a place on a vehicle whose plate is `known` shows a model's badge.

    `texts` are all readings of its strips, with their confidence.
    """
    width = float(np.hypot(*(quad[1] - quad[0])))
    if not any(width < BADGE_WIDTH * np.hypot(*(other[1] - other[0])) for other in known):
        return False
    if any(c.isdigit() for text, sure in texts if sure >= LEAST_READER_CONFIDENCE for c in text):
        return False
    return any(
        sure >= BADGE_CONFIDENCE and text.isalpha() and 2 <= len(text) <= BADGE_LETTERS
        for text, sure in texts
    )


def most_characters(texts: Sequence[str]) -> int:
    """Number of characters that a plate's strips, of `readings_of`, were read as.

    The last two of three and more are a plate's lines, unless both read the same or neither has a
    digit, as on a model's badge.
    """
    counts = [readable_characters(text) for text in texts]
    upper, lower = texts[-2:] if len(texts) > 2 else ("", "")
    differ = SequenceMatcher(None, _plain(upper), _plain(lower)).ratio() < SAME_TEXT
    lines = differ and any(character.isdigit() for character in upper + lower)
    return max([*counts, counts[-2] + counts[-1] if lines else 0])


def may_be_a_registration(texts: Sequence[str]) -> bool:
    """Whether what a place where no plate is expected reads as is more likely one than a sign.

    `texts` are those of its strips: of two lines, one may have no digit.
    """
    short = all(readable_characters(text) <= MOST_CHARACTERS for text in texts)
    return short and any(c.isdigit() for text in texts for c in text)


def is_allowed(text: str, allowed: Sequence[str]) -> bool:
    """Whether a reading is, give or take a letter, one of the texts that may stand there."""
    plain = _plain(text)
    return any(
        SequenceMatcher(None, plain, _plain(known)).ratio() >= SAME_TEXT
        or (len(plain) >= READABLE and plain in _plain(known))
        for known in allowed
    )


def _plain(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum())

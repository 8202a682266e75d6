"""The search of a finished picture for plates that are still to be seen on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from resources.models.base import Box, PlateDetector, Quad, Rgb, TextReader


@dataclass(frozen=True)
class Leak:
    """A place on a finished picture that still shows a plate.

    `kind` says how it was found: `covered` is a covered plate's place that can be read, `read` a
    new suspect that can be read, `seen` one so sure that it need not be. `characters` counts what
    was read; the text itself is never kept.
    """

    quad: Quad
    kind: Literal["covered", "read", "seen"]
    score: float
    characters: int


def find_leaks(
    picture: Rgb,
    quads: Sequence[Quad],
    vehicles: Sequence[Box],
    detector: PlateDetector,
    reader: TextReader,
    allowed: Sequence[str] = (),
    surely_interior: bool = False,
) -> list[Leak]:
    """What on a finished picture may still be a plate; empty where nothing is.

    `quads` are where plates were covered, `vehicles` the vehicle boxes on this picture, main first.
    The detector looks again at a lower threshold, and every place is read: `plates.READABLE`
    characters are a leak. `allowed` holds what may stand there, as the owner's logo. A picture that
    is `surely_interior` needs both networks to agree, as when plates are masked.
    """
    from okla_assets.imaging import plates

    leaks = []
    covered = [np.array(quad, np.float32) for quad in quads]
    for place, quad in zip(quads, covered, strict=True):
        count = _characters(picture, quad, reader, allowed)
        if count >= plates.READABLE:
            leaks.append(Leak(place, "covered", 0.0, count))
    (suspects,) = detector.detect([picture], [vehicles])
    for suspect in suspects:
        judged = suspect.box, suspect.score, suspect.agreement, vehicles, surely_interior
        if not plates.suspicious(*judged):
            continue
        quad = np.array(suspect.quad, np.float32)
        new = not any(
            plates.contains(plates.padded(c), quad.mean(axis=0)[None])[0] for c in covered
        )
        away = plates.owner(suspect.box, vehicles) is None
        count = _characters(picture, quad, reader, allowed, away)
        if count >= plates.READABLE:
            leaks.append(Leak(suspect.quad, "read", suspect.score, count))
        elif new and plates.surely(*judged):
            leaks.append(Leak(suspect.quad, "seen", suspect.score, count))
    return leaks


def _characters(
    picture: Rgb,
    quad: npt.NDArray[np.float32],
    reader: TextReader,
    allowed: Sequence[str],
    away_from_vehicles: bool = False,
) -> int:
    """Most characters that any strip of the place can be read as; 0 where an allowed text stands.

    The strips overlap: where one shows the logo, the others show parts of it.
    """
    from okla_assets.imaging import plates

    read = reader.read(plates.lines_of(picture, quad))
    texts = [text for text, sure in read if sure >= plates.READER_SURE]
    if any(plates.is_allowed(text, allowed) for text in texts):
        return 0
    if away_from_vehicles and not all(plates.may_be_a_registration(t) for t in texts if t):
        return 0
    return max((plates.readable_characters(text) for text in texts), default=0)


def said(leaks: Sequence[Leak]) -> str:
    """What was found, for the person who reviews the vehicle; never the text itself."""
    kinds = {leak.kind for leak in leaks}
    if kinds == {"seen"}:
        return "kept back: a plate that was not covered can be seen"
    return "kept back: a plate can be read"


def texts_on(logo: Rgb, reader: TextReader) -> tuple[str, ...]:
    """What the owner's logo reads as, so that it is not taken for a plate."""
    return tuple(text for text, _ in reader.read([logo]) if text)

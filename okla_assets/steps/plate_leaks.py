"""The search of a finished picture for plates that are still to be seen on it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.steps.plate_masking import Masking
from okla_assets.steps.plate_search import Finders, Sighting, TurnedView, search
from resources.models.base import TextReader
from resources.models.plates_onnx import as_quad

Reading = tuple[str, float]
"""A text and the reader's confidence."""


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


@dataclass(frozen=True)
class Suspect:
    """A place, not covered, of which the detector was suspicious.

    A `sure` one is a leak even where nothing can be read, unless it shows a badge of the vehicle
    whose covered plates are `beside`. One that is `out_of_place`, away from every vehicle or across
    a side window, is one only where it reads as a registration may.
    """

    quad: Quad
    score: float
    sure: bool
    out_of_place: bool
    beside: Sequence[Quad] = ()


@dataclass(frozen=True)
class SearchRegion:
    """What a finished picture shows, in its pixels: covered plates, and vehicles, main one first.

    One that is `is_certainly_interior` needs both networks to agree on a plate, as when plates are
    masked. It is searched in `views` beside the one as it is. Where its `suspects` are told, as the
    detector has seen the very same picture larger, they are read and it is not searched.
    """

    plates: Sequence[Quad]
    vehicles: Sequence[Box]
    is_certainly_interior: bool = False
    views: Sequence[TurnedView] = ()
    suspects: Sequence[Suspect] | None = None


def find_leaks(
    pictures: Sequence[Rgb],
    shown: Sequence[SearchRegion],
    finders: Finders,
    reader: TextReader,
    allowed: Sequence[str] = (),
) -> list[list[Leak]]:
    """What on each finished picture may still be a plate; empty where nothing is.

    The detector looks again at a lower threshold, and every place is read: `plates.READABLE`
    characters are a leak. `allowed` holds what may stand there, as the owner's logo.
    """
    from okla_assets.imaging import plates

    unknown = [i for i, region in enumerate(shown) if region.suspects is None]
    found = (
        []
        if not unknown
        else search(
            finders,
            [pictures[i] for i in unknown],
            [shown[i].vehicles for i in unknown],
            [shown[i].views for i in unknown],
            [shown[i].plates for i in unknown],
        )
    )
    seen = dict(zip(unknown, found, strict=True))
    places = [
        _places(region, region.suspects or () if i not in seen else _suspects(region, seen[i]))
        for i, region in enumerate(shown)
    ]
    strips = [
        plates.readings_of(picture, np.array(place.suspect.quad, np.float32))
        for picture, here in zip(pictures, places, strict=True)
        for place in here
    ]
    read = iter(reader.read([strip for ways in strips for lines in ways for strip in lines]))
    texts = iter([[[next(read) for _ in lines] for lines in ways] for ways in strips])
    return [
        [leak for place in here if (leak := _judged(place, next(texts), allowed))]
        for here in places
    ]


@dataclass(frozen=True)
class _Place:
    """A place to be read: a `covered` one, or a suspect."""

    covered: bool
    suspect: Suspect


def _places(shown: SearchRegion, suspects: Sequence[Suspect]) -> list[_Place]:
    """Where plates were covered, whatever the detector thinks of it, and what is suspicious."""
    covered = [_Place(True, Suspect(quad, 0.0, False, False)) for quad in shown.plates]
    return [*covered, *(_Place(False, suspect) for suspect in suspects)]


def _suspects(shown: SearchRegion, seen: Sequence[Sighting]) -> list[Suspect]:
    from okla_assets.imaging import plates

    suspects = []
    for sighting in seen:
        judged = sighting.judged(shown.is_certainly_interior)
        if not plates.suspicious(*judged):
            continue
        new = not plates.lies_on(np.array(sighting.quad, np.float32), shown.plates)
        owner = plates.owner(sighting.found.box, sighting.vehicles)
        suspects.append(
            Suspect(
                sighting.quad,
                sighting.found.score,
                sure=new and plates.is_certain(*judged),
                out_of_place=owner is None or plates.across_a_window(*judged[:4]),
                beside=shown.plates if owner == 0 else (),
            )
        )
    return suspects


def _judged(
    place: _Place, read: Sequence[Sequence[Reading]], allowed: Sequence[str]
) -> Leak | None:
    from okla_assets.imaging import plates

    suspect = place.suspect
    count = _characters(read, allowed, suspect.out_of_place)
    if count >= plates.READABLE:
        kind: Literal["covered", "read"] = "covered" if place.covered else "read"
        return Leak(suspect.quad, kind, suspect.score, count)
    if not suspect.sure or plates.is_badge(
        np.array(suspect.quad, np.float32),
        [np.array(quad, np.float32) for quad in suspect.beside],
        [reading for way in read for reading in way],
    ):
        return None
    return Leak(suspect.quad, "seen", suspect.score, count)


def _characters(
    read: Sequence[Sequence[Reading]], allowed: Sequence[str], out_of_place: bool
) -> int:
    """Most characters that any strip of the place can be read as; 0 where an allowed text stands.

    `read` holds the strips' readings in each direction. The strips overlap: where one shows the
    logo, the others show parts of it.
    """
    from okla_assets.imaging import plates

    most = 0
    for way in read:
        texts = [text if sure >= plates.LEAST_READER_CONFIDENCE else "" for text, sure in way]
        if any(plates.is_allowed(text, allowed) for text in texts):
            return 0
        if not out_of_place or plates.may_be_a_registration(texts):
            most = max(most, plates.most_characters(texts))
    return most


Covers = tuple[tuple[Quad, ...], ...]
"""Quads that were covered, in pixels of their picture; those of one round together."""

MOST_ROUNDS = 2
"""So often a picture is covered and searched again."""
REGROWN = 0.25
"""Of its size a side, how much larger a plate is covered that its first cover left readable."""


@dataclass(frozen=True)
class Cleared:
    """A picture whose leaks are covered, and those that can be read all the same.

    `covers` are the quads that were covered, round by round: `with_covers` does the same again.
    """

    picture: Rgb
    covers: Covers
    leaks: Sequence[Leak]


def with_covers(picture: Rgb, covers: Iterable[Sequence[Quad]], masking: Masking) -> Rgb:
    """The picture with quads covered, round by round."""
    for quads in covers:
        picture = masking.covered(picture, quads)
    return picture


def cover_leaks(
    pictures: Sequence[Rgb],
    shown: Sequence[SearchRegion],
    finders: Finders,
    reader: TextReader,
    masking: Masking,
    allowed: Sequence[str] = (),
) -> list[Cleared]:
    """Each picture with its leaks covered, and searched again.

    What reads on though it was covered with room to spare, or after MOST_ROUNDS, is left in
    `leaks`: nobody can vouch for that picture.
    """
    look = partial(find_leaks, finders=finders, reader=reader, allowed=allowed)
    found = look(pictures, shown)
    return [
        _covered(picture, here, leaks, masking, look)
        for picture, here, leaks in zip(pictures, shown, found, strict=True)
    ]


def _covered(
    picture: Rgb,
    shown: SearchRegion,
    leaks: Sequence[Leak],
    masking: Masking,
    look: Callable[[Sequence[Rgb], Sequence[SearchRegion]], list[list[Leak]]],
) -> Cleared:
    from okla_assets.imaging import plates

    covers, regrown = list[tuple[Quad, ...]](), set[Quad]()
    for _ in range(MOST_ROUNDS):
        if not leaks or any(leak.quad in regrown for leak in leaks):
            break
        places = {quad: quad for quad in shown.plates} | {leak.quad: leak.quad for leak in leaks}
        for leak in leaks:
            if leak.kind == "covered":
                grown = as_quad(plates.padded(np.array(leak.quad, np.float32), REGROWN))
                places[leak.quad] = grown
                regrown.add(grown)
        covers.append(tuple(places[leak.quad] for leak in leaks))
        picture = with_covers(picture, covers[-1:], masking)
        shown = replace(shown, plates=tuple(places.values()))
        (leaks,) = look([picture], [shown])
    return Cleared(picture, tuple(covers), leaks)


def describe_leaks(leaks: Sequence[Leak]) -> str:
    """What was found, for the person who reviews the vehicle; never the text itself."""
    kinds = {leak.kind for leak in leaks}
    if kinds == {"seen"}:
        return "kept back: a plate that was not covered can be seen"
    return "kept back: a plate can be read"


def texts_on(logo: Rgb, reader: TextReader) -> tuple[str, ...]:
    """What the owner's logo reads as, so that it is not taken for a plate."""
    return tuple(text for text, _ in reader.read([logo]) if text)

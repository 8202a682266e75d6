"""Which suspects on a finished picture are leaks, by where they lie and what they read as."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from okla_assets.imaging.types import Box, Rgb
from okla_assets.steps.plate_leaks import SearchRegion, find_leaks
from okla_assets.steps.plate_search import Finders
from resources.models.base import PlateFound
from tests.fakes import FakePlates, FakeReader

SIDE: Box = (40.0, 345.0, 1170.0, 440.0)
FRONT: Box = (40.0, 100.0, 700.0, 600.0)
WINDOW: Box = (500.0, 435.0, 200.0, 44.0)


@dataclass
class Finding(FakePlates):
    """Finds one candidate."""

    found: PlateFound = field(kw_only=True)

    def detect(
        self, photos: object, vehicles: object, known: object = ()
    ) -> list[list[PlateFound]]:
        return [[self.found]]


@dataclass
class Reading(FakeReader):
    """Reads one text everywhere."""

    text: str = field(kw_only=True)

    def read(self, strips: Sequence[Rgb]) -> list[tuple[str, float]]:
        return [(self.text, 0.62)] * len(strips)


def leaks(vehicle: Box, box: Box, text: str, score: float = 0.24, agreement: float = 0.0) -> int:
    """How many leaks one suspect on one vehicle makes that reads as `text`."""
    x, y, w, h = box
    quad = (x, y), (x + w, y), (x + w, y + h), (x, y + h)
    finder = Finding(found=PlateFound(quad, box, score, agreement))
    region = SearchRegion((), (vehicle,))
    picture = np.full((956, 1274, 3), 90, np.uint8)
    return len(find_leaks([picture], [region], Finders(finder, finder), Reading(text=text))[0])


def test_letters_across_a_side_window_are_what_it_mirrors() -> None:
    """A lattice in the window of a dealers' car was read as ALLD, and a slab covered the pane."""
    assert leaks(SIDE, WINDOW, "ALLD") == 0


@pytest.mark.parametrize(
    ("vehicle", "box", "text", "score", "agreement"),
    [
        (SIDE, WINDOW, "AB12", 0.24, 0.0),  # a registration, wherever it is
        (SIDE, WINDOW, "ALLD", 0.24, 0.1),  # both networks see it
        (SIDE, WINDOW, "ALLD", 0.55, 0.0),  # one is quite sure
        (SIDE, (500.0, 600.0, 200.0, 44.0), "ALLD", 0.24, 0.0),  # as low as plates are
        (SIDE, (500.0, 435.0, 120.0, 30.0), "ALLD", 0.24, 0.0),  # as narrow as plates are
        (FRONT, (300.0, 150.0, 200.0, 44.0), "ALLD", 0.24, 0.0),  # a front is no side
        ((40.0, 0.0, 1170.0, 440.0), (500.0, 90.0, 200.0, 44.0), "ALLD", 0.24, 0.0),  # roof unseen
    ],
)
def test_letters_elsewhere_on_a_vehicle_are_a_leak(
    vehicle: Box, box: Box, text: str, score: float, agreement: float
) -> None:
    assert leaks(vehicle, box, text, score, agreement) == 1

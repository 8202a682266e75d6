"""How far a finished picture may be from its photo; `guard` measures it."""

from dataclasses import dataclass

MOST_TYPICAL, MOST_TILE, MOST_PATCH = 2.5, 5.0, 2.2
"""Delta E up to which a picture is true.

The dealers' composites have at most 1.4, 3.8 and 1.3, those of our own car 1.6, 3.9 and 1.6. What
is altered on purpose, and can be seen, has more in one of the three.
"""


@dataclass(frozen=True)
class Truth:
    """Differences in CIELAB (Delta E 1976) between a finished picture and its photo.

    `typical` is that of 95 % of the tiles, `tile` that of the worst one, `patch` that of the worst
    three by three tiles together. All are 0 where no tile lies within the vehicle.
    """

    typical: float
    tile: float
    patch: float

    @property
    def broken(self) -> str | None:
        """What the picture shows that the photo does not; None where it is true."""
        for name, limit in (("typical", MOST_TYPICAL), ("tile", MOST_TILE), ("patch", MOST_PATCH)):
            if (value := float(getattr(self, name))) > limit:
                return f"the vehicle is not as on the photo: {name} Delta E {value:g} > {limit:g}"
        return None

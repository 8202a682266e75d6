"""What of a cut-out vehicle is missing on its picture."""

from okla_assets.imaging.types import Angle, Category
from okla_assets.tables import Mask

MOST_ASKEW = 8.0
"""Degrees: whole front and rear views of 44 cars have 5 at most, two that are cut off 12."""


def part_missing(mask: Mask, category: Category, angle: Angle | None) -> str | None:
    """The missing part in words; None where the cut-out is whole as far as one can tell."""
    if category != "exterior" or mask.status != "cut":
        return None
    if mask.part_missing is None and angle == "front" and mask.mirrors == 0:
        return "both door mirrors"
    if angle in ("front", "rear") and (mask.roof_askew or 0) > MOST_ASKEW:
        return "a piece of the roof"
    return mask.part_missing


def part_surely_missing(mask: Mask, category: Category, angle: Angle | None) -> str | None:
    """The missing part, where the photo must show it: such a cut-out is never put on a scene.

    Seen from the rear, a little from the side, the body hides one of the door mirrors.
    """
    missing = part_missing(mask, category, angle)
    return None if angle == "rear" and missing == mask.part_missing else missing

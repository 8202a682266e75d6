"""What of a cut-out vehicle is missing on its picture."""

from okla_assets.imaging.types import Angle, Category
from okla_assets.tables import Mask


def part_missing(mask: Mask, category: Category, angle: Angle | None) -> str | None:
    """The missing part in words; None where the cut-out is whole as far as one can tell."""
    if category != "exterior" or mask.status != "cut":
        return None
    if mask.part_missing is None and angle == "front" and mask.mirrors == 0:
        return "both door mirrors"
    return mask.part_missing

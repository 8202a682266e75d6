"""Which part of a finished picture a frame of another shape shows, so that no vehicle is cut."""

from dataclasses import dataclass

from okla_assets.imaging.types import Box

MARGIN = 0.02
"""Of the window's size, that stays free around a vehicle."""


@dataclass(frozen=True)
class Window:
    """A part of a picture, in its pixels; reaches beyond it where the scene is continued."""

    left: int
    top: int
    width: int
    height: int

    def extends(self, width: int, height: int) -> bool:
        """Whether it reaches beyond a picture of that size."""
        beyond = self.left + self.width > width or self.top + self.height > height
        return self.left < 0 or self.top < 0 or beyond


def choose(
    width: int,
    height: int,
    aspect: float,
    vehicle: Box | None,
    *,
    extendable: bool,
    safe_zone: float = 1.0,
) -> Window | None:
    """The window of that aspect (width by height) in a picture of the given size.

    It is as large as the picture allows, centred on the vehicle (x, y, w, h in pixels), which lies
    in the middle `safe_zone` of both its sides and `MARGIN` away from them. Where the picture is
    too small for that, it reaches beyond it if `extendable`, else there is none.
    """
    wide = min(float(width), height * aspect)
    x, y, w, h = vehicle or (0.0, 0.0, float(width), float(height))
    if vehicle is not None:
        free = min(safe_zone, 1 - 2 * MARGIN)
        needed = max(w / free, h * aspect / free)
        if needed > wide and not extendable:
            needed = max(w, h * aspect) / (1 - 2 * MARGIN)
            if needed > wide:
                return None
        wide = max(wide, needed)
    size = round(wide), round(wide / aspect)
    left, top = round(x + w / 2 - size[0] / 2), round(y + h / 2 - size[1] / 2)
    return Window(_within(left, size[0], width), _within(top, size[1], height), *size)


def _within(start: int, length: int, whole: int) -> int:
    """Moved so that it lies inside the picture, or reaches evenly beyond a picture too short."""
    if length >= whole:
        return (whole - length) // 2
    return min(max(start, 0), whole - length)

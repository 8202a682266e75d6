"""Where a vehicle stands on a canvas of the film's own format: the scene fills the frame."""

from okla_assets.imaging.studio.placement import MOST_UPSCALE, SMALLEST_WIDTH, Extent, Placement

ROOM = 1.15
"""The canvas is so much larger than the frame: a move may close in without enlarging it."""
WIDE_SHARE, UPRIGHT_SHARE = 0.62, 0.80
"""Share of the canvas's width that a vehicle fills."""
HIGHEST = 0.60
"""Share of the canvas's height that no vehicle exceeds."""
WIDE_WHEELS, UPRIGHT_WHEELS = 0.80, 0.64
"""The row that its tyres stand on, as a share of the canvas's height."""
SLACK = 0.015
"""A detector's box differs a little from the matte's: this share of the canvas is added around."""


def canvas_of(frame: tuple[int, int]) -> tuple[int, int]:
    """Width and height, even, of the canvas for a frame of this width and height."""
    width, height = (round(side * ROOM / 2) * 2 for side in frame)
    return width, height


def share_of(width: float, height: float, aspect: float) -> float:
    """Share of the canvas's width for a vehicle of this width and height; `aspect` is the
    canvas's width by its height."""
    share = WIDE_SHARE if aspect > 1 else UPRIGHT_SHARE
    return min(share, HIGHEST / aspect * width / height)


def place(vehicle: Extent, canvas: tuple[int, int]) -> Placement:
    """Where a photo goes on the canvas; a small photo makes the canvas smaller."""
    aspect = canvas[0] / canvas[1]
    per_pixel = share_of(vehicle.width, vehicle.height, aspect) / vehicle.width
    width = min(canvas[0], max(SMALLEST_WIDTH, int(MOST_UPSCALE / per_pixel)))
    width -= width % 2
    height = round(width / aspect / 2) * 2
    scale = per_pixel * width
    return Placement(
        width,
        height,
        scale,
        round(width / 2 - (vehicle.x0 + vehicle.x1 + 1) / 2 * scale),
        round(_wheels(aspect) * height - (vehicle.y1 + 1) * scale),
    )


def car_on(width: float, height: float, aspect: float) -> tuple[float, float, float, float]:
    """Where `place` puts a vehicle of this width and height: x, y, w, h in shares of the canvas, a
    little generous."""
    w = share_of(width, height, aspect)
    h = w * height / width * aspect
    top = _wheels(aspect) - h
    return (0.5 - w / 2 - SLACK, top - SLACK, w + 2 * SLACK, h + 2 * SLACK)


def _wheels(aspect: float) -> float:
    return WIDE_WHEELS if aspect > 1 else UPRIGHT_WHEELS

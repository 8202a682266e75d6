"""Boxes (x, y, w, h) and quads ((x, y) x 4) carried from one copy of a picture to another."""

from okla_assets.imaging.types import Box, Quad


def move_box(box: Box, scale: float, left: float = 0.0, top: float = 0.0) -> Box:
    """The box on a picture `scale` times as large whose origin lies at (left, top)."""
    x, y, w, h = box
    return x * scale + left, y * scale + top, w * scale, h * scale


def move_quad(quad: Quad, scale: float, left: float = 0.0, top: float = 0.0) -> Quad:
    """The quad on a picture `scale` times as large whose origin lies at (left, top)."""
    a, b, c, d = ((x * scale + left, y * scale + top) for x, y in quad)
    return a, b, c, d


def round_box(box: Box) -> Box:
    """The box to a tenth of a pixel, as tables hold it."""
    x, y, w, h = (round(v, 1) for v in box)
    return x, y, w, h


def round_quad(quad: Quad) -> Quad:
    """The quad to a tenth of a pixel, as tables hold it."""
    a, b, c, d = ((round(x, 1), round(y, 1)) for x, y in quad)
    return a, b, c, d

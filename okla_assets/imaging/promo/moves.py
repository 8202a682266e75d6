"""What the camera shows: windows on a picture, and the smooth way from one to another.

A window (x, y, w, h) in pixels of the picture is what fills the frame. The way from one window to
another is linear in all four numbers, so that a vehicle inside both ends is inside all the way:
being inside is a set of linear inequalities.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from okla_assets.imaging.promo.timeline import Framing, Move, Picture
from okla_assets.imaging.studio.placement import MARGIN as MARGIN_BESIDE, wheel_line, width_share
from okla_assets.imaging.turn import spin
from okla_assets.imaging.types import Angle

MARGIN = 0.035
"""Share of the frame, on each side, that a whole vehicle keeps free."""
CAPTION_ROOM = 0.17
"""The same at the lower edge of a wide frame with a caption."""
LEAST_SHOWN = 0.70
"""Of a picture without a whole vehicle, the share of its width or height that stays visible."""
ZOOM = 1.15
"""The widest framing over the closest, where the picture has room for it."""
MOST_ROOM = 1.45
"""No vehicle is shown smaller than its closest framing by more than this."""
SHIFT = 0.07
"""The most a vehicle is shifted off its position, as a share of the frame."""


SLACK = 0.02
"""A detector's box differs a little from the matte's: this share of the picture is added around."""


def studio_place(
    width: float,
    height: float,
    aspect: float,
    angle: Angle | None = None,
    margin: float = MARGIN_BESIDE,
) -> tuple[float, float, float, float]:
    """Where `placement.place` puts a vehicle of this width and height on a picture of this aspect.

    As shares of the picture (x, y, w, h), a little generous.
    """
    w = width_share(width, height, aspect, angle, margin)
    h = w * height / width * aspect
    return (0.5 - w / 2 - SLACK, wheel_line(aspect) - h - SLACK, w + 2 * SLACK, h + 2 * SLACK)


def spin_place(aspect: float) -> tuple[float, float, float, float]:
    """The same for a spin, whose vehicle changes its size a little as its ends come near."""
    top = wheel_line(aspect) - spin.HEIGHT - 0.08
    return (0.5 - spin.WIDEST / 2, top, spin.WIDEST, spin.HEIGHT + 0.13)


@dataclass(frozen=True)
class Window:
    """What fills the frame, in pixels of the picture; may reach beyond it."""

    x: float
    y: float
    w: float
    h: float

    def towards(self, other: "Window", share: float) -> "Window":
        """The window `share` of the way to another."""
        a = np.array([self.x, self.y, self.w, self.h])
        b = np.array([other.x, other.y, other.w, other.h])
        return Window(*(a + (b - a) * share).tolist())


@dataclass(frozen=True)
class Path:
    begin: Window
    end: Window

    def at(self, progress: float) -> Window:
        """The window at progress 0..1."""
        return self.begin.towards(self.end, ease(progress))

    @property
    def bounds(self) -> Window:
        """The part of the picture's plane that is ever visible."""
        x, y = min(self.begin.x, self.end.x), min(self.begin.y, self.end.y)
        right = max(self.begin.x + self.begin.w, self.end.x + self.end.w)
        bottom = max(self.begin.y + self.begin.h, self.end.y + self.end.h)
        return Window(x, y, right - x, bottom - y)


def ease(progress: float) -> float:
    """Progress 0..1 that starts and ends slower: half linear, half smoothstep."""
    t = min(max(progress, 0.0), 1.0)
    return 0.5 * t + 0.5 * t * t * (3 - 2 * t)


def path(
    picture: Picture, move: Move, size: tuple[int, int], frame: tuple[int, int], captioned: bool
) -> Path:
    """The way of `move` over a picture of `size` (width, height) for a frame (width, height)."""
    return Path(
        _window(picture, move.begin, size, frame, captioned),
        _window(picture, move.end, size, frame, captioned),
    )


def _window(
    picture: Picture,
    framing: Framing,
    size: tuple[int, int],
    frame: tuple[int, int],
    captioned: bool,
) -> Window:
    width, height = size
    aspect = frame[0] / frame[1]
    covering = min(width, height * aspect)
    if picture.car is None:
        wide = max(covering, LEAST_SHOWN * max(width, height * aspect))
        tight = wide / ZOOM
        w = wide + (tight - wide) * framing.tight
        return Window(
            _inside(framing.x, w, width), _inside(framing.y, w / aspect, height), w, w / aspect
        )
    x, y, w_car, h_car = (v * side for v, side in zip(picture.car, (*size, *size), strict=True))
    below = CAPTION_ROOM if captioned and aspect > 1 else MARGIN
    tight = max(w_car / (1 - 2 * MARGIN), h_car / (1 - MARGIN - below) * aspect)
    wide = min(max(covering, tight * ZOOM), tight * MOST_ROOM)
    if picture.composed:
        wide, tight = covering, min(max(tight, covering / MOST_ROOM), covering)
    w = wide + (tight - wide) * framing.tight
    h = w / aspect
    return Window(
        _around(framing.x, w, (x, w_car), width, MARGIN, MARGIN),
        _around(framing.y, h, (y, h_car), height, MARGIN, below),
        w,
        h,
    )


def _inside(shift: float, window: float, side: float) -> float:
    """Origin of a window in a picture's side; centred where the window is the larger one."""
    room = side - window
    return room / 2 + (shift * room / 2 if room > 0 else 0)


def _around(
    shift: float, window: float, car: tuple[float, float], side: float, before: float, after: float
) -> float:
    """Origin of a window that keeps the car off its edges, inside the picture where that can be."""
    start, length = car
    least, most = start + length - (1 - after) * window, start - before * window
    within = max(least, 0.0), min(most, side - window)
    if within[0] <= within[1]:
        least, most = within
    middle, half = (least + most) / 2, min((most - least) / 2, SHIFT * window)
    return middle + shift * half


def matrices(
    window: Window, sheet_origin: tuple[float, float], scale: float, frame: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frame to sheet, for luma and for 4:2:0 chroma: two 2x3 matrices for WARP_INVERSE_MAP.

    The sheet shows the picture's plane from `sheet_origin` on at `scale` sheet pixels to one of
    the picture's. Its chroma samples lie in the middle of 2x2 luma pixels; the frame's lie on the
    left of theirs, as H.264 has it (ITU-T H.264, figure E-1, type 0).
    """
    k = window.w * scale / frame[0]
    off_x = (window.x - sheet_origin[0]) * scale
    off_y = (window.y - sheet_origin[1]) * scale
    b, d = 0.5 * k + off_x - 0.5, 0.5 * k + off_y - 0.5
    luma = np.array([[k, 0, b], [0, k, d]])
    chroma = np.array([[k, 0, (b - 0.5) / 2], [0, k, (0.5 * k + d - 0.5) / 2]])
    return luma, chroma

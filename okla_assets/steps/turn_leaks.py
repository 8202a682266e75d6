"""The search of a finished turn for plates that are still to be seen on its frames.

The vehicle is all that a frame shows, so only it is searched, at the frame's own size. Every
covered place is read. Where a plate could be and none is known, seen from front or rear, the full
detector looks; elsewhere a quick one does, at a fifth of the time. What is found on one frame is
followed to its neighbours and covered there too, and those are looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from okla_assets.imaging import geometry
from okla_assets.imaging.types import Box, Quad, Rgb
from okla_assets.steps.plate_leaks import Leak, SearchRegion, cover_leaks, find_leaks
from okla_assets.steps.plate_search import Finders
from resources.models.asking import asked
from resources.models.plates_onnx import as_quad

if TYPE_CHECKING:
    from okla_assets.steps.drafts import LeakSearch

AROUND = 0.05
"""Of the vehicle's width: how far beyond its box it is searched."""

EDGE_ON = 15.0
"""Degrees from straight beside the vehicle: so steeply nobody can read its plates."""
REGROWN = 0.15
"""Of its size a side, how much larger a plate that was left is covered."""


@dataclass(frozen=True)
class FinishedFrame:
    """A frame of the turn, seen from `azimuth`: its vehicle's box and its covered plates on it."""

    picture: Rgb
    azimuth: float
    vehicle: Box
    plates: Sequence[Quad]


@dataclass(frozen=True)
class SearchedFrame:
    """The frame's picture after the search; `readable` where a plate can be read all the same.

    `covered` are the places that were covered only now.
    """

    picture: Rgb
    covered: tuple[Quad, ...] = ()
    readable: bool = False


def searched_turn(frames: Sequence[FinishedFrame], search: "LeakSearch") -> list[SearchedFrame]:
    """Each frame, in their order, with what was left of plates covered.

    The frames are neighbours in the order of the turn, as of `plates.tracks.follow`.
    """
    from okla_assets.imaging import plates
    from okla_assets.imaging.plates import tracks
    from okla_assets.imaging.turn.walkaround import unwrapped

    if search.masking.style == "none":
        return [SearchedFrame(frame.picture) for frame in frames]
    crops = [_Crop.of(frame) for frame in frames]
    models = search.finders.full, search.finders.quick, search.reader
    found = asked(crops, models, lambda crop: crop.leaks(search))
    seen = [
        [
            tracks.TrackedPlate(np.array(crop.on_frame(leak.quad), np.float32), leak.score)
            for leak in leaks
        ]
        for crop, leaks in zip(crops, found, strict=True)
    ]
    turned = [float(a) for a in unwrapped([frame.azimuth for frame in frames])]
    results = []
    for crop, spots in zip(crops, tracks.follow(seen, turned), strict=True):
        if not spots:
            results.append(SearchedFrame(crop.frame.picture))
            continue
        # A covered plate that can be read was covered too small; the next search is of all of it.
        quads = [as_quad(plates.padded(spot.quad, REGROWN)) for spot in spots]
        results.append(crop.covered(quads, search))
    return results


@dataclass(frozen=True)
class _Crop:
    """The part of a frame that shows the vehicle; its corner is at (left, top) of the frame."""

    frame: FinishedFrame
    left: int
    top: int
    picture: Rgb

    @classmethod
    def of(cls, frame: FinishedFrame) -> "_Crop":
        x, y, w, h = frame.vehicle
        more = AROUND * w
        height, width = frame.picture.shape[:2]
        left, top = max(0, int(x - more)), max(0, int(y - more))
        right, bottom = min(width, int(x + w + more) + 1), min(height, int(y + h + more) + 1)
        part = np.ascontiguousarray(frame.picture[top:bottom, left:right])
        return cls(frame, left, top, part)

    @property
    def region(self) -> SearchRegion:
        return self._region(self.frame.plates)

    def _region(self, quads: Sequence[Quad]) -> SearchRegion:
        return SearchRegion(
            [geometry.move_quad(quad, 1.0, -self.left, -self.top) for quad in quads],
            [geometry.move_box(self.frame.vehicle, 1.0, -self.left, -self.top)],
        )

    def leaks(self, search: "LeakSearch") -> list[Leak]:
        """What may still be a plate, on the crop."""
        from okla_assets.imaging.turn.walkaround import apart

        from_side = min(apart(self.frame.azimuth, side) for side in (90.0, 270.0)) <= EDGE_ON
        finders = search.finders
        if self.frame.plates or from_side:
            finders = Finders(finders.quick, finders.quick)
        (leaks,) = find_leaks([self.picture], [self.region], finders, search.reader, search.allowed)
        return leaks

    def on_frame(self, quad: Quad) -> Quad:
        return geometry.move_quad(quad, 1.0, self.left, self.top)

    def covered(self, quads: Sequence[Quad], search: "LeakSearch") -> SearchedFrame:
        """The frame with these places covered, and whatever the full detector then finds."""
        here = [geometry.move_quad(quad, 1.0, -self.left, -self.top) for quad in quads]
        picture = search.masking.covered(self.picture, here)
        region = self._region([*self.frame.plates, *quads])
        (cleared,) = cover_leaks(
            [picture], [region], search.finders, search.reader, search.masking, search.allowed
        )
        whole = self.frame.picture.copy()
        height, width = self.picture.shape[:2]
        whole[self.top : self.top + height, self.left : self.left + width] = cleared.picture
        return SearchedFrame(whole, tuple(quads), bool(cleared.leaks))

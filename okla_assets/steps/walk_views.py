"""Close-ups on the frames of a walk-around: found on some, carried along the turn to the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from okla_assets.imaging.types import Corners, Quad
from okla_assets.steps.batches import Pictures, blame
from okla_assets.steps.pictures import read_matte, read_picture
from okla_assets.tables import LicensePlates, Mask, Masks, PhotoPlates, SpinFrame, SpinFrames
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.hotspots import Features
    from okla_assets.imaging.studio.camera import View

SEARCHED_APART = 18.0
"""Degrees between two frames that close-ups are searched for on; those between show the same."""
CARRIED = 50.0
"""Degrees along the turn that a place is carried; farther round the box is too coarse."""
END_ON = 20.0
"""Degrees from straight before an end, within which the wheels' faces are out of sight."""


@dataclass(frozen=True)
class WalkView:
    """One frame of the turn, at `position` in it, and what it was made of."""

    position: int
    frame: SpinFrame
    matte_key: str
    masked_key: str
    plates: tuple[Quad, ...]
    size: tuple[int, int]
    store: MediaStore

    @cached_property
    def features(self) -> "Features":
        """Its features as a view, on its copy without plates."""
        from okla_assets.imaging import hotspots
        from okla_assets.imaging.turn.walkaround import apart

        with blame("photo" if self.frame.from_photo else "frame", self.frame.source):
            picture = read_picture(self.store, self.masked_key)
            quads = _corners(self.plates)
            alpha = read_matte(self.store, self.matte_key)
            from_end = min(apart(self.frame.azimuth_deg, end) for end in (0.0, 180.0)) <= END_ON
            camera = None if from_end else self.camera  # its fit is needed for wheels alone
            return hotspots.view_features(picture, alpha, quads, from_end=from_end, camera=camera)

    @property
    def azimuth(self) -> float:
        """Where it was taken from, in degrees."""
        return self.frame.azimuth_deg

    @cached_property
    def copy_size(self) -> tuple[int, int]:
        """Width and height of its working copy."""
        height, width = read_matte(self.store, self.matte_key).shape
        return width, height

    @cached_property
    def camera(self) -> "View | None":
        """Where its camera stood."""
        from okla_assets.imaging.studio.camera import view_of

        with blame("photo" if self.frame.from_photo else "frame", self.frame.source):
            return view_of(read_matte(self.store, self.matte_key), self.frame.azimuth_deg)

    def on_finished(self, x: float, y: float) -> tuple[float, float] | None:
        """A pixel of its copy on its finished picture, in shares; None where it is outside."""
        scale, dx, dy = self.frame.move
        left, top = (scale * x + dx) / self.size[0], (scale * y + dy) / self.size[1]
        return (left, top) if 0 <= left <= 1 and 0 <= top <= 1 else None


@dataclass(frozen=True)
class Walk:
    """The frames of a turn that was filmed, in their order; none where it was not filmed."""

    views: Sequence[WalkView] = ()

    @cached_property
    def searched(self) -> list[WalkView]:
        """The frames that close-ups are searched for on."""
        from okla_assets.imaging.turn.walkaround import apart

        chosen: list[WalkView] = []
        for view in self.views:
            if all(
                apart(view.frame.azimuth_deg, other.frame.azimuth_deg) >= SEARCHED_APART
                for other in chosen
            ):
                chosen.append(view)
        return chosen

    def carried(
        self, camera: "View | None", azimuth: float, x: float, y: float
    ) -> list[tuple[int, tuple[float, float]]]:
        """Positions of frames that show the vehicle's point at a pixel of a picture taken from
        `azimuth` by `camera`, and the point in shares of the finished frame."""
        from okla_assets.imaging.turn import carrying
        from okla_assets.imaging.turn.walkaround import apart

        anchor = None if camera is None else carrying.anchored(camera, x, y)
        if anchor is None:
            return []
        found: list[tuple[int, tuple[float, float]]] = []
        for view in self.views:
            if apart(view.frame.azimuth_deg, azimuth) > CARRIED or view.camera is None:
                continue
            pixel = carrying.seen_at(anchor, view.camera)
            point = None if pixel is None else view.on_finished(*pixel)
            if point is not None:
                found.append((view.position, point))
        return _steadied(found)


def walk_of(
    spin: SpinFrames,
    masks: Masks,
    plates: LicensePlates,
    store: MediaStore,
    left_out: Pictures = frozenset(),
) -> Walk:
    """The walk that the spin was made of; the frames `left_out` failed before."""
    if spin.made_from != "video":
        return Walk()
    of_frames = _by_number(masks.frames), _by_number(plates.frames)
    of_photos = _by_number(masks.rows), _by_number(plates.rows)
    views = []
    for position, frame in enumerate(spin.frames):
        mask_of, plates_of = of_photos if frame.from_photo else of_frames
        mask, covered = mask_of[frame.source], plates_of[frame.source]
        kind = "photo" if frame.from_photo else "frame"
        if mask.matte_key is None or (kind, frame.source) in left_out:
            continue
        views.append(
            WalkView(
                position,
                frame,
                mask.matte_key,
                covered.masked_key,
                tuple(plate.quad for plate in covered.plates),
                (spin.width, spin.height),
                store,
            )
        )
    return Walk(tuple(views))


RowT = TypeVar("RowT", Mask, PhotoPlates)


def _by_number(rows: Sequence[RowT]) -> Mapping[int, RowT]:
    return {row.number: row for row in rows}


def _corners(plates: Sequence[Quad]) -> list[Corners]:

    return [np.array(quad, np.float32) for quad in plates]


def _steadied(
    found: Sequence[tuple[int, tuple[float, float]]],
) -> list[tuple[int, tuple[float, float]]]:
    """The places on neighbouring frames without the jitter of each frame's own camera."""
    from okla_assets.imaging.turn.carrying import steadied

    runs: list[list[tuple[int, tuple[float, float]]]] = []
    for position, point in found:
        if not runs or position != runs[-1][-1][0] + 1:
            runs.append([])
        runs[-1].append((position, point))
    return [
        (position, point)
        for run in runs
        for (position, _), point in zip(run, steadied([point for _, point in run]), strict=True)
    ]

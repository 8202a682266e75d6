"""Where close-ups belong: the pictures that they may be placed on, and their places on these."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from okla_assets.imaging.types import Corners, Rgb
from okla_assets.options import HandHotspot, StudioOptions
from okla_assets.steps.batches import Pictures, blame
from okla_assets.steps.pictures import read_matte, read_picture
from okla_assets.steps.walk_views import Walk, WalkView
from okla_assets.tables import (
    Classification,
    CloseUp,
    Composite,
    Hotspot,
    Mask,
    Photo,
    PhotoPlates,
    SpinFrames,
)
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.hotspots import Features, LocatedCloseUp
    from okla_assets.imaging.studio.camera import View

SHOWS_PART = frozenset({"cropped", "no_vehicle"})
"""Mask statuses of an exterior that is a close-up."""


@dataclass(frozen=True)
class Pictured:
    """A photo with its rows of the steps before; features are computed when asked for."""

    photo: Photo
    mask: Mask
    view: Classification
    plates: PhotoPlates
    finished: Composite
    store: MediaStore

    @property
    def shows_part(self) -> bool:
        """Whether it is looked upon as a close-up."""
        if self.photo.duplicate_of is not None:
            return False
        exterior = self.view.category == "exterior"
        return self.view.category == "misc" or (exterior and self.mask.status in SHOWS_PART)

    @property
    def shows_whole(self) -> bool:
        """Whether close-ups are placed on it: a whole vehicle in the studio, ready to be shown."""
        return (
            self.view.category == "exterior"
            and self.mask.matte_key is not None
            and self.finished.treatment == "studio"
            and self.finished.withheld is None
        )

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints give equal features and equal places."""
        return (
            self.photo.number,
            self.plates.digest,
            self.mask.digest,
            self.view.category,
            self.view.angle,
            self.finished.treatment,
            self.finished.source_box,
            self.finished.levelled,
            self.finished.withheld,
        )

    @cached_property
    def close_up_features(self) -> "Features":
        """Its features as a close-up."""
        from okla_assets.imaging import hotspots

        picture, quads = self._seen()
        return hotspots.close_up_features(picture, quads)

    @property
    def azimuth(self) -> float | None:
        """Where it was taken from, in degrees."""
        return self.view.azimuth_deg

    @property
    def copy_size(self) -> tuple[int, int]:
        """Width and height of its working copy."""
        return self.photo.working_width, round(self.photo.height / self.photo.scale)

    @cached_property
    def camera(self) -> "View | None":
        """Where its camera stood, as its own matte tells it."""
        from okla_assets.imaging.studio.camera import view_of

        assert self.mask.matte_key is not None
        with blame("photo", self.photo.number):
            return view_of(read_matte(self.store, self.mask.matte_key), self.azimuth)

    @cached_property
    def features(self) -> "Features":
        """Its features as a view: those on the vehicle."""
        from okla_assets.imaging import hotspots

        assert self.mask.matte_key is not None
        from_end = self.view.angle in ("front", "rear")
        with blame("photo", self.photo.number):
            picture, quads = self._seen()
            alpha = read_matte(self.store, self.mask.matte_key)
            camera = None if from_end else self.camera  # its fit is needed for wheels alone
            return hotspots.view_features(picture, alpha, quads, from_end=from_end, camera=camera)

    def on_finished(self, x: float, y: float) -> tuple[float, float] | None:
        """A point of the photo on its finished picture, in shares; None where it is outside."""
        left, top, width, height = self.finished.source_box
        if self.finished.levelled is not None:
            x, y = self.finished.levelled.moved(x, y, self.photo.width / self.photo.height)
        x, y = left + x * width, top + y * height
        return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None

    def _seen(self) -> tuple[Rgb, list[Corners]]:
        """The copy without plates, and where on it they were."""

        picture = read_picture(self.store, self.plates.masked_key)
        return picture, [np.array(p.quad, np.float32) for p in self.plates.plates]


@dataclass(frozen=True)
class Board:
    """The pictures on which close-ups can be placed; those `left_out` failed before."""

    photos: Sequence[Pictured]
    spin: SpinFrames
    options: StudioOptions
    store: MediaStore
    left_out: Pictures = frozenset()
    walk: Walk = field(default_factory=Walk)

    @cached_property
    def views(self) -> list[Pictured]:
        """Photos that show the whole vehicle."""
        return [
            picture
            for picture in self.photos
            if picture.shows_whole and ("photo", picture.photo.number) not in self.left_out
        ]

    @cached_property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints place a close-up alike."""
        folders = {frame.key.rpartition("/")[0] + "/" for frame in self.spin.frames}
        etags = {info.key: info.etag for folder in folders for info in self.store.list(folder)}
        frames = [
            (frame, etags.get(frame.key))
            for position, frame in enumerate(self.spin.frames)
            if ("frame", position) not in self.left_out
        ]
        return (
            [picture.fingerprint for picture in self.views],
            (self.spin.made_from, frames),
            [(view.matte_key, view.masked_key) for view in self.walk.views],
            self.options.auto_hotspots,
            [spot.model_dump() for spot in self.options.hotspots],
            [
                (spot.on, None if on is None else on.fingerprint)
                for spot in self.options.hotspots
                for on in (self.named(spot.on),)
            ],
        )

    def close_ups(self) -> Iterator[Pictured]:
        """Photos to be placed: those that show a part, and those that options.json places."""
        by_hand = {spot.photo for spot in self.options.hotspots}
        for picture in self.photos:
            if ("photo", picture.photo.number) in self.left_out:
                continue
            automatic = self.options.auto_hotspots and picture.shows_part
            if automatic or picture.photo.name in by_hand:
                yield picture

    def named(self, name: str) -> Pictured | None:
        """The photo uploaded under this name."""
        return next((p for p in self.photos if p.photo.name == name), None)

    @cached_property
    def frame_features(self) -> "dict[int, Features]":
        """Features of spin frames by position, kept as they are made."""
        return {}

    def features_of_frame(self, position: int) -> "Features":
        """Those of one spin frame."""
        from okla_assets.imaging import hotspots

        if position not in self.frame_features:
            with blame("frame", position):
                picture = read_picture(self.store, self.spin.frames[position].key)
                self.frame_features[position] = hotspots.frame_features(picture)
        return self.frame_features[position]


def place_all(board: Board, close_ups: Sequence[Pictured]) -> list[CloseUp]:
    """What becomes of each close-up. Raises PictureFailed for it or for a picture it may be on."""
    rows = []
    for close_up in close_ups:
        with blame("photo", close_up.photo.number):
            rows.append(place(close_up, board))
    return rows


def place(close_up: Pictured, board: Board) -> CloseUp:
    """What becomes of one close-up."""
    number = close_up.photo.number
    by_hand = [spot for spot in board.options.hotspots if spot.photo == close_up.photo.name]
    if close_up.finished.withheld is not None:
        spots, reason = _nowhere("the close-up is kept back itself")
    elif by_hand:
        spots, reason = _by_hand(number, by_hand, board)
    else:
        spots, reason = _as_found(close_up, board)
    return CloseUp(number=number, spots=tuple(spots), reason=reason)


def _by_hand(
    number: int, by_hand: Sequence[HandHotspot], board: Board
) -> tuple[list[Hotspot], str | None]:
    """The owner's places, on the photos they name and on the spin frames made of these."""
    spots: list[Hotspot] = []
    reason: str | None = None
    for given in by_hand:
        on = board.named(given.on)
        if on is None or on.photo.number == number:
            reason = f"options.json places it on {given.on!r}, which cannot be used"
        elif on.finished.withheld is not None:
            reason = f"options.json places it on {given.on!r}, which is kept back"
        elif (point := on.on_finished(given.x, given.y)) is None:
            reason = f"options.json places it outside the finished picture of {given.on!r}"
        else:
            place = _Place(number, given.x, given.y, by_hand=True)
            spots.append(place.at(point, on_photo=on.photo.number))
            on_frames = _on_frames(place, on, board)
            spots += on_frames
            if on.mask.matte_key is not None:
                spots += _along_walk(place, on, board, on_frames)
    return spots, reason


def _as_found(close_up: Pictured, board: Board) -> tuple[list[Hotspot], str | None]:
    """The place on the view that shows it best, and on the spin frames that show it too."""
    from okla_assets.imaging import hotspots

    number = close_up.photo.number
    seen: list[Pictured | WalkView] = [*board.views, *board.walk.searched]
    places = [hotspots.locate(close_up.close_up_features, view.features) for view in seen]
    best = hotspots.choose(places)
    if best is None:
        best = hotspots.choose_agreed(places, partial(carried, seen, places))
    found = None if best is None else places[best]
    if best is None or found is None:
        twofold = any(p.ambiguous for p in places if p is not None)
        return _nowhere(
            "it fits in more than one place" if twofold else "no exterior shows it for sure"
        )
    count = len(board.views)
    shown = hotspots.choose(places[:count])
    if shown is None and best < count:
        shown = best
    spots: list[Hotspot] = []
    if shown is not None and (where := places[shown]) is not None:
        view, place = board.views[shown], _Place(number, where.x, where.y, matches=where.matches)
        if (point := view.on_finished(place.x, place.y)) is not None:
            spots.append(place.at(point, on_photo=view.photo.number))
        spots += _on_frames(place, view, board)
    # The walk's own frames before a photo, whose camera stood elsewhere.
    on_walk = hotspots.choose(places[count:])
    start = best if on_walk is None else count + on_walk
    if (where := places[start]) is not None:
        place = _Place(number, where.x, where.y, matches=where.matches)
        spots += _along_walk(place, seen[start], board, spots)
    if not spots:
        return _nowhere("it lies outside every finished picture")
    return spots, None


class Standpoint(Protocol):
    """A picture of the vehicle whose camera is known."""

    @property
    def camera(self) -> "View | None":
        """Where it stood."""

    @property
    def copy_size(self) -> tuple[int, int]:
        """Width and height of the copy that it is given for."""


def carried(
    seen: Sequence[Standpoint],
    places: "Sequence[LocatedCloseUp | None]",
    start: int,
    end: int,
) -> tuple[float, float] | None:
    """Where the place on one of the pictures is seen on another, in shares of its copy."""
    from okla_assets.imaging.turn import carrying

    place, here, there = places[start], seen[start].camera, seen[end].camera
    if place is None or here is None or there is None:
        return None
    width, height = seen[start].copy_size
    anchor = carrying.anchored(here, place.x * width, place.y * height)
    pixel = None if anchor is None else carrying.seen_at(anchor, there)
    if pixel is None:
        return None
    width, height = seen[end].copy_size
    return pixel[0] / width, pixel[1] / height


@dataclass(frozen=True)
class _Place:
    """Where close-up `number` belongs on one picture, in shares of its copy, and who says so."""

    number: int
    x: float
    y: float
    by_hand: bool = False
    matches: int = 0

    def at(
        self,
        point: tuple[float, float],
        *,
        on_photo: int | None = None,
        on_frame: int | None = None,
    ) -> Hotspot:
        """The same place at this point of a finished picture, in shares of that."""
        return Hotspot(
            photo=self.number,
            on_photo=on_photo,
            on_frame=on_frame,
            x=round(point[0], 4),
            y=round(point[1], 4),
            by_hand=self.by_hand,
            matches=self.matches,
        )


def _along_walk(
    place: _Place, view: "Pictured | WalkView", board: Board, known: Sequence[Hotspot]
) -> list[Hotspot]:
    """The view's place on the frames of a filmed turn, but for those on which it is `known`."""
    if not board.walk.views or view.azimuth is None:
        return []
    width, height = view.copy_size
    x, y = place.x * width, place.y * height
    have = {spot.on_frame for spot in known}
    return [
        place.at(point, on_frame=position)
        for position, point in board.walk.carried(view.camera, view.azimuth, x, y)
        if position not in have
    ]


def _on_frames(place: _Place, view: Pictured, board: Board) -> list[Hotspot]:
    """The view's place on the spin frames that were made of this photo."""
    from okla_assets.imaging import hotspots

    spots = []
    if ("photo", view.photo.number) not in board.left_out:
        for position, frame in enumerate(board.spin.frames):
            made_of_it = frame.from_photo and frame.source == view.photo.number
            if not made_of_it or ("frame", position) in board.left_out:
                continue
            features = view.features, board.features_of_frame(position)
            point = hotspots.map_to_frame(place.x, place.y, *features)
            if point is not None:
                spots.append(place.at(point, on_frame=position))
    return spots


def _nowhere(reason: str) -> tuple[list[Hotspot], str | None]:
    return [], reason

"""Plates followed through the frames of a walk, so that one missed on a frame is masked all the
same.

Quads are float32 (4, 2) in pixels of their frame, clockwise from the plate's own top left corner.
Frames are neighbours in time and of one size; `turned` holds the degrees that the view has gone
round at each of them, for a turn has 8 frames or 72, and what a plate may do from one to the next
depends on how far they are apart. Tracking is a privacy control: where it is unsure it covers more,
never less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from okla_assets.imaging.plates.quads import quad_box, spanned
from okla_assets.imaging.plates.rims import Reach, rim_near
from okla_assets.imaging.types import Corners, Floats, Rgb

MOST_MISSED = 4  # frames in a row that a plate may be missed on and still be the same
MOST_TURNED = 65.0  # degrees, the same: from farther round another plate is seen, front or rear
REACH = 1.5  # of the larger plate's width: how far from where it is expected it may be found
SIZE_CHANGE = 2.0  # ratio of sizes, a frame apart, beyond which they are two plates
BEYOND = 1  # frames past a track's ends that are covered too
BEYOND_TURNED = 20.0  # degrees, the same: farther on it may have turned out of view
STEADY = 1.0  # of a plate's width a frame: one that moves faster is next to be found anywhere
VANISHING = 0.25  # of a track's largest width: narrower, it turned out of view by itself
GUESSED = 0.20  # of its size a side: how much larger the cover of a plate is that was not detected
PART = 0.8  # of the expected width or height: a smaller detection is of a part
COARSE = 0.03  # the same for one that was detected coarsely
BETWEEN = 0.06  # the same between two detections, for each frame that lies between them
RIM = Reach(inwards=0.2, outwards=0.2, turn=0.1, support=0.8)
"""Where the edges of a known plate are looked for round the middle of a coarse detection."""
LIKE_KNOWN = (0.85, 1.2)  # of a known plate's width and height: those of edges that are its own


@dataclass(frozen=True, eq=False)
class TrackedPlate:
    """A plate on one frame; `seen` is False where it is only known from its neighbours.

    `spare` is by how much of its size a side the quad is larger than the plate is taken to be.
    """

    quad: Corners
    score: float
    seen: bool = True
    spare: float = 0.0

    @property
    def bare(self) -> Corners:
        """The quad without what it has to spare."""
        return _scaled(self.quad, 1 / (1 + 2 * self.spare))


@dataclass(eq=False)
class _Track:
    frames: list[int] = field(default_factory=list)
    plates: list[TrackedPlate] = field(default_factory=list)

    def expected(self, frame: int) -> Corners:
        """Where the plate should be on a frame after or before its last detection."""
        return _extrapolated(self.frames, self.plates, frame, at_end=True)


def follow(
    detections: Sequence[Sequence[TrackedPlate] | None], turned: Sequence[float]
) -> list[list[TrackedPlate]]:
    """Every frame's plates: those detected on it, and those that its neighbours imply.

    `detections` holds the plates of each frame, None where no detector ran; `turned` is as long.
    Between two detections a plate is interpolated; past the first and last it is covered for BEYOND
    frames more, unless it was turning out of view or moves too fast to be predicted.
    """
    followed: list[list[TrackedPlate]] = [list(plates or ()) for plates in detections]
    for track in _tracks(detections, turned):
        for frame, quad, spare in _unseen(track, turned):
            score = float(np.mean([plate.score for plate in track.plates]))
            cover = padded_by(quad, spare)
            followed[frame].append(TrackedPlate(cover, score, seen=False, spare=spare))
    return followed


def undecided(
    detections: Sequence[Sequence[TrackedPlate] | None], turned: Sequence[float]
) -> list[int]:
    """Frames without detections next to which a plate appears or goes: detect there too."""
    tracks = _tracks(detections, turned)
    frames = []
    for frame, plates in enumerate(detections):
        if plates is not None:
            continue
        ends = [t for t in tracks if frame - 1 == t.frames[-1] or frame + 1 == t.frames[0]]
        if ends:
            frames.append(frame)
    return frames


def matched(plate: TrackedPlate, known: Sequence[TrackedPlate]) -> TrackedPlate | None:
    """The known plate that one on the same frame may be: their middles lie in each other."""
    for other in known:
        gap = np.abs(plate.quad.mean(axis=0) - other.quad.mean(axis=0))
        sizes = np.maximum(np.ptp(plate.quad, axis=0), np.ptp(other.quad, axis=0))
        if (gap <= 0.6 * sizes).all():
            return other
    return None


def fitted(photo: Rgb, known: TrackedPlate, plate: TrackedPlate) -> TrackedPlate:
    """A known plate, whose shape is trusted, where a coarse detection on the photo has it.

    A detection much smaller than the plate shows only a part of it: then both are covered. Else it
    ends where the photo shows its edges, if these are about as far apart as they are known to be.
    """
    box, expected = quad_box(plate.quad), quad_box(known.quad)
    score = max(known.score, plate.score)
    if box[2] < PART * expected[2] or box[3] < PART * expected[3]:
        both = np.concatenate([plate.quad, known.quad])
        (x0, y0), (x1, y1) = both.min(axis=0), both.max(axis=0)
        box = float(x0), float(y0), float(x1 - x0), float(y1 - y0)
    elif (edges := _edges(photo, known.bare, plate.quad.mean(axis=0))) is not None:
        return TrackedPlate(padded_by(edges, COARSE), score, spare=COARSE)
    return TrackedPlate(padded_by(spanned(known.quad, box), COARSE), score)


def _edges(photo: Rgb, known: Corners, middle: Floats) -> Corners | None:
    """A known plate's edges about a point of the photo; None where they are not surely its own."""
    rim = rim_near(photo, np.asarray(known - known.mean(axis=0) + middle, np.float32), RIM)
    if rim is None or min(rim.support) < RIM.support:
        return None
    least, most = LIKE_KNOWN
    ratios = np.array(quad_box(rim.quad)[2:]) / np.maximum(quad_box(known)[2:], 1e-6)
    return rim.quad if ((least <= ratios) & (ratios <= most)).all() else None


def _tracks(
    detections: Sequence[Sequence[TrackedPlate] | None], turned: Sequence[float]
) -> list[_Track]:
    tracks: list[_Track] = []
    for frame, plates in enumerate(detections):
        open_tracks = [
            track
            for track in tracks
            if 0 < frame - (last := track.frames[-1]) <= MOST_MISSED + 1
            and abs(turned[frame] - turned[last]) <= MOST_TURNED
        ]
        pairs = sorted(
            (
                (distance, i, j)
                for i, track in enumerate(open_tracks)
                for j, plate in enumerate(plates or ())
                if (distance := _distance(track, frame, plate.quad)) is not None
            ),
            key=lambda pair: pair[0],
        )
        taken_tracks: set[int] = set()
        taken_plates: set[int] = set()
        for _, i, j in pairs:
            if i in taken_tracks or j in taken_plates:
                continue
            taken_tracks.add(i)
            taken_plates.add(j)
            open_tracks[i].frames.append(frame)
            open_tracks[i].plates.append((plates or ())[j])
        tracks += [
            _Track([frame], [plate])
            for j, plate in enumerate(plates or ())
            if j not in taken_plates
        ]
    return tracks


def _distance(track: _Track, frame: int, quad: Corners) -> float | None:
    """How far a quad is from where the track's plate should be, in widths; None for too far."""
    expected = track.expected(frame)
    sizes = _width(expected), _width(quad)
    steps = frame - track.frames[-1]
    if max(sizes) > min(sizes) * SIZE_CHANGE * steps:
        return None
    apart = float(np.hypot(*(expected.mean(axis=0) - quad.mean(axis=0)))) / max(sizes)
    return apart if apart <= REACH else None


def _width(quad: Corners) -> float:
    """The longer of a plate's extents across and down, at least a pixel."""
    return max(1.0, float(np.ptp(quad, axis=0).max()))


def _unseen(track: _Track, turned: Sequence[float]) -> list[tuple[int, Corners, float]]:
    """Frames, where the plate is on them, and how much larger its cover has to be."""
    covers = []
    for (a, first), (b, second) in zip(
        zip(track.frames, track.plates, strict=True),
        zip(track.frames[1:], track.plates[1:], strict=False),
        strict=False,
    ):
        for frame in range(a + 1, b):
            gone = (frame - a) / (b - a)
            between = (1 - gone) * first.quad + gone * second.quad
            share = min(GUESSED, BETWEEN * (b - a - 1))
            covers.append((frame, between.astype(np.float32), share))
    widest = max(float(np.ptp(plate.quad[:, 0])) for plate in track.plates)
    for end, at_end in ((0, False), (-1, True)):
        width, height = np.ptp(track.plates[end].quad, axis=0)
        # Seen edge-on a plate is higher than wide.
        if width < max(VANISHING * widest, height) or not _predictable(track, at_end):
            continue
        last = track.frames[end]
        for step in range(1, BEYOND + 1):
            frame = last + (step if at_end else -step)
            if not 0 <= frame < len(turned):
                continue
            if abs(turned[frame] - turned[last]) <= BEYOND_TURNED:
                quad = _extrapolated(track.frames, track.plates, frame, at_end)
                covers.append((frame, quad, GUESSED))
    return covers


def _predictable(track: _Track, at_end: bool) -> bool:
    """Whether a track moves so little a frame that its next position is known."""
    if len(track.plates) < 2:
        return False
    last, before = (-1, -2) if at_end else (0, 1)
    steps = abs(track.frames[last] - track.frames[before])
    quads = track.plates[last].quad, track.plates[before].quad
    moved = float(np.hypot(*(quads[0].mean(axis=0) - quads[1].mean(axis=0)))) / steps
    return moved <= STEADY * _width(quads[0])


def _extrapolated(
    frames: Sequence[int], plates: Sequence[TrackedPlate], frame: int, at_end: bool
) -> Corners:
    """The last (or first) quad moved on at the speed of the two nearest detections."""
    end, before = (-1, -2) if at_end else (0, 1)
    quad = plates[end].quad
    if len(plates) < 2:
        return quad
    speed = (quad.mean(axis=0) - plates[before].quad.mean(axis=0)) / (frames[end] - frames[before])
    return np.asarray(quad + speed * (frame - frames[end]), np.float32)


def padded_by(quad: Corners, share: float) -> Corners:
    """The quad let out by `share` of its size on every side."""
    return _scaled(quad, 1 + 2 * share)


def _scaled(quad: Corners, factor: float) -> Corners:
    middle = quad.mean(axis=0)
    return np.asarray(middle + (quad - middle) * factor, np.float32)

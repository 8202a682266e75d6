"""A plate that is missed on a frame is covered all the same; nothing is covered for no reason."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from okla_assets.imaging.plates import tracks
from okla_assets.imaging.plates.quads import box_quad, contains, padded, to_quad
from okla_assets.imaging.plates.tracks import TrackedPlate, fitted, matched
from okla_assets.imaging.turn.walkaround import unwrapped
from okla_assets.imaging.types import Corners, Rgb
from okla_assets.sample.truth import truth

PLATE_WIDTH, PLATE_HEIGHT = 60, 20
PLAIN = np.full((400, 600, 3), 120, np.uint8)
Seen = Sequence[Sequence[TrackedPlate] | None]


def follow(seen: Seen, apart: float = 10.0) -> list[list[TrackedPlate]]:
    """The plates of frames that are `apart` degrees from each other."""
    return tracks.follow(seen, [apart * frame for frame in range(len(seen))])


def undecided(seen: Seen) -> list[int]:
    return tracks.undecided(seen, [10.0 * frame for frame in range(len(seen))])


def plate(frame: int, width: float = PLATE_WIDTH) -> TrackedPlate:
    """A plate that walks 25 pixels a frame to the right and 3 down."""
    return TrackedPlate(box_quad((100 + 25 * frame, 200 + 3 * frame, width, PLATE_HEIGHT)), 0.9)


def covered(spots: list[TrackedPlate], wanted: TrackedPlate) -> bool:
    """Whether some spot covers all corners of a plate."""
    return any(contains(spot.quad, wanted.quad).all() for spot in spots)


@pytest.mark.parametrize("missed", [{5}, {5, 6}, {3, 4, 5, 6}, {2, 5, 9}])
def test_a_missed_plate_is_covered_from_its_neighbours(missed: set[int]) -> None:
    seen = [[] if f in missed else [plate(f)] for f in range(12)]
    for frame, spots in enumerate(follow(seen)):
        assert covered(spots, plate(frame)), frame
        assert len(spots) == 1
        assert spots[0].seen == (frame not in missed)


def test_frames_nobody_looked_at_are_covered_too() -> None:
    seen = [[plate(f)] if f % 2 == 0 else None for f in range(13)]
    assert all(covered(spots, plate(f)) for f, spots in enumerate(follow(seen)))


def test_a_plate_is_covered_a_frame_past_its_last_sighting() -> None:
    seen = [[plate(f)] if 3 <= f <= 6 else [] for f in range(12)]
    spots = follow(seen)
    assert [bool(s) for s in spots] == [2 <= f <= 7 for f in range(12)]
    assert covered(spots[7], plate(7))
    assert covered(spots[2], plate(2))


def test_a_plate_that_turned_out_of_view_leaves_no_patch() -> None:
    widths = [60, 40, 24, 12]
    seen = [[plate(f, widths[f])] if f < 4 else [] for f in range(8)]
    assert not any(follow(seen)[4:])


def test_a_plate_seen_edge_on_leaves_no_patch() -> None:
    """The walk began when it was narrow already: what its largest width was, nobody saw."""
    seen = [
        [TrackedPlate(box_quad((100 + 5 * f, 200, 18, 24)), 0.9)] if f < 3 else [] for f in range(6)
    ]
    assert not any(follow(seen)[3:])


@pytest.mark.parametrize(("apart", "covers"), [(10, True), (20, True), (45, False)])
def test_how_long_a_plate_may_be_missed_is_told_by_how_far_the_view_has_gone_round(
    apart: float, covers: bool
) -> None:
    seen = [[plate(f)] if f != 2 else [] for f in range(5)]
    assert bool(follow(seen, apart)[2]) is covers
    ended = [[plate(f)] if f < 2 else [] for f in range(3)]
    assert bool(follow(ended, apart)[2]) is covers


@pytest.mark.parametrize("count", [8, 12, 18, 24, 36, 72])
def test_a_turn_of_any_number_of_frames_is_covered_on_its_plates_only(count: int) -> None:
    """The sample's walk, its plates as a detector sees them, each missed once in three times."""
    frames = truth().video.frames[:: 72 // count]
    turned = unwrapped([f.azimuth_deg for f in frames]).tolist()
    there = [[np.array(p.quad, np.float32) for p in f.plates] for f in frames]
    seen = [
        [TrackedPlate(q, 0.9) for q in quads if np.ptp(q[:, 0]) > 9 and (count < 36 or i % 3)]
        for i, quads in enumerate(there)
    ]
    for i, spots in enumerate(tracks.follow(seen, turned)):
        for spot in spots:
            middle = spot.quad.mean(axis=0)
            gaps = [
                np.hypot(*(middle - q.mean(axis=0))) / np.ptp(q, axis=0).max() for q in there[i]
            ]
            assert min(gaps, default=9) < 0.5, (count, frames[i].azimuth_deg)
        for quad in there[i]:
            if count >= 36 and np.ptp(quad[:, 0]) > 25 and 0 < i < count - 1:
                across, down = (np.linspace(0, 1, 21)[:, None] for _ in range(2))
                top = quad[0] + across * (quad[1] - quad[0])
                low = quad[3] + across * (quad[2] - quad[3])
                points = (top[:, None] + down * (low - top)[:, None]).reshape(-1, 2)
                hidden = max(contains(padded(s.quad), points).mean() for s in spots)
                assert hidden > 0.95, (count, frames[i].azimuth_deg)


def test_two_plates_are_not_mixed_up() -> None:
    other = TrackedPlate(box_quad((700, 100, 80, 30)), 0.8)
    seen = [[plate(f), other] if f != 4 else [other] for f in range(9)]
    fourth = follow(seen)[4]
    assert len(fourth) == 2
    assert covered(fourth, plate(4))
    assert covered(fourth, other)


def test_a_sign_seen_once_is_covered_once() -> None:
    far = TrackedPlate(box_quad((900, 50, 50, 20)), 0.7)
    seen = [[far] if f == 5 else [] for f in range(11)]
    assert [f for f, spots in enumerate(follow(seen)) if spots] == [5]


def test_a_plate_that_leaps_from_frame_to_frame_leaves_no_patch_elsewhere() -> None:
    """As on sixteen views of a turn: where it is next, its speed does not tell."""
    seen = [
        [TrackedPlate(box_quad((100 + 90 * f, 200, 60, 20)), 0.9)] if f < 4 else []
        for f in range(6)
    ]
    assert [len(spots) for spots in follow(seen)] == [1, 1, 1, 1, 0, 0]


def test_where_a_plate_comes_or_goes_somebody_has_to_look() -> None:
    seen = [([plate(f)] if 4 <= f <= 8 else []) if f % 2 == 0 else None for f in range(13)]
    assert undecided(seen) == [3, 9]
    assert undecided([None if f % 2 else [] for f in range(9)]) == []


def test_nothing_seen_is_nothing_covered() -> None:
    assert follow([[], None, []]) == [[], [], []]
    assert np.array(follow([])).size == 0


def test_a_coarse_sighting_says_where_and_the_track_which_shape() -> None:
    tilted = TrackedPlate(
        np.array([[100, 100], [160, 110], [160, 130], [100, 120]], np.float32), 0.9
    )
    box = TrackedPlate(box_quad((130, 103, 60, 30)), 0.4)
    found = fitted(PLAIN, tilted, box)
    assert found.seen
    assert contains(found.quad, tilted.quad + np.array([30, 3])).all()
    assert np.ptp(found.quad, axis=0) == pytest.approx([60 * 1.06, 30 * 1.06], abs=0.1)


def photo_of(quad: Corners) -> Rgb:
    """A white plate with characters on a car."""
    photo = PLAIN.copy()
    cv2.fillConvexPoly(photo, np.rint(quad).astype(np.int32), (230, 230, 228), cv2.LINE_AA)
    matrix = to_quad(quad, 120, 40)
    for left in range(12, 100, 16):
        stroke = np.array([[[left, 10], [left + 7, 10], [left + 7, 30], [left, 30]]], np.float32)
        there = cv2.perspectiveTransform(stroke, matrix)[0]
        cv2.fillConvexPoly(photo, np.rint(there).astype(np.int32), (20, 20, 20), cv2.LINE_AA)
    return photo


@pytest.mark.parametrize("off", [(0, 0), (4, 3), (-5, -6)])
def test_a_plate_ends_at_its_edges_where_a_coarse_sighting_is_too_large(
    off: tuple[int, int],
) -> None:
    """As high as the sighting, its cover would jump up and down from frame to frame."""
    quad = np.array([[200, 150], [320, 158], [320, 198], [200, 190]], np.float32)
    known = TrackedPlate(
        tracks.padded_by(quad - np.array([14, 9], np.float32), 0.06), 0.9, seen=False, spare=0.06
    )
    box = TrackedPlate(box_quad((196 + off[0], 140 + off[1], 130, 75)), 0.4)
    found = fitted(photo_of(quad), known, box)
    assert contains(found.quad, quad).all()
    assert np.ptp(found.quad, axis=0) == pytest.approx(np.ptp(quad, axis=0) * 1.06, rel=0.06)


def test_edges_that_are_not_the_plates_do_not_count() -> None:
    """A white bumper's, say: then all of the sighting is covered."""
    quad = np.array([[200, 150], [320, 158], [320, 198], [200, 190]], np.float32)
    known = TrackedPlate(quad, 0.9)
    larger = tracks.padded_by(quad, 0.15)
    found = fitted(photo_of(larger), known, TrackedPlate(larger, 0.4))
    assert contains(found.quad, larger).all()


def test_half_a_plate_seen_does_not_bare_the_other_half() -> None:
    half = TrackedPlate(box_quad((100, 200, PLATE_WIDTH / 2, PLATE_HEIGHT)), 0.4)
    assert covered([fitted(PLAIN, plate(0), half)], plate(0))


def test_a_sighting_elsewhere_is_no_known_plate() -> None:
    assert matched(plate(0), [plate(10), plate(0)]) is not None
    assert matched(plate(0), [plate(4)]) is None

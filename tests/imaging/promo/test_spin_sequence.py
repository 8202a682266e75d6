"""A turn that turns."""

import cv2
import numpy as np

from okla_assets.imaging.promo.spin_sequence import SpinSequence


def turn_of(gap: float) -> SpinSequence:
    """A textured disc that steps 8 pixels to the right from picture to picture."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (300, 400), np.uint8), (0, 0), 3)
    pictures = []
    for step in range(4):
        picture = np.full((300, 400), 220, np.uint8)
        x, y = np.meshgrid(np.arange(400) - 150 - 8 * step, np.arange(300) - 150)
        inside = np.hypot(x, y) < 70
        picture[inside] = np.roll(texture, 8 * step, axis=1)[inside]
        pictures.append(np.repeat(picture[..., None], 3, axis=2))
    return SpinSequence(lambda i: pictures[i], [gap] * 4)


def test_a_turn_is_continuous_between_near_pictures() -> None:
    turn = turn_of(10)
    first, second, between = (turn.at(s).y for s in (0.0, 0.25, 0.125))
    shifted = np.roll(first, 4, axis=1)
    inner = (slice(100, 200), slice(110, 200))
    morphed = np.abs(between[inner].astype(int) - shifted[inner]).mean()
    mixed = np.abs((first[inner].astype(int) + second[inner]) / 2 - shifted[inner]).mean()
    assert morphed < 0.35 * mixed
    assert np.array_equal(turn.at(1.0).y, first)


def test_across_a_wide_gap_one_picture_is_seen_at_a_time() -> None:
    turn = turn_of(22.5)
    first, second = turn.at(0.0).y, turn.at(0.25).y
    assert np.array_equal(turn.at(0.25 * 0.45).y, first)
    assert np.array_equal(turn.at(0.25 * 0.55).y, second)


def test_what_has_no_way_from_picture_to_picture_is_never_seen_twice() -> None:
    """A dark bar that stands left in one picture and right in the next, too far for the flow."""
    pictures = [np.full((240, 320, 3), 200, np.uint8) for _ in range(2)]
    pictures[0][60:180, 40:60] = 30
    pictures[1][60:180, 250:270] = 30
    turn = SpinSequence(lambda i: pictures[i], [10.0, 10.0])
    for share in (0.3, 0.45, 0.55, 0.7):
        moment = turn.at(0.5 * share).y
        dark = [
            bool((moment[80:160, part] < 90).any()) for part in (slice(0, 160), slice(160, 320))
        ]
        assert sum(dark) == 1
        faint = (moment[80:160] > 100) & (moment[80:160] < 150)
        assert faint.mean() < 0.03


def test_no_way_between_two_pictures_tears_what_it_moves() -> None:
    """A patch that comes into view on a car that moves: its own flow leads anywhere."""
    rng = np.random.default_rng(4)
    texture, other = (
        cv2.GaussianBlur(rng.integers(0, 255, (300, 400), np.uint8), (0, 0), 3) for _ in range(2)
    )
    pictures = []
    for step in range(2):
        picture = np.full((300, 400), 220, np.uint8)
        picture[80:220, 100 + 9 * step : 300] = np.roll(texture, 9 * step, axis=1)[
            80:220, 100 + 9 * step : 300
        ]
        if step:
            picture[150:220, 240:300] = other[150:220, 240:300]
        pictures.append(np.repeat(picture[..., None], 3, axis=2))
    turn = SpinSequence(lambda i: pictures[i], [10.0, 10.0])
    turn.at(0.25)
    assert turn._flows is not None
    for flow in turn._flows[1]:
        sides = 400 / flow.shape[1]
        columns, rows = (np.diff(flow, axis=axis) / sides for axis in (1, 0))
        assert max(np.abs(columns).max(), np.abs(rows).max()) < 0.35
    assert abs(np.median(turn._flows[1][0][20:55, 30:70, 0]) - 9) < 1

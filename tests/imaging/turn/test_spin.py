"""The turn stands still, keeps its size, starts at the front quarter; on made mattes."""

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.studio.placement import MOST_UPSCALE
from okla_assets.imaging.turn import spin
from okla_assets.imaging.turn.spin import Stand

ASPECT = 4 / 3
AROUND = [float(a) for a in range(0, 360, 10)]


def car_box(azimuth: float, near: float = 1.0, x: float = 640, y: float = 700) -> Stand:
    """The box of a car 3 heights long and 1.2 wide, 300 pixels high, seen from a low camera."""
    sine, cosine = abs(np.sin(np.radians(azimuth))), abs(np.cos(np.radians(azimuth)))
    width = 300 * near * (3.0 * sine + 1.2 * cosine)
    height = 300 * near * (1 + 0.1 * (3.0 * cosine + 1.2 * sine))
    return Stand(x - width / 2, x + width / 2, y - height, y)


def on_canvas(stand: Stand, move: tuple[float, float, float]) -> Stand:
    scale, dx, dy = move
    return Stand(
        scale * stand.left + dx,
        scale * stand.right + dx,
        scale * stand.top + dy,
        scale * stand.ground + dy,
    )


def test_a_shaking_hand_does_not_shake_the_car() -> None:
    rng = np.random.default_rng(5)
    stands = [
        car_box(a, 1.0, 640 + float(rng.normal(0, 30)), 700 + float(rng.normal(0, 20)))
        for a in AROUND
    ]
    canvas = spin.steady(stands, AROUND, 1280, ASPECT)
    placed = [on_canvas(s, m) for s, m in zip(stands, canvas.moves, strict=True)]
    assert np.ptp([p.centre for p in placed]) < 0.005 * canvas.width
    ground = np.array([p.ground for p in placed])
    trend = (np.roll(ground, 1) + np.roll(ground, -1)) / 2
    assert np.abs(ground - trend).max() < 0.005 * canvas.height


@pytest.mark.parametrize("count", [8, 12, 18, 24, 36, 72])
def test_a_person_who_comes_nearer_does_not_blow_up_the_car(count: int) -> None:
    around = [360.0 * i / count for i in range(count)]
    near = [1 + 0.25 * np.sin(np.radians(a)) for a in around]
    stands = [car_box(a, n) for a, n in zip(around, near, strict=True)]
    canvas = spin.steady(stands, around, 1280, ASPECT)
    size = np.array([scale * n for (scale, _, _), n in zip(canvas.moves, near, strict=True)])
    assert np.ptp(size) < 0.06 * size.mean()


def test_a_turntable_keeps_one_scale() -> None:
    canvas = spin.steady([car_box(a) for a in AROUND], AROUND, 1280, ASPECT)
    scales = [scale for scale, _, _ in canvas.moves]
    assert max(scales) < 1.01 * min(scales)


def test_the_car_stays_on_the_canvas() -> None:
    stands = [car_box(a) for a in AROUND]
    canvas = spin.steady(stands, AROUND, 1280, ASPECT)
    assert (canvas.width, canvas.height) == (1280, 960)
    for stand, move in zip(stands, canvas.moves, strict=True):
        placed = on_canvas(stand, move)
        assert placed.left > 0.03 * canvas.width
        assert placed.right < 0.97 * canvas.width
        assert placed.top > 0.05 * canvas.height
        assert placed.ground < 0.93 * canvas.height


def test_small_frames_are_not_blown_up() -> None:
    small = [Stand(s.left / 2, s.right / 2, s.top / 2, s.ground / 2) for s in map(car_box, AROUND)]
    canvas = spin.steady(small, AROUND, 1280, ASPECT)
    assert max(scale for scale, _, _ in canvas.moves) <= MOST_UPSCALE + 0.01
    assert canvas.width < 1280


def test_nothing_is_enlarged_beyond_half_as_large_again() -> None:
    tiny = [Stand(s.left / 9, s.right / 9, s.top / 9, s.ground / 9) for s in map(car_box, AROUND)]
    canvas = spin.steady(tiny, AROUND, 1280, ASPECT)
    assert max(scale for scale, _, _ in canvas.moves) <= MOST_UPSCALE


def test_a_photo_in_a_walks_gap_keeps_its_own_scale() -> None:
    """A photo is three times as large as the frames: smoothed with them it would be too."""
    stands = [car_box(a, 3.0 if a == 100 else 1.0) for a in AROUND]
    walked = [a != 100 for a in AROUND]
    canvas = spin.steady(stands, AROUND, 1280, ASPECT, walked=walked)
    widths = [on_canvas(s, m).width for s, m in zip(stands, canvas.moves, strict=True)]
    assert widths[10] == pytest.approx((widths[9] + widths[11]) / 2, rel=0.02)


def test_photos_fill_wide_gaps_until_these_are_narrow() -> None:
    turn = [float(a) for a in range(30, 331, 10)]
    assert spin.fillers(turn, [2.0, 100.0, 15.0, 327.0, 345.0]) == [0, 2, 4]
    assert spin.fillers(AROUND, [5.0, 15.0]) == []


def test_a_wide_gap_and_a_missing_front_are_told() -> None:
    assert spin.flaws(AROUND) == ()
    (gap,) = spin.flaws([a for a in AROUND if not 80 < a < 120])
    assert "jumps by 40 degrees, from 80 to 120" in gap
    gap, front = spin.flaws([a for a in AROUND if 10 < a < 350])
    assert "from 340 to 20" in gap
    assert "lacks the front" in front


@pytest.mark.parametrize("direction", [1, -1])
def test_the_turn_starts_at_the_front_quarter_and_azimuths_grow(direction: int) -> None:
    azimuths = [(200 + direction * 10 * i) % 360 for i in range(36)]
    order = spin.turn_order(azimuths, direction)
    turned = [azimuths[i] for i in order]
    assert turned[0] in (40, 50)
    assert all((b - a) % 360 == 10 for a, b in pairwise(turned))


def test_sixteen_photos_around_make_a_turn() -> None:
    azimuths = [22.5 * i for i in range(16)]
    chosen = spin.round_the_vehicle(azimuths[::-1], [1.0] * 16)
    assert [azimuths[::-1][i] for i in chosen] == [(45 + 22.5 * i) % 360 for i in range(16)]


def test_of_photos_that_show_the_same_the_better_is_taken() -> None:
    azimuths = [*(40.0 * i for i in range(9)), 43.0]
    chosen = spin.round_the_vehicle(azimuths, [1.0] * 9 + [2.0])
    assert len(chosen) == 9
    assert 9 in chosen
    assert 1 not in chosen


@pytest.mark.parametrize(
    "azimuths",
    [[], [45.0 * i for i in range(7)], [20.0 * i for i in range(14)], [10.0] * 20],
    ids=["none", "too few", "a hole", "one view"],
)
def test_photos_that_do_not_go_round_make_none(azimuths: list[float]) -> None:
    assert spin.round_the_vehicle(azimuths, [1.0] * len(azimuths)) == []


def disc(x: float, y: float) -> npt.NDArray[np.float32]:
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float32)
    return np.asarray(np.clip(60.5 - np.hypot(columns + 0.5 - x, rows + 0.5 - y), 0, 1))


def test_a_stand_is_measured_between_the_pixels() -> None:
    first, second = spin.stand_of(disc(200, 150)), spin.stand_of(disc(200.4, 150.25))
    assert second.centre - first.centre == pytest.approx(0.4, abs=0.3)
    assert second.ground - first.ground == pytest.approx(0.25, abs=0.3)
    matte = np.zeros((9, 9), np.float32)
    with pytest.raises(ValueError, match="empty"):
        spin.stand_of(matte)
    matte[4, 4] = 1  # a stray pixel
    with pytest.raises(ValueError, match="empty"):
        spin.stand_of(matte)


@pytest.mark.parametrize("scale", [0.45, 0.8, 1.3])
def test_pixels_are_moved_by_parts_of_a_pixel(scale: float) -> None:
    move = (scale, 20.3, 11.6)
    moved = spin.moved_to(disc(200, 150), move, 600, 450, cv2.INTER_LINEAR)
    before, after = spin.stand_of(disc(200, 150)), spin.stand_of(np.asarray(moved, np.float32))
    assert after.centre == pytest.approx(on_canvas(before, move).centre, abs=0.5)
    assert after.ground == pytest.approx(on_canvas(before, move).ground, abs=0.5)

"""Which looks make a turn, and which frames stand for it."""

from collections.abc import Sequence

import numpy as np
import pytest

from okla_assets.imaging.photo.refusals import Refused
from okla_assets.imaging.turn.walkaround import Observation, find_turn, gaps_of, moments_of

ONE_WAY = [float(a) for a in range(0, 360, 9)]


def looks(azimuths: Sequence[float | None], step: float = 1.0) -> list[Observation]:
    return [Observation(i * step, a if a is None else a % 360, 0.9) for i, a in enumerate(azimuths)]


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("first", [0, 200])
def test_a_circle_is_a_turn_from_where_it_starts(direction: int, first: int) -> None:
    turn = find_turn(looks([first + direction * a for a in ONE_WAY]))
    assert turn.direction == direction
    assert (turn.start, turn.end) == (0, 39)
    assert turn.azimuth_at(10) == pytest.approx((first + direction * 90) % 360, abs=2)


def test_noise_does_not_turn_back() -> None:
    rng = np.random.default_rng(1)
    noisy = [a + float(rng.normal(0, 8)) for a in ONE_WAY]
    turn = find_turn(looks(noisy))
    assert (np.diff(turn.turned) >= 0).all()
    truth = np.array([turn.azimuth_at(t) for t in range(2, 38)])
    assert np.abs(truth - np.array(ONE_WAY[2:38])).max() < 15


def test_a_look_that_takes_front_for_rear_is_left_out() -> None:
    flipped = [a + 180 if i == 12 else a for i, a in enumerate(ONE_WAY)]
    assert find_turn(looks(flipped)).azimuth_at(12) == pytest.approx(ONE_WAY[12], abs=3)


@pytest.mark.parametrize("wrong", [(0,), (39,), (0, 39), (9, 11), (3, 9, 11, 20), (20, 21)])
def test_looks_half_a_turn_off_cost_no_part_of_the_walk(wrong: tuple[int, ...]) -> None:
    azimuths = [a + 180 if i in wrong else a for i, a in enumerate(ONE_WAY)]
    turn = find_turn(looks(azimuths))
    assert turn.turned[-1] == pytest.approx(351, abs=20)
    for right in set(range(1, 39)) - set(wrong):
        assert turn.azimuth_at(right) == pytest.approx(ONE_WAY[right], abs=4)


def test_few_looks_of_a_quick_walk_all_count() -> None:
    turn = find_turn(looks([0, 88, 170, 262, 345]))
    assert turn.turned[-1] == pytest.approx(345, abs=1)


def test_two_rounds_count_once() -> None:
    turn = find_turn(looks([2.0 * a for a in ONE_WAY]))
    assert turn.turned[-1] <= 360
    assert 18 <= turn.end <= 20


def test_standing_still_before_and_after_is_no_part_of_it() -> None:
    azimuths = [0.0] * 10 + ONE_WAY + [351.0] * 10
    turn = find_turn(looks(azimuths))
    assert turn.start >= 8
    assert turn.end <= 50


def test_what_comes_after_the_walk_is_no_part_of_it() -> None:
    turn = find_turn(looks([*ONE_WAY, *[None] * 20]))
    assert turn.end == 39


@pytest.mark.parametrize(
    ("azimuths", "reason"),
    [
        ([114 + 0.6 * i for i in range(40)], "not_a_turn"),
        ([float(a) for a in range(0, 280, 7)], "not_a_turn"),
        ([*range(0, 180, 9), *range(180, 0, -9)], "not_a_turn"),
        ([90.0] * 30, "not_a_turn"),
        ([None] * 30, "no_vehicle"),
        ([*[None] * 30, 10.0, 20.0], "no_vehicle"),
    ],
)
def test_what_does_not_go_round_is_refused(azimuths: list[float | None], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        find_turn(looks(azimuths))
    assert refused.value.reason == reason


def test_moments_are_equidistant_and_sharp() -> None:
    turn = find_turn(looks(ONE_WAY))
    times = [0.1 * i for i in range(391)]
    sharpness = [9.0 if i % 4 == 0 else 1.0 for i in range(391)]
    chosen = moments_of(turn, times, sharpness, 36)
    assert len(chosen) == 36
    assert all(sharpness[i] == 9 for i in chosen)
    assert np.diff([times[i] for i in chosen]).max() <= 1.5 * 39 / 36


def test_moments_lie_equally_far_apart_round_the_car_whatever_the_pace() -> None:
    """Half of the way is walked at a third of the pace."""
    slow, fast = np.arange(0, 180, 6.0), np.arange(180, 360, 18.0)
    turn = find_turn(looks([*slow, *fast, 359.0]))
    times = [turn.start + (turn.end - turn.start) * i / 400 for i in range(401)]
    chosen = moments_of(turn, times, [1.0] * 401, 36)
    assert len(chosen) == 36
    assert max(gaps_of([turn.azimuth_at(times[i]) for i in chosen])) < 12


@pytest.mark.parametrize("seed", range(3))
def test_a_walk_of_ten_seconds_leaves_no_wide_gap(seed: int) -> None:
    """120 frames, looks that err by 3 degrees; nothing is cut off at the walk's ends."""
    errors = np.random.default_rng(seed).normal(0, 3, 32)
    at = np.linspace(0, 119 / 12, 32)
    walk = [Observation(t, (30 + 36 * t + e) % 360, 0.9) for t, e in zip(at, errors, strict=True)]
    turn = find_turn(walk)
    times = [i / 12 for i in range(120)]
    chosen = moments_of(turn, times, [1.0] * 120, 36)
    assert len(chosen) == 36
    assert max(gaps_of([(30 + 36 * times[i]) % 360 for i in chosen])) <= 15
    assert max(gaps_of([turn.azimuth_at(times[i]) for i in chosen])) <= 15


@pytest.mark.parametrize("seed", range(3))
def test_few_frames_are_chosen_so_that_no_step_jumps(seed: int) -> None:
    """Three or four frames to a step, round an oval: four where the view goes slowly."""
    rng = np.random.default_rng(seed)
    at = 2 * np.pi * np.arange(120) / 120
    truth = np.degrees(np.unwrap(np.arctan2(5.5 * np.sin(at), 6.0 * np.cos(at))))
    times = [i / 12 for i in range(120)]
    seen = np.interp(np.linspace(0, times[-1], 32), times, truth) + rng.normal(0, 3, 32)
    turn = find_turn(looks(list(seen), times[-1] / 31))
    chosen = moments_of(turn, times, list(np.exp(rng.normal(0, 0.3, 120))), 36)
    assert len(chosen) == 36
    assert max(gaps_of([turn.azimuth_at(times[i]) for i in chosen])) <= 12.2


def test_a_short_clip_gives_every_frame_once() -> None:
    turn = find_turn(looks(ONE_WAY))
    assert moments_of(turn, [float(t) for t in range(40)], [1.0] * 40, 72) == list(range(40))


def test_a_walk_never_turns_back() -> None:
    noise = np.random.default_rng(2).normal(0, 12, len(ONE_WAY))
    turn = find_turn(looks([(a + n) % 360 for a, n in zip(ONE_WAY, noise, strict=True)]))
    assert np.diff(turn.turned).min() >= 0


def test_gaps_go_all_round() -> None:
    assert gaps_of([45, 135, 225, 315]) == (90, 90, 90, 90)
    assert gaps_of([350.0, 10]) == (20, 340)

"""The clip's plan: what comes first, how long it is, and what few pictures do to it."""

from itertools import pairwise
from typing import get_args

import pytest

from okla_assets.imaging.promo.timeline import (
    Kind,
    Picture,
    Shows,
    TemplateName,
    load_template,
    plan,
)

TEMPLATE = load_template()
WIDE, UPRIGHT = (1920, 1080), (1080, 1920)
CAR = (0.2, 0.3, 0.6, 0.5)


def exterior(key: str, angle: str, quality: int = 90) -> Picture:
    return Picture(key, "exterior", angle, quality, CAR, plain=True)


def close_up(key: str, kind: Kind = "interior", upright: bool = False) -> Picture:
    return Picture(key, kind, upright=upright)


MANY = [
    exterior("rear", "rear"),
    exterior("dull front-quarter", "front-quarter", 60),
    exterior("front-quarter", "front-quarter", 95),
    exterior("side", "side"),
    exterior("front", "front"),
    *(close_up(f"seat {i}") for i in range(6)),
    *(close_up(f"wheel {i}", "detail") for i in range(4)),
]


def shown(pictures: list[Picture], size: tuple[int, int] = WIDE, spin: bool = False) -> list[str]:
    timeline = plan(TEMPLATE, pictures, 30, size, has_spin=spin)
    return [shot.picture.key if shot.picture else shot.shows for shot in timeline.shots]


def test_it_opens_with_the_best_front_quarter_and_shows_each_view_once() -> None:
    assert shown(MANY)[:6] == ["opening", "front-quarter", "side", "front", "rear",
                               "dull front-quarter"]  # fmt: skip
    assert shown(MANY)[-1] == "closing"


def test_a_turn_takes_the_place_of_exteriors() -> None:
    with_turn = shown(MANY, spin=True)
    assert with_turn[:3] == ["opening", "front-quarter", "spin"]
    assert with_turn[3:5] == ["side", "front"]
    assert with_turn[5] == "seat 0"


@pytest.mark.parametrize("spin", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, 8, len(MANY)])
def test_a_clip_takes_15_to_30_seconds(count: int, spin: bool) -> None:
    pictures = [MANY[2], *(p for p in MANY if p != MANY[2])][:count]
    timeline = plan(TEMPLATE, pictures, 30, WIDE, has_spin=spin)
    assert 15 <= timeline.seconds <= 30
    assert timeline.shots[0].start == 0
    for before, shot in pairwise(timeline.shots):
        assert shot.start + shot.overlap == before.start + before.length


@pytest.mark.parametrize("name", get_args(TemplateName))
@pytest.mark.parametrize("count", [1, 3, len(MANY)])
def test_every_template_keeps_the_clip_within_its_time_and_never_mixes_two_cars(
    name: TemplateName, count: int
) -> None:
    pictures = [MANY[2], *(p for p in MANY if p != MANY[2])][:count]
    timeline = plan(load_template(name), pictures, 30, UPRIGHT, has_spin=count > 1)
    assert 15 <= timeline.seconds <= 30
    assert load_template(name).name == name
    assert not any(shot.into == "fade" for shot in timeline.shots)


def test_one_picture_is_shown_under_different_moves() -> None:
    timeline = plan(TEMPLATE, [MANY[0]], 30, WIDE, has_spin=False)
    moves = [shot.move for shot in timeline.shots if shot.picture]
    assert len(moves) == 4
    assert len(set(map(str, moves))) == 4


@pytest.mark.parametrize(
    ("name", "into"), [("standard", "wipe"), ("lively", "cut"), ("calm", "dip")]
)
def test_a_picture_that_comes_again_comes_as_the_templates_others_do(
    name: TemplateName, into: str
) -> None:
    timeline = plan(load_template(name), [MANY[0]], 30, WIDE, has_spin=False)
    assert {shot.into for shot in timeline.shots if shot.shows == "hero"} == {
        timeline.shots[1].into,
        into,
    }


def test_close_ups_that_fill_the_frame_come_first() -> None:
    pictures = [MANY[2], close_up("lying"), close_up("standing", upright=True)]
    assert shown(pictures, WIDE)[2:4] == ["lying", "standing"]
    assert shown(pictures, UPRIGHT)[2:4] == ["standing", "lying"]


def test_a_part_of_a_car_opens_only_where_nothing_better_is() -> None:
    part = Picture("part", "exterior", "front-quarter", 100)
    assert shown([part, exterior("whole", "rear", 40)])[1] == "whole"
    assert shown([part])[1] == "part"


def test_cards_without_words_are_left_out() -> None:
    cards: tuple[Shows, ...] = ("opening", "closing")
    timeline = plan(TEMPLATE, MANY[:1], 30, WIDE, has_spin=False, left_out=cards)
    assert {shot.shows for shot in timeline.shots} == {"hero"}
    assert timeline.seconds >= 15


def test_without_an_exterior_there_is_no_clip() -> None:
    with pytest.raises(ValueError, match="exterior"):
        plan(TEMPLATE, [close_up("seat")], 30, WIDE, has_spin=True)

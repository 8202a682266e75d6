"""Door mirrors of a front view, with a segmenter that answers by the truth."""

import cv2
import numpy as np
import pytest

from okla_assets.imaging.matte import twins
from tests.imaging.matte.test_parts import Bools, Truth
from tests.imaging.scenes import car_alpha


def front() -> Bools:
    """A front view without mirrors: cabin, shoulders and bonnet about column 400."""
    body = np.zeros((600, 800), np.uint8)
    outline = [[310, 130], [490, 130], [550, 260], [590, 290], [600, 520], [200, 520], [210, 290]]
    cv2.fillPoly(body, [np.array([*outline, [250, 260]])], 1)
    return body > 0


def mirror(right: bool) -> Bools:
    mask = np.zeros((600, 800), np.uint8)
    cv2.ellipse(mask, (565 if right else 235, 222), (26, 13), 0, 0, 360, 1, -1)
    cv2.line(mask, (545, 232) if right else (255, 232), (530, 236) if right else (270, 236), 1, 8)
    return (mask > 0) & ~front()


@pytest.mark.parametrize("right", [True, False])
def test_the_second_mirror_is_found_where_the_first_says(right: bool) -> None:
    lacks = mirror(right)
    matte = front() | mirror(not right)
    view = twins.facing(matte)
    assert view is not None
    assert view.mirrors == 1
    alpha, after = twins.completed(matte.astype(np.float32), view, Truth(lacks))
    assert (alpha[lacks] > 0.5).mean() > 0.95
    assert ((alpha > 0.5) == (matte | lacks)).mean() > 0.999
    assert after.mirrors == 2
    assert twins.missing(after) is None


@pytest.mark.parametrize(("right", "side"), [(True, "right"), (False, "left")])
def test_a_mirror_that_is_not_found_is_named(right: bool, side: str) -> None:
    matte = front() | mirror(not right)
    view = twins.facing(matte)
    assert view is not None
    car_behind = np.zeros_like(matte)
    car_behind[180:400, 560:] = car_behind[180:400, :240] = True
    alpha, after = twins.completed(matte.astype(np.float32), view, Truth(car_behind & ~matte))
    assert ((alpha > 0.5) == matte).all()
    assert twins.missing(after) == f"the mirror on the {side} of the picture"


def test_whole_and_mirrorless_views_ask_nothing_and_miss_nothing() -> None:
    for matte, mirrors in ((front() | mirror(True) | mirror(False), 2), (front(), 0)):
        view, ask = twins.facing(matte), Truth(mirror(True))
        assert view is not None
        twins.completed(matte.astype(np.float32), view, ask)
        assert (view.mirrors, ask.asked, twins.missing(view)) == (mirrors, 0, None)


def test_a_side_view_has_no_twins() -> None:
    assert twins.facing(car_alpha() > 0.5) is None
    assert twins.facing(np.zeros((60, 80), bool)) is None


def test_the_second_mirror_comes_without_what_clings_to_it_in_the_answer() -> None:
    matte, lacks = front() | mirror(False), mirror(True)
    scrap = np.zeros_like(matte)
    scrap[180:206, 545:552] = True  # of a car behind, between the mirror and the pillar
    teeth = np.zeros_like(matte)
    teeth[235:242, 555:590:6] = True  # the network's coarse answer
    view = twins.facing(matte)
    assert view is not None
    alpha, _ = twins.completed(matte.astype(np.float32), view, Truth(lacks | scrap | teeth))
    assert (alpha[lacks] > 0.5).mean() > 0.9
    assert alpha[180:200, 545:552].max() < 0.1
    assert np.abs(np.diff(alpha[239, 552:592] > 0.5)).sum() <= 2  # no teeth


def test_small_parts_beside_the_axis_of_a_front_view_are_strays() -> None:
    view = twins.facing(front() | mirror(True) | mirror(False))
    assert view is not None
    fin, leaf, wing = (np.zeros((600, 800), bool) for _ in range(3))
    fin[110:130, 394:406] = True
    leaf[240:252, 580:596] = True  # under the mirror on the right
    wing[200:225, 190:240] = True  # as large as a mirror
    kept = twins.without_strays(fin | leaf | wing, view)
    assert (kept == (fin | wing)).all()

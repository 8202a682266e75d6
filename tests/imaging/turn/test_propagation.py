"""Silhouettes carried from frame to frame, on made pictures."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.turn import propagation
from okla_assets.imaging.turn.propagation import tracked_boxes
from okla_assets.imaging.types import Box

Mask = npt.NDArray[np.bool_]
WIDTH, HEIGHT = 400, 240


def body(turned: float, wheel: bool = False) -> Mask:
    """An ellipse whose width changes as a car's does, with a wheel that may stick out below."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (200, 110), (int(110 + 60 * turned), 70), 0, 0, 360, 1, -1)
    if wheel:
        cv2.circle(mask, (140, 180), 20, 1, -1)
    return mask > 0


def box_of(mask: Mask) -> Box:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return (
        float(columns[0]), float(rows[0]),
        float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1),
    )  # fmt: skip


def grid(mask: Mask) -> npt.NDArray[np.float32]:
    small = cv2.resize(mask.astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST)
    return propagation.signed_distance(small > 0)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


def fused(mask: Mask, known: Mask) -> tuple[Mask, float]:
    """The matte of `mask`, of which the silhouette `known` is known and the saliency is exact."""
    saliency = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5), np.float32)
    saliency[20:60, 350:390] = 1  # a bright sign beside the car
    alpha, agreement = propagation.fuse_propagated(grid(known), saliency, box_of(mask))
    return alpha > 0.5, agreement


def test_the_edge_is_the_saliency_nets_and_the_silhouette_decides_what_is_car() -> None:
    found, agreement = fused(body(0.5), body(0.4))
    assert iou(found, body(0.5)) > 0.98
    assert agreement > propagation.LEAST_AGREEMENT  # off by less than the band


def test_a_wheel_that_no_key_frame_shows_is_not_cut_off() -> None:
    found, agreement = fused(body(0.5, wheel=True), body(0.5))
    assert iou(found, body(0.5, wheel=True)) > 0.98
    assert agreement < 0.99


def test_what_the_saliency_net_misses_inside_stays() -> None:
    saliency = body(0.5).astype(np.float32)
    saliency[90:130, 150:250] = 0
    alpha, agreement = propagation.fuse_propagated(grid(body(0.5)), saliency, box_of(body(0.5)))
    assert iou(alpha > 0.5, body(0.5)) > 0.98
    assert agreement < propagation.LEAST_AGREEMENT  # and the exact network is asked


def test_a_carried_silhouette_lies_between_its_key_frames() -> None:
    rng = np.random.default_rng(2)
    texture = rng.integers(0, 60, (256, 256), np.uint8)

    def grey(mask: Mask) -> npt.NDArray[np.uint8]:
        small = cv2.resize(mask.astype(np.uint8) * 180, (256, 256))
        return np.asarray(small + texture, np.uint8)

    first, middle, last = body(0.0), body(0.5), body(1.0)
    distance = propagation.propagated(
        grey(middle), [(grey(first), grid(first), 0.5), (grey(last), grid(last), 0.5)]
    )
    carried = cv2.resize(distance, (WIDTH, HEIGHT)) > 0
    assert iou(carried, middle) > max(iou(first, middle), iou(last, middle))


def test_a_frame_that_contradicts_its_neighbours_is_named() -> None:
    turn = [body(np.sin(i / 4) ** 2).astype(np.float32) for i in range(16)]
    boxes: list[Box] = [(0, 0, 400, 240)] * 16
    assert propagation.jumps(turn, boxes) == []
    turn[7] = np.roll(turn[7], 60, axis=1)
    assert 7 in propagation.jumps(turn, boxes)


def test_from_the_front_a_silhouette_may_change_by_more() -> None:
    """As that of our sample's walk-around, half as wide as from the side."""
    turn = [body(0.5 + 0.05 * (-1) ** i).astype(np.float32) for i in range(16)]
    wide: list[Box] = [(0, 0, 800, 240)] * 16
    narrow: list[Box] = [*wide[:7], (0, 0, 400, 240), *wide[8:]]
    usual = turn[7]
    turn[7] = np.roll(usual, 16, axis=1)
    assert propagation.jumps(turn, wide) == [7]
    assert propagation.jumps(turn, narrow) == []
    turn[7] = np.roll(usual, 24, axis=1)
    assert 7 in propagation.jumps(turn, narrow)


def seen_all_round(count: int) -> list[Box]:
    """The boxes of one turn: half as wide from front (0, the last) and rear."""
    angles = 2 * np.pi * np.arange(count) / max(count, 1)
    return [(0.0, 0.0, float(400 + 200 * np.abs(np.sin(a))), 200.0) for a in angles]


@pytest.mark.parametrize(
    ("count", "frames"),
    [(16, [0, 2, 4, 6, 8, 10, 12, 14, 15]), (8, list(range(8))), (1, [0]), (0, [])],
)
def test_key_frames_hold_both_ends(count: int, frames: list[int]) -> None:
    assert propagation.key_frames(seen_all_round(count)) == frames


def test_key_frames_hold_the_views_from_front_and_rear() -> None:
    """Where the vehicle shows both its mirrors; of boxes that shake, no more than these."""
    turn = seen_all_round(36)
    shaken = [(x, y, w + 3 * (i % 2), h) for i, (x, y, w, h) in enumerate(turn[2:] + turn[:2])]
    assert propagation.key_frames(shaken) == [0, 4, 8, 12, 16, 20, 24, 28, 32, 34, 35]


@pytest.mark.parametrize("wrong", [None, (900.0, 10.0, 50.0, 40.0)])
def test_a_box_that_jumps_or_is_missing_comes_from_its_neighbours(wrong: Box | None) -> None:
    boxes: list[Box | None] = [(100.0 + 5 * i, 100.0, 400.0, 200.0) for i in range(9)]
    expected = boxes[4]
    assert expected is not None
    tracked = tracked_boxes([*boxes[:4], wrong, *boxes[5:]])
    assert tracked[4] == pytest.approx(expected)
    assert [b for i, b in enumerate(tracked) if i != 4] == [*boxes[:4], *boxes[5:]]


def test_a_side_that_takes_in_the_wall_behind_goes_between_its_neighbours() -> None:
    """Three frames of our sample's walk-around; the second's box reached over its roof."""
    before, after = (424.6, 213.5, 430.3, 345.2), (306.1, 209.1, 540.2, 359.5)
    loose = (350.5, 161.8, 483.4, 399.2)
    tracked = tracked_boxes([before, loose, after])[1]
    assert tracked == pytest.approx((350.5, 211.3, 483.4, 349.7))
    assert tracked_boxes([before, tracked, after])[1] == tracked


@pytest.mark.parametrize(
    "box",
    [
        (350.0, 161.0, 483.0, 356.0),  # the camera was held lower: both sides
        (330.0, 171.0, 523.0, 430.0),  # it came nearer
        (350.0, 190.0, 483.0, 371.0),  # a side a little off
    ],
)
def test_a_box_that_moves_as_a_camera_does_is_its_own(box: Box) -> None:
    before, after = (424.6, 213.5, 430.3, 345.2), (306.1, 209.1, 540.2, 359.5)
    assert tracked_boxes([before, box, after])[1] == box


def test_no_box_anywhere_is_no_box() -> None:
    assert tracked_boxes([None] * 5) == [None] * 5


def test_a_box_that_changes_as_the_car_turns_is_its_own() -> None:
    boxes: list[Box | None] = [(413, 185, 484, 423), (271, 186, 594, 431), (141, 186, 828, 431)]
    assert tracked_boxes(boxes) == boxes

from typing import Any

import cv2
import numpy as np
import pytest

from okla_assets.imaging.matte import cutout
from tests.imaging.scenes import PAINT, STREET, car_alpha, photo_of

BOX = (250.0, 150.0, 500.0, 400.0)


def as_logits(mask: np.ndarray, inside: float = 8.0) -> np.ndarray:
    return np.where(mask, inside, -inside).astype(np.float32)


@pytest.mark.parametrize(
    ("boxes", "scores", "expected"),
    [
        ([], [], None),
        ([(300, 200, 400, 300)], [0.3], 0),
        # The large one near the middle, not the surer small one behind it.
        ([(10, 10, 120, 90), (250, 200, 480, 330)], [0.95, 0.6], 1),
        # Of two equals, the one nearer the middle.
        ([(0, 250, 300, 200), (350, 250, 300, 200)], [0.9, 0.9], 1),
    ],
)
def test_main_vehicle(boxes, scores, expected) -> None:  # type: ignore[no-untyped-def]
    assert cutout.main_vehicle(boxes, scores, 1000, 750) == expected


@pytest.mark.parametrize(
    ("box", "whole"),
    [
        ((200, 200, 500, 300), True),
        ((2, 200, 990, 300), True),  # bumper to bumper, but floor and roof are there
        ((2, 3, 990, 740), False),
        ((0, 250, 998, 498), False),  # left, right and bottom
        ((600, 0, 400, 750), False),
    ],
)
def test_a_close_up_fills_the_frame(box: tuple[float, float, float, float], whole: bool) -> None:
    assert cutout.fills_frame(box, 1000, 750) is not whole


def test_fusing_keeps_the_neighbour_out_and_the_saliency_nets_edge() -> None:
    car = car_alpha()
    silhouette = car > 0.5
    saliency = car.copy()
    saliency[100:200, 20:120] = 1  # another car that stands out as much
    alpha, agreement = cutout.fuse(as_logits(silhouette), saliency, BOX)
    assert agreement > 0.98
    assert alpha[150, 70] == 0
    assert np.abs((alpha > 0.5) ^ silhouette).mean() < 0.002


def test_a_mirror_that_sam2_doubts_is_kept_where_saliency_is_sure() -> None:
    car = car_alpha() > 0.5
    mirror = np.zeros_like(car)
    mirror[262:290, 560:640] = True  # sticks out over the bonnet
    logits = as_logits(car)
    logits[mirror & ~car] = -1.0
    saliency = (car | mirror).astype(np.float32)
    alpha, _ = cutout.fuse(logits, saliency, BOX)
    assert (alpha[mirror] > 0.5).mean() > 0.95


def test_networks_that_disagree_are_told_and_sam2_is_followed() -> None:
    car = car_alpha() > 0.5
    saliency = np.zeros(car.shape, np.float32)
    saliency[:300] = car[:300]
    alpha, agreement = cutout.fuse(as_logits(car), saliency, BOX)
    assert agreement < cutout.TRUSTED_AGREEMENT
    assert ((alpha > 0.5) == car).mean() > 0.995


def test_holes_are_filled_and_crumbs_dropped() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:80, 20:80] = True
    mask[40:50, 40:50] = False
    mask[2:5, 2:5] = True
    cleaned = cutout.largest_component(mask)
    assert cleaned[45, 45]
    assert not cleaned[3, 3]
    assert cleaned.sum() == 60 * 60


def test_an_empty_mask_stays_empty() -> None:
    assert not cutout.largest_component(np.zeros((20, 20), bool)).any()


@pytest.mark.parametrize("left", [0, 40])
def test_a_vehicle_cut_by_the_frame_runs_out(left: int) -> None:
    alpha = np.zeros((300, 400), np.float32)
    alpha[100:200, left : left + 200] = 1
    assert cutout.runs_out(alpha) is (left == 0)


def test_a_bumper_that_just_touches_the_frame_does_not_run_out() -> None:
    alpha = np.zeros((300, 400), np.float32)
    alpha[100:200, 10:300] = 1
    alpha[150:160, 0:10] = 1
    assert not cutout.runs_out(alpha)


def test_a_matte_that_misses_half_of_its_box_is_not_trusted() -> None:
    alpha = car_alpha()
    box = (150.0, 220.0, 500.0, 200.0)
    assert cutout.trustworthy(alpha, 0.97, box)
    assert not cutout.trustworthy(alpha, 0.80, box)
    alpha[:, 400:] = 0
    assert not cutout.trustworthy(alpha, 0.97, box)
    assert not cutout.trustworthy(np.zeros_like(alpha), None, box)


def test_edge_colours_lose_the_old_background() -> None:
    alpha = car_alpha()
    photo = photo_of(alpha)
    colours = cutout.foreground(photo, alpha).astype(int)
    edge = (alpha > 0.2) & (alpha < 0.8)
    before = np.abs(photo[edge].astype(int) - PAINT).mean()
    after = np.abs(colours[edge] - PAINT).mean()
    assert np.abs(np.array(PAINT) - STREET).mean() > 60
    assert before > 25
    assert after < 4


def test_solid_pixels_keep_their_colour_exactly() -> None:
    alpha = car_alpha()
    photo = np.random.default_rng(0).integers(0, 256, (*alpha.shape, 3), np.uint8)
    solid = alpha >= 1
    assert (cutout.foreground(photo, alpha)[solid] == photo[solid]).all()


def test_a_hard_edge_has_nothing_to_explain() -> None:
    alpha = (car_alpha() > 0.5).astype(np.float32)
    photo = photo_of(alpha)
    for share in (alpha, np.zeros_like(alpha), np.ones_like(alpha)):
        assert (cutout.foreground(photo, share) == photo).all()


def test_the_band_along_the_edge_tells_as_much_as_the_whole_picture() -> None:
    """Blur fusion on every pixel, as it is published, but for the half size of the wide means."""
    alpha = np.asarray(cv2.GaussianBlur(car_alpha(), (0, 0), 3), np.float32)
    photo = np.random.default_rng(0).integers(0, 256, (*alpha.shape, 3), np.uint8)
    photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), 4), np.uint8)
    image, a = photo.astype(float), alpha[..., None].astype(float)

    def means(front: Any, back: Any, share: Any, size: int) -> tuple[Any, Any]:
        mean = cv2.blur(share, (size, size))[..., None]
        fronts = cv2.blur(front * share[..., None], (size, size)) / (mean + 1e-5)
        backs = cv2.blur(back * (1 - share[..., None]), (size, size)) / ((1 - mean) + 1e-5)
        return fronts, backs

    def explain(front: Any, back: Any) -> Any:
        return (front + a * (image - a * front - (1 - a) * back)).clip(0, 255)

    height, width = alpha.shape
    half = (width // 2, height // 2)
    small, share = (cv2.resize(p, half, interpolation=cv2.INTER_AREA) for p in (image, a))
    wide = (cv2.resize(mean, (width, height)) for mean in means(small, small, share, 45))
    front, back = wide
    whole = explain(*means(explain(front, back), back, a[..., 0], cutout.NARROW))
    mixed = (alpha > 0) & (alpha < 1)
    assert mixed.sum() > 10_000
    assert np.abs(cutout.foreground(photo, alpha)[mixed] - whole[mixed]).max() < 1.5


def test_the_edge_stays_where_it_is_when_smoothed() -> None:
    alpha = (car_alpha() > 0.5).astype(np.float32)
    smooth = cutout.smooth_edge(alpha, 800)
    assert smooth.min() == 0
    assert smooth.max() == 1
    assert ((smooth > 0.5) != (alpha > 0.5)).sum() < 0.002 * alpha.sum()


def test_a_mirror_apart_stays_and_a_rag_goes() -> None:
    car = car_alpha().astype(np.float32)
    mirror, rag = np.zeros(car.shape, bool), np.zeros(car.shape, bool)
    mirror[240:262, 215:245] = rag[400:420, 640:690] = True
    alpha = np.where(mirror | rag, np.float32(0.9), car)
    kept = cutout.without_rags(alpha, (car > 0.5) | mirror)
    assert (kept[mirror] > 0.5).all()
    assert kept[rag].max() == 0


def test_a_speck_goes_and_an_antenna_apart_stays() -> None:
    car = (car_alpha() > 0.5).astype(np.float32)
    speck, antenna = np.zeros(car.shape, bool), np.zeros(car.shape, bool)
    speck[150:152, 300:303] = antenna[140:170, 400:403] = True
    alpha = np.where(speck | antenna, np.float32(0.6), car)
    kept = cutout.without_rags(alpha, (car > 0.5) | speck | antenna)
    assert kept[speck].max() == 0
    assert (kept[antenna] == np.float32(0.6)).all()
    assert (kept[car > 0] == car[car > 0]).all()


def test_a_veil_below_a_bumper_goes_back_to_the_edge() -> None:
    car = (car_alpha() > 0.5).astype(np.float32)
    lowest = int(np.flatnonzero(car.any(axis=1))[-1])
    columns = np.flatnonzero(car[lowest])
    middle = int(columns[len(columns) // 2])
    veil = np.zeros(car.shape, bool)
    veil[lowest + 1 : lowest + 40, middle - 30 : middle + 30] = True
    alpha = np.where(veil, np.float32(0.5), car)
    kept = cutout.without_rags(alpha, car > 0.5)
    assert kept[lowest + 9 :].max() == 0
    assert (kept[car > 0] == car[car > 0]).all()


def test_the_edge_of_a_small_photo_runs_between_its_pixels() -> None:
    """A roof that falls by a pixel in fifteen is a line in the matte, not a flight of stairs."""
    rows, columns = np.mgrid[0:414, 0:552].astype(np.float32)
    roof = 150.3 + columns / 15
    logits = (4 * (rows - roof)).astype(np.float32)  # as steep as SAM 2's on a crop of that size
    logits[(rows > 350) | (columns < 60) | (columns > 490)] = -10
    saliency = (logits > 0).astype(np.float32)
    alpha, _ = cutout.fuse(logits, saliency, (60.0, 150.0, 430.0, 200.0))
    matte = cutout.smooth_edge(alpha, 552)[:, 100:450]
    column = matte[:260]
    edge = 260 - column.sum(axis=0) - 0.5  # where half a pixel is covered
    line = np.polyval(np.polyfit(columns[0, 100:450], edge, 1), columns[0, 100:450])
    assert np.abs(edge - line).max() < 0.2

"""Plates are found by place, outlined in perspective, and covered so that nothing can be read."""

import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging import plates
from okla_assets.imaging.photo import rotation
from okla_assets.imaging.plates import Candidate, RawDetection, masking, quads
from okla_assets.imaging.plates.masking import Style
from okla_assets.imaging.plates.rims import Rim
from okla_assets.imaging.types import Box, Corners

Pixels = npt.NDArray[np.uint8]

TILTED = np.array([[300, 200], [420, 235], [410, 300], [296, 255]], np.float32)
LEVEL = quads.box_quad((300, 200, 160, 50))


def painted_plate(characters: str, ground: int = 235, ink: int = 25) -> Pixels:
    """A white plate (80, 360, 3) with dark characters."""
    plate = np.full((80, 360, 3), ground, np.uint8)
    cv2.putText(plate, characters, (12, 60), cv2.FONT_HERSHEY_DUPLEX, 1.9, (ink,) * 3, 5)
    return plate


def scene(quad: Corners, characters: str = "ABC 1234", light: float = 1.0) -> Pixels:
    """A dark red car's side (480, 640, 3) that carries a plate on the quad."""
    rng = np.random.default_rng(1)
    photo = np.full((480, 640, 3), (90, 20, 24), np.float32) + rng.normal(0, 2, (480, 640, 1))
    plate = painted_plate(characters).astype(np.float32) * light
    matrix = cv2.getPerspectiveTransform(
        quads.box_quad((0, 0, plate.shape[1], plate.shape[0])), quad
    )
    laid = cv2.warpPerspective(plate, matrix, (640, 480), flags=cv2.INTER_AREA)
    where = cv2.warpPerspective(np.ones(plate.shape[:2], np.float32), matrix, (640, 480))[..., None]
    mixed: Pixels = (photo * (1 - where) + laid * where).clip(0, 255).astype(np.uint8)
    return mixed


def inside(quad: Corners, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]]
    points = np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], axis=1).astype(np.float32)
    return plates.contains(quad, points).reshape(shape[0], shape[1])


def far_apart(quad: Corners, other: Corners) -> float:
    return float(np.hypot(*(quad - other).T).max())


# --- what the networks saw ------------------------------------------------------------------------


def test_cluster_keeps_the_larger_box_and_each_networks_best_score() -> None:
    small = RawDetection((100, 100, 80, 30), 0.9, 0)
    large = RawDetection((92, 96, 100, 38), 0.6, 1)
    weak = RawDetection((88, 92, 115, 48), 0.1, 1)
    elsewhere = RawDetection((400, 50, 40, 20), 0.3, 1)
    first, second = plates.cluster([weak, small, elsewhere, large], networks=2)
    assert first.box == (92, 96, 100, 38)  # the weak one does not widen it
    assert first.scores == pytest.approx((0.9, 0.6))
    assert first.score == pytest.approx(0.96)
    assert first.agreement == pytest.approx(0.6)
    assert second.scores == pytest.approx((0.0, 0.3))


def test_cluster_of_nothing_is_nothing() -> None:
    assert plates.cluster([], networks=2) == []


def test_an_enlarged_view_raises_its_own_networks_score_only() -> None:
    closer = RawDetection((0, 0, 50, 20), 0.8, 0)
    candidate = Candidate((0, 0, 50, 20), (0.2, 0.1), None, closer)
    assert candidate.score == pytest.approx(1 - 0.2 * 0.9)
    assert candidate.agreement == pytest.approx(0.1)


CAR = (100.0, 100.0, 400.0, 200.0)


@pytest.mark.parametrize(
    ("box", "score", "agreement", "interior", "covered"),
    [
        ((250, 200, 80, 30), 0.35, 0.0, False, True),  # on a car, one network half sure
        ((250, 200, 80, 30), 0.25, 0.0, False, False),  # a grille
        ((250, 200, 60, 60), 0.40, 0.1, False, False),  # an emblem is square
        ((250, 200, 60, 60), 0.80, 0.1, False, True),  # a plate seen at a steep angle is, too
        ((20, 20, 80, 30), 0.65, 0.0, False, False),  # a shop sign away from every car
        ((20, 20, 80, 30), 0.45, 0.25, False, True),  # both networks see it there
        ((20, 20, 80, 30), 0.75, 0.0, False, True),
        ((250, 110, 90, 45), 0.45, 0.0, False, False),  # a rear window
        ((250, 110, 90, 45), 0.76, 0.0, False, True),  # as large and high, but sure
        ((250, 110, 90, 45), 0.45, 0.1, False, True),  # or seen by both
        ((250, 210, 90, 45), 0.45, 0.0, False, True),  # or as low as plates are
        ((250, 200, 80, 30), 0.85, 0.04, True, False),  # a screen on the dashboard
        ((250, 200, 80, 30), 0.95, 0.80, True, True),  # a rear plate under an open tailgate
    ],
)
def test_what_is_believed_depends_on_where_it_is(
    box: Box, score: float, agreement: float, interior: bool, covered: bool
) -> None:
    assert plates.accept_plate(box, score, agreement, [CAR], interior) is covered


def test_a_vehicle_that_the_picture_cuts_off_has_no_windows() -> None:
    cut = (100.0, 0.0, 400.0, 200.0)
    assert plates.accept_plate((250, 10, 90, 45), 0.45, 0.0, [cut], False)


def test_owner_is_the_smaller_vehicle_unless_the_matte_knows_better() -> None:
    behind = (300.0, 100.0, 120.0, 80.0)
    plate = (330.0, 130.0, 40.0, 15.0)
    assert plates.owner(plate, [CAR, behind]) == 1
    alpha = np.zeros((480, 640), np.float32)
    alpha[110:160, 310:400] = 1
    assert plates.owner(plate, [CAR, behind], alpha) == 0
    assert plates.owner((600.0, 400.0, 20.0, 8.0), [CAR, behind]) is None
    assert plates.owner(plate, []) is None


# --- quadrilaterals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quad",
    [
        LEVEL,
        TILTED,
        np.array([[100, 300], [180, 240], [178, 300], [102, 370]], np.float32),  # from the side
    ],
)
def test_a_mask_gives_back_the_quad_it_was_drawn_from(quad: Corners) -> None:
    found = plates.mask_quad(inside(quad, (480, 640)).astype(np.float32))
    assert found is not None
    assert far_apart(found, quad) < 3


def test_an_empty_mask_has_no_quad() -> None:
    assert plates.mask_quad(np.zeros((40, 60), np.float32)) is None


@pytest.mark.parametrize("start", range(4))
def test_upright_starts_at_the_plates_own_top_left(start: int) -> None:
    assert np.array_equal(quads.upright(np.roll(TILTED, start, axis=0)), TILTED)
    assert np.array_equal(quads.upright(np.roll(TILTED[::-1], start, axis=0)), TILTED)


def test_padding_moves_every_side_by_its_share() -> None:
    dilated = plates.padded(LEVEL, 0.1)
    assert np.allclose(dilated, quads.box_quad((284, 195, 192, 60)), atol=1e-3)
    small = plates.padded(quads.box_quad((10, 10, 12, 4)), 0.1, least=1.5)
    assert np.allclose(small, quads.box_quad((8.5, 8.5, 15, 7)), atol=1e-3)


def test_padding_keeps_the_perspective() -> None:
    dilated = plates.padded(TILTED)
    assert plates.contains(dilated, TILTED).all()
    assert not plates.contains(TILTED, dilated).any()
    axis_aligned = plates.quad_box(TILTED)
    assert cv2.contourArea(dilated) < axis_aligned[2] * axis_aligned[3] * 1.05


@pytest.mark.parametrize("move", [(-5, -3), (6, 2), (0, 4)])
def test_refining_finds_the_plates_edge_again(move: tuple[int, int]) -> None:
    photo = scene(TILTED)
    guess = TILTED + np.array(move, np.float32) * np.array([[1, 1], [0.5, 1], [1, 0.5], [0.6, 1]])
    found = quads.refined(photo, guess.astype(np.float32))
    assert far_apart(found, TILTED) < far_apart(guess.astype(np.float32), TILTED)
    assert plates.contains(plates.padded(found), TILTED).all()


def test_a_line_without_a_direction_meets_no_other() -> None:
    across, down, none = (np.array(d, np.float32) for d in ((1, 0), (0, 1), (0, 0)))
    start = np.zeros(2, np.float32)
    assert quads.corners_of([(start, d) for d in (across, down, across, none)]) is None


def test_refining_leaves_a_quad_alone_where_there_is_no_edge() -> None:
    flat = np.full((480, 640, 3), 120, np.uint8)
    assert np.allclose(quads.refined(flat, TILTED), TILTED, atol=0.01)


def test_an_unconfirmed_outline_goes_most_of_the_way_to_the_hull() -> None:
    flat = np.full((480, 640, 3), 120, np.uint8)
    hull = plates.quad_box(TILTED)
    outline = RawDetection(hull, 0.8, 0, TILTED)
    loose = plates.plate_quad(flat, Candidate(hull, (0.8,), outline))
    exact = plates.plate_quad(flat, Candidate(hull, (0.8,), outline, outline))
    assert far_apart(exact, TILTED) < 0.1
    assert far_apart(loose, (TILTED + 2 * quads.box_quad(hull)) / np.float32(3)) < 0.1


@pytest.mark.parametrize("move", [(6, 4), (-6, 3), (4, -5)])
def test_a_tilted_plate_is_outlined_by_its_edge_not_its_box(move: tuple[int, int]) -> None:
    """Before, the quad went two thirds of the way to the box: as large as that one's 8 tenths."""
    seen = RawDetection(plates.quad_box(TILTED), 0.6, 0, TILTED + np.array(move, np.float32))
    quad = plates.plate_quad(scene(TILTED), Candidate(plates.quad_box(TILTED), (0.6,), seen))
    assert far_apart(quad, TILTED) < 6
    assert plates.contains(plates.padded(quad), TILTED).all()


def test_an_enlarged_view_that_is_surer_or_sure_is_believed_another_is_not() -> None:
    """It takes the end of a bumper for the plate's, and cuts its lower edge off."""
    photo, hull = scene(TILTED), plates.quad_box(TILTED)
    wrong = TILTED + np.array([[20, -16], [40, -30], [2, -24], [0, -30]], np.float32)
    whole = RawDetection(hull, 0.6, 0, TILTED)

    def outlined(score: float) -> Corners:
        closer = RawDetection(plates.quad_box(wrong), score, 0, wrong)
        return plates.plate_quad(photo, Candidate(hull, (0.6,), whole, closer))

    assert plates.contains(plates.padded(outlined(0.4)), TILTED).all()
    assert far_apart(outlined(0.4), TILTED) < 6 < far_apart(outlined(0.9), TILTED)


def test_an_edge_that_cuts_through_what_the_networks_outlined_is_none() -> None:
    rim = Rim(LEVEL, (1.0, 1.0, 0.3, 0.9))
    assert rim.encloses([LEVEL])
    assert not rim.encloses([plates.padded(LEVEL, 0.3)])
    assert not Rim(LEVEL, (1.0, 0.4, 0.3, 1.0)).encloses([LEVEL])


def test_true_aspect_sees_through_foreshortening() -> None:
    # A 2:1 plate 60 degrees turned, 4 plate widths away, on a 1600 x 1200 photo.
    focal, distance, turn = 0.75 * 1600, 8.0, np.radians(60)
    corners = np.array([[-1, -0.5], [1, -0.5], [1, 0.5], [-1, 0.5]])
    x, z = corners[:, 0] * np.cos(turn), distance + corners[:, 0] * np.sin(turn)
    quad = np.stack([800 + focal * x / z, 600 + focal * corners[:, 1] / z], axis=1)
    assert quads.apparent_aspect(quad.astype(np.float32)) < 1.2
    assert quads.true_aspect(quad.astype(np.float32), 1600, 1200) == pytest.approx(2, rel=0.05)


def test_tiles_enlarge_each_box_and_know_the_way_back() -> None:
    photo = np.zeros((480, 640, 3), np.uint8)
    boxes = [(100.0, 100.0, 40.0, 16.0), (400.0, 300.0, 60.0, 30.0), (10.0, 10.0, 20.0, 8.0)]
    for x, y, w, h in boxes:
        cv2.rectangle(photo, (int(x), int(y)), (int(x + w) - 1, int(y + h) - 1), (255,) * 3, -1)
    picture, matrices = plates.tiles(photo, boxes, 640)
    for box, matrix in zip(boxes, matrices, strict=True):
        there = quads.box_quad(box) @ matrix[:, :2].T + matrix[:, 2]
        x, y, w, h = plates.quad_box(there.astype(np.float32))
        assert w >= 100
        assert picture[int(y + h / 2), int(x + w / 2)].min() > 250
        assert picture[int(y - 6), int(x - 6)].max() < 5
        back = plates.out_of_tile(RawDetection((x, y, w, h), 0.5, 0), matrix)
        assert back.box == pytest.approx(box, abs=0.01)


# --- covering -------------------------------------------------------------------------------------


def logo() -> Pixels:
    picture = np.zeros((100, 300, 4), np.uint8)
    picture[..., :3], picture[..., 3] = (10, 60, 160), 255
    return picture


STYLES: tuple[Style, ...] = ("blur", "fill", "logo")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("quad", [LEVEL, TILTED])
def test_nothing_of_the_characters_is_left(style: Style, quad: Corners) -> None:
    one = plates.mask_plates(scene(quad, "ABC 1234"), [quad], style, logo())
    other = plates.mask_plates(scene(quad, "XWM 9087"), [quad], style, logo())
    under = inside(plates.padded(quad, 0.08), one.shape)
    # Two plates may differ in their mean tone, but not from pixel to pixel.
    difference = (one.astype(np.float32) - other).mean(axis=2)
    detail = difference - cv2.GaussianBlur(difference, (0, 0), 12)
    assert np.abs(detail[under]).max() < 12  # of the 210 between ink and ground
    sharp = np.abs(cv2.Laplacian(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.CV_32F))
    if style == "blur":
        assert sharp[inside(quad, one.shape)].max() < 6


@pytest.mark.parametrize("whole_first", [True, False])
def test_a_part_that_is_covered_too_bares_nothing_of_its_plate(whole_first: bool) -> None:
    """What lies beside the part is taken from what is covered already, not from the photo."""
    whole, part = quads.box_quad((100, 150, 400, 124)), quads.box_quad((250, 190, 60, 40))
    covers = [whole, part] if whole_first else [part, whole]
    one = plates.mask_plates(scene(whole, "ABC 1234"), covers, "fill")
    other = plates.mask_plates(scene(whole, "XWM 9087"), covers, "fill")
    under = inside(plates.padded(whole, -0.1, -99), one.shape)
    for masked in (one, other):
        assert np.percentile(masked[under], 2) > 150  # the bolts are darker
        assert masked[under].min() > 90


def test_no_plate_is_drawn_on_a_plate() -> None:
    whole, part = quads.box_quad((100, 150, 400, 124)), quads.box_quad((250, 190, 60, 40))
    photo = scene(whole)
    alone = plates.mask_plates(photo, [whole], "fill")
    for covers in ([whole, part], [part, whole]):
        assert np.array_equal(plates.mask_plates(photo, covers, "fill"), alone)
    twice = plates.mask_plates(photo, [whole, whole.copy()], "fill")
    assert np.percentile(twice[inside(plates.padded(whole, -0.1, -99), photo.shape)], 2) > 150


@pytest.mark.parametrize("style", STYLES)
def test_the_photo_beside_the_plate_is_not_touched(style: Style) -> None:
    photo = scene(TILTED)
    masked = plates.mask_plates(photo, [TILTED], style, logo())
    beside = ~inside(plates.padded(TILTED, 0.35), photo.shape)
    assert np.array_equal(masked[beside], photo[beside])
    assert not np.array_equal(masked, photo)


def test_cover_is_whole_on_eight_per_cent_and_soft_beyond() -> None:
    place = masking.cover(TILTED, (480, 640))
    assert place is not None
    rows, columns, alpha = place
    full = np.zeros((480, 640), np.float32)
    full[rows, columns] = alpha
    assert full[inside(plates.padded(TILTED, 0.08), full.shape)].min() == 1
    assert ((full > 0.05) & (full < 0.95)).sum() > 200
    assert np.abs(np.diff(full, axis=0)).max() < 0.9


def test_a_plate_cut_off_by_the_picture_is_covered_to_its_edge() -> None:
    quad = quads.box_quad((560, 200, 160, 50))
    place = masking.cover(quad, (480, 640))
    assert place is not None
    rows, columns, alpha = place
    assert columns.stop == 640
    assert alpha[(rows.stop - rows.start) // 2, -1] == 1
    photo = scene(quad)
    assert plates.mask_plates(photo, [quad], "blur").shape == photo.shape
    assert masking.cover(quads.box_quad((900, 200, 160, 50)), (480, 640)) is None


LOOSE = plates.padded(TILTED, 0.08)
"""A plate's quad as it is recorded: let out to its frame."""


def test_the_blank_plate_ends_where_the_plate_does() -> None:
    photo = scene(TILTED)
    masked = plates.mask_plates(photo, [LOOSE], "fill")
    beyond = ~inside(plates.padded(TILTED, 0.02, 3), photo.shape)
    apart = np.abs(masked.astype(int) - photo)[beyond]
    assert apart.max() < 16  # of the car's own grain, 2 levels
    assert apart.mean() < 0.5
    within = masked[inside(plates.padded(TILTED, -0.12, -99), photo.shape)]
    assert np.percentile(within, 2) > 180  # the bolts are darker


def test_a_frames_plate_ends_where_it_was_tracked() -> None:
    photo = scene(TILTED)
    masked = plates.mask_plates(photo, [LOOSE], "fill", is_frame=True)
    ring = inside(plates.padded(TILTED, 0.06), photo.shape) & ~inside(
        plates.padded(TILTED, 0.02, 2), photo.shape
    )
    assert np.median(masked[ring]) > 150


@pytest.mark.parametrize("ground", [(20, 60, 160), (30, 110, 60), (25, 25, 25), (225, 205, 150)])
def test_the_blank_plate_is_neutral_on_any_ground(ground: tuple[int, int, int]) -> None:
    photo = scene(LEVEL)
    card = inside(LEVEL, photo.shape)
    photo[card] = ground
    cv2.putText(photo, "OKLA", (330, 240), cv2.FONT_HERSHEY_DUPLEX, 1.3, (240,) * 3, 3)
    masked = plates.mask_plates(photo, [LEVEL], "fill")
    plain = np.median(masked[inside(plates.padded(LEVEL, -0.15, -99), photo.shape)], axis=0)
    assert np.ptp(plain) <= (0.09 * plain.max() if min(ground) > 100 else 2)  # warm light, a card
    assert plain.min() > 150


@pytest.mark.parametrize(
    ("ground", "paint", "is_black"),
    [
        ((25, 25, 25), (35, 35, 40), True),
        ((20, 60, 160), (35, 35, 40), True),  # a dealer's card on a grille
        ((235, 235, 235), (35, 35, 40), False),  # a plate on black paint
        ((25, 25, 25), (230, 230, 230), False),
        ((25, 25, 25), (200, 15, 25), False),  # red paint has little luminance and is not dark
    ],
)
def test_a_dark_card_in_the_dark_becomes_a_black_plate(
    ground: tuple[int, int, int], paint: tuple[int, int, int], is_black: bool
) -> None:
    photo = np.full((480, 640, 3), 240, np.uint8)  # the yard
    photo[inside(plates.padded(LEVEL, 0.9), photo.shape)] = paint
    photo[inside(LEVEL, photo.shape)] = ground
    ink = (235,) * 3 if max(ground) < 200 else (20,) * 3
    cv2.putText(photo, "OKLA", (330, 240), cv2.FONT_HERSHEY_DUPLEX, 1.3, ink, 3)
    middle = inside(plates.padded(LEVEL, -0.15, -99), photo.shape)
    plain = np.median(plates.mask_plates(photo, [LEVEL], "fill")[middle], axis=0)
    assert np.ptp(plain) <= 2
    assert plain.max() < 60 if is_black else plain.min() > 90
    if is_black:  # the turn's frames and the owner's logo have the white one
        for made in (
            plates.mask_plates(photo, [LEVEL], "fill", is_frame=True),
            plates.mask_plates(photo, [LEVEL], "logo", np.zeros((8, 24, 4), np.uint8)),
        ):
            assert np.median(made[middle]) > 90


def test_the_blank_plate_has_round_corners_and_a_rim() -> None:
    quad = quads.box_quad((100, 150, 400, 124))
    masked = plates.mask_plates(scene(quad), [quad], "fill").astype(int)
    assert masked[151, 101, 1] < 120 < 180 < masked[151, 300, 1]  # at a corner, and on its edge
    down = masked[150:212, 260:340].mean(axis=(1, 2))
    assert down[3:12].min() < down[-20:].mean() - 30
    left, right = masked[168:172, 154:158].mean(), masked[168:172, 442:446].mean()  # bolts
    assert max(left, right) < down[-20:].mean() - 30


def test_letters_on_a_frame_go_and_the_frame_stays() -> None:
    photo = scene(LEVEL)
    below = slice(252, 260), slice(300, 460)
    photo[below] = 30
    bare = photo.copy()
    cv2.putText(photo, "GARAGE 12345", (304, 259), cv2.FONT_HERSHEY_PLAIN, 0.8, (230,) * 3, 1)
    lettered = photo[below].copy()
    masked = plates.mask_plates(photo, [plates.padded(LEVEL, 0.1)], "fill")
    assert lettered.std() > 50
    middle = slice(253, 258), slice(308, 452)
    assert masked[middle].std() < 20
    assert np.abs(masked[middle].astype(int) - bare[middle]).mean() < 8


def test_a_grille_and_a_crease_beside_the_plate_stay_as_they_are() -> None:
    """What goes on beyond what is covered is no writing, and a smear would show on the bumper."""
    quad = quads.box_quad((220, 200, 200, 60))
    photo = scene(quad)
    bare = ~inside(plates.padded(quad, 0, 6.0), photo.shape)
    bars = np.zeros(photo.shape[:2], bool)
    bars[262:340, ::9] = bars[262:340, 1::9] = True  # the grille's, below the plate
    bars[214:217] = True  # the crease, to both its sides
    photo[bars & bare] = (230, 225, 220)
    masked = plates.mask_plates(photo, [quad], "fill").astype(int)
    beside = bars & bare & inside(plates.padded(quad, 0, 12.0), photo.shape)
    assert np.abs(masked - photo).max(axis=2)[beside].mean() < 60  # of 210 that they stand out by


@pytest.mark.parametrize("light", [1.0, 0.45])
def test_fill_has_the_plates_colour_and_light(light: float) -> None:
    photo = scene(LEVEL, light=light)
    masked = plates.mask_plates(photo, [LEVEL], "fill")
    middle = masked[inside(plates.padded(LEVEL, -0.12, -99), photo.shape)].astype(float)
    assert middle.mean() == pytest.approx(min(235 * light, 220), abs=12)
    assert np.percentile(middle, 95) - np.percentile(middle, 5) < 12


def test_fill_keeps_the_shading() -> None:
    photo = scene(LEVEL).astype(np.float32)
    photo *= np.linspace(0.5, 1, 640, dtype=np.float32)[None, :, None]
    masked = plates.mask_plates(photo.astype(np.uint8), [LEVEL], "fill")
    left, right = masked[215:235, 310:330].mean(), masked[215:235, 430:450].mean()
    assert right - left == pytest.approx(235 * 120 / 640 * 0.5, rel=0.5)


def test_logo_is_upright_on_the_plate_and_in_its_light() -> None:
    bright = plates.mask_plates(scene(LEVEL), [LEVEL], "logo", logo())
    dim = plates.mask_plates(scene(LEVEL, light=0.5), [LEVEL], "logo", logo())
    centre = bright[225, 380].astype(int)
    assert centre[2] > centre[0] + 80
    assert dim[225, 380].sum() < 0.7 * centre.sum()
    assert bright[225, 300].min() > 150  # beside the logo the blank plate shows


def test_a_logo_that_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="logo"):
        plates.mask_plates(scene(LEVEL), [LEVEL], "logo")


def test_none_changes_nothing_but_copies() -> None:
    photo = scene(LEVEL)
    masked = plates.mask_plates(photo, [LEVEL], "none")
    assert np.array_equal(masked, photo)
    assert masked is not photo


def test_masking_twice_gives_the_same_bytes() -> None:
    photo = scene(TILTED)
    first = plates.mask_plates(photo, [TILTED], "fill")
    assert np.array_equal(first, plates.mask_plates(photo, [TILTED], "fill"))


@pytest.mark.parametrize("style", STYLES)
def test_masking_costs_what_a_filter_over_the_photo_does(style: Style) -> None:
    photo = np.zeros((1512, 2016, 3), np.uint8)
    quads = [TILTED * 1.6, LEVEL]

    def seconds(work: Callable[[], object]) -> float:
        work()
        times = []
        for _ in range(25):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # those that wait for each other on a busy machine count as CPU time
    masking = seconds(lambda: plates.mask_plates(photo, quads, style, logo()))
    blurring = seconds(lambda: cv2.GaussianBlur(photo, (0, 0), 3))
    cv2.setNumThreads(threads)
    assert masking < 4 * blurring  # 2 were seen


# --- leaks ----------------------------------------------------------------------------------------


def test_lines_of_a_plate_show_it_upright() -> None:
    strips = plates.readings_of(scene(TILTED), TILTED)[0]
    assert len(strips) == 4  # nearly square: it may have two lines
    assert len(plates.readings_of(scene(LEVEL), LEVEL)[0]) == 2
    flat = strips[0]
    assert flat[:, : flat.shape[1] // 8].mean() > 110  # the plate's margin, not the car


@pytest.mark.parametrize("quarters", range(4))
def test_a_plate_is_read_whichever_way_it_is_turned(quarters: int) -> None:
    photo = scene(LEVEL)
    upright = plates.readings_of(photo, LEVEL)[0][1]
    turned = np.ascontiguousarray(np.rot90(photo, quarters))
    _, matrix = rotation.rotated(photo, 90 * quarters)
    corners = quads.upright(np.asarray(LEVEL @ matrix[:, :2].T + matrix[:, 2], np.float32))
    ways = plates.readings_of(turned, corners)
    assert len(ways) == 2  # text runs along the longer side
    apart = [np.abs(strips[-1].astype(int) - upright).mean() for strips in ways]
    assert min(apart) < 4 < max(apart)


@pytest.mark.parametrize(("text", "count"), [("ABC-123", 6), ("", 0), ("- . '", 0), ("MÔNACO", 6)])
def test_readable_characters_are_letters_and_digits(text: str, count: int) -> None:
    assert plates.readable_characters(text) == count


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 0),
        (["", ""], 0),
        (["KL 1234", "L 123"], 6),
        (["GTI", "GTI", "GTI", "SPO"], 3),  # a badge: neither line has a digit
        (["8AB1", "", "B AB", "123"], 6),  # a moped's two lines; across both nothing is read
        (["", "B AB", "123"], 6),
        (["A-12", "A-12", "A12", "A-12"], 3),  # one line, seen by both halves
    ],
)
def test_two_lines_count_together(texts: list[str], count: int) -> None:
    assert plates.most_characters(texts) == count


@pytest.mark.parametrize(
    ("texts", "may"),
    [
        (["ABC 1234", "BC 123"], True),
        (["", "", "B AB", "123"], True),
        (["GARAGE", "", "", ""], False),
        (["AFINACIONES 24"], False),
        ([""], False),
    ],
)
def test_a_registration_is_told_from_a_sign(texts: list[str], may: bool) -> None:
    assert plates.may_be_a_registration(texts) is may


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("OKLA", True), ("0KLA", True), ("okla cars", True), ("ABC 1234", False), ("KL 1234", False)],
)
def test_the_owners_logo_may_stand_on_a_plate(text: str, allowed: bool) -> None:
    assert plates.is_allowed(text, ["OKLA", "OKLA Cars"]) is allowed

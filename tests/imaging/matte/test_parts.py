"""Parts that stick out, antennas and neighbours, with a segmenter that answers by the truth."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from okla_assets.imaging.matte import parts
from okla_assets.imaging.types import Floats
from tests.imaging.scenes import car_alpha, photo_of

BOX = (150.0, 220.0, 500.0, 200.0)
Bools = npt.NDArray[np.bool_]


class Truth:
    """Answers a point or a box with the thing that is there; `score` is its own confidence."""

    def __init__(self, *things: Bools, score: float = 0.9) -> None:
        self.things, self.score, self.asked = things, score, 0

    def __call__(
        self, points: Sequence[tuple[float, float]], labels: Sequence[int]
    ) -> tuple[Floats, Floats]:
        self.asked += 1
        x, y = np.mean(points[:2], axis=0) if 2 in labels else points[0]
        here = next((t for t in self.things if t[int(y), int(x)]), np.zeros_like(self.things[0]))
        logits = np.where(here, 8, -8).astype(np.float32)
        scores = np.array([self.score, 0.1, 0.1], np.float32)
        return np.stack([logits] * 3), scores


def rectangle(x: int, y: int, w: int, h: int) -> Bools:
    mask = np.zeros((600, 800), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def looked(car: Bools, doubted: Bools, logit: float, saliency: float = 0.5) -> parts.Looked:
    logits = np.where(car, 8, -8).astype(np.float32)
    logits[doubted & ~car] = logit
    salient = np.where(car, 1, 0).astype(np.float32)
    salient[doubted & ~car] = saliency
    return parts.Looked(photo_of(car.astype(np.float32)), BOX, logits, salient)


MIRROR = rectangle(232, 236, 60, 26)
NOBODY = np.zeros((600, 800), bool)


def test_a_mirror_that_both_networks_doubt_is_asked_for_and_found() -> None:
    car = car_alpha() > 0.5
    ask = Truth(MIRROR)
    seen = looked(car, MIRROR, -1.5)
    found = parts.parts_found(car.astype(np.float32), seen, NOBODY, ask)
    assert ask.asked == 1
    assert found[MIRROR & ~car].all()


def test_a_pane_behind_the_roof_is_no_part() -> None:
    """SAM 2 cuts it out as surely, but its answer on the car calls it background."""
    car = car_alpha() > 0.5
    pane = rectangle(330, 196, 30, 26)
    ask = Truth(pane)
    assert not parts.parts_found(car.astype(np.float32), looked(car, pane, -3.0), NOBODY, ask).any()
    assert ask.asked == 1


def test_a_piece_of_the_wall_that_fills_a_corner_is_no_part() -> None:
    car = car_alpha() > 0.5
    corner = rectangle(262, 236, 60, 54) & ~car
    seen = looked(car, corner, -1.5)
    assert not parts.parts_found(car.astype(np.float32), seen, NOBODY, Truth(corner)).any()


def test_a_part_of_another_vehicle_is_no_part() -> None:
    car = car_alpha() > 0.5
    found = parts.parts_found(
        car.astype(np.float32), looked(car, MIRROR, -1.5), MIRROR, Truth(MIRROR)
    )
    assert not found.any()


def test_where_objects_are_is_told_by_their_boxes() -> None:
    where = parts.inside((600, 800), [(700.0, 500.0, 200.0, 200.0), (-90.0, 10.0, 40.0, 40.0)])
    assert np.array_equal(where, rectangle(700, 500, 100, 100))


def test_an_answer_that_is_not_sure_is_not_taken() -> None:
    car = car_alpha() > 0.5
    ask = Truth(MIRROR, score=0.4)
    seen = looked(car, MIRROR, -1.5)
    assert not parts.parts_found(car.astype(np.float32), seen, NOBODY, ask).any()


REAR = rectangle(200, 200, 400, 300) & ~rectangle(320, 470, 160, 30)
DIFFUSER = rectangle(320, 470, 160, 30)


def below(piece: Bools, logit: float, saliency: float, ask: Truth, rear: Bools = REAR) -> Bools:
    seen = looked(rear, piece, logit, saliency)
    seen = parts.Looked(seen.pixels, (200.0, 200.0, 400.0, 300.0), seen.logits, seen.saliency)
    return parts.underside(rear.astype(np.float32), seen, ask)


def test_a_diffuser_between_exhausts_is_found() -> None:
    ask = Truth(DIFFUSER)
    found = below(DIFFUSER, -2.3, 0.97, ask)
    assert ask.asked == 1
    assert (found == DIFFUSER).mean() > 0.999


def test_shadow_between_tyres_is_no_diffuser() -> None:
    """The saliency net half takes it, SAM 2 is sure, its answer is another shape, or unsure."""
    assert not below(DIFFUSER, -3.6, 0.97, Truth(DIFFUSER)).any()
    assert not below(DIFFUSER, -2.3, 0.85, Truth(DIFFUSER)).any()
    assert not below(DIFFUSER, -2.3, 0.97, Truth(rectangle(320, 470, 160, 90))).any()
    assert not below(DIFFUSER, -2.3, 0.97, Truth(DIFFUSER, score=0.2)).any()


def test_what_hangs_lower_than_all_else_is_no_diffuser() -> None:
    bumper = rectangle(200, 200, 400, 270)
    ask = Truth(DIFFUSER)
    assert not below(DIFFUSER, -2.3, 0.97, ask, bumper).any()
    assert ask.asked == 0


def test_a_clean_matte_costs_no_question() -> None:
    car = car_alpha() > 0.5
    ask, seen = Truth(car), looked(car, NOBODY, 0)
    assert not parts.parts_found(car.astype(np.float32), seen, NOBODY, ask).any()
    alpha, theirs = parts.others_removed(
        car.astype(np.float32), seen, [(10.0, 10.0, 90.0, 60.0)], ask
    )
    assert ask.asked == 0
    assert not theirs.any()
    assert (alpha > 0).sum() == car.sum()


def test_a_scrap_of_the_car_behind_is_taken_out() -> None:
    car = car_alpha() > 0.5
    behind = rectangle(170, 200, 110, 110) & ~car
    alpha = (car | behind).astype(np.float32)
    seen = looked(car, behind, 1.0)
    cleaned, theirs = parts.others_removed(
        alpha, seen, [(160.0, 190.0, 130.0, 120.0)], Truth(rectangle(160, 190, 130, 120) & ~car)
    )
    assert theirs[behind].all()
    assert cleaned[behind].max() == 0
    assert cleaned[car].min() == 1


def line(start: tuple[int, int], end: tuple[int, int], thickness: int = 3) -> Bools:
    canvas = np.zeros((600, 800), np.uint8)
    cv2.line(canvas, start, end, 255, thickness)
    return canvas > 0


def seen_with(stroke: Bools) -> tuple[npt.NDArray[np.float32], parts.Looked]:
    car = car_alpha() > 0.5
    picture = np.full((600, 800, 3), 200, np.uint8)
    picture[car] = (120, 20, 20)
    picture[stroke & ~car] = (30, 30, 30)
    logits = np.where(car, 8, -8).astype(np.float32)
    logits[stroke & ~car] = -3
    return car.astype(np.float32), parts.Looked(picture, BOX, logits, car.astype(np.float32))


def test_an_antenna_is_found() -> None:
    stroke = line((480, 222), (505, 186))
    alpha, seen = seen_with(stroke)
    found = parts.antennas(alpha, seen)
    free = stroke & (alpha < 0.5)
    assert (found & free).sum() > 0.8 * free.sum()
    assert (found & ~stroke).sum() < 0.2 * free.sum()


def test_an_antenna_is_found_that_something_touches() -> None:
    """A rail at its foot, which leaves the line."""
    stroke = line((480, 222), (505, 186), 1) | line((481, 222), (506, 186), 1)
    rail = line((482, 219), (492, 217), 1)
    alpha, seen = seen_with(stroke | rail)
    logits = seen.logits.copy()
    logits[stroke & (alpha < 0.5)] = -2
    found = parts.antennas(alpha, replace(seen, logits=logits))
    free = stroke & (alpha < 0.5)
    assert (found & free).sum() > 0.7 * free.sum()
    assert not (
        found & rail & ~cv2.dilate(stroke.astype(np.uint8), np.ones((7, 7))).astype(bool)
    ).any()
    assert not parts.antennas(alpha, seen).any()  # where SAM 2 is surer that there is none


def test_a_line_that_is_a_part_of_what_is_bent_is_no_antenna() -> None:
    bow = line((480, 222), (505, 186)) | line((505, 186), (540, 196))
    alpha, seen = seen_with(bow)
    logits = np.where(bow & (alpha < 0.5), -2, seen.logits).astype(np.float32)
    assert not parts.antennas(alpha, replace(seen, logits=logits)).any()


def test_a_lamp_post_behind_the_roof_is_no_antenna() -> None:
    alpha, seen = seen_with(line((480, 222), (480, 0)))
    assert not parts.antennas(alpha, seen).any()


def test_a_bar_as_thick_as_a_post_is_no_antenna() -> None:
    alpha, seen = seen_with(line((480, 222), (480, 190), 24))
    assert not parts.antennas(alpha, seen).any()


def test_a_bright_stroke_is_no_antenna() -> None:
    """Such a stroke is a frame behind the roof; an antenna is dark on both its sides."""
    stroke = line((480, 222), (480, 190))
    alpha, seen = seen_with(stroke)
    pixels = seen.pixels.copy()
    pixels[stroke] = 235
    assert not parts.antennas(alpha, replace(seen, pixels=pixels)).any()

"""What stands before a vehicle, from its silhouette and from what a detector names."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.matte import obstruction, parts
from okla_assets.imaging.types import Box, Floats
from tests.imaging.matte.test_parts import BOX, Truth, rectangle
from tests.imaging.scenes import car_alpha, photo_of

Bools = npt.NDArray[np.bool_]
CAR = car_alpha() > 0.5


def before(matte: Bools, objects: Sequence[tuple[str, Box]] = (), *things: Bools) -> str | None:
    logits = np.where(matte, 8, -8).astype(np.float32)
    looked = parts.Looked(photo_of(CAR.astype(np.float32)), BOX, logits, matte.astype(np.float32))
    return obstruction.before(
        matte.astype(np.float32), looked, objects, Truth(*things) if things else None
    )


def test_a_car_alone_has_nothing_before_it() -> None:
    assert before(CAR) is None


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("board", rectangle(360, 280, 90, 200)),
        ("person", rectangle(400, 200, 60, 300)),
        ("pole", rectangle(420, 0, 8, 600)),
        ("board at the bumper", rectangle(500, 300, 200, 200)),
    ],
)
def test_a_thing_that_no_detector_knows_leaves_its_outline(what: str, where: Bools) -> None:
    assert before(CAR & ~where) == "something stands before the vehicle", what


def test_a_hole_in_the_door_is_seen_though_it_is_filled() -> None:
    hole = rectangle(350, 310, 60, 40)
    logits = np.where(CAR & ~hole, 8, -8).astype(np.float32)
    looked = parts.Looked(photo_of(CAR.astype(np.float32)), BOX, logits, CAR.astype(np.float32))
    said = obstruction.before(CAR.astype(np.float32), looked, [], None)
    assert said == "something stands before the vehicle"


PERSON = rectangle(300, 240, 30, 200)
PERSON_BOX = (300.0, 240.0, 30.0, 200.0)


def test_a_person_before_the_car_is_named_also_where_the_matte_takes_him_in() -> None:
    said = before(CAR | PERSON, [("person", PERSON_BOX)], PERSON)
    assert said == "a person stands before the vehicle"


def test_a_driver_behind_the_glass_is_not_before_the_car() -> None:
    driver = rectangle(360, 235, 40, 45)
    assert before(CAR, [("person", (360.0, 235.0, 40.0, 45.0))], driver) is None


def test_a_person_behind_the_bonnet_is_not_before_the_car() -> None:
    behind = rectangle(190, 180, 30, 118) & ~CAR
    assert before(CAR, [("person", (190.0, 180.0, 30.0, 118.0))], behind) is None


def test_a_plant_beside_the_car_is_not_before_it() -> None:
    plant = rectangle(40, 250, 60, 160)
    assert before(CAR, [("potted plant", (40.0, 250.0, 60.0, 160.0))], plant) is None


def test_what_the_detector_calls_a_bench_and_is_the_car_is_not_before_it() -> None:
    sill = rectangle(250, 340, 200, 41)
    assert before(CAR, [("bench", (250.0, 340.0, 200.0, 41.0))], sill) is None


def test_through_a_bicycle_one_sees_the_car() -> None:
    said = before(CAR, [("bicycle", (300.0, 310.0, 160.0, 110.0))])
    assert said == "a bicycle stands before the vehicle"


def empty() -> Floats:
    return np.zeros((600, 800), np.float32)


def test_an_empty_matte_says_nothing() -> None:
    assert before(empty() > 0) is None


def test_a_black_diffuser_between_exhausts_is_no_hole() -> None:
    """SAM 2 leaves it out and the saliency net takes it in: flat, and at the very bottom."""
    back = rectangle(250, 200, 300, 250)
    flat, board = rectangle(330, 422, 140, 20), rectangle(330, 320, 140, 122)
    for hole, broken in ((flat, False), (board, True)):
        logits = np.where(back & ~hole, 8, -8).astype(np.float32)
        assert obstruction.outline_broken(back, logits, (250, 200, 300, 250)) is broken

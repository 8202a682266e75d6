from dataclasses import replace

import numpy as np
import pytest

from okla_assets.imaging.studio.camera import View, view_of
from okla_assets.imaging.studio.floor import Floor, floor_of
from okla_assets.imaging.studio.scene import Light
from okla_assets.imaging.studio.shadow import Casting, box_taken, dome_taken, levels_taken
from okla_assets.imaging.types import Alpha, Floats
from tests.imaging.scenes import car_alpha

STUDIO = Light(dome=0.5, box=0.5)
SUNNY = Light(dome=0.5, box=0.0, sun=0.5, direction=90.0, softness=0.2)


def seen(alpha: Alpha) -> Floor:
    view = view_of(alpha, 90.0)
    assert view is not None
    return floor_of(alpha, view)


def shadow(
    alpha: Alpha | None = None, light: Light = STUDIO, casting: Casting | None = None
) -> Floats:
    alpha = car_alpha() if alpha is None else alpha
    return levels_taken(seen(alpha), alpha.shape, light, 0.3, casting or Casting())


def test_form_factors_are_those_of_lamberts_law() -> None:
    """Half of a dome is hidden at a wall's foot, nothing far away, all of it deep below a body."""
    d = np.array([-2.0, -0.001, 0.001, 0.3, 5.0], np.float32)
    for taken in (dome_taken(d), box_taken(d)):
        assert taken[0] > 0.95
        assert taken[1:3] == pytest.approx([0.5, 0.5], abs=0.01)
        assert (np.diff(taken) <= 1e-6).all()
        assert taken[-1] < 0.01
    assert box_taken(d)[3] < dome_taken(d)[3]  # a lamp above casts the shorter shadow


def test_the_shadow_is_darkest_where_tyres_stand_and_fades() -> None:
    taken, view = shadow(), seen(car_alpha()).view
    assert taken.dtype == np.float32
    assert taken.min() >= 0
    assert taken.max() <= 1
    tyre = round(float(view.seen(view.tyres)[0, 0]))
    assert taken[416:424, tyre - 8 : tyre + 9].max() > taken[416:424, 390:410].max() + 0.05
    assert taken[418:424, 235:265].max() > 0.65
    assert taken[405, 400] > 0.4  # under the sill
    column = taken[440:600, 400]
    assert (np.diff(column) <= 0.01).all()
    assert column[-1] < 0.2
    assert taken[:200].max() < 0.05


def test_tyres_stand_on_their_shadow_wherever_the_fit_puts_them() -> None:
    """A view that is some pixels off moves until what is drawn meets the tyres."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    for off in (-9.0, 0.0, 9.0):
        floor = floor_of(alpha, replace(view, horizon=view.horizon + off))
        taken = levels_taken(floor, alpha.shape, STUDIO, 0.3, Casting())
        for x in (250, 550):
            assert taken[416:424, x - 12 : x + 12].max() > 0.65


def test_it_is_dark_right_below_a_sill_however_low_the_camera_stood() -> None:
    """A low camera would see the lit floor behind the vehicle there; what it sees is its belly."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0, 0.35, 1.2)
    assert view is not None
    floor = floor_of(alpha, view)
    taken = levels_taken(floor, alpha.shape, STUDIO, 0.3, Casting())
    sill = 380
    assert taken[sill : sill + 4, 350:450].mean() > 0.5
    assert floor.sill is not None
    # The tyres' columns are not the sill's.
    between = np.flatnonzero(np.isfinite(floor.sill))
    assert 260 < between[0] < 320 and 480 < between[-1] < 540


def test_a_tyre_that_the_matte_lost_is_no_leg() -> None:
    whole, cut = car_alpha(), car_alpha()
    cut[395:, 500:600] = 0
    view = view_of(whole, 90.0)
    assert view is not None
    assert [leg.middle for leg in floor_of(whole, view).legs] == pytest.approx([250, 550], abs=2)
    assert [leg.middle for leg in floor_of(cut, view).legs] == pytest.approx([250], abs=2)


def test_an_intensity_weakens_all_of_it() -> None:
    full, half = shadow(), shadow(casting=Casting(intensity=0.5))
    assert half == pytest.approx(full / 2, abs=1e-5)


def test_the_sun_casts_its_shadow_to_the_side_that_is_asked_for() -> None:
    left = shadow(light=SUNNY, casting=Casting(direction=90.0))
    right = shadow(light=SUNNY, casting=Casting(direction=270.0))
    beside_left, beside_right = np.s_[395:425, 60:130], np.s_[395:425, 670:740]
    assert left[beside_left].mean() > right[beside_left].mean() + 0.1
    assert right[beside_right].mean() > left[beside_right].mean() + 0.1


def test_a_longer_spread_reaches_further() -> None:
    reach = {
        spread: shadow(light=SUNNY, casting=Casting(1.0, 180.0, None, spread))[430:].sum()
        for spread in ("short", "medium", "long")
    }
    assert reach["short"] < reach["medium"] < reach["long"]


def test_a_shadow_reaches_as_far_as_the_scene_says_unless_asked_otherwise() -> None:
    low = replace(SUNNY, spread="long")
    asked = shadow(light=SUNNY, casting=Casting(spread="long"))
    assert np.array_equal(shadow(light=low), asked)
    assert not np.array_equal(shadow(light=SUNNY), asked)


def test_a_soft_shadow_has_a_softer_edge() -> None:
    def steepest(softness: float) -> float:
        taken = shadow(light=SUNNY, casting=Casting(1.0, 180.0, softness))
        return float(np.abs(np.diff(taken[440:, 400])).max())

    assert steepest(0.0) > 1.5 * steepest(1.0)


def test_a_picture_twice_the_size_has_the_same_shadow() -> None:
    import cv2

    small = car_alpha()
    large = np.asarray(cv2.resize(small, (1600, 1200), interpolation=cv2.INTER_LINEAR), np.float32)
    halved = cv2.resize(shadow(large), (800, 600), interpolation=cv2.INTER_AREA)
    assert np.abs(halved - shadow(small)).mean() < 0.01


def test_what_the_camera_cannot_see_is_not_drawn() -> None:
    """A floor that reaches behind the camera does not come back above the horizon."""
    alpha = car_alpha()
    view = view_of(alpha, 90.0)
    assert view is not None
    near = View(**{**view.__dict__, "footprint": view.footprint - [0, 1.2], "tyres": view.tyres})
    taken = levels_taken(floor_of(alpha, near), alpha.shape, STUDIO, 0.3, Casting())
    assert taken[: int(view.horizon)].max() < 0.05


def end_view(*, tyres: bool) -> Alpha:
    """A body seen straight from an end, 300 pixels high and 340 wide, on tyres or hiding them."""
    alpha = np.zeros((600, 800), np.float32)
    alpha[150:430, 230:570] = 1
    if tyres:
        alpha[430:450, 240:300] = alpha[430:450, 500:560] = 1
    return alpha


def end_shadow(alpha: Alpha) -> tuple[Floor, Floats]:
    view = view_of(alpha, 0.0)
    assert view is not None
    floor = floor_of(alpha, view)
    return floor, levels_taken(floor, alpha.shape, STUDIO, 0.3, Casting())


def test_a_bumper_that_hides_its_tyres_stands_on_dark_floor() -> None:
    """As on photos: little light right below its edge, half of it an eighth of the height lower."""
    floor, taken = end_shadow(end_view(tyres=False))
    assert floor.bumper is not None
    below = taken[430:, 260:540].mean(axis=1)
    assert below[4] > 0.7
    assert below[4] > below[20] > below[35] + 0.1 > 0.3
    assert below[90] < 0.35
    assert taken[100:140].max() < 0.05  # nothing over the roof
    assert abs(np.diff(taken[440])).max() < 0.05  # no upright edge at its ends


def test_tyres_that_show_keep_the_shadow_at_their_feet() -> None:
    """Light comes in over the floor before tyres that stand free; between them it is dark."""
    floor, taken = end_shadow(end_view(tyres=True))
    assert len(floor.found) == 2
    assert taken[434, 350:450].min() > 0.7
    hiding, deeper = end_shadow(end_view(tyres=False))
    assert not hiding.found
    assert taken[520:, 230:570].mean() < 0.7 * deeper[500:580, 230:570].mean()


def test_a_bumper_whose_corners_rise_stands_on_all_of_its_width() -> None:
    alpha = end_view(tyres=False)
    for column in range(40):
        rises = round(20 * (1 - column / 40))
        alpha[430 - rises : 430, [230 + column, 569 - column]] = 0
    floor, taken = end_shadow(alpha)
    assert floor.bumper is not None
    corners, middle = taken[428, [262, 537]], taken[434, 400]
    assert corners.min() > 0.85 * middle
    assert taken[428, [215, 584]].max() < 0.4 * middle  # nothing stands beside the body


def test_what_a_floor_mirrors_of_an_end_begins_near_its_bumper() -> None:
    floor, _ = end_shadow(end_view(tyres=False))
    middle = floor.line[300:500]
    assert (middle > 430).all()
    assert middle.max() <= 430 + 0.07 * floor.view.vehicle_height


def test_an_exhaust_below_a_bumper_is_not_its_edge() -> None:
    alpha = end_view(tyres=False)
    alpha[430:442, 320:350] = 1
    floor, _ = end_shadow(alpha)
    assert floor.bumper is not None
    assert floor.bumper[335] == pytest.approx(430, abs=1)
    assert np.isnan(floor.bumper[100])

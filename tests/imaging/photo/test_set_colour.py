"""Paint whose colour is known, under lights that are known."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from okla_assets.imaging.photo import codec
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.enhance import corrected, decode, encode
from okla_assets.imaging.photo.set_colour import measure, solve, solve_cabin, solve_turn
from okla_assets.imaging.types import Alpha, Rgb
from okla_assets.sample import FOLDER, MEDIA
from okla_assets.sample.truth import truth
from tests.imaging.scenes import car_alpha

Picture = tuple[Rgb, Alpha]
Gains = tuple[float, float, float]
DAY, BLUE, YELLOW = (1.0, 1.0, 1.0), (0.35, 0.8, 1.5), (1.2, 0.8, 0.3)


@cache
def sample() -> tuple[Picture, ...]:
    """The sample's views of the whole car, each with its exact matte."""
    views = [photo for photo in truth().photos if photo.matte is not None]
    pictures = []
    for view in views:
        photo = codec.fit_within(codec.decode_trusted((MEDIA / view.file).read_bytes()), 640)
        grey = codec.decode_gray((FOLDER / str(view.matte)).read_bytes())
        grey = codec.resize(grey, photo.shape[1], photo.shape[0])
        pictures.append((photo, np.asarray(grey / 255, np.float32)))
    return tuple(pictures)


def under(photo: Rgb, light: npt.ArrayLike) -> Rgb:
    """The photo as if taken under another light: gains (3,) or (H, W, 3) on linear values."""
    lit = decode(np.asarray(photo / 255, np.float32)) * np.asarray(light, np.float32)
    return np.asarray(np.rint(encode(np.asarray(lit.clip(0, 1), np.float32)) * 255), np.uint8)


def drawn(paint: tuple[int, int, int], seed: int = 0) -> Picture:
    """A car in one paint with shading and glass, on a grey floor."""
    alpha = car_alpha()
    height, width = alpha.shape
    shade = np.linspace(1.1, 0.75, height)[:, None, None] * np.linspace(0.95, 1.05, width)[:, None]
    body = np.array(paint) * shade
    body[230:285, 340:510] = (25, 28, 30)
    body[360:] = (20, 20, 20)
    a = alpha[..., None]
    mixed = body * a + np.array((128, 128, 128)) * (1 - a)
    noise = np.random.default_rng(seed).normal(0, 1.5, mixed.shape)
    return np.asarray((mixed + noise).clip(0, 255), np.uint8), alpha


def solved(pictures: Sequence[Picture]) -> list[Correction]:
    return solve([measure(*picture) for picture in pictures])


@cache
def as_it_is() -> tuple[Correction, ...]:
    """The sample's own corrections."""
    return tuple(solved(sample()))


def difference(lab: npt.ArrayLike, other: npt.ArrayLike) -> float:
    return float(deltaE_ciede2000(lab, other))  # type: ignore[no-untyped-call]


def paint_of(photo: Rgb, alpha: Alpha) -> npt.NDArray[np.float64]:
    """Median CIELAB of the doors: no glass, no tyres."""
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    doors = np.zeros(alpha.shape, bool)
    height, width = rows[-1] - rows[0], columns[-1] - columns[0]
    doors[rows[0] + height // 2 : rows[0] + 2 * height // 3] = True
    doors[:, : columns[0] + width // 5] = doors[:, columns[-1] - width // 5 :] = False
    return np.asarray(np.median(rgb2lab(photo[doors & (alpha > 0.99)][None])[0], axis=0))


@pytest.mark.parametrize(
    ("number", "cast"), [(0, (1.3, 1.0, 0.7)), (3, (1.15, 1.0, 1.1)), (7, (0.7, 1.0, 1.4))]
)
def test_a_cast_on_one_photo_of_a_red_car_is_taken_off(number: int, cast: Gains) -> None:
    """The known car under a known cast comes back within Delta E 3."""
    plain = list(sample())
    photo, alpha = plain[number]
    painted = [*plain]
    painted[number] = under(photo, np.array(cast) * 0.85), alpha
    wanted = paint_of(corrected(photo, as_it_is()[number]), alpha)
    cast_on = paint_of(painted[number][0], alpha)
    back = paint_of(corrected(painted[number][0], solved(painted)[number]), alpha)
    assert difference(wanted, back) < 3
    assert difference(wanted, back) < 0.7 * difference(wanted, cast_on)


def test_the_sample_has_one_colour() -> None:
    pictures = sample()
    before = np.array([paint_of(*picture) for picture in pictures])
    done = [corrected(p, c) for (p, _), c in zip(pictures, as_it_is(), strict=True)]
    after = np.array([paint_of(p, alpha) for p, (_, alpha) in zip(done, pictures, strict=True)])

    def spread(labs: npt.NDArray[np.float64]) -> float:
        return float(np.hypot(*(labs - np.median(labs, axis=0)).T[1:]).mean())

    assert spread(after) < 0.6 * spread(before)
    hues = [np.degrees(np.arctan2(*np.median(labs, axis=0)[:0:-1])) for labs in (before, after)]
    assert abs(hues[0] - hues[1]) < 3


@pytest.mark.parametrize("paint", [(225, 225, 225), (130, 132, 133)])
def test_grey_paint_is_grey_under_every_lamp(paint: tuple[int, int, int]) -> None:
    lights = (DAY, BLUE, YELLOW, (0.9, 0.85, 0.95), BLUE)
    pictures = []
    for seed, light in enumerate(lights):
        photo, alpha = drawn(paint, seed)
        pictures.append((under(photo, light), alpha))
    assert max(np.hypot(*paint_of(*picture)[1:]) for picture in pictures) > 25
    for (photo, alpha), correction in zip(pictures, solved(pictures), strict=True):
        lightness, *tint = paint_of(corrected(photo, correction), alpha)
        assert np.hypot(*tint) < 4
        if paint[0] > 200:
            assert lightness > 75


def test_two_lamps_on_one_car_make_a_field() -> None:
    photo, alpha = drawn((225, 225, 225))
    share = np.linspace(-1.5, 2.5, photo.shape[1]).clip(0, 1)[:, None]
    lamps = np.exp(np.log(BLUE) * (1 - share) + np.log((1.0, 0.8, 0.5)) * share)
    pictures = [drawn((225, 225, 225), seed) for seed in (1, 2, 3)] + [(under(photo, lamps), alpha)]
    (*plain, two) = solved(pictures)
    assert two.field is not None
    assert (two.field.columns, two.field.rows) == (8, 6)
    assert all(correction.field is None for correction in plain)
    done = corrected(pictures[-1][0], two)
    for half in (slice(160, 280), slice(520, 640)):
        body = done[305:345, half].reshape(-1, 3)
        assert np.hypot(*np.median(rgb2lab(body[None])[0], axis=0)[1:]) < 9


def test_another_car_is_left_alone() -> None:
    whites = [drawn((225, 225, 225), seed) for seed in range(4)]
    red = drawn((190, 30, 35))
    correction = solved([*whites, red])[-1]
    assert max(correction.gains) / min(correction.gains) < 1.05
    assert correction.saturation == 1
    assert correction.field is None


@pytest.mark.parametrize("paint", [(20, 60, 160), (180, 30, 40), (30, 110, 60)])
def test_coloured_paint_keeps_its_hue(paint: tuple[int, int, int]) -> None:
    pictures = [drawn(paint, seed) for seed in range(3)]
    hue = np.median([np.degrees(np.arctan2(*paint_of(*p)[:0:-1])) for p in pictures])
    for (photo, alpha), correction in zip(pictures, solved(pictures), strict=True):
        done = paint_of(corrected(photo, correction), alpha)
        assert abs(np.degrees(np.arctan2(*done[:0:-1])) - hue) < 3


@pytest.mark.parametrize("paint", [(140, 200, 205), (75, 112, 118), (72, 34, 44), (150, 120, 150)])
def test_paint_of_a_hue_that_no_light_has_is_not_made_grey(paint: tuple[int, int, int]) -> None:
    """Turquoise, petrol, wine, lilac: as pale as a grey car that mirrors the sky."""
    photo, alpha = drawn(paint)
    (correction,) = solved([(photo, alpha)])
    before, after = paint_of(photo, alpha), paint_of(corrected(photo, correction), alpha)
    assert np.hypot(*after[1:]) > 0.85 * np.hypot(*before[1:])
    assert max(correction.gains) / min(correction.gains) < 1.1


def test_a_stripe_is_no_second_lamp() -> None:
    photo, alpha = drawn((140, 140, 140))
    photo[290:350, 380:520] = (225, 70, 60)
    (correction,) = solved([(photo, alpha)])
    assert correction.field is None
    done = corrected(photo, correction)[300:340]
    beside = np.concatenate([done[:, 340:375], done[:, 525:560]])
    assert np.hypot(*np.median(rgb2lab(beside).reshape(-1, 3), axis=0)[1:]) < 4


def test_black_stays_black() -> None:
    """It mirrors a yellow wall and a blue sky, which says nothing of the light."""
    wall, sky = drawn((62, 50, 34)), drawn((18, 21, 30))
    pictures = [drawn((20, 20, 20)), wall, drawn((19, 19, 20)), sky]
    for (photo, alpha), correction in zip(pictures, solved(pictures), strict=True):
        done = corrected(photo, correction)
        assert np.median(done[alpha > 0.99]) < 50
        assert max(correction.gains) / min(correction.gains) < 2
        assert 0.7 < done[:100].mean() / photo[:100].mean() < 1.4


def test_a_dark_set_gets_lighter_and_nothing_is_clipped() -> None:
    photo, alpha = sample()[0]
    dark = under(photo, (0.3, 0.3, 0.3))
    done = corrected(dark, solved([(dark, alpha)])[0])
    assert done.mean() > 1.07 * dark.mean()
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    bright = solved([(np.asarray(np.minimum(photo * 0.6 + 90, 255), np.uint8), alpha)])[0]
    out = corrected(ramp, bright)[0].astype(int)
    assert (np.diff(out, axis=0) >= 0).all()
    assert out[-1].min() >= 252


def test_cabins_come_together() -> None:
    photo = np.asarray(sample()[0][0])
    lights = [(1.0, 1.0, 1.0), (1.15, 1.0, 0.85), (0.9, 1.0, 1.15)]
    cabin = [under(photo, np.array(light) * 0.5) for light in lights]
    corrections = solve_cabin([measure(picture, None) for picture in cabin])
    done = [corrected(p, c) for p, c in zip(cabin, corrections, strict=True)]

    def spread(pictures: Sequence[Rgb]) -> float:
        means = [p.reshape(-1, 3).mean(axis=0) for p in pictures]
        return float(np.std([m / m.mean() for m in means], axis=0).max())

    assert spread(done) < 0.4 * spread(cabin)
    assert np.mean(done) > np.mean(cabin)
    assert solve_cabin([]) == []


def test_a_cabin_all_in_black_is_solved() -> None:
    (correction,) = solve_cabin([measure(np.zeros((30, 40, 3), np.uint8), None)])
    assert np.isfinite(correction.gains).all()


def test_a_turn_has_one_correction_for_all() -> None:
    pictures = sample()[::3]
    one = solve_turn([measure(*picture) for picture in pictures])
    assert one.field is None
    with pytest.raises(ValueError, match="no pictures"):
        solve_turn([])


def test_a_photo_alone_and_one_without_vehicle_are_solved() -> None:
    photo, alpha = sample()[0]
    assert len(solve([measure(photo, alpha)])) == 1
    assert len(solve([measure(photo, None), measure(photo, np.zeros_like(alpha))])) == 2
    assert solve([]) == []

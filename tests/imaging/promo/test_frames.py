"""Frames: motion without jitter, true colours, clean transitions, a turn that turns."""

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from okla_assets.imaging.promo import cards as cards
from okla_assets.imaging.promo import frames as fr
from okla_assets.imaging.promo.moves import Window, path
from okla_assets.imaging.promo.text import Fonts
from okla_assets.imaging.promo.timeline import Picture, load_template, plan
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO

SIZE = (320, 180)
TEMPLATE = load_template()
Rgb = npt.NDArray[np.uint8]


def dot(at: tuple[float, float] = (201.3, 148.6), size: tuple[int, int] = (400, 300)) -> Rgb:
    """A soft white dot on grey."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    blob = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 6.0**2))
    return np.repeat(np.rint(60 + 190 * blob)[..., None], 3, axis=2).astype(np.uint8)


def centre(luma: npt.NDArray[np.uint8]) -> tuple[float, float]:
    weight = (luma.astype(float) - np.median(luma)).clip(4) - 4
    y, x = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


@pytest.mark.parametrize("move", ["push_in", "drift_right", "rise"])
@pytest.mark.parametrize("plane", ["y", "u"])
def test_motion_is_smooth_below_a_pixel(move: str, plane: str) -> None:
    picture = dot()
    if plane == "u":  # the same dot in blue: chroma moves as smoothly as luma
        picture[..., 2] = picture[..., 0]
        picture[..., :2] = 60
    way = path(Picture("p", "interior"), TEMPLATE.moves[move], (400, 300), SIZE, False)
    scale = SIZE[0] / min(way.begin.w, way.end.w)
    sheet = fr.make_sheet(picture, way.bounds, scale, plain=False)
    frame = fr.blank(SIZE, (0, 0, 0))
    seen, true = [], []
    for t in np.linspace(0, 1, 61):
        window = way.at(t)
        fr.look(sheet, window, frame)
        zoom = SIZE[0] / window.w
        divisor = 1 if plane == "y" else 2
        seen.append(np.array(centre(fr.planes_of(frame)[plane])) * divisor)
        true.append([(201.8 - window.x) * zoom - 0.5, (149.1 - window.y) * zoom - 0.5])
    # H.264 chroma lies on the left edge of its two columns and between its two rows.
    off = np.array(seen) - np.array(true) - (0.0 if plane == "y" else np.array([0.0, -0.5]))
    assert np.abs(off).max() < 0.12  # nor is anything shifted
    jitter = np.diff(np.array(seen), n=2, axis=0)
    assert np.abs(jitter).max() < (0.06 if plane == "y" else 0.2)


def test_colours_survive() -> None:
    patches = np.array(
        [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 160, 60], [20, 40, 230], [128, 128, 128]]
    )
    picture = np.repeat(np.repeat(patches[None], 40, 0), 40, 1).astype(np.uint8)
    back = fr.to_rgb(fr.from_rgb(picture)).astype(int)
    for i, patch in enumerate(patches):
        assert np.abs(back[20, 40 * i + 20] - patch).max() <= 3
    luma = fr.planes_of(fr.from_rgb(picture))["y"]
    assert luma.min() == 16 and luma.max() == 235  # video range


def test_a_studio_scene_goes_on_and_other_pictures_stand_before_a_blur() -> None:
    y = np.linspace(235, 200, 300)[:, None, None]
    scene = np.broadcast_to(y, (300, 400, 3)).astype(np.uint8)
    beyond = Window(0, -300, 400, 900)
    luma = fr.make_sheet(scene, beyond, 1.0, plain=True).planes.y.astype(int)
    rows = luma.mean(axis=1)
    assert np.abs(np.diff(rows)).max() < 2  # no seam
    assert np.ptp(rows[:290]) < 2
    busy = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    blurred = fr.make_sheet(busy, beyond, 1.0, plain=False).planes.y.astype(int)
    assert blurred[:280].std() < 0.3 * blurred[320:580].std()
    assert blurred[:280].mean() < blurred[320:580].mean()


@pytest.mark.parametrize("kind", ["fade", "wipe", "dip"])
def test_transitions_begin_with_one_shot_and_end_with_the_other(kind: str) -> None:
    black, white, red = (fr.blank(SIZE, c) for c in ((0, 0, 0), (255, 255, 255), (200, 0, 0)))
    steps = [fr.blend(black, white, t, kind, red) for t in np.linspace(0, 1, 11)]
    assert np.abs(steps[0].astype(int) - black).max() <= 1
    assert np.abs(steps[-1].astype(int) - white).max() <= 1
    lumas = [fr.planes_of(step)["y"] for step in steps]
    assert all(a.mean() <= b.mean() + 1 for a, b in pairwise(lumas))
    middle = fr.to_rgb(steps[5])[90]
    if kind == "wipe":
        assert middle[5].min() > 250 and middle[-5].max() < 5
    if kind == "dip":
        assert np.abs(middle[160].astype(int) - (200, 0, 0)).max() < 6


def turn_of(gap: float) -> fr.SpinSequence:
    """A textured disc that steps 8 pixels to the right from picture to picture."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (300, 400), np.uint8), (0, 0), 3)
    pictures = []
    for step in range(4):
        picture = np.full((300, 400), 220, np.uint8)
        x, y = np.meshgrid(np.arange(400) - 150 - 8 * step, np.arange(300) - 150)
        inside = np.hypot(x, y) < 70
        picture[inside] = np.roll(texture, 8 * step, axis=1)[inside]
        pictures.append(np.repeat(picture[..., None], 3, axis=2))
    return fr.SpinSequence(lambda i: pictures[i], [gap] * 4)


def test_a_turn_is_continuous_between_near_pictures() -> None:
    turn = turn_of(10)
    first, second, between = (turn.at(s).y for s in (0.0, 0.25, 0.125))
    shifted = np.roll(first, 4, axis=1)
    inner = (slice(100, 200), slice(110, 200))
    morphed = np.abs(between[inner].astype(int) - shifted[inner]).mean()
    mixed = np.abs((first[inner].astype(int) + second[inner]) / 2 - shifted[inner]).mean()
    assert morphed < 0.35 * mixed
    assert np.array_equal(turn.at(1.0).y, first)


def test_far_pictures_give_way_to_each_other_quickly() -> None:
    turn = turn_of(22.5)
    first = turn.at(0.0).y
    assert np.array_equal(turn.at(0.25 * 0.3).y, first)
    assert np.array_equal(turn.at(0.25 * 0.7).y, turn.at(0.25).y)


def test_a_whole_clip_is_drawn_without_a_jump() -> None:
    """Every frame differs little from the one before: no cut, no flash, no repeated shot."""
    pictures = {"car": dot((190, 160)), "seat": dot((100, 200)), "spin": dot()}
    shown = [
        Picture("car", "exterior", "side", car=(0.3, 0.35, 0.4, 0.4)),
        Picture("seat", "interior"),
    ]
    timeline = plan(TEMPLATE, shown, 10, SIZE, has_spin=True)
    turn = [("spin", 10.0)] * 12
    stage = cards.stage(
        timeline,
        cards.Words(),
        Fonts(()),
        TEMPLATE.look,
        SIZE,
        pictures.__getitem__,
        turn,
        WHITE_STUDIO,
    )
    drawn = [frame.copy() for frame in fr.frames(timeline, stage)]
    assert len(drawn) == timeline.frames
    jumps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(drawn)]
    assert max(jumps) < 25  # a cut from card to picture is more than 60
    assert fr.planes_of(drawn[-1])["y"].max() < 40  # it ends dark
    assert fr.poster(timeline, stage, 0.5).shape == (180, 320, 3)

"""Motion without jitter, and pictures that do not fill the frame."""

import numpy as np
import pytest

from okla_assets.imaging.promo.moves import Window, path
from okla_assets.imaging.promo.sheets import draw_window, make_sheet
from okla_assets.imaging.promo.timeline import Picture, load_template
from okla_assets.imaging.promo.yuv import blank, planes_of
from okla_assets.imaging.types import Pixels
from tests.imaging.scenes import dot

SIZE = (320, 180)
TEMPLATE = load_template()


def centre(luma: Pixels) -> tuple[float, float]:
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
    sheet = make_sheet(picture, way.bounds, scale, plain=False)
    frame = blank(SIZE, (0, 0, 0))
    seen, true = [], []
    for t in np.linspace(0, 1, 61):
        window = way.at(t)
        draw_window(sheet, window, frame)
        zoom = SIZE[0] / window.w
        divisor = 1 if plane == "y" else 2
        seen.append(np.array(centre(planes_of(frame)[plane])) * divisor)
        true.append([(201.8 - window.x) * zoom - 0.5, (149.1 - window.y) * zoom - 0.5])
    # H.264 chroma lies on the left edge of its two columns and between its two rows.
    off = np.array(seen) - np.array(true) - (0.0 if plane == "y" else np.array([0.0, -0.5]))
    assert np.abs(off).max() < 0.12  # nor is anything shifted
    jitter = np.diff(off, n=2, axis=0)  # of what is not the move's own
    assert np.abs(jitter).max() < (0.06 if plane == "y" else 0.2)


def test_a_studio_scene_goes_on_and_other_pictures_stand_before_a_blur() -> None:
    y = np.linspace(235, 200, 300)[:, None, None]
    scene = np.broadcast_to(y, (300, 400, 3)).astype(np.uint8)
    beyond = Window(0, -300, 400, 900)
    luma = make_sheet(scene, beyond, 1.0, plain=True).planes.y.astype(int)
    rows = luma.mean(axis=1)
    assert np.abs(np.diff(rows)).max() < 2  # no seam
    assert np.ptp(rows[:290]) < 2
    busy = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    blurred = make_sheet(busy, beyond, 1.0, plain=False).planes.y.astype(int)
    assert blurred[:280].std() < 0.3 * blurred[320:580].std()
    assert blurred[:280].mean() < blurred[320:580].mean()

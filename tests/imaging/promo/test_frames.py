"""The clip as a whole."""

from itertools import pairwise

import numpy as np

from okla_assets.imaging.promo import cards, frames
from okla_assets.imaging.promo.text import Fonts
from okla_assets.imaging.promo.timeline import Picture, load_template, plan
from okla_assets.imaging.promo.yuv import planes_of
from tests.imaging.scenes import dot

SIZE = (320, 180)
TEMPLATE = load_template()


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
    )
    drawn = [frame.copy() for frame in frames.frames(timeline, stage)]
    assert len(drawn) == timeline.frames
    jumps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(drawn)]
    assert max(jumps) < 25  # a cut from card to picture is more than 60
    assert planes_of(drawn[-1])["y"].max() < 40  # it ends dark
    assert frames.poster(timeline, stage, 0.5).shape == (180, 320, 3)

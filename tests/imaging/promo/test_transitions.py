"""Clean transitions."""

from itertools import pairwise

import numpy as np
import pytest

from okla_assets.imaging.promo.timeline import Transition
from okla_assets.imaging.promo.transitions import blend
from okla_assets.imaging.promo.yuv import blank, planes_of, to_rgb

SIZE = (320, 180)


@pytest.mark.parametrize("kind", ["fade", "wipe", "dip"])
def test_transitions_begin_with_one_shot_and_end_with_the_other(kind: Transition) -> None:
    black, white, red = (blank(SIZE, c) for c in ((0, 0, 0), (255, 255, 255), (200, 0, 0)))
    steps = [blend(black, white, t, kind, red) for t in np.linspace(0, 1, 11)]
    assert np.abs(steps[0].astype(int) - black).max() <= 1
    assert np.abs(steps[-1].astype(int) - white).max() <= 1
    lumas = [planes_of(step)["y"] for step in steps]
    assert all(a.mean() <= b.mean() + 1 for a, b in pairwise(lumas))
    middle = to_rgb(steps[5])[90]
    if kind == "wipe":
        assert middle[5].min() > 250 and middle[-5].max() < 5
    if kind == "dip":
        assert np.abs(middle[160].astype(int) - (200, 0, 0)).max() < 6

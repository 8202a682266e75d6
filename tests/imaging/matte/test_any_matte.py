"""What holds of any matte: empty, full, one pixel wide, of noise, cut by every edge."""

import numpy as np
from hypothesis import given, settings, strategies as st

from okla_assets.imaging.matte import cutout, obstruction, rim, roof, twins, wheels
from okla_assets.imaging.matte.parts import Looked
from okla_assets.imaging.types import Alpha

SIDES = st.one_of(st.integers(1, 4), st.integers(5, 70))
PLACES = st.tuples(*[st.floats(0, 1)] * 4)


@st.composite
def mattes(draw: st.DrawFn) -> Alpha:
    """A box anywhere on a photo of any size, solid, soft or of noise."""
    height, width = draw(SIDES), draw(SIDES)
    (top, bottom), (left, right) = (
        sorted(round(share * side) for share in ends)
        for ends, side in zip(np.reshape(draw(PLACES), (2, 2)), (height, width), strict=True)
    )
    alpha = np.zeros((height, width), np.float32)
    part = alpha[top:bottom, left:right]
    noise = np.random.default_rng(draw(st.integers(0, 9))).random(part.shape)
    level = draw(st.sampled_from((1.0, 0.5, 0.51, None)))
    part[:] = noise if level is None else level
    return alpha


@settings(deadline=None)
@given(mattes(), st.integers(0, 9))
def test_every_step_takes_any_matte_and_leaves_one(alpha: Alpha, seed: int) -> None:
    random = np.random.default_rng(seed)
    photo = random.integers(0, 256, (*alpha.shape, 3), dtype=np.uint8)
    logits = random.normal(0, 3, alpha.shape).astype(np.float32)
    box = (0.0, 0.0, float(alpha.shape[1]), float(alpha.shape[0]))
    for made in (
        rim.settled(photo, alpha),
        cutout.smooth_edge(alpha, alpha.shape[1]),
        cutout.without_rags(alpha, logits > 0),
        cutout.fuse(logits, alpha, box)[0],
        cutout.alone(logits, box[2]),
    ):
        assert made.shape == alpha.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert made.min() >= 0
        assert made.max() <= 1
    colours = cutout.foreground(photo, alpha)
    pure = (alpha == 0) | (alpha == 1)
    assert (colours[pure] == photo[pure]).all()


@settings(deadline=None)
@given(mattes())
def test_every_question_has_an_answer_for_any_matte(alpha: Alpha) -> None:
    solid, photo = alpha > 0.5, np.zeros((*alpha.shape, 3), np.uint8)
    slope = roof.askew(solid)
    assert slope is None or 0 <= slope <= 180
    view = twins.facing(solid)
    assert view is None or view.area == solid.sum()
    if not solid.any():
        assert wheels.missing(solid) is None
        assert (
            obstruction.before(alpha, Looked(photo, (0, 0, 9, 9), alpha, alpha), [], None) is None
        )
    elif solid.all():
        assert cutout.runs_out(alpha)

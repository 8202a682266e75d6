"""Shadow on the floor is no part of a vehicle."""

import numpy as np

from okla_assets.imaging.matte import cutout, ground

BOX = (50.0, 50.0, 300.0, 200.0)
CAR = np.zeros((300, 400), bool)
CAR[50:250, 50:350] = True


def test_black_shadow_at_the_foot_is_floor() -> None:
    """SAM 2 half takes it and the saliency net does not; sure of it, SAM 2 is followed."""
    shadow = np.zeros_like(CAR)
    shadow[250:262, 200:330] = True
    saliency = CAR.astype(np.float32)
    for logit, kept in ((0.5, False), (6.0, True)):
        logits = np.where(CAR, 8, -8).astype(np.float32)
        logits[shadow] = logit
        alpha, _ = cutout.fuse(logits, saliency, BOX)
        assert bool(alpha[shadow].max() > 0.5) == kept
        assert alpha[60:240, 60:340].min() == 1


def test_a_mirrors_shadow_beside_a_tyre_is_floor() -> None:
    for at in (np.s_[225:248, 350:358], np.s_[225:248, 42:50]):
        matte = CAR.copy()
        matte[at] = True
        assert (ground.scraps(matte, CAR, BOX) == matte & ~CAR).all()


def test_mirrors_bumpers_and_rims_are_no_scraps() -> None:
    for at in (
        np.s_[90:110, 350:362],  # a mirror
        np.s_[150:248, 350:362],  # a bumper
        np.s_[170:190, 350:362],  # ends above the floor
        np.s_[225:248, 350:352],  # the edge as the saliency net sees it
    ):
        matte = CAR.copy()
        matte[at] = True
        assert not ground.scraps(matte, CAR, BOX).any()

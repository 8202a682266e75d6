"""From one shot to the next."""

import cv2
import numpy as np

from okla_assets.imaging.promo.moves import ease
from okla_assets.imaging.promo.timeline import Transition
from okla_assets.imaging.promo.yuv import Frame, mix, planes_of

WIPE_EDGE = 0.35
"""Width of a wipe's soft edge, as a share of the frame."""


def blend(before: Frame, after: Frame, progress: float, kind: Transition, between: Frame) -> Frame:
    """A frame of a transition at progress 0..1; a dip goes through the frame `between`."""
    share = ease(progress)
    if kind == "dip":
        first, second = (before, between) if share < 0.5 else (between, after)
        share = share * 2 if share < 0.5 else share * 2 - 1
        return np.asarray(cv2.addWeighted(first, 1 - share, second, share, 0), np.uint8)
    if kind == "wipe":
        return _wiped(before, after, share)
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def _wiped(before: Frame, after: Frame, share: float) -> Frame:
    """The new shot comes from the left behind a soft edge."""
    out = np.empty_like(before)
    olds, news = planes_of(before), planes_of(after)
    for name, plane in planes_of(out).items():
        across = (np.arange(plane.shape[1], dtype=np.float32) + 0.5) / plane.shape[1]
        edge = ((share * (1 + WIPE_EDGE) - across) / WIPE_EDGE).clip(0, 1)
        weights = np.rint(edge * edge * (3 - 2 * edge) * 255).astype(np.uint8)
        plane[:] = mix(olds[name], news[name], np.broadcast_to(weights, plane.shape))
    return out

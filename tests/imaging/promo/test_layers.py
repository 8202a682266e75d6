"""What is drawn over a shot, while it comes and rises."""

import numpy as np

from okla_assets.imaging.promo.layers import draw_layer, layer
from okla_assets.imaging.promo.yuv import blank

ACCENT = (210, 60, 30)


def test_a_rising_layer_of_the_frames_own_colour_is_not_seen() -> None:
    """Least of all as a dark green line along its upper edge, between two pixels."""
    plate = layer(np.full((40, 60, 4), (*ACCENT, 255), np.uint8), 20, 30, rise=14.0)
    for seconds in np.arange(0.02, plate.fade, 0.02):
        frame = blank((120, 100), ACCENT)
        draw_layer(frame, plate, float(seconds))
        off = np.abs(frame.astype(int) - blank((120, 100), ACCENT))
        assert off.max() <= 1, seconds


def test_a_layer_rises_whole() -> None:
    """Its lower edge, and the rounded corners there, come up with it."""
    white = layer(np.full((40, 60, 4), 255, np.uint8), 20, 30, rise=14.0)

    def light(seconds: float) -> float:
        frame = blank((120, 100), (0, 0, 0))
        draw_layer(frame, white, seconds)
        return float((frame[:100].astype(int) - 16).sum())

    for seconds in (0.1, 0.2, 0.3):
        assert abs(light(seconds) / light(1.0) - seconds / white.fade) < 0.01

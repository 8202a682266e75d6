"""True colours."""

import numpy as np

from okla_assets.imaging.promo.yuv import from_rgb, planes_of, to_rgb


def test_colours_survive() -> None:
    patches = np.array(
        [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 160, 60], [20, 40, 230], [128, 128, 128]]
    )
    picture = np.repeat(np.repeat(patches[None], 40, 0), 40, 1).astype(np.uint8)
    back = to_rgb(from_rgb(picture)).astype(int)
    for i, patch in enumerate(patches):
        assert np.abs(back[20, 40 * i + 20] - patch).max() <= 3
    luma = planes_of(from_rgb(picture))["y"]
    assert luma.min() == 16 and luma.max() == 235  # video range

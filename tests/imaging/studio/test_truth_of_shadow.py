"""The shadow against a render of the sample car on a white floor, under the white studio's light.

`rendered_floor/` is what `tests.benchmarks.studio_floor --keep` made: levels of sRGB, 255 where the
floor has all of its light, or where the car is.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.floor import floor_of
from okla_assets.imaging.studio.shadow import Casting, levels_taken
from okla_assets.imaging.studio.studio import as_alpha
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.sample import FOLDER
from okla_assets.sample.truth import truth
from tests.benchmarks.studio_floor import near

RENDERED = sorted((Path(__file__).parent / "rendered_floor").glob("*.png"))
AZIMUTHS = {Path(photo.file).stem: photo.azimuth_deg for photo in truth().photos}
MOST_OFF = {
    "IMG_0101": 3.2,
    "IMG_0102": 5.6,
    "IMG_0104": 3.0,
    "IMG_0105": 5.2,
    "IMG_0106": 4.6,
    "IMG_0107": 4.5,
}
"""Of 255 levels; without any shadow it is 10 to 20."""


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_a_shadow_is_that_of_the_render(path: Path) -> None:
    light = codec.decode_gray(path.read_bytes()).astype(np.float32)
    grey = codec.decode_gray((FOLDER / "mattes" / path.name).read_bytes())
    size = light.shape[1], light.shape[0]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    alpha = as_alpha(np.asarray(small, np.uint8))
    view = view_of(alpha, AZIMUTHS[path.stem])
    assert view is not None
    scene = WHITE_STUDIO
    taken = levels_taken(floor_of(alpha, view), light.shape, scene.light, scene.shadow, Casting())
    off = np.abs(255 * (1 - taken) - light)[near(alpha, view)].mean()
    assert off < MOST_OFF[path.stem]


def test_all_views_are_there() -> None:
    assert [path.stem for path in RENDERED] == list(MOST_OFF)

"""The sample car on a scene, for catalogues of scenes."""

from collections.abc import Sequence

import cv2
import numpy as np

from okla_assets.imaging.photo import codec
from okla_assets.imaging.studio import studio
from okla_assets.imaging.studio.camera import view_of
from okla_assets.imaging.studio.placement import extent, place
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.types import Rgb
from okla_assets.sample import FOLDER, MEDIA

PHOTO, AZIMUTH = "IMG_0101", 38.0
WIDTH, COLUMNS = 800, 2


def preview(scene: Scene, width: int = WIDTH) -> Rgb:
    """The sample car on the scene, RGB uint8 (3 / 4 width, width, 3)."""
    photo = codec.decode_trusted((MEDIA / "photos" / f"{PHOTO}.jpg").read_bytes())
    alpha = studio.as_alpha(codec.decode_gray((FOLDER / "mattes" / f"{PHOTO}.png").read_bytes()))
    placement = place(extent(alpha), width, 4 / 3, "front-quarter")
    view = view_of(alpha, AZIMUTH)
    return studio.compose(photo, alpha, placement, view, Look(scene, Casting()))


def preview_sheet(scenes: Sequence[Scene]) -> bytes:
    """A JPEG with a preview of each scene, its id below it."""
    tiles = []
    for scene in scenes:
        tile = preview(scene)
        label = np.full((40, tile.shape[1], 3), 255, np.uint8)
        cv2.putText(label, scene.id, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (40, 40, 40), 2)
        tiles.append(np.concatenate([tile, label]))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    return codec.encode_jpeg(np.concatenate(rows), 90)

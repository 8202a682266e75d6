"""A studio photo composed anew for a film, of the sample's own front quarter."""

from pathlib import Path

import cv2
import numpy as np

from okla_assets import keys
from okla_assets.imaging.photo import codec, level
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio.shadow import Casting
from okla_assets.imaging.studio.studio import Look
from okla_assets.imaging.studio.white_studio import WHITE_STUDIO
from okla_assets.imaging.types import Pixels
from okla_assets.options import StudioOptions
from okla_assets.sample import FOLDER
from okla_assets.steps.promo_pictures import FilmSet, StudioPhoto
from okla_assets.steps.standpoints import Standpoint
from resources.storage.media_store import LocalMediaStore

KEY = keys.processed_photo(keys.parse_vehicle_id("car"), "exterior", 1, "jpg")


def composed(store: LocalMediaStore, standpoint: Standpoint) -> Pixels:
    photo = StudioPhoto(1, "work/copy.png", "work/matte.png", (), None, standpoint, ("", ""))
    look = Look(WHITE_STUDIO, Casting())
    films = FilmSet({KEY: photo}, (), (), None, StudioOptions(), look, store)
    picture = films.composed(KEY, (320, 180))
    assert picture is not None
    return picture


def test_a_tilted_photo_is_level_in_a_film_too(tmp_path: Path) -> None:
    """As if it had been taken level."""
    turn = Levelled(-6.0, 0.45, 0.6)
    data = (FOLDER / "media" / "photos" / "IMG_0101.jpg").read_bytes()
    copy = codec.resize(codec.decode_trusted(data), 640, 480)
    matte = codec.decode_gray((FOLDER / "mattes" / "IMG_0101.png").read_bytes())
    matte = np.asarray(cv2.resize(matte, (640, 480), interpolation=cv2.INTER_AREA), np.uint8)
    tilted, level_one = (LocalMediaStore(root=str(tmp_path / name)) for name in ("a", "b"))
    tilted.put("work/copy.png", codec.encode_png(copy))
    tilted.put("work/matte.png", codec.encode_png(matte))
    level_one.put("work/copy.png", codec.encode_png(level.levelled(copy, turn)))
    level_one.put("work/matte.png", codec.encode_png(level.levelled(matte, turn)))
    wanted = composed(level_one, Standpoint(azimuth=38.0, height=1.0))
    assert np.array_equal(composed(tilted, Standpoint(38.0, 1.0, levelled=turn)), wanted)

"""Where the cameras of a set stood, so far as one photo does not tell it alone.

Quarter views tell how high a camera was: two tyres stand at different distances. Side and end views
do not; they take the height of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from okla_assets import keys
from okla_assets.digests import digest_of
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.types import Alpha, Quad
from okla_assets.steps.batches import Outputs, PhotoWork, run_batches
from okla_assets.steps.pictures import read_picture
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import Classification, Mask, Photo, PhotoPlates, PhotoRow, Row
from resources.progress import Progress
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.camera import View

TITLE = "Finding cameras"


class Camera(Row):
    """The fields of `camera.View`."""

    focal: float
    centre: float
    horizon: float
    camera_height: float
    footprint: Quad
    tyres: Quad
    vehicle_height: float
    error: float

    @property
    def view(self) -> "View":
        """The same with arrays."""

        from okla_assets.imaging.studio.camera import View

        return View(
            self.focal,
            self.centre,
            self.horizon,
            self.camera_height,
            np.array(self.footprint),
            np.array(self.tyres),
            self.vehicle_height,
            self.error,
        )


class Stood(PhotoRow):
    """The camera of one photo as its own matte tells it; None where the matte is too small.

    `levelled` is how the photo is turned first, where it is tilted.
    """

    camera: Camera | None
    levelled: Levelled | None = None


@dataclass(frozen=True)
class Standpoint:
    """What is known of a photo's camera: its `own` matte's word, or the `height` of its set.

    `azimuth` in degrees as of `Classification`, `height` in vehicle heights, `focal` as of `Photo`,
    `levelled` as of `Stood`. With nothing known the vehicle stands on the empty scene.
    """

    azimuth: float | None = None
    height: float | None = None
    own: Camera | None = None
    focal: float | None = None
    levelled: Levelled | None = None

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Two equal fingerprints see a matte alike."""
        return self.azimuth, self.height, self.focal, self.levelled

    def view(self, alpha: Alpha) -> "View | None":
        """The camera of a photo with this matte (H, W), which is levelled."""
        from okla_assets.imaging.studio.camera import view_of

        if self.height is not None:
            return view_of(alpha, self.azimuth, self.height, self.focal, any_lens=True)
        return None if self.own is None else self.own.view


def standpoints(
    vehicle: keys.VehicleId,
    rows: Sequence[tuple[Photo, Mask, Classification, PhotoPlates]],
    store: MediaStore,
    progress: Progress,
    version: str,
) -> Mapping[int, Standpoint]:
    """The standpoint of each photo that goes on the scene, by its number.

    `version` is that of the step. A photo whose matte cannot be read has none; that is named when
    its picture is made.
    """
    from okla_assets.imaging.studio.camera import set_height, tells_height

    studio = [
        (photo, mask, view, plates)
        for photo, mask, view, plates in rows
        if mask.status == "cut" and view.category == "exterior" and mask.matte_key
    ]
    photos = [
        PhotoWork(
            photo.number,
            photo.name,
            digest_of(
                "standpoint", version, mask.digest, plates.digest, view.azimuth_deg, photo.focal
            ),
            partial(_seen, photo, mask, view, plates, store),
            partial(_stood, photo.number),
        )
        for photo, mask, view, plates in studio
    ]
    cache = StepCache(store, vehicle, "standpoints", Stood)
    done = run_batches(TITLE, photos, list, (), cache, progress)
    found = {row.number: row.camera.view for row in done.rows if row.camera is not None}
    height = set_height(list(found.values()))
    rounded = None if height is None else round(height, 2)
    known = {photo.number: (view.azimuth_deg, photo.focal) for photo, _, view, _ in studio}
    return {
        row.number: Standpoint(
            known[row.number][0],
            None if row.camera is None or tells_height(row.camera.view) else rounded,
            row.camera,
            known[row.number][1],
            row.levelled,
        )
        for row in done.rows
    }


def _seen(
    photo: Photo, mask: Mask, view: Classification, plates: PhotoPlates, store: MediaStore
) -> "tuple[View | None, Levelled | None]":
    """The camera of a photo, and how the photo is levelled first; of the copy without plates."""
    from okla_assets.imaging.photo import codec, faults, level
    from okla_assets.imaging.studio.camera import view_of
    from okla_assets.imaging.studio.studio import as_alpha

    assert mask.matte_key is not None
    matte = codec.decode_gray(store.get(mask.matte_key))
    found = view_of(as_alpha(matte), view.azimuth_deg, focal=photo.focal, any_lens=True)
    if found is None:
        return None, None
    picture = read_picture(store, plates.masked_key)
    wheels = faults.wheel_line_tilt(matte) if view.angle == "side" else None
    turn = level.levelling(level.tilt_of(picture, matte, found), wheels, matte)
    if turn is not None:
        turned = as_alpha(level.levelled(matte, turn))
        found = view_of(turned, view.azimuth_deg, focal=photo.focal, any_lens=True)
    return found, turn


def _stood(number: int, seen: "tuple[View | None, Levelled | None]") -> tuple[Stood, Outputs]:
    view, turn = seen
    camera = (
        None
        if view is None
        else Camera(
            focal=view.focal,
            centre=view.centre,
            horizon=view.horizon,
            camera_height=view.camera_height,
            footprint=view.footprint.tolist(),
            tyres=view.tyres.tolist(),
            vehicle_height=view.vehicle_height,
            error=view.error,
        )
    )
    return Stood(number=number, camera=camera, levelled=turn), {}

"""Where the cameras of a set stood, so far as one photo does not tell it alone.

Quarter views tell how high a camera was: two tyres stand at different distances. Side and end views
do not; they take the height of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from okla_assets.steps.batches import photo_errors
from okla_assets.steps.pictures import read_matte
from okla_assets.tables import Classification, Mask
from resources.ahead import mapped
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.camera import View
    from okla_assets.imaging.types import Alpha


@dataclass(frozen=True)
class Standpoint:
    """What is known of a photo's camera beside its own matte.

    `azimuth` in degrees as of `Classification`; `height` of the camera in vehicle heights, None
    where the matte tells it.
    """

    azimuth: float | None = None
    height: float | None = None

    @property
    def fingerprint(self) -> tuple[float | None, float | None]:
        """Two equal fingerprints see a matte alike."""
        return self.azimuth, self.height

    def view(self, alpha: "Alpha") -> "View | None":
        """The camera of a photo with this matte (H, W); None where the matte is too small."""
        from okla_assets.imaging.studio.camera import view_of

        return view_of(alpha, self.azimuth, self.height)


def standpoints(
    pairs: Sequence[tuple[Mask, Classification]], store: MediaStore
) -> Mapping[int, Standpoint]:
    """The standpoint of each photo that goes on the scene, by its number."""
    from okla_assets.imaging.studio.camera import set_height, tells_height

    studio = [
        (mask, view)
        for mask, view in pairs
        if mask.status == "cut" and view.category == "exterior" and mask.matte_key
    ]

    def own(pair: tuple[Mask, Classification]) -> "View | None":
        mask, view = pair
        assert mask.matte_key is not None
        try:
            matte = read_matte(store, mask.matte_key)
        except photo_errors():
            return None  # its own composing will say so, and fail that photo alone
        return Standpoint(view.azimuth_deg).view(matte)

    views = mapped(studio, own, "standpoint")
    height = set_height([view for view in views if view is not None])
    rounded = None if height is None else round(height, 2)
    return {
        mask.number: Standpoint(
            classified.azimuth_deg, None if view is None or tells_height(view) else rounded
        )
        for (mask, classified), view in zip(studio, views, strict=True)
    }

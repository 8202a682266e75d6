"""How a vehicle's pictures look, from its options."""

from typing import TYPE_CHECKING

from okla_assets.options import StudioOptions
from okla_assets.owner_scenes import scene_of
from resources.storage.media_store import MediaStore

if TYPE_CHECKING:
    from okla_assets.imaging.studio.studio import Look


def look_of(options: StudioOptions, store: MediaStore) -> "Look":
    """The scene of the options, and how its shadow is cast.

    Raises BadInput where the owner's scene is gone or cannot be used.
    """
    from okla_assets.imaging.studio.shadow import Casting
    from okla_assets.imaging.studio.studio import Look

    casting = Casting(
        intensity=options.shadow_opacity,
        direction=options.shadow_direction,
        softness=options.shadow_softness,
        spread=options.shadow_spread,
    )
    scene = scene_of(options.background_id, store)
    return Look(scene, casting if options.casts_shadow else None)

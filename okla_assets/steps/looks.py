"""How a vehicle's pictures look, from its options."""

from typing import TYPE_CHECKING

from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.options import StudioOptions

if TYPE_CHECKING:
    from okla_assets.imaging.studio.studio import Look


def look_of(options: StudioOptions) -> "Look":
    """The scene of the options, and how its shadow is cast."""
    from okla_assets.imaging.studio.shadow import Casting
    from okla_assets.imaging.studio.studio import Look

    casting = Casting(
        intensity=options.shadow_opacity,
        direction=options.shadow_direction,
        softness=options.shadow_softness,
        spread=options.shadow_spread,
    )
    return Look(SCENES[options.background_id], casting if options.casts_shadow else None)

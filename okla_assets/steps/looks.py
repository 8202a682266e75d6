"""How a vehicle's pictures look, from its options."""

from dataclasses import replace
from typing import TYPE_CHECKING

from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.owner_scenes import scene_of
from okla_assets.steps.drafts import Found, LeakSearch
from okla_assets.steps.plate_leaks import SearchRegion, describe_leaks, with_covers
from okla_assets.steps.step_cache import StepCache
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


def searched_look(
    look: "Look", search: LeakSearch, records: StepCache[Found]
) -> "tuple[Look, str | None]":
    """The look with the plates on the owner's picture of a room covered, and what reads on.

    Vehicles are searched without their scene, so a room is searched once for all of them. Ours are
    painted by code and show no plate.
    """
    from okla_assets.imaging.studio.own_scene import Room

    room = look.scene.paint
    if search.masking.style == "none" or not isinstance(room, Room):
        return look, None
    digest = digest_of("room", look.scene.digest, search.fingerprint, search.masking.fingerprint)
    entry = records.get(digest)
    if entry is None:
        (cleared,) = search.cleared([room.picture], [SearchRegion((), ())])
        leaks = describe_leaks(cleared.leaks) if cleared.leaks else None
        found = Found(covers=cleared.covers, withheld=leaks, before_covers=(), shows_before=False)
        entry = records.put(digest, found, {})
    covers = entry.row.covers
    if covers:
        clean = replace(room, picture=with_covers(room.picture, covers, search.masking))
        look = replace(look, scene=replace(look.scene, paint=clean))
    return look, entry.row.withheld

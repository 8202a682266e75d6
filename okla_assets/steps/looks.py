"""How a vehicle's pictures look, from its options."""

from dataclasses import replace
from typing import TYPE_CHECKING

from okla_assets.digests import digest_of
from okla_assets.options import StudioOptions
from okla_assets.owner_scenes import scene_of
from okla_assets.steps.drafts import Found, LeakSearch
from okla_assets.steps.plate_leaks import SearchRegion, describe_leaks, with_covers
from okla_assets.steps.plate_masking import Masking
from okla_assets.steps.step_cache import StepCache
from okla_assets.tables import SearchedRoom
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


def look_of_searched(
    options: StudioOptions, room: SearchedRoom, masking: Masking, store: MediaStore
) -> "Look":
    """The same, with the plates that were found on the owner's picture of a room covered.

    Its scene has another digest then. Raises as `look_of`.
    """
    from okla_assets.imaging.studio.own_scene import Room

    look = look_of(options, store)
    paint = look.scene.paint
    if not room.covers or not isinstance(paint, Room):
        return look
    clean = replace(paint, picture=with_covers(paint.picture, room.covers, masking))
    digest = digest_of(look.scene.digest, room.covers, masking.fingerprint)
    return replace(look, scene=replace(look.scene, paint=clean, digest=digest))


def searched_room(look: "Look", search: LeakSearch, records: StepCache[Found]) -> SearchedRoom:
    """Where plates are on the owner's picture of a room, and what can be read there all the same.

    Vehicles are searched without their scene, so a room is searched once for all of them. Ours are
    painted by code and show no plate.
    """
    from okla_assets.imaging.studio.own_scene import Room

    room = look.scene.paint
    if search.masking.style == "none" or not isinstance(room, Room):
        return SearchedRoom()
    digest = digest_of("room", look.scene.digest, search.fingerprint, search.masking.fingerprint)
    entry = records.get(digest)
    if entry is None:
        (cleared,) = search.cleared([room.picture], [SearchRegion((), ())])
        leaks = describe_leaks(cleared.leaks) if cleared.leaks else None
        found = Found(covers=cleared.covers, withheld=leaks, before_covers=(), shows_before=False)
        entry = records.put(digest, found, {})
    return SearchedRoom(covers=entry.row.covers, withheld=entry.row.withheld)

"""The scenes there are: ours, and the owner's own under brand/scenes/."""

import hashlib
from functools import lru_cache

from okla_assets import keys
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.scenes import SCENES
from resources.errors import BadInput
from resources.storage.media_store import MediaStore


def scene_of(name: str, store: MediaStore) -> Scene:
    """The scene of this name. Raises BadInput naming the file that is missing or wrong."""
    ours = next((scene for known, scene in SCENES.items() if known == name), None)
    if ours is not None:
        return ours
    told = keys.own_scene(name)
    if store.stat(told) is None:
        known = ", ".join([*SCENES, *own_scenes(store)])
        raise BadInput(
            f"background_id: there is no scene {name!r}; there are {known}. One of your own is a "
            f"picture and a scene.toml in {keys.OWN_SCENES}{name}/"
        )
    shown = next((key for key in keys.own_scene_pictures(name) if store.stat(key)), None)
    if shown is None:
        raise BadInput(
            f"background_id: scene {name!r} has no picture: put a scene.jpg beside {told}"
        )
    return _own_scene(name, store.get(told), store.get(shown), told, shown)


@lru_cache(maxsize=2)  # each reading of a vehicle's options asks for its scene
def _own_scene(name: str, toml: bytes, picture: bytes, told: str, shown: str) -> Scene:
    from okla_assets.imaging.photo import codec
    from okla_assets.imaging.studio.own_scene import own_scene

    try:
        pixels = codec.decode_rgba(picture)[..., :3]
    except ValueError as error:
        raise BadInput(f"background_id: {shown} cannot be read: {error}") from None
    try:
        return own_scene(name, toml, pixels, hashlib.sha256(toml + picture).hexdigest())
    except ValueError as error:
        raise BadInput(f"background_id: {told}: {error}") from None


def own_scenes(store: MediaStore) -> list[str]:
    """Names of the owner's scenes: folders of brand/scenes/ that hold a scene.toml."""
    found = [keys.name_of_own_scene(info.key) for info in store.list(keys.OWN_SCENES)]
    return sorted({name for name in found if name is not None})

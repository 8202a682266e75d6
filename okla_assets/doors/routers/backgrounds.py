"""The scenes, as OKLA's pages choose among them: /api/backgrounds."""

import asyncio
import re
from collections import OrderedDict
from typing import Literal, get_args
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from okla_assets import keys
from okla_assets.doors.door import Door, door_of
from okla_assets.doors.errors import DoorError
from okla_assets.doors.okla.jobs import JobsCaller, told
from okla_assets.doors.okla.models import Background, Backgrounds
from okla_assets.imaging.studio.scene import Scene
from okla_assets.imaging.studio.scenes import SCENES
from okla_assets.options import SCENE_NAME, StudioOptions
from okla_assets.owner_scenes import own_scenes, scene_of
from resources.errors import BadInput
from resources.storage.media_store import MediaStore

router = APIRouter(tags=["backgrounds"], prefix="/api/backgrounds")

Size = Literal["thumbnail", "preview"]
WIDTHS: dict[Size, int] = {"thumbnail": 400, "preview": 1200}
QUALITY = 85
TYPES: dict[str, Literal["Studio", "Showroom", "Outdoor", "Custom"]] = {
    "studio": "Studio",
    "showroom": "Showroom",
    "outdoor": "Outdoor",
    "custom": "Custom",
}
NAMES = {
    "white_studio": "Blanco Infinito",
    "gray_showroom": "Showroom Gris",
    "dark_studio": "Estudio Oscuro",
    "outdoor_day": "Exterior Día",
}
"""As OKLA's pages have always called them."""
MOST_KEPT = 128
"""Pictures, of some 100 kB each."""


@router.get("", summary="The scenes there are", response_model_exclude_none=True, responses=told())
@router.get(
    "/all",
    summary="The same: none is kept from anybody",
    response_model_exclude_none=True,
    responses=told(),
)
async def every(request: Request, _caller: JobsCaller) -> Backgrounds:
    """Ours, then the owner's; one of the owner's that cannot be used is left out."""
    door = door_of(request)
    return await run_in_threadpool(_every, door, door.base(request))


def _every(door: Door, base: str) -> Backgrounds:
    scenes: list[Scene] = list(SCENES.values())
    for name in filter(_may_be_chosen, own_scenes(door.store)):
        try:
            scenes.append(scene_of(name, door.store))
        except BadInput:  # `okla scenes` says what is wrong with it
            continue
    return Backgrounds(
        backgrounds=[_told(scene, base) for scene in scenes],
        default_background_code=StudioOptions().background_id,
        has_premium_access=True,
    )


@router.get("/{code}", summary="One scene", responses=told(404))
async def one(request: Request, code: str, _caller: JobsCaller) -> Background:
    """404 where there is none of this code."""
    door = door_of(request)
    scene = await run_in_threadpool(_scene, door.store, code)
    return _told(scene, door.base(request))


@router.get(
    "/{code}/{size}.jpg",
    summary="Our sample car on a scene",
    response_class=Response,
    responses=told(404) | {200: {"content": {"image/jpeg": {}}}},
)
async def picture(request: Request, code: str, size: str) -> Response:
    """Needs no key: an <img> has none, and it shows nothing of anybody's. `size` is `thumbnail`
    (400 pixels wide) or `preview` (1200)."""
    width = next((WIDTHS[known] for known in get_args(Size) if known == size), None)
    if width is None:
        raise DoorError(404, f"there is no picture {size[:80]!r}; there are {', '.join(WIDTHS)}")
    pictures = request.app.state.scene_pictures
    assert isinstance(pictures, Pictures)
    data = await pictures.of(code, width)
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


class Pictures:
    """Our sample car on scenes, each painted once: anybody may ask, and painting takes a second."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._painting = asyncio.Lock()

    async def of(self, code: str, width: int) -> bytes:
        """The JPEG of a scene. Raises `DoorError` 404 where there is none of this code."""
        name = (*await run_in_threadpool(_version, self._store, code), str(width))
        if name not in self._kept:
            async with self._painting:  # whoever waits for another's picture holds no thread
                if name not in self._kept:
                    await self._paint(name, code, width)
        return self._kept[name]

    async def _paint(self, name: tuple[str, ...], code: str, width: int) -> None:
        scene = await run_in_threadpool(_scene, self._store, code)
        data = await run_in_threadpool(_painted, scene, width)
        while len(self._kept) >= MOST_KEPT:
            self._kept.popitem(last=False)
        self._kept[name] = data


def _version(store: MediaStore, code: str) -> tuple[str, ...]:
    """Changes when the scene does. Raises `DoorError` 404 where there is none."""
    if code in SCENES:
        return (code,)
    if _may_be_chosen(code):
        told, *shown = map(store.stat, (keys.own_scene(code), *keys.own_scene_pictures(code)))
        if told is not None:
            return code, *("" if info is None else info.etag for info in (told, *shown))
    raise DoorError(404, f"there is no background {code[:80]!r}")


def _may_be_chosen(code: str) -> bool:
    """Whether `background_id` may be this."""
    return re.fullmatch(SCENE_NAME, code) is not None


def _scene(store: MediaStore, code: str) -> Scene:
    _version(store, code)
    try:
        return scene_of(code, store)
    except BadInput as error:
        raise DoorError(404, str(error)) from None


def _painted(scene: Scene, width: int) -> bytes:
    from okla_assets.imaging.photo import codec
    from okla_assets.sample.preview import preview

    return codec.encode_jpeg(preview(scene, width), QUALITY)


def _told(scene: Scene, base: str) -> Background:
    place = f"{base.rstrip('/')}{router.prefix}/{quote(scene.id, safe='')}"
    floor = "#{:02X}{:02X}{:02X}".format(*scene.floor)
    return Background(
        code=scene.id,
        name=NAMES.get(scene.id) or scene.name_es or scene.name or scene.id,
        description=f"{scene.name or scene.id}: {scene.kind}, floor {floor}",
        thumbnail_url=f"{place}/thumbnail.jpg",
        preview_url=f"{place}/preview.jpg",
        type=TYPES[scene.kind],
        requires_dealer_membership=False,
    )

"""A vehicle's options: raw/{vehicle}/options.json, read, merged, validated and stored here."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from okla_assets import keys
from okla_assets.owner_scenes import scene_of
from resources.errors import BadInput, Unreadable
from resources.storage.media_store import MediaStore

PlateStyle = Literal["blur", "fill", "logo", "none"]
FileName = Annotated[str, AfterValidator(keys.nfc)]
"""The name of an upload, compared in NFC."""

SCENE_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
LONGEST_NAME = 80
WIDEST, NARROWEST = 3.0, 0.5  # a picture's width over its height


def _aspect(value: str) -> str:
    width, height = map(int, value.split(":"))
    if not NARROWEST <= width / height <= WIDEST:
        raise ValueError(f"a picture is between 1:2 and 3:1, not {value}")
    return value


Aspect = Annotated[str, Field(pattern=r"^[1-9]\d{0,4}:[1-9]\d{0,4}$"), AfterValidator(_aspect)]
"""Width to height, as in 4:3 or 1920:1080."""


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HandHotspot(_Options):
    """A close-up's place as the owner says: `x`, `y` in [0, 1] of the upright source photo `on`.

    Both photos are named as uploaded.
    """

    photo: FileName
    on: FileName
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


class PictureOptions(_Options):
    """How a photo is finished: what changes a finished picture."""

    background_id: Annotated[str, Field(pattern=SCENE_NAME)] = "white_studio"
    generate_shadow: bool = True
    shadow: Literal["synthetic", "original", "none"] = "synthetic"
    shadow_opacity: float = Field(default=1.0, ge=0, le=1)
    shadow_direction: float | None = Field(default=None, ge=0, lt=360)
    shadow_softness: float | None = Field(default=None, ge=0, le=1)
    shadow_spread: Literal["short", "medium", "long"] | None = None
    auto_enhance: bool = True
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    output_quality: int = Field(default=90, ge=40, le=100)
    max_width: int = Field(default=1600, ge=320, le=4096)
    aspect: Aspect = "4:3"
    margin: float = Field(default=0.04, ge=0, le=0.25)
    mask_license_plate: bool = True
    license_plate_mask_type: PlateStyle = "fill"
    blur_faces: bool = True


OF_THE_SCENE = (
    "background_id",
    "generate_shadow",
    "shadow",
    "shadow_opacity",
    "shadow_direction",
    "shadow_softness",
    "shadow_spread",
)
"""Options that change nothing of a picture but what the vehicle stands on."""
OF_THE_CANVAS = ("aspect", "margin")
"""Options that change only pictures on a scene: the others keep their photo's shape."""

LEAST_FRAMES, USUAL_FRAMES, MOST_FRAMES = 8, 36, 72
"""Pictures of a filmed turn."""


class StudioOptions(PictureOptions):
    """How a vehicle's media are finished. The names are those OKLA's backend uses."""

    spin_frames: int = Field(default=USUAL_FRAMES, ge=LEAST_FRAMES, le=MOST_FRAMES)
    auto_hotspots: bool = True
    hotspots: tuple[HandHotspot, ...] = ()
    promo: bool = True
    promo_title: str = Field(default="", max_length=120)
    promo_price: str = Field(default="", max_length=40)
    promo_specs: tuple[Annotated[str, Field(max_length=40)], ...] = Field(default=(), max_length=8)
    promo_contact: str = Field(default="", max_length=120)
    promo_template: Literal["standard", "lively", "calm"] = "standard"
    promo_bed: Literal["warm", "drive", "bright"] | None = None
    promo_music: Annotated[FileName, Field(pattern=r"^[^./\\\x00][^/\\\x00]{0,127}$")] | None = None

    @property
    def aspect_ratio(self) -> float:
        """The canvas's width by its height."""
        width, height = self.aspect.split(":")
        return int(width) / int(height)

    @property
    def casts_shadow(self) -> bool:
        """Whether there is a shadow on the floor."""
        return self.generate_shadow and self.shadow != "none" and self.shadow_opacity > 0

    @property
    def of_pictures(self) -> PictureOptions:
        """The part that finished pictures are made from, for their digests."""
        return PictureOptions(**self.model_dump(include=set(PictureOptions.model_fields)))

    @property
    def without_scene(self) -> PictureOptions:
        """The same of pictures that are on no scene."""
        without = {*OF_THE_SCENE, *OF_THE_CANVAS}
        return PictureOptions(**self.of_pictures.model_dump(exclude=without))

    @property
    def of_turn(self) -> PictureOptions:
        """The same of the turn, whose frames are JPEG on a canvas of their own."""
        return PictureOptions(**self.of_pictures.model_dump(exclude={"margin", "output_format"}))

    @property
    def of_vehicle(self) -> PictureOptions:
        """The part that decides what a finished picture shows of its photo, on whatever scene."""
        without = {*OF_THE_SCENE, "output_format", "output_quality"}
        return PictureOptions(**self.of_pictures.model_dump(exclude=without))

    @property
    def of_photo(self) -> PictureOptions:
        """The same of a picture that is on no scene."""
        return PictureOptions(**self.of_vehicle.model_dump(exclude=set(OF_THE_CANVAS)))


def read_options(
    vehicle: keys.VehicleId, store: MediaStore
) -> tuple[StudioOptions, tuple[str, ...]]:
    """The vehicle's options.json and what is wrong with it.

    A field that cannot be used falls back to its default and is named; the vehicle goes on.
    """
    key = keys.options(vehicle)
    if store.stat(key) is None:
        return StudioOptions(), ()
    try:
        options = _parse(store.get(key), "options.json")
    except (BadInput, Unreadable) as error:
        return StudioOptions(), (f"{error}; the defaults are used",)
    options, no_scene = _with_a_scene(options, store)
    try:
        return StudioOptions.model_validate(options), no_scene
    except ValidationError as error:
        problems = error.errors(include_url=False)
    bad = {str(problem["loc"][0]) for problem in problems}
    named = tuple(
        f"options.json: {_field(p['loc'])}: {p['msg']}; the default is used" for p in problems
    )
    usable = {name: value for name, value in options.items() if name not in bad}
    return StudioOptions.model_validate(usable), (*no_scene, *named)


def options_of_run(
    vehicle: keys.VehicleId, store: MediaStore
) -> tuple[StudioOptions, tuple[str, ...]]:
    """The same as a run of the vehicle has them now.

    A film takes a minute: of a vehicle whose runs only jobs ask for it is made where `promo` is
    said. Nothing of that is stored, as its seller may upload to it later.
    """
    options, problems = read_options(vehicle, store)
    if options.promo and "promo" not in options.model_fields_set and is_for_jobs(vehicle, store):
        options = options.model_copy(update={"promo": False})
    return options, problems


def is_for_jobs(vehicle: keys.VehicleId, store: MediaStore) -> bool:
    """Whether jobs alone ask for its runs; not once its seller says that all is there."""
    marked = store.stat(keys.jobs_marker(vehicle)) is not None
    return marked and store.stat(keys.ready_marker(vehicle)) is None


def _with_a_scene(
    options: dict[str, object], store: MediaStore
) -> tuple[dict[str, object], tuple[str, ...]]:
    """The options without a `background_id` that cannot be used, and why it cannot."""
    name = options.get("background_id")
    if not isinstance(name, str) or not re.match(SCENE_NAME, name):
        return options, ()  # the model says what is wrong with it
    try:
        scene_of(name, store)
    except BadInput as error:
        without = {field: value for field, value in options.items() if field != "background_id"}
        return without, (f"options.json: {error}; the default is used",)
    return options, ()


def hotspot_problems(options: StudioOptions, photos: Set[str]) -> Iterator[str]:
    """What cannot be used of the hotspots set by hand; `photos` are the names of usable photos."""
    for position, spot in enumerate(options.hotspots):
        for field, name in (("photo", spot.photo), ("on", spot.on)):
            if name not in photos:
                yield (
                    f"options.json: hotspots.{position}.{field}: the vehicle has no usable photo "
                    f"called {name!r}; the hotspot is left out"
                )
        if spot.photo == spot.on:
            yield f"options.json: hotspots.{position}: a photo cannot be placed on itself"


def merge_options(
    folder: Path | None, vehicle: keys.VehicleId, store: MediaStore, given: Mapping[str, object]
) -> StudioOptions:
    """The vehicle's options: those it has, over them those beside its photos in `folder`, `given`.

    Writes nothing. Raises BadInput naming the option.
    """
    key = keys.options(vehicle)
    options = _parse(store.get(key) if store.stat(key) else b"{}", key)
    if folder is not None and (beside := folder / "options.json").is_file():
        options |= _parse(beside.read_bytes(), str(beside))
    try:
        merged = StudioOptions.model_validate({**options, **given})
    except ValidationError as error:
        wrong = "; ".join(
            f"{_field(e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)
        )
        raise BadInput(f"the options cannot be used: {wrong}") from None
    scene_of(merged.background_id, store)
    return merged


def save_options(vehicle: keys.VehicleId, store: MediaStore, options: StudioOptions) -> None:
    """Stores the options with the vehicle, so that a rerun from Dagster's UI makes the same.

    Of defaults only a `promo` that was said, which counts for more (`options_of_run`).
    """
    key = keys.options(vehicle)
    told = options.model_dump(mode="json", exclude_defaults=True)
    if "promo" in options.model_fields_set:
        told["promo"] = options.promo
    text = json.dumps(told, indent=2, ensure_ascii=False).encode()
    if text != (store.get(key) if store.stat(key) else b"{}"):
        store.put(key, text, "application/json")


def _field(location: Sequence[int | str]) -> str:
    """A field's name for a message."""
    name = ".".join(map(str, location))
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def _parse(text: bytes, source: str) -> dict[str, object]:
    """The JSON object in a file of UTF-8, -16 or -32, with or without a byte order mark."""
    try:
        options = from_json(text.decode(json.detect_encoding(text)))
    except UnicodeDecodeError:
        raise BadInput(f"{source} is not in UTF-8; save it again in that encoding") from None
    except ValueError as error:
        raise BadInput(f"{source} is no JSON: {error}") from None
    if not isinstance(options, dict):
        raise BadInput(f"{source} is no JSON object")
    return options

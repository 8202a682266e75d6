"""What every door asks for: one request, whichever contract it came in by.

The fields of a vehicle's options are OKLA's; each router and the queue's messages turn the words
of their own contract into these.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import from_json, to_json

from okla_assets import keys
from okla_assets.options import StudioOptions
from resources.errors import BadInput

MOST_SOURCES = 400
MOST_METADATA = 16 * 2**10
"""Bytes as JSON: it is read with the job each time."""


class Operation(StrEnum):
    """What is to be made; each asks for the assets that it needs and no others."""

    classify = "classify-image"
    segment = "segment-vehicle"
    mask_plate = "mask-license-plate"
    correct_colours = "correct-colours"
    background = "background-replace"
    cut_out = "remove-background"
    full = "full-pipeline"
    spin = "generate-360"

    @property
    def is_quick(self) -> bool:
        """Whether it is about single photos, which warm models answer in seconds."""
        return self not in (Operation.full, Operation.spin)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """One photo or video: a URL to be fetched, a file that came with the request, or one that lies
    in the media store. `name` is what the sender calls it."""

    url: str | None = Field(default=None, max_length=4096)
    file: str | None = None
    """Key below `keys.inbox_files(job)`."""
    key: str | None = Field(default=None, max_length=1024)
    """Key below raw/ of the job's own vehicle."""
    name: str = Field(default="", max_length=255)
    video: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(place is not None for place in (self.url, self.file, self.key)) != 1:
            raise ValueError("a source is a url, a file or a key: give one of them")
        return self


class Rectangle(_Model):
    """Part of a photo, in pixels or in percent of its sides: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float
    unit: Literal["px", "%"] = "px"


class CutOutOptions(_Model):
    """How a vehicle without its background is drawn (operation `remove-background`).

    Lengths in `crop_margin` are (top, right, bottom, left), each a number with its unit;
    `position` is the vehicle's centre in percent of the free space, None where it stays; `scale`
    the share of the canvas that it fills. `megapixels` bounds the picture's size. `background` is
    a colour (R, G, B, A) or the source with that index, drawn to cover the canvas.
    """

    format: Literal["png", "jpg", "webp", "zip"] = "png"
    channels: Literal["rgba", "alpha"] = "rgba"
    megapixels: float = Field(default=25.0, gt=0, le=50)
    region: Rectangle | None = None
    crop: bool = False
    crop_margin: tuple[tuple[float, Literal["px", "%"]], ...] = ()
    scale: Annotated[float, Field(ge=0.1, le=1)] | None = None
    position: tuple[float, float] | None = None
    shadow: Literal["none", "drop", "car", "3D"] = "none"
    shadow_opacity: float = Field(default=1.0, ge=0, le=1)
    semitransparency: bool = True
    background_colour: tuple[int, int, int, int] | None = None
    background_source: int | None = None
    quality: int = Field(default=90, ge=1, le=100)


class Address(_Model):
    """Where on the broker an answer goes: an exchange, and the exchange's routing key."""

    exchange: str = Field(default="", max_length=255)
    routing_key: str = Field(default="", max_length=255)


class Reply(_Model):
    """How the sender of a message is answered on the broker; the ids and types are those of its
    envelope, without types it came without one. `kind` names the completed message of OKLA's that
    it waits for."""

    kind: Literal["image", "spin"] = "image"
    response: Address | None = None
    fault: Address | None = None
    request_id: str | None = Field(default=None, max_length=64)
    conversation_id: str | None = Field(default=None, max_length=64)
    message_id: str | None = Field(default=None, max_length=64)
    message_types: tuple[Annotated[str, Field(max_length=400)], ...] = Field(
        default=(), max_length=20
    )


class JobRequest(_Model):
    """One job. `vehicle` None: it is about no vehicle that the caller knows.

    `options` are names of `StudioOptions` with their values, checked here. `idempotency` is the
    caller's own name for the request. `metadata` is given back as it came, and `kind` is what the
    operation is called in the contract that it came in by (FullPipeline, QualityAnalysis).
    """

    operation: Operation
    vehicle: Annotated[str, Field(max_length=64)] | None = None
    sources: tuple[Source, ...] = Field(default=(), max_length=MOST_SOURCES)
    options: dict[str, Any] = Field(default_factory=dict)
    cut_out: CutOutOptions | None = None
    callback: str | None = Field(default=None, max_length=2048)
    reply: Reply | None = None
    idempotency: str | None = Field(default=None, min_length=1, max_length=255)
    caller: str = "local"
    door: str = ""
    kind: str = Field(default="", max_length=64)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("vehicle")
    @classmethod
    def _usable(cls, vehicle: str | None) -> str | None:
        if vehicle is None:
            return None
        if keys.is_transient(vehicle):
            raise ValueError(f"ids that begin with {keys.TRANSIENT} are given by us")
        return keys.new_vehicle_id(vehicle)

    @field_validator("metadata")
    @classmethod
    def _storable(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        try:
            text = to_json(metadata)
        except (ValueError, RecursionError):
            raise ValueError("is too deep, or holds text that is no Unicode") from None
        if len(text) > MOST_METADATA:
            raise ValueError(f"is larger than {MOST_METADATA >> 10} kB")
        told: dict[str, Any] = from_json(text)
        return told

    @field_validator("options")
    @classmethod
    def _known(cls, options: dict[str, Any]) -> dict[str, Any]:
        return StudioOptions.model_validate(options).model_dump(mode="json", include=set(options))

    @property
    def vehicle_id(self) -> keys.VehicleId | None:
        """The vehicle that the caller names."""
        return None if self.vehicle is None else keys.VehicleId(self.vehicle)


def checked(**fields: Any) -> JobRequest:
    """The request of these fields. Raises BadInput naming those that cannot be used."""
    try:
        return JobRequest(**fields)
    except ValidationError as error:
        raise BadInput("; ".join(problems_of(error))) from None


def problems_of(error: ValidationError) -> list[str]:
    """What is wrong, a sentence a field, without the values that were given."""
    said = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        said.append(f"{name}: {message}" if name else message)
    return said

"""Bodies of OKLA's HTTP contracts: what is asked and what is answered, in its camelCase."""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from okla_assets.doors.okla.words import KINDS, MOST_ASKED, folded
from okla_assets.options import USUAL_FRAMES, StudioOptions

LEAST_IMAGES, MOST_IMAGES = 6, 100
"""Photos of a 360° view, and of one request."""


def _web_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give a whole address, https://...")
    if any(character.isspace() or not character.isprintable() for character in address):
        raise ValueError("an address has no spaces; write %20")
    return address


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


NotTruth = BeforeValidator(_no_truth)
"""Before a number: pydantic takes true for 1."""
WebAddress = Annotated[
    str,
    Field(max_length=2048, json_schema_extra={"format": "uri", "pattern": "^https?://"}),
    AfterValidator(_web_address),
]
VehicleName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        description="a UUID, a VIN, or what you call the vehicle",
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
    ),
]


def _option_schemas() -> dict[str, Any]:
    """What the options are, for those who generate a client; `hotspots` are in docs/options.md."""
    every = StudioOptions.model_json_schema()["properties"]
    return {to_camel(name): told for name, told in every.items() if name != "hotspots"}


Options = Annotated[
    dict[str, Any],
    Field(
        description="OKLA's names or ours: backgroundId, maskLicensePlate, licensePlateMaskType "
        "(blur, black, logo, none), generateShadow, shadowOpacity, autoEnhance, outputFormat (jpg, "
        "png, webp), outputQuality, maxWidth, targetFrameCount and all others of docs/options.md",
        examples=[{"backgroundId": "white_studio", "outputFormat": "jpg"}],
        json_schema_extra={"properties": _option_schemas()},
    ),
]


TypeName = Annotated[
    str | int,
    NotTruth,
    Field(
        description="a name, or its number",
        json_schema_extra={"enum": [*(kind.name for kind in KINDS), *range(len(KINDS))]},
    ),
]


class Body(BaseModel):
    """A request. Names are taken in whatever case, as .NET does, and with underscores."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        aliases = {folded(name): field.alias or name for name, field in cls.model_fields.items()}
        return {aliases.get(folded(str(name)), name): value for name, value in given.items()}


class Asked(Body):
    """What any request may say: where its end is told, and what is given back as it came."""

    options: Options | None = None
    callback_url: WebAddress | None = None
    metadata: dict[str, Any] | None = None


class ImageBody(Asked):
    """One image of a vehicle, with the type of its processing."""

    vehicle_id: VehicleName | None = None
    image_url: WebAddress
    type: TypeName = "FullPipeline"


class BatchBody(Asked):
    """Images of a vehicle, each of which is a job of its own."""

    vehicle_id: VehicleName
    image_urls: list[WebAddress] = Field(min_length=1, max_length=MOST_IMAGES)
    type: TypeName = "FullPipeline"


class SpinBody(Asked):
    """A 360° view of a video, or of six images at least."""

    vehicle_id: VehicleName
    source_type: Literal["Video", "Images", "video", "images", 0, 1] | None = None
    video_url: WebAddress | None = None
    image_urls: list[WebAddress] = Field(default_factory=list, max_length=MOST_IMAGES)
    frame_count: Annotated[int, NotTruth] = Field(default=USUAL_FRAMES, ge=1, le=MOST_ASKED)

    @model_validator(mode="after")
    def _has_a_source(self) -> "SpinBody":
        wants_video = self.source_type in ("Video", "video", 0)
        if self.video_url is None and (wants_video or not self.image_urls):
            raise ValueError("videoUrl: give the video's address, or imageUrls")
        if self.video_url is None and len(self.image_urls) < LEAST_IMAGES:
            raise ValueError(f"imageUrls: at least {LEAST_IMAGES} images are needed")
        return self


class AnalyzeBody(Body):
    """An image to be looked at."""

    image_url: WebAddress
    vehicle_id: VehicleName | None = None


class CallbackBody(Body):
    """What a worker of OKLA's tells it of a job."""

    job_id: str = Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
    success: bool = False


class VideoBody(Asked):
    """A video at an address, as the services of 360° views are asked; options may stand beside
    it."""

    model_config = ConfigDict(extra="allow")

    vehicle_id: VehicleName
    storage_url: WebAddress | None = None
    video_url: WebAddress | None = None

    @property
    def address(self) -> str | None:
        """Where the video is, by whichever name."""
        return self.video_url or self.storage_url

    @model_validator(mode="after")
    def _has_a_source(self) -> "VideoBody":
        if self.address is None:
            raise ValueError("videoUrl: give the video's address")
        return self


class Answer(BaseModel):
    """An answer; what is null is left out."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )


class Accepted(Answer):
    """A job that will be done."""

    job_id: str
    status: str = "queued"
    message: str
    status_check_url: str
    estimated_seconds: int | None = None
    total_frames: int | None = None
    estimated_minutes: int | None = None


class BatchAccepted(Answer):
    """Jobs that will be done, in the order of the images."""

    job_ids: list[str]
    total_images: int
    status: str = "queued"
    message: str
    status_check_url: str
    estimated_seconds: int


class DeliveryTold(Answer):
    """Whether the end was told to the callback's address, and how often that was tried."""

    state: str
    attempts: int
    last_status: int | None = None
    last_problem: str | None = None


class ImageJob(Answer):
    """How far a job is. `images` has all of a job that has several, `result` the first."""

    job_id: str
    vehicle_id: str | None = None
    type: str
    status: str
    error_message: str | None = None
    error_code: str | None = None
    progress_percent: int
    result: dict[str, Any] | None = None
    images: list[dict[str, Any]] | None = None
    created_at: datetime
    completed_at: datetime | None = None
    processing_time_ms: int | None = None
    callback: DeliveryTold | None = None


class SpinFrame(Answer):
    """A picture of the 360° view. `degrees` count from the first; `azimuth` is on the vehicle."""

    frame_number: int
    degrees: float
    azimuth: float
    processed_url: str
    thumbnail_url: str
    is_key_frame: bool


class SpinMade(Answer):
    """A 360° view."""

    frames: list[SpinFrame]
    viewer_embed_url: str
    thumbnail_url: str
    total_frames: int
    degrees_per_frame: float
    average_quality_score: float | None = None


class SpinJob(Answer):
    """How far the job of a 360° view is."""

    job_id: str
    vehicle_id: str
    status: str
    error_message: str | None = None
    error_code: str | None = None
    progress_percent: int
    total_frames: int
    processed_frames: int
    result: SpinMade | None = None
    created_at: datetime
    completed_at: datetime | None = None
    processing_time_ms: int | None = None
    callback: DeliveryTold | None = None


class BatchStatus(Answer):
    """A vehicle's jobs, the newest first."""

    vehicle_id: str
    status: str
    total_images: int
    pending: int
    processing: int
    completed: int
    failed: int
    progress_percent: int
    jobs: list[ImageJob]


class VehicleImages(Answer):
    """A vehicle's pictures."""

    vehicle_id: str
    images: list[dict[str, Any]]


class Received(Answer):
    """That something arrived."""

    received: bool


class QueueStats(Answer):
    """What there is to do, and what was done today (UTC)."""

    pending_jobs: int
    processing_jobs: int
    completed_today: int
    failed_today: int
    average_processing_time_ms: int
    jobs_by_type: dict[str, int]


class Background(Answer):
    """A scene."""

    code: str
    name: str
    description: str
    thumbnail_url: str
    preview_url: str
    type: Literal["SolidColor", "Studio", "Showroom", "Outdoor", "Custom"]
    requires_dealer_membership: bool


class Backgrounds(Answer):
    """The scenes there are, for everybody who may call."""

    backgrounds: list[Background]
    default_background_code: str
    has_premium_access: bool


class JobPage(Answer):
    """A page of a caller's jobs, the newest first."""

    items: list[dict[str, Any]]
    total_count: int
    page: int
    page_size: int
    total_pages: int

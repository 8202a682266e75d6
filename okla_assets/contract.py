"""What steps hand to each other and what the pipeline hands to the world, as pydantic models.

`Listing` is listing.json; its JSON Schema is exported from here. Boxes are [x, y, w, h] and quads
[[x, y] x 4], in pixels of the upright source photo. Angles are the vehicle's own: with its front
towards the picture's left it shows its left side; azimuth 0 is the front, 90 the left side, 180
the rear.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from okla_assets.imaging.photo.refusals import RefusalReason
from okla_assets.imaging.studio.scenes import SceneId
from okla_assets.imaging.types import Angle, Box, Category, Quad, Side

Treatment = Literal["studio", "enhanced", "original"]
Status = Literal["ready", "needs_review", "failed"]
PlateStyle = Literal["blur", "fill", "logo", "none"]
Confidence = Annotated[float, Field(ge=0, le=1)]


class Row(BaseModel):
    """Base of every table row and of the listing: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- options --------------------------------------------------------------------------------------


class HandHotspot(Row):
    """A close-up's place as the owner says: `x`, `y` in [0, 1] of the upright source photo `on`.

    Both photos are named as uploaded.
    """

    photo: str
    on: str
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)


class PictureOptions(Row):
    """How a photo is finished: what changes a finished picture."""

    background_id: SceneId = "white_studio"
    generate_shadow: bool = True
    shadow_opacity: float = Field(default=0.75, ge=0, le=1)
    auto_enhance: bool = True
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    output_quality: int = Field(default=90, ge=40, le=100)
    max_width: int = Field(default=1600, ge=320, le=4096)
    aspect: Literal["4:3", "3:2", "16:9", "1:1"] = "4:3"
    mask_license_plate: bool = True
    license_plate_mask_type: PlateStyle = "fill"


class StudioOptions(PictureOptions):
    """How a vehicle's media are finished. The names are those OKLA's backend uses."""

    spin_frames: int = Field(default=36, ge=8, le=72)
    auto_hotspots: bool = True
    hotspots: tuple[HandHotspot, ...] = ()
    promo: bool = True
    promo_title: str = Field(default="", max_length=120)
    promo_price: str = Field(default="", max_length=40)
    promo_specs: tuple[Annotated[str, Field(max_length=40)], ...] = Field(default=(), max_length=8)
    promo_contact: str = Field(default="", max_length=120)
    promo_music: str | None = Field(default=None, pattern=r"^[^./\\\x00][^/\\\x00]{0,127}$")

    @property
    def of_pictures(self) -> PictureOptions:
        """The part that finished pictures are made from, for their digests."""
        return PictureOptions(**self.model_dump(include=set(PictureOptions.model_fields)))


# --- tables between assets ------------------------------------------------------------------------


class Photo(Row):
    """One accepted photo. `digest` names its working copy by content and decoder version.

    `work_key` is the private copy: it shows plates.
    """

    number: int
    source_key: str
    source_sha256: str
    source_etag: str = ""
    width: int
    height: int
    format: str
    notes: tuple[str, ...]
    digest: str
    work_key: str
    perceptual_hash: str
    duplicate_of: int | None
    exact_duplicate: bool
    seconds: float

    @property
    def name(self) -> str:
        """The uploaded file's own name, for people."""
        return self.source_key.rsplit("/", 1)[-1]


class RefusedFile(Row):
    """One upload that cannot be used, and why.

    `number` is that of a photo that was accepted, and that a later step could not do.
    """

    source_key: str
    reason: RefusalReason
    detail: str
    number: int | None = None


class RawPhotos(Row):
    """Table of `raw_photos`."""

    vehicle_id: str
    options: StudioOptions
    options_problems: tuple[str, ...]
    photos: tuple[Photo, ...]
    refused: tuple[RefusedFile, ...]


class Frame(Row):
    """One moment of the walk-around video, upright and at working size; `time` in seconds.

    `azimuth_deg` is smoothed over the turn. `work_key` is the private copy: it shows plates.
    """

    number: int
    time: float
    azimuth_deg: float = Field(ge=0, lt=360)
    width: int
    height: int
    digest: str
    work_key: str


class WalkaroundFrames(Row):
    """Table of `walkaround_frames`: N moments of one turn around the vehicle, in video order.

    `direction` is +1 where azimuths grow with the numbers, -1 where they fall. Without frames
    `reason` says why: there is no video, or none of them shows a turn. `seconds` is the whole
    step's, reading the video included.
    """

    source_key: str | None
    source_sha256: str | None
    direction: Literal[1, -1] | None
    frames: tuple[Frame, ...]
    refused: tuple[RefusedFile, ...]
    reason: str | None
    seconds: float


class PhotoRow(Row):
    """What one step says of one photo or frame, and what that took.

    `seconds` are the step's; in `gpu_seconds` of them a model was at work on a GPU.
    """

    number: int
    seconds: float
    gpu_seconds: float = 0.0


class FailedPhoto(Row):
    """One photo that a step could not do, and what went wrong; later steps go on without it."""

    number: int
    step: str
    detail: str


MaskStatus = Literal["cut", "unsure", "cropped", "no_vehicle"]


class Mask(PhotoRow):
    """The main vehicle of one photo.

    `cut`: a trustworthy matte of a whole vehicle. `unsure`: a matte, but its two networks disagree.
    `cropped`: the vehicle runs out of the picture. `no_vehicle`: none found. `matte_key` is the
    matte at working size, present for `cut` and `unsure`. `other_vehicles` are the boxes of those
    that the photo is not about.
    """

    status: MaskStatus
    vehicle_box: Box | None
    other_vehicles: tuple[Box, ...] = ()
    vehicle_score: Confidence | None
    matte_key: str | None
    agreement: Confidence | None
    digest: str


class Masks(Row):
    """Table of `masks`: photos, and frames of the walk-around by their own numbers.

    `turn_problem` says why there are no frames where the step could not do them.
    """

    rows: tuple[Mask, ...]
    frames: tuple[Mask, ...] = ()
    failed: tuple[FailedPhoto, ...] = ()
    turn_problem: str | None = None


class Quality(Row):
    """How good the uploaded photo is: 0 unusable, 100 flawless."""

    score: int = Field(ge=0, le=100)
    issues: tuple[str, ...]


class Classification(PhotoRow):
    """What one photo shows and how good it is."""

    category: Category
    category_confidence: Confidence
    angle: Angle | None
    angle_confidence: Confidence | None
    side: Side | None
    azimuth_deg: float | None = Field(ge=0, lt=360)
    quality: Quality


class Classifications(Row):
    """Table of `classifications`."""

    rows: tuple[Classification, ...]
    failed: tuple[FailedPhoto, ...] = ()


PlateCarrier = Literal["main", "other", "none"]


class FoundPlate(Row):
    """One licence plate, or a card in a plate's place.

    `vehicle` says which vehicle carries it: the one the photo is about, another, or none known.
    """

    quad: Quad
    confidence: Confidence
    vehicle: PlateCarrier


class PhotoPlates(PhotoRow):
    """The plates of one photo or frame, best first; `masked_key` is its copy without them.

    Steps downstream read `masked_key` and never the copy that intake made.
    """

    plates: tuple[FoundPlate, ...]
    masked_key: str
    digest: str


class LicensePlates(Row):
    """Table of `license_plates`: photos, and frames of the walk-around by their own numbers.

    `style` is how plates are covered; `problems` what of the options about it could not be used.
    `turn_problem` is as in `Masks`.
    """

    style: PlateStyle
    problems: tuple[str, ...]
    rows: tuple[PhotoPlates, ...]
    frames: tuple[PhotoPlates, ...] = ()
    failed: tuple[FailedPhoto, ...] = ()
    turn_problem: str | None = None


class Composite(PhotoRow):
    """One finished photo. `reason` says why it is not on the studio scene, where it is not.

    `withheld` says why there is no finished picture: a plate can still be seen on it.
    `plates_checked` tells whether the finished picture was searched for plates.
    `before_key` is the photo as taken but without plates, at gallery size, where it was put into
    the studio. `source_box` is where the whole of it lies on the finished picture, in shares of
    that picture's width and height: (0, 0, 1, 1) where nothing moved, else also outside [0, 1].
    """

    treatment: Treatment
    reason: str | None
    processed_key: str | None
    thumbnail_key: str | None
    mask_key: str | None
    plates_checked: bool
    withheld: str | None
    before_key: str | None
    source_box: Box


class Composites(Row):
    """Table of `composites`."""

    rows: tuple[Composite, ...]
    failed: tuple[FailedPhoto, ...] = ()


class SpinFrame(Row):
    """One picture of the spin: its azimuth on the vehicle, and the frame or photo it is made of."""

    key: str
    azimuth_deg: float = Field(ge=0, lt=360)
    source: int


class SpinFrames(Row):
    """Table of `spin_frames`: the turn from front-quarter on; empty with the reason why.

    `gaps` are the angles in degrees from each frame to the next, the last one to the first.
    """

    made_from: Literal["video", "photos"] | None
    frames: tuple[SpinFrame, ...]
    width: int
    height: int
    gaps: tuple[float, ...]
    reason: str | None
    seconds: float


class Hotspot(Row):
    """A close-up's place on a picture that shows the whole vehicle.

    `x` and `y` in [0, 1] are on the finished picture: exterior photo `on_photo`, or spin frame
    `on_frame` (counted from 0); just one of the two is set. `matches` features agree on the place;
    none where it was set by hand.
    """

    photo: int
    on_photo: int | None
    on_frame: int | None
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    by_hand: bool
    matches: int


class CloseUp(Row):
    """What became of one close-up: its places, or the reason why it has none."""

    number: int
    spots: tuple[Hotspot, ...]
    reason: str | None
    seconds: float


class Hotspots(Row):
    """Table of `hotspots`: the close-ups."""

    rows: tuple[CloseUp, ...]

    @property
    def spots(self) -> tuple[Hotspot, ...]:
        """All places, by close-up."""
        return tuple(spot for row in self.rows for spot in row.spots)


class PromoVideo(Row):
    """Table of `promo_video`: its files, or the reason why there are none.

    `problems` are what of the options about it could not be used; `sources` the keys of all that is
    shown and heard.
    """

    key: str | None
    vertical_key: str | None
    poster_key: str | None
    duration: float
    reason: str | None
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    seconds: float


# --- listing.json ---------------------------------------------------------------------------------


class ModelUsed(Row):
    """One set of weights that had a part in the result."""

    role: str
    name: str
    sha256: str | None
    licence: str


class PipelineInfo(Row):
    """Which code and which models made the listing.

    `code` is a digest of the versions of all steps and of all models with their settings; None in
    listings made before it was written down.
    """

    version: str
    profile: str
    code: str | None = None
    models: tuple[ModelUsed, ...]


class Cost(Row):
    """Seconds of computing that went into these outputs, by step and by device ("cpu", "gpu").

    Each second is counted once a side; `usd` is money, where the price of an hour is set.
    """

    seconds: dict[str, float]
    device_seconds: dict[str, float] = {}
    usd: float | None


class Plate(Row):
    """One licence plate."""

    quad: Quad
    confidence: Confidence


class ListingPhoto(Row):
    """One photo of the listing."""

    number: int
    source_key: str
    source_sha256: str
    width: int
    height: int
    category: Category
    category_confidence: Confidence
    angle: Angle | None
    angle_confidence: Confidence | None
    side: Side | None
    azimuth_deg: float | None = Field(ge=0, lt=360)
    vehicle_box: Box | None
    mask_key: str | None
    plates: tuple[Plate, ...]
    quality: Quality
    duplicate_of: int | None = Field(
        description="number of the earlier photo that this one repeats"
    )
    treatment: Treatment
    treatment_reason: str | None = Field(description="why the photo is not on the studio scene")
    processed_key: str | None
    thumbnail_key: str | None
    withheld: str | None = Field(description="why there is no finished picture")
    before_key: str | None = Field(
        description="the photo before, without plates, at gallery size; only of studio pictures"
    )
    source_box: Box = Field(
        description="where the source photo lies on the finished picture, in shares of its size"
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of all its published files."""
        every = (self.processed_key, self.thumbnail_key, self.mask_key, self.before_key)
        return tuple(key for key in every if key is not None)


class Spin(Row):
    """The 360 set: frames in order, each one's azimuth, and the angles between them in degrees.

    `sources` are the numbers of the photos, or of the video's moments, that the frames show.
    """

    frames: tuple[str, ...]
    azimuths_deg: tuple[float, ...]
    width: int
    height: int
    viewer_key: str
    gaps: tuple[float, ...]
    made_from: Literal["video", "photos"] | None = None
    sources: tuple[int, ...] = ()
    video_key: str | None = None
    video_sha256: str | None = None


class Promo(Row):
    """The promo video; `sources` are the keys of all that it shows and of its music."""

    key: str
    vertical_key: str
    poster_key: str
    seconds: float
    sources: tuple[str, ...] = ()


class Listing(Row):
    """listing.json: everything a marketplace needs to show the vehicle."""

    schema_version: Literal[1]
    vehicle_id: str
    status: Status
    reasons: tuple[str, ...]
    generated_at: datetime
    pipeline: PipelineInfo
    options: StudioOptions
    cost: Cost
    photos: tuple[ListingPhoto, ...]
    refused: tuple[RefusedFile, ...]
    spin: Spin | None
    spin_reason: str | None = Field(description="why there is no spin")
    promo: Promo | None
    promo_reason: str | None = Field(description="why there is no promo video")
    hotspots: tuple[Hotspot, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of all the files it names."""
        named = [key for photo in self.photos for key in photo.files]
        if self.spin is not None:
            named += [*self.spin.frames, self.spin.viewer_key]
        if self.promo is not None:
            named += [self.promo.key, self.promo.vertical_key, self.promo.poster_key]
        return tuple(named)


def listing_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of listing.json."""
    return Listing.model_json_schema(mode="serialization")

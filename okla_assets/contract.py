"""What the pipeline hands to the world: `Listing` is listing.json, its JSON Schema is made here.

Boxes are [x, y, w, h] and quads [[x, y] x 4], in pixels of the upright source photo. Angles are as
in `tables`.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.levelled import Levelled
from okla_assets.imaging.studio.truth import Truth
from okla_assets.imaging.types import Angle, Box, Category, Quad, Side
from okla_assets.options import StudioOptions
from okla_assets.tables import (
    Confidence,
    Hotspot,
    IgnoredFiles,
    Projection,
    Quality,
    QuarterTurn,
    RefusedFile,
    Row,
    SizedPicture,
    Treatment,
)

Status = Literal["ready", "needs_review", "failed"]


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
    device_seconds: dict[str, float] = Field(default={})
    usd: float | None


class Plate(Row):
    """One licence plate."""

    quad: Quad
    confidence: Confidence


EditAction = Literal[
    "turned",
    "plate_masked",
    "face_blurred",
    "colour",
    "levelled",
    "scene",
    "shadow",
    "resized",
    "cropped",
]


class Edit(Row):
    """One change of a photo's pixels; `c2pa` is its name in C2PA's list of actions.

    `regions` are where, in pixels of the upright source photo; empty where it is everywhere.
    """

    action: EditAction
    c2pa: str
    regions: tuple[Quad, ...] = ()
    details: dict[str, str | float | int | bool] = Field(default={})


class Provenance(Row):
    """What a finished picture was made of, and how: the edits in the order in which they are made.

    `original_key` is the untouched upload, which is private as it shows plates; `source_sha256` its
    digest. `generated` is the share of the finished picture's pixels that no camera took: scene,
    shadow and covers of plates. `source_type` is IPTC's term for the picture.
    """

    original_key: str
    source_sha256: str
    edits: tuple[Edit, ...]
    generated: Confidence | None
    source_type: str


class ListingPhoto(Row):
    """One photo of the listing."""

    number: int
    source_key: str
    source_sha256: str
    width: int
    height: int
    turned: QuarterTurn = Field(
        default=0,
        description="degrees counter-clockwise by which the photo, on its side, was turned upright;"
        " its size, boxes and quads are those of the turned photo",
    )
    category: Category
    category_confidence: Confidence
    angle: Angle | None
    angle_confidence: Confidence | None
    side: Side | None
    azimuth_deg: float | None = Field(ge=0, lt=360)
    vehicle_box: Box | None
    mask_key: str | None
    plates: tuple[Plate, ...]
    faces_blurred: int = Field(
        default=0, description="people's faces that are blurred on its pictures"
    )
    covered_late: int = Field(
        default=0, description="plates found and covered only on the finished picture"
    )
    projection: Projection | None = Field(
        default=None,
        description="how a panorama of the whole sphere is laid out; null of ordinary photos",
    )
    quality: Quality
    duplicate_of: int | None = Field(
        description="number of the earlier photo that this one repeats"
    )
    treatment: Treatment
    treatment_reason: str | None = Field(description="why the photo is not on the studio scene")
    processed_key: str | None
    thumbnail_key: str | None
    processed_url: str | None = Field(
        default=None, description="address of the finished picture, where there is a public base"
    )
    thumbnail_url: str | None = None
    withheld: str | None = Field(description="why there is no finished picture")
    before_key: str | None = Field(
        description="the photo before, without plates, at gallery size; only of studio pictures"
    )
    source_box: Box = Field(
        description="where the source photo lies on the finished picture, in shares of its size"
    )
    processed_size: tuple[int, int] | None = Field(
        default=None, description="width and height of the finished picture in pixels"
    )
    sizes: tuple[SizedPicture, ...] = Field(
        default=(), description="the finished picture as WebP for web pages, narrowest first"
    )
    photographed: Confidence | None = Field(
        default=None, description="share of the finished picture's pixels that the photo gave"
    )
    provenance: Provenance | None = None
    correction: Correction | None = Field(
        default=None,
        description="what was done to the photo's colours, as data from which the corrected pixels"
        " can be made again; null where they were left alone",
    )
    levelled: Levelled | None = Field(
        default=None,
        description="how a tilted photo was turned before it was placed: degrees counter-clockwise,"
        " about a point in shares of the photo's size; null where it was not",
    )
    truth: Truth | None = Field(
        default=None,
        description="how far the vehicle on the finished picture is from the corrected and placed"
        " photo, in Delta E",
    )
    own_shadow: bool = Field(
        default=False, description="the shadow on the studio floor is the photo's own"
    )
    no_own_shadow: str | None = Field(
        default=None, description="why it is a drawn one, where the photo's own was asked for"
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of all its published files."""
        every = (self.processed_key, self.thumbnail_key, self.mask_key, self.before_key)
        return (*(key for key in every if key is not None), *(size.key for size in self.sizes))


class SpinSize(Row):
    """The spin's frames in another size or format, in the same order; `type` as in HTTP.

    Each key holds a digest of the file's bytes, so that it may be cached for ever.
    """

    width: int
    height: int
    type: Literal["image/webp", "image/jpeg"]
    frames: tuple[str, ...]


class Spin(Row):
    """The 360 set: frames in order, each one's azimuth, and the angles between them in degrees.

    `sources` are the numbers of the photos, or of the video's moments, that the frames show;
    `photo_frames` the positions (from 0) of those that show photos, `sizes` the same frames for web
    pages, narrowest and best compressed first.
    """

    frames: tuple[str, ...]
    azimuths_deg: tuple[float, ...]
    width: int
    height: int
    viewer_key: str
    gaps: tuple[float, ...]
    made_from: Literal["video", "photos"] | None = None
    sources: tuple[int, ...] = ()
    photo_frames: tuple[int, ...] = ()
    video_key: str | None = None
    video_sha256: str | None = None
    sizes: tuple[SpinSize, ...] = ()


class Promo(Row):
    """The promo video; `sources` are the keys of all that it shows and of its music."""

    key: str
    vertical_key: str
    poster_key: str
    vertical_poster_key: str | None = None
    seconds: float
    sources: tuple[str, ...] = ()

    @property
    def posters(self) -> tuple[str, ...]:
        """Keys of the wide film's poster and of the upright one's."""
        return tuple(key for key in (self.poster_key, self.vertical_poster_key) if key)


class ListingVideo(Row):
    """An accepted video: the walk-around, or one after it that nothing is made of."""

    source_key: str
    use: Literal["walkaround", "not_needed"]


class Retake(Row):
    """What a seller should take again, or has not taken yet: in Spanish (`es`) and English (`en`).

    Of photo `photo` where that has the `issue`; else the standard `view` is missing.
    """

    photo: int | None
    view: str | None
    issue: str
    es: str
    en: str


class ChannelRefusal(Row):
    """A photo that a channel would not take, and the first rule that it breaks."""

    number: int
    rule: str
    reason: str


class ChannelVerdict(Row):
    """What a channel would take: numbers of photos in its order, and those that it would refuse.

    `unmet` are the rules that the set as a whole does not meet.
    """

    accepted: tuple[int, ...]
    refused: tuple[ChannelRefusal, ...]
    unmet: tuple[str, ...] = ()


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
    videos: tuple[ListingVideo, ...] = ()
    refused: tuple[RefusedFile, ...]
    ignored: tuple[IgnoredFiles, ...] = Field(
        default=(), description="uploads that are neither photo nor video, by the rule that says so"
    )
    spin: Spin | None
    spin_reason: str | None = Field(description="why there is no spin")
    promo: Promo | None
    promo_reason: str | None = Field(description="why there is no promo video")
    hotspots: tuple[Hotspot, ...]
    order: tuple[int, ...] = Field(
        default=(), description="numbers of the shown photos as a listing wants them, hero first"
    )
    base_url: str | None = Field(
        default=None,
        description="address at which the public finds the files: a key behind it is a file's URL;"
        " null where the media have no public address",
    )
    gallery_key: str | None = None
    gallery_url: str | None = None
    cover: int | None = Field(
        default=None, description="number of the photo that stands for the vehicle in a list"
    )
    cover_key: str | None = None
    missing_views: tuple[str, ...] = Field(
        default=(), description="standard views that no photo shows"
    )
    retakes: tuple[Retake, ...] = ()
    channels: dict[str, ChannelVerdict] = Field(
        default={}, description="what other marketplaces would take of it, by channel"
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of all the files it names."""
        named = [key for photo in self.photos for key in photo.files]
        if self.spin is not None:
            named += [*self.spin.frames, self.spin.viewer_key]
            named += [key for size in self.spin.sizes for key in size.frames]
        if self.promo is not None:
            named += [self.promo.key, self.promo.vertical_key, *self.promo.posters]
        return tuple(named)

    @property
    def refused_alike(self) -> tuple[tuple[RefusedFile, ...], ...]:
        """The refused files, those of one reason and sentence together."""
        alike: dict[tuple[str, str], list[RefusedFile]] = {}
        for file in self.refused:
            alike.setdefault((file.reason, file.detail), []).append(file)
        return tuple(map(tuple, alike.values()))


SCHEMA_ID = "urn:okla-media:listing:1"
"""Names the schema, of which 1 is the `schema_version`; docs/options.md has the version policy."""


def listing_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of listing.json."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "$id": SCHEMA_ID} | Listing.model_json_schema(mode="serialization")

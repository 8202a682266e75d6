"""A listing as a row of the fleet's table of vehicles, and as rows of its table of photos.

What names the seller's own files, and who asked for a vehicle, is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from okla_assets import keys
from okla_assets.assets.listing import Tables
from okla_assets.contract import Listing, ListingPhoto
from okla_assets.imaging.types import Angle, Category, Side
from okla_assets.operations.status import without_photo
from okla_assets.tables import Treatment

SEPARATOR = " | "
"""Between several values of one cell."""


class FleetRow(BaseModel):
    """Base of the rows: plain cells, which CSV and Parquet hold alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VehicleRow(FleetRow):
    """One vehicle that has a listing."""

    vehicle: str
    etag: str = Field(
        description="of listing.json as it was read; empty where it could not be read"
    )
    dealer: str = Field(description="what stands before the first - or _ of the vehicle's id")
    status: Literal["ready", "needs_review", "failed", "unreadable"]
    generated_at: datetime | None = None
    reasons: str = Field(default="", description="why it is not ready, numbers as N")
    refused: str = Field(default="", description="why uploads were refused, a code a file")
    photo_count: int = 0
    published: int = Field(default=0, description="photos with a finished picture")
    missing_views: str = Field(default="", description="standard views that no photo shows")
    retakes: str = Field(default="", description="what to take again, an issue a hint")
    spin_frames: int = 0
    promo: bool = False
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    usd: float | None = Field(default=None, description="as recorded when it was made")
    raw_photos_seconds: float = 0.0
    walkaround_frames_seconds: float = 0.0
    masks_seconds: float = 0.0
    classifications_seconds: float = 0.0
    license_plates_seconds: float = 0.0
    composites_seconds: float = 0.0
    spin_frames_seconds: float = 0.0
    hotspots_seconds: float = 0.0
    promo_video_seconds: float = 0.0
    version: str = Field(default="", description="release of okla-media")
    profile: str = ""
    code: str = Field(default="", description="fingerprint of the code and the models")
    models: str = Field(default="", description="role: name, first digits of the SHA-256")


STEPS = tuple(field.name for field in fields(Tables))
"""The steps that take time, each with its column of seconds."""


class FleetPhoto(FleetRow):
    """One photo of a listing."""

    vehicle: str
    number: int
    category: Category
    angle: Angle | None
    side: Side | None
    quality: int = Field(description="0 unusable, 100 flawless")
    issues: str
    treatment: Treatment
    treatment_reason: str = Field(description="why it is not on the studio scene, numbers as N")
    published: bool
    width: int
    height: int
    duplicate: bool
    plates: int
    covered_late: int
    faces: int
    photographed: float | None = Field(description="share of the finished pixels from the photo")


def _part_of(model: type[BaseModel], *names: str, **changed: Any) -> type[BaseModel]:
    """These fields of a model, those in `changed` of another type; it passes over all others."""
    fields = model.model_fields
    kept: Any = {name: (fields[name].annotation, fields[name]) for name in names}
    kept |= {name: (annotation, ...) for name, annotation in changed.items()}
    config = ConfigDict(extra="ignore", frozen=True)
    return create_model(f"Read{model.__name__}", __config__=config, **kept)


_PHOTO_READ = _part_of(
    ListingPhoto,
    "number",
    "category",
    "angle",
    "side",
    "quality",
    "treatment",
    "treatment_reason",
    "processed_key",
    "width",
    "height",
    "duplicate_of",
    "plates",
    "covered_late",
    "faces_blurred",
    "photographed",
)
_LISTING_READ = _part_of(
    Listing,
    "schema_version",
    "status",
    "reasons",
    "generated_at",
    "pipeline",
    "cost",
    "refused",
    "spin",
    "promo",
    "missing_views",
    "retakes",
    photos=tuple[_PHOTO_READ, ...],  # type: ignore[valid-type]
)
"""What the rows are made of. Of 100,000 listings it is read in a third of the time of the whole."""


def read_listing(text: bytes) -> Listing:
    """The part of a listing that the rows are made of. Raises ValidationError."""
    return cast(Listing, _LISTING_READ.model_validate_json(text))


def dealer_of(vehicle: str) -> str:
    """The prefix of an id such as `LOPEZ-1234`; empty of a UUID and of an id without one."""
    try:
        keys.parse_job_id(vehicle)
    except keys.BadJobId:
        found = re.match(r"[^_-]+(?=[_-].)", vehicle)
        return found[0] if found else ""
    return ""


def is_of_dealer(vehicle: str, dealer: str) -> bool:
    """Whether the id begins with the dealer's, which may hold - and _ itself."""
    return vehicle.startswith((f"{dealer}-", f"{dealer}_"))


def vehicle_row(vehicle: str, etag: str, listing: Listing) -> VehicleRow:
    """The vehicle's row; `vehicle` is the folder that its listing lies in."""
    made, cost = listing.pipeline, listing.cost
    return VehicleRow(
        vehicle=vehicle,
        etag=etag,
        dealer=dealer_of(vehicle),
        status=listing.status,
        generated_at=listing.generated_at,
        reasons=SEPARATOR.join(dict.fromkeys(_plain_reasons(listing))),
        refused=SEPARATOR.join(file.reason for file in listing.refused),
        photo_count=len(listing.photos),
        published=sum(photo.processed_key is not None for photo in listing.photos),
        missing_views=SEPARATOR.join(listing.missing_views),
        retakes=SEPARATOR.join(retake.issue for retake in listing.retakes),
        spin_frames=0 if listing.spin is None else len(listing.spin.frames),
        promo=listing.promo is not None,
        cpu_seconds=cost.device_seconds.get("cpu", 0.0),
        gpu_seconds=cost.device_seconds.get("gpu", 0.0),
        usd=cost.usd,
        version=made.version,
        profile=made.profile,
        code=made.code or "",
        models=SEPARATOR.join(model_name(m.role, m.name, m.sha256) for m in made.models),
        **{f"{step}_seconds": cost.seconds.get(step, 0.0) for step in STEPS},
    )


def photo_rows(vehicle: str, listing: Listing) -> Iterator[FleetPhoto]:
    """The rows of its photos, by number."""
    for photo in sorted(listing.photos, key=lambda photo: photo.number):
        yield FleetPhoto(
            vehicle=vehicle,
            number=photo.number,
            category=photo.category,
            angle=photo.angle,
            side=photo.side,
            quality=photo.quality.score,
            issues=SEPARATOR.join(photo.quality.issues),
            treatment=photo.treatment,
            treatment_reason=_without_numbers(photo.treatment_reason)
            if photo.treatment_reason
            else "",
            published=photo.processed_key is not None,
            width=photo.width,
            height=photo.height,
            duplicate=photo.duplicate_of is not None,
            plates=len(photo.plates),
            covered_late=photo.covered_late,
            faces=photo.faces_blurred,
            photographed=photo.photographed,
        )


def model_name(role: str, name: str, sha256: str | None) -> str:
    """Names one set of weights."""
    return f"{role}: {name}, {(sha256 or 'no digest')[:12]}"


def _plain_reasons(listing: Listing) -> Iterator[str]:
    """The listing's reasons without the names of photos and files, so that they can be counted."""
    uploads = {file.source_key.rsplit("/", 1)[-1] for file in listing.refused}
    for reason in listing.reasons:
        name, colon, rest = reason.partition(": ")
        of_upload = colon and name in uploads
        yield _without_numbers(rest if of_upload else without_photo(reason))


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)

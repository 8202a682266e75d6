"""What a vehicle's media are made by: the steps' versions and the models, in one short digest.

Two equal recipes make the same of the same uploads. The listing carries its fingerprint, in
listing.json for readers and in its data version for Dagster, so that the nightly refresh finds
those made by older code or weights with one query and without opening them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import dagster as dg

from okla_assets.assets.classifications import classifications
from okla_assets.assets.composites import composites
from okla_assets.assets.hotspots import hotspots
from okla_assets.assets.license_plates import license_plates
from okla_assets.assets.masks import masks
from okla_assets.assets.promo_video import promo_video
from okla_assets.assets.raw_photos import raw_photos
from okla_assets.assets.spin_frames import spin_frames
from okla_assets.assets.walkaround_frames import walkaround_frames
from okla_assets.contract import Listing
from okla_assets.digests import digest_of

STEPS: tuple[dg.AssetsDefinition, ...] = (
    raw_photos,
    walkaround_frames,
    masks,
    classifications,
    license_plates,
    composites,
    spin_frames,
    hotspots,
    promo_video,
)
"""All assets that the listing is made of."""

ROLES = (
    "detector",
    "segmenter",
    "turn_segmenter",
    "views",
    "plate_detector",
    "plate_reader",
    "quick_plate_detector",
    "promo_encoder",
)
"""Keys of the resources that decide what comes out."""


class Fingerprinted(Protocol):
    """A model or encoder that says when its results would differ."""

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...


def pipeline_fingerprint(roles: Iterable[Fingerprinted], listing_version: str) -> str:
    """The digest of the present code with these resources, in the order of ROLES."""
    versions = {
        key.to_user_string(): version
        for step in STEPS
        for key, version in step.code_versions_by_key.items()
    }
    return digest_of(
        "pipeline_fingerprint", versions, listing_version, [role.fingerprint() for role in roles]
    )[:16]


@dataclass(frozen=True)
class ListingVersion:
    """What the data version of a listing tells without the listing."""

    status: str
    code: str


def listing_version(listing: Listing, digest: str) -> str:
    """The data version of a listing: its status, its fingerprint, and a digest."""
    return f"{listing.status}.{listing.pipeline.code or ''}.{digest}"


def parse_listing_version(text: str | None) -> ListingVersion | None:
    """Status and fingerprint out of a data version; None for one of an earlier release, or none."""
    parts = (text or "").split(".")
    return ListingVersion(parts[0], parts[1]) if len(parts) == 3 else None

"""What a vehicle's media are made by: the versions of all steps and the models, in one digest.

Two equal fingerprints make the same of the same uploads, on one kind of machine. The listing
carries its own, in listing.json for readers and in its data version for Dagster, so that the
nightly backfill finds those made by older code or weights with one query and without opening them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, get_args

from okla_assets.contract import Listing, Status
from okla_assets.digests import digest_of
from resources.models.base import Model, ModelInfo
from resources.models.onnx import without_engines


class Fingerprinted(Protocol):
    """A model or encoder that says when its results would differ."""

    def fingerprint(self) -> str:
        """Identifies weights and settings: two equal fingerprints give equal results."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """The profile's name, its models and encoders by role, and the code version of each asset."""

    profile: str
    roles: Mapping[str, Fingerprinted]
    versions: Mapping[str, str | None]

    def models(self) -> tuple[ModelInfo, ...]:
        """All weights in use, each once, in the order of the roles."""
        in_use: dict[ModelInfo, None] = {}
        for role in self.roles.values():
            if isinstance(role, Model):
                in_use |= dict.fromkeys(role.models())
        return tuple(in_use)

    def fingerprint(self) -> str:
        """That of all roles, whichever runtime this machine's CPU is given.

        Raises what a model raises whose weights are missing.
        """
        roles = {name: without_engines(role.fingerprint()) for name, role in self.roles.items()}
        return digest_of("pipeline", dict(self.versions), roles)[:16]


@dataclass(frozen=True)
class ListingVersion:
    """What the data version of a listing tells without the listing."""

    status: Status
    fingerprint: str


def listing_version(listing: Listing, digest: str) -> str:
    """The data version of a listing: its status, its pipeline's fingerprint, and a digest of it."""
    return f"{listing.status}.{listing.pipeline.code or ''}.{digest}"


def parse_listing_version(text: str | None) -> ListingVersion | None:
    """Status and fingerprint out of a data version; None for one of an earlier release, or none."""
    parts = (text or "").split(".")
    status = next((status for status in get_args(Status) if status == parts[0]), None)
    return ListingVersion(status, parts[1]) if status and len(parts) == 3 else None

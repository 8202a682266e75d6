"""Listings of a fleet made by chance, the same each time."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from okla_assets.contract import (
    Cost,
    Edit,
    Listing,
    ListingPhoto,
    ModelUsed,
    PipelineInfo,
    Provenance,
)
from okla_assets.imaging.photo.correction import Correction
from okla_assets.imaging.photo.refusals import RefusalReason
from okla_assets.operations.fleet.rows import STEPS
from okla_assets.steps.selling import ordered
from okla_assets.tables import Quality, RefusedFile, SizedPicture
from tests.fakes import VEHICLE
from tests.runs_made import listing_of
from tests.viewer import made

CODE, OLDER = "0123456789abcdef", "fedcba9876543210"
DEALERS = ("LOPEZ", "caribe", "n2", "AUTOSUR", "")
ANGLES = ("front-quarter", "front", "side", "rear-quarter", "rear")
ISSUES = ("blurred", "dark", "cropped", "tilted", "near_duplicate")
REFUSALS: tuple[RefusalReason, ...] = ("not_an_image", "too_small", "step_failed")
FIRST = datetime(2026, 6, 1, tzinfo=UTC)


def vehicle_name(number: int) -> str:
    """The id of the vehicle of this number: with a dealer's prefix, or without one."""
    dealer = DEALERS[number % len(DEALERS)]
    return f"{dealer}-{number:06d}" if dealer else f"{number:08x}-0000-4000-8000-{number:012x}"


def listing(number: int, night: int = 0, full: bool = False) -> Listing:
    """The listing of the vehicle of this number, as it was made in this night.

    A `full` one is as large as real ones, by what the report does not read.
    """
    chance = random.Random(f"{number}:{night}")
    status = chance.choices(("ready", "needs_review", "failed"), (70, 25, 5))[0]
    photos = () if status == "failed" else tuple(_photos(chance, full))
    refused = tuple(
        RefusedFile(source_key=f"raw/v/photos/IMG_{n} a.jpg", reason=reason, detail="no")
        for n, reason in ((7, chance.choice(REFUSALS)), (8, chance.choice(REFUSALS)))
        if chance.random() < 0.3
    )
    reasons = {
        "ready": (),
        "needs_review": (
            f"exterior_{chance.randint(1, 12):03d}: plate not covered; look at the picture",
            *(f"IMG_{n} a.jpg: masks failed" for n in (7, 8) if f"IMG_{n}" in str(refused)),
        ),
        "failed": (f"none of the {chance.randint(1, 9)} uploaded files could be used",),
    }[status]
    on_gpu = chance.random() < 0.4
    seconds = {step: round(chance.uniform(0, 4 if on_gpu else 40), 2) for step in STEPS}
    gpu = round(sum(seconds.values()) * 0.6, 2) if on_gpu else 0.0
    return ordered(
        listing_of(
            VEHICLE,
            status,
            reasons=reasons,
            photos=photos,
            generated_at=FIRST + timedelta(hours=chance.randint(0, 24 * 150), days=night),
            refused=refused,
            pipeline=PipelineInfo(
                version="0.1.0",
                profile="gpu" if on_gpu else "local",
                code=OLDER if chance.random() < 0.1 else CODE,
                models=tuple(
                    ModelUsed(role=role, name=f"{role}-{on_gpu:d}", sha256=None, licence="MIT")
                    for role in ("detector", "segmenter", "plates")
                ),
            ),
            cost=Cost(
                seconds=seconds,
                device_seconds={"cpu": round(sum(seconds.values()) - gpu, 2), "gpu": gpu},
                usd=round(chance.uniform(0, 0.02), 6) if chance.random() < 0.5 else None,
            ),
            spin=made.SPIN if chance.random() < 0.5 else None,
            promo=made.PROMO if chance.random() < 0.8 else None,
        )
    )


def _photos(chance: random.Random, full: bool) -> Iterator[ListingPhoto]:
    for position in range(1, chance.randint(8, 22) if full else chance.randint(3, 8)):
        category = chance.choices(("exterior", "interior", "misc"), (7, 2, 1))[0]
        outside = category == "exterior"
        withheld = chance.random() < 0.02
        plain = chance.random() < 0.15
        yield made.photo(
            position,
            category,
            angle=chance.choice(ANGLES) if outside else None,
            side=chance.choice(("left", "right")) if outside else None,
            quality=Quality(
                score=chance.randint(5, 100),
                issues=tuple(issue for issue in ISSUES if chance.random() < 0.06),
            ),
            duplicate_of=1 if position > 1 and chance.random() < 0.05 else None,
            faces_blurred=int(chance.random() < 0.05),
            photographed=round(chance.random(), 4) if chance.random() < 0.9 else None,
            **({"processed_key": None, "withheld": "a plate still reads"} if withheld else {}),
            **(
                {"treatment": "enhanced", "treatment_reason": f"part {position} is cut off"}
                if outside and plain
                else {}
            ),
            **(_as_large_as_real_ones(position) if full else {}),
        )


def _as_large_as_real_ones(position: int) -> dict[str, Any]:
    return {
        "correction": Correction(
            gains=(0.7, 0.68, 0.65),
            saturation=1.05,
            curve=tuple(round(step / 64, 5) for step in range(65)),
        ),
        "sizes": tuple(
            SizedPicture(key=f"processed/v/web/p_{position}_{w}w.webp", width=w, height=w)
            for w in (800, 1200)
        ),
        "provenance": Provenance(
            original_key=f"raw/v/photos/IMG_{position}.jpg",
            source_sha256=f"{position:064x}",
            edits=tuple(
                Edit(action="colour", c2pa="c2pa.color_adjustments", details={"n": n})
                for n in range(6)
            ),
            generated=0.6,
            source_type="http://cv.iptc.org/newscodes/digitalsourcetype/composite",
        ),
    }

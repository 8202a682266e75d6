"""What marketplaces ask of a vehicle's pictures: one table, with where each rule was read.

`RECALLED` marks what no public page that could be read on `READ` says.
"""

from dataclasses import dataclass
from typing import Literal

from okla_assets.imaging.types import Angle

ChannelName = Literal[
    "okla_listing", "google_vehicle_listings", "meta_vehicle_catalog", "autotrader_uk"
]

READ = "2026-11-28"
RECALLED = "not verified: recalled"


@dataclass(frozen=True)
class Source:
    """Where rules were read, when, and which."""

    url: str
    read: str
    says: str


@dataclass(frozen=True)
class Channel:
    """A marketplace's rules. Sizes are (width, height) in pixels, of the files written for it.

    `size` is what it shows best, `least` what it takes. `most` and `fewest` count pictures.
    `whole` refuses exteriors whose vehicle is cut off. `no_overlays` refuses collages, screenshots
    and plates under a logo. `lead` are angles that the first picture may have; `lead_zone` is the
    middle share of it that the marketplace's own crops leave.
    """

    title: str
    size: tuple[int, int]
    least: tuple[int, int]
    most: int
    most_bytes: int
    sources: tuple[Source, ...]
    fewest: int = 1
    whole: bool = False
    no_overlays: bool = True
    lead: tuple[Angle, ...] = ()
    lead_zone: float = 1.0

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.size[0] / self.size[1]


SUFFIX = "jpg"
"""Every channel takes JPEG."""

CHANNELS: dict[ChannelName, Channel] = {
    "okla_listing": Channel(
        title="OKLA",
        size=(1600, 1200),
        least=(640, 480),
        most=40,
        most_bytes=5_000_000,
        lead=("front-quarter", "front", "side"),
        sources=(
            Source("docs/options.md", READ, "4:3, 1600 wide by default, hero first"),
            Source("", READ, f"{RECALLED}: at most 40 pictures of 5 MB, at least 640 x 480"),
        ),
    ),
    "google_vehicle_listings": Channel(
        title="Google vehicle listings and vehicle ads",
        size=(1600, 1200),
        least=(500, 375),
        most=11,
        most_bytes=16_000_000,
        whole=True,
        lead=("front-quarter", "front", "side"),
        sources=(
            Source(
                "https://support.google.com/merchants/answer/11190670",
                READ,
                "JPEG and others, at most 16 MB and 64 megapixels, at least 100 x 100 (800 x 600 "
                "recommended), 4:3 recommended; no watermark, logo, text or placeholder; the whole "
                "vehicle; the first picture not from the rear, best from the front quarter",
            ),
            Source(
                "https://support.google.com/merchants/answer/6324350",
                READ,
                "from 2027-01-31 at least 500 x 500 (taken here as 500 wide, of 4:3)",
            ),
            Source(
                "https://developers.google.com/vehicle-listings/reference/feed-specification",
                READ,
                "image_link, and additional_image_link repeated",
            ),
            Source("", READ, f"{RECALLED}: at most ten additional pictures"),
        ),
    ),
    "meta_vehicle_catalog": Channel(
        title="Meta vehicle catalog",
        size=(1080, 1080),
        least=(600, 600),
        most=20,
        fewest=2,
        most_bytes=4_000_000,
        lead_zone=0.8,
        sources=(
            Source(
                "https://developers.facebook.com/docs/marketing-api/auto-ads/reference",
                READ,
                "at most 20 pictures of 4 MB; two at least for Marketplace; 1:1 of 600 x 600 for "
                "carousels",
            ),
            Source(
                "https://developers.facebook.com/documentation/ads-commerce/instagram/ads-api/"
                "reference/media-requirements",
                READ,
                "1080 x 1080 or larger recommended, crops down to 1.91:1 and 4:5",
            ),
            Source("", READ, f"{RECALLED}: no text or logos over the picture"),
        ),
    ),
    "autotrader_uk": Channel(
        title="Auto Trader (UK)",
        size=(1600, 1200),
        least=(1024, 768),
        most=100,
        most_bytes=10_000_000,
        lead=("front-quarter", "front", "side"),
        sources=(
            Source(
                "https://trade.autotrader.co.uk/terms-and-conditions/100-images",
                READ,
                "at most 100 pictures",
            ),
            Source(
                "https://help.autotrader.co.uk/hc/en-gb/articles/21846827095325",
                READ,
                "shown in the order in which they are sent",
            ),
            Source("", READ, f"{RECALLED}: 4:3 of 1024 x 768 and more, 10 MB, no overlays, JPEG"),
        ),
    ),
}

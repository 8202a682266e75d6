"""What a gallery tells other programs: OpenGraph for messengers, schema.org for search engines."""

import json
import re
from typing import Any
from urllib.parse import urljoin

from okla_assets import keys
from okla_assets.contract import Listing, ListingPhoto
from okla_assets.viewer.templating import address

VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
"""ISO 3779: neither I nor O nor Q."""
PRICE = re.compile(r"(US\$|RD\$|USD|DOP|EUR|€|\$)\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d{2})?", re.ASCII)
CURRENCIES = {"US$": "USD", "RD$": "DOP", "€": "EUR", "USD": "USD", "DOP": "DOP", "EUR": "EUR"}
MOST_PICTURES = 10


def open_graph(listing: Listing, title: str, page_url: str) -> list[tuple[str, str]]:
    """Properties and contents. Pictures need whole addresses, which only a bucket has."""
    told = [*listing.options.promo_specs, listing.options.promo_price]
    rows = [
        ("og:type", "website"),
        ("og:title", title),
        ("og:description", " · ".join(part for part in told if part)),
        ("og:url", page_url),
    ]
    cover = next(iter(_shown(listing)), None)
    if page_url and cover is not None and cover.processed_key:
        rows.append(("og:image", urljoin(page_url, _link(listing, cover.processed_key))))
        width, height = cover.processed_size or (0, 0)
        rows += [("og:image:width", str(width or "")), ("og:image:height", str(height or ""))]
        rows += [("og:image:alt", title), ("twitter:card", "summary_large_image")]
    return [(name, content) for name, content in rows if content]


def vehicle_data(listing: Listing, title: str, page_url: str) -> str:
    """JSON-LD of a schema.org/Vehicle; nothing in it is guessed."""
    options = listing.options
    pictures = [_link(listing, p.processed_key) for p in _shown(listing) if p.processed_key]
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Vehicle",
        "name": title,
        "url": page_url or None,
        "sku": listing.vehicle_id,
        "vehicleIdentificationNumber": listing.vehicle_id
        if VIN.fullmatch(listing.vehicle_id)
        else None,
        "image": [urljoin(page_url, link) for link in pictures[:MOST_PICTURES]],
        "description": " · ".join(options.promo_specs) or None,
        "offers": _offer(options.promo_price),
    }
    filled = {name: value for name, value in data.items() if value}
    # Whatever the JSON holds, it cannot end the script element.
    return json.dumps(filled, ensure_ascii=False).replace("<", "\\u003c")


def _offer(price: str) -> dict[str, str] | None:
    """The price where both amount and currency are plain; a bare $ may be any country's."""
    found = PRICE.fullmatch(price.strip())
    currency = found and CURRENCIES.get(found[1])
    if found is None or currency is None:
        return None
    amount = found[2].replace(",", "") + (found[3] or "")
    return {"@type": "Offer", "price": amount, "priceCurrency": currency}


def _shown(listing: Listing) -> list[ListingPhoto]:
    photos = {photo.number: photo for photo in listing.photos if photo.processed_key}
    return [photos[number] for number in listing.order if number in photos]


def _link(listing: Listing, key: str) -> str:
    return address(key, keys.gallery(keys.parse_vehicle_id(listing.vehicle_id)))

"""The two pages of a vehicle and the spin's data, as bytes, from its listing alone.

They work from a folder (file://, where a page may fetch nothing) and from a bucket: addresses are
relative, data stand in the page, and style and script carry their digest in the page's
Content-Security-Policy. Nothing that changes from run to run is in them (the clock, the seconds),
so an unchanged vehicle keeps its bytes.
"""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.viewer import gallery
from okla_assets.viewer.markup import Html, address, data_block, joined, tag

SPIN_SCRIPT = "okla-spin.js"


def outputs(listing: Listing) -> dict[str, tuple[bytes, str]]:
    """All files of the viewer by key, each with its content type."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    html = "text/html; charset=utf-8"
    made = {keys.gallery(vehicle): (gallery_page(listing), html)}
    if listing.spin is not None:
        made[keys.spin_script(vehicle)] = (spin_script(), "text/javascript; charset=utf-8")
        made[keys.spin_data(vehicle)] = (spin_json(listing), "application/json")
        made[keys.spin_page(vehicle)] = (spin_page(listing), html)
    return made


def names(vehicle: keys.VehicleId) -> frozenset[str]:
    """Every key that `outputs` may hold for the vehicle."""
    return frozenset(
        make(vehicle) for make in (keys.gallery, keys.spin_script, keys.spin_data, keys.spin_page)
    )


def spin_script() -> bytes:
    """The custom element `<okla-spin>`; its own head says how to embed it."""
    return _asset(SPIN_SCRIPT).encode()


def spin_json(listing: Listing) -> bytes:
    """What `<okla-spin src>` reads; names in it are relative to itself.

    Raises ValueError where the listing has no spin.
    """
    return json.dumps(_spin_data(listing), ensure_ascii=False, indent=1).encode()


def spin_page(listing: Listing) -> bytes:
    """The spin alone on a page. Raises ValueError where the listing has no spin."""
    data = _spin_data(listing)
    body = tag("main", _spin_element(data, None, autoplay=True))
    style = _asset("spin.css") + _shape(data)
    return _page(f"360° view of {listing.vehicle_id}", style, body, SPIN_SCRIPT)


def gallery_page(listing: Listing) -> bytes:
    """The vehicle's page for people: everything that was made of it, and what was refused."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    spin = script = None
    shape = ""
    if listing.spin is not None:
        page = keys.gallery(vehicle)
        data = _spin_data(listing)
        shape = _shape(data)
        spin = _spin_element(data, address(keys.spin_data(vehicle), page))
        script = address(keys.spin_script(vehicle), page)
    body, rules = gallery.body(listing, spin)
    return _page(
        f"{listing.vehicle_id} · OKLA media",
        _asset("gallery.css") + rules + shape,
        body,
        script,
        inline=_asset("gallery.js"),
    )


def _spin_data(listing: Listing) -> dict[str, Any]:
    if listing.spin is None:
        raise ValueError(f"{listing.vehicle_id} has no spin: {listing.spin_reason}")
    spin = listing.spin
    home = keys.spin_data(keys.parse_vehicle_id(listing.vehicle_id))
    photos = {photo.number: photo for photo in listing.photos}
    spots = [
        {
            "frame": spot.on_frame,
            "x": spot.x,
            "y": spot.y,
            "photo": spot.photo,
            "label": gallery.close_up_name(close_up),
            "image": address(close_up.processed_key, home),
            "thumbnail": address(close_up.thumbnail_key, home),
        }
        for spot in listing.hotspots
        if spot.on_frame is not None
        and (close_up := photos[spot.photo]).processed_key
        and close_up.thumbnail_key
    ]
    return {
        "version": 1,
        "label": listing.vehicle_id,
        "width": spin.width,
        "height": spin.height,
        "frames": [address(key, home) for key in spin.frames],
        "azimuths": list(spin.azimuths_deg),
        "gaps": list(spin.gaps),
        "hotspots": spots,
    }


def _spin_element(data: dict[str, Any], src: str | None, autoplay: bool = False) -> Html:
    """`<okla-spin>` with its data inside, and the first picture for a browser without scripts."""
    folder = src.rpartition("/")[0] + "/" if src else ""
    still = tag(
        "img",
        src=folder + data["frames"][0],
        width=data["width"],
        height=data["height"],
        alt=f"{data['label']}, first picture of the 360° view",
    )
    inside = joined(data_block(json.dumps(data, ensure_ascii=False)), tag("noscript", still))
    return tag("okla-spin", inside, src=src, autoplay=autoplay)


def _shape(data: dict[str, Any]) -> str:
    """The spin's proportions as a style rule, so that nothing jumps when it is there."""
    return f":root{{--spin:{data['width']}/{data['height']}}}\n"


def _page(title: str, style: str, body: Html, script: str | None, inline: str = "") -> bytes:
    """A whole page. 'self' means nothing to some browsers on file://, hence file: beside it."""
    policy = {
        "default-src": "'none'",
        "img-src": "'self' file: data:",
        "media-src": "'self' file:",
        "script-src": " ".join(["'self' file:", *([_digest(inline)] if inline else [])]),
        "style-src": _digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    content = "; ".join(f"{name} {value}" for name, value in policy.items())
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{content}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        Html(f"<style>{style}</style>"),
        tag("script", src=script, defer=True) if script else "",
    )
    foot = Html(f"<script>{inline}</script>") if inline else ""
    page = tag("html", head, tag("body", body, foot), lang="en")
    return f"<!doctype html>\n{page}\n".encode()


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

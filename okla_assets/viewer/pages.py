"""The two pages of a vehicle and the spin's data, as bytes, from its listing alone.

They work from a folder (file://, where a page may fetch nothing) and from a bucket: addresses are
relative, data stand in the page, and style and script carry their digest in the page's
Content-Security-Policy. Nothing that changes from run to run is in them (the clock, the seconds),
so an unchanged vehicle keeps its bytes.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from okla_assets import keys
from okla_assets.contract import Listing
from okla_assets.viewer import gallery, sharing
from okla_assets.viewer.templating import address, asset, render
from resources.settings import settings
from resources.storage.media_store import MediaStore

SPIN_SCRIPT = "okla-spin.js"
PANORAMA_SCRIPT = "okla-panorama.js"
HTML, SCRIPT = "text/html; charset=utf-8", "text/javascript; charset=utf-8"


@dataclass(frozen=True)
class Addresses:
    """Where the pages find what does not lie beside them.

    `scripts` is the address of a folder that holds the elements for all vehicles; without it each
    vehicle has its own copy. `page` is the gallery's own address, where the public has one.
    """

    scripts: str = ""
    page: str = ""


BESIDE = Addresses()


def addresses(vehicle: keys.VehicleId, store: MediaStore) -> Addresses:
    """Those of a vehicle in this store, by the settings."""
    page = "" if store.public_base() is None else store.url(keys.gallery(vehicle))
    return Addresses(settings().viewer_url, page)


def outputs(listing: Listing, where: Addresses = BESIDE) -> dict[str, tuple[bytes, str]]:
    """All files of the viewer by key, each with its content type."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    made = {keys.gallery(vehicle): (gallery_page(listing, where), HTML)}
    if listing.spin is not None:
        made[keys.spin_data(vehicle)] = (spin_json(listing), "application/json")
        made[keys.spin_page(vehicle)] = (spin_page(listing, where), HTML)
        if not where.scripts:
            made[keys.spin_script(vehicle)] = (spin_script(), SCRIPT)
    if gallery.panoramas(listing) and not where.scripts:
        made[keys.panorama_script(vehicle)] = (panorama_script(), SCRIPT)
    return made


def names(vehicle: keys.VehicleId) -> frozenset[str]:
    """Every key that `outputs` may hold for the vehicle."""
    return frozenset(
        make(vehicle)
        for make in (
            keys.gallery,
            keys.spin_script,
            keys.spin_data,
            keys.spin_page,
            keys.panorama_script,
        )
    )


def spin_script() -> bytes:
    """The custom element `<okla-spin>`; the comment at its head has an example."""
    return asset(f"elements/{SPIN_SCRIPT}").encode()


def panorama_script() -> bytes:
    """The custom element `<okla-panorama>`; the comment at its head has an example."""
    return asset(f"elements/{PANORAMA_SCRIPT}").encode()


def spin_json(listing: Listing) -> bytes:
    """What `<okla-spin src>` reads; names in it are relative to itself.

    Raises ValueError where the listing has no spin.
    """
    return json.dumps(_spin_data(listing), ensure_ascii=False, indent=1).encode()


def spin_page(listing: Listing, where: Addresses = BESIDE) -> bytes:
    """The spin alone on a page. Raises ValueError where the listing has no spin."""
    data = _spin_data(listing)
    return whole_page(
        "spin.html",
        f"{gallery.title(listing)}, 360°",
        asset("spin.css") + _shape(data),
        [f"{where.scripts}/{SPIN_SCRIPT}" if where.scripts else SPIN_SCRIPT],
        spin=_spin_element(data, None),
    )


def gallery_page(listing: Listing, where: Addresses = BESIDE) -> bytes:
    """The vehicle's page for people: everything that was made of it, and what was refused."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    from markupsafe import Markup

    page, title, spin = keys.gallery(vehicle), gallery.title(listing), None
    scripts = []
    style = asset("gallery.css") + gallery.rules(listing)
    if listing.spin is not None:
        data = _spin_data(listing)
        style += _shape(data)
        spin = _spin_element(data, address(keys.spin_data(vehicle), page))
        own = address(keys.spin_script(vehicle), page)
        scripts.append(f"{where.scripts}/{SPIN_SCRIPT}" if where.scripts else own)
    if gallery.panoramas(listing):
        own = address(keys.panorama_script(vehicle), page)
        scripts.append(f"{where.scripts}/{PANORAMA_SCRIPT}" if where.scripts else own)
    return whole_page(
        "gallery.html",
        title,
        style,
        scripts,
        open_graph=sharing.open_graph(listing, title, where.page),
        vehicle_data=Markup(sharing.vehicle_data(listing, title, where.page)),
        inline=asset("gallery.js"),
        spin=spin,
        **gallery.context(listing, own_scripts=not where.scripts),
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
            "label": gallery.close_up_name(close_up).en,
            "labels": gallery.close_up_name(close_up)._asdict(),
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
        "label": gallery.title(listing),
        "width": spin.width,
        "height": spin.height,
        "frames": [address(key, home) for key in spin.frames],
        "sizes": [
            {
                "width": size.width,
                "height": size.height,
                "type": size.type,
                "frames": [address(key, home) for key in size.frames],
            }
            for size in spin.sizes
        ],
        "azimuths": list(spin.azimuths_deg),
        "gaps": list(spin.gaps),
        "hotspots": spots,
    }


def _spin_element(data: dict[str, Any], src: str | None) -> dict[str, Any]:
    """What `spin_element.html` is filled with; without `src` it plays by itself."""
    from markupsafe import Markup

    folder = src.rpartition("/")[0] + "/" if src else ""
    return {
        "src": src,
        # Whatever the JSON holds, it cannot end the script element.
        "data": Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")),
        "posters": [
            (size["type"], folder + size["frames"][0])
            for size in data["sizes"]
            if size["width"] == data["sizes"][0]["width"]
        ],
        "still": folder + data["frames"][0],
        "label": data["label"],
        "width": data["width"],
        "height": data["height"],
    }


def _shape(data: dict[str, Any]) -> str:
    """The spin's proportions as a style rule, so that nothing jumps when it is there."""
    return f":root{{--spin:{data['width']}/{data['height']}}}\n"


def whole_page(
    template: str,
    title: str,
    style: str,
    scripts: Sequence[str],
    inline: str = "",
    **context: Any,
) -> bytes:
    """A whole page. 'self' means nothing to some browsers on file://, hence file: beside it."""
    from markupsafe import Markup

    policy = {
        "default-src": "'none'",
        "img-src": "'self' file: data:",
        "media-src": "'self' file:",
        "script-src": " ".join(
            [
                "'self' file:",
                *(address for address in scripts if "://" in address),
                *([_digest(inline)] if inline else []),
            ]
        ),
        "style-src": _digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return render(
        template,
        title=title,
        policy=Markup("; ".join(f"{name} {value}" for name, value in policy.items())),
        style=Markup(style),
        scripts=scripts,
        inline=Markup(inline),
        **context,
    )


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

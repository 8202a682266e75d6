"""What stands on the vehicle's gallery page, section by section."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import cos, radians, sin

from okla_assets import keys
from okla_assets.contract import Listing, ListingPhoto, Promo
from okla_assets.tables import Hotspot, RefusedFile
from okla_assets.viewer.markup import Html, address, joined, tag

STATUS = {
    "ready": "Ready to publish",
    "needs_review": "Needs a look",
    "failed": "Failed",
}
SECTIONS = {"exterior": "Exterior", "interior": "Interior", "misc": "Details"}
KINDS = {"exterior": "Exterior", "interior": "Interior", "misc": "Detail"}
TREATMENTS = {
    "studio": "In the studio",
    "enhanced": "Own background, corrected",
    "original": "As taken",
}
LEAD_WIDTH, CARD_WIDTH = 800, 400
"""CSS pixels that a photo takes at most on a wide screen: the browser picks the file by it."""
GOOD, FAIR = 70, 40
"""Quality scores from which a photo counts as good, or still fair."""


def body(listing: Listing, spin: Html | None) -> tuple[Html, str]:
    """The page's body, and the style rules that belong to this vehicle alone."""
    page = keys.gallery(keys.parse_vehicle_id(listing.vehicle_id))
    sections = (
        _spin(listing, spin, page),
        *(_photos(listing, category, page) for category in SECTIONS),
        _film(listing, page),
        _absent("360° view", listing.spin_reason),
        _absent("Film", listing.promo_reason),
        _refused(listing.refused),
        _files(listing, page),
    )
    whole = joined(
        _header(listing),
        _reasons(listing),
        tag("main", sections),
        _footer(listing),
        _lightbox(),
    )
    return whole, "".join(_rules(listing))


def close_up_name(photo: ListingPhoto) -> str:
    """A hotspot's label."""
    kind = "Close-up" if photo.category == "exterior" else KINDS[photo.category]
    return f"{kind} {photo.number}"


# --- head -----------------------------------------------------------------------------------------


def _header(listing: Listing) -> Html:
    counts = Counter(photo.treatment for photo in listing.photos)
    facts = [_count(len(listing.photos), "photo")]
    if counts["studio"]:
        facts.append(f"{counts['studio']} in the studio")
    if listing.spin:
        facts.append(f"360° of {_count(len(listing.spin.frames), 'frame')}")
    if listing.promo:
        facts.append(f"film of {listing.promo.seconds:.0f} s")
    if listing.refused:
        facts.append(f"{len(listing.refused)} refused")
    return tag(
        "header",
        tag("p", "OKLA ", tag("span", "media"), class_="brand"),
        tag("h1", listing.vehicle_id),
        tag(
            "p",
            tag("span", STATUS[listing.status], class_=f"status {listing.status}"),
            tag("span", " · ".join(facts), class_="facts"),
            class_="summary",
        ),
        _coverage(listing.photos),
    )


def _reasons(listing: Listing) -> Html:
    if not listing.reasons:
        return joined()
    return tag(
        "section",
        tag("h2", "What to look at"),
        tag("ul", (tag("li", reason) for reason in listing.reasons)),
        class_=f"banner {listing.status}",
        aria_label="What to look at",
    )


def _coverage(photos: Sequence[ListingPhoto]) -> Html:
    """The vehicle from above, its front up, with a dot wherever an exterior was taken from."""
    taken = [p for p in photos if p.category == "exterior" and p.azimuth_deg is not None]
    if not taken:
        return joined()
    dots = []
    for photo in taken:
        turn = radians(photo.azimuth_deg or 0)
        place = {"cx": f"{60 - 46 * sin(turn):.1f}", "cy": f"{60 - 46 * cos(turn):.1f}"}
        name = f"{_title(photo)}, photo {photo.number}"
        dots.append(
            tag(
                "a",
                tag("circle", class_="reach", r=11, **place),
                tag("circle", class_="dot", r=4.5, **place),
                tag("title", name),
                href=f"#photo-{photo.number}",
                aria_label=name,
            )
        )
    return tag(
        "svg",
        tag("circle", class_="ring", cx=60, cy=60, r=46),
        tag("rect", class_="car", x=48, y=36, width=24, height=48, rx=9),
        tag("path", class_="glass", d="M51.5 51q8.5-5 17 0l-2 5.500q-6.500-2-13 0zM53 74q7-2 14 0"),
        dots,
        class_="coverage",
        viewBox="0 0 120 120",
        role="group",
        aria_label="Where the exterior photos were taken from, seen from above",
    )


# --- sections -------------------------------------------------------------------------------------


def _section(name: str, title: str, aside: str, *inside: Html) -> Html:
    return tag(
        "section",
        tag("div", tag("h2", title), aside, class_="head"),
        *inside,
        class_=f"part {name}",
    )


def _spin(listing: Listing, spin: Html | None, page: str) -> Html:
    if listing.spin is None or spin is None:
        return joined()
    viewer = keys.spin_page(keys.parse_vehicle_id(listing.vehicle_id))
    widest = max(listing.spin.gaps, default=0)
    aside = tag(
        "p",
        f"{_count(len(listing.spin.frames), 'frame')}, widest gap {widest:.0f}° · ",
        tag("a", "open alone", href=address(viewer, page)),
    )
    return _section("spin", "360° view", aside, spin)


def _photos(listing: Listing, category: str, page: str) -> Html:
    photos = [photo for photo in listing.photos if photo.category == category]
    if not photos:
        return joined()
    masks = any(photo.mask_key for photo in photos)
    # Without a spin on top, one photo is what the eye meets first.
    leading = [p for p in photos if p.treatment == "studio" and p.processed_key]
    studio = [] if listing.spin else leading
    lead = min(studio, key=lambda photo: photo.angle != "front-quarter", default=None)
    photos.sort(key=lambda photo: photo is not lead)
    cards = [_photo(listing, photo, page, photo is lead) for photo in photos]
    every = tag("button", "Show masks", type="button", class_="quiet masks", aria_pressed="false")
    return _section(
        category,
        SECTIONS[category],
        every if masks else _count(len(photos), "photo"),
        tag("div", cards, class_="grid"),
    )


def _photo(listing: Listing, photo: ListingPhoto, page: str, leads: bool) -> Html:
    name = f"{KINDS[photo.category].lower()} {photo.number}"
    tools = []
    if photo.processed_key and photo.mask_key:
        tools.append(
            tag(
                "button",
                "Mask",
                type="button",
                class_="quiet mask",
                aria_pressed="false",
                aria_label=f"Mask of {name}",
            )
        )
    if photo.processed_key:
        tools.append(
            tag(
                "a",
                "Enlarge",
                href=address(photo.processed_key, page),
                class_="quiet enlarge",
                aria_label=f"Enlarge {name}",
            )
        )
    caption = tag(
        "figcaption",
        tag("div", tag("h3", _title(photo)), _score(photo), class_="line"),
        tag("p", photo.source_key.rsplit("/", 1)[-1], class_="file"),
        _remarks(photo),
        tag(
            "div",
            _facts(photo, opened=leads),
            tag("div", tools, class_="tools"),
            class_="line foot",
        ),
    )
    return tag(
        "figure",
        _picture(listing, photo, page, LEAD_WIDTH if leads else CARD_WIDTH),
        caption,
        id=f"photo-{photo.number}",
        class_="photo lead" if leads else "photo",
    )


def _picture(listing: Listing, photo: ListingPhoto, page: str, room: int) -> Html:
    """The finished picture, over it the photo before, the mask once asked for, and hotspots."""
    name = f"{KINDS[photo.category].lower()} {photo.number}"
    if photo.processed_key is None or photo.thumbnail_key is None:
        return tag("div", tag("p", photo.withheld or ""), class_="picture withheld")
    width, height = _shape(listing, photo)
    full, small = address(photo.processed_key, page), address(photo.thumbnail_key, page)
    layers = [
        tag(
            "img",
            class_="after",
            src=full,
            srcset=f"{small} 400w, {full} {width}w",
            sizes=f"(max-width: 700px) 100vw, {room}px",
            width=width,
            height=height,
            alt=f"{_title(photo)}, {TREATMENTS[photo.treatment].lower()}",
            loading="lazy",
            decoding="async",
        )
    ]
    if photo.before_key:
        before = {"src": address(photo.before_key, page), "alt": "", "loading": "lazy"}
        fill = tag("img", class_="fill", **before) if _leaves_margins(photo) else ""
        layers.append(tag("div", fill, tag("img", class_="moved", **before), class_="before"))
    if photo.mask_key:
        mask = tag("img", class_="moved", data_src=address(photo.mask_key, page), alt="")
        layers.append(tag("div", mask, class_="matte", hidden=True))
    if photo.before_key:
        divide = tag(
            "input",
            type="range",
            class_="divide",
            min=0,
            max=100,
            step=0.1,
            value=50,
            aria_label=f"Before and after, {name}",
            autocomplete="off",
        )
        layers += [divide, tag("i", class_="handle", aria_hidden="true")]
    layers += [
        tag(
            "a",
            tag("span", label),
            class_="spot",
            href=f"#photo-{spot.photo}",
            id=_spot_id(position),
            aria_label=label,
        )
        for position, spot, label in _spots(listing, photo)
    ]
    return tag("div", layers, class_="picture")


def _facts(photo: ListingPhoto, opened: bool) -> Html:
    rows = {
        "Finished as": photo.processed_key and photo.processed_key.rsplit("/", 1)[-1],
        "Treatment": TREATMENTS[photo.treatment],
        "Category": f"{photo.category}, {photo.category_confidence:.0%}",
        "Angle": photo.angle and f"{photo.angle}, {photo.angle_confidence or 0:.0%}",
        "Side": photo.side and f"the vehicle's {photo.side}",
        "Azimuth": None if photo.azimuth_deg is None else f"{photo.azimuth_deg:.0f}°",
        "Upload": f"{photo.width} x {photo.height}",
        "Plates masked": str(len(photo.plates)) if photo.plates else None,
    }
    known = [(name, value) for name, value in rows.items() if value]
    return tag(
        "details",
        tag("summary", "Facts"),
        tag("dl", (tag("div", tag("dt", n), tag("dd", v)) for n, v in known)),
        open=opened,
    )


def _remarks(photo: ListingPhoto) -> Html:
    """Quality issues, and why an exterior is not in the studio."""
    chips = [tag("li", issue.replace("_", " ")) for issue in photo.quality.issues]
    if photo.duplicate_of is not None:
        chips.append(tag("li", f"repeats photo {photo.duplicate_of}"))
    why = photo.treatment_reason if photo.category == "exterior" else None
    return joined(
        tag("ul", chips, class_="chips", aria_label="Issues") if chips else "",
        tag("p", f"Not in the studio: {why}", class_="why") if why else "",
    )


def _score(photo: ListingPhoto) -> Html:
    score = photo.quality.score
    level = "good" if score >= GOOD else "fair" if score >= FAIR else "poor"
    return tag("span", f"Quality {score}", class_=f"score {level}", title="of 100")


def _film(listing: Listing, page: str) -> Html:
    if listing.promo is None:
        return joined()
    promo = listing.promo
    return _section(
        "film",
        "Film",
        f"{promo.seconds:.0f} s",
        tag(
            "div",
            _video(promo, promo.key, 1920, 1080, "wide", page),
            _video(promo, promo.vertical_key, 1080, 1920, "upright", page),
            class_="videos",
        ),
    )


def _video(promo: Promo, key: str, width: int, height: int, shape: str, page: str) -> Html:
    return tag(
        "video",
        src=address(key, page),
        poster=address(promo.poster_key, page),
        width=width,
        height=height,
        class_=shape,
        controls=True,
        playsinline=True,
        preload="none",
        aria_label=f"Promo video, {shape}",
    )


def _absent(title: str, reason: str | None) -> Html:
    if reason is None:
        return joined()
    return _section("absent", title, "", tag("p", f"None was made: {reason}"))


def _refused(refused: Sequence[RefusedFile]) -> Html:
    if not refused:
        return joined()
    rows = (
        tag(
            "li",
            tag("h3", file.source_key.rsplit("/", 1)[-1]),
            tag("p", file.detail),
            tag("span", file.reason.replace("_", " "), class_="code"),
        )
        for file in refused
    )
    return _section("refused", "Refused", _count(len(refused), "file"), tag("ul", rows))


def _files(listing: Listing, page: str) -> Html:
    """Everything to download, by kind."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    photos, promo, spin = listing.photos, listing.promo, listing.spin
    kinds = {
        "Listing": [keys.listing(vehicle)],
        "Film": [promo.key, promo.vertical_key, promo.poster_key] if promo else [],
        "Finished photos": [photo.processed_key for photo in photos if photo.processed_key],
        "Masks": [photo.mask_key for photo in photos if photo.mask_key],
        "Before": [photo.before_key for photo in photos if photo.before_key],
        "360° view": [keys.spin_data(vehicle), keys.spin_script(vehicle), *spin.frames]
        if spin
        else [],
    }
    columns = (
        tag(
            "details",
            tag("summary", kind, tag("span", str(len(found)))),
            tag("ul", (tag("li", _download(key, page)) for key in found)),
            open=len(found) < 4,
        )
        for kind, found in kinds.items()
        if found
    )
    return _section("files", "Downloads", "", tag("div", columns, class_="columns"))


def _download(key: str, page: str) -> Html:
    return tag("a", key.rsplit("/", 1)[-1], href=address(key, page), download=True)


def _footer(listing: Listing) -> Html:
    made = listing.pipeline
    models = ", ".join(f"{m.name} ({m.role}, {m.licence})" for m in made.models)
    return tag(
        "footer",
        tag("p", f"Made by okla-media {made.version}, profile {made.profile}."),
        tag("p", f"Models: {models}.") if models else "",
    )


def _lightbox() -> Html:
    def button(name: str, words: str) -> Html:
        return tag("button", type="button", class_=name, aria_label=words)

    return tag(
        "dialog",
        tag("img", alt=""),
        tag("p"),
        button("previous", "Previous photo"),
        button("next", "Next photo"),
        button("close", "Close"),
        id="lightbox",
        aria_label="Enlarged photo",
    )


# --- words and places -----------------------------------------------------------------------------


def _title(photo: ListingPhoto) -> str:
    if photo.angle is None:
        return f"{KINDS[photo.category]} {photo.number}"
    side = f", {photo.side}" if photo.side and photo.angle not in ("front", "rear") else ""
    return f"{photo.angle.replace('-', ' ').capitalize()}{side}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _shape(listing: Listing, photo: ListingPhoto) -> tuple[int, int]:
    """The finished picture's width and height, but for pixels that were not blown up.

    The page needs the proportions before the picture is there.
    """
    options = listing.options
    if photo.treatment == "studio":
        across, down = (int(part) for part in options.aspect.split(":"))
        return options.max_width, round(options.max_width * down / across)
    scale = min(1.0, options.max_width / max(photo.width, photo.height))
    return round(photo.width * scale), round(photo.height * scale)


def _leaves_margins(photo: ListingPhoto) -> bool:
    x, y, w, h = photo.source_box
    return x > 0 or y > 0 or x + w < 1 or y + h < 1


def _spots(listing: Listing, photo: ListingPhoto) -> Iterator[tuple[int, Hotspot, str]]:
    """The hotspots on a photo: position among all, the hotspot, its label."""
    photos = {p.number: p for p in listing.photos}
    for position, spot in enumerate(listing.hotspots):
        if spot.on_photo == photo.number:
            yield position, spot, close_up_name(photos[spot.photo])


def _spot_id(position: int) -> str:
    return f"spot-{position}"


def _rules(listing: Listing) -> Iterator[str]:
    """Places as style rules: a style attribute would need a laxer Content-Security-Policy."""
    for photo in listing.photos:
        if photo.before_key or photo.mask_key:
            box = zip(("left", "top", "width", "height"), photo.source_box, strict=True)
            place = ";".join(f"{side}:{share:.3%}" for side, share in box)
            yield f"#photo-{photo.number} .moved{{{place}}}\n"
    for position, spot in enumerate(listing.hotspots):
        if spot.on_photo is not None:
            yield f"#{_spot_id(position)}{{left:{spot.x:.2%};top:{spot.y:.2%}}}\n"

"""What the templates of the vehicle's gallery page are filled with."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from math import cos, radians, sin
from typing import Any

from okla_assets import keys
from okla_assets.contract import Listing, ListingPhoto
from okla_assets.tables import IGNORED
from okla_assets.viewer.templating import address
from okla_assets.viewer.words import Text, count, say

STATUS = {
    "ready": say("Ready to publish"),
    "needs_review": say("Needs a look"),
    "failed": say("Failed"),
}
SECTIONS = {"exterior": say("Exterior"), "interior": say("Interior"), "misc": say("Details")}
KINDS = {"exterior": say("Exterior"), "interior": say("Interior"), "misc": say("Detail")}
TREATMENTS = {
    "studio": say("In the studio"),
    "enhanced": say("Own background, corrected"),
    "original": say("As taken"),
}
MOST_REFUSALS = 60
"""Reasons that the page names; listing.json has all."""
GOOD, FAIR = 70, 40
"""Quality scores from which a photo counts as good, or still fair."""


def context(listing: Listing, *, own_scripts: bool = True) -> dict[str, Any]:
    """Names that `gallery.html` and `photo.html` use, but for the spin element.

    `own_scripts`: the vehicle has its own copies of the elements.
    """
    promo, sections = listing.promo, list(_sections(listing))
    return {
        "listing": listing,
        "status": STATUS[listing.status],
        "summary": list(_summary(listing)),
        "price": listing.options.promo_price.strip(),
        "specs": [spec for spec in listing.options.promo_specs if spec.strip()],
        "say": say,
        "dots": list(_dots(listing.photos)),
        "widest_gap": f"{max(listing.spin.gaps, default=0):.0f}" if listing.spin else None,
        "sections": sections,
        # What the eye meets first where no view is on top: it does not wait until it is near.
        "first_seen": sections[0]["photos"][0] if sections and not listing.spin else None,
        "panoramas": panoramas(listing),
        "promo_seconds": f"{promo.seconds:.0f}" if promo else None,
        "videos": [
            (promo.key, 1920, 1080, "wide"),
            (promo.vertical_key, 1080, 1920, "upright"),
        ]
        if promo
        else [],
        "absent": [
            (title, reason)
            for title, reason in (
                (say("360° view"), listing.spin_reason),
                (say("Film"), listing.promo_reason),
            )
            if reason is not None
        ],
        "retakes": list(_retakes(listing)),
        "refused": list(_refused(listing)),
        "passed_over": list(_passed_over(listing)),
        "downloads": _downloads(listing, own_scripts=own_scripts),
        "treatments": TREATMENTS,
        "name_of_photo": lambda photo: _numbered(photo).lower(),
        "webp_of": _webp,
        "link": partial(address, page=keys.gallery(keys.parse_vehicle_id(listing.vehicle_id))),
        "count": lambda things, name: count(len(things), name),
        "name_of": _file_name,
        "upload_of": keys.upload_name,
        "title_of": _title,
        "size_of": partial(_size, listing),
        "level_of": _level,
        "leaves_margins": _leaves_margins,
        "spots_on": partial(_spots, listing),
        "issues_of": _issues,
        "facts_of": _facts,
    }


def rules(listing: Listing) -> str:
    """Positions as style rules: a style attribute would need a laxer Content-Security-Policy."""
    made = []
    for photo in listing.photos:
        if photo.before_key or photo.mask_key:
            box = zip(("left", "top", "width", "height"), photo.source_box, strict=True)
            position = ";".join(f"{side}:{share:.3%}" for side, share in box)
            if (turn := photo.levelled) is not None:
                position += f";transform:rotate({-turn.degrees}deg)"
                position += f";transform-origin:{turn.x:.2%} {turn.y:.2%}"
            made.append(f"#photo-{photo.number} .moved{{{position}}}\n")
    for number, spot in enumerate(listing.hotspots):
        if spot.on_photo is not None:
            made.append(f"#{_spot_id(number)}{{left:{spot.x:.2%};top:{spot.y:.2%}}}\n")
    return "".join(made)


def title(listing: Listing) -> str:
    """What the vehicle is called: as the options say, else by its id."""
    return listing.options.promo_title.strip() or listing.vehicle_id


def panoramas(listing: Listing) -> list[ListingPhoto]:
    """The photos that one looks around in."""
    return [photo for photo in listing.photos if _turns(photo)]


def close_up_name(photo: ListingPhoto) -> Text:
    """A hotspot's label."""
    kind = say("Close-up") if photo.category == "exterior" else KINDS[photo.category]
    return say("{kind} {n}", kind=kind, n=photo.number)


def _summary(listing: Listing) -> Iterator[Text]:
    counts = Counter(photo.treatment for photo in listing.photos)
    yield count(len(listing.photos), "photo")
    if counts["studio"]:
        yield say("{n} in the studio", n=counts["studio"])
    if listing.spin:
        yield say("360° of {frames}", frames=count(len(listing.spin.frames), "frame"))
    if listing.promo:
        yield say("film of {n} s", n=f"{listing.promo.seconds:.0f}")
    if listing.refused:
        yield count(len(listing.refused), "refused")
    if ignored := sum(group.count for group in listing.ignored):
        yield count(ignored, "ignored")


def _retakes(listing: Listing) -> Iterator[tuple[str | Text, str | None, Text]]:
    """What to take again or to add: its name, the photo's anchor, and what to do."""
    photos = {photo.number: photo for photo in listing.photos}
    for one in listing.retakes:
        if one.photo is None:
            yield say((one.view or "").replace("-", " ")), None, Text(one.en, one.es)
        else:
            name = keys.upload_name(photos[one.photo].source_key)
            yield name, f"#photo-{one.photo}", Text(one.en, one.es)


def _refused(listing: Listing) -> Iterator[tuple[str | Text, str | Text, str | Text]]:
    """Names, sentence and code of the refused files, a row a reason."""
    alike = listing.refused_alike
    for files in alike[:MOST_REFUSALS]:
        names = [keys.upload_name(file.source_key) for file in files]
        yield _in_short(names), files[0].detail, say(files[0].reason.replace("_", " "))
    if rest := sum(map(len, alike[MOST_REFUSALS:])):
        told = say("Their names and reasons are in listing.json.")
        yield say("{n} more", n=f"{rest:,}"), told, ""


def _in_short(names: Sequence[str], number: int | None = None) -> Text:
    """`keys.in_short` in both languages."""
    listed, more = keys.first_names(names, number)
    return (
        say("{names} and {n} more", names=listed, n=f"{more:,}") if more else Text(listed, listed)
    )


def _passed_over(listing: Listing) -> Iterator[tuple[Text, Text, int]]:
    """Names, reason and number of the uploads of which nothing is shown and nothing is wrong."""
    for group in listing.ignored:
        yield _in_short(group.examples, group.count), say(IGNORED[group.rule]), group.count
    spare = [keys.upload_name(v.source_key) for v in listing.videos if v.use == "not_needed"]
    if spare:
        told = say("not needed, as another video shows the turn")
        yield _in_short(spare), told, len(spare)


def _dots(photos: Sequence[ListingPhoto]) -> Iterator[tuple[ListingPhoto, str, str]]:
    """Exteriors with a known azimuth, and where their cameras stood on a plan of 120 x 120."""
    for photo in photos:
        if photo.category == "exterior" and photo.azimuth_deg is not None:
            angle = radians(photo.azimuth_deg)
            yield photo, f"{60 - 46 * sin(angle):.1f}", f"{60 - 46 * cos(angle):.1f}"


def _sections(listing: Listing) -> Iterator[dict[str, Any]]:
    for category, title in SECTIONS.items():
        photos = [p for p in listing.photos if p.category == category and not _turns(p)]
        # Without a spin on top, one photo is what the eye meets first.
        leading = [p for p in photos if p.treatment == "studio" and p.processed_key]
        studio = [] if listing.spin else leading
        lead = min(studio, key=lambda photo: photo.angle != "front-quarter", default=None)
        if photos:
            yield {
                "category": category,
                "title": title,
                "has_masks": any(photo.mask_key for photo in photos),
                "lead": lead,
                "photos": sorted(photos, key=lambda photo: photo is not lead),
            }


def _turns(photo: ListingPhoto) -> bool:
    """Whether it is shown as a panorama; one that is kept back is told among the photos."""
    return photo.projection is not None and photo.processed_key is not None


def _facts(photo: ListingPhoto) -> list[tuple[Text, str | Text]]:
    rows: dict[str, str | Text | None] = {
        "Finished as": photo.processed_key and _file_name(photo.processed_key),
        "Treatment": TREATMENTS[photo.treatment],
        "Category": _sure(photo.category, photo.category_confidence),
        "Angle": photo.angle and _sure(photo.angle, photo.angle_confidence or 0),
        "Side": photo.side and say(f"the vehicle's {photo.side}"),
        "Azimuth": None if photo.azimuth_deg is None else f"{photo.azimuth_deg:.0f}°",
        "Upload": f"{photo.width} x {photo.height}",
        "Plates masked": str(len(photo.plates)) if photo.plates else None,
    }
    return [(say(name), value) for name, value in rows.items() if value]


def _sure(what: str, confidence: float) -> Text:
    return say("{what}, {percent}", what=say(what), percent=f"{confidence:.0%}")


def _issues(photo: ListingPhoto) -> list[Text]:
    issues = [say(issue.replace("_", " ")) for issue in photo.quality.issues]
    if photo.duplicate_of is not None:
        issues.append(say("repeats photo {n}", n=photo.duplicate_of))
    return issues


def _level(score: int) -> str:
    return "good" if score >= GOOD else "fair" if score >= FAIR else "poor"


def _downloads(listing: Listing, *, own_scripts: bool) -> list[tuple[Text, list[str]]]:
    """Keys of everything to download, by kind."""
    vehicle = keys.parse_vehicle_id(listing.vehicle_id)
    photos, promo, spin = listing.photos, listing.promo, listing.spin
    kinds = {
        "Listing": [keys.listing(vehicle)],
        "Film": [promo.key, promo.vertical_key, *promo.posters] if promo else [],
        "Finished photos": [photo.processed_key for photo in photos if photo.processed_key],
        "Masks": [photo.mask_key for photo in photos if photo.mask_key],
        "Before": [photo.before_key for photo in photos if photo.before_key],
        "360° view": [
            keys.spin_data(vehicle),
            *([keys.spin_script(vehicle)] if own_scripts else []),
            *spin.frames,
        ]
        if spin
        else [],
    }
    if own_scripts and any(map(_turns, photos)):
        kinds["360° interior"] = [keys.panorama_script(vehicle)]
    return [(say(kind), found) for kind, found in kinds.items() if found]


def _numbered(photo: ListingPhoto) -> Text:
    return say("{kind} {n}", kind=KINDS[photo.category], n=photo.number)


def _title(photo: ListingPhoto) -> Text:
    if photo.angle is None:
        return _numbered(photo)
    en, es = say(photo.angle).capitalize()
    angle = Text(en.replace("-", " "), es)
    if photo.side is None or photo.angle in ("front", "rear"):
        return angle
    side = say(photo.side)
    joint = " " if photo.angle == "side" else ", "
    return Text(f"{angle.en}, {side.en}", f"{angle.es}{joint}{side.es}")


def _webp(photo: ListingPhoto) -> list[tuple[str, int]]:
    """Key and width of the finished picture's sizes for web pages."""
    return [(size.key, size.width) for size in photo.sizes]


def _file_name(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _size(listing: Listing, photo: ListingPhoto) -> tuple[int, int]:
    """The finished picture's width and height, which the page needs before the picture is there.

    Of an older listing, which does not hold them, those that the options ask for.
    """
    if photo.processed_size is not None:
        return photo.processed_size
    options = listing.options
    if photo.treatment == "studio":
        across, down = (int(part) for part in options.aspect.split(":"))
        return options.max_width, round(options.max_width * down / across)
    scale = min(1.0, options.max_width / max(photo.width, photo.height))
    return round(photo.width * scale), round(photo.height * scale)


def _leaves_margins(photo: ListingPhoto) -> bool:
    x, y, w, h = photo.source_box
    return x > 0 or y > 0 or x + w < 1 or y + h < 1


def _spots(listing: Listing, photo: ListingPhoto) -> Iterator[tuple[str, int, Text]]:
    """The hotspots on a photo: id, number of the close-up, label."""
    photos = {p.number: p for p in listing.photos}
    for number, spot in enumerate(listing.hotspots):
        if spot.on_photo == photo.number:
            yield _spot_id(number), spot.photo, close_up_name(photos[spot.photo])


def _spot_id(number: int) -> str:
    return f"spot-{number}"

"""The page over all vehicles, from the fleet's figures alone; nothing in it tells the hour."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from okla_assets.viewer.gallery import KINDS, STATUS, TREATMENTS
from okla_assets.viewer.pages import whole_page
from okla_assets.viewer.templating import asset

Rows = Sequence[Mapping[str, Any]]

MOST_ROWS = 12
"""Of a table on the page; the files hold all."""
MOST_WEEKS = 16
NO_DEALER = "without a prefix"
FILES = ("vehicles.csv", "vehicles.parquet", "photos.csv", "photos.parquet")


@dataclass(frozen=True)
class Tile:
    """One figure that counts most: its name, itself, and what it is measured by."""

    name: str
    figure: str
    beside: str
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """One row: cells as they are shown, the length of its bar in [0, 1], and its colour's name."""

    cells: tuple[str, ...]
    bar: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Section:
    """A table with its heading; `heads` name the columns, `note` says how to read it."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    note: str = ""
    more: int = 0


@dataclass(frozen=True)
class Group:
    """Sections that belong together."""

    title: str
    sections: tuple[Section, ...]


def fleet_page(
    figures: Mapping[str, Rows], vendor: tuple[tuple[float, float], tuple[float, float]]
) -> bytes:
    """The page; `figures` are rows by the table's name, `vendor` its cents and seconds an image."""
    return whole_page(
        "fleet.html",
        "Fleet report",
        asset("gallery.css") + asset("fleet.css"),
        [],
        spin=None,
        tiles=list(_tiles(figures, vendor)),
        groups=[
            Group(title, tuple(s for s in sections if s.lines))
            for title, sections in (
                ("Vehicles", tuple(_vehicles(figures))),
                ("Photos", tuple(_photos(figures))),
                ("Time and money", tuple(_money(figures, vendor))),
                ("Code and models", tuple(_made_by(figures))),
            )
        ],
        files=FILES,
    )


def _tiles(
    figures: Mapping[str, Rows], vendor: tuple[tuple[float, float], tuple[float, float]]
) -> Iterator[Tile]:
    status = {row["status"]: row for row in figures["status"]}
    vehicles = sum(row["vehicles"] for row in status.values())
    photos = sum(row["photos"] for row in figures["photos"])
    yield Tile("Vehicles", _whole(vehicles), f"{_whole(photos)} photos")
    for name, mark in (("ready", "good"), ("needs_review", "fair"), ("failed", "poor")):
        if row := status.get(name):
            yield Tile(STATUS[name].en, _percent(row["share"]), _whole(row["vehicles"]), mark)
    (from_cents, to_cents), (from_seconds, to_seconds) = vendor
    for row in figures["costs"]:
        kind = row["machine"].upper()
        if row["seconds_an_image"] is not None:
            beside = f"on a {kind}; a vendor takes {from_seconds:.0f} to {to_seconds:.0f} s"
            yield Tile("Time an image", f"{_number(row['seconds_an_image'])} s", beside)
        if row["cents_an_image"] is not None:
            beside = f"on a {kind}; a vendor asks {from_cents:.0f} to {to_cents:.0f} ¢"
            yield Tile("Price of an image", f"{_number(row['cents_an_image'])} ¢", beside)
    stale = sum(row["vehicles"] for row in figures["code"] if row["stale"])
    yield Tile("Stale", _whole(stale), "made by older code or weights", "fair" if stale else "good")


def _vehicles(figures: Mapping[str, Rows]) -> Iterator[Section]:
    yield Section(
        "Ready without a person",
        ("Week from", "Vehicles", "Ready"),
        tuple(
            Line(
                (row["week"], _whole(row["vehicles"]), _percent(row["straight_through"])),
                row["straight_through"],
            )
            for row in figures["weeks"][-MOST_WEEKS:]
        ),
        "By the week in which the listing was made as it is now.",
        max(0, len(figures["weeks"]) - MOST_WEEKS),
    )
    yield _counted("Why a person has to look", "Reason", figures["reasons"], "reason", "vehicles")
    yield _counted(
        "Uploads that were refused", "Reason", figures["refused"], "reason", "files", "vehicles"
    )
    yield _counted(
        "Standard views that are missing", "View", figures["missing_views"], "view", "vehicles"
    )
    yield _counted(
        "What sellers should take again", "Issue", figures["retakes"], "issue", "hints", "vehicles"
    )
    dealers = figures["dealers"]
    most = max((row["hints_a_vehicle"] for row in dealers), default=0) or 1
    yield Section(
        "Hints to take again, by dealer",
        ("Dealer", "Vehicles", "Ready", "A vehicle"),
        tuple(
            Line(
                (
                    row["dealer"] or NO_DEALER,
                    _whole(row["vehicles"]),
                    _percent(row["ready_share"]),
                    _number(row["hints_a_vehicle"]),
                ),
                row["hints_a_vehicle"] / most,
                "fair",
            )
            for row in dealers[:MOST_ROWS]
        ),
        "A dealer is what stands before the first - or _ of a vehicle's id; those with most hints.",
        max(0, len(dealers) - MOST_ROWS),
    )


def _photos(figures: Mapping[str, Rows]) -> Iterator[Section]:
    treated = figures["treatments"]
    total = sum(row["photos"] for row in treated) or 1
    yield Section(
        "What was made of them",
        ("Kind", "Photos", "Kept back", "Share"),
        tuple(
            Line(
                (
                    f"{KINDS[row['category']].en}: {TREATMENTS[row['treatment']].en.lower()}",
                    _whole(row["photos"]),
                    _whole(row["withheld"]),
                    _percent(row["photos"] / total),
                ),
                row["photos"] / total,
            )
            for row in treated
        ),
    )
    yield _counted("Angle of exteriors", "Angle", figures["angles"], "angle", "photos")
    yield _counted("Quality, of 100", "Score", figures["quality"], "quality", "photos")
    yield _counted("Faults", "Fault", figures["issues"], "issue", "photos", mark="fair")


def _money(
    figures: Mapping[str, Rows], vendor: tuple[tuple[float, float], tuple[float, float]]
) -> Iterator[Section]:
    steps = [row for row in figures["steps"] if row["seconds_an_image"] is not None]
    slowest = max((row["seconds_an_image"] for row in steps), default=0) or 1
    yield Section(
        "Seconds an image, by step",
        ("Step", "Machine", "Hours in all", "Seconds"),
        tuple(
            Line(
                (
                    _words(row["step"]),
                    row["machine"].upper(),
                    _number(row["seconds"] / 3600),
                    _number(row["seconds_an_image"]),
                ),
                row["seconds_an_image"] / slowest,
            )
            for row in steps
        ),
        "The whole vehicle's seconds, its 360° view and its film too, over its photos.",
    )
    yield Section(
        "What an image costs, by the price of a machine",
        ("Machine", "$ an hour", "Images an hour", "¢ an image", "Vendor"),
        tuple(
            Line(
                (
                    row["machine"].upper() + (", yours" if row["of"] == "settings" else ""),
                    f"{row['usd_an_hour']:.2f}",
                    _whole(round(row["images_an_hour"])),
                    _number(row["cents_an_image"]),
                    f"{_number(row['vendor_times'])} x",
                ),
                None,
                "good" if row["of"] == "settings" else "",
            )
            for row in figures["machines"]
        ),
        "At the seconds measured here. The vendor's lowest price is so many times as much, at "
        f"{vendor[0][0]:.0f} ¢. Your own price is OKLA_PRICE_CPU_HOUR or OKLA_PRICE_GPU_HOUR.",
    )
    yield Section(
        "In all",
        ("Machine", "Vehicles", "Images", "Hours", "$ now", "$ recorded"),
        tuple(
            Line(
                (
                    row["machine"].upper(),
                    _whole(row["vehicles"]),
                    _whole(row["images"]),
                    _number(row["seconds"] / 3600),
                    _number(row["usd"]),
                    _number(row["usd_recorded"]),
                )
            )
            for row in figures["costs"]
        ),
        "At the price of an hour that is set now, and as it was recorded when each was made.",
    )


def _made_by(figures: Mapping[str, Rows]) -> Iterator[Section]:
    code = figures["code"]
    total = sum(row["vehicles"] for row in code) or 1
    yield Section(
        "Code",
        ("Fingerprint", "Profile", "Release", "Vehicles"),
        tuple(
            Line(
                (
                    row["code"] or "not written down",
                    row["profile"],
                    row["version"],
                    _whole(row["vehicles"]),
                ),
                row["vehicles"] / total,
                "fair" if row["stale"] else "good",
            )
            for row in code[:MOST_ROWS]
        ),
        "Green is what would make the next listing; the nightly backfill makes all others again.",
        max(0, len(code) - MOST_ROWS),
    )
    models = figures["models"]
    yield Section(
        "Models",
        ("Weights", "Vehicles"),
        tuple(
            Line(
                (row["model"], _whole(row["vehicles"])),
                row["vehicles"] / total,
                "fair" if row["stale"] else "good",
            )
            for row in models
        ),
    )


def _counted(title: str, head: str, rows: Rows, name: str, *counts: str, mark: str = "") -> Section:
    """A table of how often something is, by these counts, with its share."""
    return Section(
        title,
        (head, *(count.capitalize() for count in counts), "Share"),
        tuple(
            Line(
                (
                    _words(row[name]),
                    *(_whole(row[count]) for count in counts),
                    _percent(row["share"]),
                ),
                row["share"],
                mark,
            )
            for row in rows[:MOST_ROWS]
        ),
        more=max(0, len(rows) - MOST_ROWS),
    )


def _words(code: str) -> str:
    """A code as words: `missing_view`."""
    return code.replace("_", " ")


def _whole(count: float) -> str:
    return f"{count:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(figure: float | None) -> str:
    """To three digits, where it is known."""
    if figure is None:
        return "not known"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"

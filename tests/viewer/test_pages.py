"""What the pages hold, without a browser."""

import base64
import gzip
import hashlib
import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from okla_assets import keys
from okla_assets.contract import ListingVideo
from okla_assets.options import StudioOptions
from okla_assets.steps import selling
from okla_assets.tables import IGNORED, IgnoredFiles, Quality, RefusedFile
from okla_assets.viewer import pages
from okla_assets.viewer.templating import render
from tests.fakes import VEHICLE
from tests.viewer import made

HEAVIEST = 12_000
"""Bytes of okla-spin.js as it is served, unminified and gzipped."""


def test_the_viewer_is_light() -> None:
    assert len(gzip.compress(pages.spin_script(), 9)) < HEAVIEST


def test_the_viewer_reads_the_same_in_a_page_of_any_encoding() -> None:
    assert pages.spin_script().isascii()


def test_spin_json_tells_the_turn() -> None:
    data = json.loads(pages.spin_json(made.listing()))
    assert data["frames"][:2] == ["frame_001.jpg", "frame_002.jpg"]
    assert len(data["frames"]) == len(data["azimuths"]) == len(data["gaps"]) == made.FRAMES
    assert (data["width"], data["height"], data["label"]) == (320, 240, VEHICLE)
    assert data["hotspots"] == [
        {
            "frame": 3,
            "x": 0.7,
            "y": 0.6,
            "photo": 4,
            "label": "Detail 4",
            "labels": {"en": "Detail 4", "es": "Detalle 4"},
            "image": "../misc_004_processed.jpg",
            "thumbnail": "../thumbnails/misc_004_thumb.jpg",
        }
    ]


def test_without_a_spin_there_is_a_gallery_only() -> None:
    listing = made.listing(spin=None, spin_reason="the photos leave a gap of 160 degrees")
    assert set(pages.outputs(listing)) == {keys.gallery(VEHICLE)}
    assert b"the photos leave a gap of 160 degrees" in pages.gallery_page(listing)
    with pytest.raises(ValueError, match="has no spin: the photos leave a gap"):
        pages.spin_json(listing)


def test_every_file_is_known_by_name_and_type() -> None:
    sphere = made.photo(6, "interior", projection="equirectangular")
    outputs = pages.outputs(made.listing(photos=(*made.listing().photos, sphere)))
    assert set(outputs) == pages.names(VEHICLE)
    assert {key.rsplit("/", 1)[-1]: kind for key, (_, kind) in outputs.items()} == {
        "index.html": "text/html; charset=utf-8",
        "okla-spin.js": "text/javascript; charset=utf-8",
        "okla-panorama.js": "text/javascript; charset=utf-8",
        "spin.json": "application/json",
    }


def test_the_clock_and_the_cost_change_no_byte() -> None:
    later = made.listing(generated_at="2031-01-01T00:00:00Z", cost={"seconds": {}, "usd": 1.0})
    assert pages.outputs(later) == pages.outputs(made.listing())


@pytest.mark.parametrize("make", [pages.gallery_page, pages.spin_page])
def test_the_policy_allows_just_the_style_and_script_in_the_page(make: object) -> None:
    assert callable(make)
    page = make(made.listing()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "unsafe" not in policy[1]
    inline = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)
    assert inline
    for source in inline:
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert " style=" not in page
    assert not re.search(r"\son\w+=\"", page)


class Elements(HTMLParser):
    """Names of the elements in a page, and its links."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: set[str] = set()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "data-src", "data-poster") and value:
                self.links.add(value)
            if name == "srcset" and value:
                self.links |= {one.split()[0] for one in value.split(",")}


def test_a_file_name_stays_text() -> None:
    plain = made.listing()
    tame = [file.model_copy(update={"source_key": "raw/v/photos/a.jpg"}) for file in plain.refused]
    calm = [one.model_copy(update={"source_key": "raw/v/photos/a.jpg"}) for one in plain.photos]
    harmless = made.listing(refused=tuple(tame), photos=tuple(calm))
    hostile, expected = (Elements(pages.gallery_page(which)) for which in (plain, harmless))
    assert hostile.names == expected.names
    assert hostile.links == expected.links


@pytest.mark.parametrize("of_spin", [True, False])
def test_every_link_leads_to_a_file_of_the_vehicle(folder: Path, of_spin: bool) -> None:
    home = folder / keys.processed_folder(VEHICLE) / ("360-viewer" if of_spin else "")
    page = (pages.spin_page if of_spin else pages.gallery_page)(made.listing())
    files = {link for link in Elements(page).links if not link.startswith(("#", "data:"))}
    assert [link for link in files if not (home / link).is_file()] == []
    if not of_spin:
        everything = {p for p in home.rglob("*") if p.is_file()} - {home / "index.html"}
        assert everything == {(home / link).resolve() for link in files}


def test_a_photo_that_is_kept_back_is_told_and_not_shown() -> None:
    changed: dict[str, Any] = {"processed_key": None, "thumbnail_key": None, "before_key": None}
    why = "kept back: a plate can be read"
    back = made.photo(1, withheld=why, **changed)
    wheel = made.photo(4, "misc", withheld=why, **changed)
    listing = made.listing(photos=(back, made.photo(2), wheel))
    page = pages.gallery_page(listing).decode()
    assert page.count(why) == 2
    assert "exterior_001_processed" not in page
    assert "exterior_002_processed" in page
    assert json.loads(pages.spin_json(listing))["hotspots"] == []


def test_a_vehicle_of_which_nothing_could_be_used_has_a_page_too() -> None:
    listing = made.listing(
        status="failed",
        reasons=("no photo was uploaded",),
        photos=(),
        refused=(),
        spin=None,
        promo=None,
        hotspots=(),
    )
    page = pages.gallery_page(listing).decode()
    assert "no photo was uploaded" in page
    assert "listing.json" in page


def test_text_is_escaped_with_the_entities_that_older_pages_have() -> None:
    page = pages.gallery_page(made.listing(reasons=("it's <b>\"&",))).decode()
    assert ">it&#x27;s &lt;b&gt;&quot;&amp;</li>" in page


def test_elements_stand_without_space_between_them() -> None:
    page = pages.spin_page(made.listing()).decode()
    body = page[page.index("<body>") :]
    assert body.count("\n") == 1  # at the end
    assert not re.search(r">\s+<", body)


def test_attributes_have_a_space_between_them() -> None:
    listing = selling.ordered(made.listing())
    for page in (pages.gallery_page(listing), pages.spin_page(listing)):
        markup = re.sub(rb"<(script|style).*?</\1>", b"", page, flags=re.DOTALL)
        tags = re.findall(rb"<[a-z][^<>]*>", markup)
        assert len(tags) > 5
        assert [tag for tag in tags if re.search(rb'="[^"]*"[^\s/>]', tag)] == []


def test_a_template_that_lacks_a_name_fails() -> None:
    with pytest.raises(UndefinedError, match="policy"):
        render("page.html", title="")


def test_ten_thousand_files_of_one_kind_are_a_line_of_the_gallery() -> None:
    refused = tuple(
        RefusedFile(
            source_key=f"{keys.raw_photos(VEHICLE)}DCIM/IMG_{n}.DNG",
            reason="unsupported_format",
            detail="This file is camera raw.",
        )
        for n in range(10_000)
    )
    ignored = (IgnoredFiles(rule="not_media", count=10_000, examples=("a.txt", "b.txt")),)
    spare = ListingVideo(source_key=f"{keys.raw_videos(VEHICLE)}again.mp4", use="not_needed")
    listing = made.listing(refused=refused, ignored=ignored, videos=(spare,))
    page = pages.outputs(listing)[keys.gallery(VEHICLE)][0].decode()
    assert page.count("This file is camera raw.") == 1
    assert "DCIM/IMG_0.DNG, DCIM/IMG_1.DNG" in page
    assert "and 9,995 more" in page
    assert "a.txt, b.txt and 9,998 more" in page
    assert "again.mp4" in page
    assert "10,000 ignored" in page
    # Also where each has a sentence of its own.
    each = tuple(f.model_copy(update={"detail": f"{n} pixels."}) for n, f in enumerate(refused))
    page = pages.outputs(made.listing(refused=each))[keys.gallery(VEHICLE)][0].decode()
    assert len(page) < 300_000
    assert "9,940 more" in page


def test_the_gallery_says_what_to_take_again_in_both_languages() -> None:
    blurred = made.photo(1, quality=Quality(score=30, issues=("blurred",)))
    listing = selling.ordered(made.listing(photos=(blurred,), hotspots=()))
    page = pages.outputs(listing)[keys.gallery(VEHICLE)][0].decode()
    part = page.split("retakes")[1].split("</section>")[0]
    assert '<a href="#photo-1">IMG_1.jpg</a>' in part
    for words in (selling.RETAKE["blurred"], selling.VIEWS["rear"]):
        assert all(escape(text) in part for text in words)
    assert "retakes" not in pages.outputs(made.listing())[keys.gallery(VEHICLE)][0].decode()


def test_a_shared_script_stands_in_for_the_copies() -> None:
    sphere = made.photo(6, "interior", projection="equirectangular")
    listing = made.listing(photos=(*made.listing().photos, sphere))
    where = pages.Addresses(scripts="https://cdn.example/viewer")
    outputs = pages.outputs(listing, where)
    assert not {key for key in outputs if key.endswith(".js")}
    assert not re.findall(r'href="[^"]*\.js"', outputs[keys.gallery(VEHICLE)][0].decode())
    for key, script in (
        (keys.gallery(VEHICLE), "okla-spin.js"),
        (keys.gallery(VEHICLE), "okla-panorama.js"),
        (keys.spin_page(VEHICLE), "okla-spin.js"),
    ):
        page = outputs[key][0].decode()
        address = f"https://cdn.example/viewer/{script}"
        assert f'<script src="{address}" defer>' in page
        policy = re.search(r"script-src ([^;]+);", page)
        assert policy is not None
        assert address in policy[1].split()


def told(listing: Any, page: str = "") -> tuple[dict[str, str], dict[str, Any]]:
    """OpenGraph by property, and the JSON-LD, of a gallery."""
    where = pages.Addresses(page=page)
    html = pages.outputs(listing, where)[keys.gallery(VEHICLE)][0].decode()
    graph = dict(re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)">', html))
    data = re.search(r'<script type="application/ld\+json">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    return graph, json.loads(data[1])


def test_the_page_is_called_as_the_options_say_and_tells_messengers_and_search_engines() -> None:
    options = StudioOptions(
        max_width=640,
        promo_title="2021 Honda <CR-V>",
        promo_price="US$ 24,900",
        promo_specs=("48,000 km", "automatic"),
    )
    listing = selling.ordered(made.listing(options=options))
    address = f"https://cdn.example/{keys.gallery(VEHICLE)}"
    graph, data = told(listing, address)
    assert graph["og:title"] == "2021 Honda &lt;CR-V&gt;"
    assert graph["og:image"].startswith(f"https://cdn.example/processed/{VEHICLE}/exterior_")
    assert graph["og:description"] == "48,000 km · automatic · US$ 24,900"
    assert data["@type"] == "Vehicle"
    assert data["name"] == "2021 Honda <CR-V>"
    assert data["vehicleIdentificationNumber"] == VEHICLE
    assert data["offers"] == {"@type": "Offer", "price": "24900", "priceCurrency": "USD"}
    assert all(picture.startswith("https://cdn.example/") for picture in data["image"])
    page = pages.gallery_page(listing).decode()
    assert "<h1>2021 Honda &lt;CR-V&gt;</h1>" in page
    # What is told to programs is on the page for people, too.
    offer = page.split('class="offer"')[1].split("</p>")[0]
    assert re.sub(r"<[^>]*>", "|", offer) == ">|US$ 24,900||48,000 km · automatic|"
    assert (graph["og:image:alt"], graph["og:title"]) == (graph["og:title"],) * 2
    assert 'class="offer"' not in pages.gallery_page(made.listing()).decode()
    title = re.search(r"<title>(.*?)</title>", pages.spin_page(listing).decode())
    assert title is not None
    assert title[1] == "2021 Honda &lt;CR-V&gt;, 360°"  # in no language


@pytest.mark.parametrize("price", ["$ 24,900", "24900", "negotiable", ""])
def test_a_price_whose_currency_is_not_told_is_no_offer(price: str) -> None:
    graph, data = told(made.listing(options=StudioOptions(promo_price=price)))
    assert "offers" not in data
    assert "og:image" not in graph  # a page without an address has no whole address of a picture


def test_everything_that_the_pipeline_says_of_a_photo_has_spanish_words() -> None:
    from typing import get_args

    from okla_assets.imaging.photo.refusals import REFUSAL_REASONS
    from okla_assets.imaging.types import Angle, Category, Side
    from okla_assets.viewer.words import say

    for words in (get_args(Angle), get_args(Side), get_args(Category), IGNORED.values()):
        assert all(say(word).es for word in words)
    for word in (*selling.RETAKE, "part_missing", *REFUSAL_REASONS):
        assert say(word.replace("_", " ")).es
    for view in selling.VIEWS:
        assert say(view.replace("-", " ")).es


def test_one_is_not_many() -> None:
    one = made.listing(
        refused=made.listing().refused[:1],
        ignored=(IgnoredFiles(rule="not_media", count=1, examples=("a.txt",)),),
    )
    page = pages.gallery_page(one).decode()
    assert '<span data-es="1 rechazado">1 refused</span>' in page
    assert '<span data-es="1 ignorado">1 ignored</span>' in page


def test_a_picture_has_its_own_size_not_that_of_the_options() -> None:
    small = made.photo(1, processed_size=(500, 375))
    page = pages.gallery_page(made.listing(photos=(small,), hotspots=())).decode()
    assert 'width="500" height="375"' in page


def test_the_first_picture_is_asked_for_before_anything_else() -> None:
    from tests.viewer.sized import sized_spin

    listing, _ = sized_spin()
    for page in (pages.gallery_page(listing).decode(), pages.spin_page(listing).decode()):
        preload = re.search(r'<link rel="preload" as="image" [^>]*href="([^"]+)"', page)
        assert preload is not None
        assert "frame_001_640w_" in preload[1]
        assert preload.start() < page.index("<style>") < page.index("<script src=")
        assert not re.search(r"<video[^>]* poster=", page)


def test_where_no_view_is_on_top_the_first_photo_does_not_wait() -> None:
    for treatment in ("studio", "enhanced"):
        photos = tuple(made.photo(number, treatment=treatment) for number in (1, 2))
        listing = made.listing(photos=photos, hotspots=(), spin=None, promo=None)
        images = re.findall(r'<img class="after"[^>]*>', pages.gallery_page(listing).decode())
        assert ['fetchpriority="high"' in image for image in images] == [True, False]
        assert ['loading="lazy"' in image for image in images] == [False, True]
    images = re.findall(r'<img class="after"[^>]*>', pages.gallery_page(made.listing()).decode())
    assert all('loading="lazy"' in image for image in images)

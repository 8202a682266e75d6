"""The gallery in a real browser: what the person who opens it can see and do."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import CDPSession, Locator, Page

from okla_assets import keys
from okla_assets.steps import selling
from okla_assets.tables import IgnoredFiles, Quality
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.conftest import Open, Serve, until

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def gallery(open_page: Open, site: str) -> Callable[..., Page]:
    """The gallery's page, loaded."""

    def start(**options: object) -> Page:
        return open_page(
            f"{site}/{keys.gallery(VEHICLE)}", **{"reduced_motion": "reduce"} | options
        )

    return start


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The gallery of a vehicle with photos to take again, views that are missing, ignored files,
    and a close-up that is kept back."""
    folder = tmp_path_factory.mktemp("lacking")
    whole = made.listing()
    photos = (
        made.photo(1),
        made.photo(2, angle="side", quality=Quality(score=30, issues=("blurred",))),
        made.photo(4, "misc", processed_key=None, thumbnail_key=None, withheld="a plate shows"),
    )
    ignored = (IgnoredFiles(rule="sidecar", count=9, examples=("a.xmp", "b.xmp")),)
    listing = whole.model_copy(update={"photos": photos, "ignored": ignored})
    made.write(selling.ordered(listing), folder)
    return f"{serve(folder)}/{keys.gallery(VEHICLE)}"


def colour(locator: Locator, across: float, down: float) -> tuple[int, ...]:
    """The colour of one point of an element, as it is on the screen."""
    locator.scroll_into_view_if_needed()
    with Image.open(BytesIO(locator.screenshot())) as picture:
        at = round(across * (picture.width - 1)), round(down * (picture.height - 1))
        found = picture.convert("RGB").getpixel(at)
    assert isinstance(found, tuple)
    return found


def picture_of(page: Page, number: int) -> Locator:
    picture = page.locator(f"#photo-{number} .picture")
    picture.scroll_into_view_if_needed()
    until(
        page, f"[...document.querySelectorAll('#photo-{number} img[src]')].every(i => i.complete)"
    )
    return picture


@pytest.mark.parametrize("by_http", [True, False], ids=["bucket", "folder"])
def test_everything_that_was_made_is_on_the_page(
    open_page: Open, site: str, folder: Path, by_http: bool
) -> None:
    place = site if by_http else folder.as_uri()
    page = open_page(f"{place}/{keys.gallery(VEHICLE)}", reduced_motion="reduce")
    assert page.get_by_role("heading", level=1).inner_text() == VEHICLE
    assert [h.inner_text() for h in page.get_by_role("heading", level=2).all()] == [
        "What to look at",
        "360° view",
        "Exterior",
        "Interior",
        "Details",
        "Film",
        "Refused",
        "Downloads",
    ]
    until(page, "document.querySelector('okla-spin').frame === 0")
    for number in range(1, 6):
        picture_of(page, number)
    broken = "[...document.images].filter(i => i.src && i.complete && !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.locator("video").count() == 2


def test_the_verdict_its_reasons_and_each_photos_class_and_quality_are_told(
    gallery: Callable[..., Page],
) -> None:
    page = gallery()
    assert "Needs a look" in page.locator("header").inner_text()
    assert "5 photos · 2 in the studio · 360° of 36 frames" in page.locator("header").inner_text()
    reasons = page.get_by_role("region", name="What to look at").get_by_role("listitem")
    assert reasons.all_inner_texts() == [
        "exterior_003: no trustworthy cut-out: the two networks disagree"
    ]
    second = page.locator("#photo-2")
    assert second.get_by_role("heading").inner_text() == "Front quarter, right"
    assert second.get_by_role("listitem").all_inner_texts() == ["dark"]
    assert "35" in second.locator(".score").inner_text()
    second.get_by_text("Facts").click()
    facts = second.locator("dl").inner_text()
    for told in ("315°", "exterior, 97%", "front-quarter, 90%", "800 x 600", "exterior_002"):
        assert told in facts
    assert "Not in the studio: no trustworthy" in page.locator("#photo-3").inner_text()


def test_refused_files_are_told_and_a_name_is_only_ever_text(gallery: Callable[..., Page]) -> None:
    page = gallery()
    rows = page.locator(".refused li")
    assert [row.get_by_role("heading").inner_text() for row in rows.all()] == [
        made.HOSTILE.replace("/", "_"),
        "IMG_9.jpg",
    ]
    assert "This file holds an HTML page" in rows.first.inner_text()
    assert "corrupt" in rows.last.inner_text()
    assert page.locator("#photo-5 .file").inner_text() == made.HOSTILE.replace("/", "_")
    assert page.evaluate("typeof hacked") == "undefined"


def test_the_slider_uncovers_before_and_after_by_mouse_and_keys(
    gallery: Callable[..., Page],
) -> None:
    page = gallery()
    picture = picture_of(page, 1)
    slider = page.get_by_role("slider", name="Before and after, exterior 1")
    assert colour(picture, 0.3, 0.3) == pytest.approx(made.BEFORE, abs=6)
    assert colour(picture, 0.7, 0.3) == pytest.approx(made.AFTER, abs=6)
    box = picture.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, y, steps=4)
    page.mouse.up()
    assert float(slider.input_value()) == pytest.approx(80, abs=1)
    assert colour(picture, 0.7, 0.3) == pytest.approx(made.BEFORE, abs=6)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert float(slider.input_value()) == pytest.approx(75, abs=1)  # a step that one can see
    page.keyboard.press("Home")
    assert colour(picture, 0.3, 0.3) == pytest.approx(made.AFTER, abs=6)
    page.keyboard.press("End")
    assert colour(picture, 0.7, 0.3) == pytest.approx(made.BEFORE, abs=6)
    # Of a photo that is shown as it was taken there is nothing to compare.
    assert page.locator("#photo-3 input").count() == 0


def test_a_mask_is_fetched_when_asked_for_and_lies_on_its_vehicle(
    gallery: Callable[..., Page],
) -> None:
    page = gallery()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    picture = picture_of(page, 1)
    page.get_by_role("slider", name="Before and after, exterior 1").focus()
    page.keyboard.press("Home")
    button = page.get_by_role("button", name="Mask of exterior 1")
    button.click()
    until(page, "document.querySelector('#photo-1 .matte img').naturalWidth")
    assert button.get_attribute("aria-pressed") == "true"
    # The vehicle is at 25 to 75 % of the source, which lies at (0.1, -0.2) and is 0.8 x 1.1 large.
    for across, down, inside in ((0.5, 0.4, True), (0.32, 0.4, True), (0.27, 0.4, False)):
        bright = sum(colour(picture, across, down)) > sum(made.AFTER) * 0.9
        assert bright is inside, (across, down)
    assert [url for url in asked if "_mask.png" in url and "exterior_001" not in url] == []
    button.click()
    assert sum(colour(picture, 0.27, 0.4)) > sum(made.AFTER) * 0.9
    page.get_by_role("button", name="Show masks").click()
    assert page.locator(".matte:visible").count() == 3
    page.get_by_role("button", name="Hide masks").click()
    assert page.locator(".matte:visible").count() == 0


def test_photos_enlarge_and_can_be_leafed_through(gallery: Callable[..., Page]) -> None:
    page = gallery()
    link = page.get_by_role("link", name="Enlarge exterior 2")
    link.click()
    box = page.get_by_role("dialog", name="Enlarged photo")
    assert "Front quarter, right · 2 of 5" in box.inner_text()
    page.keyboard.press("ArrowRight")
    assert "3 of 5" in box.inner_text()
    box.get_by_role("button", name="Previous photo").click()
    box.get_by_role("button", name="Previous photo").click()
    box.get_by_role("button", name="Previous photo").click()
    assert "5 of 5" in box.inner_text()
    page.keyboard.press("Escape")
    assert not box.is_visible()
    assert link.evaluate("l => document.activeElement === l")


def test_a_hotspot_on_a_photo_opens_the_close_up(gallery: Callable[..., Page]) -> None:
    page = gallery()
    picture = picture_of(page, 1)
    spot = picture.get_by_role("link", name="Detail 4")
    outer, inner = picture.bounding_box(), spot.bounding_box()
    assert outer is not None
    assert inner is not None
    assert (inner["x"] + inner["width"] / 2 - outer["x"]) / outer["width"] == pytest.approx(
        0.7, abs=0.01
    )
    spot.click()
    shown = page.get_by_role("dialog").get_by_role("img")
    assert str(shown.evaluate("i => i.src")).endswith("/misc_004_processed.jpg")


def test_the_spin_and_its_close_up_work_in_the_gallery(gallery: Callable[..., Page]) -> None:
    page = gallery()
    page.get_by_role("slider", name=f"360° view of {VEHICLE}").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Detail 4").click()
    card = page.locator("okla-spin").get_by_role("img", name="Detail 4")
    assert str(card.evaluate("i => i.src")).endswith(f"/{VEHICLE}/misc_004_processed.jpg")


UNNAMED = """[...document.querySelectorAll('a, button, input, video, summary')].filter((e) =>
  !(e.ariaLabel || e.textContent.trim())).map((e) => e.outerHTML)"""
TOO_SMALL = """[...document.querySelectorAll('.quiet, summary, .spot, dialog button')]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40)
  .map((e) => e.outerHTML)"""


def test_on_a_phone_nothing_runs_over_and_nothing_jumps(gallery: Callable[..., Page]) -> None:
    page = gallery(**PHONE)
    page.evaluate("""() => { window.moved = 0; new PerformanceObserver((list) => {
      for (const shift of list.getEntries()) moved += shift.value;
    }).observe({ type: 'layout-shift', buffered: true }); }""")
    for number in range(1, 6):
        picture_of(page, number)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(200)
    assert page.evaluate("moved") < 0.02
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('main *:not(.before *, .matte *)')]"
            ".map((e) => e.getBoundingClientRect().right))"
        )
        <= 360
    )
    assert page.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("locale", ["en-US", "es-DO"])
def test_on_no_phone_and_in_no_language_does_a_page_run_over(
    open_page: Open, lacking: str, width: int, locale: str
) -> None:
    phone = PHONE | {"viewport": {"width": width, "height": 640}}
    page = open_page(lacking, reduced_motion="reduce", locale=locale, **phone)
    assert page.locator(".retakes").is_visible()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    reach = page.locator(".coverage .reach").first.bounding_box()
    assert reach is not None
    assert reach["width"] >= 24
    hint, bar = (
        page.locator(f"okla-spin [part={part}]").bounding_box() for part in ("hint", "bar")
    )
    assert hint is not None
    assert bar is not None
    assert hint["x"] + hint["width"] <= bar["x"] or hint["y"] + hint["height"] <= bar["y"]


def test_the_spot_of_a_close_up_that_is_kept_back_leads_to_what_is_said_of_it(
    open_page: Open, lacking: str
) -> None:
    page = open_page(lacking, reduced_motion="reduce")
    page.locator("#photo-1").get_by_role("link", name="Detail 4").click()
    assert page.url.endswith("#photo-4")
    assert not page.get_by_role("dialog", name="Enlarged photo").is_visible()


def test_without_scripts_the_finished_photo_is_seen_whole(
    gallery: Callable[..., Page],
) -> None:
    page = gallery(java_script_enabled=False)
    for name in (".before", ".handle", ".divide", ".mask", ".masks"):
        assert page.locator(name).count()
        assert not page.locator(name).first.is_visible(), name


def test_every_control_has_a_name_and_every_picture_words(gallery: Callable[..., Page]) -> None:
    page = gallery()
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("[...document.images].filter((i) => !i.hasAttribute('alt')).length") == 0
    inner = "document.querySelector('okla-spin').shadowRoot"
    assert page.evaluate(UNNAMED.replace("document.query", f"{inner}.query", 1)) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => {
      const c = v / 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return ['h1', '.facts', '.file', '.quiet', '.head p', 'footer'].map((name) => {
    const ink = light(getComputedStyle(document.querySelector(name)).color);
    return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_persons_scheme_and_stays_readable(
    gallery: Callable[..., Page], scheme: str
) -> None:
    page = gallery(color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) / 3
    assert bright > 200 if scheme == "light" else bright < 60
    assert min(page.evaluate(CONTRAST)) >= 4.5


def test_a_spanish_browser_reads_spanish(gallery: Callable[..., Page]) -> None:
    page = gallery(locale="es-DO")
    assert page.evaluate("document.documentElement.lang") == "es"
    header = page.locator("header").inner_text()
    assert "Necesita revisión" in header
    assert "5 fotos · 2 en el estudio · 360° de 36 cuadros" in header
    photo = page.locator("#photo-2")
    assert photo.get_by_role("heading").inner_text() == "Tres cuartos delantero, derecho"
    assert page.get_by_role("slider", name="Antes y después, exterior 1").count() == 1
    assert page.get_by_role("slider", name=f"Vista de 360° de {VEHICLE}").count() == 1
    photo.get_by_text("Datos").click()
    assert "exterior, 97%" in photo.locator("dl").inner_text()
    assert "tres cuartos delantero, 90%" in photo.locator("dl").inner_text()
    assert page.locator(".refused .code").all_inner_texts() == [
        "no es una imagen",
        "archivo dañado",
    ]
    # What stays English says so.
    told = page.get_by_text("no trustworthy cut-out").all()
    assert [one.evaluate("e => e.closest('[lang]').lang") for one in told] == ["en"] * 2
    page.get_by_role("link", name="Ampliar exterior 2").click()
    assert "2 de 5" in page.get_by_role("dialog", name="Foto ampliada").inner_text()


def test_a_spanish_browser_reads_in_spanish_what_is_missing(open_page: Open, lacking: str) -> None:
    page = open_page(lacking, reduced_motion="reduce", locale="es-DO")
    missing = page.locator(".retakes").get_by_role("heading").all_inner_texts()
    assert missing[-4:] == ["lado derecho", "tres cuartos trasero", "trasera", "interior"]
    assert page.locator("#photo-2 h3").inner_text() == "Lado izquierdo"
    ignored = page.locator(".ignored li").inner_text()
    assert "a.xmp, b.xmp y 7 más" in ignored
    assert "lo que cámaras y computadoras ponen junto a una foto" in ignored


def test_on_paper_there_are_pictures_and_no_controls(gallery: Callable[..., Page]) -> None:
    page = gallery()
    page.emulate_media(media="print")
    assert page.locator("#photo-1 .after").is_visible()
    for name in (".divide", ".quiet", ".files", ".status"):
        assert not page.locator(name).first.is_visible(), name


# --- fingers --------------------------------------------------------------------------------------


def touch(cdp: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def draw(cdp: CDPSession, start: tuple[float, float], way: tuple[float, float]) -> None:
    """One finger, from the start by this way."""
    touch(cdp, "touchStart", start)
    for part in range(1, 11):
        touch(cdp, "touchMove", (start[0] + way[0] * part / 10, start[1] + way[1] * part / 10))
    touch(cdp, "touchEnd")


def test_a_finger_moves_the_slider_where_the_browsers_own_needs_its_thumb(
    gallery: Callable[..., Page],
) -> None:
    """As on an iPhone: here the browser's own is kept from hearing the finger."""
    page = gallery(**PHONE)
    picture_of(page, 1)
    page.evaluate("""() => document.querySelector('.divide').addEventListener(
      'touchstart', (event) => event.preventDefault(), { passive: false })""")
    slider = page.get_by_role("slider", name="Before and after, exterior 1")
    box = slider.bounding_box()
    assert box is not None
    cdp = page.context.new_cdp_session(page)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    draw(cdp, middle, (box["width"] * 0.3, 5))
    until(page, "document.querySelector('.divide').value > 79")
    shown = page.locator("#photo-1 .picture").evaluate("p => p.style.getPropertyValue('--at')")
    assert float(shown.removesuffix("%")) == pytest.approx(80, abs=1)
    touch(cdp, "touchStart", (box["x"] + box["width"] * 0.1, middle[1]))
    touch(cdp, "touchEnd")
    until(page, "document.querySelector('.divide').value < 11")


def test_a_finger_that_scrolls_the_page_leaves_the_slider_alone(
    gallery: Callable[..., Page],
) -> None:
    page = gallery(**PHONE)
    picture_of(page, 1)
    slider = page.get_by_role("slider", name="Before and after, exterior 1")
    box = slider.bounding_box()
    assert box is not None
    before = page.evaluate("scrollY")
    cdp = page.context.new_cdp_session(page)
    draw(cdp, (box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2), (6, -150))
    until(page, f"scrollY > {before} + 50")
    assert float(slider.input_value()) == 50


def test_a_magnified_photo_is_moved_by_a_finger_and_else_swiped_away(
    gallery: Callable[..., Page],
) -> None:
    page = gallery(**PHONE)
    page.get_by_role("link", name="Enlarge exterior 1").click()
    box = page.get_by_role("dialog", name="Enlarged photo")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.synthesizePinchGesture", {"x": 180, "y": 370, "scaleFactor": 2.5})
    until(page, "visualViewport.scale > 2")
    across = page.evaluate("visualViewport.offsetLeft")
    draw(cdp, (250, 370), (-150, 0))
    until(page, f"visualViewport.offsetLeft > {across} + 30")
    assert "1 of 5" in box.inner_text()
    cdp.send("Emulation.setPageScaleFactor", {"pageScaleFactor": 1})
    until(page, "visualViewport.scale < 1.01")
    draw(cdp, (250, 370), (-150, 0))
    until(page, "document.querySelector('#lightbox p').textContent.includes('2 of 5')")


def test_a_photo_without_a_slider_is_enlarged_by_a_click_on_it(
    gallery: Callable[..., Page],
) -> None:
    page = gallery()
    picture_of(page, 5).click()
    assert "Interior 5 · 4 of 5" in page.get_by_role("dialog", name="Enlarged photo").inner_text()


def test_the_next_photo_is_fetched_while_one_looks(gallery: Callable[..., Page]) -> None:
    page = gallery()
    link = page.get_by_role("link", name="Enlarge exterior 1")
    link.scroll_into_view_if_needed()
    with page.expect_request("**/exterior_002_processed.jpg"):
        link.click()
    assert page.locator("#lightbox p").get_attribute("aria-live") == "polite"

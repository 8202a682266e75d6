"""What whoever embeds `<okla-spin>` sets and hears."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from okla_assets import keys
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.conftest import Open, Serve, until

SPIN = "document.querySelector('okla-spin')"
PAGE = """<!doctype html><html lang="en"><title>OKLA</title><link rel="icon" href="data:,">
<style>body { transform: scale(1) } okla-spin { width: 400px }</style><script>
  window.told = [];
  for (const name of ['play', 'zoom', 'drag', 'fullscreen', 'frame', 'ready', 'progress']) {
    addEventListener(`okla-spin-${name}`, ({ detail }) => told.push([name, detail]));
  }
</script><script src="/processed/VEHICLE/360-viewer/okla-spin.js"></script>
<okla-spin src="/processed/VEHICLE/360-viewer/spin.json" ATTRIBUTES></okla-spin>"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedding")
    made.write(made.listing(), folder)
    return folder


@pytest.fixture(scope="module")
def address(root: Path, serve: Serve) -> str:
    return serve(root)


class Embedding:
    """A page with the element, opened anew for each set of attributes."""

    def __init__(self, root: Path, address: str, open_page: Open) -> None:
        self.root, self.address, self.open_page = root, address, open_page

    def __call__(self, attributes: str = "", **options: Any) -> Page:
        (self.root / "processed" / "page.html").write_text(
            PAGE.replace("VEHICLE", VEHICLE).replace("ATTRIBUTES", attributes)
        )
        options = {"reduced_motion": "no-preference"} | options
        return self.open_page(f"{self.address}/processed/page.html", **options)


@pytest.fixture
def embedded(root: Path, address: str, open_page: Open) -> Embedding:
    return Embedding(root, address, open_page)


def told(page: Page, name: str) -> list[dict[str, Any]]:
    """The details of one event, so far."""
    return [detail for told, detail in page.evaluate("told") if told == name]


def ready(page: Page) -> None:
    until(page, "told.some(([name]) => name === 'ready')")


def test_nothing_is_loaded_before_a_click_where_that_is_asked_for(embedded: Embedding) -> None:
    page = embedded('load="click"')
    start = page.get_by_role("button", name="Load the 360° view")
    start.wait_for()
    assert told(page, "progress") == []
    start.click()
    ready(page)
    assert not start.is_visible()
    assert told(page, "progress")[-1]["loaded"] == made.FRAMES


def test_who_saves_data_is_asked_first(embedded: Embedding, open_page: Open) -> None:
    page = embedded()
    page.add_init_script(
        "Object.defineProperty(navigator, 'connection', { value: { saveData: true } })"
    )
    page.reload()
    page.get_by_role("button", name="Load the 360° view").wait_for()
    page.evaluate(f"{SPIN}.load()")
    ready(page)


def test_once_around_and_it_rests(embedded: Embedding) -> None:
    page = embedded('autoplay="once" speed="0.6" direction="reverse"')
    until(page, "told.filter(([name]) => name === 'play').length === 2")
    assert told(page, "play") == [
        {"playing": True, "by": "autoplay"},
        {"playing": False, "by": "autoplay"},
    ]
    turned = [detail["frame"] for detail in told(page, "frame") if detail["by"] == "autoplay"]
    assert turned[0] > made.FRAMES / 2  # the last ones first
    assert turned[-1] == 0


def test_what_a_person_does_is_told_from_autoplay(embedded: Embedding) -> None:
    page = embedded("autoplay")
    until(page, "told.some(([name, detail]) => name === 'frame' && detail.by === 'autoplay')")
    page.mouse.move(100, 100)
    page.mouse.down()
    page.mouse.move(200, 100, steps=4)
    page.wait_for_timeout(120)
    page.mouse.up()
    assert {detail["by"] for detail in told(page, "frame")} >= {"autoplay", "person"}
    (drag,) = told(page, "drag")
    assert drag["by"] == "person"
    assert drag["frames"] != 0
    page.get_by_role("button", name="Zoom in").click()
    assert told(page, "zoom") == [{"zoom": 1.5, "by": "person"}]


def test_an_iphone_gets_a_layer_over_the_page(embedded: Embedding) -> None:
    page = embedded()
    page.add_init_script("Object.defineProperty(document, 'fullscreenEnabled', { value: false })")
    page.reload()
    ready(page)
    page.get_by_role("button", name="Full screen").click()
    box = page.locator("okla-spin").bounding_box()
    # Also out of an ancestor that is transformed, within which a fixed box would stay.
    assert box == {"x": 0, "y": 0, "width": 900, "height": 700}
    page.get_by_role("slider").focus()
    page.keyboard.press("Escape")
    box = page.locator("okla-spin").bounding_box()
    assert box is not None
    assert box["width"] == 400
    assert [detail["on"] for detail in told(page, "fullscreen")] == [True, False]


def test_words_follow_the_page_and_the_attribute(embedded: Embedding) -> None:
    page = embedded('lang="es" words=\'{"hint": "Gire el carro"}\'')
    ready(page)
    assert page.get_by_role("slider", name=f"Vista de 360° de {VEHICLE}").is_visible()
    assert page.get_by_text("Gire el carro").is_visible()
    assert page.get_by_role("button", name="Pantalla completa").is_visible()


def test_pictures_that_did_not_come_are_asked_for_again(embedded: Embedding) -> None:
    page = embedded('load="click"', complaints=True)
    page.route("**/frame_00*.jpg", lambda route: route.abort())
    page.get_by_role("button", name="Load the 360° view").click()
    page.get_by_text("9 of 36 pictures could not be loaded.").wait_for()
    page.unroute("**/frame_00*.jpg")
    page.get_by_role("button", name="Try again").click()
    until(page, f"told.some(([name, of]) => name === 'ready' && of.frames === {made.FRAMES})")


def test_parts_can_be_styled_from_outside(embedded: Embedding) -> None:
    page = embedded()
    page.add_style_tag(content="okla-spin::part(bar) { background: rgb(1, 2, 3) }")
    bar = page.get_by_role("toolbar", name="View")
    assert bar.evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(1, 2, 3)"


def test_its_shape_is_the_pictures_unless_the_page_says_otherwise(embedded: Embedding) -> None:
    page = embedded()
    ready(page)
    height = f"{SPIN}.getBoundingClientRect().height"
    assert page.evaluate(height) == pytest.approx(400 * 3 / 4)
    page.add_style_tag(content="okla-spin { aspect-ratio: 2 }")
    assert page.evaluate(height) == pytest.approx(200)


MODULE = """<!doctype html><title>OKLA</title><link rel="icon" href="data:,">
<script type="module">import { OklaSpin, OklaPanorama } from "./viewer/okla-viewer.mjs";
  window.found = [OklaSpin?.name, OklaPanorama?.name];</script>"""


def test_the_folder_for_npm_is_a_module_as_it_is(root: Path, address: str, open_page: Open) -> None:
    import shutil
    from importlib.resources import files

    elements = Path(str(files("okla_assets.viewer").joinpath("elements")))
    shutil.copytree(elements, root / "processed" / "viewer", dirs_exist_ok=True)
    (root / "processed" / "module.html").write_text(MODULE)
    page = open_page(f"{address}/processed/module.html")
    until(page, "window.found")
    assert page.evaluate("found") == ["OklaSpin", "OklaPanorama"]


def test_a_small_picture_gives_way_to_a_larger_one_where_that_is_seen(
    tmp_path: Path, serve: Serve, open_page: Open
) -> None:
    """On a phone the large picture of a frame comes when the frame rests, and no other."""
    from tests.viewer.sized import sized_spin

    listing, pictures = sized_spin()
    made.write(listing, tmp_path)
    for key, data in pictures.items():
        (tmp_path / key).write_bytes(data)
    asked: list[str] = []
    page = open_page(
        f"{serve(tmp_path)}/{keys.spin_page(VEHICLE)}",
        viewport={"width": 390, "height": 700},
        device_scale_factor=3,
        reduced_motion="reduce",
    )
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    with page.expect_request("**/frame_012_*"):
        page.reload()
    with page.expect_request("**/frame_002_1280w_*"):
        page.get_by_role("slider").press("ArrowRight")
    page.wait_for_timeout(200)
    assert {name for name in asked if "1280w" in name} == {
        name for name in asked if name.startswith(("frame_001_1280w", "frame_002_1280w"))
    }
    assert [name for name in asked if name.endswith(".jpg")] == []  # as the browser knows WebP


# --- within the pages of others ------------------------------------------------------------------

OBSERVED = """window.observed = 0;
for (const name of ['ResizeObserver', 'IntersectionObserver']) {
  window[name] = class extends window[name] {
    observe(...one) { observed++; super.observe(...one); }
    disconnect() { observed--; super.disconnect(); }
  };
}"""


def test_of_one_that_is_taken_out_nothing_is_left_behind(embedded: Embedding) -> None:
    page = embedded()
    page.add_init_script(OBSERVED)
    page.reload()
    ready(page)
    at_first = page.evaluate("observed")
    page.evaluate(f"for (let i = 0; i < 3; i++) document.body.prepend({SPIN})")
    assert page.evaluate("observed") == at_first
    page.evaluate(f"{SPIN}.remove()")
    assert page.evaluate("observed") == 0


def test_one_that_is_taken_out_fetches_no_more(embedded: Embedding) -> None:
    page = embedded('load="click"')
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(f"""() => {{
      window.spin = {SPIN};
      addEventListener('okla-spin-progress', () => {{
        spin.remove();
        window.removed = performance.now();
      }}, {{ once: true }});
      spin.load();
    }}""")
    until(page, "!spin.isConnected")
    page.wait_for_timeout(500)
    begun = "performance.getEntriesByType('resource').map((one) => one.startTime)"
    assert page.evaluate(f"{begun}.filter((time) => time > removed)") == []
    assert len(asked) <= 6  # the four that were under way and what came meanwhile; before, 13
    page.evaluate("document.body.append(spin)")  # put in again, it goes on
    ready(page)


def test_properties_do_what_attributes_do_as_react_and_vue_set_them(
    root: Path, address: str, open_page: Open
) -> None:
    """They set a property where an element has one of the attribute's name."""
    page = Embedding(root, address, open_page)("hidden")
    page.evaluate("""() => {
      told.length = 0;
      const old = document.querySelector('okla-spin'), spin = document.createElement('okla-spin');
      for (const [name, value] of [['load', 'click'], ['frame', 7]]) {
        if (name in spin) spin[name] = value;
        else spin.setAttribute(name, value);
      }
      spin.setAttribute('src', old.getAttribute('src'));
      old.replaceWith(spin);
    }""")
    page.get_by_role("button", name="Load the 360° view").wait_for()
    until(page, f"{SPIN}.frame === 7")
    assert told(page, "progress") == []
    page.evaluate(f"{SPIN}.load()")
    ready(page)
    assert page.evaluate(f"{SPIN}.frame") == 7


@pytest.mark.parametrize("capturing", ["pointerdown", "pointermove"])
def test_a_carousel_that_takes_the_pointer_leaves_no_drag_behind(
    embedded: Embedding, capturing: str
) -> None:
    page = embedded()
    ready(page)
    page.evaluate(
        "(type) => document.body.addEventListener(type, (event) =>"
        " event.buttons && document.body.setPointerCapture(event.pointerId))",
        capturing,
    )
    page.mouse.move(100, 100)
    page.mouse.down()
    page.mouse.move(110, 100, steps=3)
    page.mouse.up()
    rest = page.evaluate(f"{SPIN}.frame")
    page.mouse.move(110, 120)
    page.mouse.move(300, 120, steps=5)
    assert page.evaluate(f"{SPIN}.frame") == rest


def test_inside_another_component_it_knows_that_it_fills_the_screen(embedded: Embedding) -> None:
    page = embedded()
    page.evaluate(f"""() => {{
      const host = document.body.appendChild(document.createElement('div'));
      host.attachShadow({{ mode: 'open' }}).append({SPIN});
    }}""")
    full = page.get_by_role("button", name="Full screen")
    for pressed in ("true", "false"):
        full.click()
        until(page, f"told.findLast(([name]) => name === 'fullscreen')?.[1].on === {pressed}")
        assert full.get_attribute("aria-pressed") == pressed


def test_what_the_observer_saw_last_counts(embedded: Embedding) -> None:
    """A busy page is told of several changes at once, the newest last."""
    page = embedded()
    page.add_init_script("""window.IntersectionObserver = class extends IntersectionObserver {
      constructor(heard, ...more) {
        super((entries, self) => heard([{ isIntersecting: false }, ...entries], self), ...more);
      }
    };""")
    page.reload()
    ready(page)


def test_what_a_person_does_while_it_plays_is_the_persons(embedded: Embedding) -> None:
    page = embedded("autoplay")
    until(page, f"{SPIN}.playing")
    page.get_by_role("button", name="Full screen").click()
    until(page, "told.some(([name]) => name === 'fullscreen')")
    page.get_by_role("button", name="Zoom in").click()
    assert told(page, "fullscreen") == [{"on": True, "by": "person"}]
    assert told(page, "zoom") == [{"zoom": 1.5, "by": "person"}]


def test_on_paper_there_is_the_vehicle_and_no_control(embedded: Embedding) -> None:
    page = embedded()
    ready(page)
    page.emulate_media(media="print")
    for part in ("bar", "hint", "track"):
        assert not page.locator(f"okla-spin [part={part}]").is_visible(), part
    assert page.locator("okla-spin canvas").is_visible()

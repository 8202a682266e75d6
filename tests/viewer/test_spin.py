"""`<okla-spin>` in a real browser: what a person does, and what is then on the screen."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import CDPSession, Locator, Page

from okla_assets import keys
from okla_assets.viewer import pages
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.conftest import Open, Serve, until

LAST = made.FRAMES - 1
STILL = {"reduced_motion": "reduce"}
PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
READY = "document.querySelector('okla-spin').shadowRoot.querySelector('.track').style.transform"
ZOOMED = "!!document.querySelector('okla-spin').shadowRoot.querySelector('.zoomed')"


def ready(page: Page) -> Page:
    """Waits until every frame is loaded or given up."""
    until(page, f"{READY} === 'scaleX(1)'")
    return page


@pytest.fixture
def spin(open_page: Open, site: str) -> Callable[..., Page]:
    """The spin's own page, loaded; without autoplay unless asked for."""

    def start(**options: object) -> Page:
        return ready(open_page(f"{site}/{keys.spin_page(VEHICLE)}", **STILL | options))

    return start


def frame(page: Page) -> int:
    return int(page.evaluate("document.querySelector('okla-spin').frame"))


def shown(page: Page) -> int:
    """The frame that is really on the screen, by its colour near the upper left corner."""
    with Image.open(BytesIO(page.locator("okla-spin").screenshot())) as picture:
        colour = picture.convert("RGB").getpixel((picture.width // 4, picture.height // 4))
    assert isinstance(colour, tuple)
    return made.frame_of(colour)


def is_shown(page: Page, wanted: int) -> None:
    """The element says so, and after a moment for decoding the screen does too."""
    assert frame(page) == wanted
    for _ in range(200):
        if shown(page) == wanted:
            return
        page.wait_for_timeout(50)
    assert shown(page) == wanted


def drag(page: Page, across: float) -> None:
    """Drags by a share of the viewer's width, and rests before letting go."""
    box = page.locator("okla-spin").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * (0.5 - across / 2), box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across * box["width"], y, steps=8)
    page.wait_for_timeout(120)
    page.mouse.up()


@pytest.mark.parametrize("by_http", [True, False], ids=["bucket", "folder"])
def test_all_frames_load_and_the_first_is_shown(
    open_page: Open, site: str, folder: Path, by_http: bool
) -> None:
    place = site if by_http else folder.as_uri()
    page = ready(open_page(f"{place}/{keys.spin_page(VEHICLE)}", **STILL))
    is_shown(page, 0)
    slider = page.get_by_role("slider", name=f"360° view of {VEHICLE}")
    assert slider.get_attribute("aria-valuetext") == "front left, 45°"
    assert slider.get_attribute("aria-valuemax") == str(made.FRAMES)


def test_a_coarse_turn_is_loaded_first(spin: Callable[..., Page], site: str) -> None:
    page = spin()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    page.reload()
    ready(page)
    frames = [int(name[6:9]) - 1 for name in asked if name.startswith("frame_")]
    assert frames[:5] == list(range(0, made.FRAMES, 8))
    assert sorted(frames[:9]) == list(range(0, made.FRAMES, 4))
    assert sorted(frames) == list(range(made.FRAMES))


@pytest.mark.parametrize(
    ("across", "wanted"),
    # Frames go on to the vehicle's left side: pulling its near side to the right goes back.
    [(0.5, 18), (-0.25, 9), (0.25, 27)],
)
def test_a_drag_turns(spin: Callable[..., Page], across: float, wanted: int) -> None:
    page = spin()
    drag(page, across)
    is_shown(page, wanted)


def test_keys_turn_zoom_and_play(spin: Callable[..., Page]) -> None:
    page = spin()
    slider = page.get_by_role("slider")
    slider.focus()
    for key, wanted in (
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
        ("ArrowDown", 0),
        ("ArrowLeft", LAST),
        ("Home", 0),
        ("End", LAST),
        ("Home", 0),
        ("PageUp", 5),
    ):
        page.keyboard.press(key)
        assert frame(page) == wanted, key
    is_shown(page, 5)
    assert slider.get_attribute("aria-valuetext") == "left side, 95°"
    page.keyboard.press("+")
    assert page.evaluate(ZOOMED)
    page.keyboard.press("Escape")
    assert not page.evaluate(ZOOMED)
    page.keyboard.press("Space")
    until(page, "document.querySelector('okla-spin').frame > 8")
    page.keyboard.press("Escape")
    rest = frame(page)
    page.wait_for_timeout(300)
    assert frame(page) == rest


def test_the_wheel_zooms_with_ctrl_and_scrolls_the_page_without(
    spin: Callable[..., Page],
) -> None:
    page = spin()
    page.evaluate("document.body.style.paddingBottom = '3000px'")
    page.mouse.move(450, 350)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    until(page, ZOOMED)
    assert page.evaluate("scrollY") == 0
    drag(page, 0.3)  # now moves the picture, and turns nothing
    assert frame(page) == 0
    page.mouse.wheel(0, 200)
    until(page, "scrollY > 0")
    page.get_by_role("button", name="Zoom out").click()
    until(page, f"!({ZOOMED})")


def turned_to_a_hotspot(page: Page) -> Locator:
    """The hotspot of the frame that is turned to."""
    page.evaluate("document.querySelector('okla-spin').frame = 3")
    dot = page.get_by_role("button", name="Detail 4")
    dot.wait_for()
    return dot


def test_zoom_keeps_the_place_under_the_pointer_and_a_drag_pans(
    spin: Callable[..., Page],
) -> None:
    page = spin()
    dot = turned_to_a_hotspot(page)
    at = middle(page, dot)
    page.mouse.move(*at)
    # From beside it, where all moves away from the pointer.
    page.mouse.move(at[0] + 60, at[1])
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    until(page, ZOOMED)
    now = middle(page, dot)
    assert now[1] == pytest.approx(at[1], abs=1.5)
    assert now[0] == pytest.approx(at[0] + 60 - 60 * 2.718281828**0.4, abs=1.5)
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(270, 320, steps=3)
    page.mouse.up()
    moved = middle(page, dot)
    assert moved == pytest.approx((now[0] - 30, now[1] + 20), abs=1.5)


def test_ctrl_and_the_wheel_zoom_over_a_hotspot_too(spin: Callable[..., Page]) -> None:
    page = spin()
    dot = turned_to_a_hotspot(page)
    at = middle(page, dot)
    page.mouse.move(*at)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    until(page, ZOOMED)
    assert middle(page, dot) == pytest.approx(at, abs=1.5)


def test_shift_and_arrows_move_what_is_zoomed_in(spin: Callable[..., Page]) -> None:
    page = spin()
    page.evaluate("document.querySelector('okla-spin').frame = 3")
    dot = page.get_by_role("button", name="Detail 4")
    dot.wait_for()
    page.get_by_role("slider").focus()
    page.keyboard.press("+")
    before = middle(page, dot)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    after = middle(page, dot)
    assert before[0] - after[0] > 50
    assert before[1] - after[1] > 50
    assert frame(page) == 3
    page.keyboard.press("ArrowRight")
    assert frame(page) == 4


def middle(page: Page, locator: object) -> tuple[float, float]:
    box = locator.bounding_box()  # type: ignore[attr-defined]
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_autoplay_turns_until_a_hand_is_laid_on(spin: Callable[..., Page]) -> None:
    page = spin(reduced_motion="no-preference")
    until(page, "document.querySelector('okla-spin').frame > 2")
    assert page.evaluate("document.querySelector('okla-spin').playing")
    page.mouse.move(450, 350)
    page.mouse.down()
    rest = frame(page)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert frame(page) == rest
    assert not page.evaluate("document.querySelector('okla-spin').playing")


def test_who_prefers_stillness_gets_no_autoplay(spin: Callable[..., Page]) -> None:
    page = spin()
    page.wait_for_timeout(300)
    assert frame(page) == 0
    page.get_by_role("button", name="Turn by itself").click()  # asked for by hand it is fine
    until(page, "document.querySelector('okla-spin').frame > 0")


def test_a_turn_stops_when_stillness_comes_to_be_preferred(spin: Callable[..., Page]) -> None:
    page = spin(reduced_motion="no-preference")
    until(page, "document.querySelector('okla-spin').frame > 0")
    page.emulate_media(reduced_motion="reduce")
    until(page, "!document.querySelector('okla-spin').playing")


def test_a_hotspot_is_a_button_on_its_frame_and_opens_the_close_up(
    spin: Callable[..., Page],
) -> None:
    page = spin()
    dot = page.get_by_role("button", name="Detail 4")
    assert not dot.is_visible()
    page.get_by_role("slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    dot.wait_for()
    box = page.locator("okla-spin").bounding_box()
    assert box is not None
    x, y = middle(page, dot)
    assert ((x - box["x"]) / box["width"], (y - box["y"]) / box["height"]) == pytest.approx(
        (0.7, 0.6), abs=0.01
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    card = page.get_by_role("dialog", name="Detail 4")
    card.wait_for()
    picture = card.get_by_role("img", name="Detail 4")
    assert str(picture.evaluate("i => i.src")).endswith("/misc_004_processed.jpg")
    until(
        page,
        "document.querySelector('okla-spin').shadowRoot.querySelector('.card img').naturalWidth",
    )
    page.keyboard.press("Escape")
    assert not card.is_visible()
    assert dot.evaluate("d => d.getRootNode().activeElement === d")
    page.keyboard.press("ArrowRight")
    dot.wait_for(state="hidden")


def test_escape_ends_a_zoom_and_else_closes_the_dialog_around_it(
    spin: Callable[..., Page],
) -> None:
    page = spin()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    page.evaluate("""() => {
      const dialog = document.body.appendChild(document.createElement('dialog'));
      dialog.style.width = '600px';
      dialog.append(document.querySelector('okla-spin'));
      dialog.showModal();
    }""")
    is_shown(page, 1)  # moved on the page, it stands where it stood
    page.get_by_role("slider").focus()
    page.keyboard.press("+")
    assert page.evaluate(ZOOMED)
    page.keyboard.press("Escape")
    assert not page.evaluate(ZOOMED)
    assert page.evaluate("document.querySelector('dialog').open")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog').open")


def test_it_may_be_played_while_it_is_not_laid_out(spin: Callable[..., Page]) -> None:
    page = spin()
    page.evaluate("document.querySelector('okla-spin').hidden = true")
    until(page, "!document.querySelector('okla-spin').clientWidth")
    page.wait_for_timeout(100)
    page.evaluate("document.querySelector('okla-spin').play()")
    page.evaluate("document.querySelector('okla-spin').pause()")
    page.evaluate("document.querySelector('okla-spin').hidden = false")
    page.wait_for_timeout(100)
    is_shown(page, frame(page))


def test_another_language_is_spoken_everywhere(spin: Callable[..., Page]) -> None:
    page = spin()
    page.get_by_role("slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Detail 4").wait_for()
    page.evaluate("document.querySelector('okla-spin').lang = 'es'")
    page.get_by_role("button", name="Detalle 4").wait_for()
    slider = page.get_by_role("slider", name=f"Vista de 360° de {VEHICLE}")
    assert slider.get_attribute("aria-valuetext") == "lado izquierdo, 75°"


# --- elsewhere ------------------------------------------------------------------------------------

EMBEDDING = """<!doctype html><title>OKLA</title><link rel="icon" href="data:,">
<style>* { letter-spacing: 9px; box-sizing: content-box } button { display: none !important }
  div { position: static !important; border: 9px solid red } img, canvas { max-width: 10px }
  .bar { color: red } okla-spin { width: 500px }</style>
<script src="/processed/VEHICLE/360-viewer/okla-spin.js"></script>
<okla-spin src="/processed/VEHICLE/360-viewer/spin.json" frame="7"></okla-spin>
<p class="stage bar">theirs</p>"""


@pytest.fixture
def elsewhere(tmp_path: Path, serve: Serve) -> tuple[Path, str]:
    """A copy of the vehicle that a test may change, and the address it is served at."""
    made.write(made.listing(), tmp_path)
    (tmp_path / "processed" / "cars.html").write_text(EMBEDDING.replace("VEHICLE", VEHICLE))
    return tmp_path, serve(tmp_path)


def test_one_script_tag_and_the_json_embed_it_and_no_style_leaks(
    open_page: Open, elsewhere: tuple[Path, str]
) -> None:
    page = ready(open_page(f"{elsewhere[1]}/processed/cars.html"))
    is_shown(page, 7)
    assert page.get_by_role("button", name="Zoom in").is_visible()
    bounds = page.locator("okla-spin").bounding_box()
    assert bounds is not None
    assert (bounds["width"], bounds["height"]) == (500, 375)
    assert page.locator("body > p").evaluate("p => getComputedStyle(p).color") == "rgb(255, 0, 0)"
    assert page.locator("body > p").evaluate("p => getComputedStyle(p).position") == "static"


def test_attributes_and_events_are_an_interface(
    open_page: Open, elsewhere: tuple[Path, str]
) -> None:
    page = ready(open_page(f"{elsewhere[1]}/processed/cars.html"))
    page.evaluate("""() => {
      window.told = [];
      addEventListener('okla-spin-frame', (event) => told.push(event.detail));
    }""")
    page.evaluate("document.querySelector('okla-spin').setAttribute('frame', '9')")
    assert page.evaluate("told") == [
        {"frame": 9, "azimuth": 135, "view": "rear left", "by": "script"}
    ]
    page.evaluate("document.querySelector('okla-spin').setAttribute('autoplay', '')")
    until(page, "document.querySelector('okla-spin').playing")
    page.evaluate("document.querySelector('okla-spin').removeAttribute('autoplay')")
    assert not page.evaluate("document.querySelector('okla-spin').playing")
    # Taken out and put in elsewhere, it works on.
    page.evaluate("document.body.prepend(document.querySelector('okla-spin'))")
    ready(page)
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    is_shown(page, LAST)


def test_a_missing_picture_is_told_and_the_others_are_shown(
    open_page: Open, elsewhere: tuple[Path, str]
) -> None:
    root, address = elsewhere
    (root / keys.spin_frame(VEHICLE, 5)).unlink()
    (root / keys.spin_frame(VEHICLE, 8)).write_bytes(b"no picture")
    page = ready(open_page(f"{address}/processed/cars.html", complaints=True))
    assert page.get_by_role("status").inner_text() == "2 of 36 pictures could not be loaded."
    page.evaluate("document.querySelector('okla-spin').frame = 10")
    is_shown(page, 10)
    page.evaluate("document.querySelector('okla-spin').frame = 4")
    page.wait_for_timeout(200)
    assert shown(page) in (3, 5)  # its neighbour


@pytest.mark.parametrize("content", [None, "{", '{"frames": null}', '{"frames": []}'])
def test_a_spin_json_that_cannot_be_used_is_told(
    open_page: Open, elsewhere: tuple[Path, str], content: str | None
) -> None:
    root, address = elsewhere
    path = root / keys.spin_data(VEHICLE)
    path.unlink()
    if content is not None:
        path.write_text(content)
    page = open_page(f"{address}/processed/cars.html", complaints=True)
    page.get_by_text("The 360° view could not be loaded.").wait_for()


def test_of_the_vehicle_before_nothing_stays_where_the_next_one_does_not_come(
    open_page: Open, elsewhere: tuple[Path, str]
) -> None:
    page = ready(open_page(f"{elsewhere[1]}/processed/cars.html", complaints=True))
    page.get_by_role("slider").focus()
    page.keyboard.press("+")
    assert page.evaluate(ZOOMED)
    page.evaluate(
        """() => {
      const spin = document.querySelector('okla-spin');
      spin.setAttribute('poster', '/processed/VEHICLE/exterior_001_processed.jpg');
      spin.setAttribute('src', 'none.json');
    }""".replace("VEHICLE", VEHICLE)
    )
    page.get_by_text("The 360° view could not be loaded.").wait_for()
    assert not page.evaluate(ZOOMED)
    slider = page.get_by_role("slider")
    for name in ("aria-label", "aria-valuetext"):
        assert slider.get_attribute(name) is None
    inner = "document.querySelector('okla-spin').shadowRoot"
    assert page.evaluate(
        f"(() => {{ const c = {inner}.querySelector('canvas'); return c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.every((v) => !v); })()"
    )
    assert page.evaluate(f"{inner}.querySelector('.poster').checkVisibility()")
    page.get_by_role("button", name="Try again").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(f"{inner}.activeElement.className") == "stage"


def test_photos_the_other_way_round_turn_the_other_way(
    open_page: Open, elsewhere: tuple[Path, str]
) -> None:
    root, address = elsewhere
    data = json.loads(pages.spin_json(made.listing()))
    data["azimuths"] = data["azimuths"][::-1]
    (root / keys.spin_data(VEHICLE)).write_text(json.dumps(data))
    page = ready(open_page(f"{address}/processed/cars.html"))
    drag(page, 0.25)
    is_shown(page, 7 + 9)


# --- screens and fingers --------------------------------------------------------------------------


@pytest.mark.parametrize("density", [1, 2])
def test_the_picture_has_the_screens_pixels_at_any_size(
    spin: Callable[..., Page], density: int
) -> None:
    page = spin(device_scale_factor=density)
    for width in (900, 480):
        page.set_viewport_size({"width": width, "height": 900})
        until(page, f"document.querySelector('okla-spin').clientWidth === {width}")
        page.wait_for_timeout(100)
        canvas = page.locator("okla-spin canvas")
        assert canvas.evaluate("c => [c.width, c.height]") == [
            width * density,
            width * density * 3 / 4,
        ]


def test_fullscreen_is_entered_and_left(spin: Callable[..., Page]) -> None:
    page = spin()
    page.get_by_role("button", name="Full screen").click()
    until(page, "document.fullscreenElement?.localName === 'okla-spin'")
    page.get_by_role("button", name="Full screen").click()
    until(page, "document.fullscreenElement === null")


@pytest.fixture
def phone(spin: Callable[..., Page]) -> tuple[Page, CDPSession]:
    page = spin(**PHONE)
    page.evaluate("document.body.style.paddingBottom = '3000px'")
    return page, page.context.new_cdp_session(page)


def touch(cdp: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    cdp.send(
        "Input.dispatchTouchEvent",
        {
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)],
        },
    )


def test_a_finger_turns_sideways_and_scrolls_the_page_up_and_down(
    phone: tuple[Page, CDPSession],
) -> None:
    page, cdp = phone
    x, y = middle(page, page.locator("okla-spin"))
    touch(cdp, "touchStart", (x, y))
    for way in range(10, 110, 10):
        touch(cdp, "touchMove", (x - way, y))
    touch(cdp, "touchEnd")
    turned = frame(page)
    assert turned == pytest.approx(9, abs=2)  # a quarter of the width
    assert page.evaluate("scrollY") == 0
    touch(cdp, "touchStart", (x, y))
    for way in range(10, 160, 10):
        touch(cdp, "touchMove", (x, y - way))
    touch(cdp, "touchEnd")
    assert page.evaluate("scrollY") > 100
    assert frame(page) == turned


def flick(page: Page, cdp: CDPSession) -> tuple[int, list[int]]:
    """Flicks a quarter of the width by touch; the frame then, and those until it rests."""
    x, y = middle(page, page.locator("okla-spin"))
    page.evaluate("""() => {
      const spin = document.querySelector('okla-spin');
      addEventListener('pointerup', () => { window.released = spin.frame; });
    }""")
    gesture = {"x": x, "y": y, "xDistance": -100, "gestureSourceType": "touch", "speed": 1500}
    cdp.send("Input.synthesizeScrollGesture", gesture | {"preventFling": False})
    seen = [frame(page)]
    while len(seen) < 10 or len(set(seen[-8:])) > 1:
        assert len(seen) < 200
        page.wait_for_timeout(40)
        seen.append(frame(page))
    return int(page.evaluate("released")), seen


def test_a_flick_goes_on_turning_and_comes_to_rest(spin: Callable[..., Page]) -> None:
    page = spin(**PHONE | {"reduced_motion": "no-preference"})
    page.get_by_role("button", name="Stop turning").click()
    page.evaluate("document.querySelector('okla-spin').frame = 0")
    released, seen = flick(page, page.context.new_cdp_session(page))
    assert seen[-1] > released + 2
    is_shown(page, seen[-1])


def test_who_prefers_stillness_gets_no_inertia(phone: tuple[Page, CDPSession]) -> None:
    released, seen = flick(*phone)
    assert set(seen) == {released}


def test_two_fingers_zoom(phone: tuple[Page, CDPSession]) -> None:
    page, cdp = phone
    x, y = middle(page, page.locator("okla-spin"))
    touch(cdp, "touchStart", (x - 30, y), (x + 30, y))
    for way in range(35, 75, 5):
        touch(cdp, "touchMove", (x - way, y), (x + way, y))
    touch(cdp, "touchEnd")
    assert page.evaluate(ZOOMED)
    assert frame(page) == 0
    assert page.evaluate("visualViewport.scale") == 1

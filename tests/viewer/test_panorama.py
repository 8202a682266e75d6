"""`<okla-panorama>` in a real browser: what is seen where one looks."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route

from okla_assets.imaging.photo import codec
from tests import spheres
from tests.viewer.conftest import Open, until

ELEMENT = "document.querySelector('okla-panorama')"
SHOWN = f"{ELEMENT}.shadowRoot.querySelector('slot').hidden"


@pytest.fixture
def look(open_page: Open, sphere_site: str) -> Callable[..., Page]:
    """The gallery, scrolled to its panorama, which is there."""

    def start(**options: object) -> Page:
        page = open_page(sphere_site, **{"reduced_motion": "reduce"} | options)
        page.locator("okla-panorama").scroll_into_view_if_needed()
        until(page, SHOWN)
        return page

    return start


def wall(page: Page) -> int:
    """The wall in the middle of the panorama: 0 ahead, 1 right, 2 behind, 3 left; -1: none."""
    with Image.open(BytesIO(page.locator("okla-panorama").screenshot())) as picture:
        seen = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(seen, tuple)
    level = max(seen)
    for number, colour in enumerate(spheres.COLOURS):
        if all(abs(s / level - c / max(colour)) < 0.12 for s, c in zip(seen, colour, strict=True)):
            return number
    return -1


def test_a_drag_looks_around_and_the_picture_closes_behind(look: Callable[..., Page]) -> None:
    page = look()
    assert wall(page) == 0
    page.evaluate(f"{ELEMENT}.yaw = 90")
    assert wall(page) == 1
    page.evaluate(f"{ELEMENT}.yaw = 180")  # on the seam
    assert wall(page) == 2
    box = page.locator("okla-panorama").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 200, y)
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=5)
    page.wait_for_timeout(120)
    page.mouse.up()
    yaw = page.evaluate(f"{ELEMENT}.yaw")
    # What was under the pointer goes along with it.
    assert yaw == pytest.approx(180 - 400 * 80 / min(box["width"], box["height"]), abs=2)


def test_keys_turn_tilt_and_zoom(look: Callable[..., Page]) -> None:
    page = look()
    page.get_by_role("application", name="360° view inside").focus()
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"{ELEMENT}.yaw") == -90
    assert wall(page) == 3
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    assert page.evaluate(f"[{ELEMENT}.pitch, {ELEMENT}.fov]") == [8, 64]
    for _ in range(12):
        page.keyboard.press("ArrowUp")
    assert page.evaluate(f"{ELEMENT}.pitch") == 85  # no further than nearly straight up
    page.keyboard.press("Home")
    assert page.evaluate(f"[{ELEMENT}.yaw, {ELEMENT}.pitch]") == [0, 0]


def test_the_smallest_picture_comes_first_and_none_before_it_can_be_seen(
    open_page: Open, sphere_site: str
) -> None:
    page = open_page(sphere_site, viewport={"width": 390, "height": 600}, device_scale_factor=3)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    page.wait_for_timeout(300)
    assert [name for name in asked if "interior_006_2" in name] == []
    with page.expect_request("**/interior_006_2048w_*"):
        page.locator("okla-panorama").scroll_into_view_if_needed()
    until(page, SHOWN)
    widths = [int(name.split("_")[2].rstrip("w")) for name in asked if "interior_006_2" in name]
    assert widths == [2016, 2048]


def test_a_phone_that_turns_looks_around(look: Callable[..., Page]) -> None:
    page = look(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Follow the phone").click()
    page.get_by_role("button", name="Follow the phone", pressed=True).wait_for()

    def turned(alpha: int, beta: int) -> list[float]:
        page.evaluate(
            "([alpha, beta]) => dispatchEvent(new DeviceOrientationEvent('deviceorientation',"
            " { alpha, beta, gamma: 0 }))",
            [alpha, beta],
        )
        yaw, pitch = page.evaluate(f"[{ELEMENT}.yaw, {ELEMENT}.pitch]")
        return [round(yaw), round(pitch)]

    assert turned(0, 90) == [0, 0]  # upright, as it was when it began
    assert turned(270, 90) == [90, 0]  # counter-clockwise angles: to the right
    assert turned(270, 110) == [90, 20]  # leaning back
    page.get_by_role("button", name="Follow the phone").click()
    page.get_by_role("button", name="Follow the phone", pressed=False).wait_for()
    assert turned(0, 90) == [90, 20]


def test_a_picture_that_does_not_come_is_said_and_asked_for_again(
    open_page: Open, sphere_site: str
) -> None:
    page = open_page(sphere_site, complaints=True)
    page.route("**/interior_006_*", lambda route: route.abort())
    page.locator("okla-panorama").scroll_into_view_if_needed()
    page.get_by_text("The 360° view could not be loaded.").wait_for()
    page.unroute("**/interior_006_*")
    page.get_by_role("button", name="Try again").click()
    until(page, SHOWN)
    assert wall(page) == 0


def plain(number: int) -> bytes:
    """A panorama of one wall's colour."""
    return codec.encode_jpeg(np.full((64, 128, 3), spheres.COLOURS[number], np.uint8))


def test_the_last_picture_wins_however_slow_the_one_before_is(look: Callable[..., Page]) -> None:
    page = look()
    slow: list[Route] = []
    asked: list[str] = []
    page.route("**/slow.jpg", lambda route: slow.append(route))
    page.route("**/fast*.jpg", lambda route: route.fulfill(body=plain(1)))
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    page.evaluate(f"{ELEMENT}.setAttribute('srcset', 'slow.jpg 128w')")
    while not slow:
        page.wait_for_timeout(20)
    # A car's two attributes: no picture of the car before is asked for in between.
    page.evaluate(
        f"{ELEMENT}.setAttribute('src', 'fast-whole.jpg');"
        f"{ELEMENT}.setAttribute('label', 'another $& car');"
        f"{ELEMENT}.setAttribute('srcset', 'fast.jpg 128w')"
    )
    until(page, SHOWN)
    slow[0].fulfill(body=plain(2))
    page.wait_for_timeout(300)
    assert wall(page) == 1
    since = asked[asked.index("slow.jpg") :]
    pictures = ("slow", "fast", "interior_006_")
    assert [name for name in since if name.startswith(pictures)] == ["slow.jpg", "fast.jpg"]
    page.get_by_role("application", name="360° view inside another $& car:").wait_for()


def test_escape_closes_the_dialog_around_it(look: Callable[..., Page]) -> None:
    page = look()
    page.evaluate("""() => {
      const dialog = document.body.appendChild(document.createElement('dialog'));
      dialog.append(document.querySelector('okla-panorama'));
      dialog.showModal();
    }""")
    page.get_by_role("application").focus()
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog:last-of-type').open")


def test_no_other_try_is_offered_where_none_can_help(open_page: Open, sphere_site: str) -> None:
    page = open_page(sphere_site)
    page.evaluate("""() => {
      const { prototype } = HTMLCanvasElement, { getContext } = prototype;
      prototype.getContext = function (kind, ...more) {
        return kind === "webgl" ? null : getContext.call(this, kind, ...more);
      };
    }""")
    page.locator("okla-panorama").scroll_into_view_if_needed()
    page.get_by_text("This browser cannot show 360° views.").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0


def test_of_one_that_is_taken_out_nothing_is_left_behind(look: Callable[..., Page]) -> None:
    from tests.viewer.test_embedding import OBSERVED

    page = look()
    page.add_init_script(OBSERVED)
    page.reload()
    page.evaluate(f"document.body.replaceChildren({ELEMENT})")
    at_first = page.evaluate("observed")
    page.evaluate(f"for (let i = 0; i < 3; i++) document.body.append({ELEMENT})")
    assert page.evaluate("observed") == at_first
    page.evaluate(f"window.alone = {ELEMENT}; alone.remove()")
    assert page.evaluate("observed") == at_first - 2


def test_a_carousel_that_takes_the_pointer_leaves_no_drag_behind(look: Callable[..., Page]) -> None:
    page = look()
    page.evaluate(
        "document.body.addEventListener('pointerdown', (event) =>"
        " document.body.setPointerCapture(event.pointerId))"
    )
    box = page.locator("okla-panorama").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(x + 10, y)
    page.mouse.move(x + 200, y, steps=5)
    assert page.evaluate(f"{ELEMENT}.yaw") == 0


def test_on_paper_there_are_no_controls(look: Callable[..., Page]) -> None:
    page = look()
    page.emulate_media(media="print")
    assert not page.locator("okla-panorama [part=bar]").is_visible()

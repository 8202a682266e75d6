"""What a buyer waits for on slow 3G: 400 kbit/s, and 400 ms for each answer."""

import pytest
from playwright.sync_api import Browser, Page

from okla_assets import keys
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.conftest import Serve
from tests.viewer.sized import sized_spin

SLOW = {
    "offline": False,
    "latency": 400,
    "downloadThroughput": 400_000 / 8,
    "uploadThroughput": 400_000 / 8,
}
FIRST_PICTURE, TURNS = 2.0, 25.0
"""Seconds."""
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "has_touch": True,
    "is_mobile": True,
}
WATCH = """
  new PerformanceObserver((list) => {
    for (const { name, responseEnd } of list.getEntries()) {
      if (name.includes('/frame_001_640w_')) window.first ??= responseEnd;
    }
  }).observe({ type: 'resource', buffered: true });
  addEventListener('okla-spin-play', (event) => { window.began ??= performance.now(); });
  addEventListener('okla-spin-ready', () => { window.turns = performance.now(); });
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """A vehicle whose spin has 36 pictures of a real one's bytes."""
    folder = tmp_path_factory.mktemp("slow")
    listing, pictures = sized_spin()
    made.write(listing, folder)
    for key, data in pictures.items():
        (folder / key).write_bytes(data)
    return serve(folder)


def test_a_buyer_on_slow_3g_sees_the_car_at_once_and_turns_it_soon(
    browser: Browser, site: str
) -> None:
    """Gallery and viewer, on a desktop and a phone, light and dark, each on a line of its own."""
    pages: dict[str, Page] = {}
    for name, key, device, scheme in (
        ("gallery on a desktop", keys.gallery, DESKTOP, "light"),
        ("gallery on a phone", keys.gallery, PHONE, "dark"),
        ("viewer on a desktop", keys.spin_page, DESKTOP, "dark"),
        ("viewer on a phone", keys.spin_page, PHONE, "light"),
    ):
        context = browser.new_context(**device, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.add_init_script(WATCH)
        line = context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", SLOW)
        page.goto(f"{site}/{key(VEHICLE)}", wait_until="commit")
        pages[name] = page
    took = {}
    for name, page in pages.items():
        for _ in range(300):
            first, began, turns = page.evaluate("[window.first, window.began, window.turns]")
            if first and turns:
                break
            page.wait_for_timeout(100)
        took[name] = (first, began, turns)
        page.context.close()
    print(took)
    assert [name for name, (first, _, _) in took.items() if not first > 0] == []
    assert {name: first for name, (first, *_) in took.items() if first > FIRST_PICTURE * 1e3} == {}
    assert {name: turns for name, (*_, turns) in took.items() if turns > TURNS * 1e3} == {}
    # The viewer plays by itself, and does not wait for all of the pictures.
    played = {name: times for name, times in took.items() if "viewer" in name}
    assert {name: t for name, t in played.items() if not t[1] or t[1] > t[2] * 0.7} == {}

"""What a buyer waits for on slow 3G: 400 kbit/s, and 400 ms for each answer.

The server is the slow line: it sends bytes as they come on one. The browser's own emulation hands a
whole page over at its end, so that nothing in it could be asked for before.
"""

import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from okla_assets import keys
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.sized import sized_spin

LATENCY, RATE = 0.4, 400_000 / 8
SEGMENT = 1460
"""Bytes that a TCP segment holds."""
FIRST_PICTURE, TURNS = 2.5, 25.0
"""Seconds. The first picture takes 1.2 to 1.5; on a busy machine, where the browser asks for the
script first now and then, 2.0 to 2.1."""
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


class SlowLine(ThreadingHTTPServer):
    """A server whose answers share one line."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Answer, directory=str(folder)))
        self.free, self.lock = 0.0, Lock()

    def wait(self, size: int) -> None:
        """Until the line has carried so many bytes more."""
        with self.lock:
            self.free = max(self.free, time.monotonic()) + size / RATE
            until = self.free
        time.sleep(max(0.0, until - time.monotonic()))


class _Answer(SimpleHTTPRequestHandler):
    server: SlowLine

    def do_GET(self) -> None:
        time.sleep(LATENCY)
        super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        while part := source.read(SEGMENT):
            self.server.wait(len(part))
            outputfile.write(part)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[list[SlowLine]]:
    """Four lines to a vehicle whose spin has 36 pictures of a real one's bytes."""
    listing, pictures = sized_spin()
    made.write(listing, tmp_path)
    for key, data in pictures.items():
        (tmp_path / key).write_bytes(data)
    servers = [SlowLine(tmp_path) for _ in range(4)]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def measured(browser: Browser, lines: list[SlowLine]) -> dict[str, list[float]]:
    """Seconds to the first picture, to the first turning and to all pictures, a page each.

    Gallery and viewer, on a desktop and a phone, light and dark, each on a line of its own.
    """
    pages: dict[str, Page] = {}
    for line, (name, key, device, scheme) in zip(
        lines,
        (
            ("gallery on a desktop", keys.gallery, DESKTOP, "light"),
            ("gallery on a phone", keys.gallery, PHONE, "dark"),
            ("viewer on a desktop", keys.spin_page, DESKTOP, "dark"),
            ("viewer on a phone", keys.spin_page, PHONE, "light"),
        ),
        strict=True,
    ):
        context = browser.new_context(**device, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(f"http://127.0.0.1:{line.server_port}/{key(VEHICLE)}", wait_until="commit")
        pages[name] = page
    took = {}
    for name, page in pages.items():
        for _ in range(300):
            first, began, turns = page.evaluate("[window.first, window.began, window.turns]")
            if first and turns:
                break
            page.wait_for_timeout(100)
        took[name] = [(seconds or 1e9) / 1000 for seconds in (first, began, turns)]
        page.context.close()
    return took


def faults(took: dict[str, list[float]]) -> dict[str, list[float]]:
    """What took too long; the viewer plays by itself, and does not wait for all pictures."""
    return {
        name: times
        for name, times in took.items()
        if times[0] > FIRST_PICTURE
        or times[2] > TURNS
        or ("viewer" in name and times[1] > 0.7 * times[2])
    }


@pytest.mark.slow
def test_a_buyer_on_slow_3g_sees_the_car_at_once_and_turns_it_soon(
    browser: Browser, lines: list[SlowLine]
) -> None:
    """The best of three: a machine that is busy with other tests is slow itself."""
    tries = []
    for _ in range(3):
        tries.append(measured(browser, lines))
        if not faults(tries[-1]):
            return
    raise AssertionError([faults(took) for took in tries])

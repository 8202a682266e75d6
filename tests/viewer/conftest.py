"""One real browser for the tests of the pages, and two ways to reach them: a folder, a server."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from okla_assets import keys
from okla_assets.imaging.photo import codec
from okla_assets.steps.panoramas import still_of
from okla_assets.steps.web_pictures import sizes_of_photo
from tests import spheres
from tests.fakes import VEHICLE
from tests.viewer import made

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Nothing to be asked of the network, and no sandbox: in a container the tests run as root."""


def browser_program() -> str | None:
    """Chromium or Chrome, where there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


# Not for the whole session: while Playwright runs, nothing else in the process can use asyncio.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium, or Chrome."""
    found = browser_program()
    if found is None:
        pytest.skip(f"needs a browser; looked for {', '.join(BROWSERS)} on PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(ALONE))
        yield started
        started.close()


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media folder with one whole vehicle; not to be changed."""
    path = tmp_path_factory.mktemp("media")
    made.write(made.listing(), path)
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):  # of a browser that leaves early
            super().handle()

    def log_message(self, format: str, *args: Any) -> None: ...


Serve = Callable[[Path], str]


@pytest.fixture(scope="package")
def serve() -> Iterator[Serve]:
    """Serves a folder as a bucket would; returns its address."""
    servers: list[tuple[ThreadingHTTPServer, Thread]] = []

    def start(path: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(path)))
        thread = Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="package")
def site(folder: Path, serve: Serve) -> str:
    """The whole vehicle's folder by HTTP."""
    return serve(folder)


@pytest.fixture(scope="package")
def sphere_site(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The gallery of a vehicle whose sixth photo is a drawn panorama."""
    folder = tmp_path_factory.mktemp("sphere")
    cabin = spheres.cabin(2048)
    sizes, files = sizes_of_photo(VEHICLE, "interior", 6, cabin, "equirectangular")
    sphere = made.photo(6, "interior", projection="equirectangular", sizes=sizes)
    listing = made.listing(photos=(*made.listing().photos, sphere))
    made.write(listing, folder)
    whole = {
        keys.processed_photo(VEHICLE, "interior", 6, "jpg"): codec.encode_jpeg(cabin),
        keys.thumbnail(VEHICLE, "interior", 6): codec.encode_jpeg(still_of(cabin)),
    }
    for key, data in {**files, **whole}.items():
        path = Path(folder, str(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return f"{serve(folder)}/{keys.gallery(VEHICLE)}"


Open = Callable[..., Page]


def until(page: Page, expression: str, seconds: float = 30) -> None:
    """Waits until a JavaScript expression is true.

    Playwright's own way evaluates text inside the page, which the pages' policy forbids.
    """
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"!!({expression})"):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(20)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address in a fresh context, with its options.

    At the end nothing may have been written to the console, unless `complaints=True`, and nothing
    asked of any other place than that of the page.
    """
    contexts: list[BrowserContext] = []
    said: list[str] = []
    asked: list[tuple[str, str]] = []

    def start(address: str, complaints: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 900, "height": 700}} | options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        if not complaints:
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
        home = address.split("/processed/")[0]
        page.on("request", lambda request: asked.append((home, request.url)))
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    # A screenshot of WebGL makes a software renderer complain of its own speed.
    assert [words for words in said if "GL Driver Message" not in words] == []
    assert [url for home, url in asked if not url.startswith((home, "data:"))] == []

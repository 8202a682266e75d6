"""axe-core, the accessibility rules of Deque, on what a buyer sees; it comes from npm."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from okla_assets import keys
from tests.fakes import VEHICLE
from tests.viewer.conftest import Open, until
from tests.viewer.test_panorama import SHOWN

AXE = "axe-core@4.10.3"
SEVERE = """axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script, fetched by npm's own client, which keeps what it fetched."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", AXE, "--silent", "--prefer-offline"]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if packed.returncode:
        pytest.skip(f"npm could not fetch {AXE}: {packed.stderr.strip()[:200]}")
    with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(
    open_page: Open,
    sphere_site: str,
    axe: str,
    scheme: str,
    width: int,
) -> None:
    """Gallery and panorama on one page, in the language of either; and the viewer alone."""
    gallery = sphere_site
    viewer = gallery.replace(keys.gallery(VEHICLE), keys.spin_page(VEHICLE))
    language = "es-DO" if width == 390 else "en-US"
    for address in (gallery, viewer):
        page = open_page(
            address,
            color_scheme=scheme,
            reduced_motion="reduce",
            locale=language,
            viewport={"width": width, "height": 844},
        )
        if address == gallery:
            page.locator("okla-panorama").scroll_into_view_if_needed()
            until(page, SHOWN)
        page.evaluate(axe)
        assert page.evaluate(SEVERE) == []

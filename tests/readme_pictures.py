"""Makes the README's pictures anew from the media folder of `okla demo`, which it leaves alone.

`python -m tests.readme_pictures okla-media` writes docs/before-after.jpg (the sample's front
quarter as uploaded and on three scenes), docs/spin.jpg (twelve frames of its 360 view) and
docs/gallery.jpg (its gallery page in a browser). The pipeline makes the other two scenes in a copy.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

from okla_assets import keys
from okla_assets.contract import Listing
from resources.storage.media_store import LocalMediaStore
from tests.conftest import REPOSITORY
from tests.fakes import Quiet, finished_key
from tests.viewer.conftest import ALONE, browser_program

WIDTH, GAP, QUALITY = 1288, 8, 88
SAMPLE = keys.parse_vehicle_id("sample")
OTHER_SCENES = ("gray_showroom", "dark_studio")


def sheet(pictures: Sequence[Image.Image], columns: int, aspect: float = 4 / 3) -> Image.Image:
    """The pictures row by row on white, cut to the aspect about their middle; WIDTH wide."""
    width = (WIDTH - GAP * (columns - 1)) // columns
    height = round(width / aspect)
    rows = -(-len(pictures) // columns)
    made = Image.new("RGB", (WIDTH, rows * (height + GAP) - GAP), "white")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        tile = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
        made.paste(tile, (column * (width + GAP), row * (height + GAP)))
    return made


def opened(store: LocalMediaStore, key: str) -> Image.Image:
    """A stored picture, upright, RGB."""
    with Image.open(BytesIO(store.get(key))) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def listing_in(store: LocalMediaStore) -> Listing:
    return Listing.model_validate_json(store.get(keys.listing(SAMPLE)))


def before_after(store: LocalMediaStore, on_scenes: Sequence[LocalMediaStore]) -> Image.Image:
    """The upload with the best front quarter, and the same photo in each of the folders."""
    shown = [
        photo
        for photo in listing_in(store).photos
        if photo.angle == "front-quarter" and photo.treatment == "studio"
    ]
    best = max(shown, key=lambda photo: (photo.quality.score, -photo.number))
    finished = [
        opened(folder, finished_key(photo))
        for folder in (store, *on_scenes)
        for photo in listing_in(folder).photos
        if photo.source_key == best.source_key
    ]
    return sheet([opened(store, best.source_key), *finished], columns=2)


def spin_strip(store: LocalMediaStore) -> Image.Image:
    """Twelve frames, all round."""
    spin = listing_in(store).spin
    assert spin is not None, "the demo made no 360 view"
    count = len(spin.frames)
    frames = [opened(store, spin.frames[i * count // 12]) for i in range(12)]
    return sheet(frames, columns=6, aspect=spin.width / spin.height)


def gallery(store: LocalMediaStore) -> Image.Image:
    """The top of the gallery page, light, once its pictures are there."""
    page_file = store.folder / keys.gallery(SAMPLE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program(), args=list(ALONE))
        page = browser.new_page(
            viewport={"width": 1600, "height": 1600},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page.goto(page_file.absolute().as_uri(), wait_until="networkidle")
        shot = page.screenshot()
        browser.close()
    # Shrunk, so that more of the page is on it.
    return Image.open(BytesIO(shot)).convert("RGB").resize((WIDTH, WIDTH), Image.Resampling.LANCZOS)


def on_scene(store: LocalMediaStore, scene: str, folder: Path) -> LocalMediaStore:
    """A copy of the vehicle, run for another scene; its photos only, which is what is shown."""
    from okla_assets.cli.process import run_vehicle

    for place in ("raw", "work", "private", "processed"):
        if (store.folder / place).is_dir():
            shutil.copytree(store.folder / place, folder / place)
    copy = LocalMediaStore(root=str(folder))
    for video in list(copy.list(keys.raw_videos(SAMPLE))):
        copy.delete(video.key)
    options = {"background_id": scene, "promo": False}
    copy.put(keys.options(SAMPLE), json.dumps(options).encode())
    listing, problem = run_vehicle(SAMPLE, copy, "local", Quiet())
    assert listing is not None, problem
    return copy


def write(made: Mapping[str, Image.Image], folder: Path) -> None:
    for name, picture in made.items():
        picture.save(folder / name, quality=QUALITY, optimize=True)
        print(folder / name, picture.size)


def main() -> None:
    """See the module."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.readme_pictures MEDIA_FOLDER_OF_OKLA_DEMO")
    store = LocalMediaStore(root=sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="okla-readme-") as folder:
        scenes = [on_scene(store, scene, Path(folder) / scene) for scene in OTHER_SCENES]
        made = {
            "before-after.jpg": before_after(store, scenes),
            "spin.jpg": spin_strip(store),
            "gallery.jpg": gallery(store),
        }
    write(made, REPOSITORY / "docs")


if __name__ == "__main__":
    main()

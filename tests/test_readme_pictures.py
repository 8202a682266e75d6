"""The script that makes the README's pictures: what it shows, on a made vehicle."""

from pathlib import Path

import pytest
from PIL import Image

from okla_assets import definitions, keys
from resources.profiles import resources_for
from resources.storage.media_store import LocalMediaStore
from tests import pictures, readme_pictures
from tests.fakes import VEHICLE, Pipeline, contents, fake_models, finished_key
from tests.viewer import made


@pytest.fixture
def folder(store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch) -> LocalMediaStore:
    """A vehicle whose frames are numbered colours, with the uploads of its photos."""
    monkeypatch.setattr(readme_pictures, "SAMPLE", VEHICLE)
    Path(store.root).mkdir()
    listing = made.listing()
    made.write(listing, store.folder)
    for photo in listing.photos:
        path = store.folder / photo.source_key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (900, 600), made.BEFORE).save(path, "JPEG")
    return store


def near(shown: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(shown, tuple)
    return bool(max(abs(a - b) for a, b in zip(shown, colour, strict=True)) < 8)


def test_the_upload_stands_before_the_same_photo_on_each_scene(folder: LocalMediaStore) -> None:
    shown = readme_pictures.before_after(folder, [folder, folder])
    assert shown.size == (1288, 968)
    assert near(shown.getpixel((320, 240)), made.BEFORE)
    for middle in ((970, 240), (320, 730), (970, 730)):
        assert near(shown.getpixel(middle), made.AFTER)
    assert shown.getpixel((644, 484)) == (255, 255, 255)


def test_twelve_frames_go_all_round(folder: LocalMediaStore) -> None:
    strip = readme_pictures.spin_strip(folder)
    tile, height = 208 + 8, 156 + 8
    middles = [(column * tile + 100, row * height + 90) for row in range(2) for column in range(6)]
    seen = [strip.getpixel(middle) for middle in middles]
    frames = [made.frame_of(colour) for colour in seen if isinstance(colour, tuple)]
    assert frames == list(range(0, 36, 3))


@pytest.mark.slow
def test_another_scene_is_made_in_a_copy(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = readme_pictures.SAMPLE
    monkeypatch.setattr(
        definitions, "resources_for", lambda name: resources_for(name) | fake_models()
    )
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())}, sample)
    pipeline.store.put(keys.options(sample), b'{"promo": false}')
    pipeline.run(sample)
    before = contents(pipeline.store, "")
    copy = readme_pictures.on_scene(pipeline.store, "dark_studio", tmp_path / "copy")
    (photo,) = readme_pictures.listing_in(copy).photos
    corner = readme_pictures.opened(copy, finished_key(photo)).getpixel((5, 5))
    assert isinstance(corner, tuple) and max(corner) < 90
    assert contents(pipeline.store, "") == before

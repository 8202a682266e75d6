"""A name is a name: what people call their files, through every border that it crosses."""

import io
import json
import os
import wave
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from rich.console import Console
from rich.table import Table

from okla_assets import keys
from okla_assets.cli import terminal
from okla_assets.contract import Listing
from okla_assets.operations.folder_import import import_folder
from okla_assets.tables import RefusedFile
from okla_assets.viewer import pages
from resources.decoding.promo_encoder import PromoEncoder
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.stores import store_for
from tests import clips, pictures
from tests.fakes import VEHICLE, Pipeline, QuickVideoReader
from tests.names import FOLDER_NAMES, HARD, PHOTO_NAMES
from tests.viewer.made import listing, photo

PHOTO = pictures.jpeg(pictures.car())
LOOSE = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEW = settings(LOOSE, max_examples=20)

IN_A_ROUTE = FOLDER_NAMES.filter(lambda name: "\n" not in name)
"""The test server's routes end at a line break."""


# --- keys -----------------------------------------------------------------------------------------


def comes_back(store: MediaStore, name: str) -> None:
    """The object is listed, read, headed and deleted under its very name."""
    key = keys.raw_photos(VEHICLE) + name
    data = name.encode()
    store.put(key, data)
    assert [info.key for info in store.list(keys.raw_photos(VEHICLE))] == [key]
    assert store.get(key) == data
    info = store.stat(key)
    assert info is not None
    assert (info.key, info.size) == (key, len(data))
    with store.as_file(key) as path:
        assert path.read_bytes() == data
    assert json.loads(json.dumps(key)) == key
    store.delete(key)
    assert store.stat(key) is None


@LOOSE
@given(name=PHOTO_NAMES)
def test_a_folder_keeps_names(store: LocalMediaStore, name: str) -> None:
    comes_back(store, name)


@LOOSE
@given(folder=FOLDER_NAMES, name=PHOTO_NAMES)
def test_a_folder_of_any_name_keeps_names(tmp_path: Path, folder: str, name: str) -> None:
    store = LocalMediaStore(root=str(tmp_path / folder))
    comes_back(store, name)
    store.put("a/b.html", b"here")
    with urlopen(store.url("a/b.html")) as page:
        assert page.read() == b"here"


@pytest.mark.slow
@FEW
@given(prefix=IN_A_ROUTE, name=st.builds("{}.jpg".format, IN_A_ROUTE))
@example(prefix="p", name=f"a.{'b' * 300}")
def test_a_bucket_keeps_names(s3_place: str, prefix: str, name: str) -> None:
    store = store_for(f"{s3_place}/{prefix}")
    comes_back(store, name)
    address = urlsplit(store.url(keys.raw_photos(VEHICLE) + name))
    assert unquote(address.path).endswith(name)
    assert not address.query
    assert not address.fragment


@LOOSE
@given(name=PHOTO_NAMES)
def test_an_import_keeps_names(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("import")
    (folder / name).write_bytes(PHOTO)
    store = LocalMediaStore(root=str(folder / "media"))
    imported = import_folder(folder, VEHICLE, store)
    assert imported.uploaded == (keys.raw_photos(VEHICLE) + name,)


@pytest.mark.parametrize("depth", [40, 900])
def test_folders_in_folders_without_end_are_named_and_the_rest_is_read(
    tmp_path: Path, depth: int
) -> None:
    folder = tmp_path / "car"
    folder.mkdir()
    (folder / "front.jpg").write_bytes(pictures.jpeg(pictures.car()))
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    store = LocalMediaStore(root=str(tmp_path / "media"))
    imported = import_folder(folder, VEHICLE, store)
    assert imported.uploaded == (keys.raw_photos(VEHICLE) + "front.jpg",)
    (refused,) = imported.refused
    assert refused.detail.endswith("d lies more than 32 folders deep; move it up")
    odd: list[str] = []
    (found,) = LocalMediaStore(root=str(tmp_path)).list("car/", odd=lambda e: odd.append(e.detail))
    assert found.key == "car/front.jpg"
    assert odd == [f"car/{'d/' * 32} lies more than 32 folders deep; move it up"]


# --- what a person sees ---------------------------------------------------------------------------


@LOOSE
@given(name=PHOTO_NAMES)
def test_a_terminal_shows_a_name_and_does_nothing_of_what_it_says(name: str) -> None:
    console = Console(
        file=io.StringIO(),
        width=4000,
        force_terminal=True,
        color_system="truecolor",
        emoji=False,
    )
    table = Table("photo", box=None, show_header=False, padding=0)
    table.add_row(terminal.cell(name))
    console.print(table)
    console.print(terminal.shown(name), markup=False, highlight=False, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    in_table, alone = console.file.getvalue().rstrip("\n").split("\n")
    assert in_table.rstrip() == alone.rstrip()
    assert alone.isascii() or "\x1b" not in alone
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in alone)


def test_a_name_with_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    for tell in (terminal.say, terminal.warn):
        tell("media/:V:.jpg")
    terminal.print_error("media/:car:.jpg is empty")
    told = capsys.readouterr()
    assert told.out == "media/:V:.jpg\n"
    assert told.err == "media/:V:.jpg\nerror: media/:car:.jpg is empty\n"


@FEW
@given(name=PHOTO_NAMES)
def test_a_bar_shows_a_name(name: str) -> None:
    with terminal.step_bars() as bars:
        bars.step("Reading [photos]", 1)
        bars.advance(name)


class Page(HTMLParser):
    """The elements of a page with their attributes' names, and its text."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self.feed(data.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def named(name: str) -> Listing:
    """A listing in which a photo, a refused file and a sentence have this name."""
    key = keys.raw_photos(VEHICLE) + name
    refused = RefusedFile(source_key=key, reason="corrupt", detail=f"{name} is damaged")
    return listing(
        photos=(photo(1, source_key=key),),
        refused=(refused,),
        reasons=(f"{name}: look at it",),
        hotspots=(),
    )


@FEW
@given(name=PHOTO_NAMES)
def test_the_gallery_shows_a_name_as_text(name: str) -> None:
    plain, page = (Page(pages.gallery_page(named(n))) for n in ("IMG_1.jpg", name))
    assert page.elements == plain.elements
    assert "".join(page.text) == "".join(plain.text).replace("IMG_1.jpg", name)


@LOOSE
@given(name=PHOTO_NAMES)
def test_the_listing_keeps_a_name(name: str) -> None:
    made = named(name)
    assert Listing.model_validate_json(made.model_dump_json(indent=2).encode()) == made
    assert json.loads(made.model_dump_json())["photos"][0]["source_key"].endswith(f"/{name}")


# --- ffmpeg ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 100)
    return path


@FEW
@given(name=FOLDER_NAMES)
@example(name="a:b")
def test_ffmpeg_takes_a_name_as_a_file(
    tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    music, clip = Path(f"{name}.wav"), Path(f"{name}.mp4")
    music.write_bytes(tone.read_bytes())
    encoder = PromoEncoder(short_side=90, fps=10)
    assert len(encoder.read_music(music))
    size, _ = encoder.sizes()
    frame = np.zeros((size[1] * 3 // 2, size[0]), np.uint8)
    encoder.encode(iter([frame]), 1, size, clip)
    assert clip.stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {music.name, clip.name}
    for path in (music, clip):
        path.unlink()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return clips.write(path, (clips.square(n) for n in range(20)), rate=10)


@FEW
@given(name=FOLDER_NAMES)
@example(name="a:b")
def test_a_video_of_any_name_is_read(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    named = Path(f"{name}.mp4")
    named.write_bytes(film.read_bytes())
    with QuickVideoReader().open(named, 320) as video:
        assert video.picture(0).shape == (240, 320, 3)
    named.unlink()


# --- all together ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_vehicle_of_hard_names_is_finished(pipeline: Pipeline) -> None:
    names = [f"{''.join(HARD[n::10]).lstrip('.')}.jpg" for n in range(10)]
    pipeline.upload({name: pictures.jpeg(pictures.car(n)) for n, name in enumerate(names)})
    pipeline.store.put(keys.options(VEHICLE), b'{"promo": false}')
    made = pipeline.run().listing
    assert {photo.source_key for photo in made.photos} == {
        keys.raw_photos(VEHICLE) + n for n in names
    }
    assert (made.status, made.refused) == ("ready", ())
    page = Page(pipeline.store.get(keys.gallery(VEHICLE)))
    for name in names:
        assert keys.nfc(name) in keys.nfc("".join(page.text))

"""What a person at a terminal sees: exit codes, sentences, and Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from okla_assets import definitions, keys, sample
from okla_assets.cli import process, terminal
from okla_assets.contract import listing_schema
from okla_assets.imaging.photo import codec
from okla_assets.options import StudioOptions
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL, write_config
from okla_assets.vehicle_runs import FINISHED_PHOTOS
from resources import profiles, weights
from resources.profiles import resources_for
from resources.storage.media_store import LocalMediaStore
from resources.storage.stores import store_for
from resources.storage.whole_files import TEMP_FOLDER
from tests import pictures
from tests.cli.conftest import Command
from tests.conftest import REPOSITORY
from tests.fakes import fake_models
from tests.test_owner_scenes import TOML


@pytest.fixture(scope="module")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: making Dagster's database takes seconds."""
    home = tmp_path_factory.mktemp("dagster")
    write_config(home)
    return home


@pytest.fixture
def okla(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dagster_home: Path
) -> Command:
    """Works in tmp_path/media."""
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(tmp_path / "media"))
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A seller's folder with two good photos."""
    path = tmp_path / "Toyota Corolla 2019"
    path.mkdir()
    (path / "1.jpg").write_bytes(pictures.jpeg(pictures.car()))
    (path / "2.jpg").write_bytes(pictures.jpeg(pictures.cabin(2)))
    return path


def published(tmp_path: Path) -> list[str]:
    processed = tmp_path / "media" / "processed"
    return sorted(p.relative_to(processed).as_posix() for p in processed.rglob("*") if p.is_file())


# --- okla process ---------------------------------------------------------------------------------


def test_a_folder_becomes_a_listing(okla: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "3.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_bytes(b"a friend's number")
    result = okla("process", folder)
    assert result.code == 0
    vehicle = "Toyota-Corolla-2019-feb3c45c"
    assert published(tmp_path) == [
        f"{vehicle}/before/exterior_001_before.jpg",
        f"{vehicle}/exterior_001_processed.jpg",
        f"{vehicle}/index.html",
        f"{vehicle}/interior_002_processed.jpg",
        f"{vehicle}/listing.json",
        f"{vehicle}/masks/exterior_001_mask.png",
        f"{vehicle}/promo.mp4",
        f"{vehicle}/promo_poster.jpg",
        f"{vehicle}/promo_vertical.mp4",
        f"{vehicle}/promo_vertical_poster.jpg",
        f"{vehicle}/thumbnails/exterior_001_thumb.jpg",
        f"{vehicle}/thumbnails/interior_002_thumb.jpg",
    ]
    assert f"{vehicle}: ready" in result.out
    assert "exterior_001" in result.out
    assert "refused 3.jpg: not_an_image: " in result.out
    gallery, listing = result.out.rstrip().splitlines()[-2:]
    assert gallery.endswith(f"processed/{vehicle}/index.html")
    assert listing.endswith(f"processed/{vehicle}/listing.json")
    assert "ignored 1 file, neither a photo nor a video: notes.txt" in result.out
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_who_waits_at_a_terminal_sees_the_first_picture_before_the_others(
    okla: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0 first.jpg", "3.jpg"):
        (folder / name).write_bytes(pictures.jpeg(pictures.car(int(name[0]) + 7)))
    asked: list[object] = []
    monkeypatch.setattr(profiles, "load_ahead", lambda profile: asked.append(f"load {profile}"))
    runs = process.run_vehicle

    def run(*arguments: Any, **named: Any) -> Any:
        asked.append(named.get("assets"))
        if asked == ["load local", FINISHED_PHOTOS]:
            raw = tmp_path / "media" / "raw" / "v1" / "photos"
            assert [path.name for path in raw.iterdir()] == ["0 first.jpg"]
        return runs(*arguments, **named)

    monkeypatch.setattr(process, "run_vehicle", run)
    command = ("process", folder, "--vehicle-id", "v1", "--max-width", "640")
    monkeypatch.setattr(terminal.err_console, "_force_terminal", True)
    result = okla(*command)
    made = tmp_path / "media" / "processed" / "v1" / "exterior_001_processed.jpg"
    assert f"the first picture: {made}" in result.err
    assert "v1: ready" in result.out
    with Image.open(made) as picture:
        assert picture.width <= 640
    assert "the first picture" not in okla(*command).err  # the vehicle is no new one
    # A new vehicle's networks are loaded at once, and kept for the others; this one is known now.
    assert asked == ["load local", FINISHED_PHOTOS, "load local", None, None]


@pytest.mark.slow
def test_options_of_the_command_are_kept_for_the_vehicle(
    okla: Command, folder: Path, tmp_path: Path
) -> None:
    result = okla(
        "process", folder, "--vehicle-id", "v1", "--max-width", "640", "--output-format", "png"
    )
    assert result.code == 0
    with Image.open(tmp_path / "media" / "processed" / "v1" / "exterior_001_processed.png") as made:
        assert made.width <= 640
    options = json.loads((tmp_path / "media" / "raw" / "v1" / "options.json").read_text())
    assert options == {"max_width": 640, "output_format": "png"}


@pytest.mark.slow
def test_where_no_photo_can_be_used_nothing_is_made(
    okla: Command, folder: Path, tmp_path: Path
) -> None:
    for name in ("1.jpg", "2.jpg"):
        (folder / name).write_bytes(b"no picture")
    result = okla("process", folder, "--vehicle-id", "v1")
    assert result.code == 1
    assert "v1: failed" in result.out
    assert "none of the 2 uploaded files could be used" in result.out
    assert published(tmp_path) == ["v1/index.html", "v1/listing.json"]


@pytest.mark.slow
def test_a_step_that_fails_is_reported_in_a_line(
    okla: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = fake_models() | {"segmenter": object()}
    monkeypatch.setattr(definitions, "resources_for", lambda name: resources_for(name) | models)
    result = okla("process", folder)
    assert result.code == 1
    assert "error: masks: " in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["process", "no/such/folder"], "no/such/folder is not a folder"),
        (["process", "FOLDER/1.jpg"], "is not a folder"),
        (["process", "EMPTY"], "holds no photo"),
        (["process", "FOLDER", "--vehicle-id", ""], "vehicle id '' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "../x"], "vehicle id '../x' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "v 1"], "vehicle id 'v 1' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "v" * 65], "is not usable"),
        (["process", "NAMELESS"], "give one by --vehicle-id"),
        (["process", "CARD"], "'100APPLE' is what folders of pictures are called"),
        (["process", "PHOTOS"], "give the car's id by --vehicle-id, such as golf"),
        (["process", "FOLDER", "--vehicle-id", "DCIM"], "it cannot be a vehicle's id"),
        (["process", "FOLDER", "--max-width", "7"], "max_width"),
        (["process", "FOLDER", "--max-width", "wide"], "'--max-width'"),
        (["process", "FOLDER", "--aspect", "9:1"], "aspect"),
        (["process", "FOLDER", "--shadow-opacity", "-0.1"], "shadow_opacity"),
        (["process", "FOLDER", "--output-format", "gif"], "output_format"),
        (["process", "FOLDER", "--out", "s3:/bucket"], "'s3:/bucket' is not a media location"),
        (["process", "FOLDER", "--profile", "moon"], "there is no profile 'moon'"),
        (["process"], "Missing argument"),
        (["up", "--profile", "moon"], "there is no profile 'moon'"),
        (["models", "pull", "resnet"], "no weights are called 'resnet'"),
        (["models", "pull", "u2netp", "--from", "npm:nonsense"], "is no source of weights"),
        (["train-views", "x.csv", "--out", "x", "--seed", "-1"], "'--seed'"),
        (["fly"], "No such command 'fly'"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    okla: Command, folder: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    for name in ("EMPTY", "...", "DCIM/100APPLE", "golf/photos"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "..." / "1.jpg").write_bytes(pictures.jpeg(pictures.car()))
    places = {"FOLDER": folder, "EMPTY": tmp_path / "EMPTY", "NAMELESS": tmp_path / "..."}
    places |= {"CARD": tmp_path / "DCIM" / "100APPLE", "PHOTOS": tmp_path / "golf" / "photos"}
    for name, place in places.items():
        arguments = [a.replace(name, str(place)) for a in arguments]
    result = okla(*arguments)
    assert result.code == 2
    assert sentence in result.err
    assert "Traceback" not in result.err
    assert "pydantic" not in result.err
    assert not (tmp_path / "media" / "processed").exists()


# --- two cars, and whatever lies in a folder ------------------------------------------------------


@pytest.mark.slow
def test_another_cars_folder_is_not_mixed_in_unless_it_is_meant(
    okla: Command, folder: Path, tmp_path: Path
) -> None:
    assert okla("process", folder, "--vehicle-id", "v1", "-o", "promo=false").code == 0
    other = tmp_path / "other car"
    other.mkdir()
    (other / "1.jpg").write_bytes(pictures.jpeg(pictures.car(7)))
    before = published(tmp_path)
    result = okla("process", other, "--vehicle-id", "v1")
    assert result.code == 2
    assert f"{other} may be of another car: v1 has the files of {folder}" in result.err
    assert "or --add where all are of one car" in result.err
    assert published(tmp_path) == before
    result = okla("process", other, "--vehicle-id", "v1", "--add")
    assert result.code == 0
    listing = json.loads((tmp_path / "media/processed/v1/listing.json").read_text())
    assert len(listing["photos"]) == 3


@pytest.mark.slow
def test_a_folder_in_the_media_folder_is_its_vehicles(okla: Command, tmp_path: Path) -> None:
    photos = tmp_path / "media" / "raw" / "v1" / "photos"
    photos.mkdir(parents=True)
    (photos / "1.jpg").write_bytes(pictures.jpeg(pictures.car()))
    result = okla("process", photos, "-o", "promo=false")
    assert result.code == 0
    assert "v1: ready" in result.out
    assert [p.name for p in photos.iterdir()] == ["1.jpg"]


@pytest.mark.slow
def test_every_file_of_a_folder_is_in_listing_gallery_and_terminal(
    okla: Command, folder: Path, tmp_path: Path
) -> None:
    car = pictures.jpeg(pictures.car(3))
    for name in ("IMG_4", "IMG_11.JPG.", "clip.3gp", "DCIM/100APPLE/IMG_3.HIF"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(car)
    (folder / "raw.DNG").write_bytes(b"no picture")
    (folder / "loop").symlink_to("loop")
    for number in range(300):
        (folder / f"{number}.docx").write_bytes(b"PK\x03\x04")
    result = okla("process", folder, "--vehicle-id", "v1", "-o", "promo=false")
    assert result.code == 0
    listing = json.loads((tmp_path / "media/processed/v1/listing.json").read_text())
    names = [photo["source_key"].removeprefix("raw/v1/photos/") for photo in listing["photos"]]
    assert set(names) >= {"IMG_4", "IMG_11.JPG.", "clip.3gp", "DCIM/100APPLE/IMG_3.HIF"}
    refused = {file["source_key"].rsplit("/", 1)[-1]: file["reason"] for file in listing["refused"]}
    assert refused == {"raw.DNG": "not_an_image", "loop": "not_a_file"}
    counts = {group["rule"]: group["count"] for group in listing["ignored"]}
    assert counts == {"not_media": 300}
    page = (tmp_path / "media/processed/v1/index.html").read_text()
    for text in (result.out, page):
        assert "loop" in text
        assert "raw.DNG" in text
        assert "0.docx, 1.docx, 2.docx, 3.docx, 4.docx and 295 more" in text
    assert result.out.count("docx") == 5


# --- into a bucket --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_becomes_a_listing_in_a_bucket(okla: Command, folder: Path, s3_place: str) -> None:
    result = okla("process", folder, "--vehicle-id", "v1", "--out", s3_place)
    assert result.code == 0
    assert "v1: ready" in result.out
    store = store_for(s3_place)
    assert result.out.rstrip().splitlines()[-2:] == [
        store.url("processed/v1/index.html"),
        store.url("processed/v1/listing.json"),
    ]
    assert [i.key for i in store.list("raw/v1/photos/")] == [
        "raw/v1/photos/1.jpg",
        "raw/v1/photos/2.jpg",
    ]
    assert store.stat("processed/v1/promo.mp4") is not None


@pytest.mark.parametrize("arguments", [["process", "FOLDER"], ["demo", "--no-open"], ["up"]])
def test_a_bucket_that_cannot_be_used_is_reported_before_anything_is_started(
    okla: Command,
    folder: Path,
    s3_place: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sample, "MEDIA", folder)
    arguments = [a.replace("FOLDER", str(folder)) for a in arguments]
    result = okla(*arguments, "--out", "s3://no-such-bucket")
    assert result.code == 1
    assert result.err.strip() == (
        "error: there is no bucket at s3://no-such-bucket: create it, or correct the media location"
    )
    assert result.out == ""
    assert not (tmp_path / "media").exists()


# --- okla demo ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_demo_makes_the_listing_of_the_sample(
    okla: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sample, "MEDIA", folder)  # the real one takes longer
    result = okla("demo")
    assert result.code == 0
    assert "sample: ready" in result.out
    first = tmp_path / "media" / "processed" / "sample" / "exterior_001_processed.jpg"
    assert f"the first picture: {first}" in result.err
    assert {"sample/listing.json", "sample/index.html"} <= set(published(tmp_path))
    assert (tmp_path / "media" / "raw" / "sample" / "photos" / "1.jpg").is_file()
    gallery = tmp_path / "media" / "processed" / "sample" / "index.html"
    assert opened == [gallery.as_uri()]
    assert str(gallery) in result.out
    assert "the first picture" not in okla("demo", "--no-open").err  # all are there
    assert len(opened) == 1


# --- okla up and okla worker, before they start anything ------------------------------------------


def test_up_needs_its_port(okla: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = okla("up", "--port", str(port))
    assert result.code == 2
    assert f"port {port} of 127.0.0.1 is taken" in result.err


def test_two_of_them_do_not_share_a_folder(okla: Command, dagster_home: Path) -> None:
    with FileLock(dagster_home / "up.lock"):
        result = okla("up", "--port", "0")
    assert result.code == 2
    assert f"another `okla up` works on {dagster_home}" in result.err


@pytest.mark.parametrize(
    ("set_up", "sentence"),
    [
        ({}, "a worker needs OKLA_BROKER_URL"),
        ({BROKER_URL: "pyamqp://127.0.0.1:1//"}, "OKLA_BROKER_URL needs OKLA_POSTGRES_URL"),
        (
            {
                BROKER_URL: "pyamqp://127.0.0.1:1//",
                POSTGRES_URL: "postgresql://me:pw@127.0.0.1:1/d",
            },
            "the database of OKLA_POSTGRES_URL (postgresql://me:***@127.0.0.1:1/d) cannot be used",
        ),
    ],
)
def test_a_worker_needs_the_broker_and_the_database(
    okla: Command, monkeypatch: pytest.MonkeyPatch, set_up: dict[str, str], sentence: str
) -> None:
    for name, value in set_up.items():
        monkeypatch.setenv(name, value)
    result = okla("worker")
    assert result.code == 1
    assert sentence in result.err


# --- the rest -------------------------------------------------------------------------------------


def test_the_schema_is_printed_for_other_programs(okla: Command) -> None:
    result = okla("schema")
    assert result.code == 0
    assert json.loads(result.out) == listing_schema()


def test_the_models_are_listed_with_role_licence_and_whether_they_are_here(
    okla: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OKLA_MODELS_DIR", str(tmp_path / "models"))
    result = okla("models", "list")
    assert result.code == 0
    for weight in weights.catalogue():
        (row,) = [line for line in result.out.splitlines() if f" {weight.name} " in line]
        assert weight.role in row
        assert weight.upstream_licence in row
        assert "missing" in row
    assert str(tmp_path / "models") in result.out


def test_a_table_cuts_no_name_off(okla: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """`okla models pull` needs the name that `okla models list` shows."""
    names = {weight.name for weight in weights.catalogue()}
    monkeypatch.setenv("COLUMNS", "60")
    out = okla("models", "list").out
    assert all(f" {name} " in out for name in names)
    assert "…" not in out
    monkeypatch.setattr(terminal.out_console, "_force_terminal", True)
    out = okla("models", "list").out
    assert all(f" {name} " in out for name in names)
    assert "…" not in out


def test_tables_are_json_for_programs(okla: Command, tmp_path: Path) -> None:
    listed = json.loads(okla("models", "list", "--json").out)
    assert {row["name"] for row in listed["weights"]} == {w.name for w in weights.catalogue()}
    scenes = json.loads(okla("scenes", "--json").out)
    assert "white_studio" in [row["background_id"] for row in scenes]


def test_the_name_of_an_own_scene_is_only_ever_text(okla: Command, tmp_path: Path) -> None:
    store = LocalMediaStore(root=str(tmp_path / "media"))
    toml = TOML.replace(b"Hall 3", b"Sala [/b] 2")
    store.put(keys.own_scene("hall"), toml, "application/toml")
    picture = codec.encode_jpeg(np.full((600, 800, 3), 90, np.uint8))
    store.put(keys.own_scene_pictures("hall")[0], picture, "image/jpeg")
    result = okla("scenes", "--out", tmp_path / "media")
    assert result.code == 0
    assert "Sala [/b] 2" in result.out


def test_the_version_is_told(okla: Command) -> None:
    result = okla("--version")
    assert (result.code, result.out) == (0, f"okla-media {version('okla-media')}\n")


def test_help_tells_the_defaults_and_of_completion(okla: Command) -> None:
    out = " ".join(okla("process", "--help").out.replace("│", " ").split())
    for field, default in StudioOptions().model_dump().items():
        flag = f"--{field.replace('_', '-')}"
        if f"{flag} " in out:
            told = {True: "on", False: "off"}.get(
                default, f"{default:g}" if isinstance(default, float) else default
            )
            assert f"default: {told}." in out.split(f"{flag} ", 1)[1][:250], field
    assert "--install-completion" in okla("--help").out


def in_a_fresh_process(code: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return found.stdout


def test_help_answers_at_once() -> None:
    out = in_a_fresh_process(
        """
import sys
from okla_assets.cli import app
sys.argv = ["okla", "--help"]
try:
    app.main()
except SystemExit as end:
    assert end.code == 0
heavy = ("dagster", "numpy", "cv2", "PIL", "onnxruntime", "openvino", "torch", "pydantic")
print("imported:", [name for name in heavy if name in sys.modules])
"""
    )
    for command in ("process", "up", "models", "schema"):
        assert command in out
    assert out.rstrip().endswith("imported: []")


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_and_the_same_command_goes_on(tmp_path: Path) -> None:
    folder, media = tmp_path / "v1", tmp_path / "media"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.jpg").write_bytes(pictures.jpeg(pictures.car(n)))
    command = [sys.executable, "-m", "tests.fake_okla", "process", str(folder)]
    command += ["--out", str(media), "-o", "promo=false"]
    environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "OKLA_PROFILE")}

    with subprocess.Popen(
        command,
        env=environment | {"OKLA_TEST_WAIT_AT": "2"},
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        printed = child.stderr.read()
        assert child.wait(timeout=60) == 130
    assert "Traceback" not in printed
    assert "Interrupted" not in printed  # not the name of dagster's exception
    assert not any((media / TEMP_FOLDER).iterdir())
    assert published(tmp_path) == [
        "v1/before/exterior_001_before.jpg",
        "v1/exterior_001_processed.jpg",
        "v1/masks/exterior_001_mask.png",
        "v1/thumbnails/exterior_001_thumb.jpg",
    ]
    made = (media / "processed/v1/exterior_001_processed.jpg").stat().st_mtime_ns

    again = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert again.returncode == 0
    assert "v1: ready" in again.stdout
    assert len(published(tmp_path)) == 3 * 4 + 2  # photos, pages
    # What was finished before is not made again.
    assert (media / "processed/v1/exterior_001_processed.jpg").stat().st_mtime_ns == made

"""What a person at a terminal sees: exit codes, sentences, and Ctrl-C."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from okla_assets import definitions, sample
from okla_assets.cli import app
from okla_assets.contract import listing_schema
from okla_assets.runtime.instance import BROKER_URL, POSTGRES_URL
from resources import weights
from resources.profiles import resources_for
from resources.storage.media_store import TEMP_FOLDER
from resources.storage.stores import store_for
from tests import pictures
from tests.conftest import REPOSITORY
from tests.fakes import fake_models


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Okla = Callable[..., Said]


@pytest.fixture(scope="module")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: making Dagster's database takes seconds."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copyfile(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    return home


@pytest.fixture
def okla(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    dagster_home: Path,
) -> Okla:
    """Runs the command in this process, on fake models, into tmp_path/media."""
    models = fake_models()
    monkeypatch.setattr(definitions, "resources_for", lambda name: resources_for(name) | models)
    monkeypatch.setattr(weights, "ensure", lambda *_: {})
    monkeypatch.setenv("OKLA_MEDIA_DIR", str(tmp_path / "media"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    monkeypatch.delenv("OKLA_PROFILE", raising=False)

    def run(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["okla", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


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


def test_a_folder_becomes_a_listing(okla: Okla, folder: Path, tmp_path: Path) -> None:
    (folder / "3.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_bytes(b"a friend's number")
    said = okla("process", folder)
    assert said.code == 0
    vehicle = "Toyota-Corolla-2019"
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
        f"{vehicle}/thumbnails/exterior_001_thumb.jpg",
        f"{vehicle}/thumbnails/interior_002_thumb.jpg",
    ]
    assert f"{vehicle}: ready" in said.out
    assert "exterior_001" in said.out
    assert "refused 3.jpg: not_an_image: " in said.out
    gallery, listing = said.out.rstrip().splitlines()[-2:]
    assert gallery.endswith(f"processed/{vehicle}/index.html")
    assert listing.endswith(f"processed/{vehicle}/listing.json")
    assert "notes.txt" in said.err
    assert "Traceback" not in said.err


def test_options_of_the_command_are_kept_for_the_vehicle(
    okla: Okla, folder: Path, tmp_path: Path
) -> None:
    said = okla(
        "process", folder, "--vehicle-id", "v1", "--max-width", "640", "--output-format", "png"
    )
    assert said.code == 0
    with Image.open(tmp_path / "media" / "processed" / "v1" / "exterior_001_processed.png") as made:
        assert made.width <= 640
    options = json.loads((tmp_path / "media" / "raw" / "v1" / "options.json").read_text())
    assert options == {"max_width": 640, "output_format": "png"}


def test_where_no_photo_can_be_used_nothing_is_made(
    okla: Okla, folder: Path, tmp_path: Path
) -> None:
    for name in ("1.jpg", "2.jpg"):
        (folder / name).write_bytes(b"no picture")
    said = okla("process", folder, "--vehicle-id", "v1")
    assert said.code == 1
    assert "v1: failed" in said.out
    assert "none of the 2 uploaded files could be used" in said.out
    assert published(tmp_path) == ["v1/index.html", "v1/listing.json"]


def test_a_step_that_fails_is_told_in_a_line(
    okla: Okla, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = fake_models() | {"segmenter": object()}
    monkeypatch.setattr(definitions, "resources_for", lambda name: resources_for(name) | models)
    said = okla("process", folder)
    assert said.code == 1
    assert "error: masks: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["process", "no/such/folder"], "no/such/folder is not a folder"),
        (["process", "FOLDER/1.jpg"], "is not a folder"),
        (["process", "EMPTY"], "holds no photo"),
        (["process", "FOLDER", "--vehicle-id", ""], "vehicle id '' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "../x"], "vehicle id '../x' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "v 1"], "vehicle id 'v 1' is not usable"),
        (["process", "FOLDER", "--vehicle-id", "v" * 65], "is not usable"),
        (["process", "NAMELESS"], "give one by --vehicle-id"),
        (["process", "FOLDER", "--max-width", "7"], "max_width"),
        (["process", "FOLDER", "--max-width", "wide"], "'--max-width'"),
        (["process", "FOLDER", "--aspect", "2:1"], "aspect"),
        (["process", "FOLDER", "--shadow-opacity", "-0.1"], "shadow_opacity"),
        (["process", "FOLDER", "--output-format", "gif"], "output_format"),
        (["process", "FOLDER", "--out", "s3:/bucket"], "'s3:/bucket' is not a media location"),
        (["process", "FOLDER", "--profile", "moon"], "there is no profile 'moon'"),
        (["process"], "Missing argument"),
        (["up", "--profile", "moon"], "there is no profile 'moon'"),
        (["models", "pull", "resnet"], "no weights are called 'resnet'"),
        (["models", "pull", "u2netp", "--from", "npm:nonsense"], "is no source of weights"),
        (["fly"], "No such command 'fly'"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    okla: Okla, folder: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    for name in ("EMPTY", "..."):
        (tmp_path / name).mkdir()
    (tmp_path / "..." / "1.jpg").write_bytes(pictures.jpeg(pictures.car()))
    places = {"FOLDER": folder, "EMPTY": tmp_path / "EMPTY", "NAMELESS": tmp_path / "..."}
    for name, place in places.items():
        arguments = [a.replace(name, str(place)) for a in arguments]
    said = okla(*arguments)
    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err
    assert "pydantic" not in said.err
    assert not (tmp_path / "media" / "processed").exists()


# --- into a bucket --------------------------------------------------------------------------------


def test_a_folder_becomes_a_listing_in_a_bucket(okla: Okla, folder: Path, s3_place: str) -> None:
    said = okla("process", folder, "--vehicle-id", "v1", "--out", s3_place)
    assert said.code == 0
    assert "v1: ready" in said.out
    store = store_for(s3_place)
    assert said.out.rstrip().splitlines()[-2:] == [
        store.url("processed/v1/index.html"),
        store.url("processed/v1/listing.json"),
    ]
    assert [i.key for i in store.list("raw/")] == ["raw/v1/photos/1.jpg", "raw/v1/photos/2.jpg"]
    assert store.stat("processed/v1/promo.mp4") is not None


@pytest.mark.parametrize("command", [["process", "FOLDER"], ["demo", "--no-open"], ["up"]])
def test_a_bucket_that_cannot_be_used_is_told_before_anything_is_started(
    okla: Okla,
    folder: Path,
    s3_place: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sample, "MEDIA", folder)
    arguments = [a.replace("FOLDER", str(folder)) for a in command]
    said = okla(*arguments, "--out", "s3://no-such-bucket")
    assert said.code == 1
    assert said.err.strip() == (
        "error: there is no bucket at s3://no-such-bucket: create it, or correct the media location"
    )
    assert said.out == ""
    assert not (tmp_path / "media").exists()


# --- okla demo ------------------------------------------------------------------------------------


def test_the_demo_makes_the_listing_of_the_sample(
    okla: Okla, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sample, "MEDIA", folder)  # the real one takes longer
    said = okla("demo")
    assert said.code == 0
    assert "sample: ready" in said.out
    assert {"sample/listing.json", "sample/index.html"} <= set(published(tmp_path))
    assert (tmp_path / "media" / "raw" / "sample" / "photos" / "1.jpg").is_file()
    gallery = tmp_path / "media" / "processed" / "sample" / "index.html"
    assert opened == [gallery.as_uri()]
    assert str(gallery) in said.out
    okla("demo", "--no-open")
    assert len(opened) == 1


# --- okla up and okla worker, before they start anything ------------------------------------------


def test_up_needs_its_port(okla: Okla) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = okla("up", "--port", str(port))
    assert said.code == 2
    assert f"port {port} of 127.0.0.1 is taken" in said.err


def test_two_of_them_do_not_share_a_folder(okla: Okla, dagster_home: Path) -> None:
    with FileLock(dagster_home / "up.lock"):
        said = okla("up", "--port", "0")
    assert said.code == 2
    assert f"another `okla up` works on {dagster_home}" in said.err


@pytest.mark.parametrize(
    ("set_up", "told"),
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
    okla: Okla, monkeypatch: pytest.MonkeyPatch, set_up: dict[str, str], told: str
) -> None:
    for name, value in set_up.items():
        monkeypatch.setenv(name, value)
    said = okla("worker")
    assert said.code == 1
    assert told in said.err


# --- the rest -------------------------------------------------------------------------------------


def test_the_schema_is_printed_for_other_programs(okla: Okla) -> None:
    said = okla("schema")
    assert said.code == 0
    assert json.loads(said.out) == listing_schema()


def test_the_models_are_listed_with_role_licence_and_whether_they_are_here(
    okla: Okla, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OKLA_MODELS_DIR", str(tmp_path / "models"))
    said = okla("models", "list")
    assert said.code == 0
    for weight in weights.catalogue():
        (row,) = [line for line in said.out.splitlines() if f" {weight.name} " in line]
        assert weight.role in row
        assert weight.upstream_licence in row
        assert "missing" in row
    assert str(tmp_path / "models") in said.out


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
heavy = ("dagster", "numpy", "cv2", "PIL", "onnxruntime", "torch", "pydantic")
print("imported:", [name for name in heavy if name in sys.modules])
"""
    )
    for command in ("process", "up", "models", "schema"):
        assert command in out
    assert out.rstrip().endswith("imported: []")


# --- Ctrl-C ---------------------------------------------------------------------------------------


def test_ctrl_c_leaves_nothing_half_and_the_same_command_goes_on(tmp_path: Path) -> None:
    folder, media = tmp_path / "v1", tmp_path / "media"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.jpg").write_bytes(pictures.jpeg(pictures.car(n)))
    command = [sys.executable, "-m", "tests.fake_okla", "process", str(folder)]
    command += ["--out", str(media)]
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
        said = child.stderr.read()
        assert child.wait(timeout=20) == 130
    assert "Traceback" not in said
    assert "Interrupted" not in said  # not the name of dagster's exception
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
    assert len(published(tmp_path)) == 3 * 4 + 2 + 3  # photos, pages, promo
    # What was finished before is not made again.
    assert (media / "processed/v1/exterior_001_processed.jpg").stat().st_mtime_ns == made

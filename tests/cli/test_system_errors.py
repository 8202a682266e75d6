"""What the system refuses: one sentence and an exit code, before the work where it can be known."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from okla_assets.cli.terminal import BAD_INPUT, FAILED
from okla_assets.runtime.instance import open_instance
from resources.errors import BrokenSetup
from resources.storage import whole_files
from resources.storage.media_store import LEAST_FREE, LocalMediaStore
from tests import pictures
from tests.cli.conftest import Command
from tests.conftest import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "car"
    path.mkdir()
    (path / "1.jpg").write_bytes(pictures.jpeg(pictures.car()))
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, just large enough to begin; a test may fill it or make it read-only."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={LEAST_FREE + 2**23}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "none", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            os.write(file.fileno(), b"\1" * 4096)


COMMANDS = [
    ["process", "FOLDER"],
    ["up"],
    ["status"],
    ["trace", "v1"],
    ["backfill"],
    ["archive", "v1"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: str(arguments[0]))
def test_a_media_folder_that_is_a_file_is_refused(
    command: Command, folder: Path, tmp_path: Path, arguments: list[str]
) -> None:
    file = tmp_path / "media"
    file.write_bytes(b"mine")
    result = command(*(a.replace("FOLDER", str(folder)) for a in arguments), "--out", file)
    assert result.code == BAD_INPUT
    assert result.err == f"error: {file} is a file; give a folder for the media\n"
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: str(arguments[0]))
def test_a_media_folder_below_a_file_is_refused(
    command: Command, folder: Path, arguments: list[str]
) -> None:
    below = folder / "1.jpg" / "media"
    result = command(*(a.replace("FOLDER", str(folder)) for a in arguments), "--out", below)
    assert result.code == FAILED
    assert result.err.startswith("error: ")
    assert result.err.rstrip().endswith("Not a directory")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: str(arguments[0]))
def test_a_read_only_disk_is_told_before_the_work(
    command: Command, folder: Path, disk: Path, arguments: list[str]
) -> None:
    out = disk / "media"
    out.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    result = command(*(a.replace("FOLDER", str(folder)) for a in arguments), "--out", out)
    assert result.code == FAILED
    assert result.err.startswith("error: ")
    assert "Read-only file system; choose a folder that can be written" in result.err
    assert result.err.count("\n") == 1


def test_a_disk_without_room_is_told_before_the_work(
    command: Command, folder: Path, disk: Path
) -> None:
    with (folder / "turn.mp4").open("wb") as video:
        video.truncate(50 * 2**20)
    result = command("process", folder, "--out", disk / "media")
    assert result.code == FAILED
    assert "MB left, and this takes about 150 MB; free some space or choose" in result.err
    assert not (disk / "media" / "raw").exists()


@pytest.mark.slow
def test_a_disk_that_fills_up_in_a_run_is_told_and_the_run_can_go_on(
    folder: Path, disk: Path
) -> None:
    (folder / "2.jpg").write_bytes(pictures.jpeg(pictures.car(2)))
    okla = [sys.executable, "-m", "tests.fake_okla", "process", str(folder)]
    okla += ["--out", str(disk / "media"), "-o", "promo=false"]
    environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "OKLA_PROFILE")}
    with subprocess.Popen(
        okla,
        env=environment | {"OKLA_TEST_WAIT_AT": "2", "OKLA_TEST_WAIT_SECONDS": "5"},
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "waiting\n"
        fill(disk)
        printed = child.stderr.read()
        assert child.wait() == FAILED
    assert "No space left on device; free some space; the same command then goes on" in printed
    assert "Traceback" not in printed
    (disk / "filler").unlink()
    again = subprocess.run(okla, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "car: ready" in again.stdout


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_store_that_cannot_be_written_is_a_broken_setup(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(whole_files, "_date_after", refuse)
    with pytest.raises(BrokenSetup) as told:
        store.put("a/b", b"1")
    reason = f"{store.folder} cannot be written: {os.strerror(number)}; "
    assert str(told.value).startswith(reason)
    assert list((store.folder / ".tmp").iterdir()) == []


def test_the_source_of_an_import_is_not_taken_for_the_store(
    store: LocalMediaStore, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        store.put_file("a/b", tmp_path / "gone.jpg")


def test_records_on_a_full_disk_are_told(disk: Path) -> None:
    with open_instance(disk / "media"):
        pass
    fill(disk)
    told = pytest.raises(BrokenSetup, match="No space left on device; free some space")
    with told, open_instance(disk / "media") as instance:
        instance.add_dynamic_partitions("vehicles", [f"v{n}" for n in range(10_000)])


# --- output ---------------------------------------------------------------------------------------


def okla(*arguments: str, **how: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "okla_assets", *arguments],
        cwd=REPOSITORY,
        text=True,
        stderr=subprocess.PIPE,
        **how,
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        result = okla("schema", stdout=full)
    assert result.returncode == FAILED
    assert result.stderr == (
        "error: No space left on device; free some space; the same command then goes on\n"
    )


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = okla("schema", stdout=writing)
    finally:
        os.close(writing)
    assert result.stderr == ""


def test_a_name_that_the_terminals_encoding_has_not_is_printed_all_the_same(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"R\xe4der") + "\U0001f697"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = okla("process", str(tmp_path / name), stdout=subprocess.DEVNULL, env=environment)
    assert result.returncode == BAD_INPUT
    assert r"R\udce4der\U0001f697 is not a folder" in result.stderr


def test_options_nested_without_end_are_refused(command: Command, folder: Path) -> None:
    result = command("process", folder, "-o", "hotspots=" + "[" * 100_000)
    assert result.code == BAD_INPUT
    assert result.err.startswith("error: option hotspots cannot be [[[[")
    assert len(result.err) < 300

"""`okla send` against a real door, whose jobs are ended by hand."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from okla_assets.cli import send
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import Problem
from okla_assets.doors.server import make_app
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from tests.cli.conftest import Command
from tests.doors.conftest import answering, door_on
from tests.doors.ended import end, image_made, spin_made, with_keys


@pytest.fixture
def door(store: LocalMediaStore) -> Door:
    return with_keys(door_on(store))


@pytest.fixture
def url(door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The door's address; a job ends as soon as it has come, failed where its vehicle is BAD."""
    monkeypatch.setenv("OKLA_API_KEY", "dealer")
    stop = threading.Event()

    def dispatch() -> None:
        while not stop.wait(0.05):
            for job in door.jobs.unfinished():
                _end(door, job)

    thread = threading.Thread(target=dispatch)
    thread.start()
    try:
        with answering(make_app(door)) as url:
            yield url
    finally:
        stop.set()
        thread.join()


def _end(door: Door, job: Job) -> None:
    if job.request.vehicle == "BAD":
        end(door, job, "failed", problem=Problem(code="no_vehicle", detail="there is no car on it"))
    elif job.request.operation is Operation.spin:
        end(door, job, result=spin_made(door, job))
    else:
        end(door, job, result=image_made(door, job))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / 'my "best" photo ü.jpg'
    path.write_bytes(b"\xff\xd8 a photo " * 100_000)
    return path


def test_a_photo_is_sent_and_what_was_made_is_fetched(
    door: Door, url: str, photo: Path, tmp_path: Path, command: Command
) -> None:
    to = tmp_path / "results"
    done = command("send", photo, "--url", url, "--to", to, "-o", "background_id=white_studio")
    assert done.code == 0, done.err
    assert "completed" in done.out and "category Exterior" in done.out
    assert (to / "exterior_001_processed.jpg").read_bytes() == b"finished"
    assert (to / "exterior_001_mask.png").read_bytes() == b"mask"
    ((job_id, *_),) = door.jobs.of_caller("dealer")
    job = door.jobs.get(job_id)
    assert job.request.operation is Operation.background
    assert job.request.options == {"background_id": "white_studio"}
    (source,) = job.request.sources
    assert source.name == photo.name.replace('"', "%22")


def test_what_is_sent_is_the_file(
    door: Door, url: str, photo: Path, tmp_path: Path, command: Command
) -> None:
    assert command("send", photo, "--url", url, "--to", tmp_path / "r").code == 0
    ((job_id, *_),) = door.jobs.of_caller("dealer")
    (source,) = door.jobs.get(job_id).request.sources
    assert source.file is not None
    assert source.file.endswith(hashlib.sha256(photo.read_bytes()).hexdigest())


def test_a_spin_comes_as_its_frames(
    url: str, tmp_path: Path, photo: Path, command: Command
) -> None:
    video = photo.rename(tmp_path / "walk.mp4")
    to = tmp_path / "results"
    arguments = ("send", video, "--url", url, "--to", to, "--operation", "generate-360")
    done = command(*arguments, "--vehicle", "CAR-1", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["status"] == "completed"
    assert len(told["files"]) == 8 == len(list(to.iterdir()))
    assert command(*arguments).code == 2


def test_a_job_that_fails_says_why(url: str, photo: Path, command: Command) -> None:
    done = command("send", photo, "--url", url, "--vehicle", "BAD")
    assert done.code == 1
    assert "there is no car on it" in done.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such.jpg"], "there is no file no-such.jpg"),
        (["-o", "colour=red"], "there is no option 'colour'"),
        (["--vehicle", "../x"], "the door answers 400"),
        (["--key", "spent"], "no pictures are left this month"),
        (["--key", ""], "give --key or OKLA_API_KEY"),
        (["--operation", "classify-image", "--vehicle", "photos"], "folders of pictures"),
    ],
)
def test_mistakes_are_one_sentence(
    url: str, photo: Path, command: Command, arguments: list[str], sentence: str
) -> None:
    done = command("send", photo, "--url", url, *arguments)
    assert done.code == 2
    assert sentence in done.err
    assert "Traceback" not in done.err


def test_where_nobody_answers_it_says_so(photo: Path, command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = command("send", photo, "--url", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert done.code == 1
    assert "start `okla serve`" in done.err


def test_a_file_keeps_to_its_folder(tmp_path: Path) -> None:
    door = send._Door("http://127.0.0.1:1", "")
    for address in ("http://127.0.0.1:1/", "http://127.0.0.1:1/a/..", "http://127.0.0.1:1/%2e%2e"):
        with pytest.raises(BadInput, match="which is none"):
            door.fetch(address, tmp_path / "results")
    assert not (tmp_path / "results").exists()

"""Uploads in parts, over real HTTP: broken off, gone on with, and never taken half."""

import base64
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from okla_assets import keys
from okla_assets.doors import server
from okla_assets.doors.callers import records as caller_records
from okla_assets.doors.callers.stored import StoredCallers
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.routers import uploads as router
from okla_assets.doors.server import make_app
from okla_assets.doors.uploads import resumable
from okla_assets.doors.uploads.received import Received, take
from okla_assets.doors.uploads.resumable import Uploads
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import Serve
from tests.doors.places import CAR, PHOTO, VIDEO
from tests.rabbitmq import free_ports
from tests.running import wait_for

TUS = {"Tus-Resumable": "1.0.0"}
PART = TUS | {"Content-Type": "application/offset+octet-stream"}
BIG = VIDEO + os.urandom(3 * 2**20)


def facts(vehicle: str = CAR, filename: str = "turn.mp4") -> str:
    """The metadata of an upload, as the protocol writes it."""
    told = {"vehicle": vehicle, "filename": filename}
    return ",".join(f"{n} {base64.b64encode(v.encode()).decode()}" for n, v in told.items())


@pytest.fixture
def url(door: Door, serve: Serve) -> str:
    return serve(make_app(door)) + "/api/uploads"


def begin(url: str, length: int, **headers: str) -> str:
    """The address of a new upload."""
    told = {"Upload-Length": str(length), "Upload-Metadata": facts()} | headers
    answer = requests.post(url, headers=TUS | told, timeout=5)
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert "GMT" in answer.headers["upload-expires"]
    return str(answer.headers["location"])


def offset(place: str) -> int:
    answer = requests.head(place, headers=TUS, timeout=5)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


def send(place: str, data: bytes, start: int, **headers: str) -> requests.Response:
    told = PART | {"Upload-Offset": str(start)} | headers
    return requests.patch(place, data=data, headers=told, timeout=30)


def test_a_file_in_parts_becomes_the_vehicles_with_its_last_byte(
    url: str, store: LocalMediaStore
) -> None:
    place = begin(url, len(BIG))
    assert offset(place) == 0
    for start in range(0, len(BIG), 1_000_000):
        assert list(store.list(keys.RAW)) == []
        answer = send(place, BIG[start : start + 1_000_000], start)
        assert answer.status_code == 204
        assert int(answer.headers["upload-offset"]) == min(start + 1_000_000, len(BIG))
    told = requests.get(place, timeout=5).json()
    assert told["vehicleId"] == CAR
    assert store.get(told["received"]["key"]) == BIG
    assert told["received"]["key"].startswith(keys.raw_videos(CAR) + "turn-")
    assert offset(place) == len(BIG)
    assert [info.key.rpartition("/")[2] for info in store.list(keys.UPLOADS)] == ["upload.json"]


def test_parts_larger_than_ours_are_cut(
    url: str, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "PART_BYTES", 10_001)
    place = begin(url, len(BIG))
    assert send(place, BIG, 0).status_code == 204
    key = requests.get(place, timeout=5).json()["received"]["key"]
    assert store.get(key) == BIG


def sending(place: str, length: int) -> http.client.HTTPConnection:
    """A connection that has begun to send the upload's first part, of `length` bytes."""
    parts = urlsplit(place)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    connection.putrequest("PATCH", parts.path)
    for name, value in (PART | {"Upload-Offset": "0", "Content-Length": str(length)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def test_what_came_before_the_connection_broke_is_kept(url: str, store: LocalMediaStore) -> None:
    place = begin(url, len(BIG))
    connection = sending(place, len(BIG))
    connection.send(BIG[:700_000])
    connection.close()
    until = time.monotonic() + 5
    while (there := offset(place)) == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert 0 < there <= 700_000
    assert send(place, BIG[there:], there).status_code == 204
    assert store.get(requests.get(place, timeout=5).json()["received"]["key"]) == BIG


def test_a_sender_gives_way_to_the_next_and_what_he_has_sent_is_kept(
    url: str, store: LocalMediaStore
) -> None:
    """A phone that changes its network sends on by another connection; the first one is lost, and
    nobody tells the server."""
    place = begin(url, len(BIG))
    connection = sending(place, len(BIG))
    connection.send(BIG[:700_000])
    # Asked too early, the second would be the first, and the other the one that gives way.
    wait_for(lambda: place.rpartition("/")[2] in router._busy, 5)
    time.sleep(0.3)
    there = 0
    while (answer := send(place, BIG[there:], there)).status_code == 409:
        before, there = there, int(answer.headers["Upload-Offset"])
        assert before < there <= 700_000
    assert answer.status_code == 204
    lost = connection.getresponse()
    assert (lost.status, lost.headers["Tus-Resumable"]) == (423, "1.0.0")
    connection.close()
    assert store.get(requests.get(place, timeout=5).json()["received"]["key"]) == BIG


Slow = tuple[threading.Event, threading.Event]


@pytest.fixture
def slow_store(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Complete uploads take their time to be stored: set when one is, and to let it go on."""
    storing, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Received:
        storing.set()
        go_on.wait(10)
        return take(*args)

    monkeypatch.setattr(resumable, "take", slow)
    return storing, go_on


def test_of_two_senders_the_one_that_was_finished_meanwhile_is_told_so(
    url: str, slow_store: Slow
) -> None:
    storing, go_on = slow_store
    place = begin(url, len(VIDEO))
    with ThreadPoolExecutor(2) as senders:
        first = senders.submit(send, place, VIDEO, 0)
        assert storing.wait(5)
        second = senders.submit(send, place, VIDEO, 0)
        time.sleep(0.3)
        go_on.set()
        assert first.result().status_code == 204
        answer = second.result()
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, str(len(VIDEO)))


def test_a_sender_who_cannot_give_way_is_not_waited_for_long(
    url: str, slow_store: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "GIVE_WAY_SECONDS", 0.2)
    storing, go_on = slow_store
    place = begin(url, len(VIDEO))
    with ThreadPoolExecutor(1) as sender:
        first = sender.submit(send, place, VIDEO, 0)
        assert storing.wait(5)
        assert send(place, VIDEO, 0).status_code == 423
        go_on.set()
        assert first.result().status_code == 204


def test_a_sender_who_falls_silent_is_let_go(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUIET_SECONDS", 0.2)
    place = begin(url, len(BIG))

    def slow() -> Iterator[bytes]:
        yield BIG[:1000]
        time.sleep(1)
        yield BIG[1000:]

    told = PART | {"Upload-Offset": "0"}
    answer = requests.patch(place, data=slow(), headers=told, timeout=30)
    assert answer.status_code == 408
    assert offset(place) == 1000


def test_one_request_at_a_time_finishes_an_upload(
    url: str, store: LocalMediaStore, slow_store: Slow
) -> None:
    """While it is being stored, nothing else finishes it or gives it up."""
    storing, go_on = slow_store
    place = begin(url, len(VIDEO))
    with ThreadPoolExecutor(1) as sender:
        last = sender.submit(send, place, VIDEO, 0)
        assert storing.wait(5)
        assert requests.head(place, headers=TUS, timeout=5).status_code == 423
        assert requests.delete(place, headers=TUS, timeout=5).status_code == 423
        assert requests.get(place, timeout=5).json()["received"] is None
        go_on.set()
        assert last.result().status_code == 204
    assert offset(place) == len(VIDEO)
    assert store.get(requests.get(place, timeout=5).json()["received"]["key"]) == VIDEO


def test_a_sender_may_ask_how_far_he_is_while_he_sends(url: str) -> None:
    place = begin(url, len(BIG))
    connection = sending(place, 10)
    connection.send(BIG[:5])
    assert offset(place) == 0
    connection.close()


def test_an_upload_that_another_process_finishes_is_not_refused(
    url: str, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers of a store both read that it is complete; the slower one finds its parts gone."""
    place = begin(url, len(VIDEO))
    taking = Uploads(store, photo_bytes=50 * 2**20)
    with monkeypatch.context() as patch:
        patch.setattr(Uploads, "finish", lambda self, upload: upload)
        assert send(place, VIDEO, 0).status_code == 204
    upload = taking.get(place.rpartition("/")[2], None)
    done = taking.finish(upload)
    assert done.received is not None
    assert taking.finish(upload) == done  # which was read before
    with monkeypatch.context() as patch:
        patch.setattr(Uploads, "get", lambda self, *_: upload)
        with pytest.raises(DoorError) as refused:
            taking.finish(upload)
    assert refused.value.status == 409
    assert taking.get(upload.id, None) == done
    assert offset(place) == len(VIDEO)


@pytest.mark.parametrize(
    ("headers", "start", "status"),
    [
        ({}, 5, 409),
        ({"Upload-Offset": "-1"}, 0, 400),
        ({"Upload-Offset": "x"}, 0, 400),
        ({"Upload-Offset": "9" * 40}, 0, 400),
        ({"Content-Type": "application/json"}, 0, 415),
        ({"Tus-Resumable": "0.2.2"}, 0, 412),
    ],
)
def test_a_part_that_does_not_fit_is_refused(
    url: str, headers: dict[str, str], start: int, status: int
) -> None:
    place = begin(url, 10_000)
    answer = send(place, b"x" * 10, start, **headers)
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert offset(place) == 0


def test_more_than_was_told_is_refused(url: str, store: LocalMediaStore) -> None:
    place = begin(url, 10)
    assert send(place, bytes(11), 0).status_code == 413
    assert offset(place) == 0
    assert list(store.list(keys.RAW)) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "-5"}, 400),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": ""}, 400),
        ({"Upload-Length": str(2**40)}, 413),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "vehicle"}, 400),
        ({"Upload-Metadata": "vehicle !!!"}, 400),
        ({"Upload-Metadata": "vehicle /w=="}, 400),
        ({"Upload-Metadata": facts("../x")}, 400),
        ({"Upload-Metadata": facts("photos")}, 400),
        ({"Upload-Metadata": facts("job-3f2504e0-4f89-41d3-9a0c-0305e82c3301")}, 400),
        ({"Tus-Resumable": "0.1"}, 412),
    ],
)
def test_an_upload_that_cannot_be_is_not_begun(
    url: str, store: LocalMediaStore, headers: dict[str, str], status: int
) -> None:
    told = TUS | {"Upload-Length": "10", "Upload-Metadata": facts()} | headers
    answer = requests.post(url, headers=told, timeout=5)
    assert answer.status_code == status, answer.text
    assert list(store.list(keys.UPLOADS)) == []


def test_what_is_neither_photo_nor_video_is_refused_at_its_end_and_for_ever(
    url: str, store: LocalMediaStore
) -> None:
    place = begin(url, 1000)
    assert send(place, bytes(1000), 0).status_code == 415
    assert requests.head(place, headers=TUS, timeout=5).status_code == 415
    assert "neither a photo" in requests.get(place, timeout=5).json()["refused"]
    assert list(store.list(keys.RAW)) == []
    assert send(place, b"", 0).status_code == 415


def test_a_photo_has_the_limit_of_photos(door: Door, serve: Serve) -> None:
    url = serve(make_app(replace(door, photo_bytes=100))) + "/api/uploads"
    place = begin(url, len(PHOTO), **{"Upload-Metadata": facts(filename="a.jpg")})
    assert send(place, PHOTO, 0).status_code == 413


def test_an_upload_is_given_up_or_forgotten_after_a_day(
    url: str, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, old = begin(url, 100), begin(url, 100)
    for place in (gone, old):
        send(place, b"x" * 10, 0)
    assert requests.delete(gone, headers=TUS, timeout=5).status_code == 204
    assert requests.head(gone, headers=TUS, timeout=5).status_code == 404

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=25)

    monkeypatch.setattr(resumable, "datetime", Later)
    assert requests.head(old, headers=TUS, timeout=5).status_code == 404
    begin(url, 100)
    assert len(list(store.list(keys.UPLOADS))) == 1


def test_clients_that_know_no_patch_name_it(url: str, store: LocalMediaStore) -> None:
    place = begin(url, len(VIDEO))
    told = PART | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert requests.post(place, data=VIDEO, headers=told, timeout=5).status_code == 204
    assert requests.post(place, headers=TUS, timeout=5).status_code == 405
    told = TUS | {"X-HTTP-Method-Override": "DELETE"}
    assert requests.post(place, headers=told, timeout=5).status_code == 204
    assert len(list(store.list(keys.raw_videos(CAR)))) == 1  # it is the vehicle's


def test_what_is_offered_is_told(url: str) -> None:
    answer = requests.options(url, timeout=5)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert "creation" in answer.headers["tus-extension"]
    assert int(answer.headers["tus-max-size"]) == 500 * 2**20


def test_an_upload_is_its_callers_alone(door: Door, store: LocalMediaStore, serve: Serve) -> None:
    keys_of = {n: caller_records.create(store, n, ["vehicles"]) for n in ("ann", "bob")}
    callers = StoredCallers(store, Settings())
    url = serve(make_app(replace(door, callers=callers))) + "/api/uploads"
    place = begin(url, 100, **{"X-Api-Key": keys_of["ann"]})
    other = {"X-Api-Key": keys_of["bob"]}
    assert requests.get(place, headers=other, timeout=5).status_code == 404
    assert send(place, b"x", 0, **other).status_code == 404
    assert requests.delete(place, headers=TUS | other, timeout=5).status_code == 404
    assert send(place, b"x", 0).status_code == 401
    told = TUS | other | {"Upload-Length": "10", "Upload-Metadata": facts()}
    assert requests.post(url, headers=told, timeout=5).status_code == 403


SERVER = """
import sys
from okla_assets.doors.callers.caller import Anybody
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.links import Links
from okla_assets.doors.routers import uploads
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
import uvicorn
uploads.PART_BYTES = 100_000
store = LocalMediaStore(root=sys.argv[1])
app = make_app(Door(store, Jobs(store), Anybody(), Links(store, b"secret")))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""


@pytest.mark.slow
def test_a_killed_server_loses_one_part_at_most(tmp_path: Path, store: LocalMediaStore) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api/uploads"
    server = _server(store, port)
    place = begin(url, len(BIG))
    parts = urlsplit(place)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.putrequest("PATCH", parts.path)
    for name, value in (PART | {"Upload-Offset": "0", "Content-Length": str(len(BIG))}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(BIG[:1_250_000])
    until = time.monotonic() + 10
    while sum(info.size for info in store.list(keys.UPLOADS)) < 800_000:
        assert time.monotonic() < until
        time.sleep(0.02)
    server.send_signal(signal.SIGKILL)
    server.wait()
    connection.close()
    server = _server(store, port)
    try:
        there = offset(place)
        assert 700_000 < there <= 1_250_000
        assert send(place, BIG[there:], there).status_code == 204
        assert store.get(requests.get(place, timeout=5).json()["received"]["key"]) == BIG
    finally:
        server.kill()
        server.wait()


def _server(store: LocalMediaStore, port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(store.folder), str(port)])
    until = time.monotonic() + 30
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/health", timeout=1)
            return process
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)

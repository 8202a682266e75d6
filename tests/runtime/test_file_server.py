"""What a browser gets of the file server, and what nobody gets."""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from okla_assets.runtime.file_server import serving
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from resources.storage.parts import PIECE
from resources.storage.s3_store import S3MediaStore
from resources.storage.stores import store_for
from tests.rabbitmq import free_ports
from tests.s3_servers import Front

PICTURE = b"\xff\xd8" + bytes(range(256)) * 8


@pytest.fixture
def address(store: LocalMediaStore) -> Iterator[str]:
    store.put("processed/v1/index.html", b"<h1>gallery</h1>")
    store.put("processed/v1/a b#1.jpg", PICTURE)
    store.put("work/v1/tables/masks.json", b"{}")
    for private in ("raw/v1/photos/a.jpg", "private/v1/a.jpg", "brand/logo.png"):
        store.put(private, b"secret plate")
    (store.folder / "processed" / "v1" / "out").symlink_to(store.folder / "raw" / "v1")
    (store.folder / "processed" / "v1" / ".hidden").write_bytes(b"secret plate")
    with serving(store, None, 0) as address:
        yield address


def ask(
    address: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Sends the path as it is: clients of other kinds would tidy it up."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def test_the_links_of_the_store_open(
    address: str, store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_FILES_URL", address)
    for key, kind, body in (
        ("processed/v1/index.html", "text/html; charset=utf-8", b"<h1>gallery</h1>"),
        ("processed/v1/a b#1.jpg", "image/jpeg", PICTURE),
        ("work/v1/tables/masks.json", "application/json", b"{}"),
    ):
        link = store.link(key)
        assert link is not None
        assert link.startswith(address)
        status, headers, got = ask(address, link.removeprefix(address))
        assert (status, headers["content-type"], got) == (200, kind, body)
    folder = store.link("processed/v1/")
    assert folder is not None
    status, _, page = ask(address, folder.removeprefix(address))
    assert status == 200
    assert b'<a href="a%20b%231.jpg">a b#1.jpg</a>' in page
    assert b"hidden" not in page
    assert store.link("raw/v1/photos/a.jpg") is None
    assert store.link("private/v1/a.jpg") is None


@pytest.mark.parametrize(
    "path",
    [
        "/raw/v1/photos/a.jpg",
        "/private/v1/a.jpg",
        "/brand/logo.png",
        "/.dagster/dagster.yaml",
        "/processed/../raw/v1/photos/a.jpg",
        "/processed/%2e%2e/raw/v1/photos/a.jpg",
        "/processed/v1/..%2f..%2fraw/v1/photos/a.jpg",
        "/processed/v1/..\\..\\raw\\v1\\photos\\a.jpg",
        "/processed//raw/v1/photos/a.jpg",
        "//raw/v1/photos/a.jpg",
        "/processed/v1/out/photos/a.jpg",
        "/processed/v1/out/",
        "/processed/v1/.hidden",
        "/processed/v1/%00",
        "/etc/passwd",
        "//etc/passwd",
        "/processed",
        "/processed/v1",
        "/processed/v1/none.jpg",
    ],
)
def test_nothing_else_is_served(address: str, path: str) -> None:
    status, _, body = ask(address, path)
    assert status == 404
    assert b"secret" not in body
    assert b"root:" not in body


def test_it_is_read_only_and_for_this_machine(address: str, store: LocalMediaStore) -> None:
    for method in ("PUT", "DELETE", "POST"):
        assert ask(address, "/processed/v1/index.html", method)[0] == 501
    assert store.get("processed/v1/index.html") == b"<h1>gallery</h1>"
    assert ask(address, "/processed/v1/index.html", Host="evil.example.com")[0] == 403
    assert urlsplit(address).hostname == "127.0.0.1"
    status, headers, body = ask(address, "/processed/v1/a%20b%231.jpg", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(PICTURE)), b"")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-9", 206, PICTURE[:10]),
        ("bytes=2000-", 206, PICTURE[2000:]),
        ("bytes=-5", 206, PICTURE[-5:]),
        ("bytes=0-999999", 206, PICTURE),
        ("bytes=999999-", 416, b""),
        ("lines=1-2", 200, PICTURE),
    ],
)
def test_a_video_can_be_sought(address: str, asked: str, status: int, body: bytes) -> None:
    got = ask(address, "/processed/v1/a%20b%231.jpg", Range=asked)
    assert (got[0], got[2]) == (status, body)


def test_a_private_bucket_is_served_too(s3_place: str) -> None:
    store = store_for(s3_place)
    store.put("processed/v1/index.html", b"<h1>gallery</h1>")
    store.put("raw/v1/photos/a.jpg", b"secret plate")
    with serving(store, None, 0) as address:
        assert ask(address, "/processed/v1/index.html")[2] == b"<h1>gallery</h1>"
        assert ask(address, "/raw/v1/photos/a.jpg")[0] == 404
        assert b"index.html" in ask(address, "/processed/v1/")[2]


def test_a_part_of_a_film_in_a_bucket_is_all_that_is_read(front: Front, s3_place: str) -> None:
    store, film = store_for(s3_place), os.urandom(3 * PIECE + 7)
    store.put("processed/v1/promo.mp4", film)
    before = front.sent
    with serving(store, None, 0) as address:
        part = ask(address, "/processed/v1/promo.mp4", Range="bytes=5000000-5000099")
        assert (part[0], part[2]) == (206, film[5_000_000:5_000_100])
        assert front.sent - before == 100
        assert ask(address, "/processed/v1/promo.mp4")[2] == film


def test_a_bucket_that_cannot_be_read_is_told(front: Front, s3_place: str) -> None:
    store = store_for(s3_place)
    store.put("processed/v1/index.html", b"<h1>gallery</h1>")
    assert isinstance(store, S3MediaStore)
    with serving(store.model_copy(update={"max_attempts": 1}), None, 0) as address:
        for answer in (503, 403):
            front.answers = [answer]
            status, _, body = ask(address, "/processed/v1/index.html")
            assert status == 503
            assert s3_place.encode() in body


def test_a_port_that_is_taken_is_named_where_it_was_asked_for(
    store: LocalMediaStore, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    with serving(store, port, 0) as first:
        assert first.endswith(f":{port}")
        with pytest.raises(BadInput, match=f"port {port} .*--files-port"), serving(store, port, 0):
            pass
        with serving(store, None, port) as second:
            assert second != first

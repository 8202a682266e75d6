"""Files as answers, from a folder and from a bucket: whole, in ranges, and not twice."""

import os
from dataclasses import replace

import pytest
import requests

from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.parts import PIECE
from resources.storage.stores import store_for
from tests.doors.conftest import Serve
from tests.doors.routers.test_uploads import BIG, begin, offset, send
from tests.s3_servers import Front

KEY = "processed/CAR-1/promo.mp4"


@pytest.fixture(params=["folder", "bucket"])
def media(request: pytest.FixtureRequest, store: LocalMediaStore) -> MediaStore:
    """A folder, then a bucket behind real HTTP."""
    if request.param == "folder":
        return store
    return store_for(request.getfixturevalue("s3_place"))


@pytest.fixture
def url(door: Door, media: MediaStore, serve: Serve) -> str:
    links = replace(door.links, store=media)
    return serve(make_app(replace(door, store=media, jobs=Jobs(media), links=links)))


def test_a_link_leads_to_a_file_in_ranges(url: str, door: Door, media: MediaStore) -> None:
    media.put(KEY, bytes(range(250)))
    link = door.links.to(KEY, url)
    whole = requests.get(link, timeout=10)
    assert (whole.status_code, whole.content) == (200, bytes(range(250)))
    part = requests.get(link, headers={"Range": "bytes=10-19"}, timeout=10)
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/250"
    assert requests.head(link, timeout=10).headers["content-length"] == "250"
    etag = whole.headers["etag"]
    for known in (etag, f"W/{etag}", f'"another", {etag}'):
        assert requests.get(link, headers={"If-None-Match": known}, timeout=10).status_code == 304
    media.delete(KEY)
    assert requests.get(link, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=-5", 206, bytes(range(245, 250))),
        ("bytes=240-", 206, bytes(range(240, 250))),
        ("bytes=240-9999", 206, bytes(range(240, 250))),
        ("bytes=250-", 416, None),
        ("bytes=0-1,5-6", 200, bytes(range(250))),
        ("lines=1-2", 200, bytes(range(250))),
    ],
)
def test_ranges_of_every_kind(
    url: str, door: Door, media: MediaStore, asked: str, status: int, body: bytes | None
) -> None:
    media.put(KEY, bytes(range(250)))
    got = requests.get(door.links.to(KEY, url), headers={"Range": asked}, timeout=10)
    assert got.status_code == status
    if body is None:
        assert got.headers["content-range"] == "bytes */250"
    else:
        assert got.content == body


def test_parts_of_two_files_are_never_joined(url: str, door: Door, media: MediaStore) -> None:
    media.put(KEY, b"the first film")
    link = door.links.to(KEY, url)
    had = {"Range": "bytes=4-8", "If-Range": requests.get(link, timeout=10).headers["etag"]}
    assert requests.get(link, headers=had, timeout=10).content == b"first"
    media.put(KEY, b"another film")
    anew = requests.get(link, headers=had, timeout=10)
    assert (anew.status_code, anew.content) == (200, b"another film")


def test_a_part_of_a_large_file_is_all_that_is_read(
    front: Front, s3_place: str, door: Door, serve: Serve
) -> None:
    media, data = store_for(s3_place), os.urandom(3 * PIECE + 7)
    links = replace(door.links, store=media)
    url = serve(make_app(replace(door, store=media, jobs=Jobs(media), links=links)))
    media.put(KEY, data)
    link = links.to(KEY, url)
    before = front.sent
    part = requests.get(link, headers={"Range": "bytes=5000000-5000099"}, timeout=10)
    assert part.content == data[5_000_000:5_000_100]
    assert front.sent - before == 100
    assert requests.get(link, timeout=10).content == data
    assert front.sent - before == 100 + len(data)


def test_an_upload_in_parts_goes_where_the_media_are(url: str, media: MediaStore) -> None:
    place = begin(url + "/api/uploads", len(BIG))
    assert send(place, BIG[:2_000_000], 0).status_code == 204
    assert offset(place) == 2_000_000
    assert send(place, BIG[2_000_000:], 2_000_000).status_code == 204
    assert media.get(requests.get(place, timeout=10).json()["received"]["key"]) == BIG

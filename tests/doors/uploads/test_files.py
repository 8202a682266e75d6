"""Files as answers, from a folder and from a bucket: whole, in ranges, and not twice."""

from dataclasses import replace

import pytest
import requests

from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Jobs
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore, MediaStore
from resources.storage.stores import store_for
from tests.doors.conftest import Serve
from tests.doors.routers.test_uploads import BIG, begin, offset, send

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
    etag = {"If-None-Match": whole.headers["etag"]}
    assert requests.get(link, headers=etag, timeout=10).status_code == 304
    media.delete(KEY)
    assert requests.get(link, timeout=10).status_code == 404


def test_an_upload_in_parts_goes_where_the_media_are(url: str, media: MediaStore) -> None:
    place = begin(url + "/api/uploads", len(BIG))
    assert send(place, BIG[:2_000_000], 0).status_code == 204
    assert offset(place) == 2_000_000
    assert send(place, BIG[2_000_000:], 2_000_000).status_code == 204
    assert media.get(requests.get(place, timeout=10).json()["received"]["key"]) == BIG

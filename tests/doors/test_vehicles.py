"""Vehicles over real HTTP: what a caller sees of his own, and nothing of another's."""

import hashlib
import io
import json
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest
import requests

from okla_assets import keys
from okla_assets.doors import caller_records
from okla_assets.doors.door import Door
from okla_assets.doors.requests import checked
from okla_assets.doors.server import make_app
from okla_assets.doors.stored_callers import StoredCallers
from okla_assets.vehicle_runs import vehicles
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests import pictures
from tests.doors.conftest import Serve
from tests.fakes import Pipeline

CAR = keys.parse_vehicle_id("CAR-1")
PHOTO = pictures.jpeg(pictures.car())
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000)


@dataclass(frozen=True)
class Client:
    """One caller at a door."""

    url: str
    key: str

    def __call__(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"X-Api-Key": self.key} | given.pop("headers", {})
        url = f"{self.url}/api/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **given)


@dataclass(frozen=True)
class Place:
    """A door with three callers: two that know nothing of each other, and one that sees all."""

    door: Door
    ann: Client
    bob: Client
    boss: Client


@pytest.fixture
def place(door: Door, store: LocalMediaStore, instance: dg.DagsterInstance, serve: Serve) -> Place:
    made = [caller_records.create(store, name, ["jobs", "vehicles"]) for name in ("ann", "bob")]
    made.append(caller_records.create(store, "boss", ["admin"]))
    callers = StoredCallers(store, Settings())
    open_door = replace(door, callers=callers, instance=lambda: instance, upload_bytes=80 * 2**20)
    url = serve(make_app(open_door))
    return Place(open_door, *(Client(url, key) for key in made))


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Files of a form."""
    return [("file", file) for file in files]


def test_photos_and_videos_become_uploads_once(place: Place, store: LocalMediaStore) -> None:
    two_of_a_name = form(("image.jpg", PHOTO), ("image.jpg", PHOTO + b"x"))
    answer = place.ann("POST", f"vehicles/{CAR}/photos", files=two_of_a_name)
    assert answer.status_code == 201
    told = answer.json()
    assert told["vehicleId"] == CAR
    one, two = told["files"]
    assert one["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert one["name"] == f"image-{one['sha256'][:8]}.jpg" != two["name"]
    assert store.get(one["key"]) == PHOTO
    assert store.get(two["key"]) == PHOTO + b"x"
    path, jpeg = f"vehicles/{CAR}/photos?filename=image.jpg", {"Content-Type": "image/jpeg"}
    again = place.ann("POST", path, data=PHOTO, headers=jpeg)
    assert again.json()["files"] == [one]
    video = place.ann("POST", f"vehicles/{CAR}/video", data=VIDEO)
    assert video.json()["files"][0]["kind"] == "video"
    assert store.get(video.json()["files"][0]["key"]) == VIDEO
    assert len(list(store.list(keys.raw_folder(CAR)))) == 3


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../../etc/passwd.jpg", "passwd"),
        ("C:\\photos\\front left.JPG", "front left"),
        (".hidden.jpg", "hidden"),
        ("", "photo"),
        ("....", "photo"),
        ("a\0b\r\n/.jpg", "photo"),
        ("coche ñandú.heic", "coche ñandú"),
        ("x" * 200 + ".jpg", "x" * 80),
        ("Thumbs.db", "Thumbs"),
        ("a.php", "a"),
        ("<script>.jpg", "script"),
    ],
)
def test_a_files_name_is_a_name_and_never_a_path(
    place: Place, store: LocalMediaStore, name: str, stem: str
) -> None:
    answer = place.ann("POST", f"vehicles/{CAR}/photos", params={"filename": name}, data=PHOTO)
    assert answer.status_code == 201, answer.text
    key = answer.json()["files"][0]["key"]
    assert key.startswith(keys.raw_photos(CAR) + stem + "-")
    assert keys.suffix_of(key) in keys.PHOTO_SUFFIXES
    assert [info.key for info in store.list("raw/")] == [key]


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("photos", b"%PDF-1.7 no photo", 415, "neither a photo nor a video"),
        ("photos", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, ""),
        ("photos", b"MZ" + bytes(100), 415, ""),
        ("photos", b"PK\3\4" + bytes(100), 415, ""),
        ("photos", VIDEO, 415, "video go to /video"),
        ("video", PHOTO, 415, "photos go to /photos"),
        ("photos", b"", 415, "empty"),
        ("video", b"", 415, "empty"),
    ],
)
def test_what_is_no_photo_or_no_video_is_refused_and_leaves_nothing(
    place: Place, store: LocalMediaStore, path: str, body: bytes, status: int, sentence: str
) -> None:
    answer = place.ann("POST", f"vehicles/{CAR}/{path}", data=body)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    good = ("good", PHOTO if path == "photos" else VIDEO)
    several = form(good, ("bad", body))
    assert place.ann("POST", f"vehicles/{CAR}/{path}", files=several).status_code == 415
    assert list(store.list("raw/")) == []


def test_a_form_without_a_file_is_refused(place: Place) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
    answer = place.ann("POST", f"vehicles/{CAR}/photos", data=body, headers=headers)
    assert (answer.status_code, "no file" in answer.json()["detail"]) == (400, True)
    answer = place.ann("POST", f"vehicles/{CAR}/photos", data=b"torn", headers=headers)
    assert answer.status_code == 400
    answer = place.ann(
        "POST", f"vehicles/{CAR}/photos", data=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert answer.status_code == 400


def test_too_large_a_photo_is_refused_while_it_arrives(
    place: Place, store: LocalMediaStore
) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        yield PHOTO
        for _ in range(count):
            yield bytes(2**20)

    jpeg = {"Content-Type": "image/jpeg"}
    for count in (51, 120):
        answer = place.ann("POST", f"vehicles/{CAR}/photos", data=pieces(count), headers=jpeg)
        assert answer.status_code == 413
    assert list(store.list("raw/")) == []


def test_an_upload_is_never_held_in_memory(place: Place, store: LocalMediaStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield VIDEO
        for _ in range(64):
            yield bytes(2**20)

    tracemalloc.start()
    try:
        mp4 = {"Content-Type": "video/mp4"}
        answer = place.ann("POST", f"vehicles/{CAR}/video", data=pieces(), headers=mp4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 201
    assert answer.json()["files"][0]["size"] == 64 * 2**20 + len(VIDEO)
    assert peak < 16 * 2**20


def test_a_vehicle_is_its_callers_alone(place: Place, store: LocalMediaStore) -> None:
    place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO)
    store.put(keys.listing(CAR), b"{}")
    reads = ("", "/options", "/listing.json", "/files/listing.json")
    for path in reads:
        assert place.bob("GET", f"vehicles/{CAR}{path}").status_code == 404, path
    assert place.bob("POST", f"vehicles/{CAR}/ready").status_code == 404
    assert place.bob("DELETE", f"vehicles/{CAR}").status_code == 404
    assert place.bob("POST", f"vehicles/{CAR}/photos", data=PHOTO).status_code == 403
    assert place.bob("POST", f"vehicles/{CAR}/video", data=VIDEO).status_code == 403
    assert place.bob("PUT", f"vehicles/{CAR}/options", json={}).status_code == 403
    for path in reads:
        assert place.boss("GET", f"vehicles/{CAR}{path}").status_code == 200, path
    assert place.bob("GET", "vehicles").json() == {"vehicles": [], "next": None}


def test_a_folder_that_a_person_filled_is_no_callers(place: Place, store: LocalMediaStore) -> None:
    store.put(keys.raw_photos(CAR) + "a.jpg", PHOTO)
    assert place.ann("GET", f"vehicles/{CAR}").status_code == 404
    assert place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO).status_code == 403
    assert place.boss("GET", f"vehicles/{CAR}").json()["state"] == "waiting"


def test_vehicles_come_in_pages(place: Place, store: LocalMediaStore) -> None:
    for number in range(7):
        place.ann("POST", f"vehicles/CAR-{number}/photos", data=PHOTO)
    place.bob("POST", "vehicles/BUS/photos", data=PHOTO)
    transient = keys.transient_vehicle(keys.JobId("3f2504e0-4f89-41d3-9a0c-0305e82c3301"))
    store.put(keys.raw_photos(transient) + "a.jpg", PHOTO)

    def every(client: Client, limit: int) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = client("GET", f"vehicles?limit={limit}&cursor={cursor}").json()
            assert len(page["vehicles"]) <= limit
            found += [one["vehicleId"] for one in page["vehicles"]]
            if page["next"] is None:
                return found
            cursor = page["next"]

    cars = [f"CAR-{number}" for number in range(7)]
    for limit in (1, 3, 7, 100):
        assert every(place.ann, limit) == cars
        assert every(place.boss, limit) == ["BUS", *cars]
    assert place.ann("GET", "vehicles?cursor=../x").status_code == 400
    assert place.ann("GET", "vehicles?limit=0").status_code == 400


def test_options_are_set_read_and_refused_by_name(place: Place, store: LocalMediaStore) -> None:
    path = f"vehicles/{CAR}/options"
    chosen = {"background_id": "dark_studio", "spin_frames": 24}
    assert place.ann("PUT", path, json=chosen).status_code == 200
    told = place.ann("GET", path).json()
    assert told["options"]["spin_frames"] == 24
    assert told["options"]["output_quality"] == 90
    assert json.loads(store.get(keys.options(CAR))) == chosen
    assert place.ann("PUT", path, json={"promo": False}).status_code == 200
    assert json.loads(store.get(keys.options(CAR))) == {"promo": False}
    for wrong, field in (
        ({"spin_frames": 999}, "spin_frames"),
        ({"no_such": 1}, "no_such"),
        ({"background_id": "nowhere"}, "background_id"),
        ({"background_id": "../x"}, "background_id"),
        ({"x" * 5000: 1}, "x" * 80),
    ):
        answer = place.ann("PUT", path, json=wrong)
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == [field]
    for body in (b"[]", b"{", b"null", b'"x"', b"\xff"):
        answer = place.ann("PUT", path, data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
    assert json.loads(store.get(keys.options(CAR))) == {"promo": False}


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e",
        "%2e%2e%2fx",
        "photos",
        "100APPLE",
        "a%20b",
        "coche%C3%B1",
        "x" * 65,
        "-x",
        "job-3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "a%00b",
    ],
)
def test_an_id_that_no_vehicle_can_have_is_refused(
    place: Place, store: LocalMediaStore, name: str
) -> None:
    request = requests.Request(
        "POST", "http://x", headers={"X-Api-Key": place.ann.key}, data=PHOTO
    ).prepare()
    request.url = f"{place.ann.url}/api/vehicles/{name}/photos"  # as it is, dots and all
    with requests.Session() as session:
        assert session.send(request, timeout=5).status_code in (400, 404, 405)
        request.url = f"{place.ann.url}/api/vehicles/{name}/files/listing.json"
        request.method = "GET"
        assert session.send(request, timeout=5).status_code in (404, 405)
    assert list(store.list("raw/")) == []


@pytest.mark.parametrize(
    "path",
    [
        "../OTHER/listing.json",
        "..%2fOTHER%2flisting.json",
        "%2e%2e/OTHER/listing.json",
        "../../raw/CAR-1/photos/a.jpg",
        "..%2f..%2fraw%2fCAR-1%2fphotos%2fa.jpg",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "..%5c..%5craw",
        "a%00b",
        "",
        "no-such.jpg",
        "jobs",
        "%ed%a0%80",
        ".hidden",
    ],
)
def test_only_published_files_of_the_vehicle_are_had(
    place: Place, store: LocalMediaStore, path: str
) -> None:
    place.ann("PUT", f"vehicles/{CAR}/options", json={})
    store.put(keys.raw_photos(CAR) + "a.jpg", b"secret")
    store.put("processed/OTHER/listing.json", b"secret")
    store.put(f"processed/{CAR}/jobs/one.png", b"mine")
    request = requests.Request("GET", "http://x", headers={"X-Api-Key": place.ann.key}).prepare()
    request.url = f"{place.ann.url}/api/vehicles/{CAR}/files/{path}"
    with requests.Session() as session:
        answer = session.send(request, timeout=5)
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_a_file_comes_in_ranges_and_not_twice(place: Place, store: LocalMediaStore) -> None:
    place.ann("PUT", f"vehicles/{CAR}/options", json={})
    data = bytes(range(256)) * 400
    store.put(keys.promo(CAR), data)
    path = f"vehicles/{CAR}/files/promo.mp4"
    whole = place.ann("GET", path)
    assert (whole.content, whole.headers["content-type"]) == (data, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    for asked, start, end in (
        ("bytes=0-99", 0, 100),
        ("bytes=102300-", 102300, 102400),
        ("bytes=-5", 102395, 102400),
    ):
        part = place.ann("GET", path, headers={"Range": asked})
        assert part.status_code == 206
        assert part.content == data[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/102400"
    assert place.ann("GET", path, headers={"Range": "bytes=102400-"}).status_code == 416
    etag = whole.headers["etag"]
    assert place.ann("GET", path, headers={"If-None-Match": etag}).status_code == 304
    head = place.ann("HEAD", path)
    assert (head.headers["content-length"], head.content) == ("102400", b"")
    store.put(keys.promo(CAR), data + b"new")
    assert place.ann("GET", path, headers={"If-None-Match": etag}).status_code == 200
    resumed = place.ann("GET", path, headers={"Range": "bytes=5-", "If-Range": etag})
    assert (resumed.status_code, len(resumed.content)) == (200, 102403)


@pytest.mark.slow
def test_a_vehicle_from_its_photos_to_its_end(
    place: Place, store: LocalMediaStore, pipeline: Pipeline[LocalMediaStore]
) -> None:
    """Uploaded, ready, made on fake models, read, and deleted for ever."""
    assert place.ann("POST", f"vehicles/{CAR}/ready").status_code == 404
    place.ann("PUT", f"vehicles/{CAR}/options", json={"promo": False})
    assert place.ann("POST", f"vehicles/{CAR}/ready").status_code == 409
    store.put(keys.jobs_marker(CAR), b"")
    place.ann("POST", f"vehicles/{CAR}/photos", files=form(("front.jpg", PHOTO)))
    assert place.ann("GET", f"vehicles/{CAR}").json()["state"] == "waiting"
    assert place.ann("POST", f"vehicles/{CAR}/ready").status_code == 202
    assert store.stat(keys.ready_marker(CAR)) is not None
    assert store.stat(keys.jobs_marker(CAR)) is None  # the sensor of uploads makes it

    pipeline.run(CAR)
    told = place.ann("GET", f"vehicles/{CAR}").json()
    assert (told["state"], told["listing"], told["lastRun"]) == ("ready", "ready", "done")
    (listed,) = place.ann("GET", "vehicles").json()["vehicles"]
    assert listed == told
    listing = requests.get(told["listingUrl"], headers={"X-Api-Key": place.ann.key}, timeout=5)
    assert listing.headers["content-type"] == "application/json"
    key = listing.json()["photos"][0]["processed_key"]
    path = key.removeprefix(keys.processed_folder(CAR))
    assert place.ann("GET", f"vehicles/{CAR}/files/{path}").content == store.get(key)

    job, _ = place.door.jobs.accept(
        checked(operation="classify-image", vehicle=CAR, caller="ann", sources=[{"key": key}])
    )
    answer = place.ann("DELETE", f"vehicles/{CAR}")
    assert (answer.status_code, job.id in answer.json()["detail"]) == (409, True)
    place.door.jobs.end(job.model_copy(update={"state": "cancelled"}))
    run = pipeline.instance.create_run_for_job(
        _job(),
        tags={"dagster/partition": CAR},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 409
    assert store.stat(keys.listing(CAR)) is not None
    pipeline.instance.delete_run(run.run_id)
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 204
    assert list(store.list(f"raw/{CAR}/")) == list(store.list(f"processed/{CAR}/")) == []
    assert not pipeline.instance.has_dynamic_partition(str(vehicles.name), CAR)
    assert place.ann("GET", f"vehicles/{CAR}").status_code == 404
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 404
    assert place.ann("GET", "vehicles").json()["vehicles"] == []
    assert place.bob("POST", f"vehicles/{CAR}/photos", data=PHOTO).status_code == 403
    assert place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO).status_code == 201


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None:
        return None

    @dg.job(name="vehicle_media")
    def waits() -> None:
        nothing()

    return waits


def test_twenty_senders_of_one_photo_make_one_upload(place: Place, store: LocalMediaStore) -> None:
    codes: list[int] = []

    def send() -> None:
        answer = place.ann("POST", f"vehicles/{CAR}/photos", data=io.BytesIO(PHOTO))
        codes.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [201] * 20
    assert len(list(store.list(keys.raw_folder(CAR)))) == 1


def test_without_records_of_runs_the_door_says_so(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    assert requests.get(f"{url}/api/vehicles", timeout=5).status_code == 503

"""Vehicles over real HTTP: what a caller sees of his own, and nothing of another's."""

import json
from contextlib import closing
from http.client import HTTPConnection

import dagster as dg
import pytest
import requests

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.requests import checked
from okla_assets.doors.server import make_app
from okla_assets.vehicle_runs import vehicles
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import Serve
from tests.doors.places import CAR, PHOTO, VIDEO, Client, Place, form, place_of
from tests.fakes import Pipeline


@pytest.fixture
def place(door: Door, instance: dg.DagsterInstance, serve: Serve) -> Place:
    return place_of(door, instance, serve)


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


@pytest.mark.parametrize(
    "path",
    [
        f"vehicles/{CAR}/photos",
        f"vehicles/{CAR}/video",
        f"vehicle360/jobs/upload?vehicleId={CAR}",
    ],
)
def test_files_for_anothers_vehicle_are_refused_before_they_are_sent(
    place: Place, path: str
) -> None:
    place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO)
    connection = HTTPConnection(place.bob.url.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.putrequest("POST", f"/api/{path}")
        for name, value in {
            "X-Api-Key": place.bob.key,
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": str(70 * 2**20),
        }.items():
            connection.putheader(name, value)
        connection.endheaders(b"--x\r\n")
        assert connection.getresponse().status == 403


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
    refused = place.ann("GET", "vehicles?cursor=../x")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["cursor"])
    assert place.ann("GET", "vehicles?limit=0").status_code == 400


def test_a_vehicle_that_is_deleted_is_its_callers_and_in_no_list_until_it_comes_again(
    place: Place, store: LocalMediaStore
) -> None:
    """Of thousands that were sold each page would be looked for among all of them."""
    place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO)
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 204
    assert list(store.list(keys.vehicles_of("ann"))) == []
    assert place.bob("POST", f"vehicles/{CAR}/photos", data=PHOTO).status_code == 403
    assert place.ann("GET", "vehicles").json()["vehicles"] == []
    place.ann("POST", f"vehicles/{CAR}/photos", data=PHOTO)
    (listed,) = place.ann("GET", "vehicles").json()["vehicles"]
    assert listed["vehicleId"] == CAR


def test_a_page_goes_on_after_a_folder_that_no_new_vehicle_may_be_called(
    place: Place, store: LocalMediaStore
) -> None:
    names = ["100APPLE", "DCIM", "photos"]
    for name in names:
        store.put(keys.raw_photos(keys.parse_vehicle_id(name)) + "a.jpg", PHOTO)
    page = place.boss("GET", "vehicles?limit=1").json()
    found = [page["vehicles"][0]["vehicleId"]]
    while page["next"] is not None:
        page = place.boss("GET", f"vehicles?limit=1&cursor={page['next']}").json()
        found.append(page["vehicles"][0]["vehicleId"])
    assert found == names


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
    store.put(keys.job_file(job.job_id, "0.png"), b"a cut-out with its plate")
    run = pipeline.instance.create_run_for_job(
        _job(),
        tags={"dagster/partition": CAR},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 409
    assert store.stat(keys.listing(CAR)) is not None
    pipeline.instance.delete_run(run.run_id)
    assert place.ann("DELETE", f"vehicles/{CAR}").status_code == 204
    assert list(store.list(keys.job_files(job.job_id))) == []
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


def test_without_records_of_runs_the_door_says_so(door: Door, serve: Serve) -> None:
    url = serve(make_app(door))
    assert requests.get(f"{url}/api/vehicles", timeout=5).status_code == 503

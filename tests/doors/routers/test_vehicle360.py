"""The contracts of 360° views over HTTP, and their document on a page in a real browser."""

import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from playwright.sync_api import sync_playwright

from okla_assets import keys
from okla_assets.doors.door import Door
from okla_assets.doors.jobs.record import Job
from okla_assets.doors.jobs.requests import Operation
from okla_assets.doors.jobs.results import JobResult, Problem
from okla_assets.doors.server import make_app
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import Serve, door_on
from tests.doors.ended import end, spin_made, with_keys
from tests.fakes import VEHICLE
from tests.viewer import made
from tests.viewer.conftest import ALONE, browser_program, until

KEY = {"X-Api-Key": "okla"}
VIEWERS = (
    "/api/vehicle360/viewer/",
    "/api/vehicle360processing/viewer/",
    "/api/video360/vehicle/",
)
UPLOADS = (
    ("/api/vehicle360/jobs/upload", 202),
    ("/api/vehicle360processing/process", 202),
    ("/api/video360/upload", 201),
)


@pytest.fixture
def keyed(door: Door) -> Door:
    return with_keys(door)


@pytest.fixture
def url(keyed: Door, serve: Serve) -> str:
    return serve(make_app(keyed))


@pytest.fixture
def listed(keyed: Door, store: LocalMediaStore) -> Door:
    """The door with a whole vehicle of the caller's."""
    made.write(made.listing(), store.folder)
    keyed.jobs.own(VEHICLE, "okla")
    return keyed


def _get(address: str, **headers: str) -> Any:
    answer = requests.get(address, headers=KEY | headers, timeout=5)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _only(door: Door) -> Job:
    (job,) = door.jobs.unfinished()
    return job


def _send(address: str, **fields: Any) -> requests.Response:
    files = {"file": ("around.mp4", b"a video", "video/mp4")}
    return requests.post(address, files=files, headers=KEY, timeout=10, **fields)


@pytest.mark.parametrize("viewer", VIEWERS)
def test_one_document_answers_all_pages(listed: Door, url: str, viewer: str) -> None:
    told = _get(f"{url}{viewer}{VEHICLE}")
    count = made.FRAMES
    # the newest page
    assert told["status"] == "Completed" and told["type"] == "video" and told["id"]
    assert told["frameCount"] == len(told["frameUrls"]) == count
    assert told["config"]["initialFrame"] == 0 and told["config"]["maxZoom"] > 1
    # the page of before
    assert told["vehicleId"] == VEHICLE and told["viewId"]
    assert told["extractedFrameUrls"] == told["frameUrls"]
    assert told["extractedFrameCount"] == count and told["thumbnailUrl"]
    assert "<iframe src=" in told["spinEmbedCode"] and told["spinViewerUrl"]
    assert "max-width:100%" in told["spinEmbedCode"]  # a phone is narrower than it
    spot = told["hotspots"][0]
    assert 0 <= spot["x"] <= 100 and 0 <= spot["y"] <= 100 and spot["type"] == "feature"
    assert spot["id"] and spot["label"] and 0 <= spot["degrees"] < 360
    # its service, and Video360Service
    assert told["isReady"] is True and told["totalFrames"] == count
    assert told["primaryImageUrl"] == told["frames"][0]["imageUrl"]
    assert told["config"]["allowDrag"] and not told["config"]["hasTransparentBackground"]
    for index, frame in enumerate(told["frames"]):
        assert frame["index"] == index and frame["angle"] == 10.0 * index
        assert frame["url"] == frame["imageUrl"] == told["frameUrls"][index]
        assert frame["thumbnail"] == frame["thumbnailUrl"] and frame["name"] == frame["label"]
    picture = requests.get(told["frameUrls"][3], timeout=5)
    assert picture.content == listed.store.get(keys.spin_frame(VEHICLE, 4))
    assert told["createdAt"] and told["expiresAt"] > told["createdAt"][:10]


@pytest.mark.parametrize("viewer", VIEWERS)
def test_a_view_that_is_being_made_tells_how_far_it_is(keyed: Door, url: str, viewer: str) -> None:
    address = f"{url}{viewer}{VEHICLE}"
    assert requests.get(address, headers=KEY, timeout=5).status_code == 404
    accepted = _send(f"{url}/api/vehicle360/jobs/upload?vehicleId={VEHICLE}").json()
    told = _get(address)
    assert (told["status"], told["isReady"], told["frameUrls"]) == ("Pending", False, [])
    assert told["jobId"] == accepted["jobId"] and "spinViewerUrl" not in told
    assert told["type"] == "video"
    end(keyed, _only(keyed), result=spin_made(keyed, keyed.jobs.get(accepted["jobId"])))
    told = _get(address)
    assert (told["status"], told["isReady"], told["frameCount"]) == ("Completed", True, 8)
    assert requests.get(told["frames"][7]["url"], timeout=5).content == b"frame 7"


def test_why_there_is_no_view_is_told(keyed: Door, url: str) -> None:
    _send(f"{url}/api/video360/upload?vehicleId={VEHICLE}")
    job = _only(keyed)
    end(keyed, job, result=JobResult(spin_reason="the camera stands still"))
    told = _get(f"{url}/api/video360/vehicle/{VEHICLE}")
    assert (told["status"], told["isReady"]) == ("Failed", False)
    assert told["errorMessage"] == "the camera stands still"
    polled = _get(f"{url}/api/vehicle360processing/jobs/{job.id}/status")
    assert polled["isFailed"] and polled["errorMessage"] == "the camera stands still"


@pytest.mark.parametrize(("path", "status"), UPLOADS)
def test_a_video_is_sent(keyed: Door, url: str, path: str, status: int) -> None:
    """With the fields that each contract has."""
    answer = _send(
        f"{url}{path}",
        params={"vehicleId": VEHICLE, "frameCount": 24, "imageFormat": "Jpeg", "quality": "High"},
        data={
            "outputWidth": "1920",
            "outputHeight": "1080",
            "outputFormat": "png",
            "smartFrameSelection": "true",
            "autoCorrectExposure": "false",
            "generateThumbnails": "true",
            "backgroundColor": "transparent",
        },
    )
    assert answer.status_code == status, answer.text
    job = _only(keyed)
    told = answer.json()
    assert (told["jobId"], told["status"], told["totalFrames"]) == (job.id, "Pending", 24)
    assert job.request.operation is Operation.spin and job.request.vehicle == VEHICLE
    assert job.request.options == {
        "spin_frames": 24,
        "output_quality": 90,
        "max_width": 1920,
        "aspect": "1920:1080",
        "auto_enhance": False,
    }
    assert keyed.store.get(job.request.sources[0].file or "") == b"a video"


def test_a_video_is_fetched(keyed: Door, url: str) -> None:
    address = "https://videos.example.org/a.mp4"
    for path, field in (
        ("/api/vehicle360/process", "storageUrl"),
        ("/api/vehicle360processing/process-from-url", "videoUrl"),
    ):
        body: Any = {
            "vehicleId": VEHICLE,
            field: address,
            "frameCount": 36,
            "removeBackground": True,
        }
        answer = requests.post(url + path, json=body, headers=KEY, timeout=5)
        assert answer.status_code == 202, answer.text
        job = _only(keyed)
        assert job.request.sources[0].url == address and job.request.sources[0].video
        assert job.request.options == {"spin_frames": 36}
        end(keyed, job, "failed", problem=Problem(code="fetch", detail="no such host"))
    wrong: Any = {"vehicleId": VEHICLE, "videoUrl": address, "removeBackground": False}
    answer = requests.post(
        f"{url}/api/vehicle360processing/process-from-url", json=wrong, headers=KEY, timeout=5
    )
    assert answer.status_code == 400 and "removeBackground" in answer.json()["message"]


def test_a_job_is_polled_as_each_page_does(keyed: Door, url: str) -> None:
    _send(f"{url}/api/vehicle360processing/process", data={"vehicleId": VEHICLE})
    job = _only(keyed)
    running = job.model_copy(update={"state": "running", "progress": 60})
    keyed.jobs.keep(running)
    newest = _get(f"{url}/api/vehicle360/jobs/{job.id}/status")
    assert (newest["status"], newest["progress"], newest["frames"]) == ("Processing", 60, [])
    oldest = _get(f"{url}/api/vehicle360processing/jobs/{job.id}/status")
    assert oldest["progress"]["percentage"] == 60 and oldest["progress"]["currentStep"]
    assert (oldest["isComplete"], oldest["isFailed"]) == (False, False)
    assert oldest["createdAt"] and oldest["updatedAt"]
    assert _get(f"{url}/api/vehicle360processing/jobs/{job.id}")["progress"] == 60
    end(keyed, running, result=spin_made(keyed, running))
    done = _get(f"{url}/api/vehicle360/jobs/{job.id}/result")
    assert done["status"] == "Completed" and done["isComplete"] and len(done["frames"]) == 8
    assert done["frames"][2].keys() >= {"index", "imageUrl", "thumbnailUrl"}


def test_jobs_are_listed_cancelled_and_tried_again(keyed: Door, url: str) -> None:
    first = _send(f"{url}/api/vehicle360/jobs/upload?vehicleId={VEHICLE}").json()["jobId"]
    place = f"{url}/api/vehicle360/jobs/{first}"
    assert requests.post(f"{place}/cancel", headers=KEY, timeout=5).status_code == 204
    end(keyed, _only(keyed).model_copy(update={"uploads": ("raw/x",)}), "cancelled")
    assert _get(f"{place}/status")["status"] == "Cancelled"
    again = requests.post(f"{place}/retry", headers=KEY, timeout=5)
    assert again.status_code == 202 and again.json()["jobId"] == first
    assert again.json()["status"] == "Pending"
    assert _only(keyed).request.sources[0].key == "raw/x"
    listed = _get(f"{url}/api/vehicle360/vehicles/{VEHICLE}/jobs")
    assert [job["status"] for job in listed] == ["Pending", "Cancelled"]
    page = _get(f"{url}/api/vehicle360/user/me/jobs?page=2&pageSize=1")
    assert (page["totalCount"], page["totalPages"], page["page"]) == (2, 2, 2)
    assert [job["jobId"] for job in page["items"]] == [first]
    other = requests.get(f"{url}/api/vehicle360/user/other/jobs", headers=KEY, timeout=5)
    assert other.status_code == 404


@pytest.mark.parametrize("name", ["a%00b", ".x", "a%5Cb", "%F0%9F%9A%97", "x" * 300])
def test_of_what_no_caller_can_be_called_there_are_no_jobs(url: str, name: str) -> None:
    answer = requests.get(
        f"{url}/api/vehicle360/user/{name}/jobs", headers={"X-Api-Key": "root"}, timeout=5
    )
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "path", ["vehicle360/user/okla/jobs", f"vehicle360/vehicles/{VEHICLE}/jobs", "stats"]
)
def test_jobs_of_a_list_are_read_several_at_a_time(
    keyed: Door, url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket takes its time for each of hundreds."""
    for _ in range(8):
        asked = _send(f"{url}/api/vehicle360/jobs/upload?vehicleId={VEHICLE}").json()
        end(keyed, keyed.jobs.get(asked["jobId"]), "cancelled")
    reading, together, get = set[int](), 0, LocalMediaStore.get

    def slow(self: LocalMediaStore, key: str) -> bytes:
        nonlocal together
        if not key.startswith("jobs/ended/"):
            return get(self, key)
        reading.add(threading.get_ident())
        together = max(together, len(reading))
        time.sleep(0.05)
        reading.discard(threading.get_ident())
        return get(self, key)

    monkeypatch.setattr(LocalMediaStore, "get", slow)
    address = "aiprocessing/stats/queue" if path == "stats" else path
    answer = requests.get(f"{url}/api/{address}", headers={"X-Api-Key": "root"}, timeout=10)
    assert answer.status_code == 200
    assert together > 1


def test_errors_are_told_in_the_words_of_each_contract(keyed: Door, url: str) -> None:
    for path, word in (
        ("/api/vehicle360/viewer/X-1", "detail"),
        ("/api/vehicle360processing/viewer/X-1", "message"),
        ("/api/video360/vehicle/X-1", "error"),
    ):
        assert requests.get(url + path, timeout=5).status_code == 401
        answer = requests.get(url + path, headers=KEY, timeout=5)
        assert answer.status_code == 404 and answer.json()[word]
    for path, _ in UPLOADS:
        assert _send(url + path).status_code == 400  # no vehicle
        body = requests.post(url + path, json={"vehicleId": "X-1"}, headers=KEY, timeout=5)
        assert body.status_code in (400, 415)
        wrong = _send(url + path, params={"vehicleId": "X-1", "frameCount": "many"})
        assert wrong.status_code == 400 and "frameCount" in wrong.text
        climbing = _send(url + path, params={"vehicleId": "../x"})
        assert climbing.status_code == 400
    assert not list(keyed.jobs.unfinished())


def test_nobody_sees_the_views_of_others(listed: Door, url: str) -> None:
    job_id = _send(f"{url}/api/vehicle360/jobs/upload?vehicleId={VEHICLE}").json()["jobId"]
    for path in (
        *(f"{viewer}{VEHICLE}" for viewer in VIEWERS),
        f"/api/vehicle360/jobs/{job_id}/status",
        f"/api/vehicle360/vehicles/{VEHICLE}/jobs",
        "/api/vehicle360/user/okla/jobs",
    ):
        answer = requests.get(url + path, headers={"X-Api-Key": "other"}, timeout=5)
        assert answer.status_code == 404, path


def test_a_page_address_opens_its_own_files_alone(listed: Door, url: str) -> None:
    page = _get(f"{url}{VIEWERS[0]}{VEHICLE}")["spinViewerUrl"]
    folder = page.removesuffix("360-viewer/index.html")
    assert requests.get(page, timeout=5).headers["content-type"].startswith("text/html")
    assert requests.get(f"{folder}360-viewer/frame_001.jpg", timeout=5).status_code == 200
    token = folder.rstrip("/").rsplit("/", 1)[1]
    for wrong in (
        f"{folder}no-such.jpg",
        f"{folder}..%2f..%2fraw/{VEHICLE}/photos/IMG_1.jpg",
        f"{folder}.hidden",
        f"{folder}",
        f"{folder}a//b",
        page.replace(token, token[:-1] + ("0" if token[-1] != "0" else "1")),
        page.replace(VEHICLE, "other"),
        page.replace(token, "9-9"),
        page.replace(token, "x"),
    ):
        assert requests.get(wrong, timeout=5).status_code in (403, 404), wrong


PAGE = """<!doctype html><title>a shop</title><img id=shown><script>
const show = async () => {
  const told = await (await fetch(new URLSearchParams(location.search).get("view"))).json();
  document.title = told.status + " " + told.frames.length;
  document.getElementById("shown").src = told.frameUrls[12];
};
show().catch(error => document.title = "failed: " + error);
</script>"""

LOADED = "performance.getEntriesByType('resource')"


@pytest.fixture
def shop() -> Iterator[str]:
    """A page of another origin that reads the document and shows one of its frames."""

    class Page(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_documents_are_public_where_the_owner_says_so(
    listed: Door, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_PUBLIC_VIEWERS", "1")
    for viewer in VIEWERS:
        answer = requests.get(f"{url}{viewer}{VEHICLE}", timeout=5)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
    assert requests.get(answer.json()["frames"][0]["url"], timeout=5).status_code == 200
    assert requests.get(f"{url}/api/vehicle360/vehicles/{VEHICLE}/jobs", timeout=5).ok is False
    assert _send(f"{url}/api/video360/upload", params={"vehicleId": VEHICLE}).status_code == 201
    assert requests.post(f"{url}/api/video360/upload", timeout=5).status_code == 401


class PublicStore(LocalMediaStore):
    """A store whose finished files have public addresses."""

    def public_base(self) -> str | None:
        return "https://cdn.example.org/"

    def url(self, key: str) -> str:
        return f"https://cdn.example.org/{key}"


def test_files_with_public_addresses_are_named_by_them(
    store: LocalMediaStore, serve: Serve
) -> None:
    made.write(made.listing(), store.folder)
    public = PublicStore(root=store.root)
    url = serve(make_app(door_on(public)))
    told = _get(f"{url}{VIEWERS[0]}{VEHICLE}")
    assert told["spinViewerUrl"] == f"https://cdn.example.org/{keys.spin_page(VEHICLE)}"
    assert told["frameUrls"][0] == f"https://cdn.example.org/{keys.spin_frame(VEHICLE, 1)}"
    assert "expiresAt" not in told


@pytest.mark.slow
def test_a_page_in_a_browser_reads_the_document(
    listed: Door, url: str, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = browser_program()
    if program is None:
        pytest.skip("needs a browser")
    monkeypatch.setenv("OKLA_PUBLIC_VIEWERS", "1")
    view = f"{url}{VIEWERS[0]}{VEHICLE}"
    told = requests.get(view, timeout=5).json()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ALONE))
        page = browser.new_page()
        page.goto(f"{shop}?view={view}")
        until(page, "document.title.startsWith('Completed 36')")
        until(page, "document.getElementById('shown').naturalWidth > 100")
        page.goto(told["spinViewerUrl"])  # as an <iframe> shows it, without a key
        until(page, "document.querySelector('okla-spin').frame >= 0")
        until(page, f"{LOADED}.filter(e => /frame_/.test(e.name)).length > 8")
        broken = page.evaluate(f"{LOADED}.filter(e => e.responseStatus >= 400).length")
        browser.close()
    assert broken == 0

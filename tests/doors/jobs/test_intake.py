"""Sources of every kind become uploads, and what cannot be used is refused by name."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from okla_assets import keys
from okla_assets.doors.fetching.addresses import AddressRules, HostRule
from okla_assets.doors.fetching.fetch import Fetcher
from okla_assets.doors.jobs.intake import give_options, suffix_of, take
from okla_assets.doors.jobs.record import Job, Jobs
from okla_assets.doors.jobs.requests import CutOutOptions, checked
from okla_assets.doors.uploads import received
from okla_assets.imaging.photo.signatures import media_kind
from okla_assets.options import StudioOptions, options_of_run, read_options, save_options
from resources.errors import BadInput
from resources.storage.media_store import LocalMediaStore
from tests.doors.web import Web, gives, status

JPEG = b"\xff\xd8\xff\xe0" + bytes(5000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)
CAR = keys.VehicleId("CAR-1")
ID = keys.JobId("11111111-2222-3333-4444-555555555555")


@pytest.fixture
def server(server: Web) -> Web:
    """One that has photos, and what is none."""
    server.answers["/car.png"] = gives(JPEG)
    server.answers["/page"] = gives(b"<html>not a photo</html>", Content_Type="image/jpeg")
    server.answers["/clip"] = gives(VIDEO)
    server.answers["/gone"] = status(404)
    return server


@pytest.fixture
def fetcher(server: Web) -> Fetcher:
    rules = AddressRules((HostRule("127.0.0.1", port=server.port),), private=True)
    return Fetcher(rules, photo_bytes=1 << 20)


def job_of(store: LocalMediaStore, *sources: dict[str, Any], **fields: Any) -> Job:
    fields = {"operation": "background-replace", "vehicle": "CAR-1"} | fields
    return Jobs(store).accept(checked(sources=sources, **fields), ID)[0]


def uploads(store: LocalMediaStore) -> list[str]:
    return [info.key for info in store.list(keys.RAW) if not info.key.endswith(keys.JOBS_MARKER)]


def name_of(data: bytes, suffix: str) -> str:
    return f"{sha256(data).hexdigest()[:16]}.{suffix}"


def test_sources_of_every_kind_become_uploads_in_their_order(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    before = "raw/CAR-1/photos/IMG_1.jpg"
    store.put(before, JPEG)
    sent = keys.inbox_files(ID) + sha256(PNG).hexdigest()
    store.put(sent, PNG)
    sources = [{"url": f"{server.url}/car.png"}, {"file": sent}, {"key": before}]
    job = job_of(store, *sources)
    taken = take(job, store, fetcher)
    assert taken.uploads == (
        f"raw/CAR-1/photos/{name_of(JPEG, 'jpg')}",
        f"raw/CAR-1/photos/{name_of(PNG, 'png')}",
        before,
    )
    assert taken.refusals == {}
    assert [store.get(key) for key in taken.uploads if key] == [JPEG, PNG, JPEG]
    stored = {info.key: info.etag for info in store.list(keys.RAW)}
    assert take(job, store, fetcher) == taken
    assert {info.key: info.etag for info in store.list(keys.RAW)} == stored


def test_a_job_that_has_its_uploads_fetches_nothing(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    taken = take(job_of(store, {"url": f"{server.url}/car.png"}), store, fetcher)
    server.received.clear()
    assert take(taken, store, fetcher) is taken
    assert server.received == []


def test_a_vehicle_is_the_jobs_own_unless_it_came_otherwise(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    store.put("raw/CAR-1/options.json", b"{}")
    source = {"url": f"{server.url}/car.png"}
    take(job_of(store, source), store, fetcher)
    assert store.stat(keys.jobs_marker(CAR))
    store.put("raw/CAR-2/photos/IMG_1.jpg", PNG)
    other = checked(operation="background-replace", vehicle="CAR-2", sources=[source])
    take(Jobs(store).accept(other)[0], store, fetcher)
    assert store.stat(keys.jobs_marker(keys.VehicleId("CAR-2"))) is None


def test_a_job_without_a_vehicle_has_one_of_its_own(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    job = job_of(store, {"url": f"{server.url}/car.png"}, vehicle=None)
    (key,) = take(job, store, fetcher).uploads
    assert key == f"raw/job-{ID}/photos/{name_of(JPEG, 'jpg')}"


def test_a_video_is_one_for_a_view_and_none_for_a_photos_job(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    clip = {"url": f"{server.url}/clip", "video": True}
    taken = take(job_of(store, clip, operation="generate-360"), store, fetcher)
    assert taken.uploads == (f"raw/CAR-1/video/{name_of(VIDEO, 'mp4')}",)
    photo = {"url": f"{server.url}/car.png", "video": True}
    store.delete(keys.inbox_job(ID))
    taken = take(job_of(store, photo, operation="generate-360"), store, fetcher)
    assert taken.refusals[0].code == "not_a_video"
    store.delete(keys.inbox_job(ID))
    taken = take(job_of(store, {"url": f"{server.url}/clip"}), store, fetcher)
    assert taken.refusals[0].code == "not_an_image"


def test_what_cannot_be_used_is_refused_and_the_rest_goes_on(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    server.answers["/big"] = gives(JPEG + bytes(2 << 20))
    server.answers["/empty"] = gives(b"")
    inbox = keys.inbox_files(ID)
    others = keys.inbox_files(keys.JobId("99999999-2222-3333-4444-555555555555"))
    digest = sha256(JPEG).hexdigest()
    store.put(others + digest, JPEG)
    empty = inbox + sha256(b"").hexdigest()
    store.put(empty, b"")
    wrong = {
        "download_failed": [{"url": f"{server.url}/gone"}],
        "not_an_image": [{"url": f"{server.url}/page"}],
        "file_too_large": [{"url": f"{server.url}/big"}],
        "empty_file": [{"url": f"{server.url}/empty"}, {"file": empty}],
        "invalid_url": [{"url": "file:///etc/passwd"}],
        "url_not_allowed": [{"url": "https://169.254.169.254/"}, {"url": "https://127.0.0.1/"}],
        "not_found": [{"file": inbox + digest}, {"key": "raw/CAR-1/photos/none.jpg"}],
        "invalid_key": [{"file": others + digest}, {"file": f"{inbox}../../raw/x"}],
    }
    sources = [one for several in wrong.values() for one in several]
    taken = take(job_of(store, *sources, {"url": f"{server.url}/car.png"}), store, fetcher)
    codes = [code for code, several in wrong.items() for _ in several]
    assert [taken.refusals[i].code for i in range(len(sources))] == codes
    assert taken.uploads[:-1] == (None,) * len(sources)
    assert taken.uploads[-1] and uploads(store) == [taken.uploads[-1]]


@pytest.mark.parametrize(
    "key",
    [
        "raw/CAR-2/photos/IMG_1.jpg",
        "raw/CAR-1/../CAR-2/photos/IMG_1.jpg",
        "raw/CAR-1/photos/../../CAR-2/photos/IMG_1.jpg",
        "raw/CAR-1/options.json",
        "raw/CAR-1/_READY",
        "raw/CAR-1/",
        "raw/CAR-1",
        "raw/CAR-1/AUDI-A4/IMG_1.jpg",
        "raw/CAR-1/photos/.hidden.jpg",
        "raw/CAR-1/photos//IMG_1.jpg",
        "raw/CAR-1/photos/IMG_1.jpg\x00",
        "raw/CAR-1\\photos\\IMG_1.jpg",
        "/raw/CAR-1/photos/IMG_1.jpg",
        "private/CAR-1/raw_photos/a.png",
        "processed/CAR-1/exterior_001_processed.jpg",
        "inbox/x.json",
        "callers/somebody.json",
        "",
        ".",
        "../../etc/passwd",
    ],
)
def test_a_key_names_an_upload_of_the_jobs_vehicle_and_nothing_else(
    store: LocalMediaStore, fetcher: Fetcher, key: str
) -> None:
    store.put("raw/CAR-2/photos/IMG_1.jpg", JPEG)
    store.put("raw/CAR-1/options.json", b"{}")
    job = job_of(store, {"key": key})
    assert take(job, store, fetcher).refusals[0].code == "invalid_key"


def test_a_background_is_no_photo_of_the_vehicle(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    server.answers["/wall"] = gives(PNG)
    sources = [{"url": f"{server.url}/car.png"}, {"url": f"{server.url}/wall"}]
    cut_out = CutOutOptions(background_source=1)
    job = job_of(store, *sources, operation="remove-background", vehicle=None, cut_out=cut_out)
    key = take(job, store, fetcher).uploads[1]
    assert key == f"raw/job-{ID}/backgrounds/{name_of(PNG, 'png')}"
    assert not keys.lies_where_uploads_do(key)


def test_options_are_added_to_the_vehicles_when_it_is_made(
    store: LocalMediaStore, fetcher: Fetcher
) -> None:
    before = StudioOptions(output_quality=80, promo=False)
    save_options(CAR, store, before)
    options = {"output_quality": 90, "background_id": "dark_studio"}
    job = take(job_of(store, options=options), store, fetcher)
    assert read_options(CAR, store)[0] == before
    give_options(job, store)
    assert read_options(CAR, store)[0] == StudioOptions(background_id="dark_studio", promo=False)
    save_options(CAR, store, StudioOptions(background_id="gray_showroom", max_width=800))
    give_options(job, store)  # begun again, and the seller has set others meanwhile
    assert read_options(CAR, store)[0] == StudioOptions(background_id="dark_studio", max_width=800)


def test_a_job_without_options_leaves_the_vehicles(store: LocalMediaStore) -> None:
    give_options(job_of(store), store)
    assert store.stat(keys.options(CAR)) is None


def test_a_film_is_made_where_it_is_asked_for(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    def has_film(vehicle: str, **fields: Any) -> bool:
        source = {"url": f"{server.url}/car.png"}
        asked = checked(operation="full-pipeline", vehicle=vehicle, sources=[source], **fields)
        job = take(Jobs(store).accept(asked)[0], store, fetcher)
        give_options(job, store)
        return options_of_run(job.vehicle_id, store)[0].promo

    assert not has_film("CAR-1")
    assert has_film("CAR-2", options={"promo": True})
    assert has_film("CAR-2"), "it is the vehicle's since"
    store.put("raw/CAR-3/photos/a.jpg", b"came in by the folder")
    assert has_film("CAR-3")


@pytest.mark.parametrize("ready", [False, True])
def test_a_seller_who_uploads_to_a_vehicle_of_jobs_gets_a_film(
    store: LocalMediaStore, server: Web, fetcher: Fetcher, tmp_path: Path, ready: bool
) -> None:
    source = {"url": f"{server.url}/car.png"}
    job = take(job_of(store, source, operation="full-pipeline"), store, fetcher)
    give_options(job, store)
    assert not options_of_run(CAR, store)[0].promo
    if ready:
        store.put(keys.ready_marker(CAR), b"")
    else:
        photo = tmp_path / "1.jpg"
        photo.write_bytes(PNG)
        received.take(store, CAR, photo, "photo", sha256(PNG).hexdigest(), "1.png")
    assert options_of_run(CAR, store)[0].promo


@pytest.mark.parametrize("moment", ["before the mark is set", "after it is"])
def test_what_a_seller_uploads_while_a_job_marks_the_vehicle_is_not_passed_over(
    store: LocalMediaStore, server: Web, fetcher: Fetcher, moment: str
) -> None:
    class Meanwhile(LocalMediaStore):
        def put(self, key: str, data: bytes, *what: Any, **how: Any) -> str:
            after = moment == "after it is"
            if key == keys.jobs_marker(CAR) and not after:
                store.put("raw/CAR-1/photos/seller.jpg", PNG)
            etag = super().put(key, data, *what, **how)
            if key == keys.jobs_marker(CAR) and after:
                store.put("raw/CAR-1/photos/seller.jpg", PNG)
            return etag

    source = {"url": f"{server.url}/car.png"}
    take(job_of(store, source), Meanwhile(root=store.root), fetcher)
    assert len(uploads(store)) == 2
    assert store.stat(keys.jobs_marker(CAR)) is None


def test_two_jobs_of_a_new_vehicle_leave_it_the_jobs(
    store: LocalMediaStore, server: Web, fetcher: Fetcher
) -> None:
    server.answers["/2.png"] = gives(PNG)
    jobs = [
        Jobs(store).accept(
            checked(
                operation="background-replace",
                vehicle="CAR-1",
                sources=[{"url": f"{server.url}/{name}.png"}],
            )
        )[0]
        for name in ("car", "2")
    ]
    with ThreadPoolExecutor(2) as fetchers:
        list(fetchers.map(lambda job: take(job, store, fetcher), jobs))
    assert len(uploads(store)) == 2
    assert store.stat(keys.jobs_marker(CAR))


def test_a_scene_that_there_is_not_is_told(store: LocalMediaStore, fetcher: Fetcher) -> None:
    job = job_of(store, options={"background_id": "no_such_scene"})
    with pytest.raises(BadInput, match="no_such_scene"):
        take(job, store, fetcher)


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (JPEG, "jpg"),
        (PNG, "png"),
        (b"GIF89a" + bytes(20), "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"II*\0" + bytes(20), "tif"),
        (b"MM\0*" + bytes(20), "tif"),
        (b"II*\0\x10\0\0\0CR\x02\0", "cr2"),
        (b"FUJIFILMCCD-RAW 0201", "raf"),
        (b"BM\x36\x10\0\0\0\0\0\0\x36\0", "bmp"),
        (b"8BPS\0\x01", "psd"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic\0\0", "heic"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif\0\0", "avif"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "cr3"),
        (VIDEO, "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "mkv"),
        (b"\0\0\1\xba" + bytes(20), "mpg"),
        ((b"\x47" + bytes(187)) * 4, "ts"),
        ((bytes(4) + b"\x47" + bytes(187)) * 4, "ts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_is_called_by_its_content(head: bytes, suffix: str) -> None:
    kind = media_kind(head)
    assert kind is not None and suffix_of(head, kind) == suffix
    assert suffix in (keys.PHOTO_SUFFIXES if kind == "photo" else keys.VIDEO_SUFFIXES)

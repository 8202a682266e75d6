"""Uploads of photos and videos over real HTTP: streamed, named by us, and once."""

import hashlib
import io
import threading
import tracemalloc
from collections.abc import Iterator

import dagster as dg
import pytest

from okla_assets import keys
from okla_assets.doors.door import Door
from resources.storage.media_store import LocalMediaStore
from tests.doors.conftest import Serve
from tests.doors.places import CAR, PHOTO, VIDEO, Place, form, place_of


@pytest.fixture
def place(door: Door, instance: dg.DagsterInstance, serve: Serve) -> Place:
    return place_of(door, instance, serve)


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

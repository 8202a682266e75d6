"""What a bucket promises beyond the contract in `test_media_store.py`, on real S3 servers."""

import json
import logging
import os
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel

from okla_assets import keys
from okla_assets.steps.step_cache import StepCache
from resources.errors import BadInput, BrokenSetup, Unreadable
from resources.storage.media_store import LocalMediaStore
from resources.storage.odd_entries import OddEntry
from resources.storage.s3_client import client_for
from resources.storage.s3_store import PART_BYTES, S3MediaStore
from resources.storage.stores import absolute, bucket_of, location_of, store_for
from tests.conftest import REPOSITORY
from tests.fakes import VEHICLE
from tests.s3_servers import (
    Front,
    S3Server,
    forget_clients,
    free_port,
    only_allowed,
)

PHOTO = f"{keys.raw_photos(VEHICLE)}a.jpg"


def bucket_at(place: str, **fields: Any) -> S3MediaStore:
    """The store at a place, with some of its fields set."""
    store = store_for(place)
    assert isinstance(store, S3MediaStore)
    return store.model_copy(update=fields)


@pytest.fixture
def bucket(s3_place: str) -> S3MediaStore:
    return bucket_at(s3_place)


def raw_client(store: S3MediaStore) -> Any:
    """Past the store: as another program would."""
    return client_for(store.endpoint_url, store.max_attempts, store.location)


def head(store: S3MediaStore, key: str) -> Any:
    return raw_client(store).head_object(Bucket=store.bucket, Key=f"{store.prefix}/{key}")


def put_by_another(store: S3MediaStore, key: str, data: bytes) -> None:
    raw_client(store).put_object(Bucket=store.bucket, Key=f"{store.prefix}/{key}", Body=data)


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "name", "prefix"),
    [
        ("s3://okla-media", "okla-media", ""),
        ("s3://okla-media/", "okla-media", ""),
        ("s3://okla.media/cars/2026/", "okla.media", "cars/2026"),
    ],
)
def test_a_bucket_is_told_by_its_address(place: str, name: str, prefix: str) -> None:
    bucket = bucket_of(place)
    assert bucket is not None
    assert (bucket.name, bucket.prefix) == (name, prefix)
    assert absolute(place) == place


@pytest.mark.parametrize("place", ["media", "/srv/media", "C:\\media", "s3", "a:b/c", "./s3:x"])
def test_everything_else_is_a_folder(place: str) -> None:
    assert bucket_of(place) is None
    assert isinstance(store_for(place), LocalMediaStore)
    assert absolute(place) == str(Path(place).resolve())


MISTAKES = ["s3://", "s3:/okla", "s3:okla", "S3://okla", "s3://UPPER", "s3://ab", "s3://okla//a"]
MISTAKES += ["s3://okla/../a", "s3://okla/.hidden", "s3://okla/a\\b", "gs://okla", "https://host/a"]


@pytest.mark.parametrize("place", MISTAKES)
def test_an_address_with_a_mistake_is_no_folder(place: str) -> None:
    with pytest.raises(BadInput, match=r"s3://BUCKET/PREFIX") as refusal:
        store_for(place)
    assert repr(place) in str(refusal.value)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OKLA_S3_ENDPOINT_URL", "OKLA_S3_PUBLIC_URL", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://ams3.example.com/")
    assert bucket_at("s3://okla-media").endpoint_url == "https://ams3.example.com"
    monkeypatch.setenv("OKLA_S3_ENDPOINT_URL", "https://own.example.com")
    monkeypatch.setenv("OKLA_S3_PUBLIC_URL", "https://cdn.example.com/")
    store = bucket_at("s3://okla-media/v")
    assert store.endpoint_url == "https://own.example.com"
    assert store.url("processed/a b+c.jpg") == "https://cdn.example.com/v/processed/a%20b%2Bc.jpg"
    monkeypatch.setenv("OKLA_S3_ENDPOINT_URL", "own.example.com")
    with pytest.raises(BrokenSetup, match=r"OKLA_S3_ENDPOINT_URL is 'own.example.com'"):
        store_for("s3://okla-media")


def test_a_store_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, told in {
        "s3://okla-media": "s3://okla-media",
        "s3://okla-media/a/b/": "s3://okla-media/a/b",
        "media": str(tmp_path / "media"),
    }.items():
        assert location_of(store_for(place)) == told


# --- what others find in the bucket ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kind", "cached"),
    [
        (keys.processed_photo(VEHICLE, "exterior", 1, "jpg"), "image/jpeg", "max-age=60, must"),
        (keys.processed_photo(VEHICLE, "exterior", 1, "webp"), "image/webp", "max-age=60, must"),
        (keys.promo(VEHICLE), "video/mp4", "max-age=60, must"),
        (keys.sized_frame(VEHICLE, 1, 640, b"1", "webp"), "image/webp", "31536000, immutable"),
        (keys.gallery(VEHICLE), "text/html; charset=utf-8", "no-cache"),
        (keys.listing(VEHICLE), "application/json", "no-cache"),
        (PHOTO, "image/jpeg", "private, no-store"),
        (keys.private_file(VEHICLE, "frames", "d" * 64, "jpg"), "image/jpeg", "private, no-store"),
        (keys.ready_marker(VEHICLE), "application/octet-stream", "private, no-store"),
    ],
)
def test_browsers_are_told_what_it_is_and_how_long_it_holds(
    bucket: S3MediaStore, tmp_path: Path, key: str, kind: str, cached: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    for put in (partial(bucket.put, key, b"1"), partial(bucket.put_file, key, path)):
        put()
        found = head(bucket, key)
        assert found["ContentType"] == kind
        assert cached in found["CacheControl"]


def test_the_callers_content_type_wins(bucket: S3MediaStore) -> None:
    bucket.put("processed/v/data", b"1", "text/plain")
    assert head(bucket, "processed/v/data")["ContentType"] == "text/plain"


def test_a_link_opens_what_it_names(bucket: S3MediaStore) -> None:
    key = "processed/v/niño 100% a+b&c=d?.jpg"
    bucket.put(key, b"picture")
    raw_client(bucket).put_object_acl(
        Bucket=bucket.bucket, Key=f"{bucket.prefix}/{key}", ACL="public-read"
    )
    with urlopen(bucket.url(key), timeout=10) as answer:
        assert answer.read() == b"picture"


def test_on_aws_links_lead_to_the_buckets_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OKLA_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    forget_clients()
    plain = bucket_at("s3://okla-media/cars")
    assert plain.url("a/b.jpg") == "https://okla-media.s3.eu-central-1.amazonaws.com/cars/a/b.jpg"
    assert plain.url("a/") == (
        "https://s3.console.aws.amazon.com/s3/buckets/okla-media?prefix=cars%2Fa%2F"
    )
    dotted = bucket_at("s3://okla.media")
    assert dotted.url("a.jpg") == "https://s3.eu-central-1.amazonaws.com/okla.media/a.jpg"


def test_what_is_no_upload_is_left_alone(
    bucket: S3MediaStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    put_by_another(bucket, PHOTO, b"1")
    for key in ("raw/", "raw/v/", "raw/v/.DS_Store", "raw/.tmp/a", "raw/v//a.jpg", "raw/v/a\\b"):
        put_by_another(bucket, key, b"")
    assert [i.key for i in bucket.list("raw/")] == [PHOTO]
    assert list(bucket.folders("raw/")) == [VEHICLE, "v"]
    assert "a\\\\b" in caplog.text
    assert ".DS_Store" not in caplog.text


def test_keys_that_cannot_be_used_are_told(bucket: S3MediaStore) -> None:
    put_by_another(bucket, PHOTO, b"1")
    for key in ("raw/v//photos/a.jpg", "raw/v/../a.jpg", "raw/v/.DS_Store", "raw/v/"):
        put_by_another(bucket, key, b"1")
    odd: list[OddEntry] = []
    assert [i.key for i in bucket.list("raw/", odd=odd.append)] == [PHOTO]
    assert {entry.key: entry.reason for entry in odd} == {
        "raw/v//photos/a.jpg": "unusable_name",
        "raw/v/../a.jpg": "unusable_name",
        "raw/v/.DS_Store": "hidden",
    }


def test_an_object_that_cannot_be_read_is_told_from_a_store_that_cannot(
    bucket: S3MediaStore, front: Front, s3_place: str
) -> None:
    raw_client(bucket).put_object(
        Bucket=bucket.bucket, Key=f"{bucket.prefix}/{PHOTO}", Body=b"1", StorageClass="GLACIER"
    )
    with pytest.raises(Unreadable, match="InvalidObjectState"):
        bucket.get(PHOTO)
    store = bucket_at(s3_place)
    front.answers = [403]
    with pytest.raises(Unreadable, match="AccessDenied"):
        store.head(PHOTO, 16)
    front.answers = [403]
    with pytest.raises(BrokenSetup) as refused:
        list(store.list("raw/"))
    assert not isinstance(refused.value, Unreadable)


def test_a_neighbour_whose_name_goes_on_is_another(bucket: S3MediaStore) -> None:
    other = bucket.model_copy(update={"prefix": f"{bucket.prefix}-old"})
    other.put("raw/v/a.jpg", b"1")
    assert list(bucket.list("")) == []
    assert list(bucket.folders("raw/")) == []


def test_more_than_a_page_is_listed_whole(bucket: S3MediaStore) -> None:
    from moto.s3.models import s3_backends

    # Straight into the server's memory, for a thousand requests take seconds.
    server = s3_backends["123456789012"]["aws"]
    made = [f"raw/v{n:04d}/photos/a.jpg" for n in range(1100)]
    for key in made:
        server.put_object(bucket.bucket, f"{bucket.prefix}/{key}", b"1")
    assert [i.key for i in bucket.list("raw/")] == made
    assert list(bucket.folders("raw/")) == [key.split("/")[1] for key in made]


# --- large files, and digests ---------------------------------------------------------------------


def large_file(folder: Path) -> Path:
    path = folder / "walk.mp4"
    path.write_bytes(os.urandom(2 * PART_BYTES + 1))
    return path


def test_a_large_file_goes_in_parts_and_comes_back_whole(
    bucket: S3MediaStore, tmp_path: Path
) -> None:
    path = large_file(tmp_path)
    key = "raw/v/video/walk.mp4"
    etag = bucket.put_file(key, path)
    assert etag.endswith("-3")
    info = bucket.stat(key)
    assert info is not None
    assert (info.size, info.etag) == (path.stat().st_size, etag)
    assert bucket.put_file(key, path) == etag
    with bucket.as_file(key) as copy:
        assert copy.suffix == ".mp4"
        assert copy.read_bytes() == path.read_bytes()
    assert not copy.exists()


def test_an_upload_that_fails_half_way_leaves_the_old(
    bucket: S3MediaStore, front: Front, s3_place: str, tmp_path: Path
) -> None:
    bucket.put("raw/v/video/walk.mp4", b"old")
    front.answers = ["pass", 403]  # the upload begins, a part of it is refused
    with pytest.raises(BrokenSetup, match="refuses access"):
        bucket_at(s3_place).put_file("raw/v/video/walk.mp4", large_file(tmp_path))
    assert bucket.get("raw/v/video/walk.mp4") == b"old"
    left = raw_client(bucket).list_multipart_uploads(Bucket=bucket.bucket, Prefix=bucket.prefix)
    assert left.get("Uploads", []) == []


def test_equal_bytes_have_an_equal_etag(bucket: S3MediaStore, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    etags = {bucket.put("a.jpg", b"picture"), bucket.put_file("b.jpg", path)}
    etags.add(bucket.put("a.jpg", b"picture"))
    assert len(etags) == 1


def test_the_digest_is_known_without_reading(bucket: S3MediaStore) -> None:
    bucket.put("a.jpg", b"picture")
    put_by_another(bucket, "b.jpg", b"picture")
    own, other = bucket.stat("a.jpg"), bucket.stat("b.jpg")
    assert own is not None
    assert other is not None
    assert own.digest.startswith("sha256:")
    assert other.digest == f"md5:{other.etag}" == f"md5:{own.etag}"


class Row(BaseModel):
    name: str


@pytest.mark.parametrize("parts", [False, True], ids=["in one", "in parts"])
def test_bytes_of_another_writer_are_not_taken_for_ours(
    bucket: S3MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: bool
) -> None:
    key = keys.promo(VEHICLE)
    name = "_put_parts" if parts else "_put"
    put = getattr(S3MediaStore, name)

    def and_another(self: S3MediaStore, asked: str, *what: Any) -> Any:
        answer = put(self, asked, *what)
        if asked == key:
            put_by_another(bucket, key, b"theirs")
        return answer

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(S3MediaStore, name, and_another)
        ours = large_file(tmp_path) if parts else b"ours"
        StepCache(bucket, VEHICLE, "step", Row).put("0" * 64, Row(name="ours"), {key: ours})
    assert bucket.get(key) == b"theirs"
    assert StepCache(bucket, VEHICLE, "step", Row).get("0" * 64) is None


def test_a_photo_is_written_in_one_request(
    bucket: S3MediaStore, front: Front, s3_place: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    far = bucket_at(s3_place)
    far.put("a.jpg", b"picture")
    far.put_file("b.jpg", path)
    assert [line.split(" ")[0] for line in front.seen] == ["PUT", "PUT"]
    assert bucket.get("b.jpg") == b"picture"


# --- what goes wrong ------------------------------------------------------------------------------


def every_use(store: S3MediaStore) -> dict[str, Callable[[], object]]:
    return {
        "put": lambda: store.put(PHOTO, b"1"),
        "get": lambda: store.get(PHOTO),
        "stat": lambda: store.stat(PHOTO),
        "list": lambda: list(store.list("raw/")),
        "folders": lambda: list(store.folders("raw/")),
        "delete": lambda: store.delete(PHOTO),
    }


@pytest.mark.parametrize("use", ["put", "get", "list", "delete"])
def test_what_passes_is_tried_again(
    bucket: S3MediaStore, front: Front, s3_place: str, use: str
) -> None:
    bucket.put(PHOTO, b"1")
    store = bucket_at(s3_place)
    front.answers = [503, 503]
    every_use(store)[use]()
    assert front.answers == []
    assert len(front.seen) >= 3
    assert len(set(front.seen[:3])) == 1


def test_what_does_not_pass_in_a_while_is_for_a_later_run(front: Front, s3_place: str) -> None:
    front.answers = [503] * 10
    with pytest.raises(ConnectionError, match="SlowDown"):
        bucket_at(s3_place, max_attempts=2).put(PHOTO, b"1")
    assert len(front.seen) == 2


@pytest.mark.parametrize("use", every_use(S3MediaStore(bucket="okla-media")))
def test_a_refusal_is_not_tried_again(front: Front, s3_place: str, use: str) -> None:
    front.answers = [403]
    with pytest.raises(BrokenSetup, match=r"refuses access.*AWS_ACCESS_KEY_ID"):
        every_use(bucket_at(s3_place))[use]()
    assert len(front.seen) == 1


def test_a_download_that_breaks_off_begins_again(
    bucket: S3MediaStore, front: Front, s3_place: str
) -> None:
    data = os.urandom(100_000)
    bucket.put(PHOTO, data)
    store = bucket_at(s3_place)
    front.answers = ["cut"]
    assert store.get(PHOTO) == data
    front.answers = ["cut"]
    with store.as_file(PHOTO) as path:
        assert path.read_bytes() == data
    assert len(front.requests("GET")) == 4
    front.answers = ["cut", "cut"]
    with pytest.raises(ConnectionError, match="broke off"):
        store.model_copy(update={"max_attempts": 2}).get(PHOTO)


def test_a_bucket_that_is_not_there_is_told(s3_place: str) -> None:
    store = bucket_at("s3://no-such-bucket/v")
    for name, use in every_use(store).items():
        if name == "stat":  # S3 answers a question for an object's facts without a reason
            assert use() is None
            continue
        with pytest.raises(BrokenSetup, match=r"no bucket at s3://no-such-bucket/v: create it"):
            use()


def test_an_endpoint_that_cannot_be_reached_is_told(
    s3_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKLA_S3_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(BrokenSetup, match=r"cannot be reached.*OKLA_S3_ENDPOINT_URL"):
        bucket_at(s3_place, max_attempts=1).get(PHOTO)


def test_without_credentials_it_is_told_what_to_set(
    s3_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    forget_clients()
    with pytest.raises(BrokenSetup, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
        bucket_at(s3_place).get(PHOTO)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    forget_clients()
    with pytest.raises(BrokenSetup, match=r"no credentials.*\(nobody\).*AWS_PROFILE"):
        bucket_at(s3_place).get(PHOTO)
    forget_clients()


def test_only_the_right_secret_is_let_in(
    strict_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket_at(strict_place)
    store.put(PHOTO, b"picture")
    assert [i.key for i in store.list("raw/")] == [PHOTO]
    for variable, reason in {
        "AWS_SECRET_ACCESS_KEY": "SignatureDoesNotMatch",
        "AWS_ACCESS_KEY_ID": "InvalidAccessKeyId",
    }.items():
        with monkeypatch.context() as wrong:
            wrong.setenv(variable, "WRONG")
            forget_clients()
            for name, use in every_use(store).items():
                # S3 answers a question for an object's facts without a reason.
                told = "access (403)" if name == "stat" else f"the credentials ({reason})"
                with pytest.raises(BrokenSetup, match=re.escape(f"refuses {told}: set AWS_ACC")):
                    use()
    forget_clients()
    assert store.get(PHOTO) == b"picture"


def test_credentials_that_were_renewed_are_found_without_a_restart(
    strict_place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = {
        name: os.environ[f"AWS_{name.upper()}"] for name in ("access_key_id", "secret_access_key")
    }
    for name in good:
        monkeypatch.delenv(f"AWS_{name.upper()}")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(**keys_of: str) -> None:
        lines = [f"aws_{name} = {value}" for name, value in keys_of.items()]
        file.write_text("\n".join(["[default]", *lines]))

    forget_clients()
    store = bucket_at(strict_place)
    with pytest.raises(BrokenSetup, match="no credentials"):
        store.put(PHOTO, b"picture")
    write(**(good | {"secret_access_key": "of the last hour"}))
    with pytest.raises(BrokenSetup, match="refuses the credentials"):
        store.put(PHOTO, b"picture")
    write(**good)
    store.put(PHOTO, b"picture")
    assert store.get(PHOTO) == b"picture"


@pytest.mark.parametrize("region", ["", "us-east-1", "eu-central-1"])
def test_links_are_signed_as_every_store_takes_them(
    bucket: S3MediaStore, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.delenv("OKLA_FILES_URL", raising=False)
    forget_clients()
    key = keys.processed_photo(VEHICLE, "exterior", 1, "jpg")
    bucket.put(key, b"picture")
    link = bucket.link(key)
    assert link is not None
    assert "X-Amz-Signature=" in link
    with urlopen(link, timeout=10) as answer:
        assert answer.read() == b"picture"


def test_a_store_without_conditions_takes_jobs_all_the_same(
    bucket: S3MediaStore, front: Front, s3_place: str
) -> None:
    store = bucket_at(s3_place)
    front.answers = ["pass", 501]
    assert store.put_new("inbox/a.json", b"first") is True
    assert store.put_new("inbox/a.json", b"second") is False
    assert bucket.get("inbox/a.json") == b"first"


def test_what_is_to_be_new_is_tried_again_where_others_write_and_delete(
    bucket: S3MediaStore, front: Front, s3_place: str
) -> None:
    front.answers = ["pass", 409]
    assert bucket_at(s3_place).put_new("inbox/a.json", b"first") is True
    assert bucket.get("inbox/a.json") == b"first"


def test_a_key_that_no_bucket_can_hold_is_not_there(front: Front, s3_place: str) -> None:
    store, key = bucket_at(s3_place), f"raw/v/photos/{'ñ' * 510}.jpg"
    assert store.stat(key) is None
    for read in (store.get, lambda key: store.head(key, 16)):
        with pytest.raises(FileNotFoundError, match="longer than any key"):
            read(key)
    assert front.seen == []


def test_deleted_is_gone_in_a_bucket_that_keeps_versions(bucket: S3MediaStore) -> None:
    client = raw_client(bucket)
    kept = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration=kept)
    try:
        bucket.put(PHOTO, b"1")
        bucket.put(PHOTO, b"2")
        bucket.delete(PHOTO)
        assert bucket.stat(PHOTO) is None
        assert list(bucket.list("raw/")) == []
        with pytest.raises(FileNotFoundError, match=PHOTO):
            bucket.get(PHOTO)
        assert bucket.put_new(PHOTO, b"3") is True
        assert bucket.get(PHOTO) == b"3"
    finally:
        kept = {"Status": "Suspended"}
        client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration=kept)


def test_what_the_key_may_not_do_is_told(strict_place: str) -> None:
    elsewhere = bucket_at(strict_place, prefix="of-others")
    for name in ("put", "get", "stat", "delete"):
        with pytest.raises(BrokenSetup, match=r"refuses access \(.*get, put and delete"):
            every_use(elsewhere)[name]()


def test_the_policy_of_deploy_is_all_that_a_store_needs(
    moto_server: S3Server, s3_place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (REPOSITORY / "deploy" / "bucket" / "okla-policy.json").read_text()
    policy = json.loads(text.replace("BUCKET", moto_server.bucket))
    with only_allowed(moto_server, policy, monkeypatch):
        store, path = bucket_at(s3_place), large_file(tmp_path)
        for use in every_use(store).values():
            use()
        assert store.stat(PHOTO) is None
        assert store.put_new(PHOTO, b"1") is True
        store.put_file("raw/v/video/walk.mp4", path)
        info = store.stat("raw/v/video/walk.mp4")
        assert info is not None
        assert store.part(info, PART_BYTES, 9) == path.read_bytes()[PART_BYTES : PART_BYTES + 9]
        with pytest.raises(ClientError, match="AccessDenied"):
            raw_client(store).put_bucket_versioning(
                Bucket=store.bucket, VersioningConfiguration={"Status": "Suspended"}
            )


def test_the_lifecycle_of_deploy_is_one_that_s3_takes(bucket: S3MediaStore) -> None:
    text = (REPOSITORY / "deploy" / "bucket" / "lifecycle.json").read_text()
    client = raw_client(bucket)
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket.bucket, LifecycleConfiguration=json.loads(text)
    )
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket.bucket)["Rules"]
        days = {
            rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
            for rule in rules
        }
        assert days == {None, 2}
    finally:
        client.delete_bucket_lifecycle(Bucket=bucket.bucket)


def test_threads_share_one_client(bucket: S3MediaStore) -> None:
    forget_clients()
    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(raw_client(bucket))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len({id(client) for client in made}) == 1

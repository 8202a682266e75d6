"""Which uploads become photos, under which numbers, and with which options."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pydantic import PrivateAttr

from okla_assets import keys
from okla_assets.asked_runs import AskedRun, ask
from okla_assets.assets.raw_photos import take_in
from okla_assets.options import StudioOptions, read_options
from okla_assets.tables import RawPhotos
from okla_assets.vehicle_runs import JOB_TAG
from resources.storage.media_store import LocalMediaStore
from resources.storage.s3_client import client_for
from resources.storage.s3_store import S3MediaStore
from resources.storage.stores import store_for
from tests import pictures
from tests.denied import deny
from tests.fakes import VEHICLE, Pipeline, QuickDecoder, Quiet, finished_key


def upload(store: LocalMediaStore, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        store.put(keys.raw_photos(VEHICLE) + name, data)


def taken_in(store: LocalMediaStore) -> tuple[RawPhotos, int]:
    return take_in(VEHICLE, store, QuickDecoder(), Quiet())


def numbers(table: RawPhotos) -> dict[str, int]:
    return {photo.name: photo.number for photo in table.photos}


# --- downloads ------------------------------------------------------------------------------------


class CountingStore(LocalMediaStore):
    """Notes which uploads are read."""

    _read: list[str] = PrivateAttr(default_factory=list)

    def get(self, key: str) -> bytes:
        if key.startswith(keys.RAW):
            self._read.append(key.rsplit("/", 1)[-1])
        return super().get(key)

    def read(self) -> set[str]:
        """Names read since last asked."""
        names = set(self._read)
        self._read.clear()
        return names


def test_an_upload_is_read_again_only_where_it_changed(tmp_path: Path) -> None:
    store = CountingStore(root=str(tmp_path))
    upload(store, {f"{n}.jpg": pictures.jpeg(pictures.car(n)) for n in (1, 2, 3)})
    first, _ = taken_in(store)
    assert store.read() == {"1.jpg", "2.jpg", "3.jpg"}
    assert taken_in(store) == (first, 0)
    assert store.read() == set()
    # The same name with other bytes of the same size, one more, and one that went.
    data = store.get(keys.raw_photos(VEHICLE) + "2.jpg")
    upload(store, {"2.jpg": data[:-1] + b"\x00", "4.jpg": pictures.jpeg(pictures.cabin(4))})
    store.delete(keys.raw_photos(VEHICLE) + "1.jpg")
    store.read()
    table, computed = taken_in(store)
    assert store.read() == {"2.jpg", "4.jpg"}
    assert computed == 2
    old = {photo.name: photo.source_sha256 for photo in first.photos}
    new = {photo.name: photo.source_sha256 for photo in table.photos}
    assert new["3.jpg"] == old["3.jpg"]
    assert new["2.jpg"] != old["2.jpg"]
    # What was remembered is gone: read again, nothing computed.
    for info in list(store.list(keys.work_folder(VEHICLE, "photos_seen"))):
        store.delete(info.key)
    assert taken_in(store) == (table, 0)
    assert store.read() == {"2.jpg", "3.jpg", "4.jpg"}


# --- numbers --------------------------------------------------------------------------------------


def test_photos_are_numbered_in_the_order_of_their_names(store: LocalMediaStore) -> None:
    names = ["IMG_10.jpg", "IMG_2.jpg", "IMG_1.jpg"]
    upload(store, {name: pictures.jpeg(pictures.car(n)) for n, name in enumerate(names)})
    table, computed = taken_in(store)
    assert numbers(table) == {"IMG_1.jpg": 1, "IMG_2.jpg": 2, "IMG_10.jpg": 3}
    assert [p.number for p in table.photos] == [1, 2, 3]
    assert computed == 3
    assert taken_in(store) == (table, 0)


@pytest.mark.slow
def test_a_photo_keeps_its_number_whatever_comes_and_goes(pipeline: Pipeline) -> None:
    def published() -> dict[str, int]:
        listing = pipeline.run().listing
        return {p.source_key.rsplit("/", 1)[-1]: p.number for p in listing.photos}

    photo = {name: pictures.jpeg(pictures.cabin(n)) for n, name in enumerate("abcde")}
    pipeline.upload({"b.jpg": photo["b"], "d.jpg": photo["d"]})
    assert published() == {"b.jpg": 1, "d.jpg": 2}
    pipeline.upload({"a.jpg": photo["a"], "c.jpg": photo["c"]})  # before and between
    assert published() == {"b.jpg": 1, "d.jpg": 2, "a.jpg": 3, "c.jpg": 4}
    pipeline.store.delete(keys.raw_photos(VEHICLE) + "b.jpg")
    pipeline.upload({"e.jpg": photo["e"]})
    assert published() == {"d.jpg": 2, "a.jpg": 3, "c.jpg": 4, "e.jpg": 5}
    # Other bytes under the same name are the same photo, taken again.
    pipeline.upload({"a.jpg": photo["b"]})
    assert published() == {"d.jpg": 2, "a.jpg": 3, "c.jpg": 4, "e.jpg": 5}


@pytest.mark.slow
def test_numbers_outlive_a_change_of_the_listings_format(pipeline: Pipeline) -> None:
    pipeline.upload({"b.jpg": pictures.jpeg(pictures.cabin(1))})
    pipeline.run()
    key = keys.listing(VEHICLE)
    listing = json.loads(pipeline.store.get(key)) | {"schema_version": 0, "dropped": "later"}
    pipeline.store.put(key, json.dumps(listing).encode())
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.cabin(2))})
    assert numbers(taken_in(pipeline.store)[0]) == {"b.jpg": 1, "a.jpg": 2}


def test_a_listing_that_is_none_does_not_stop_the_vehicle(store: LocalMediaStore) -> None:
    store.put(keys.listing(VEHICLE), b"{ cut off in the mid")
    upload(store, {"a.jpg": pictures.jpeg(pictures.cabin())})
    assert numbers(taken_in(store)[0]) == {"a.jpg": 1}


# --- duplicates -----------------------------------------------------------------------------------


def test_repeated_photos_are_told_from_copies_and_from_others(store: LocalMediaStore) -> None:
    original = pictures.jpeg(pictures.car(1), quality=95)
    upload(
        store,
        {
            "1.jpg": original,
            "2.jpg": pictures.jpeg(pictures.car(2)),
            "3.jpg": original,
            "4.jpg": pictures.jpeg(pictures.car(1), quality=60),
            "5.png": pictures.png(pictures.cabin(1)),
        },
    )
    table, computed = taken_in(store)
    found = {p.name: (p.duplicate_of, p.exact_duplicate) for p in table.photos}
    assert found == {
        "1.jpg": (None, False),
        "2.jpg": (None, False),
        "3.jpg": (1, True),
        "4.jpg": (1, False),
        "5.png": (None, False),
    }
    assert computed == 4  # the exact copy costs nothing


def test_the_listing_names_duplicates(pipeline: Pipeline) -> None:
    original = pictures.jpeg(pictures.cabin(1), quality=95)
    pipeline.upload(
        {"1.jpg": original, "2.jpg": original, "3.jpg": pictures.jpeg(pictures.cabin(1), 60)}
    )
    first, second, third = pipeline.run().listing.photos
    assert (first.duplicate_of, second.duplicate_of, third.duplicate_of) == (None, 1, 1)
    assert not {"exact_duplicate", "near_duplicate"} & set(first.quality.issues)
    assert "exact_duplicate" in second.quality.issues
    assert "near_duplicate" in third.quality.issues
    # Every photo is published, copies too: which to show is the marketplace's choice.
    assert pipeline.store.stat(finished_key(second)) is not None
    assert first.processed_key != second.processed_key


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (b"{}", {}, []),
        (b'{"max_width": 800, "aspect": "1:1"}', {"max_width": 800, "aspect": "1:1"}, []),
        (b'{"max_width": 99999, "aspect": "1:1"}', {"aspect": "1:1"}, [": max_width: "]),
        (
            b'{"aspect": "wide", "output_format": "gif", "output_quality": 70}',
            {"output_quality": 70},
            [": aspect: ", ": output_format: "],
        ),
        (b'{"colour": "red", "max_width": 800}', {"max_width": 800}, [": colour: "]),
        (b'{"max_width": {"px": 800}}', {}, [": max_width: "]),
        (b'{"max_width": null, "auto_enhance": false}', {"auto_enhance": False}, [": max_width: "]),
        (b'{"shadow_opacity": NaN}', {}, [": shadow_opacity: "]),
        (b'{"": 1, "max_width": 800}', {"max_width": 800}, [": "]),
        (b'{"max_width": 800', {}, [" is "]),
        (b"", {}, [" is "]),
        (b"\xff\xfe\x00", {}, [" is "]),
        (b"[1, 2]", {}, [" is "]),
        (b'"white_studio"', {}, [" is "]),
        (b"null", {}, [" is "]),
        (b"7", {}, [" is "]),
    ],
    ids=repr,
)
def test_options_that_cannot_be_used_are_named_and_the_rest_holds(
    store: LocalMediaStore, text: bytes, options: dict[str, object], told: list[str]
) -> None:
    store.put(keys.options(VEHICLE), text)
    read, problems = read_options(VEHICLE, store)
    assert read == StudioOptions.model_validate(options)
    assert len(problems) == len(told)
    for problem, name in zip(sorted(problems), told, strict=True):
        assert problem.startswith(f"options.json{name}")
        assert problem.endswith(("the default is used", "the defaults are used"))


def test_options_that_may_not_be_read_stop_no_photo(
    store: LocalMediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, {"1.jpg": pictures.jpeg(pictures.car())})
    store.put(keys.options(VEHICLE), b"{}")
    deny(monkeypatch, store.folder / keys.options(VEHICLE))
    table, _ = taken_in(store)
    assert numbers(table) == {"1.jpg": 1}
    (problem,) = table.problems
    assert "options.json may not be read" in problem
    assert "the defaults are used" in problem


def test_no_options_are_no_problem(store: LocalMediaStore) -> None:
    assert read_options(VEHICLE, store) == (StudioOptions(), ())


# --- mixed folders --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_a_job_asked_for_begins_with_its_options(pipeline: Pipeline) -> None:
    store = pipeline.store
    ask(store, AskedRun(name="j1.1", vehicle=VEHICLE, options={"background_id": "dark_studio"}))
    store.put(keys.options(VEHICLE), b'{"background_id": "outdoor_day", "promo": false}')
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    listing = pipeline.run(tags={JOB_TAG: "j1.1"}).listing
    assert (listing.options.background_id, listing.options.promo) == ("dark_studio", False)


@pytest.mark.slow
def test_a_file_that_cannot_be_used_is_refused_by_name_and_the_rest_goes_on(
    pipeline: Pipeline,
) -> None:
    good = pictures.jpeg(pictures.car())
    thumbnail = BytesIO()
    Image.new("RGB", (20, 20)).save(thumbnail, "PNG")
    pipeline.upload(
        {
            "1 good.jpg": good,
            "2 empty.jpg": b"",
            "3 text.jpg": b"<html>404 not found</html>" * 20,
            "4 cut off.jpg": good[: len(good) // 3],
            "5 tiny.png": thumbnail.getvalue(),
            "6 niño.png": pictures.png(pictures.cabin()),
            "7 notes.txt": b"not even a photo",
        }
    )
    outcome = pipeline.run()
    assert [p.source_key.rsplit("/", 1)[-1] for p in outcome.listing.photos] == [
        "1 good.jpg",
        "6 niño.png",
    ]
    refused = {r.source_key.rsplit("/", 1)[-1]: r for r in outcome.listing.refused}
    assert {name: r.reason for name, r in refused.items()} == {
        "2 empty.jpg": "empty_file",
        "3 text.jpg": "not_an_image",
        "4 cut off.jpg": "truncated",
        "5 tiny.png": "too_small",
    }
    assert all(r.detail.endswith(".") for r in refused.values())
    assert outcome.success
    assert outcome.listing.status == "ready"
    assert outcome.computed["raw_photos"] == 6
    # What is known to be bad is not looked at again; the same bytes elsewhere get their own name.
    pipeline.upload({"8 text again.jpg": b"<html>404 not found</html>" * 20})
    again = pipeline.run()
    assert again.computed["raw_photos"] == 0
    assert "8 text again.jpg" in [r.source_key.rsplit("/", 1)[-1] for r in again.listing.refused]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no photo was uploaded"),
        ({"a.jpg": b"no picture"}, "none of the 1 uploaded files could be used"),
    ],
    ids=["nothing", "nothing usable"],
)
def test_without_a_usable_photo_the_listing_says_so(
    pipeline: Pipeline, files: dict[str, bytes], reason: str
) -> None:
    pipeline.store.put(keys.options(VEHICLE), b"{}")
    pipeline.upload(files)
    outcome = pipeline.run()
    assert outcome.success
    assert (outcome.listing.status, list(outcome.listing.reasons)) == ("failed", [reason])
    assert outcome.checks["something_accepted"] is False
    assert list(pipeline.snapshot()) == [keys.gallery(VEHICLE), keys.listing(VEHICLE)]


@pytest.mark.slow
def test_where_all_uploads_were_withdrawn_the_listing_says_so(pipeline: Pipeline) -> None:
    pipeline.upload({"a.jpg": pictures.jpeg(pictures.car())})
    assert pipeline.run().listing.status == "ready"
    pipeline.store.delete(keys.raw_photos(VEHICLE) + "a.jpg")
    listing = pipeline.run().listing
    assert (listing.status, list(listing.reasons)) == ("failed", ["no photo was uploaded"])


def test_a_refusal_that_may_pass_is_tried_again(store: LocalMediaStore) -> None:
    from okla_assets.imaging.photo.decode import DecodedPhoto
    from okla_assets.imaging.photo.refusals import Refused

    class Overloaded(QuickDecoder):
        def decode(self, data: bytes, working_side: int) -> DecodedPhoto:
            raise Refused("decode_timeout", "It took too long.")

    upload(store, {"a.jpg": pictures.jpeg(pictures.car())})
    table, _ = take_in(VEHICLE, store, Overloaded(), Quiet())
    assert [r.reason for r in table.refused] == ["decode_timeout"]
    table, computed = taken_in(store)
    assert (numbers(table), computed) == ({"a.jpg": 1}, 1)


@pytest.mark.slow
def test_a_photo_that_may_not_be_read_is_refused_by_name(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car()), "2.jpg": b"1", "shut/3.jpg": b"1"})
    folder = pipeline.store.folder / keys.raw_photos(VEHICLE)
    with monkeypatch.context() as patch:
        deny(patch, folder / "2.jpg", folder / "shut")
        outcome = pipeline.run()
    assert outcome.success
    assert len(outcome.listing.photos) == 1
    assert {keys.upload_name(f.source_key): f.reason for f in outcome.listing.refused} == {
        "2.jpg": "unreadable",
        "shut/": "unreadable",
    }
    assert all(str(folder) not in f.detail for f in outcome.listing.refused)
    # Once it may be read it is looked at, though its ETag is the same.
    again = pipeline.run()
    assert {f.reason for f in again.listing.refused} == {"not_an_image"}


@pytest.mark.slow
def test_where_no_photo_can_be_read_the_listing_stays(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    assert pipeline.run().success
    before = pipeline.snapshot()
    deny(monkeypatch, pipeline.store.folder / keys.raw_photos(VEHICLE))
    assert not pipeline.run(may_fail=True).success
    assert pipeline.snapshot() == before


def test_a_bucket_with_objects_of_every_kind(s3_place: str) -> None:
    store = store_for(s3_place)
    assert isinstance(store, S3MediaStore)
    client = client_for(store.endpoint_url, store.max_attempts, store.location)
    raw, car = keys.raw_folder(VEHICLE), pictures.jpeg(pictures.car())
    for name in (
        "photos/1.jpg",
        "photos/IMG_4",
        "video/IMG_5.HIF",
        "photos//6.jpg",
        "photos/7.jpg",
    ):
        how = {"StorageClass": "GLACIER"} if name == "photos/7.jpg" else {}
        client.put_object(
            Bucket=store.bucket, Key=f"{store.prefix}/{raw}{name}", Body=car + name.encode(), **how
        )
    for name in ("photos/.DS_Store", "photos/notes.txt", "photos/", "124/photos/1.jpg"):
        client.put_object(Bucket=store.bucket, Key=f"{store.prefix}/{raw}{name}", Body=b"1")
    table, _ = take_in(VEHICLE, store, QuickDecoder(), Quiet())
    assert set(numbers(table)) == {"1.jpg", "IMG_4", "IMG_5.HIF"}
    assert {f.source_key.removeprefix(raw): f.reason for f in table.refused} == {
        "photos//6.jpg": "unusable_name",
        "photos/7.jpg": "unreadable",
    }
    assert {group.rule: group.examples for group in table.ignored} == {
        "elsewhere": ("124/photos/1.jpg",),
        "hidden_file": (".DS_Store",),
        "not_media": ("notes.txt",),
    }


@pytest.mark.parametrize(
    "output_format",
    ["jpg", *(pytest.param(one, marks=pytest.mark.slow) for one in ("png", "webp"))],
)
def test_nothing_published_says_where_or_by_whom_a_photo_was_taken(
    pipeline: Pipeline, output_format: str
) -> None:
    for name, pixels in {"1.jpg": pictures.car(), "2.jpg": pictures.cabin()}.items():
        data = pictures.with_gps(pixels)
        with Image.open(BytesIO(data)) as source:
            assert source.getexif().get_ifd(pictures.GPS_IFD)[1] == "N"
        pipeline.upload({name: data})
    pipeline.store.put(keys.options(VEHICLE), json.dumps({"output_format": output_format}).encode())
    pipeline.run()
    published = pipeline.snapshot()
    assert sum(key.endswith(output_format) for key in published) >= 2
    for key, (data, _) in published.items():
        for marker in (b"Exif", b"EXIF", b"eXIf", b"Rosa", b"XMP", b"2024:05:01", b"Photoshop"):
            assert marker not in data, f"{marker!r} in {key}"
        if key.endswith((".jpg", ".png", ".webp")):
            with Image.open(BytesIO(data)) as image:
                assert not image.getexif()


@pytest.mark.slow
def test_colours_that_cannot_be_read_and_lost_restarts_want_a_persons_eye(
    pipeline: Pipeline,
) -> None:
    image = Image.fromarray(pictures.car(1))
    strange, broken = BytesIO(), BytesIO()
    image.save(strange, "JPEG", quality=90, icc_profile=b"no profile at all")
    image.save(broken, "JPEG", quality=90, restart_marker_blocks=5)
    data = broken.getvalue()
    lost = data.replace(b"\xff\xd3", b"", 1)
    assert lost != data
    pipeline.upload({"1_strange.jpg": strange.getvalue(), "2_broken.jpg": lost})
    listing = pipeline.run().listing
    assert listing.status == "needs_review"
    assert [p.quality.issues for p in listing.photos if "colour_unknown" in p.quality.issues]
    said = " ".join(listing.reasons)
    assert "colours that cannot be read" in said
    assert "the uploaded file is damaged" in said
